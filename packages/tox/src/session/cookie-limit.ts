import { BoundedMap } from '../core/bounded-map.ts';
import type { Mono } from '../core/env.ts';

// Ours. c-toxcore limits all sources together (10 and 10/s), so that one of them silences the others.
/** Requests that one address may make at once, and how long one takes to be granted again, ms. */
const BURST = 10;
const REFILL = 100;
/** Key derivations for unknown keys, all addresses together: 400/s are 2 % of one core. */
const NEW_KEY_BURST = 200;
const NEW_KEY_REFILL = 2.5;
/** BOUNDED: addresses remembered; the least recently seen is forgotten, and so may burst again. */
const MAX_ADDRESSES = 1_024;

interface Bucket {
  tokens: number;
  at: Mono;
}

/** Which cookie requests are worth an answer. */
export class CookieLimit {
  readonly #sources = new BoundedMap<string, Bucket>(MAX_ADDRESSES);
  readonly #newKeys: Bucket = { tokens: NEW_KEY_BURST, at: 0 };

  /** `newKey`: answering costs a key derivation (about 50 µs). `source`: as `sourceOf` gives it. */
  allows(now: Mono, source: string, newKey: boolean): boolean {
    let bucket = this.#sources.get(source);
    if (!bucket) {
      bucket = { tokens: BURST, at: now };
      this.#sources.set(source, bucket);
    }
    if (!take(now, bucket, BURST, REFILL)) return false;
    return !newKey || take(now, this.#newKeys, NEW_KEY_BURST, NEW_KEY_REFILL);
  }
}

function take(now: Mono, bucket: Bucket, burst: number, refill: Mono): boolean {
  bucket.tokens = Math.min(burst, bucket.tokens + (now - bucket.at) / refill);
  bucket.at = now;
  if (bucket.tokens < 1) return false;
  bucket.tokens--;
  return true;
}
