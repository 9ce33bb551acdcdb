import type { Content, ContentReader } from '../base/files.ts';
import type { Logger } from '../base/log.ts';
import { errorField } from '../base/log.ts';
import type { MailStatus } from '../smtp/mail-error.ts';
import { EAGER_LIMIT, LARGE_READ_AHEAD, LARGE_READ_LEAST, READ_AHEAD } from './limits.ts';
import { transferStatus } from './outcome.ts';
import type { Accept, Credit, Hello, Packet, Refuse, Stored } from './packets.ts';
import { DATA_CAPACITY, encode, MAX_TAG_BYTES, offerCapacity } from './packets.ts';

/** One mail to one peer; the same shape as delivery/target.ts. */
export interface TransferJob {
  /** Transfer id: 32 lower-case hex, the same in every attempt. */
  readonly id: string;
  /** The recipient's public key, 64 upper-case hex. */
  readonly peer: string;
  readonly envelope: { readonly from: string; readonly tag: string | undefined };
  readonly content: Content;
  readonly size: number;
  readonly digest: Uint8Array;
}

export type TransferOutcome =
  | { readonly kind: 'delivered' }
  | { readonly kind: 'failed'; readonly status: MailStatus }
  | { readonly kind: 'offline'; readonly status?: MailStatus };

/** What both halves of a session may do with it. */
export interface SessionPort {
  /** Queues a control packet; it goes before any mail. */
  control(packet: Packet): void;
  /** False: no room now, `pump` will be called again. */
  send(bytes: Uint8Array): boolean;
  /** Sends what can be sent. */
  pump(): void;
  /** The peer broke the rules: nothing of it is listened to until it comes online anew. */
  violation(reason: string): void;
}

/** The peer has what was sent when it frees the credit; until then progress is what we sent. In bytes. */
const PROGRESS_STEP = 256 * 1024;

interface Outgoing {
  readonly job: TransferJob;
  readonly progress: (sent: number) => void;
  readonly settle: (outcome: TransferOutcome) => void;
  /** Sent with its offer; decided when its turn comes. */
  eager: boolean;
  stream: number;
  offered: boolean;
  /** Bytes of the mail handed to the session. */
  sent: number;
  reported: number;
  /** Bytes to be sent next, from offset `sent` on. */
  block: Uint8Array | undefined;
  /** The block after that one, while it is read or waits. */
  next: Uint8Array | undefined;
  nextOffset: number;
  reading: Promise<void> | undefined;
  file: ContentReader | undefined;
  ended: boolean;
}

/**
 * The sending half of one session. Small mails go out one after another, each with its offer; large ones wait for their
 * `accept` and then share the session packet by packet, with each other and with the small ones.
 */
export class Sender {
  readonly #port: SessionPort;
  readonly #log: Logger;
  #peer: Hello | undefined;
  #nextStream = 1;
  /** Bounded by the queue, which hands out jobs. */
  #waiting: Outgoing[] = [];
  /** Bounded by the peer's hello. */
  readonly #open = new Map<number, Outgoing>();
  /** Eager ones in the order of their turn; the first may be half sent. */
  #small: Outgoing[] = [];
  /** Accepted ones, in turn. */
  #large: Outgoing[] = [];
  #largeTurn = false;
  #readAhead = 0;
  #credit = 0;
  #sent = 0;

  constructor(port: SessionPort, log: Logger) {
    this.#port = port;
    this.#log = log;
  }

  /** Mails that the peer knows of and has not answered for. */
  get openCount(): number {
    return this.#open.size;
  }

  get idle(): boolean {
    return this.#open.size === 0 && this.#waiting.length === 0;
  }

  /** Never rejects. On abort it settles (as offline) when the file is no longer read. */
  deliver(job: TransferJob, progress: (sent: number) => void, signal: AbortSignal): Promise<TransferOutcome> {
    return new Promise((resolve) => {
      const onAbort = (): void => {
        if (t.stream !== 0) {
          this.#port.control({ kind: 'cancel', stream: t.stream, forget: signal.reason === 'cancelled' });
        }
        this.#finish(t, { kind: 'offline' });
      };
      const t: Outgoing = {
        job,
        progress,
        settle: (outcome) => {
          signal.removeEventListener('abort', onAbort);
          resolve(outcome);
        },
        eager: false,
        stream: 0,
        offered: false,
        sent: 0,
        reported: 0,
        block: undefined,
        next: undefined,
        nextOffset: 0,
        reading: undefined,
        file: undefined,
        ended: false,
      };
      if (signal.aborted) return resolve({ kind: 'offline' });
      signal.addEventListener('abort', onAbort);
      this.#waiting.push(t);
      this.#port.pump();
    });
  }

