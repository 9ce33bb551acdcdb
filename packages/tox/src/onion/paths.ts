import { type Env, type Mono, randomInt } from '../core/env.ts';
import type { PublicKey } from '../crypto/keys.ts';
import type { SharedKeys } from '../crypto/shared-keys.ts';
import { type NodePool, PATH_LENGTH } from './node-pool.ts';
import { OnionPath } from './path.ts';

/** NUMBER_ONION_PATHS of c-toxcore. */
const MAX_PATHS = 6;
/** A path in which a node serves twice is replaced at this age once enough nodes are known; ms. Ours. */
const MAKESHIFT_LIFETIME = 60_000;

/** Up to six paths, made when first needed. Announces and searches use separate sets, so that no hop sees both. */
export class OnionPaths {
  readonly #env: Env;
  readonly #pool: NodePool;
  readonly #ownKey: PublicKey;
  readonly #sharedKeys: SharedKeys;
  readonly #paths: (OnionPath | undefined)[] = [];

  constructor(env: Env, pool: NodePool, ownKey: PublicKey, sharedKeys: SharedKeys) {
    this.#env = env;
    this.#pool = pool;
    this.#ownKey = ownKey;
    this.#sharedKeys = sharedKeys;
  }

  /** Whether `path` is one of ours and alive. */
  usable(now: Mono, path: OnionPath): boolean {
    return this.#paths.includes(path) && !this.#spent(now, path);
  }

  /** A random path. Undefined while no node is known. */
  pick(now: Mono): OnionPath | undefined {
    const slot = randomInt(this.#env, Math.min(MAX_PATHS, this.#pool.size)); // few nodes make few different paths
    const old = this.#paths[slot];
    if (old && !this.#spent(now, old)) return old;
    const hops = this.#pool.choosePath(now);
    const path = hops && OnionPath.create(now, this.#env, hops, this.#ownKey, this.#sharedKeys.get(hops[0].publicKey));
    this.#paths[slot] = path;
    return path;
  }

  #spent(now: Mono, path: OnionPath): boolean {
    if (path.dead(now)) return true;
    if (path.distinct || now - path.created < MAKESHIFT_LIFETIME) return false;
    return this.#pool.candidates(now).length >= PATH_LENGTH;
  }
}
