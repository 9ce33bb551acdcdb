import { type Env, type Mono, randomInt } from '../core/env.ts';
import { Budget } from '../core/source-limiter.ts';
import { type KeyId, keyId } from '../crypto/keys.ts';
import { sourceOf } from '../wire/endpoint.ts';
import type { NodeInfo } from '../wire/packed-node.ts';
import { REPLY_TIMEOUT } from './pending-replies.ts';

/** As many as fit half of a large network, seen by one node: its close list has 60 to 100 members. */
const CAPACITY = 64;
/** From one source (an IPv4 address, an IPv6 /64), so that nobody fills the list, or has one host asked by it. */
const EACH_SOURCE = 2;
/** Between two questions of ours, ms; longer by up to a half at random. */
const PACE = 4_000;
/** A node is asked again after this, and after twice as long each time; ms. */
const FIRST_PAUSE = 10_000;
const LONGEST_PAUSE = 120_000;
/** A node is given up that was silent for a day, ms. */
const GIVE_UP_AFTER = 86_400_000;
/** So many others are asked at once when one answers: the way back spreads as fast as packets travel. */
const ASKED_ON_RETURN = 2;
/** It is a reunion when so many, or half as many as are lost, come within the window (ms). */
const REUNION = 4;
const REUNION_WINDOW = 10_000;
/** Reunions that count: the layers above do some work for each. */
const REUNIONS = { burst: 3, perSecond: 1 / 300 };

export interface LostNodesDeps {
  ask(now: Mono, node: NodeInfo): void;
  /** A part of the network that was cut off is back. */
  reunited(now: Mono): void;
}

interface LostNode {
  readonly id: KeyId;
  readonly node: NodeInfo;
  readonly source: string;
  readonly since: Mono;
  askAt: Mono;
  /** Questions since it was lost. */
  asked: number;
  askedAt: Mono;
}

/**
 * Nodes that were in our lists and fell silent. Where the network is cut in two, everyone loses half of
 * what they knew, and nothing else in the DHT leads back: so one of the lost is asked now and then,
 * and when one answers, others at once.
 * BOUNDED: 64, and two of one source; a random one makes room.
 */
export class LostNodes {
  readonly #env: Env;
  readonly #deps: LostNodesDeps;
  readonly #nodes = new Map<KeyId, LostNode>();
  readonly #reunions = new Budget(REUNIONS);
  /** No question of ours before. */
  #pausedUntil: Mono = Number.NEGATIVE_INFINITY;
  #nextWake: Mono | undefined;
  /** Those that came within the window, and how many make a reunion. */
  #came = 0;
  #windowEnd: Mono = Number.NEGATIVE_INFINITY;
  #enough = 0;

  constructor(env: Env, deps: LostNodesDeps) {
    this.#env = env;
    this.#deps = deps;
  }

  get size(): number {
    return this.#nodes.size;
  }

  has(id: KeyId): boolean {
    return this.#nodes.has(id);
  }

  /** A node that answered us from there, though not of late. */
  add(now: Mono, node: NodeInfo): void {
    const source = sourceOf(node.endpoint);
    const known = [...this.#nodes.values()];
    const neighbours = known.filter((other) => other.source === source);
    const crowd = neighbours.length >= EACH_SOURCE ? neighbours : known.length >= CAPACITY ? known : [];
    if (crowd.length > 0) this.#nodes.delete(crowd[randomInt(this.#env, crowd.length)]!.id);
    const id = keyId(node.publicKey);
    const askAt = now + randomInt(this.#env, FIRST_PAUSE);
    this.#nodes.set(id, { id, node, source, since: now, askAt, asked: 0, askedAt: Number.NEGATIVE_INFINITY });
    this.#schedule();
  }

  /** A node answered, lost or not. `isNew`: it is a neighbour now, and none that we knew. */
  answered(now: Mono, id: KeyId, isNew: boolean): void {
    const lost = this.#nodes.size;
    if (this.#nodes.delete(id)) {
      this.#askMore(now);
      this.#schedule();
    } else if (!isNew || lost === 0) return;
    if (now >= this.#windowEnd) {
      this.#windowEnd = now + REUNION_WINDOW;
      this.#came = 0;
      this.#enough = Math.min(REUNION, Math.ceil(lost / 2));
    }
    this.#came++;
    if (this.#came === this.#enough && this.#reunions.take(now)) this.#deps.reunited(now);
  }

  wake(now: Mono): void {
    if (this.#nextWake === undefined || now < this.#nextWake) return;
    const next = this.#first();
    if (next && now - next.since >= GIVE_UP_AFTER) this.#nodes.delete(next.id);
    else if (next) this.#ask(now, next);
    this.#pausedUntil = now + PACE + randomInt(this.#env, PACE / 2);
    this.#schedule();
  }

  nextWake(): Mono | undefined {
    return this.#nextWake;
  }

  /** Those whose turn comes first, except if they were asked just now. */
  #askMore(now: Mono): void {
    let left = ASKED_ON_RETURN;
    for (const lost of [...this.#nodes.values()].sort((a, b) => a.askAt - b.askAt)) {
      if (left === 0) return;
      if (now - lost.askedAt < REPLY_TIMEOUT) continue;
      this.#ask(now, lost);
      left--;
    }
  }

  #ask(now: Mono, lost: LostNode): void {
    const pause = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** lost.asked);
    lost.asked++;
    lost.askedAt = now;
    lost.askAt = now + pause;
    this.#deps.ask(now, lost.node);
  }

  #first(): LostNode | undefined {
    let first: LostNode | undefined;
    for (const lost of this.#nodes.values()) if (!first || lost.askAt < first.askAt) first = lost;
    return first;
  }

  #schedule(): void {
    const first = this.#first();
    this.#nextWake = first && Math.max(first.askAt, this.#pausedUntil);
  }
}
