import type { Mono } from '../core/env.ts';
import type { PublicKey } from '../crypto/keys.ts';
import { BUCKETS, bucketIndex } from './distance.ts';
import type { Peer } from './peer.ts';

/** spec: `LCLIENT_NODES`. */
export const BUCKET_SIZE = 8;

/**
 * The nodes around our own key: one bucket per length of the common prefix.
 * BOUNDED: 128 buckets of 8. A live node is never evicted; a dead one gives way to any other.
 */
export class CloseList {
  /** Buckets come into being when first used. */
  readonly #buckets: (Peer[] | undefined)[] = [];
  readonly #own: PublicKey;
  readonly #onDrop: (now: Mono, peer: Peer) => void;

  /** `onDrop` hears of a dead node that had to make room. */
  constructor(own: PublicKey, onDrop: (now: Mono, peer: Peer) => void) {
    this.#own = own;
    this.#onDrop = onDrop;
  }

  /** Whether a node with this key, not a member yet, would be taken. */
  wants(now: Mono, key: PublicKey): boolean {
    const bucket = this.#buckets[bucketIndex(this.#own, key)];
    return !bucket || bucket.length < BUCKET_SIZE || bucket.some((peer) => !peer.live(now));
  }

  /** True if the peer is a new member now. */
  add(now: Mono, peer: Peer): boolean {
    if (peer.inClose) return false;
    const index = bucketIndex(this.#own, peer.publicKey);
    let bucket = this.#buckets[index];
    if (!bucket) {
      bucket = [];
      this.#buckets[index] = bucket;
    }
    if (bucket.length >= BUCKET_SIZE) {
      const at = bucket.findIndex((member) => !member.live(now));
      if (at < 0) return false;
      const dropped = bucket[at]!;
      bucket.splice(at, 1);
      dropped.inClose = false;
      dropped.lists--;
      this.#onDrop(now, dropped);
    }
    bucket.push(peer);
    peer.inClose = true;
    peer.lists++;
    return true;
  }

  remove(peer: Peer): void {
    if (!peer.inClose) return;
    const bucket = this.#buckets[bucketIndex(this.#own, peer.publicKey)]!;
    bucket.splice(bucket.indexOf(peer), 1);
    peer.inClose = false;
    peer.lists--;
  }

  /** Members, nearest to us first within the precision of the buckets. */
  members(): Peer[] {
    const all: Peer[] = [];
    for (let i = Math.min(BUCKETS, this.#buckets.length) - 1; i >= 0; i--) {
      const bucket = this.#buckets[i];
      if (bucket) for (const peer of bucket) all.push(peer);
    }
    return all;
  }
}
