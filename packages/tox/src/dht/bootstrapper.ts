import { type Env, type Mono, randomInt } from '../core/env.ts';
import { type PublicKey, sameBytes } from '../crypto/keys.ts';
import type { NodeInfo } from '../wire/packed-node.ts';

/** Nodes asked per round. */
const ROUND_SIZE = 8;
/** Remembered nodes; the oldest goes first. */
const CAPACITY = 96;
/** First pause between rounds, ms; grows after each pass through all nodes. */
const FIRST_PAUSE = 500;
const PAUSE_GROWTH = 1.5;
/** 10 s: at most 1 kB each, and a dead uplink is noticed to be back soon. */
const LONGEST_PAUSE = 10_000;
/**
 * Once in, one of the nodes is asked so often, ms: a part of the network that was cut off for longer
 * than nodes are remembered (182 s) would else stay a network of its own.
 */
const REVISIT_PAUSE = 60_000;
/** Each pause is longer by up to this part, so that all nodes of a network do not come back at once. */
const JITTER = 0.25;

/**
 * Whom to ask while we know nobody, and when. Goes on until one of the nodes has answered, also if
 * neighbours on the LAN were found meanwhile: they may be as cut off as we are. Then one a minute.
 * BOUNDED: 96 nodes.
 */
export class Bootstrapper {
  readonly #env: Env;
  readonly #nodes: NodeInfo[] = [];
  #cursor = 0;
  #pause = FIRST_PAUSE;
  #roundAt: Mono | undefined;
  #askedThisRound = 0;
  #inside = false;

  constructor(env: Env) {
    this.#env = env;
  }

  /** True: ask it at once. False: it comes in one of the next rounds. */
  add(now: Mono, node: NodeInfo): boolean {
    const at = this.#nodes.findIndex((n) => n.endpoint === node.endpoint && sameBytes(n.publicKey, node.publicKey));
    if (at < 0) {
      this.#nodes.push(node);
      if (this.#nodes.length > CAPACITY) this.#nodes.shift();
    }
    this.#pause = FIRST_PAUSE;
    if (this.#inside) this.restart(now);
    this.#roundAt ??= now + this.#pause;
    if (this.#askedThisRound >= ROUND_SIZE) return false;
    this.#askedThisRound++;
    return true;
  }

  /** A node answered us; if it is one of ours, the search for a way in is over. */
  answered(now: Mono, publicKey: PublicKey): void {
    if (this.#inside || !this.#nodes.some((node) => sameBytes(node.publicKey, publicKey))) return;
    this.#inside = true;
    this.#roundAt = now + this.#jittered(REVISIT_PAUSE);
    this.#askedThisRound = 0;
  }

  /** All nodes are lost, or may be: begin anew. */
  restart(now: Mono): void {
    if (this.#nodes.length === 0) return;
    this.#inside = false;
    this.#pause = FIRST_PAUSE;
    this.#roundAt = now;
  }

  /** Nodes to ask now; once in, none of those that are known to be `live`. */
  due(now: Mono, live: (node: NodeInfo) => boolean): NodeInfo[] {
    if (this.#roundAt === undefined || now < this.#roundAt) return [];
    const round = this.#inside ? this.#nextOutside(live) : this.#nextRound();
    this.#askedThisRound = 0;
    this.#roundAt = now + this.#jittered(this.#inside ? REVISIT_PAUSE : this.#pause);
    return round;
  }

  nextWake(): Mono | undefined {
    return this.#roundAt;
  }

  #nextRound(): NodeInfo[] {
    const round: NodeInfo[] = [];
    for (let i = 0; i < ROUND_SIZE && i < this.#nodes.length; i++) {
      round.push(this.#nodes[this.#cursor]!);
      this.#cursor++;
      if (this.#cursor >= this.#nodes.length) {
        this.#cursor = 0;
        this.#pause = Math.min(this.#pause * PAUSE_GROWTH, LONGEST_PAUSE);
        if (this.#nodes.length > ROUND_SIZE) break;
      }
    }
    return round;
  }

  /** The next that is not known to live. */
  #nextOutside(live: (node: NodeInfo) => boolean): NodeInfo[] {
    for (let i = 0; i < this.#nodes.length; i++) {
      const node = this.#nodes[this.#cursor]!;
      this.#cursor = (this.#cursor + 1) % this.#nodes.length;
      if (!live(node)) return [node];
    }
    return [];
  }

  #jittered(pause: number): number {
    return pause + randomInt(this.#env, pause * JITTER);
  }
}
