import type { Clock } from '../base/clock.ts';
import { UserError } from '../base/user-error.ts';
import type { MailStatus } from '../smtp/mail-error.ts';
import { status } from '../smtp/status.ts';
import type { Accounts } from '../store/accounts.ts';
import type { Database } from '../store/database.ts';
import { addressFailure, canonicalAddress, isPublicKey, keyAddress, keyOfToxId, parseAddress } from './address.ts';

/** `requested`: we asked and wait for the answer. `contact`: both sides agreed. */
export type ContactState = 'requested' | 'contact';

export interface Contact {
  readonly account: string;
  /** As given; unique in the account without regard to case. */
  readonly name: string;
  /** 64 upper-case hex. */
  readonly publicKey: string;
  /** 76 upper-case hex, where known. */
  readonly toxId: string | undefined;
  /** The form that travels. */
  readonly address: string;
  readonly emails: readonly string[];
  readonly state: ContactState;
  /** Milliseconds since 1970. */
  readonly lastSeen: number | undefined;
}

export interface NewContact {
  readonly account: string;
  readonly name: string;
  /** One of the two is needed. */
  readonly toxId?: string;
  readonly publicKey?: string;
  readonly emails?: readonly string[];
  /** Default `requested`. */
  readonly state?: ContactState;
}

/** Where a recipient is reached. */
export type Route =
  | { readonly kind: 'tox'; readonly publicKey: string; readonly contact: Contact; readonly tag: string | undefined }
  | { readonly kind: 'local'; readonly account: string; readonly tag: string | undefined };

export type Resolution =
  | { readonly ok: true; readonly route: Route }
  | { readonly ok: false; readonly status: MailStatus };

/** Letters of any script, digits and . _ -; it becomes the local part of `name@tox`. */
const NAME = /^(?!.*\.\.)(?!\.)[\p{L}\p{M}\p{N}._-]{1,64}(?<!\.)$/u;
/** Ours: far above the 200 that people need, below what friend tables bear. */
export const CONTACTS_MAX = 1_000;
/** Ours: e-mail addresses listed for one contact. */
export const EMAILS_MAX = 20;

/** The contact books of all accounts. Synchronous; changes are on the disk on return. */
export class Contacts {
  readonly #db: Database;
  readonly #accounts: Accounts;
  readonly #clock: Clock;

  constructor(db: Database, accounts: Accounts, clock: Clock) {
    this.#db = db;
    this.#accounts = accounts;
    this.#clock = clock;
  }

  /** Throws UserError: bad name, name or key or e-mail taken, no such account, too many. */
  add(fresh: NewContact): Contact {
    return this.#db.transaction(() => this.#add(fresh));
  }

  list(account?: string): Contact[] {
    const rows =
      account === undefined
        ? this.#db.prepare('SELECT * FROM contacts ORDER BY account, name').all()
        : this.#db.prepare('SELECT * FROM contacts WHERE account = ? ORDER BY name').all(account);
    return rows.map((row) => this.#contact(row));
  }

  /** By name, whatever its case. */
  get(account: string, name: string): Contact | undefined {
    const wanted = folded(name);
    const row = isAscii(name)
      ? this.#db.prepare('SELECT * FROM contacts WHERE account = ? AND name = ?').get(account, name)
      : this.#db // whose index knows no case beyond ASCII
          .prepare('SELECT * FROM contacts WHERE account = ?')
          .all(account)
          .find((each) => folded(String(each.name)) === wanted);
    return row && this.#contact(row);
  }

  byPublicKey(account: string, publicKey: string): Contact | undefined {
    const sql = 'SELECT * FROM contacts WHERE account = ? AND public_key = ?';
    const row = this.#db.prepare(sql).get(account, publicKey.toUpperCase());
    return row && this.#contact(row);
  }

  byEmail(account: string, email: string): Contact | undefined {
    const sql = 'SELECT public_key FROM contact_emails WHERE account = ? AND email = ?';
    const row = this.#db.prepare(sql).get(account, email);
    return row && this.byPublicKey(account, String(row.public_key));
  }

  /** Throws UserError if there is none of that name; returns what was removed. */
  remove(account: string, name: string): Contact {
    const contact = this.get(account, name);
    if (!contact) throw new UserError(`There is no contact "${name}" in account "${account}".`);
    const sql = 'DELETE FROM contacts WHERE account = ? AND public_key = ?';
    this.#db.prepare(sql).run(account, contact.publicKey);
    return contact;
  }

  /** The other side agreed (or was seen online, which is the same). */
  confirm(account: string, publicKey: string): void {
    const sql = `UPDATE contacts SET state = 'contact' WHERE account = ? AND public_key = ? AND state = 'requested'`;
    this.#db.prepare(sql).run(account, publicKey.toUpperCase());
  }

  /**
   * Notes that the contact is or was online just now. Resolves when that is written, a little later: a peer decides how
   * often it comes and goes, so it must not cost a commit each time.
   */
  async touch(account: string, publicKey: string): Promise<void> {
    const sql = 'UPDATE contacts SET last_seen = ? WHERE account = ? AND public_key = ?';
    const now = this.#clock.unixMs();
    await this.#db.later(() => this.#db.prepare(sql).run(now, account, publicKey.toUpperCase()));
  }

  /** Where mail of `account` to this address goes; a status for RCPT if nowhere. */
  resolve(account: string, address: string): Resolution {
    const parsed = parseAddress(address);
    if (!parsed) {
      return refused(addressFailure(address) === 'checksum' ? status.badToxId() : status.badRecipientSyntax());
    }
    const { target, tag } = parsed;
    switch (target.kind) {
      case 'tox-id':
      case 'public-key': {
        const local = this.#accounts.byPublicKey(target.publicKey);
        if (local) return toAccount(local.name, tag);
        const contact = this.byPublicKey(account, target.publicKey);
        return contact ? this.#toContact(contact, tag) : refused(status.noSuchKey());
      }
      case 'name': {
        const contact = this.get(account, target.name);
        if (contact) return this.#toContact(contact, tag);
        const local = this.#accounts.get(target.name.toLowerCase());
        return local ? toAccount(local.name, tag) : refused(status.noSuchName());
      }
      case 'foreign': {
        const contact = this.byEmail(account, target.address);
        return contact ? this.#toContact(contact, undefined) : refused(status.notATox());
      }
    }
  }

  /**
   * The form that travels of an address that `account` wrote (`toxId`: the account's own); undefined for one that is
   * nobody's here, which stays as it is.
   */
  canonical(account: string, address: string): string | undefined {
    const found = this.resolve(account, address);
    if (!found.ok) return undefined;
    const { route } = found;
    if (route.kind === 'tox') {
      const { toxId, publicKey } = route.contact;
      return toxId === undefined ? keyAddress(publicKey, route.tag) : canonicalAddress(toxId, route.tag);
    }
    const toxId = this.#accounts.get(route.account)?.toxId;
    return toxId === undefined ? undefined : canonicalAddress(toxId, route.tag);
  }

  /** A contact may be an account next door: that mail does not leave the daemon either. */
  #toContact(contact: Contact, tag: string | undefined): Resolution {
    const { publicKey } = contact;
    const local = this.#accounts.byPublicKey(publicKey);
    return local ? toAccount(local.name, tag) : { ok: true, route: { kind: 'tox', publicKey, contact, tag } };
  }

