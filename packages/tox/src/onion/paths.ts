import { type Env, type Mono, randomInt } from '../core/env.ts';
import type { PublicKey } from '../crypto/keys.ts';
import type { SharedKeys } from '../crypto/shared-keys.ts';
import type { NodePool } from './node-pool.ts';
import { OnionPath } from './path.ts';

/** NUMBER_ONION_PATHS of c-toxcore. */
const MAX_PATHS = 6;
/** A path in which a node serves twice is replaced at this age once enough nodes are known; ms. Ours. */
const MAKESHIFT_LIFETIME = 60_000;
/** A path is failing when so many uses went unanswered, the first of them for longer than our patience. */
const FAILING_USES = 3;
/** Patience: twice the slowest round trip of late, within these; ms. It shrinks by a tenth with each faster one. */
const MIN_PATIENCE = 1_500;
const MAX_PATIENCE = 10_000;

/** Up to six paths, made when first needed. Announces and searches use separate sets, so that no hop sees both. */
export class OnionPaths {
  readonly #env: Env;
  readonly #pool: NodePool;
  readonly #ownKey: PublicKey;
  readonly #sharedKeys: SharedKeys;
  readonly #paths: (OnionPath | undefined)[] = [];
  #patience = MIN_PATIENCE;

  constructor(env: Env, pool: NodePool, ownKey: PublicKey, sharedKeys: SharedKeys) {
    this.#env = env;
    this.#pool = pool;
    this.#ownKey = ownKey;
    this.#sharedKeys = sharedKeys;
  }

  /** Until when `path` may be used if no answer comes before; in the past unless it is one of ours, and not too old. */
  usableUntil(now: Mono, path: OnionPath): Mono {
    if (!this.#paths.includes(path)) return Number.NEGATIVE_INFINITY;
    const spentAt = this.#spentAt(now, path);
    if (path.unanswered < FAILING_USES || path.waitingSince === undefined) return spentAt;
    return Math.min(spentAt, path.waitingSince + this.#patience);
  }

  usable(now: Mono, path: OnionPath): boolean {
    return this.usableUntil(now, path) > now;
  }

  /** An answer came over `path`, which need not be in use any more, after `roundTrip` ms. */
  answered(now: Mono, path: OnionPath, roundTrip: number): void {
    path.answered();
    this.#pool.confirm(now, path.hops);
    this.#patience = Math.min(MAX_PATIENCE, Math.max(MIN_PATIENCE, 2 * roundTrip, 0.9 * this.#patience));
  }

  /**
   * A random path: rather one that owes no answer and is not `avoid`, else a new one in the place of
   * one that owes one. Undefined while no node is known.
   */
  pick(now: Mono, avoid?: OnionPath): OnionPath | undefined {
    const count = Math.min(MAX_PATHS, this.#pool.size); // few nodes make few different paths
    const first = randomInt(this.#env, count);
    let slot = first;
    for (let i = 0; i < count; i++) {
      const at = (first + i) % count;
      const path = this.#paths[at];
      if (!path || this.#spent(now, path)) {
        slot = at;
        break;
      }
      if (path !== avoid && !this.#doubtful(now, path)) return path;
    }
    const old = this.#paths[slot];
    if (old && !this.#spent(now, old)) {
      if (!this.#doubtful(now, old)) return old;
      this.#pool.doubt(now, old.hops, old.waitingSince!);
    }
    const hops = this.#pool.choosePath(now);
    const key1 = hops?.relayed === false ? this.#sharedKeys.get(hops.nodes[0].publicKey) : undefined;
    const path = hops && OnionPath.create(now, this.#env, hops, this.#ownKey, key1);
    this.#paths[slot] = path;
    return path;
  }

  /** An answer is overdue: perhaps a hop is gone, perhaps a datagram. */
  #doubtful(now: Mono, path: OnionPath): boolean {
    return path.waitingSince !== undefined && now - path.waitingSince >= this.#patience;
  }

  #spent(now: Mono, path: OnionPath): boolean {
    return this.#spentAt(now, path) <= now;
  }

  #spentAt(now: Mono, path: OnionPath): Mono {
    if (!this.#pool.reaches(path)) return Number.NEGATIVE_INFINITY;
    if (path.distinct || !this.#pool.suffices(now)) return path.expiresAt;
    return path.created + MAKESHIFT_LIFETIME;
  }
}