  /** The peer is ready for offers. */
  onHello(hello: Hello): void {
    this.#peer = hello;
    this.#credit = hello.credit;
    this.#sent = 0;
  }

  onAccept(packet: Accept): void {
    const t = this.#open.get(packet.stream);
    if (!t) return; // cancelled meanwhile
    if (t.eager || t.file || t.reading || packet.offset > t.job.size) {
      this.#port.violation('accept');
      return;
    }
    t.sent = packet.offset;
    t.nextOffset = packet.offset;
    this.#report(t);
    if (packet.offset === t.job.size) return;
    this.#large.push(t);
    this.#read(t);
  }

  onRefuse(packet: Refuse): void {
    const t = this.#open.get(packet.stream);
    if (!t) return;
    const [statusClass, subject, detail] = packet.enhanced;
    const enhanced = `${statusClass as 4 | 5}.${subject}.${detail}` as const;
    this.#finish(t, { kind: 'failed', status: { reply: packet.reply, enhanced, text: packet.text } });
  }

  onStored(packet: Stored): void {
    const t = this.#open.get(packet.stream);
    if (!t) return;
    t.progress(t.job.size);
    this.#finish(t, { kind: 'delivered' });
  }

  onCredit(packet: Credit): void {
    this.#credit = Math.max(this.#credit, packet.total);
  }

