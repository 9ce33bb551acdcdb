import type { Mono } from '../core/env.ts';
import type { PublicKey } from '../crypto/keys.ts';
import { sameBytes } from '../crypto/keys.ts';
import type { NodeInfo } from '../wire/packed-node.ts';
import { compareDistance } from './distance.ts';

/** spec: `MAX_TO_PING` pings per `TIME_TO_PING`, ms. */
const PER_WINDOW = 32;
const WINDOW = 2_000;
const QUEUE_SIZE = 32;

/**
 * Nodes that asked us something and might join our lists if they answer a ping. Pinging them at
 * once is quick, but every packet with a forged source would cost us one: hence the allowance.
 * BOUNDED: 32 wait for the next window; the farthest from us gives way.
 */
export class ToPing {
  readonly #own: PublicKey;
  readonly #queue: NodeInfo[] = [];
  #windowEnd: Mono = Number.NEGATIVE_INFINITY;
  #used = 0;

  constructor(own: PublicKey) {
    this.#own = own;
  }

  /** True: ping it now. False: it waits, or was refused. */
  admit(now: Mono, node: NodeInfo): boolean {
    if (now >= this.#windowEnd && this.#queue.length === 0) {
      this.#windowEnd = now + WINDOW;
      this.#used = 0;
    }
    if (this.#used < PER_WINDOW) {
      this.#used++;
      return true;
    }
    this.#enqueue(node);
    return false;
  }

  /** Those whose turn has come. */
  due(now: Mono): NodeInfo[] {
    if (this.#queue.length === 0 || now < this.#windowEnd) return [];
    this.#windowEnd = now + WINDOW;
    this.#used = this.#queue.length;
    return this.#queue.splice(0);
  }

  nextWake(): Mono | undefined {
    return this.#queue.length > 0 ? this.#windowEnd : undefined;
  }

  #enqueue(node: NodeInfo): void {
    if (this.#queue.some((waiting) => sameBytes(waiting.publicKey, node.publicKey))) return;
    if (this.#queue.length < QUEUE_SIZE) {
      this.#queue.push(node);
      return;
    }
    let farthest = 0;
    for (let i = 1; i < this.#queue.length; i++) {
      if (compareDistance(this.#own, this.#queue[i]!.publicKey, this.#queue[farthest]!.publicKey) > 0) farthest = i;
    }
    if (compareDistance(this.#own, node.publicKey, this.#queue[farthest]!.publicKey) < 0) this.#queue[farthest] = node;
  }
}
