import type { Mono } from '../core/env.ts';
import { MAX_CRYPTO_DATA_SIZE, PACKET_REQUEST } from '../packet/crypto.ts';

// Packet numbers are u32 and wrap; `a - b >>> 0` is how far a is after b.

/** spec: CRYPTO_PACKET_BUFFER_SIZE. No number may be this far after the first unfinished one. */
export const WINDOW_SIZE = 32_768;

/**
 * Values by packet number. Grows by doubling with the distance that is in use, so an idle session
 * costs 64 slots. BOUNDED: WINDOW_SIZE slots. The owner asks only for numbers between its start and end.
 */
class NumberRing<T> {
  #slots: (T | undefined)[] = new Array<T | undefined>(64).fill(undefined);

  get(number: number): T | undefined {
    return this.#slots[number & (this.#slots.length - 1)];
  }

  set(number: number, value: T | undefined): void {
    this.#slots[number & (this.#slots.length - 1)] = value;
  }

  /** Makes the numbers from `start` to `start + span - 1` fit. */
  reserve(start: number, span: number): void {
    const old = this.#slots;
    let size = old.length;
    if (span <= size) return;
    while (size < span) size *= 2;
    const slots = new Array<T | undefined>(size).fill(undefined);
    for (let i = 0; i < old.length; i++) {
      const number = (start + i) >>> 0;
      slots[number & (size - 1)] = old[number & (old.length - 1)];
    }
    this.#slots = slots;
  }
}

/** A lossless packet until the peer has it. */
export interface SentPacket {
  readonly data: Uint8Array;
  /** Of the latest transmission. */
  sentAt: Mono;
  /** Transmissions so far. */
  sends: number;
  /** Believed lost and waiting to be sent again. */
  lost: boolean;
  // State of the sender when it was sent, for the delivery rate (draft-cheng-iccrg-delivery-rate-estimation).
  delivered: number;
  onTime: number;
  deliveredAt: Mono;
  firstSentAt: Mono;
  sourceLimited: boolean;
}

/** Numbers `start` (first not known to have arrived) <= `next` (first never sent) <= `end`. */
export class SendWindow {
  start: number;
  next: number;
  end: number;
  /** Packets held: not yet sent, or not known to have arrived. */
  held = 0;
  readonly #ring = new NumberRing<SentPacket>();

  constructor(first: number) {
    this.start = first;
    this.next = first;
    this.end = first;
  }

  /** Queues a copy. Undefined if no number is left. */
  push(data: Uint8Array): number | undefined {
    const span = (this.end - this.start) >>> 0;
    if (span >= WINDOW_SIZE) return undefined;
    this.#ring.reserve(this.start, span + 1);
    const number = this.end;
    this.#ring.set(number, {
      data: Uint8Array.prototype.slice.call(data),
      sentAt: 0,
      sends: 0,
      lost: false,
      delivered: 0,
      onTime: 0,
      deliveredAt: 0,
      firstSentAt: 0,
      sourceLimited: false,
    });
    this.end = (number + 1) >>> 0;
    this.held++;
    return number;
  }

  /** Of a number between `start` and `end`. Undefined if it has arrived. */
  get(number: number): SentPacket | undefined {
    return this.#ring.get(number);
  }

  /** Forgets a packet that has arrived. `start` is moved by the caller. */
  remove(number: number): void {
    this.#ring.set(number, undefined);
    this.held--;
  }
}

/** Bytes that one stored packet counts for besides its own. */
const STORED_OVERHEAD = 128;

/** What all sessions together may store out of order. */
export class StoreBudget {
  left: number;

  constructor(bytes: number) {
    this.left = bytes;
  }
}

/** Ours. Per session; a session at its limit receives in order only, which always goes on. */
const MAX_STORED_BYTES = 24 * 1024 * 1024;

export type Arrival = 'next' | 'stored' | 'duplicate' | 'refused';

/**
 * Numbers `start` (first not handed up) to `end` (first that we do not know of). What arrives early
 * is stored as a copy. BOUNDED: WINDOW_SIZE numbers, MAX_STORED_BYTES, and the shared budget; what
 * does not fit is dropped and so requested again later.
 */
export class ReceiveWindow {
  start: number;
  end: number;
  readonly #ring = new NumberRing<Uint8Array>();
  readonly #budget: StoreBudget;
  #storedBytes = 0;

