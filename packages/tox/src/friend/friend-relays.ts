import type { Mono } from '../core/env.ts';
import { type KeyId, type PublicKey, sameBytes } from '../crypto/keys.ts';
import { decodeShareRelays, encodeShareRelays } from '../packet/friend.ts';
import { type Endpoint, endpoint, endpointAddress, endpointPort, isInternal, isLoopback } from '../wire/endpoint.ts';
import type { PackedNode } from '../wire/packed-node.ts';

/** What friend connections need of the TCP relays. Peers go by their DHT keys. */
export interface FriendRelays {
  addPeer(now: Mono, dhtKey: PublicKey): void;
  removePeer(now: Mono, dhtKey: PublicKey): void;
  addPeerRelay(now: Mono, dhtKey: PublicKey, relay: { publicKey: PublicKey; at: Endpoint }, lan: boolean): void;
  setPeerAsleep(now: Mono, dhtKey: PublicKey, asleep: boolean): void;
  wayTo(id: KeyId): 'route' | 'oob' | 'none';
  /** The address of a relay over which the peer is reached. */
  meetingPlace(id: KeyId): Endpoint | undefined;
  /** What friends may be told, best first. */
  shared(): readonly PackedNode[];
}

// c-toxcore.
/** SHARE_RELAYS_INTERVAL, ms. */
const SHARE_INTERVAL = 120_000;

// Ours.
/** A direct connection must have lasted so long before the relays behind it may go to sleep, ms. */
const SLEEP_AFTER = 10_000;
/** After a change of our relays friends are told them; several changes at once are one. */
const SHARE_DELAY = 1_000;

/** The part of one friend connection that has to do with relays: which are known, when they may sleep, telling of ours. */
export class FriendRelayUse {
  readonly #relays: FriendRelays;
  #dhtKey: PublicKey | undefined;
  #sleepAt = Number.POSITIVE_INFINITY;
  #shareAt = Number.POSITIVE_INFINITY;

  constructor(relays: FriendRelays) {
    this.#relays = relays;
  }

  /** The earliest deadline. */
  get wakeAt(): Mono {
    return Math.min(this.#sleepAt, this.#shareAt);
  }

  /** From now on the friend goes by this DHT key; its relays as told before count no more. */
  setDhtKey(now: Mono, dhtKey: PublicKey | undefined, stillUsed: boolean): void {
    if (this.#dhtKey && !stillUsed) this.#relays.removePeer(now, this.#dhtKey);
    this.#dhtKey = dhtKey;
    if (dhtKey) this.#relays.addPeer(now, dhtKey);
  }

  /** There is a connection, which takes this path. */
  use(now: Mono, path: 'direct' | 'relay' | undefined): void {
    if (this.#shareAt === Number.POSITIVE_INFINITY) this.#shareAt = now;
    if (path === 'direct') this.#sleepAt = now + SLEEP_AFTER;
    else this.need(now);
  }

  /** The friend is not heard, or not connected: relays may help. */
  need(now: Mono): void {
    this.#sleepAt = Number.POSITIVE_INFINITY;
    if (this.#dhtKey) this.#relays.setPeerAsleep(now, this.#dhtKey, false);
  }

  disconnected(now: Mono): void {
    this.#shareAt = Number.POSITIVE_INFINITY;
    this.need(now);
  }

  /** Our relays have changed. */
  changed(now: Mono): void {
    if (this.#shareAt < Number.POSITIVE_INFINITY) this.#shareAt = Math.min(this.#shareAt, now + SHARE_DELAY);
  }

  /** Relays that the friend named, in a DHT-key packet or over the connection. `from`: where it is itself, if known. */
  named(now: Mono, nodes: readonly PackedNode[], from: Endpoint | undefined): void {
    const dhtKey = this.#dhtKey;
    if (!dhtKey) return;
    for (const node of nodes) {
      if (node.transport !== 'tcp') continue;
      let at: Endpoint | undefined = node.endpoint;
      if (isLoopback(at) && sameBytes(node.publicKey, dhtKey)) {
        at = from && endpoint(endpointAddress(from), endpointPort(at)); // "I am a relay myself"
      }
      if (!at) continue;
      const inside = isLoopback(at) ? isLoopback : isInternal;
      this.#relays.addPeerRelay(now, dhtKey, { publicKey: node.publicKey, at }, from !== undefined && inside(from));
    }
  }

  /** A packet that names relays. */
  receive(now: Mono, data: Uint8Array, from: Endpoint | undefined): void {
    this.named(now, decodeShareRelays(data) ?? [], from);
  }

  /** What is to be sent to the friend now, if something is. */
  wake(now: Mono): Uint8Array | undefined {
    if (this.#sleepAt <= now) {
      this.#sleepAt = Number.POSITIVE_INFINITY;
      if (this.#dhtKey) this.#relays.setPeerAsleep(now, this.#dhtKey, true);
    }
    if (this.#shareAt > now) return undefined;
    this.#shareAt = now + SHARE_INTERVAL;
    const relays = this.#relays.shared();
    return relays.length > 0 ? encodeShareRelays(relays) : undefined;
  }
}
