import type { Mono } from '../core/env.ts';
import { byteString, type PublicKey, sameBytes } from '../crypto/keys.ts';
import type { Endpoint } from '../wire/endpoint.ts';

/** spec: `PING_TIMEOUT`, ms. */
export const REPLY_TIMEOUT = 5_000;
/** spec: `DHT_PING_ARRAY_SIZE`. */
const CAPACITY = 512;

export interface Pending {
  readonly publicKey: PublicKey;
  readonly endpoint: Endpoint;
  readonly at: Mono;
  /** The key asked about; undefined for a ping. */
  readonly target: PublicKey | undefined;
}

/**
 * Requests that may be answered: once, within 5 s, by the node asked, from the address asked.
 * BOUNDED: 512, the oldest goes first. Insertion order is order of expiry.
 */
export class PendingReplies {
  readonly #map = new Map<string, Pending>();

  get size(): number {
    return this.#map.size;
  }

  add(now: Mono, id: Uint8Array, publicKey: PublicKey, endpoint: Endpoint, target: PublicKey | undefined): void {
    for (const [key, old] of this.#map) {
      if (this.#map.size < CAPACITY && now - old.at < REPLY_TIMEOUT) break;
      this.#map.delete(key);
    }
    this.#map.set(byteString(id), { publicKey, endpoint, at: now, target });
  }

  /** The request this answers, used up by that; undefined if nobody asked. */
  take(now: Mono, id: Uint8Array, publicKey: PublicKey, endpoint: Endpoint): Pending | undefined {
    const key = byteString(id);
    const pending = this.#map.get(key);
    if (!pending || pending.endpoint !== endpoint || now - pending.at >= REPLY_TIMEOUT) return undefined;
    if (!sameBytes(pending.publicKey, publicKey)) return undefined;
    this.#map.delete(key);
    return pending;
  }
}
