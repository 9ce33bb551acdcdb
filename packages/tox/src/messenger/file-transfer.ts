import type { Mono } from '../core/env.ts';
import { ToxError } from '../core/errors.ts';
import type { PublicKey } from '../crypto/keys.ts';
import {
  decodeFileControl,
  decodeFileRequest,
  encodeFileControl,
  encodeFileDataInto,
  encodeFileRequest,
  FILE_CHUNK_SIZE,
  FILE_ID_SIZE,
  type FileControl,
  MAX_FILE_NAME_SIZE,
} from '../packet/messenger.ts';
import { type CopyPool, toText, toUtf8 } from './bytes.ts';
import type { Emit, FileNumber } from './events.ts';

/** What is offered with `fileSend`. */
export interface FileOffer {
  /** 0 data (the default), 1 avatar. */
  readonly kind?: number;
  /** Bytes; leave out for a stream whose end is told by `fileEnd`. */
  readonly size?: number | undefined;
  /** 32 bytes, the same when the same file is offered again. */
  readonly fileId: Uint8Array;
  /** At most 255 bytes of UTF-8. */
  readonly name: string;
}

/** How the transfers of one friend send. */
export interface FileLink {
  /** Where data packets are put together, 1373 bytes; shared by all friends. */
  readonly scratch: Uint8Array;
  /** Lossless, copies; the number, or undefined if there is no room. `onWritable` must follow. */
  send(now: Mono, data: Uint8Array): number | undefined;
  /**
   * Sent now or as soon as there is room. If too much waits already, throws `limit`; an `answer`
   * to the friend is dropped instead.
   */
  queue(now: Mono, data: Uint8Array, answer: boolean): void;
}

/** Transfers of one friend in one direction (spec: 8-bit file numbers). */
const MAX_TRANSFERS = 256;
/** Where our numbers of received files begin. */
const RECEIVED = 256;

const NOTHING = new Uint8Array(0);

interface Transfer {
  readonly file: FileNumber;
  readonly fileId: Uint8Array;
  readonly size: number | undefined;
  /** Sending: bytes handed to the session. Receiving: bytes received. */
  position: number;
  /** `sent`: the last chunk is on its way, only its acknowledgement is missing. */
  state: 'offered' | 'running' | 'sent';
  pausedByUs: boolean;
  pausedByFriend: boolean;
  /** Sending: bytes taken that are no whole chunk yet, fewer than 1371. */
  tail: Uint8Array;
  /** Packet number of the last chunk. */
  last: number;
  /** Sending: `file-writable` is due when there is room. */
  waiting: boolean;
  /** Sending: when it last found room, counted, so that transfers take turns. */
  served: number;
}

/**
 * The files that go to and come from one friend while it is online (spec: File transfers).
 * BOUNDED: 256 each way; nothing of a file is held but less than one chunk.
 */
export class FileTransfers {
  readonly #friend: PublicKey;
  readonly #link: FileLink;
  readonly #emit: Emit;
  readonly #pool: CopyPool;
  readonly #transfers = new Map<FileNumber, Transfer>();
  #turn = 0;

  constructor(friend: PublicKey, link: FileLink, pool: CopyPool, emit: Emit) {
    this.#friend = friend;
    this.#link = link;
    this.#pool = pool;
    this.#emit = emit;
  }

