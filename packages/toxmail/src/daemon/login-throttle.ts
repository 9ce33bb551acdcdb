import type { Scheduler } from '../base/clock.ts';

/** The first failures cost nothing: people mistype. */
const FREE_FAILURES = 2;
const FIRST_DELAY_MS = 1_000;
const LONGEST_DELAY_MS = 60_000;
/** Failures are forgotten after so long without another one. */
const MEMORY_MS = 15 * 60_000;
/** Pairs of address and account that are remembered; the one that failed longest ago goes. */
const ENTRIES_MAX = 10_000;
/** Attempts of one pair that may wait for their turn; more fail at once. */
const WAITING_MAX = 8;

interface Failures {
  count: number;
  lastAt: number;
  /** When the next password is looked at. */
  nextAt: number;
  waiting: number;
  turn: Promise<unknown>;
}

/** Slows down guessing of passwords: after some failures each further attempt has to wait twice as long. */
export class LoginThrottle {
  readonly #scheduler: Scheduler;
  readonly #failures = new Map<string, Failures>();

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /** The result of `verify`, which is called when it is this attempt's turn; false without it if too many wait. */
  async attempt(address: string, account: string, verify: () => Promise<boolean>): Promise<boolean> {
    const key = `${address} ${account.slice(0, 100).toLowerCase()}`;
    const entry = this.#find(key);
    if (!entry) return this.#check(key, verify);
    if (entry.waiting >= WAITING_MAX) return false;
    entry.waiting++;
    const mine = entry.turn.then(async () => {
      await this.#until(entry.nextAt);
      entry.waiting--;
      return this.#check(key, verify);
    });
    entry.turn = mine.catch(() => {});
    return mine;
  }

  async #check(key: string, verify: () => Promise<boolean>): Promise<boolean> {
    const right = await verify();
    if (right) this.#failures.delete(key);
    else this.#failed(key);
    return right;
  }

  #failed(key: string): void {
    const now = this.#scheduler.mono();
    const entry = this.#find(key) ?? { count: 0, lastAt: now, nextAt: now, waiting: 0, turn: Promise.resolve() };
    entry.count++;
    entry.lastAt = now;
    if (entry.count > FREE_FAILURES)
      entry.nextAt = now + Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (entry.count - FREE_FAILURES - 1));
    this.#failures.delete(key); // to the end: the map is in order of the last failure
    if (this.#failures.size >= ENTRIES_MAX) {
      const oldest = this.#failures.keys().next();
      if (!oldest.done) this.#failures.delete(oldest.value);
    }
    this.#failures.set(key, entry);
  }

  #find(key: string): Failures | undefined {
    const found = this.#failures.get(key);
    if (!found || found.waiting > 0 || this.#scheduler.mono() - found.lastAt <= MEMORY_MS) return found;
    this.#failures.delete(key);
    return undefined;
  }

  #until(at: number): Promise<void> {
    if (this.#scheduler.mono() >= at) return Promise.resolve();
    return new Promise((resolve) => this.#scheduler.at(at, resolve));
  }
}
