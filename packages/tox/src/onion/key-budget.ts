import { BoundedMap } from '../core/bounded-map.ts';
import type { Mono } from '../core/env.ts';
import { type Endpoint, endpointAddress } from '../wire/endpoint.ts';

/** Sources watched at once; a forgotten one starts with a full bucket. */
const MAX_SOURCES = 1024;

/**
 * How many key derivations (50 µs each) one source address may cause: a token bucket per address.
 * BOUNDED: the 1024 addresses seen last.
 */
export class KeyBudget {
  readonly #sources = new BoundedMap<string, { tokens: number; at: Mono }>(MAX_SOURCES);
  readonly #burst: number;
  readonly #perSecond: number;

  constructor(burst: number, perSecond: number) {
    this.#burst = burst;
    this.#perSecond = perSecond;
  }

  /** Takes one token. False: the source had none left. */
  spend(now: Mono, source: Endpoint): boolean {
    const address = endpointAddress(source);
    let bucket = this.#sources.get(address);
    if (!bucket) {
      bucket = { tokens: this.#burst, at: now };
      this.#sources.set(address, bucket);
    }
    const earned = ((now - bucket.at) * this.#perSecond) / 1000;
    bucket.tokens = Math.min(this.#burst, bucket.tokens + earned);
    bucket.at = now;
    if (bucket.tokens < 1) return false;
    bucket.tokens--;
    return true;
  }
}
