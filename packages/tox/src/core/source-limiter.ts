import { BoundedMap } from './bounded-map.ts';
import type { Mono } from './env.ts';

export interface Rate {
  /** Units that may be spent at once. */
  readonly burst: number;
  /** Units gained per second. */
  readonly perSecond: number;
}

interface Bucket {
  tokens: number;
  at: Mono;
}

/**
 * Token buckets, one per source and one for all together, for work that a peer makes us do.
 * BOUNDED: `capacity` sources, least recently used goes first; a flood of forged sources meets the
 * common bucket.
 */
export class SourceLimiter {
  readonly #each: Rate;
  readonly #all: Rate;
  readonly #buckets: BoundedMap<string, Bucket>;
  readonly #common: Bucket;

  constructor(each: Rate, all: Rate, capacity: number) {
    this.#each = each;
    this.#all = all;
    this.#buckets = new BoundedMap(capacity);
    this.#common = { tokens: all.burst, at: 0 };
  }

  /** Spends one unit, if the source and everybody together have one left. */
  allow(now: Mono, source: string): boolean {
    let bucket = this.#buckets.get(source);
    if (!bucket) {
      bucket = { tokens: this.#each.burst, at: now };
      this.#buckets.set(source, bucket);
    }
    refill(bucket, this.#each, now);
    refill(this.#common, this.#all, now);
    if (bucket.tokens < 1 || this.#common.tokens < 1) return false;
    bucket.tokens--;
    this.#common.tokens--;
    return true;
  }
}

/** One token bucket. */
export class Budget {
  readonly #rate: Rate;
  readonly #bucket: Bucket;

  constructor(rate: Rate) {
    this.#rate = rate;
    this.#bucket = { tokens: rate.burst, at: 0 };
  }

  /** Spends one unit if there is one. */
  take(now: Mono): boolean {
    refill(this.#bucket, this.#rate, now);
    if (this.#bucket.tokens < 1) return false;
    this.#bucket.tokens--;
    return true;
  }

  /** Spends units that were used already, on credit if need be. */
  spend(now: Mono, units: number): void {
    refill(this.#bucket, this.#rate, now);
    this.#bucket.tokens -= units;
  }

  /** Whether more was spent than there is yet. */
  inDebt(now: Mono): boolean {
    refill(this.#bucket, this.#rate, now);
    return this.#bucket.tokens < 0;
  }
}

function refill(bucket: Bucket, rate: Rate, now: Mono): void {
  if (now <= bucket.at) return;
  bucket.tokens = Math.min(rate.burst, bucket.tokens + ((now - bucket.at) / 1000) * rate.perSecond);
  bucket.at = now;
}
