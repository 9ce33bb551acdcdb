import type { Mono } from './env.ts';

/**
 * A machine's named deadlines. One entry per name; `due` removes and returns those that passed,
 * earliest first, so a handler may set its own name again.
 */
export class TimerTable<Name extends string | number> {
  readonly #at = new Map<Name, Mono>();

  set(name: Name, at: Mono): void {
    this.#at.set(name, at);
  }

  /** Sets the deadline unless an earlier one is pending. */
  setEarliest(name: Name, at: Mono): void {
    const old = this.#at.get(name);
    if (old === undefined || at < old) this.#at.set(name, at);
  }

  clear(name: Name): void {
    this.#at.delete(name);
  }

  get(name: Name): Mono | undefined {
    return this.#at.get(name);
  }

  earliest(): Mono | undefined {
    let min: Mono | undefined;
    for (const at of this.#at.values()) if (min === undefined || at < min) min = at;
    return min;
  }

  due(now: Mono): Name[] {
    const passed: [Name, Mono][] = [];
    for (const [name, at] of this.#at) if (at <= now) passed.push([name, at]);
    passed.sort((a, b) => a[1] - b[1]);
    for (const [name] of passed) this.#at.delete(name);
    return passed.map(([name]) => name);
  }
}

/** The earlier of two optional deadlines. */
export function earlier(a: Mono | undefined, b: Mono | undefined): Mono | undefined {
  if (a === undefined) return b;
  if (b === undefined) return a;
  return Math.min(a, b);
}
