import { BoundedMap } from '../core/bounded-map.ts';
import type { Env, Mono } from '../core/env.ts';
import { byteString } from '../crypto/keys.ts';
import { SENDBACK_SIZE } from '../packet/onion.ts';
import type { NodeInfo } from '../wire/packed-node.ts';
import type { OnionPath } from './path.ts';

/** ANNOUNCE_TIMEOUT of c-toxcore; ms. */
const TIMEOUT = 10_000;
/** ANNOUNCE_ARRAY_SIZE of c-toxcore is 256: too few for the start of someone with many friends. */
const CAPACITY = 1024;

/** An announce request on its way: only an answer with its sendback counts, and only once. */
export interface PendingRequest<Owner> {
  readonly owner: Owner;
  readonly node: NodeInfo;
  readonly path: OnionPath;
  /** It carried a ping id that the node gave over this very path. */
  readonly proven: boolean;
  readonly at: Mono;
}

/** BOUNDED: the 1024 latest requests. */
export class PendingRequests<Owner> {
  readonly #env: Env;
  readonly #requests = new BoundedMap<string, PendingRequest<Owner>>(CAPACITY);

  constructor(env: Env) {
    this.#env = env;
  }

  /** The sendback for a new request: 8 random bytes. */
  add(request: PendingRequest<Owner>): Uint8Array {
    const sendback = this.#env.random(SENDBACK_SIZE);
    this.#requests.set(byteString(sendback), request);
    return sendback;
  }

  /** Undefined if unknown, answered before or older than 10 s. */
  take(now: Mono, sendback: Uint8Array): PendingRequest<Owner> | undefined {
    const id = byteString(sendback);
    const request = this.#requests.peek(id);
    this.#requests.delete(id);
    return request && now - request.at < TIMEOUT ? request : undefined;
  }
}
