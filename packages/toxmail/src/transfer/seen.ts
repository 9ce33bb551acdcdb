import type { Clock } from '../base/clock.ts';
import type { Maildir } from '../maildir/maildir.ts';
import { SEEN_AGE_MS, SEEN_MAX } from './limits.ts';

/** What this table needs of the data folder's database (store/database.ts). */
export interface SeenDatabase {
  prepare(sql: string): { get(...values: SqlValue[]): unknown; run(...values: SqlValue[]): unknown };
  /** Runs `work` in a transaction that it may share; resolves when it is on the disk. */
  soon<T>(work: () => T): Promise<T>;
}

type SqlValue = string | number;

/** Of mails that are stored and whose rows could not be written. */
const UNWRITTEN_MAX = 10_000;
/** Old rows are removed after so many additions. */
const PRUNE_EVERY = 1_000;
/** Only the last rows can be missing; so far before the newest one names are read again, for clocks that jumped. */
const RECOVER_BEFORE_MS = 24 * 3_600_000;

/**
 * The transfers whose mail is in the Maildir, or was and has been removed by its owner: an offer of one of them is
 * answered `stored` at once. Remembered for 90 days and 100,000 mails per account, as long as there is the account.
 *
 * A mail's file name in the Maildir carries the token, and the row is written before the sender hears `stored`. A crash
 * between the two is mended by `recover`, which reads the names.
 */
export class SeenTransfers {
  readonly #db: SeenDatabase;
  readonly #account: string;
  readonly #clock: Clock;
  /** BOUNDED: UNWRITTEN_MAX, the oldest goes: a start reads it from the mail's name. */
  readonly #unwritten = new Set<string>();
  #added = 0;

  constructor(db: SeenDatabase, account: string, clock: Clock) {
    this.#db = db;
    this.#account = account;
    this.#clock = clock;
  }

  has(token: string): boolean {
    return (
      this.#unwritten.has(token) ||
      this.#db.prepare('SELECT 1 FROM seen_transfers WHERE account = ? AND token = ?').get(this.#account, token) !==
        undefined
    );
  }

  /** Resolves when it would survive a power cut. If it rejects, it is known as long as we run, and written with the next. */
  async add(token: string): Promise<void> {
    const tokens = [token, ...this.#unwritten];
    try {
      await this.#db.soon(() => {
        for (const each of tokens) this.#insert(each, this.#clock.unixMs());
        if (++this.#added % PRUNE_EVERY === 0) this.#prune();
      });
    } catch (error) {
      this.#unwritten.add(token);
      for (const oldest of this.#unwritten) if (this.#unwritten.size > UNWRITTEN_MAX) this.#unwritten.delete(oldest);
      throw error;
    }
    for (const each of tokens) this.#unwritten.delete(each);
  }

  /** To be called before the first offer is taken: adds what the Maildir has and the table lacks. */
  async recover(maildir: Maildir): Promise<void> {
    const last = this.#db
      .prepare('SELECT max(stored_at) AS at FROM seen_transfers WHERE account = ?')
      .get(this.#account);
    const lastRow = Number((last as { at?: unknown } | undefined)?.at ?? 0);
    const now = this.#clock.unixMs();
    const oldest = Math.max(now - SEEN_AGE_MS, Math.min(lastRow, now) - RECOVER_BEFORE_MS);
    const mails = (await maildir.list()).filter((m) => m.token !== undefined && m.receivedMs >= oldest);
    await this.#db.soon(() => {
      for (const mail of mails) this.#insert(mail.token!, mail.receivedMs);
      this.#prune();
    });
  }

  #insert(token: string, at: number): void {
    this.#db
      .prepare('INSERT OR IGNORE INTO seen_transfers (account, token, stored_at) VALUES (?, ?, ?)')
      .run(this.#account, token, Math.floor(at));
  }

  #prune(): void {
    const oldest = Math.floor(this.#clock.unixMs() - SEEN_AGE_MS);
    this.#db.prepare('DELETE FROM seen_transfers WHERE account = ? AND stored_at < ?').run(this.#account, oldest);
    this.#db
      .prepare(
        `DELETE FROM seen_transfers WHERE account = ?1 AND stored_at <
          (SELECT stored_at FROM seen_transfers WHERE account = ?1 ORDER BY stored_at DESC LIMIT 1 OFFSET ?2)`,
      )
      .run(this.#account, SEEN_MAX - 1);
  }
}
