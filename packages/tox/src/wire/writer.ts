import { allocate } from '../core/allocate.ts';

/**
 * Builds one packet. Starts with `capacity` bytes and doubles; lengths are our own, so there is
 * no limit here. Integers are big endian.
 */
export class Writer {
  #buf: Uint8Array;
  #at = 0;

  constructor(capacity = 128) {
    this.#buf = allocate(capacity);
  }

  get length(): number {
    return this.#at;
  }

  bytes(data: Uint8Array): this {
    this.#room(data.length);
    this.#buf.set(data, this.#at);
    this.#at += data.length;
    return this;
  }

  zeros(n: number): this {
    this.#room(n);
    this.#buf.fill(0, this.#at, this.#at + n);
    this.#at += n;
    return this;
  }

  u8(n: number): this {
    this.#room(1);
    this.#buf[this.#at++] = n;
    return this;
  }

  u16(n: number): this {
    return this.u8(n >>> 8).u8(n);
  }

  u32(n: number): this {
    return this.u16((n / 65536) & 0xffff).u16(n & 0xffff);
  }

  u64(n: bigint): this {
    return this.u32(Number((n >> 32n) & 0xffffffffn)).u32(Number(n & 0xffffffffn));
  }

  /** What was written, as a view; the writer must not be used afterwards. */
  finish(): Uint8Array {
    return this.#buf.subarray(0, this.#at);
  }

  #room(n: number): void {
    if (this.#at + n <= this.#buf.length) return;
    const bigger = new Uint8Array(Math.max(this.#buf.length * 2, this.#at + n));
    bigger.set(this.#buf);
    this.#buf = bigger;
  }
}
