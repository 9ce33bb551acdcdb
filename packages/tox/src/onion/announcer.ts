import { earlier } from '../core/deadline.ts';
import type { Mono } from '../core/env.ts';
import type { KeyPair, PublicKey } from '../crypto/keys.ts';
import { ANNOUNCED, type AnnounceResponsePlain, NOT_STORED, STORED } from '../packet/onion.ts';
import type { NodeInfo } from '../wire/packed-node.ts';
import { Lookup, type LookupDeps } from './lookup.ts';
import { MAX_UNANSWERED, type NearNode, NODE_TIMEOUT } from './near-nodes.ts';
import type { OnionPaths } from './paths.ts';

// c-toxcore.
/** MAX_ONION_CLIENTS_ANNOUNCE: nodes that shall know us. */
const ANNOUNCE_NODES = 12;
/** ANNOUNCE_INTERVAL_NOT_ANNOUNCED, _ANNOUNCED, _STABLE and TIME_TO_STABLE; ms. */
const RETRY_INTERVAL = 3_000;
const INTERVAL = 15_000;
const STABLE_INTERVAL = 120_000;
const TIME_TO_STABLE = 90_000;

// Ours.
/** The first repeats to a node that has not stored us: after 1, then 2 s. */
const FIRST_RETRY = 1_000;

/** Keeps our real key announced at the 12 nearest nodes. */
export class Announcer {
  readonly lookup: Lookup;
  readonly #paths: OnionPaths;
  #lastAsked: Mono = Number.NEGATIVE_INFINITY;

  constructor(deps: LookupDeps, keys: KeyPair, dataKey: PublicKey, paths: OnionPaths) {
    this.#paths = paths;
    this.lookup = new Lookup(deps, {
      target: keys.publicKey,
      keys,
      dataKey,
      capacity: ANNOUNCE_NODES,
      paths,
      onAnswer: (now, near, answer, proven) => this.#onAnswer(now, near, answer, proven),
    });
  }

  /** Whether a node that still answers keeps our announce. */
  get announced(): boolean {
    for (const near of this.lookup.near.values()) if (near.status === ANNOUNCED) return true;
    return false;
  }

  /** Our address changed or sleep is over: every return path may be stale. */
  hurry(now: Mono): void {
    for (const near of this.lookup.near.values()) near.hurried = true;
    this.lookup.restart(now);
    this.wake(now);
  }

  offer(now: Mono, node: NodeInfo): boolean {
    return this.lookup.offer(now, node);
  }

  wake(now: Mono): void {
    this.lookup.near.dropDead(now);
    for (const near of this.#askable()) if (this.#due(now, near) <= now) this.#announce(now, near);
    if (this.#lastAsked + INTERVAL <= now) {
      let oldest: NearNode | undefined;
      for (const near of this.#askable()) if (!oldest || near.askedAt < oldest.askedAt) oldest = near;
      if (oldest) this.#announce(now, oldest);
    }
    const refill = this.lookup.refillDue();
    if (refill !== undefined && refill <= now) this.lookup.refill(now);
  }

  nextWake(now: Mono): Mono | undefined {
    let next = this.lookup.refillDue();
    for (const near of this.lookup.near.values()) {
      if (near.unanswered >= MAX_UNANSWERED) next = earlier(next, near.askedAt + NODE_TIMEOUT);
      else next = earlier(next, Math.min(this.#due(now, near), this.#lastAsked + INTERVAL));
    }
    return next;
  }

  #due(now: Mono, near: NearNode): Mono {
    if (near.status !== ANNOUNCED) {
      return near.askedAt + (near.unanswered === 0 ? RETRY_INTERVAL : FIRST_RETRY * 2 ** (near.unanswered - 1));
    }
    const soon = near.askedAt + RETRY_INTERVAL;
    const usableUntil = this.#paths.usableUntil(now, near.path);
    if (near.hurried || usableUntil <= now) return soon;
    const stable =
      near.unanswered === 0 && now - near.addedAt >= TIME_TO_STABLE && now - near.path.created >= TIME_TO_STABLE;
    const usual = near.askedAt + INTERVAL;
    const due = stable ? Math.min(near.askedAt + STABLE_INTERVAL, Math.max(usual, near.path.reliableUntil)) : usual;
    return Math.min(due, Math.max(soon, usableUntil));
  }

  *#askable(): Iterable<NearNode> {
    for (const near of this.lookup.near.values()) if (near.unanswered < MAX_UNANSWERED) yield near;
  }

  #onAnswer(now: Mono, near: NearNode, answer: AnnounceResponsePlain, proven: boolean): void {
    // "Someone else announced your key" is what no honest node says of our own key.
    const lie = answer.status === STORED;
    near.status = lie ? NOT_STORED : answer.status;
    near.pingId = lie ? undefined : answer.value;
    // The ping id is fresh: use it in the same round trip, unless that is what just failed.
    if (near.status === NOT_STORED && !proven && !lie) this.#announce(now, near);
  }

  #announce(now: Mono, near: NearNode): void {
    // Last chance of a node that served us long: perhaps only the path is dead.
    const lastChance = near.unanswered === MAX_UNANSWERED - 1 && now - near.addedAt >= TIME_TO_STABLE;
    const path = !lastChance && this.#paths.usable(now, near.path) ? near.path : undefined;
    this.lookup.ask(now, near.node, near.pingId, path);
    near.askedAt = now;
    near.hurried = false;
    near.unanswered++;
    this.#lastAsked = now;
  }
}
