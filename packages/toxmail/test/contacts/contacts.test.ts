import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UserError } from '../../src/base/user-error.ts';
import { canonicalAddress, keyAddress } from '../../src/contacts/address.ts';
import { AddressBookOf } from '../../src/contacts/address-book.ts';
import { Contacts } from '../../src/contacts/contacts.ts';
import { FriendRequests, REQUESTS_MAX } from '../../src/contacts/friend-requests.ts';
import { Accounts } from '../../src/store/accounts.ts';
import { openDatabase } from '../../src/store/database.ts';
import { VirtualScheduler } from '../../src/testing/virtual-scheduler.ts';
import { ANNA_ID, BOB_ID, MUM_ID, TOM_ID } from './ids.ts';

const BOB_KEY = BOB_ID.slice(0, 64);

function book() {
  const db = openDatabase(':memory:');
  const clock = new VirtualScheduler();
  const accounts = new Accounts(db, clock);
  accounts.add('mum', 'h');
  accounts.setToxId('mum', MUM_ID);
  accounts.add('tom', 'h');
  accounts.setToxId('tom', TOM_ID);
  const contacts = new Contacts(db, accounts, clock);
  return { db, clock, accounts, contacts, requests: new FriendRequests(db, clock) };
}

test('a contact is found by name in any case, by key, and by each listed e-mail', () => {
  const { contacts } = book();
  const anna = contacts.add({ account: 'mum', name: 'Anna', toxId: ANNA_ID, emails: ['Anna@Example.org', 'a@b.c'] });
  assert.deepEqual(anna.emails, ['a@b.c', 'anna@example.org']);
  assert.deepEqual([anna.state, anna.address], ['requested', canonicalAddress(ANNA_ID)]);
  for (const found of [
    contacts.get('mum', 'ANNA'),
    contacts.byPublicKey('mum', ANNA_ID.slice(0, 64).toLowerCase()),
    contacts.byEmail('mum', 'anna@example.ORG'),
  ]) {
    assert.deepEqual(found, anna);
  }
  assert.equal(contacts.get('tom', 'anna'), undefined);
});

test('what would make two contacts look alike is refused, and nothing of it stays', () => {
  const { contacts } = book();
  contacts.add({ account: 'mum', name: 'Anna', toxId: ANNA_ID, emails: ['a@b.c'] });
  const bad = [
    { account: 'mum', name: 'anna', toxId: BOB_ID },
    { account: 'mum', name: 'Other', publicKey: ANNA_ID.slice(0, 64) },
    { account: 'mum', name: 'Bob', toxId: BOB_ID, emails: ['x@y.z', 'A@b.c'] },
    { account: 'mum', name: 'Bob', toxId: BOB_ID, emails: ['bob@tox'] },
    { account: 'mum', name: 'Bob', toxId: `${BOB_ID.slice(0, 75)}1` },
    { account: 'mum', name: 'Bob', publicKey: 'F'.repeat(64) },
    { account: 'mum', name: 'Me', toxId: MUM_ID },
    { account: 'mum', name: 'two words', toxId: BOB_ID },
    { account: 'mum', name: '..', toxId: BOB_ID },
    { account: 'mum', name: BOB_KEY, toxId: BOB_ID },
    { account: 'nobody', name: 'Bob', toxId: BOB_ID },
  ];
  for (const each of bad) assert.throws(() => contacts.add(each), UserError, JSON.stringify(each));
  assert.deepEqual(
    contacts.list().map((c) => c.name),
    ['Anna'],
  );
});

test('every address form leads to the right place', () => {
  const { contacts } = book();
  contacts.add({ account: 'mum', name: 'Änne', toxId: ANNA_ID, emails: ['anne@example.org'] });
  contacts.add({ account: 'mum', name: 'bob', publicKey: BOB_KEY });
  const where = (address: string): string => {
    const found = contacts.resolve('mum', address);
    if (!found.ok) return found.status.enhanced;
    return found.route.kind === 'tox' ? found.route.contact.name : `account ${found.route.account}`;
  };
  for (const form of [`${ANNA_ID}@tox`, canonicalAddress(ANNA_ID), 'Änne+x@tox.alt', 'ANNE@example.org']) {
    assert.equal(where(form), 'Änne', form);
  }
  assert.equal(where(`${BOB_ID}@tox`), 'bob');
  assert.equal(where(keyAddress(BOB_KEY)), 'bob');
  assert.equal(where('tom@tox'), 'account tom');
  assert.equal(where(`${TOM_ID}@tox`), 'account tom');
  assert.equal(where('mum@tox'), 'account mum');
  for (const form of ['nobody@tox', 'x@example.org']) assert.equal(where(form), '5.1.1');
  for (const form of ['@tox', `${'F'.repeat(64)}@tox`]) assert.equal(where(form), '5.1.3');
  assert.equal(contacts.canonical('mum', 'anne@example.org'), canonicalAddress(ANNA_ID));
  assert.equal(contacts.canonical('mum', 'bob+a@tox'), keyAddress(BOB_KEY));
  assert.equal(contacts.canonical('mum', 'x@example.org'), undefined);
});

