import { type BlockList, isIPv4 } from 'node:net';
import { findMailboxes } from '../message/address-list.ts';
import { findField, type HeaderField } from '../message/header.ts';
import { MailError } from '../smtp/mail-error.ts';
import { status } from '../smtp/status.ts';
import type { Accounts } from '../store/accounts.ts';

export interface RelayDeps {
  readonly accounts: Accounts;
  /** Clients that need no log-in. */
  readonly from: BlockList;
  /** Accounts by lower-case address, or by `@domain`. */
  readonly senders: ReadonlyMap<string, string>;
}

/** Which account sends what a mail server hands in: the envelope sender says so, or else the header. */
export class Relay {
  readonly #deps: RelayDeps;

  constructor(deps: RelayDeps) {
    this.#deps = deps;
  }

  /** `address`: of the client; an IPv4 one may be written as IPv6. */
  allows(address: string): boolean {
    const plain = address.replace(/^::ffff:(?=\d+\.)/i, '');
    return this.#deps.from.check(plain, isIPv4(plain) ? 'ipv4' : 'ipv6');
  }

  /** The account that sends as this address, which is in the list (with or without its `+tag`) or an account's own. */
  accountOf(address: string): string | undefined {
    const { accounts, senders } = this.#deps;
    const text = address.toLowerCase();
    const domain = text.slice(text.lastIndexOf('@'));
    const listed = senders.get(text) ?? senders.get(text.replace(/\+[^@]*(?=@)/, '')) ?? senders.get(domain);
    const account = listed === undefined ? accounts.find(address) : accounts.get(listed);
    return account?.name;
  }

  /** Accounts that may turn out to be the sender. */
  candidates(envelopeSender: string): string[] {
    const known = this.accountOf(envelopeSender);
    return known === undefined ? this.#deps.accounts.list().map(({ name }) => name) : [known];
  }

  /**
   * The one of `candidates` (those that know all recipients) that the header names as author. A notice (null sender),
   * whose author is a program, may also be sent by the only one who knows its recipient. Throws MailError.
   */
  choose(envelopeSender: string, candidates: readonly string[], header: readonly HeaderField[]): string {
    const [only, ...others] = candidates;
    if (only !== undefined && this.accountOf(envelopeSender) === only) return only;
    for (const { address } of findMailboxes(findField(header, 'From')?.value ?? '')) {
      const author = this.accountOf(Buffer.from(address, 'latin1').toString('utf8'));
      if (author !== undefined && candidates.includes(author)) return author;
    }
    if (envelopeSender === '' && only !== undefined && others.length === 0) return only;
    throw new MailError(status.unknownSender());
  }
}
