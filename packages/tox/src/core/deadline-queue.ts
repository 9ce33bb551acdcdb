import type { Mono } from './env.ts';

/**
 * Deadlines of many items, all the same time ahead, so that whatever was set first is due first: each
 * operation takes constant time. BOUNDED by its owner: one deadline for each item.
 */
export class DeadlineQueue<T> {
  readonly #delayMs: number;
  readonly #due = new Map<T, Mono>();
  /** The first item of `#due`, if known. */
  #first: T | undefined;

  constructor(delayMs: number) {
    this.#delayMs = delayMs;
  }

  get size(): number {
    return this.#due.size;
  }

  /** The item is due that much after `now`; an earlier deadline of it is forgotten. */
  set(now: Mono, item: T): void {
    this.delete(item);
    this.#due.set(item, now + this.#delayMs);
  }

  has(item: T): boolean {
    return this.#due.has(item);
  }

  delete(item: T): boolean {
    if (item === this.#first) this.#first = undefined;
    return this.#due.delete(item);
  }

  /** Whatever is due first, due or not. */
  first(): T | undefined {
    this.#first ??= this.#due.keys().next().value;
    return this.#first;
  }

  next(): Mono | undefined {
    const first = this.first();
    return first === undefined ? undefined : this.#due.get(first);
  }

  /** Takes one item that is due out. */
  take(now: Mono): T | undefined {
    const at = this.next();
    if (at === undefined || at > now) return undefined;
    const item = this.first()!;
    this.delete(item);
    return item;
  }
}