  #add({ account, name, toxId, publicKey, emails = [], state = 'requested' }: NewContact): Contact {
    if (!this.#accounts.get(account)) throw new UserError(`There is no account "${account}".`);
    if (!NAME.test(name) || parseAddress(`${name}@tox`)?.target.kind !== 'name') {
      throw new UserError(
        `"${name}" cannot be a contact's name: use up to 64 letters, digits, dots, dashes, underscores.`,
      );
    }
    const key = (toxId === undefined ? publicKey : keyOfToxId(toxId))?.toUpperCase();
    if (key === undefined || !isPublicKey(key)) throw new UserError('That is not a valid Tox ID or public key.');
    if (this.#accounts.get(account)?.toxId?.startsWith(key)) throw new UserError("That is the account's own Tox ID.");
    if (this.get(account, name)) throw new UserError(`There is a contact "${name}" already.`);
    const same = this.byPublicKey(account, key);
    if (same) throw new UserError(`That Tox ID is a contact already: "${same.name}".`);
    const count = this.#db.prepare('SELECT count(*) AS n FROM contacts WHERE account = ?').get(account);
    if (Number(count?.n) >= CONTACTS_MAX) throw new UserError(`An account can have ${CONTACTS_MAX} contacts at most.`);
    if (emails.length > EMAILS_MAX) throw new UserError(`A contact can list ${EMAILS_MAX} e-mail addresses at most.`);
    this.#db
      .prepare('INSERT INTO contacts (account, name, public_key, tox_id, state, created_at) VALUES (?, ?, ?, ?, ?, ?)')
      .run(account, name, key, toxId?.toUpperCase() ?? null, state, this.#clock.unixMs());
    for (const email of new Set(emails.map((e) => e.toLowerCase()))) this.#addEmail(account, key, email);
    return this.byPublicKey(account, key)!;
  }

  #addEmail(account: string, key: string, email: string): void {
    if (parseAddress(email)?.target.kind !== 'foreign') throw new UserError(`"${email}" is not an e-mail address.`);
    const taken = this.byEmail(account, email);
    if (taken) throw new UserError(`The contact "${taken.name}" lists ${email} already.`);
    const sql = 'INSERT INTO contact_emails (account, public_key, email) VALUES (?, ?, ?)';
    this.#db.prepare(sql).run(account, key, email);
  }

  #contact(row: Record<string, unknown>): Contact {
    const account = String(row.account);
    const publicKey = String(row.public_key);
    const toxId = row.tox_id === null ? undefined : String(row.tox_id);
    const sql = 'SELECT email FROM contact_emails WHERE account = ? AND public_key = ? ORDER BY email';
    return {
      account,
      name: String(row.name),
      publicKey,
      toxId,
      address: toxId === undefined ? keyAddress(publicKey) : canonicalAddress(toxId),
      emails: this.#db
        .prepare(sql)
        .all(account, publicKey)
        .map((e) => String(e.email)),
      state: row.state === 'contact' ? 'contact' : 'requested',
      lastSeen: row.last_seen === null ? undefined : Number(row.last_seen),
    };
  }
}

function toAccount(account: string, tag: string | undefined): Resolution {
  return { ok: true, route: { kind: 'local', account, tag } };
}

/** For comparison: without case, and whatever way accents are written in. */
function folded(name: string): string {
  return name.normalize('NFC').toLowerCase();
}

function isAscii(text: string): boolean {
  return Buffer.byteLength(text) === text.length;
}

function refused(reason: MailStatus): Resolution {
  return { ok: false, status: reason };
}
