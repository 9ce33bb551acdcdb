import type { Clock } from '../base/clock.ts';
import type { Database } from '../store/database.ts';

export interface FriendRequest {
  readonly account: string;
  /** 64 upper-case hex. */
  readonly publicKey: string;
  readonly message: string;
  /** Milliseconds since 1970. */
  readonly receivedAt: number;
}

/** Ours: strangers can send any number, so each account keeps the newest of them only. */
export const REQUESTS_MAX = 100;
/** Tox allows 1016 bytes. */
const MESSAGE_MAX = 1_016;

/** Friend requests of strangers that wait for a decision. */
export class FriendRequests {
  readonly #db: Database;
  readonly #clock: Clock;

  constructor(db: Database, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  /** Replaces an earlier one of the same key; the oldest beyond REQUESTS_MAX goes. True if the key is new. */
  add(account: string, publicKey: string, message: string): boolean {
    const key = publicKey.toUpperCase();
    return this.#db.transaction(() => {
      const known = this.#db
        .prepare('DELETE FROM friend_requests WHERE account = ? AND public_key = ?')
        .run(account, key);
      this.#db
        .prepare('INSERT INTO friend_requests (account, public_key, message, received_at) VALUES (?, ?, ?, ?)')
        .run(account, key, message.slice(0, MESSAGE_MAX), this.#clock.unixMs());
      const oldest = `DELETE FROM friend_requests WHERE rowid IN
        (SELECT rowid FROM friend_requests WHERE account = ? ORDER BY received_at DESC, rowid DESC LIMIT -1 OFFSET ?)`;
      this.#db.prepare(oldest).run(account, REQUESTS_MAX);
      return known.changes === 0;
    });
  }

  list(account?: string): FriendRequest[] {
    const rows =
      account === undefined
        ? this.#db.prepare('SELECT * FROM friend_requests ORDER BY received_at, rowid').all()
        : this.#db.prepare('SELECT * FROM friend_requests WHERE account = ? ORDER BY received_at, rowid').all(account);
    return rows.map((row) => ({
      account: String(row.account),
      publicKey: String(row.public_key),
      message: String(row.message),
      receivedAt: Number(row.received_at),
    }));
  }

  /** Removes and returns it, when it was accepted or rejected. */
  take(account: string, publicKey: string): FriendRequest | undefined {
    const key = publicKey.toUpperCase();
    const found = this.list(account).find((request) => request.publicKey === key);
    this.#db.prepare('DELETE FROM friend_requests WHERE account = ? AND public_key = ?').run(account, key);
    return found;
  }
}
