import { createHash, type Hash } from 'node:crypto';
import type { OpenFile } from '../base/files.ts';
import { errorField } from '../base/log.ts';
import { isTemporary, type MailStatus } from '../smtp/mail-error.ts';
import { IncomingCredit } from './credit.ts';
import type { Inbox, IncomingMail } from './inbox.ts';
import { EAGER_LIMIT, OPEN_TRANSFERS, READ_BLOCK, STALL_TIMEOUT_MS, WRITE_BLOCK } from './limits.ts';
import { diskStatus, transferStatus } from './outcome.ts';
import type { Cancel, Data, Offer } from './packets.ts';
import type { SessionPort } from './sender.ts';

/** Data packets below this are put together in chunks of this size, in bytes. Honest mails have at most one such. */
const TINY = 512;
const SHARED = 4_096;

interface Incoming extends IncomingMail {
  readonly stream: number;
  readonly eager: boolean;
  readonly hash: Hash;
  /** Bytes of the mail that came, those that a former attempt left included. */
  arrived: number;
  /** Came and not yet written (a large mail), or not yet whole (an eager one). */
  chunks: Uint8Array[];
  held: number;
  /** Data may come. Eager ones from the start, large ones after `accept`. */
  flowing: boolean;
  admitted: boolean;
  file: OpenFile | undefined;
  written: number;
  writing: boolean;
  /** When data came last. */
  lastData: number;
  /** Gives back the place that lets it have a file open. */
  leave: (() => void) | undefined;
  /** Nothing of it is worth keeping on the disk. */
  discard: boolean;
  /** Answered, cancelled, or the session is over. */
  ended: boolean;
  /** No other session may work on this mail before: its files are closed. */
  release: () => void;
}

/**
 * The receiving half of one session. Bounds: OPEN_TRANSFERS mails, those with a file open as `Inbox.place` allows, and the
 * bytes that IncomingCredit grants.
 */
export class Receiver {
  readonly #peer: string;
  readonly #port: SessionPort;
  readonly #inbox: Inbox;
  readonly #credit: IncomingCredit;
  readonly #open = new Map<number, Incoming>();
  /** Mails of this session that hold a place. */
  #large = 0;
  #ended = false;

  constructor(peer: string, port: SessionPort, inbox: Inbox) {
    this.#peer = peer;
    this.#port = port;
    this.#inbox = inbox;
    this.#credit = new IncomingCredit(inbox.pool);
  }

