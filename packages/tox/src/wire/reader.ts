/** Why bytes were not a packet. */
export type Reason = 'truncated' | 'trailing' | 'bad-value' | 'unknown-kind';

const NONE = new Uint8Array(0);

/**
 * A cursor over bytes of a peer. The FIRST failure sticks: after it every read is empty or zero,
 * so decoders read straight through and ask once at the end. Slices are views of the source.
 */
export class Reader {
  failure: Reason | undefined;
  #at = 0;
  readonly #src: Uint8Array;

  constructor(src: Uint8Array) {
    this.#src = src;
  }

  get left(): number {
    return this.failure ? 0 : this.#src.length - this.#at;
  }

  get at(): number {
    return this.#at;
  }

  fail(reason: Reason): void {
    this.failure ??= reason;
  }

  /** A view of the next `n` bytes. */
  take<T extends Uint8Array = Uint8Array>(n: number): T {
    if (this.left < n) this.fail('truncated');
    if (this.failure) return NONE as Uint8Array as T;
    const part = this.#src.subarray(this.#at, this.#at + n);
    this.#at += n;
    return part as Uint8Array as T;
  }

  /** A copy of the next `n` bytes. */
  copy<T extends Uint8Array = Uint8Array>(n: number): T {
    if (this.left < n) this.fail('truncated');
    if (this.failure) return NONE as Uint8Array as T;
    this.#at += n;
    return this.#src.slice(this.#at - n, this.#at) as Uint8Array as T;
  }

  /** All that is left: between `min` and `max` bytes. */
  rest(min = 0, max = Number.POSITIVE_INFINITY): Uint8Array {
    if (this.left < min) this.fail('truncated');
    if (this.left > max) this.fail('trailing');
    return this.take(this.left);
  }

  u8(): number {
    if (this.left < 1) this.fail('truncated');
    return this.failure ? 0 : this.#src[this.#at++]!;
  }

  u16(): number {
    if (this.left < 2) this.fail('truncated');
    return this.failure ? 0 : this.#src[this.#at++]! * 256 + this.#src[this.#at++]!;
  }

  u32(): number {
    return this.u16() * 65536 + this.u16();
  }

  u64(): bigint {
    return (BigInt(this.u32()) << 32n) | BigInt(this.u32());
  }

  /** The first byte of a packet; any other value than `kind` fails. */
  kind(kind: number): void {
    if (this.u8() !== kind) this.fail('unknown-kind');
  }

  /** True if nothing failed and nothing is left. */
  done(): boolean {
    if (this.left > 0) this.fail('trailing');
    return this.failure === undefined;
  }
}