test('a contact of one’s own goes before another account of the same name', () => {
  const { contacts } = book();
  contacts.add({ account: 'mum', name: 'Tom', toxId: ANNA_ID });
  const found = contacts.resolve('mum', 'tom@tox');
  assert.ok(found.ok && found.route.kind === 'tox');
});

test('a contact who is another account of this daemon is reached without the network, under each of their names', () => {
  const { contacts } = book();
  contacts.add({ account: 'mum', name: 'son', toxId: TOM_ID, emails: ['tom@example.org'] });
  for (const address of ['son+a@tox', 'tom@example.org', `${TOM_ID}@tox`]) {
    const found = contacts.resolve('mum', address);
    assert.ok(found.ok && found.route.kind === 'local' && found.route.account === 'tom', address);
  }
  assert.equal(contacts.canonical('mum', 'son@tox'), canonicalAddress(TOM_ID));
});

test('names beyond ASCII are one name in any case and either way to write accents', () => {
  const { contacts } = book();
  contacts.add({ account: 'mum', name: 'Zoë', toxId: ANNA_ID });
  for (const name of ['Zoë', 'ZOË', 'zoe\u0308', 'ZOE\u0308']) {
    assert.equal(contacts.get('mum', name)?.name, 'Zoë', name);
    assert.ok(contacts.resolve('mum', `${name}@tox`).ok, name);
    assert.throws(() => contacts.add({ account: 'mum', name, toxId: BOB_ID }), UserError, name);
  }
  assert.equal(contacts.get('mum', 'Zoe'), undefined);
});

test('the state only moves from requested to contact, and last seen is kept', async () => {
  const { contacts, clock } = book();
  contacts.add({ account: 'mum', name: 'Anna', toxId: ANNA_ID });
  contacts.confirm('mum', ANNA_ID.slice(0, 64));
  await contacts.touch('mum', ANNA_ID.slice(0, 64));
  const anna = contacts.get('mum', 'anna')!;
  assert.deepEqual([anna.state, anna.lastSeen], ['contact', clock.unixMs()]);
  contacts.remove('mum', 'ANNA');
  assert.throws(() => contacts.remove('mum', 'ANNA'), UserError);
  assert.deepEqual(contacts.list(), []);
});

test('requests of strangers are bounded: the newest stay', () => {
  const { requests, clock } = book();
  const key = (n: number): string => n.toString(16).toUpperCase().padStart(64, '0');
  for (let i = 0; i < REQUESTS_MAX + 5; i++) requests.add('mum', key(i), `I am ${i}`);
  assert.equal(requests.list('mum').length, REQUESTS_MAX);
  assert.equal(requests.list('mum')[0]!.message, 'I am 5');
  assert.equal(requests.list('tom').length, 0);
  assert.equal(requests.add('mum', key(50).toLowerCase(), 'again'), false);
  assert.deepEqual(requests.take('mum', key(50)), {
    account: 'mum',
    publicKey: key(50),
    message: 'again',
    receivedAt: clock.unixMs(),
  });
  assert.equal(requests.take('mum', key(50)), undefined);
});

test('removing an account takes its contacts and requests with it', () => {
  const { accounts, contacts, requests } = book();
  contacts.add({ account: 'mum', name: 'Anna', toxId: ANNA_ID, emails: ['a@b.c'] });
  requests.add('mum', BOB_KEY, 'hi');
  accounts.remove('mum');
  assert.deepEqual([contacts.list(), requests.list()], [[], []]);
});

test('a recipient sees their own names: of contacts, of other accounts, and never a name that a stranger wrote', () => {
  const { accounts, contacts } = book();
  contacts.add({ account: 'mum', name: 'Anna', toxId: ANNA_ID, emails: ['anna@example.org'] });
  const mum = new AddressBookOf('mum', accounts, contacts);
  assert.equal(mum.lookUp(canonicalAddress(ANNA_ID, 'x'))?.address, 'Anna@tox');
  assert.equal(mum.lookUp('anna@example.org')?.name, 'Anna');
  assert.equal(mum.contact(TOM_ID.slice(0, 64))?.address, 'tom@tox');
  assert.equal(mum.lookUp(canonicalAddress(MUM_ID))?.address, 'mum@tox');
  assert.equal(mum.lookUp('anna@tox'), undefined);
  assert.equal(mum.lookUp(canonicalAddress(BOB_ID)), undefined);
});

test('someone is shown to themselves as their mail program writes them, so that it leaves them out of replies to all', () => {
  const { accounts, contacts } = book();
  const self = (): string | undefined =>
    new AddressBookOf('mum', accounts, contacts).lookUp(canonicalAddress(MUM_ID))?.address;
  for (const address of ['tom@tox.alt', 'mum@example.org', `${MUM_ID}@tox.alt`]) accounts.noteAddress('mum', address);
  assert.equal(self(), 'mum@tox');
  accounts.noteAddress('mum', 'Mum+photos@TOX.alt');
  assert.equal(self(), 'mum@tox.alt');
  assert.equal(new AddressBookOf('tom', accounts, contacts).contact(MUM_ID.slice(0, 64))?.address, 'mum@tox');
  accounts.noteAddress('mum', 'mum@tox');
  assert.equal(self(), 'mum@tox');
  accounts.noteAddress('nobody', 'nobody@tox');
});