  constructor(budget: StoreBudget, first: number) {
    this.#budget = budget;
    this.start = first;
    this.end = first;
  }

  /** 'next': the caller hands `data` up, calls `advance`, then takes what `takeNext` gives. */
  accept(number: number, data: Uint8Array): Arrival {
    const offset = (number - this.start) >>> 0;
    if (offset >= WINDOW_SIZE) return (this.start - number) >>> 0 <= WINDOW_SIZE ? 'duplicate' : 'refused';
    if (offset === 0) return 'next';
    this.extend((number + 1) >>> 0);
    if (this.#ring.get(number)) return 'duplicate';
    const cost = data.length + STORED_OVERHEAD;
    if (this.#storedBytes + cost > MAX_STORED_BYTES || cost > this.#budget.left) return 'refused';
    this.#storedBytes += cost;
    this.#budget.left -= cost;
    this.#ring.set(number, Uint8Array.prototype.slice.call(data));
    return 'stored';
  }

  advance(): void {
    if (this.end === this.start) this.end = (this.end + 1) >>> 0;
    this.start = (this.start + 1) >>> 0;
  }

  /** The packet at `start` if it is stored; then `start` has moved past it. */
  takeNext(): Uint8Array | undefined {
    if (this.start === this.end) return undefined;
    const data = this.#ring.get(this.start);
    if (!data) return undefined;
    this.#ring.set(this.start, undefined);
    this.#release(data);
    this.advance();
    return data;
  }

  /** The peer has used all numbers before `end`, whether or not they came here. */
  extend(end: number): void {
    const span = (end - this.start) >>> 0;
    if (span > WINDOW_SIZE || span <= (this.end - this.start) >>> 0) return;
    this.#ring.reserve(this.start, span);
    this.end = end;
  }

  /** Whether a number is missing (`start` always is, unless nothing is known beyond). */
  get gap(): boolean {
    return this.start !== this.end;
  }

  /**
   * The body of a packet request (spec: Packet Request) into `out`: id 1, then each missing number
   * as its distance from the one before; 0 advances by 255 without naming one. Returns the length,
   * 1..1373; what does not fit is left for a later request.
   */
  writeRequest(out: Uint8Array): number {
    out[0] = PACKET_REQUEST;
    let length = 1;
    let distance = 1;
    for (let number = this.start; number !== this.end && length < MAX_CRYPTO_DATA_SIZE; number = (number + 1) >>> 0) {
      if (!this.#ring.get(number)) {
        out[length++] = distance;
        distance = 0;
      } else if (distance === 255) {
        out[length++] = 0;
        distance = 0;
      }
      distance++;
    }
    return length;
  }

  /** Gives back the memory; the window must not be used afterwards. */
  clear(): void {
    for (let number = this.start; number !== this.end; number = (number + 1) >>> 0) {
      const data = this.#ring.get(number);
      this.#ring.set(number, undefined);
      if (data) this.#release(data);
    }
  }

  #release(data: Uint8Array): void {
    this.#storedBytes -= data.length + STORED_OVERHEAD;
    this.#budget.left += data.length + STORED_OVERHEAD;
  }
}

/** Told by `readRequest` about each number, in rising order. */
export interface RequestReader {
  arrived(number: number): void;
  missing(number: number): void;
}

/**
 * Reads a packet request whose first possible number is `origin`; stops before `end`. Numbers that
 * the list passes over have arrived at the peer; those after its last byte are undecided. Costs at
 * most WINDOW_SIZE steps, whatever the bytes.
 */
export function readRequest(body: Uint8Array, origin: number, end: number, reader: RequestReader): void {
  let number = origin;
  let left = (end - origin) >>> 0;
  if (left > 2 * WINDOW_SIZE) return;
  for (let i = 1; i < body.length && left > 0; i++) {
    const step = body[i]!;
    const passed = Math.min(step === 0 ? 255 : step - 1, left);
    for (let k = 0; k < passed; k++) {
      reader.arrived(number);
      number = (number + 1) >>> 0;
    }
    left -= passed;
    if (step !== 0 && left > 0) {
      reader.missing(number);
      number = (number + 1) >>> 0;
      left--;
    }
  }
}
