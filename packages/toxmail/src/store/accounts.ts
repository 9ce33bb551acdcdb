import type { Clock } from '../base/clock.ts';
import { UserError } from '../base/user-error.ts';
import { keyOfToxId, type MailDomain, mailDomain, parseAddress } from '../contacts/address.ts';
import type { Database } from './database.ts';

export interface Account {
  readonly name: string;
  readonly passwordHash: string;
  /** 76 upper-case hex, once the account's node exists. */
  readonly toxId: string | undefined;
  /** It has had the mail that greets a new account, or wants none. */
  readonly welcomed: boolean;
  /** Copies of what it sends are stored: its programs keep none. */
  readonly saveSent: boolean;
  /** Bytes that its mail may take; undefined: no limit. */
  readonly quota: number | undefined;
  /** Under which its programs know it, as far as they told. */
  readonly domain: MailDomain | undefined;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
}

/** Lower case, 1 to 64 of a-z 0-9 . _ -; no dot at an end or doubled, since it becomes the local part of an address. */
const NAME = /^(?!.*\.\.)[a-z0-9_-](?:[a-z0-9._-]{0,62}[a-z0-9_-])?$/;

/** The people who have their mail here. Every method is synchronous; changes are on the disk on return. */
export class Accounts {
  readonly #db: Database;
  readonly #clock: Clock;

  constructor(db: Database, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  /** Throws UserError for a bad or taken name. */
  add(name: string, passwordHash: string): Account {
    this.mustBeFree(name);
    const sql = 'INSERT INTO accounts (name, password_hash, created_at, welcomed) VALUES (?, ?, ?, 0)';
    this.#db.prepare(sql).run(name, passwordHash, this.#clock.unixMs());
    return this.get(name)!;
  }

  list(): Account[] {
    return this.#db.prepare('SELECT * FROM accounts ORDER BY created_at, name').all().map(account);
  }

  get(name: string): Account | undefined {
    const row = this.#db.prepare('SELECT * FROM accounts WHERE name = ?').get(name);
    return row && account(row);
  }

  /** The account with this public key (64 hex, any case). */
  byPublicKey(publicKey: string): Account | undefined {
    const row = this.#db.prepare('SELECT * FROM accounts WHERE substr(tox_id, 1, 64) = ?').get(publicKey.toUpperCase());
    return row && account(row);
  }

  /** By what a person types at log-in: the name, or any address of the account; case does not matter. */
  find(login: string): Account | undefined {
    const byName = this.get(login.toLowerCase());
    if (byName || !login.includes('@')) return byName;
    const target = parseAddress(login)?.target;
    switch (target?.kind) {
      case 'name':
        return this.get(target.name.toLowerCase());
      case 'tox-id':
      case 'public-key':
        return this.byPublicKey(target.publicKey);
      default:
        return undefined;
    }
  }

  /** Throws UserError if there is no such account, as all below. */
  setPassword(name: string, passwordHash: string): void {
    this.#change('UPDATE accounts SET password_hash = ? WHERE name = ?', passwordHash, name);
  }

  setWelcomed(name: string): void {
    this.#change('UPDATE accounts SET welcomed = 1 WHERE name = ?', name);
  }

  setSaveSent(name: string, on: boolean): void {
    this.#change('UPDATE accounts SET save_sent = ? WHERE name = ?', on ? '1' : '0', name);
  }

  /** Bytes; undefined: no limit. */
  setQuota(name: string, bytes: number | undefined): void {
    this.#change('UPDATE accounts SET quota = ? WHERE name = ?', bytes ?? null, name);
  }

  /** `address`: as a program of the account wrote it. If that is the account by name, the domain is remembered. */
  noteAddress(name: string, address: string): void {
    const [target, domain] = [parseAddress(address)?.target, mailDomain(address)];
    if (target?.kind !== 'name' || target.name.toLowerCase() !== name || !domain) return;
    this.#db.prepare('UPDATE accounts SET domain = ?1 WHERE name = ?2 AND domain IS NOT ?1').run(domain, name);
  }

  /** Records the Tox ID (76 hex) of the account's node, at first start and when its nospam changes. */
  setToxId(name: string, toxId: string): void {
    if (!keyOfToxId(toxId)) throw new Error('not a Tox ID');
    this.#change('UPDATE accounts SET tox_id = ? WHERE name = ?', toxId.toUpperCase(), name);
  }

  /** With all that is known by its name here. Its folder is the caller's to rename; nothing of it may run. */
  rename(from: string, to: string): void {
    this.mustBeFree(to);
    this.#db.transaction(() => {
      this.#db.exec('PRAGMA defer_foreign_keys = ON'); // until the commit
      this.#change('UPDATE accounts SET name = ? WHERE name = ?', to, from);
      const named = `SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c
        WHERE m.type = 'table' AND c.name = 'account'`;
      for (const { name } of this.#db.prepare(named).all())
        this.#db.prepare(`UPDATE "${name}" SET account = ? WHERE account = ?`).run(to, from);
      const lanes = 'UPDATE recipients SET lane = ? WHERE lane = ?';
      this.#db.prepare(lanes).run(`local:${to}`, `local:${from}`);
      this.#db.prepare('INSERT INTO renames (old, new) VALUES (?, ?)').run(from, to);
    });
  }

  /** Accounts whose folders have their old names yet: renamed just now, or before a crash. */
  renames(): { from: string; to: string }[] {
    const rows = this.#db.prepare('SELECT old, new FROM renames ORDER BY id').all();
    return rows.map((row) => ({ from: String(row.old), to: String(row.new) }));
  }

  renamed(from: string): void {
    this.#db.prepare('DELETE FROM renames WHERE old = ?').run(from);
  }

  /** With its contacts and requests. Its mail folder and queued mail are the caller's to remove. */
  remove(name: string): void {
    this.#change('DELETE FROM accounts WHERE name = ?', name);
  }

  /** Throws UserError for a name that is bad or taken. */
  mustBeFree(name: string): void {
    if (!NAME.test(name)) {
      throw new UserError(`"${name}" cannot be an account name: use 1 to 64 of a-z, 0-9, dot, dash and underscore.`);
    }
    if (parseAddress(`${name}@tox`)?.target.kind !== 'name') {
      throw new UserError(`"${name}" cannot be an account name: it reads as a Tox ID or public key.`);
    }
    if (this.get(name)) throw new UserError(`There is an account "${name}" already.`);
  }

  #change(sql: string, ...values: (string | number | null)[]): void {
    const { changes } = this.#db.prepare(sql).run(...values);
    if (changes === 0) throw new UserError(`There is no account "${values.at(-1)}".`);
  }
}

function account(row: Record<string, unknown>): Account {
  return {
    name: String(row.name),
    passwordHash: String(row.password_hash),
    toxId: row.tox_id === null ? undefined : String(row.tox_id),
    welcomed: Number(row.welcomed) === 1,
    saveSent: Number(row.save_sent) === 1,
    quota: row.quota === null ? undefined : Number(row.quota),
    domain: row.domain === null ? undefined : mailDomain(String(row.domain)),
    createdAt: Number(row.created_at),
  };
}