  onOffer(packet: Offer): void {
    if (this.#open.size >= OPEN_TRANSFERS || this.#open.has(packet.stream)) {
      this.#port.violation('offer');
      return;
    }
    if (packet.eager && packet.size > EAGER_LIMIT) {
      this.#port.violation('eager offer');
      return;
    }
    if (!this.#credit.arrive(packet.data.length)) {
      this.#port.violation('credit');
      return;
    }
    const id = Buffer.from(packet.id).toString('hex');
    const t: Incoming = {
      stream: packet.stream,
      eager: packet.eager,
      peer: this.#peer,
      id,
      token: this.#inbox.token(this.#peer, packet.id),
      size: packet.size,
      digest: Buffer.from(packet.digest),
      nullSender: packet.nullSender,
      tag: packet.tag === '' ? undefined : packet.tag,
      hash: createHash('sha256'),
      arrived: 0,
      chunks: [],
      held: 0,
      flowing: packet.eager,
      admitted: false,
      file: undefined,
      written: 0,
      writing: false,
      lastData: this.#inbox.mono(),
      leave: undefined,
      discard: false,
      ended: false,
      release: () => {},
    };
    this.#open.set(t.stream, t);
    if (packet.data.length > 0) this.#take(t, packet.data);
    if (!this.#ended) void this.#admit(t);
  }

  onData(packet: Data): void {
    if (!this.#credit.arrive(packet.data.length)) {
      this.#port.violation('credit');
      return;
    }
    const t = this.#open.get(packet.stream);
    if (!t) {
      this.#free(packet.data.length); // answered before all of it came
      return;
    }
    if (!t.flowing) {
      this.#port.violation('data before accept');
      return;
    }
    this.#take(t, packet.data);
  }

  onCancel(packet: Cancel): void {
    const t = this.#open.get(packet.stream);
    if (!t) return;
    t.discard ||= packet.forget;
    this.#drop(t);
  }

  /** Makes room where accepted mails bring no data. Called now and then by the session. */
  checkStalled(now: number): void {
    for (const t of this.#open.values()) {
      if (t.flowing && !t.writing && t.arrived < t.size && now - t.lastData > STALL_TIMEOUT_MS) {
        this.#refuse(t, transferStatus.stalled());
      }
    }
  }

  get idle(): boolean {
    return this.#open.size === 0;
  }

  /** The session is over. What came of large mails stays for the next one; a mail that is whole is still stored. */
  end(): void {
    this.#ended = true;
    for (const t of [...this.#open.values()]) this.#drop(t);
    this.#credit.end();
  }

  #take(t: Incoming, data: Uint8Array): void {
    if (t.arrived + data.length > t.size) {
      this.#port.violation('more data than offered');
      return;
    }
    t.arrived += data.length;
    t.lastData = this.#inbox.mono();
    const last = t.chunks.length - 1;
    // The packet is only lent. Tiny ones share a chunk: an object for each would cost far more memory than its bytes.
    if (data.length < TINY && last >= 0 && t.chunks[last]!.length < SHARED) {
      t.chunks[last] = Buffer.concat([t.chunks[last]!, data]);
    } else t.chunks.push(Buffer.from(data));
    t.held += data.length;
    if (!t.admitted) return;
    if (t.eager) this.#storeIfWhole(t);
    else if (t.held >= WRITE_BLOCK || t.arrived === t.size) void this.#write(t);
    else if (this.#credit.held > this.#credit.flushAt) this.#writeAll();
  }

  /** Is it known, wanted, and not in work by a former session? */
  async #admit(t: Incoming): Promise<void> {
    try {
      t.release = await this.#inbox.claim(t.token);
      if (t.ended) return t.release();
      if (this.#inbox.seen(t.token)) return this.#stored(t);
      const refusal = await this.#inbox.admit(t);
      if (t.ended) return t.release();
      if (refusal) return this.#refuse(t, refusal);
      t.admitted = true;
      if (t.eager) return this.#storeIfWhole(t);
      const leave = await this.#inbox.place(this.#peer);
      if (t.ended) {
        leave();
        return t.release();
      }
      t.leave = leave;
      this.#large++;
      await this.#resume(t);
    } catch (error) {
      this.#fail(t, error);
    }
  }

  /** Opens what a former attempt left, reads it for the digest, and asks for the rest. */
  async #resume(t: Incoming): Promise<void> {
    t.writing = true; // holds the file until this is done
    try {
      t.file = await this.#inbox.partials.open(t.peer, t.token);
      const there = await t.file.size();
      if (there > t.size) await t.file.truncate(0);
      else {
        const block = new Uint8Array(READ_BLOCK);
        while (t.written < there && !t.ended) {
          const read = await t.file.read(block, t.written);
          if (read === 0) break;
          t.hash.update(block.subarray(0, read));
          t.written += read;
        }
      }
    } finally {
      t.writing = false;
    }
    if (t.ended) return this.#closeAndRelease(t);
    t.arrived = t.written;
    t.lastData = this.#inbox.mono();
    t.flowing = true;
    this.#port.control({ kind: 'accept', stream: t.stream, offset: t.arrived });
    this.#free(0);
    this.#port.pump();
    if (t.arrived === t.size) await this.#finishLarge(t);
  }

  #writeAll(): void {
    for (const t of this.#open.values()) if (!t.eager && t.held > 0) void this.#write(t);
  }

  /** Writes what came, in blocks, until nothing is left; one at a time per mail. */
  async #write(t: Incoming): Promise<void> {
    if (t.writing || !t.file) return;
    t.writing = true;
    try {
      while (t.held > 0 && !t.ended) {
        const block = takeChunks(t);
        t.hash.update(block);
        try {
          await t.file.write(block, t.written);
        } finally {
          this.#free(block.length);
        }
        t.written += block.length;
        if (t.held < WRITE_BLOCK && t.arrived < t.size && this.#credit.held <= this.#credit.flushAt) break;
      }
    } catch (error) {
      t.writing = false;
      return this.#fail(t, error);
    }
    t.writing = false;
    if (t.ended) return this.#closeAndRelease(t);
    if (t.written === t.size) await this.#finishLarge(t).catch((error: unknown) => this.#fail(t, error));
  }

  async #finishLarge(t: Incoming): Promise<void> {
    t.discard = true;
    if (!t.hash.digest().equals(t.digest)) return this.#refuse(t, transferStatus.damaged());
    const file = t.file!;
    t.writing = true; // holds the file while it is copied
    try {
      const refusal = await this.#inbox.storeFile(t, file);
      t.discard = !refusal || !isTemporary(refusal); // the next attempt need not bring it all again
      if (refusal) this.#refuse(t, refusal);
      else this.#stored(t);
    } catch (error) {
      t.discard = false; // the disk may have room again at the next attempt
      this.#fail(t, error);
    } finally {
      t.writing = false;
      if (t.ended) await this.#closeAndRelease(t);
    }
  }

  #storeIfWhole(t: Incoming): void {
    if (t.arrived < t.size || t.ended || t.writing) return;
    t.writing = true;
    const mail = takeChunks(t);
    void this.#storeSmall(t, mail)
      .catch((error: unknown) => this.#fail(t, error))
      .finally(() => {
        t.writing = false;
        this.#free(mail.length);
        if (t.ended) t.release();
      });
  }

  async #storeSmall(t: Incoming, mail: Uint8Array): Promise<void> {
    if (!t.hash.update(mail).digest().equals(t.digest)) return this.#refuse(t, transferStatus.damaged());
    const refusal = await this.#inbox.storeBytes(t, mail);
    if (refusal) this.#refuse(t, refusal);
    else this.#stored(t);
  }

