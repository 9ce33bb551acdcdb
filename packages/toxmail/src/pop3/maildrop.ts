import { hash } from 'node:crypto';
import type { OpenFile } from '../base/files.ts';
import type { Maildir } from '../maildir/maildir.ts';
import type { MailList } from './mail-list.ts';

/**
 * The mailbox as one session sees it: numbered once after the log-in (RFC 1939 §5), whatever arrives or goes meanwhile.
 * Mails stay where they are in new/ or cur/: POP3 has no notion of seen. They are removed in `commit` only.
 */
export class Maildrop {
  readonly #maildir: Maildir;
  readonly #mails: MailList;
  readonly #deleted = new Set<number>();

  constructor(maildir: Maildir, mails: MailList) {
    this.#maildir = maildir;
    this.#mails = mails;
  }

  /** Numbers of the mails that are not deleted, from 1 up. */
  *numbers(): Generator<number> {
    for (let n = 1; n <= this.#mails.length; n++) if (!this.#deleted.has(n)) yield n;
  }

  has(n: number): boolean {
    return n >= 1 && n <= this.#mails.length && !this.#deleted.has(n);
  }

  wasDeleted(n: number): boolean {
    return this.#deleted.has(n);
  }

  /** Octets as sent, byte-stuffing not counted. `has(n)`. */
  size(n: number): number {
    return this.#mails.sizeAt(n - 1);
  }

  /** Stays the same for the mail's life: a hash of its name, as other programs' names may hold any sign. */
  uid(n: number): string {
    return hash('sha256', this.#mails.at(n - 1).unique).slice(0, UID_DIGITS);
  }

  /** Of those that are not deleted. */
  count(): { mails: number; octets: number } {
    let octets = this.#mails.octets;
    for (const n of this.#deleted) octets -= this.size(n);
    return { mails: this.#mails.length - this.#deleted.size, octets };
  }

  /** Undefined if another program removed it. */
  open(n: number): Promise<OpenFile | undefined> {
    return this.#maildir.open(this.#mails.at(n - 1));
  }

  delete(n: number): void {
    this.#deleted.add(n);
  }

  reset(): void {
    this.#deleted.clear();
  }

  /** Removes what was deleted; the number that could not be. Those that others removed count as done. */
  async commit(): Promise<number> {
    if (this.#deleted.size === 0) return 0;
    let failed = 0;
    for (const n of this.#deleted) {
      try {
        await this.#maildir.remove(this.#mails.at(n - 1));
      } catch {
        failed++;
      }
    }
    await this.#maildir.syncRemovals();
    return failed;
  }
}

/** Of at most 70 that RFC 1939 §7 allows; 128 bits. */
const UID_DIGITS = 32;
