import { KEY_SIZE, type PublicKey } from '../crypto/keys.ts';

/** spec: the close list has this many buckets; keys that agree further share the last one. */
export const BUCKETS = 128;

/**
 * Which key is nearer to `target` in the XOR metric (big endian): negative for `a`, positive for
 * `b`, 0 for equal keys. Allocates nothing.
 */
export function compareDistance(target: PublicKey, a: PublicKey, b: PublicKey): number {
  for (let i = 0; i < KEY_SIZE; i++) {
    const difference = (target[i]! ^ a[i]!) - (target[i]! ^ b[i]!);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** The first 32 bits of a key: `(prefix(a) ^ prefix(b)) >>> 0` orders most distances at once. */
export function keyPrefix(key: PublicKey): number {
  return ((key[0]! << 24) | (key[1]! << 16) | (key[2]! << 8) | key[3]!) >>> 0;
}

/** Index of the first bit in which the keys differ, at most `BUCKETS - 1`. */
export function bucketIndex(own: PublicKey, key: PublicKey): number {
  for (let i = 0; i < BUCKETS / 8; i++) {
    const difference = own[i]! ^ key[i]!;
    if (difference !== 0) return i * 8 + Math.clz32(difference) - 24;
  }
  return BUCKETS - 1;
}
