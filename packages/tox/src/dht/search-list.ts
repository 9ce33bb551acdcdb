import type { Mono } from '../core/env.ts';
import { type KeyId, keyId, type PublicKey } from '../crypto/keys.ts';
import type { Endpoint } from '../wire/endpoint.ts';
import { compareDistance } from './distance.ts';
import { BAD_AFTER, type Peer } from './peer.ts';

/** spec: `MAX_FRIEND_CLIENTS`. */
export const SEARCH_SIZE = 8;
/** spec: `MAX_BOOTSTRAP_TIMES`: a fresh list sends so many extra requests at a quick pace. */
export const QUICK_REQUESTS = 5;

/** A node near a searched key. */
export interface SearchEntry {
  readonly peer: Peer;
  /** When this list last asked it. */
  askedAt: Mono;
  /** Where, by this node, the searched node lives; and when it said so. */
  says: Endpoint | undefined;
  saysAt: Mono;
}

/**
 * The nodes nearest to one key, nearest first.
 * BOUNDED: 8. A new node takes the place of a dead one, else of the farthest if it is nearer.
 */
export class SearchList {
  readonly key: PublicKey;
  readonly id: KeyId;
  /** False for the random keys that only keep our knowledge of the network diverse. */
  readonly wanted: boolean;
  readonly entries: SearchEntry[] = [];
  /** Next extra request to a random entry. */
  randomAt: Mono = Number.NEGATIVE_INFINITY;
  /** Extra requests that still come at the quick pace of a fresh list. */
  quickLeft = QUICK_REQUESTS;
  readonly #onDrop: (now: Mono, peer: Peer) => void;

  /** `onDrop` hears of a node that had to make room. */
  constructor(key: PublicKey, wanted: boolean, onDrop: (now: Mono, peer: Peer) => void) {
    this.key = key;
    this.id = keyId(key);
    this.wanted = wanted;
    this.#onDrop = onDrop;
  }

  find(peer: Peer): SearchEntry | undefined {
    for (const entry of this.entries) if (entry.peer === peer) return entry;
    return undefined;
  }

  /** Whether a node with this key, not a member yet, would be taken. */
  wants(now: Mono, key: PublicKey): boolean {
    return this.#victim(now, key) !== undefined;
  }

  /** The new entry, or undefined if the peer is a member already or not near enough. */
  add(now: Mono, peer: Peer): SearchEntry | undefined {
    if (this.find(peer)) return undefined;
    const victim = this.#victim(now, peer.publicKey);
    if (victim === undefined) return undefined;
    if (victim < this.entries.length) {
      const dropped = this.entries[victim]!.peer;
      this.entries.splice(victim, 1);
      dropped.lists--;
      this.#onDrop(now, dropped);
    }
    const entry = { peer, askedAt: Number.NEGATIVE_INFINITY, says: undefined, saysAt: 0 };
    let at = this.entries.length;
    while (at > 0 && compareDistance(this.key, peer.publicKey, this.entries[at - 1]!.peer.publicKey) < 0) at--;
    this.entries.splice(at, 0, entry);
    peer.lists++;
    return entry;
  }

  remove(peer: Peer): void {
    const at = this.entries.findIndex((entry) => entry.peer === peer);
    if (at < 0) return;
    this.entries.splice(at, 1);
    peer.lists--;
  }

  /** Entries whose word on where the searched node lives is still good. */
  reporters(now: Mono): SearchEntry[] {
    return this.entries.filter((e) => e.says !== undefined && now - e.saysAt < BAD_AFTER && e.peer.live(now));
  }

  /** Index of the place a node with this key would take; the length if there is room. */
  #victim(now: Mono, key: PublicKey): number | undefined {
    const count = this.entries.length;
    if (count < SEARCH_SIZE) return count;
    // The common refusal first: farther than all, and nobody dead.
    for (let i = count - 1; i >= 0; i--) if (!this.entries[i]!.peer.live(now)) return i;
    return compareDistance(this.key, key, this.entries[count - 1]!.peer.publicKey) < 0 ? count - 1 : undefined;
  }
}
