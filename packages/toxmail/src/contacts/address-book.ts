import type { Account, Accounts } from '../store/accounts.ts';
import { parseAddress } from './address.ts';
import type { Contact, Contacts } from './contacts.ts';

/** Someone under the name that an account knows them by. */
export interface KnownPerson {
  /** 64 upper-case hex. */
  readonly publicKey: string;
  readonly name: string;
  /** Where answers go: `name@tox`. */
  readonly address: string;
}

/** Whom one account knows: its contacts, then the other accounts of the daemon, itself included. */
export class AddressBookOf {
  readonly #account: string;
  readonly #accounts: Accounts;
  readonly #contacts: Contacts;
  readonly #ownAddress: string | undefined;

  /**
   * `ownAddress`: what the account is shown as to itself: its address at the mail server that delivers to it. Without,
   * as its programs write it: so they know it as their own, and leave it out of replies to all.
   */
  constructor(account: string, accounts: Accounts, contacts: Contacts, ownAddress?: string) {
    this.#ownAddress = ownAddress;
    this.#account = account;
    this.#accounts = accounts;
    this.#contacts = contacts;
  }

  contact(publicKey: string): KnownPerson | undefined {
    const contact = this.#contacts.byPublicKey(this.#account, publicKey);
    if (contact) return ofContact(contact);
    const account = this.#accounts.byPublicKey(publicKey);
    const known = ofAccount(account);
    if (known?.name !== this.#account) return known;
    return { ...known, address: this.#ownAddress ?? `${known.name}@${account?.domain ?? 'tox'}` };
  }

  /** Any form of address, as it stands in a header. A name is never looked up: what travels are keys. */
  lookUp(address: string): KnownPerson | undefined {
    const target = parseAddress(address)?.target;
    switch (target?.kind) {
      case 'tox-id':
      case 'public-key':
        return this.contact(target.publicKey);
      case 'foreign': {
        const contact = this.#contacts.byEmail(this.#account, target.address);
        return contact && ofContact(contact);
      }
      default:
        return undefined; // a name means somebody else to the one who wrote it
    }
  }
}

function ofContact({ publicKey, name }: Contact): KnownPerson {
  return { publicKey, name, address: `${name}@tox` };
}

function ofAccount(account: Account | undefined): KnownPerson | undefined {
  if (!account?.toxId) return undefined;
  return { publicKey: account.toxId.slice(0, 64), name: account.name, address: `${account.name}@tox` };
}
