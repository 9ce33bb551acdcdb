import type { Env, Mono } from '../core/env.ts';
import { generateKeyPair, type KeyPair, type PublicKey, randomNonce, type SharedKey } from '../crypto/keys.ts';
import { sharedKey, wipe } from '../crypto/sodium.ts';
import { MAX_ONION_PAYLOAD_SIZE, ONION_REQUEST_0, writeOnionRequest } from '../packet/onion.ts';
import type { Endpoint } from '../wire/endpoint.ts';
import type { NodeInfo } from '../wire/packed-node.ts';
import { wrapLayer } from './layer.ts';

// c-toxcore.
/** ONION_PATH_MAX_LIFETIME, ms. */
const MAX_LIFETIME = 1_200_000;
/** ONION_PATH_TIMEOUT, ms. */
const TIMEOUT = 10_000;

/** Three hops and the keys agreed with them; the same two public keys show it to B and C all its life. */
export class OnionPath {
  readonly firstHop: Endpoint;
  readonly created: Mono;
  /** False if a node serves twice because we knew too few. */
  readonly distinct: boolean;
  readonly hops: readonly [NodeInfo, NodeInfo, NodeInfo];
  /** Uses since the last answer, and when the first of them was. */
  unanswered = 0;
  waitingSince: Mono | undefined;
  #answered = false;
  readonly #env: Env;
  readonly #ownKey: PublicKey;
  readonly #keys: readonly [SharedKey, SharedKey, SharedKey];
  readonly #key2: PublicKey;
  readonly #key3: PublicKey;

  private constructor(
    now: Mono,
    env: Env,
    hops: readonly [NodeInfo, NodeInfo, NodeInfo],
    ownKey: PublicKey,
    publicKeys: [PublicKey, PublicKey],
    keys: readonly [SharedKey, SharedKey, SharedKey],
  ) {
    this.firstHop = hops[0].endpoint;
    this.created = now;
    this.distinct = new Set(hops.map((h) => h.endpoint)).size === hops.length;
    this.#env = env;
    this.hops = hops;
    this.#ownKey = ownKey;
    this.#keys = keys;
    [this.#key2, this.#key3] = publicKeys;
  }

  /**
   * Derives the three keys (about 0.25 ms). `key1` is shared by our DHT key and the first hop's.
   * Undefined if a hop's key is of low order.
   */
  static create(
    now: Mono,
    env: Env,
    hops: readonly [NodeInfo, NodeInfo, NodeInfo],
    ownKey: PublicKey,
    key1: SharedKey | undefined,
  ): OnionPath | undefined {
    const pair2 = generateKeyPair(env);
    const pair3 = generateKeyPair(env);
    const key2 = agree(pair2, hops[1]);
    const key3 = agree(pair3, hops[2]);
    if (!key1 || !key2 || !key3) return undefined;
    return new OnionPath(now, env, hops, ownKey, [pair2.publicKey, pair3.publicKey], [key1, key2, key3]);
  }

  expired(now: Mono): boolean {
    return now - this.created >= MAX_LIFETIME;
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

  /** Nothing is overdue. */
  reliable(now: Mono): boolean {
    return this.#answered && (this.waitingSince === undefined || now - this.waitingSince < TIMEOUT);
  }

  /** The datagram 0x80 for `firstHop`: `payload` (at most 1174 bytes) to `to`, 226 bytes longer. */
  wrap(to: Endpoint, payload: Uint8Array): Uint8Array {
    if (payload.length > MAX_ONION_PAYLOAD_SIZE) throw new RangeError(`onion payload of ${payload.length} bytes`);
    const nonce = randomNonce(this.#env);
    const [key1, key2, key3] = this.#keys;
    const layer3 = wrapLayer(key3, nonce, to, undefined, payload);
    const layer2 = wrapLayer(key2, nonce, this.hops[2].endpoint, this.#key3, layer3);
    const box = wrapLayer(key1, nonce, this.hops[1].endpoint, this.#key2, layer2);
    return writeOnionRequest(ONION_REQUEST_0, {
      nonce,
      publicKey: this.#ownKey,
      box,
      returnBlock: new Uint8Array(0),
    });
  }
}

function agree(pair: KeyPair, node: NodeInfo): SharedKey | undefined {
  const key = sharedKey(node.publicKey, pair.secretKey);
  wipe(pair.secretKey);
  return key;
}
