import { parseAddress } from '../contacts/address.ts';
import type { Contacts } from '../contacts/contacts.ts';
import type { Accounts } from '../store/accounts.ts';
import type { AddressBook, KnownAddress } from '../transfer/arrival.ts';

/** How one account sees people: its contacts by their names in its book, itself and the other accounts by theirs. */
export function addressBook(account: string, contacts: Contacts, accounts: Accounts): AddressBook {
  const contact = (publicKey: string): KnownAddress | undefined => {
    const found = contacts.byPublicKey(account, publicKey) ?? accounts.byPublicKey(publicKey);
    return found && known(publicKey, found.name);
  };
  return {
    contact,
    lookUp(address) {
      const target = parseAddress(address)?.target;
      switch (target?.kind) {
        case 'tox-id':
        case 'public-key':
          return contact(target.publicKey);
        case 'foreign': {
          const found = contacts.byEmail(account, target.address);
          return found && known(found.publicKey, found.name);
        }
        // A bare name is the sender's own word for somebody: it says nothing here.
        default:
          return undefined;
      }
    },
  };
}

function known(publicKey: string, name: string): KnownAddress {
  return { publicKey, name, address: `${name}@tox` };
}
