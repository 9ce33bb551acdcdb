import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settle } from '../../../src/testing/virtual-scheduler.ts';
import { ImapBox } from '../script.ts';

test('LIST shows all folders with what they are for and whether others are below', async () => {
  const client = await new ImapBox().logIn();
  await client.run(
    'C: a LIST "" *',
    'S: * LIST (\\HasNoChildren) "/" INBOX',
    'S: * LIST (\\Noselect \\HasChildren) "/" Archive',
    'S: * LIST (\\HasNoChildren) "/" Archive/2026',
    'S: * LIST (\\HasNoChildren \\Drafts) "/" Entw&APw-rfe',
    'S: * LIST (\\HasNoChildren \\Sent) "/" Sent',
    'S: * LIST (\\HasNoChildren \\Trash) "/" Trash',
    'S: a OK Done',
    'C: b LIST "" ""',
    'S: * LIST (\\Noselect) "/" ""',
    'S: b OK Done',
    'C: c LIST Archive/ %',
    'S: * LIST (\\HasNoChildren) "/" Archive/2026',
    'S: c OK Done',
    'C: d LIST "" inbox',
    'S: * LIST (\\HasNoChildren) "/" INBOX',
    'S: d OK Done',
    'C: e LIST "" Entw&APw-*',
    'S: * LIST (\\HasNoChildren \\Drafts) "/" Entw&APw-rfe',
    'S: e OK Done',
  );
});

test('LIST-EXTENDED: subscriptions (also of folders that are gone), uses, several patterns, status', async () => {
  const box = new ImapBox();
  box.store.inbox.deliver('Subject: x\n\nbody');
  box.store.subscribed.add('Archive/2026');
  const client = await box.logIn();
  await client.run(
    'C: a LIST (SUBSCRIBED) "" *',
    'S: * LIST (\\HasNoChildren \\Subscribed) "/" INBOX',
    'S: * LIST (\\HasNoChildren \\Subscribed) "/" Archive/2026',
    'S: * LIST (\\NonExistent \\Subscribed) "/" Gone',
    'S: a OK Done',
    'C: b LIST (SPECIAL-USE) "" * RETURN (SPECIAL-USE SUBSCRIBED)',
    'S: * LIST (\\HasNoChildren \\Drafts) "/" Entw&APw-rfe',
    'S: * LIST (\\HasNoChildren \\Sent) "/" Sent',
    'S: * LIST (\\HasNoChildren \\Trash) "/" Trash',
    'S: b OK Done',
    'C: c LIST "" (INBOX Sent) RETURN (SUBSCRIBED STATUS (MESSAGES UNSEEN))',
    'S: * LIST (\\HasNoChildren \\Subscribed) "/" INBOX',
    'S: * STATUS INBOX (MESSAGES 1 UNSEEN 1)',
    'S: * LIST (\\HasNoChildren \\Sent) "/" Sent',
    'S: * STATUS Sent (MESSAGES 0 UNSEEN 0)',
    'S: c OK Done',
    'C: d LIST (SUBSCRIBED RECURSIVEMATCH) "" %',
    'S: * LIST (\\HasNoChildren \\Subscribed) "/" INBOX',
    'S: * LIST (\\Noselect \\HasChildren) "/" Archive ("CHILDINFO" ("SUBSCRIBED"))',
    'S: * LIST (\\NonExistent \\Subscribed) "/" Gone',
    'S: d OK Done',
  );
});

test('LSUB shows the parent of a subscribed folder that % hides', async () => {
  const box = new ImapBox();
  box.store.subscribed.add('Archive/2026');
  const client = await box.logIn();
  await client.run(
    'C: a LSUB "" %',
    'S: * LSUB () "/" INBOX',
    'S: * LSUB (\\Noselect) "/" Archive',
    'S: * LSUB () "/" Gone',
    'S: a OK Done',
    'C: b LSUB "" *',
    'S: * LSUB () "/" INBOX',
    'S: * LSUB () "/" Archive/2026',
    'S: * LSUB () "/" Gone',
    'S: b OK Done',
  );
});