  #stored(t: Incoming): void {
    this.#answer(t, () => this.#port.control({ kind: 'stored', stream: t.stream }));
  }

  #refuse(t: Incoming, status: MailStatus): void {
    const [statusClass, subject, detail] = status.enhanced.split('.').map(Number);
    this.#inbox.log.info('transfer.refused', { id: t.id, status: status.enhanced });
    this.#answer(t, () =>
      this.#port.control({
        kind: 'refuse',
        stream: t.stream,
        reply: status.reply,
        enhanced: [statusClass!, subject!, detail!],
        text: status.text,
      }),
    );
  }

  #fail(t: Incoming, error: unknown): void {
    this.#inbox.log.error('transfer.store-failed', { id: t.id, error: errorField(error) });
    // If the session ended meanwhile, file and claim are still ours.
    if (t.ended) void this.#closeAndRelease(t);
    else this.#refuse(t, diskStatus(error));
  }

  #answer(t: Incoming, say: () => void): void {
    if (t.ended) return;
    say();
    this.#drop(t);
    this.#port.pump();
  }

  /** Takes the mail out of the session; its memory and file are freed, at once or when the disk is done with them. */
  #drop(t: Incoming): void {
    if (t.ended) return;
    t.ended = true;
    this.#open.delete(t.stream);
    this.#free(t.held);
    t.chunks = [];
    t.held = 0;
    if (!t.writing) void this.#closeAndRelease(t);
  }

  async #closeAndRelease(t: Incoming): Promise<void> {
    const file = t.file;
    t.file = undefined;
    try {
      await file?.close();
      if (t.discard && !t.eager) await this.#inbox.partials.remove(t.peer, t.token);
    } catch (error) {
      this.#inbox.log.warn('transfer.close-failed', { id: t.id, error: errorField(error) });
    }
    t.release();
    if (!t.leave) return;
    t.leave();
    t.leave = undefined;
    this.#large--;
  }

  #free(bytes: number): void {
    const total = this.#credit.free(bytes, this.#large > 0);
    if (total === undefined || this.#ended) return;
    this.#port.control({ kind: 'credit', total });
    this.#port.pump();
  }
}

function takeChunks(t: Incoming): Uint8Array {
  const [only] = t.chunks;
  const all = t.chunks.length === 1 && only ? only : Buffer.concat(t.chunks, t.held);
  t.chunks = [];
  t.held = 0;
  return all;
}
