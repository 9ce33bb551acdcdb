import { chmodSync, closeSync, openSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { FILE_MODE } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';
import { MIGRATIONS } from './migrations.ts';

/** How long another process (a command beside the daemon) may hold the write lock before we give up. */
const BUSY_TIMEOUT_MS = 5_000;
/** Under load a commit gathers for so long what a promise hangs on, and so long what nobody waits for. */
const GATHER_MS = 2;
const LATER_MS = 20;
/** Statements kept prepared. Our texts are constants, so they are fewer; the bound guards against a mistake. */
const STATEMENTS_MAX = 200;

/**
 * The one SQLite file of a data folder (`:memory:` in tests). WAL with synchronous=FULL: what was committed is on the
 * disk when commit returns. Everything is synchronous and short; each commit costs one sync of the log, so work that
 * comes in numbers goes through `soon`.
 */
export class Database {
  readonly #sql: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #group: { work: () => unknown; resolve: (value: never) => void; reject: (error: unknown) => void }[] = [];
  #groupAt = Number.POSITIVE_INFINITY;
  #cancelGroup = (): void => {};
  #committedAt = Number.NEGATIVE_INFINITY;
  #inTransaction = false;

  constructor(sql: DatabaseSync) {
    this.#sql = sql;
  }

  /** Prepared once per text. */
  prepare(text: string): StatementSync {
    let statement = this.#statements.get(text);
    if (!statement) {
      if (this.#statements.size >= STATEMENTS_MAX) this.#statements.clear();
      statement = this.#sql.prepare(text);
      this.#statements.set(text, statement);
    }
    return statement;
  }

  exec(text: string): void {
    this.#sql.exec(text);
  }

  /** All or nothing, on the disk on return. Inside another transaction it becomes a part of that. */
  transaction<T>(work: () => T): T {
    if (this.#inTransaction) return this.#part(work);
    this.#sql.exec('BEGIN IMMEDIATE');
    this.#inTransaction = true;
    let result: T;
    try {
      result = work();
      this.#sql.exec('COMMIT');
    } catch (error) {
      if (this.#sql.isTransaction) this.#sql.exec('ROLLBACK');
      throw error;
    } finally {
      this.#inTransaction = false;
    }
    return result;
  }

  /**
   * The same for work that comes in numbers: all that is handed in at about the same time shares one commit, after a
   * pause in this turn of the event loop, under load every GATHER_MS. Resolves when it is on the disk; one that throws
   * is undone and rejected alone.
   */
  soon<T>(work: () => T): Promise<T> {
    return this.#join(work, Math.max(performance.now(), this.#committedAt + GATHER_MS));
  }

  /** The same for what nobody waits for: it goes with the next commit, or after LATER_MS. */
  later<T>(work: () => T): Promise<T> {
    return this.#join(work, performance.now() + LATER_MS);
  }

  /** Commits what still waits, then closes. */
  close(): void {
    this.#commitGroup();
    this.#statements.clear();
    this.#sql.close();
  }

  #join<T>(work: () => T, at: number): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#group.push({ work, resolve: resolve as (value: never) => void, reject });
      if (at >= this.#groupAt) return;
      this.#cancelGroup();
      this.#groupAt = at;
      const wait = at - performance.now();
      if (wait <= 0) {
        const immediate = setImmediate(() => this.#commitGroup());
        this.#cancelGroup = () => clearImmediate(immediate);
      } else {
        const timer = setTimeout(() => this.#commitGroup(), Math.ceil(wait));
        this.#cancelGroup = () => clearTimeout(timer);
      }
    });
  }

  #commitGroup(): void {
    this.#cancelGroup();
    this.#groupAt = Number.POSITIVE_INFINITY;
    const group = this.#group;
    if (group.length === 0) return;
    this.#group = [];
    const after: (() => void)[] = [];
    try {
      this.transaction(() => {
        for (const { work, resolve, reject } of group) {
          try {
            const value = this.#part(work);
            after.push(() => resolve(value as never));
          } catch (error) {
            // SQLite undoes all by itself where it cannot go on (disk full); the next would then be committed alone.
            if (!this.#sql.isTransaction) throw error;
            after.push(() => reject(error));
          }
        }
      });
    } catch (error) {
      for (const { reject } of group) reject(error);
      return;
    } finally {
      this.#committedAt = performance.now();
    }
    for (const settle of after) settle();
  }

  #part<T>(work: () => T): T {
    this.#sql.exec('SAVEPOINT part');
    try {
      const result = work();
      this.#sql.exec('RELEASE part');
      return result;
    } catch (error) {
      if (this.#sql.isTransaction) this.#sql.exec('ROLLBACK TO part; RELEASE part');
      throw error;
    }
  }
}

/** Opens or creates (mode 0600) and brings to the newest version. Throws UserError if the file is of a newer version than ours. */
export function openDatabase(path: string): Database {
  if (path !== ':memory:') {
    closeSync(openSync(path, 'a', FILE_MODE));
    chmodSync(path, FILE_MODE);
  }
  const sql = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
  sql.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON');
  migrate(sql);
  return new Database(sql);
}

function migrate(sql: DatabaseSync): void {
  sql.exec('BEGIN IMMEDIATE');
  try {
    const version = Number(sql.prepare('PRAGMA user_version').get()?.user_version ?? 0);
    if (version > MIGRATIONS.length) {
      throw new UserError(
        `The data folder was written by a newer Toxmail (version ${version}). Install that one, or choose another folder with --data.`,
      );
    }
    for (const migration of MIGRATIONS.slice(version)) sql.exec(migration);
    sql.exec(`PRAGMA user_version = ${MIGRATIONS.length}`);
    sql.exec('COMMIT');
  } catch (error) {
    if (sql.isTransaction) sql.exec('ROLLBACK');
    throw error;
  }
}