test('folders are made, renamed, subscribed and deleted, with the codes of RFC 5530', async () => {
  const client = await new ImapBox().logIn();
  await client.run(
    'C: a CREATE Work/',
    'S: a OK [MAILBOXID (F6)] Created',
    'C: b CREATE Work',
    'S: b NO [ALREADYEXISTS] There is such a folder',
    'C: c CREATE inbox',
    'S: c NO [ALREADYEXISTS] INBOX is there already',
    'C: d CREATE Spam (USE (\\junk))',
    'S: d OK [MAILBOXID (F7)] Created',
    'C: e CREATE Two (USE (\\Sent \\Junk))',
    'S: e NO [USEATTR] *',
    'C: f CREATE R&D',
    'S: f NO [CANNOT] The name is not modified UTF-7',
    'C: g RENAME Work Arbeit',
    'S: g OK Renamed',
    'C: h RENAME Work Werk',
    'S: h NO [NONEXISTENT] There is no such folder',
    'C: i SUBSCRIBE Arbeit',
    'S: i OK Done',
    'C: j UNSUBSCRIBE Arbeit',
    'S: j OK Done',
    'C: k DELETE Arbeit',
    'S: k OK Deleted',
    'C: l DELETE Arbeit',
    'S: l NO [NONEXISTENT] *',
  );
});

test('who deletes the folder that is open goes on without one', async () => {
  const client = await new ImapBox().logIn();
  await client.run('C: a CREATE Old', 'S: a OK *');
  client.send('b SELECT Old\r\n');
  while (!(await client.line()).startsWith('b OK'));
  await client.run('C: c DELETE Old', 'S: c OK Deleted', 'C: d CHECK', 'S: d BAD *', 'C: e NOOP', 'S: e OK *');
});

test('a client that enabled UTF-8 has names as they are', async () => {
  const client = await new ImapBox().logIn('UTF8=ACCEPT');
  const name = Buffer.from('"Entwürfe"').toString('latin1');
  await client.run(
    `C: a LIST "" ${Buffer.from('Entwü*').toString('latin1')}`,
    `S: * LIST (\\HasNoChildren \\Drafts) "/" ${name}`,
    'S: a OK Done',
    `C: b STATUS ${name} (MESSAGES)`,
    `S: * STATUS ${name} (MESSAGES 0)`,
    'S: b OK Done',
  );
});

test('STATUS and QUOTA', async () => {
  const box = new ImapBox();
  box.store.inbox.deliver('Subject: x\n\nbody', ['\\Deleted']);
  const client = await box.logIn();
  await client.run(
    'C: a STATUS InBox (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN DELETED SIZE HIGHESTMODSEQ APPENDLIMIT MAILBOXID)',
    'S: * STATUS INBOX (MESSAGES 1 RECENT 0 UIDNEXT 2 UIDVALIDITY 3857529045 UNSEEN 1 DELETED 1 SIZE 18 HIGHESTMODSEQ 2 APPENDLIMIT 10000 MAILBOXID (F1))',
    'S: a OK Done',
    'C: b STATUS Nowhere (MESSAGES)',
    'S: b NO [NONEXISTENT] There is no such folder',
    'C: c GETQUOTAROOT INBOX',
    'S: * QUOTAROOT INBOX ""',
    'S: * QUOTA "" (STORAGE 2 98)',
    'S: c OK Done',
    'C: d GETQUOTA other',
    'S: d NO [NONEXISTENT] There is no such quota root',
  );
  box.store.limitBytes = undefined;
  await client.run(
    'C: e GETQUOTAROOT INBOX',
    'S: * QUOTAROOT INBOX',
    'S: e OK Done',
    'C: f GETQUOTA ""',
    'S: f NO [NONEXISTENT] There is no such quota root',
  );
});

test('a client that leaves while its folder is being opened leaves nothing behind', async () => {
  const box = new ImapBox();
  const client = await box.logIn();
  let open = (): void => {};
  const folder = box.store.folder.bind(box.store);
  box.store.folder = async (name) => {
    await new Promise<void>((resolve) => {
      open = resolve;
    });
    return folder(name);
  };
  client.send('a SELECT INBOX\r\n');
  await settle();
  client.session.disconnected();
  open();
  await client.ended;
  assert.equal(box.store.inbox.listeners, 0);
});
