import type { Env, Mono } from '../core/env.ts';
import {
  generateKeyPair,
  type KeyPair,
  type Nonce,
  type PublicKey,
  randomNonce,
  type SharedKey,
} from '../crypto/keys.ts';
import { sharedKey, wipe } from '../crypto/sodium.ts';
import { MAX_ONION_PAYLOAD_SIZE, ONION_REQUEST_0, writeOnionRequest } from '../packet/onion.ts';
import type { Endpoint } from '../wire/endpoint.ts';
import type { NodeInfo } from '../wire/packed-node.ts';
import { wrapLayer, writeLayer } from './layer.ts';

// c-toxcore.
/** ONION_PATH_MAX_LIFETIME, ms. */
const MAX_LIFETIME = 1_200_000;
/** ONION_PATH_TIMEOUT, ms. */
const TIMEOUT = 10_000;

/** Hops A, B and C. `relayed`: A is a TCP relay that we are logged in at. */
export interface Hops {
  readonly nodes: readonly [NodeInfo, NodeInfo, NodeInfo];
  readonly relayed: boolean;
}

/** Three hops and the keys agreed with them; the same two public keys show it to B and C all its life. */
export class OnionPath {
  readonly created: Mono;
  /** False if a node serves twice because we knew too few. */
  readonly distinct: boolean;
  readonly hops: readonly [NodeInfo, NodeInfo, NodeInfo];
  readonly relayed: boolean;
  /** Uses since the last answer, and when the first of them was. */
  unanswered = 0;
  waitingSince: Mono | undefined;
  #answered = false;
  readonly #env: Env;
  readonly #ownKey: PublicKey;
  /** The first is not needed for a relay. */
  readonly #keys: readonly [SharedKey | undefined, SharedKey, SharedKey];
  readonly #key2: PublicKey;
  readonly #key3: PublicKey;

  private constructor(
    now: Mono,
    env: Env,
    hops: Hops,
    ownKey: PublicKey,
    publicKeys: [PublicKey, PublicKey],
    keys: readonly [SharedKey | undefined, SharedKey, SharedKey],
  ) {
    this.created = now;
    this.hops = hops.nodes;
    this.relayed = hops.relayed;
    this.distinct = new Set(hops.nodes.map((h) => h.endpoint)).size === hops.nodes.length;
    this.#env = env;
    this.#ownKey = ownKey;
    this.#keys = keys;
    [this.#key2, this.#key3] = publicKeys;
  }

  /**
   * Derives the keys (about 0.25 ms). `key1` is shared by our DHT key and the first hop's; a relay
   * needs none. Undefined if a hop's key is of low order.
   */
  static create(
    now: Mono,
    env: Env,
    hops: Hops,
    ownKey: PublicKey,
    key1: SharedKey | undefined,
  ): OnionPath | undefined {
    const pair2 = generateKeyPair(env);
    const pair3 = generateKeyPair(env);
    const key2 = agree(pair2, hops.nodes[1]);
    const key3 = agree(pair3, hops.nodes[2]);
    if (!(key1 || hops.relayed) || !key2 || !key3) return undefined;
    return new OnionPath(now, env, hops, ownKey, [pair2.publicKey, pair3.publicKey], [key1, key2, key3]);
  }

  get expiresAt(): Mono {
    return this.created + MAX_LIFETIME;
  }

  /** A request that expects an answer goes out. */
  used(now: Mono): void {
    this.waitingSince ??= now;
    this.unanswered++;
  }

  answered(): void {
    this.#answered = true;
    this.waitingSince = undefined;
    this.unanswered = 0;
  }

  /** From when on an answer is overdue; in the past if none ever came. */
  get reliableUntil(): Mono {
    if (!this.#answered) return Number.NEGATIVE_INFINITY;
    return this.waitingSince === undefined ? Number.POSITIVE_INFINITY : this.waitingSince + TIMEOUT;
  }

  /** Unless relayed: where `wrap` goes. */
  get firstHop(): Endpoint {
    return this.hops[0].endpoint;
  }

  /** The datagram 0x80 for `firstHop`: `payload` (at most 1174 bytes) to `to`, 226 bytes longer. */
  wrap(to: Endpoint, payload: Uint8Array): Uint8Array {
    const { nonce, layer } = this.#wrap(to, payload);
    const box = wrapLayer(this.#keys[0]!, nonce, this.hops[1].endpoint, this.#key2, layer);
    return writeOnionRequest(ONION_REQUEST_0, {
      nonce,
      publicKey: this.#ownKey,
      box,
      returnBlock: new Uint8Array(0),
    });
  }

  /** The same for a relay, whose own box is the connection to it: nonce and body of its packet. */
  wrapRelayed(to: Endpoint, payload: Uint8Array): { nonce: Nonce; body: Uint8Array } {
    const { nonce, layer } = this.#wrap(to, payload);
    return { nonce, body: writeLayer(this.hops[1].endpoint, this.#key2, layer) };
  }

  /** For hop B. */
  #wrap(to: Endpoint, payload: Uint8Array): { nonce: Nonce; layer: Uint8Array } {
    if (payload.length > MAX_ONION_PAYLOAD_SIZE) throw new RangeError(`onion payload of ${payload.length} bytes`);
    const nonce = randomNonce(this.#env);
    const layer3 = wrapLayer(this.#keys[2], nonce, to, undefined, payload);
    return { nonce, layer: wrapLayer(this.#keys[1], nonce, this.hops[2].endpoint, this.#key3, layer3) };
  }
}

function agree(pair: KeyPair, node: NodeInfo): SharedKey | undefined {
  const key = sharedKey(node.publicKey, pair.secretKey);
  wipe(pair.secretKey);
  return key;
}
