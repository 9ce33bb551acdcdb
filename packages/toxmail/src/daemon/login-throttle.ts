import type { Clock } from '../base/clock.ts';

/** The first failures cost nothing: people mistype, and several programs may hold an old password. */
const FREE_FAILURES = 10;
const FIRST_DELAY_MS = 1_000;
const LONGEST_DELAY_MS = 60_000;
/** Failures are forgotten after so long without another one. */
const MEMORY_MS = 15 * 60_000;
/** Pairs of address and account that are remembered; the one that failed longest ago goes. */
const ENTRIES_MAX = 10_000;

interface Failures {
  count: number;
  lastAt: number;
  blockedUntil: number;
}

/** Slows down guessing of passwords: after some failures each further attempt has to wait twice as long. */
export class LoginThrottle {
  readonly #clock: Clock;
  readonly #failures = new Map<string, Failures>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Milliseconds until an attempt is looked at again; 0 if now. */
  waitMs(address: string, account: string): number {
    const found = this.#find(key(address, account));
    return found ? Math.max(0, found.blockedUntil - this.#clock.mono()) : 0;
  }

  failed(address: string, account: string): void {
    const id = key(address, account);
    const now = this.#clock.mono();
    const count = (this.#find(id)?.count ?? 0) + 1;
    const delay = count < FREE_FAILURES ? 0 : Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (count - FREE_FAILURES));
    this.#failures.delete(id); // to the end: the map is in order of the last failure
    if (this.#failures.size >= ENTRIES_MAX) {
      const oldest = this.#failures.keys().next();
      if (!oldest.done) this.#failures.delete(oldest.value);
    }
    this.#failures.set(id, { count, lastAt: now, blockedUntil: now + delay });
  }

  succeeded(address: string, account: string): void {
    this.#failures.delete(key(address, account));
  }

  #find(id: string): Failures | undefined {
    const found = this.#failures.get(id);
    if (!found || this.#clock.mono() - found.lastAt <= MEMORY_MS) return found;
    this.#failures.delete(id);
    return undefined;
  }
}

/** `account` is what was typed: bounded here, and without regard to case. */
function key(address: string, account: string): string {
  return `${address} ${account.slice(0, 100).toLowerCase()}`;
}
