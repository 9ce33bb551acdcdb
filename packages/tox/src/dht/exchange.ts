import type { Env, Mono } from '../core/env.ts';
import type { SendDatagram } from '../core/machine.ts';
import { SourceLimiter } from '../core/source-limiter.ts';
import { type PublicKey, randomNonce, type SharedKey } from '../crypto/keys.ts';
import type { SharedKeys } from '../crypto/shared-keys.ts';
import {
  encodeNodesRequest,
  encodePing,
  NODES_REQUEST,
  PING_REQUEST,
  REQUEST_ID_SIZE,
  writeDhtFrame,
} from '../packet/dht.ts';
import { type Endpoint, sourceOf } from '../wire/endpoint.ts';
import { type Pending, PendingReplies } from './pending-replies.ts';

/** Key derivations (52 µs each) for one source, and for all: at most a tenth of a core. */
const DERIVATIONS_EACH = { burst: 64, perSecond: 16 };
const DERIVATIONS_ALL = { burst: 2_000, perSecond: 2_000 };
/** Sources that are told apart. */
const SOURCES = 2_048;

/** Sends requests, remembers which of them may be answered, and seals what we answer. */
export class Exchange {
  readonly #env: Env;
  readonly #own: PublicKey;
  readonly #sharedKeys: SharedKeys;
  readonly #send: SendDatagram;
  readonly #pending = new PendingReplies();
  /** Apart, so that many guesses do not push out what is likely to be answered. */
  readonly #guesses = new PendingReplies();
  readonly #derivations = new SourceLimiter(DERIVATIONS_EACH, DERIVATIONS_ALL, SOURCES);

  constructor(env: Env, own: PublicKey, sharedKeys: SharedKeys, send: SendDatagram) {
    this.#env = env;
    this.#own = own;
    this.#sharedKeys = sharedKeys;
    this.#send = send;
  }

  /**
   * A nodes request about `target`, or a ping without one. `publicKey` is kept, so it must not be
   * a view of a datagram.
   */
  ask(now: Mono, publicKey: PublicKey, endpoint: Endpoint, target: PublicKey | undefined): void {
    this.#request(now, this.#pending, publicKey, endpoint, target);
  }

  /** A ping to where the node may be, from so many further ports of ours, too. `publicKey` is kept. */
  guess(now: Mono, publicKey: PublicKey, endpoint: Endpoint, spread: number): void {
    this.#request(now, this.#guesses, publicKey, endpoint, undefined, spread);
  }

  /** The request that this answers, used up by that. */
  answered(now: Mono, id: Uint8Array, sender: PublicKey, from: Endpoint): Pending | undefined {
    return this.#pending.take(now, id, sender, from) ?? this.#guesses.take(now, id, sender, from);
  }

  reply(to: Endpoint, kind: number, key: SharedKey, plain: Uint8Array): void {
    this.#send(to, writeDhtFrame(kind, this.#own, randomNonce(this.#env), key, plain));
  }

  /** The key shared with a sender: from the cache, or derived at the expense of the source. */
  keyFor(now: Mono, from: Endpoint, sender: PublicKey): SharedKey | undefined {
    return this.#sharedKeys.get(sender, () => this.#derivations.allow(now, sourceOf(from)));
  }

  #request(
    now: Mono,
    pending: PendingReplies,
    publicKey: PublicKey,
    endpoint: Endpoint,
    target: PublicKey | undefined,
    spread?: number,
  ): void {
    const key = this.#sharedKeys.get(publicKey);
    if (!key) return;
    const nonce = randomNonce(this.#env);
    const id = this.#env.random(REQUEST_ID_SIZE);
    pending.add(now, id, publicKey, endpoint, target);
    const kind = target ? NODES_REQUEST : PING_REQUEST;
    const plain = target ? encodeNodesRequest({ target, id }) : encodePing(PING_REQUEST, id);
    this.#send(endpoint, writeDhtFrame(kind, this.#own, nonce, key, plain), spread);
  }
}
