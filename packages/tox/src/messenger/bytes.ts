import { ToxError } from '../core/errors.ts';

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
const encoder = new TextEncoder();

/** Text of a peer: bytes that are no UTF-8 become U+FFFD. */
export function toText(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/** Text of ours; throws `bad-argument` if it needs more than `max` bytes. */
export function toUtf8(text: string, max: number, what: string): Uint8Array {
  const bytes = encoder.encode(text);
  if (bytes.length > max) throw new ToxError('bad-argument', `a ${what} has at most ${max} bytes`);
  return bytes;
}

/** Allocating 1.4 KB for each packet is dear; a part of a slab is not. 47 packets of a file fit. */
const SLAB_SIZE = 64 * 1024;

/** Copies of packets that outlive the call: parts of slabs, each freed when its last part is. */
export class CopyPool {
  #slab = new Uint8Array(0);
  #at = 0;

  /** `length` bytes of `source` from `start`. */
  copy(source: Uint8Array, start: number, length: number): Uint8Array {
    if (this.#at + length > this.#slab.length) {
      this.#slab = new Uint8Array(SLAB_SIZE);
      this.#at = 0;
    }
    const part = this.#slab.subarray(this.#at, this.#at + length);
    part.set(source.subarray(start, start + length));
    this.#at += length;
    return part;
  }
}
