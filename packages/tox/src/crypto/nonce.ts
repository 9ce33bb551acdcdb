import type { Nonce } from './keys.ts';

/** Adds `n` (0 <= n < 2^32) to the nonce, in place, as one 24-byte big-endian number that wraps. */
export function incrementNonce(nonce: Nonce, n = 1): void {
  let carry = n;
  for (let i = nonce.length - 1; i >= 0 && carry > 0; i--) {
    const sum = nonce[i]! + (carry % 256);
    nonce[i] = sum & 0xff;
    carry = Math.floor(carry / 256) + (sum >>> 8);
  }
}

/** The last two bytes, big endian: what a data packet shows of its nonce. */
export function nonceLow16(nonce: Nonce): number {
  return nonce[22]! * 256 + nonce[23]!;
}