  /** The session is over or no good: all that waits or is open ends this way. */
  end(outcome: TransferOutcome): void {
    this.#peer = undefined;
    for (const t of [...this.#open.values(), ...this.#waiting]) this.#finish(t, outcome);
  }

  /** What is open takes too long; what waits has its turn. */
  giveUp(outcome: TransferOutcome): void {
    for (const t of [...this.#open.values()]) {
      this.#port.control({ kind: 'cancel', stream: t.stream, forget: false });
      this.#finish(t, outcome);
    }
  }

  /** The peer started over: what was open there is lost and tried again later; the rest goes on after its hello. */
  restart(): void {
    const open = [...this.#open.values()];
    this.#peer = undefined;
    for (const t of open) this.#finish(t, { kind: 'failed', status: transferStatus.restarted() });
  }

  /** Sends until there is no room, no credit or nothing ready. */
  pump(): void {
    this.#start();
    for (;;) {
      const t = this.#pick();
      if (!t || !this.#sendPacket(t)) return;
    }
  }

  /** Gives waiting mails a number, as many as the peer takes and our read-ahead allows. */
  #start(): void {
    const peer = this.#peer;
    if (!peer) return;
    while (this.#waiting.length > 0 && this.#open.size < peer.openTransfers && this.#readAhead < READ_AHEAD) {
      const t = this.#waiting.shift()!;
      if (t.job.size > peer.maxSize) {
        this.#finish(t, { kind: 'failed', status: transferStatus.tooBig(peer.maxSize) });
        continue;
      }
      t.stream = this.#nextStream;
      this.#nextStream = this.#nextStream >= 0xffff_ffff ? 1 : this.#nextStream + 1;
      this.#open.set(t.stream, t);
      t.eager = t.job.size <= Math.min(EAGER_LIMIT, peer.eagerLimit);
      if (t.eager) {
        this.#readAhead += t.job.size;
        this.#small.push(t);
        this.#read(t);
      } else {
        this.#port.control({ ...offer(t), eager: false, data: NOTHING });
      }
    }
  }

  /** Small and large take turns. Only what is read and covered by credit is picked. */
  #pick(): Outgoing | undefined {
    if (!this.#peer || this.#sent >= this.#credit) return undefined;
    const small = this.#small[0]?.block ? this.#small[0] : undefined;
    let large: Outgoing | undefined;
    for (let i = 0; i < this.#large.length; i++) {
      const t = this.#large.shift()!;
      this.#large.push(t);
      if (t.block) {
        large = t;
        break;
      }
    }
    this.#largeTurn = !this.#largeTurn;
    return this.#largeTurn ? (large ?? small) : (small ?? large);
  }

  #sendPacket(t: Outgoing): boolean {
    const block = t.block!;
    const first = t.eager && !t.offered;
    const room = Math.min(first ? offerCapacity(tagOf(t)) : DATA_CAPACITY, this.#credit - this.#sent);
    const data = block.subarray(0, room);
    const packet: Packet = first ? { ...offer(t), eager: true, data } : { kind: 'data', stream: t.stream, data };
    if (!this.#port.send(encode(packet))) return false;
    t.offered = true;
    this.#sent += data.length;
    t.sent += data.length;
    t.block = data.length < block.length ? block.subarray(data.length) : undefined;
    if (!t.block) this.#blockSent(t);
    if (t.sent - t.reported >= PROGRESS_STEP) this.#report(t);
    return true;
  }

  #blockSent(t: Outgoing): void {
    if (t.eager) {
      this.#small.shift();
      this.#readAhead -= t.job.size;
      this.#start();
    } else if (t.sent === t.job.size) {
      this.#large = this.#large.filter((other) => other !== t);
      void this.#closeFile(t);
    } else {
      t.block = t.next;
      t.next = undefined;
      this.#read(t);
    }
  }

  /** Reads the next block of a large mail, or all of a small one, unless that is under way. */
  #read(t: Outgoing): void {
    if (t.reading || t.next || t.ended || t.nextOffset >= t.job.size) return;
    t.reading = this.#readBlock(t)
      .then(
        () => true,
        (error: unknown) => {
          this.#log.error('transfer.read-failed', { id: t.job.id, error: errorField(error) });
          return false;
        },
      )
      .then((ok) => {
        t.reading = undefined;
        if (t.ended) return void this.#closeFile(t);
        if (!ok) {
          this.#port.control({ kind: 'cancel', stream: t.stream, forget: false });
          return this.#finish(t, { kind: 'failed', status: transferStatus.spoolUnreadable() });
        }
        if (!t.block && t.next) {
          t.block = t.next;
          t.next = undefined;
          if (!t.eager) this.#read(t);
        }
        this.#port.pump();
      });
  }

  async #readBlock(t: Outgoing): Promise<void> {
    t.file ??= await t.job.content.open();
    const block = Math.max(LARGE_READ_LEAST, Math.floor(LARGE_READ_AHEAD / 2 / Math.max(1, this.#large.length)));
    const size = Math.min(t.eager ? t.job.size : block, t.job.size - t.nextOffset);
    const bytes = new Uint8Array(size);
    if ((await t.file.read(bytes, t.nextOffset)) !== size) throw new Error('the stored mail is too short');
    t.nextOffset += size;
    t.next = bytes;
    if (t.eager) await this.#closeFile(t);
  }

  #report(t: Outgoing): void {
    t.reported = t.sent;
    t.progress(t.sent);
  }

  /** Takes the mail out of everything and settles it once its file is closed. */
  #finish(t: Outgoing, outcome: TransferOutcome): void {
    if (t.ended) return;
    t.ended = true;
    this.#waiting = this.#waiting.filter((other) => other !== t);
    if (t.stream !== 0) this.#open.delete(t.stream);
    if (this.#small.includes(t)) {
      this.#small = this.#small.filter((other) => other !== t);
      this.#readAhead -= t.job.size;
    }
    this.#large = this.#large.filter((other) => other !== t);
    t.block = undefined;
    t.next = undefined;
    void (t.reading ?? Promise.resolve()).then(() => this.#closeFile(t)).then(() => t.settle(outcome));
    this.#port.pump();
  }

  async #closeFile(t: Outgoing): Promise<void> {
    if (t.reading && !t.eager) return; // the end of the reading closes it
    const file = t.file;
    t.file = undefined;
    try {
      await file?.close();
    } catch (error) {
      this.#log.warn('transfer.close-failed', { id: t.job.id, error: errorField(error) });
    }
  }
}

const NOTHING = new Uint8Array(0);

function offer(t: Outgoing) {
  return {
    kind: 'offer',
    stream: t.stream,
    id: Buffer.from(t.job.id, 'hex'),
    size: t.job.size,
    digest: t.job.digest,
    nullSender: t.job.envelope.from === '',
    tag: tagOf(t),
  } as const;
}

/** A tag that does not fit the offer is left out: the mail matters more. */
function tagOf(t: Outgoing): string {
  const tag = t.job.envelope.tag ?? '';
  return Buffer.byteLength(tag) <= MAX_TAG_BYTES ? tag : '';
}
