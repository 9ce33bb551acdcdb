import type { Mono } from '../core/env.ts';
import { type KeyId, keyId, type PublicKey, sameBytes } from '../crypto/keys.ts';
import { type Endpoint, isIp6, isLan } from '../wire/endpoint.ts';
import type { NodeInfo } from '../wire/packed-node.ts';
import { CloseList } from './close-list.ts';
import { Nearest } from './nearest.ts';
import { Peer } from './peer.ts';
import { type SearchEntry, SearchList } from './search-list.ts';

/** Hears of each new membership: of the close list, or of a search list with its entry. */
export type OnListed = (now: Mono, peer: Peer, list?: SearchList, entry?: SearchEntry) => void;

/** Hears of each node that is forgotten because it was silent. */
export type OnLost = (now: Mono, node: NodeInfo) => void;

/**
 * Every node that answered us and is in some list. Never holds our own key.
 * BOUNDED by its lists: 1024 close nodes and 8 for each search. A node without a list is forgotten.
 */
export class RoutingTable {
  readonly close: CloseList;
  readonly #own: PublicKey;
  readonly #byKey = new Map<KeyId, Peer>();
  readonly #nearest = new Nearest();
  readonly #byEndpoint = new Map<Endpoint, Peer>();
  /** All lists in order of age; the searches for wanted keys also by key. BOUNDED by the caller. */
  readonly #lists: SearchList[] = [];
  readonly #wanted = new Map<KeyId, SearchList>();
  readonly #onListed: OnListed;
  readonly #onLost: OnLost;

  constructor(own: PublicKey, onListed: OnListed, onLost: OnLost = () => {}) {
    this.#own = own;
    this.#onListed = onListed;
    this.#onLost = onLost;
    this.close = new CloseList(own, (now, peer) => this.#dropIfUnlisted(now, peer));
  }

  get size(): number {
    return this.#byKey.size;
  }

  get searches(): readonly SearchList[] {
    return this.#lists;
  }

  get wantedCount(): number {
    return this.#wanted.size;
  }

  get(id: KeyId): Peer | undefined {
    return this.#byKey.get(id);
  }

  peers(): MapIterator<Peer> {
    return this.#byKey.values();
  }

  /** The list around a wanted key (not around one of the random keys). */
  wanted(id: KeyId): SearchList | undefined {
    return this.#wanted.get(id);
  }

  /** Begins a list, filled from what is known. */
  addSearch(now: Mono, key: PublicKey, wanted: boolean): SearchList {
    const list = new SearchList(key, wanted, (at, peer) => this.#dropIfUnlisted(at, peer));
    this.#lists.push(list);
    if (wanted) this.#wanted.set(list.id, list);
    for (const peer of this.#byKey.values()) if (peer.live(now)) list.add(now, peer);
    for (const entry of list.entries) this.#onListed(now, entry.peer, list, entry);
    return list;
  }

  removeSearch(now: Mono, list: SearchList): void {
    const at = this.#lists.indexOf(list);
    if (at < 0) return;
    this.#lists.splice(at, 1);
    this.#wanted.delete(list.id);
    for (const entry of list.entries) {
      entry.peer.lists--;
      this.#dropIfUnlisted(now, entry.peer);
    }
  }

  /**
   * A node proved that it holds `publicKey` and receives at `endpoint`; `target` is the key it was
   * asked about, if any. Enters it into every list that wants it. Undefined if none does.
   */
  answered(now: Mono, publicKey: PublicKey, endpoint: Endpoint, target?: PublicKey): Peer | undefined {
    if (sameBytes(publicKey, this.#own)) return undefined;
    const owner = this.#byEndpoint.get(endpoint);
    if (owner && !sameBytes(owner.publicKey, publicKey)) this.#disown(now, owner, endpoint);
    let peer = this.#byKey.get(keyId(publicKey));
    const known = peer !== undefined;
    peer ??= new Peer(publicKey.slice() as PublicKey);
    const before = peer.address(endpoint)?.endpoint;
    const taken = peer.answered(now, endpoint);
    this.#offer(now, peer, target);
    if (peer.lists === 0) return undefined;
    if (!known) {
      this.#byKey.set(peer.id, peer);
      this.#nearest.add(peer);
    }
    if (taken && before !== endpoint) {
      if (before) this.#byEndpoint.delete(before);
      this.#byEndpoint.set(endpoint, peer);
    }
    return peer;
  }

  /** Removes a node from everywhere. */
  drop(now: Mono, peer: Peer): void {
    this.close.remove(peer);
    for (const list of this.#lists) list.remove(peer);
    this.#dropIfUnlisted(now, peer);
  }

  anyLive(now: Mono): boolean {
    for (const peer of this.#byKey.values()) if (peer.live(now)) return true;
    return false;
  }

  /**
   * Up to `count` live nodes nearest to `target`, nearest first. An asker from outside a LAN hears
   * of no LAN address; without an asker the answer is for ourselves.
   */
  closest(now: Mono, target: PublicKey, count: number, asker: Endpoint | undefined): NodeInfo[] {
    const lanAllowed = asker === undefined || isLan(asker);
    const preferIp6 = asker === undefined ? undefined : isIp6(asker);
    const willDo = (peer: Peer) => peer.liveAddress(now, preferIp6, lanAllowed) !== undefined;
    return this.#nearest.find(target, count, willDo).map((peer) => ({
      publicKey: peer.publicKey,
      endpoint: peer.liveAddress(now, preferIp6, lanAllowed)!,
    }));
  }

  #offer(now: Mono, peer: Peer, target: PublicKey | undefined): void {
    if (this.close.add(now, peer)) {
      if (target && sameBytes(target, this.#own)) peer.closeAskedAt = now;
      else this.#onListed(now, peer);
    }
    for (const list of this.#lists) {
      const entry = list.add(now, peer);
      if (!entry) continue;
      if (target && sameBytes(target, list.key)) entry.askedAt = now;
      else this.#onListed(now, peer, list, entry);
    }
  }

  /** Another node answered from this address, so it is not this one's any more. */
  #disown(now: Mono, peer: Peer, endpoint: Endpoint): void {
    this.#byEndpoint.delete(endpoint);
    peer.forget(endpoint);
    if (!peer.ip4 && !peer.ip6) this.drop(now, peer);
  }

  #dropIfUnlisted(now: Mono, peer: Peer): void {
    if (peer.lists > 0) return;
    this.#byKey.delete(peer.id);
    this.#nearest.remove(peer);
    const last = peer.lastAddress();
    if (last && !peer.live(now)) this.#onLost(now, { publicKey: peer.publicKey, endpoint: last.endpoint });
    if (peer.ip4) this.#unmap(peer.ip4.endpoint, peer);
    if (peer.ip6) this.#unmap(peer.ip6.endpoint, peer);
  }

  #unmap(endpoint: Endpoint, peer: Peer): void {
    if (this.#byEndpoint.get(endpoint) === peer) this.#byEndpoint.delete(endpoint);
  }
}
