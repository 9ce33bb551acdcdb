import type { Cancel, Scheduler } from '../base/clock.ts';

/** A scheduler whose time moves only when a test says so. Both clocks move together. */
export class VirtualScheduler implements Scheduler {
  #mono = 0;
  #unixMs: number;
  #seq = 0;
  #timers: { at: number; seq: number; fn: () => void }[] = [];

  constructor(unixMs = Date.UTC(2026, 0, 1)) {
    this.#unixMs = unixMs;
  }

  mono(): number {
    return this.#mono;
  }

  unixMs(): number {
    return this.#unixMs;
  }

  /** Somebody sets the calendar, or it was wrong until now. */
  setUnixMs(unixMs: number): void {
    this.#unixMs = unixMs;
  }

  at(monoMs: number, fn: () => void): Cancel {
    const timer = { at: monoMs, seq: this.#seq++, fn };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((t) => t !== timer);
    };
  }

  /** How many timers wait. */
  get pending(): number {
    return this.#timers.length;
  }

  /**
   * Moves time forward by `ms`, stopping at each timer on the way. After each one the event loop turns a few times,
   * so that what it started (file access included) can go on before the next.
   */
  async advance(ms: number): Promise<void> {
    const end = this.#mono + ms;
    await settle();
    for (;;) {
      const next = this.#timers.filter((t) => t.at <= end).sort((a, b) => a.at - b.at || a.seq - b.seq)[0];
      if (!next) break;
      this.#moveTo(Math.max(this.#mono, next.at));
      this.#timers = this.#timers.filter((t) => t !== next);
      next.fn();
      await settle();
    }
    this.#moveTo(end);
    await settle();
  }

  #moveTo(mono: number): void {
    this.#unixMs += mono - this.#mono;
    this.#mono = mono;
  }
}

/** Turns of the event loop that settle() waits for: enough for a chain of a few file operations. */
const SETTLE_TURNS = 20;

/** Lets promises and file operations under way make progress. */
export async function settle(turns = SETTLE_TURNS): Promise<void> {
  for (let i = 0; i < turns; i++) await new Promise<void>((resolve) => setImmediate(resolve));
}

/** Turns of the event loop after which `until` gives up: some seconds of real time. */
const UNTIL_TURNS = 200_000;

/** Lets the event loop turn until `done` holds; throws if that takes seconds. */
export async function until(done: () => boolean): Promise<void> {
  for (let i = 0; !done(); i++) {
    if (i > UNTIL_TURNS) throw new Error(`never came true: ${done}`);
    await settle(1);
  }
}
