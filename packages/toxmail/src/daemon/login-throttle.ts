import { networkOf } from '../base/addresses.ts';
import type { Clock } from '../base/clock.ts';

/** What is counted, and how many failures cost nothing: people mistype, and programs hold old passwords for days. */
const FREE_FAILURES = {
  /** One account from one address. */
  pair: 10,
  /** All accounts from one address: names are guessed, too. */
  address: 30,
  /** One account from all addresses: guessing that is spread over many machines. */
  account: 100,
} as const;
const FIRST_DELAY_MS = 1_000;
const LONGEST_DELAY_MS = 60_000;
/** Failures are forgotten after so long without another one. */
const MEMORY_MS = 15 * 60_000;
/** Counters, and pairs that logged in, that are remembered; of each, the one unused for longest goes. */
const ENTRIES_MAX = 10_000;

interface Failures {
  count: number;
  lastAt: number;
  blockedUntil: number;
}

/**
 * Slows down guessing of passwords: after some failures each further attempt has to wait twice as long. Where an account
 * has logged in rightly, only its own failures from there count: others cannot lock its owner out.
 */
export class LoginThrottle {
  readonly #clock: Clock;
  readonly #accountOf: (login: string) => string | undefined;
  readonly #failures = new Map<string, Failures>();
  /** Pairs of address and account that logged in since the start. */
  readonly #known = new Set<string>();

  /** `accountOf`: the account that a typed name means. Its many forms (tags, Tox IDs) are one to be guessed at. */
  constructor(clock: Clock, accountOf: (login: string) => string | undefined) {
    this.#clock = clock;
    this.#accountOf = accountOf;
  }

  /** Milliseconds until an attempt is looked at again; 0 if now. */
  waitMs(address: string, login: string): number {
    const keys = this.#keys(address, login);
    const counted = this.#known.has(keys.pair) ? [keys.pair] : Object.values(keys);
    const now = this.#clock.mono();
    return Math.max(0, ...counted.map((key) => (this.#find(key)?.blockedUntil ?? 0) - now));
  }

  failed(address: string, login: string): void {
    const keys = this.#keys(address, login);
    for (const what of ['pair', 'address', 'account'] as const) this.#count(keys[what], FREE_FAILURES[what]);
  }

  succeeded(address: string, login: string): void {
    const { pair } = this.#keys(address, login);
    this.#failures.delete(pair);
    this.#known.delete(pair); // to the end: the set is in order of the last log-in
    makeRoom(this.#known);
    this.#known.add(pair);
  }

  #count(key: string, free: number): void {
    const now = this.#clock.mono();
    const count = (this.#find(key)?.count ?? 0) + 1;
    const delay = count < free ? 0 : Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (count - free));
    this.#failures.delete(key); // to the end: the map is in order of the last failure
    makeRoom(this.#failures);
    this.#failures.set(key, { count, lastAt: now, blockedUntil: now + delay });
  }

  #find(key: string): Failures | undefined {
    const found = this.#failures.get(key);
    if (!found || this.#clock.mono() - found.lastAt <= MEMORY_MS) return found;
    this.#failures.delete(key);
    return undefined;
  }

  #keys(address: string, login: string): Record<keyof typeof FREE_FAILURES, string> {
    const from = networkOf(address);
    const typed = login.slice(0, 100).toLowerCase();
    const account = this.#accountOf(login) ?? `?${typed}`; // no account's name has this sign
    return { pair: `${from} ${account}`, address: from, account: ` ${account}` };
  }
}

function makeRoom(entries: Map<string, unknown> | Set<string>): void {
  const oldest = entries.keys().next();
  if (entries.size >= ENTRIES_MAX && !oldest.done) entries.delete(oldest.value);
}