  /** Offers a file. Throws `limit` if 256 are open, `bad-argument`. */
  send(now: Mono, offer: FileOffer): FileNumber {
    const name = toUtf8(offer.name, MAX_FILE_NAME_SIZE, 'file name');
    if (offer.fileId.length !== FILE_ID_SIZE) throw new ToxError('bad-argument', `a file id has ${FILE_ID_SIZE} bytes`);
    const size = offer.size;
    if (size !== undefined && (!Number.isSafeInteger(size) || size < 0)) {
      throw new ToxError('bad-argument', 'a file size is a whole number of bytes');
    }
    let file = 0;
    while (file < MAX_TRANSFERS && this.#transfers.has(file)) file++;
    if (file === MAX_TRANSFERS) throw new ToxError('limit', `already sending ${MAX_TRANSFERS} files to this friend`);
    const fileId = offer.fileId.slice();
    this.#link.queue(now, encodeFileRequest({ number: file, kind: offer.kind ?? 0, size, fileId, name }), false);
    this.#transfers.set(file, newTransfer(file, fileId, size));
    return file;
  }

  /**
   * Takes the next bytes of a file that we send; returns how many, 0 while it is not accepted or
   * paused. Fewer than given: `file-writable` follows. More than the offered size: `bad-argument`.
   */
  write(now: Mono, file: FileNumber, data: Uint8Array): number {
    const t = this.#sending(file);
    const left = t.size === undefined ? Number.POSITIVE_INFINITY : t.size - t.position - t.tail.length;
    if (data.length > left) throw new ToxError('bad-argument', 'more bytes than were offered');
    if (data.length === 0 || !isOpen(t)) return 0;
    let taken = 0;
    for (;;) {
      const held = t.tail.length;
      const chunk = Math.min(FILE_CHUNK_SIZE, t.size === undefined ? FILE_CHUNK_SIZE : t.size - t.position);
      const next = data.subarray(taken, taken + chunk - held);
      if (held + next.length < chunk) {
        if (next.length > 0) t.tail = concat(t.tail, next);
        return data.length;
      }
      if (!this.#sendChunk(now, t, next)) return taken;
      taken += next.length;
      if (t.state === 'sent') return taken;
    }
  }

  /** Ends a stream of unknown size. False if there was no room: repeat after `file-writable`. */
  end(now: Mono, file: FileNumber): boolean {
    const t = this.#sending(file);
    if (t.size !== undefined) throw new ToxError('bad-argument', 'a file of known size ends by itself');
    if (t.state === 'sent') return true;
    return isOpen(t) && this.#sendChunk(now, t, NOTHING);
  }

  /**
   * `resume` accepts an offer or lifts our own pause, `pause` sets it, `kill` ends the transfer
   * at once and for good. What is so already has no effect.
   */
  control(now: Mono, file: FileNumber, control: 'resume' | 'pause' | 'kill'): void {
    const t = this.#get(file);
    if (control === 'kill') {
      this.#tell(now, file, 'kill');
      this.#transfers.delete(file);
    } else if (t.state === 'offered') {
      if (control === 'pause' || file < RECEIVED) throw new ToxError('bad-argument', 'the file is not accepted yet');
      this.#tell(now, file, 'accept');
      t.state = 'running';
    } else if (t.pausedByUs !== (control === 'pause')) {
      this.#tell(now, file, control === 'pause' ? 'pause' : 'accept');
      t.pausedByUs = control === 'pause';
      if (!t.pausedByUs) this.#open(now, t);
    }
  }

  /** Before an offer is accepted: have the friend start at this byte. Throws if it is not below the size. */
  seek(now: Mono, file: FileNumber, position: number): void {
    const t = this.#get(file);
    if (file < RECEIVED || t.state !== 'offered') {
      throw new ToxError('bad-argument', 'only the receiver seeks, before accepting');
    }
    if (!Number.isSafeInteger(position) || position < 0 || position >= (t.size ?? Number.MAX_SAFE_INTEGER)) {
      throw new ToxError('bad-argument', 'the position is not inside the file');
    }
    this.#tell(now, file, 'seek', position);
    t.position = position;
  }

  // From the friend.

  onRequest(now: Mono, data: Uint8Array): void {
    const request = decodeFileRequest(data);
    if (!request) {
      // The number stands before what may be wrong. Without an answer the friend would wait for ever.
      if (data.length >= 2 && !this.#transfers.has(data[1]! + RECEIVED)) this.#answerKill(now, data[1]! + RECEIVED);
      return;
    }
    const file = request.number + RECEIVED;
    if (this.#transfers.has(file)) return;
    const { kind, size, fileId } = request;
    this.#transfers.set(file, newTransfer(file, fileId, size));
    this.#emit({ type: 'file-offer', friend: this.#friend, file, kind, size, fileId, name: toText(request.name) });
  }

  onControl(now: Mono, data: Uint8Array): void {
    const control = decodeFileControl(data);
    if (!control) return;
    const file = control.byReceiver ? control.number : control.number + RECEIVED;
    const t = this.#transfers.get(file);
    // Kills are not answered: two sides that kill at the same moment would never stop.
    if (t) this.#controlled(now, t, control);
    else if (control.code !== 'kill') this.#answerKill(now, file);
  }

  #controlled(now: Mono, t: Transfer, control: FileControl): void {
    const { file } = t;
    const sending = file < RECEIVED;
    switch (control.code) {
      case 'accept':
        if (sending && t.state === 'offered') {
          t.state = 'running';
          this.#emit({ type: 'file-control', friend: this.#friend, file, control: 'accept' });
        } else if (t.pausedByFriend) {
          t.pausedByFriend = false;
          this.#emit({ type: 'file-control', friend: this.#friend, file, control: 'resume' });
        } else {
          return;
        }
        this.#open(now, t);
        return;
      case 'pause':
        if (t.pausedByFriend || t.state !== 'running') return;
        t.pausedByFriend = true;
        this.#emit({ type: 'file-control', friend: this.#friend, file, control: 'pause' });
        return;
      case 'kill':
        this.#transfers.delete(file);
        this.#emit({ type: 'file-aborted', friend: this.#friend, file, reason: 'killed' });
        return;
      case 'seek':
        if (!sending || t.state !== 'offered' || control.position === undefined) return;
        if (control.position < (t.size ?? Number.POSITIVE_INFINITY)) t.position = control.position;
    }
  }

  onData(now: Mono, packet: Uint8Array): void {
    if (packet.length < 2) return;
    const file = packet[1]! + RECEIVED;
    const t = this.#transfers.get(file);
    if (t?.state !== 'running') return;
    const length = packet.length - 2;
    const { position, size } = t;
    const kept = size === undefined ? length : Math.min(length, size - position);
    t.position += kept;
    if (kept > 0) {
      const data = this.#pool.copy(packet, 2, kept);
      this.#emit({ type: 'file-data', friend: this.#friend, file, position, data });
    }
    if (length >= FILE_CHUNK_SIZE && t.position !== size) return;
    this.#transfers.delete(file);
    if (size === undefined || t.position === size) {
      this.#emit({ type: 'file-done', friend: this.#friend, file });
    } else {
      // A short chunk says that the file ends here, but its offered size says otherwise.
      this.#answerKill(now, file);
      this.#emit({ type: 'file-aborted', friend: this.#friend, file, reason: 'broken' });
    }
  }

  /** All packets before `upTo` (u32 that wraps) arrived. */
  onAcknowledged(upTo: number): void {
    for (const t of this.#transfers.values()) {
      if (t.state !== 'sent' || ((upTo - t.last) | 0) <= 0) continue;
      this.#transfers.delete(t.file);
      this.#emit({ type: 'file-done', friend: this.#friend, file: t.file });
    }
  }

  /** There is room. Who was served longest ago is told first. */
  onWritable(now: Mono): void {
    const waiting: Transfer[] = [];
    for (const t of this.#transfers.values()) if (t.waiting && isOpen(t)) waiting.push(t);
    if (waiting.length > 1) waiting.sort((a, b) => a.served - b.served);
    for (const t of waiting) this.#open(now, t);
  }

  /** The connection is gone, and with it every transfer. */
  abort(): void {
    const files = [...this.#transfers.keys()];
    this.#transfers.clear();
    for (const file of files) {
      this.#emit({ type: 'file-aborted', friend: this.#friend, file, reason: 'offline' });
    }
  }

  /** Lets a transfer that we send go on, if nobody pauses it. */
  #open(now: Mono, t: Transfer): void {
    if (t.file >= RECEIVED || !isOpen(t)) return;
    t.waiting = false;
    if (t.size === 0) this.#sendChunk(now, t, NOTHING);
    else {
      const position = t.position + t.tail.length;
      this.#emit({ type: 'file-writable', friend: this.#friend, file: t.file, position });
    }
  }

  /** Sends what is held and `next` as one chunk; what is short of a whole chunk, or reaches the size, is the last. */
  #sendChunk(now: Mono, t: Transfer, next: Uint8Array): boolean {
    const number = this.#link.send(now, encodeFileDataInto(this.#link.scratch, t.file, t.tail, next));
    if (number === undefined) {
      t.waiting = true;
      return false;
    }
    const length = t.tail.length + next.length;
    t.served = ++this.#turn;
    t.position += length;
    t.tail = NOTHING;
    if (length < FILE_CHUNK_SIZE || t.position === t.size) {
      t.state = 'sent';
      t.last = number;
    }
    return true;
  }

  #tell(now: Mono, file: FileNumber, code: FileControl['code'], position?: number): void {
    this.#link.queue(now, encodeFileControl({ ...wireNumber(file), code, position }), false);
  }

  #answerKill(now: Mono, file: FileNumber): void {
    this.#link.queue(now, encodeFileControl({ ...wireNumber(file), code: 'kill' }), true);
  }

  #get(file: FileNumber): Transfer {
    const t = this.#transfers.get(file);
    if (!t) throw new ToxError('unknown-file', `no transfer has the number ${file}`);
    return t;
  }

  #sending(file: FileNumber): Transfer {
    if (file >= RECEIVED) throw new ToxError('bad-argument', 'this file is received, not sent');
    return this.#get(file);
  }
}

function newTransfer(file: FileNumber, fileId: Uint8Array, size: number | undefined): Transfer {
  return {
    file,
    fileId,
    size,
    position: 0,
    state: 'offered',
    pausedByUs: false,
    pausedByFriend: false,
    tail: NOTHING,
    last: 0,
    waiting: false,
    served: 0,
  };
}

function wireNumber(file: FileNumber): { byReceiver: boolean; number: number } {
  return { byReceiver: file >= RECEIVED, number: file % RECEIVED };
}

function isOpen(t: Transfer): boolean {
  return t.state === 'running' && !t.pausedByUs && !t.pausedByFriend;
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.length === 0) return b.slice();
  const out = new Uint8Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}
