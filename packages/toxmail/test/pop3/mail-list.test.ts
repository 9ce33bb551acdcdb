import assert from 'node:assert/strict';
import { readdirSync, renameSync, rmSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { MailLists } from '../../src/pop3/mail-list.ts';
import { Mailbox } from './script.ts';

const NOW = Date.UTC(2026, 5, 1);
const MAIL = 'Subject: x\r\n\r\n';
let box: Mailbox;
/** Folders of which all names were read. */
let read: number;

beforeEach(() => {
  box = new Mailbox([MAIL, MAIL]);
  box.scheduler.setUnixMs(NOW);
  read = 0;
  box.files.fail = (operation) => {
    if (operation === 'readdir') read++;
    return undefined;
  };
});

afterEach(() => box.remove());

/** The folders were last changed so long ago. */
function changed(agoMs: number): void {
  for (const folder of ['new', 'cur']) utimesSync(join(box.path, folder), (NOW - agoMs) / 1000, (NOW - agoMs) / 1000);
}

/** What UIDL and LIST say of all mails in a session of its own. */
async function session(deps = {}): Promise<string> {
  const client = await box.connect(deps);
  await client.run('C: USER mrose', 'S: +OK', 'C: PASS secret word', 'S: +OK*');
  client.send('UIDL\r\n');
  const uids = await client.reply();
  client.send('LIST\r\n');
  const sizes = await client.reply();
  await client.run('C: QUIT', 'S: +OK Bye');
  return uids + sizes;
}

test('a log-in reads no names again while nothing changed, and says the same', async () => {
  changed(60_000);
  const first = await session();
  assert.match(first, /^\+OK 2 mails/);
  assert.equal(await session(), first);
  assert.equal(read, 2, 'new/ and cur/, once');
});

test('what another program adds, moves or removes shows at the next log-in', async () => {
  changed(60_000);
  const uids = await session();
  const [first, second] = readdirSync(join(box.path, 'new')).sort();
  renameSync(join(box.path, 'new', first!), join(box.path, 'cur', `${first}:2,S`));
  changed(50_000);
  assert.equal(await session(), uids, 'UIDs and order stay');
  box.put('cur/1800000000.M1P1Q1.other:2,', MAIL);
  changed(40_000);
  assert.match(await session(), /^\+OK 3 mails/);
  rmSync(join(box.path, 'new', second!));
  changed(30_000);
  assert.match(await session(), /^\+OK 2 mails/);
});

test('what a session deleted is gone from the next one', async () => {
  changed(60_000);
  await session();
  const client = await box.logIn();
  await client.run('C: DELE 1', 'S: +OK*', 'C: QUIT', 'S: +OK Bye');
  assert.match(await session(), /^\+OK 1 mails/);
});

test('names read within the moment of a change are read again: another change may leave the same time', async () => {
  changed(1_000);
  assert.match(await session(), /^\+OK 2 mails/);
  box.put('new/1800000000.M1P1Q1.other', MAIL);
  changed(1_000);
  assert.match(await session(), /^\+OK 3 mails/);
});

test('where times have parts of a second, that moment is short', async () => {
  changed(150.25);
  const first = await session();
  assert.equal(await session(), first);
  assert.equal(read, 2);
  changed(50.25);
  await session();
  box.put('new/1800000000.M1P1Q1.other', MAIL);
  changed(50.25);
  assert.match(await session(), /^\+OK 3 mails/);
});

test('so are those of folders with a time to come', async () => {
  changed(-60_000);
  await session();
  box.put('new/1800000000.M1P1Q1.other', MAIL);
  changed(-60_000);
  assert.match(await session(), /^\+OK 3 mails/);
});

test('lists of more mails than may be kept are not', async () => {
  changed(60_000);
  const lists = new MailLists(box.scheduler, 1);
  assert.equal(await session({ lists }), await session({ lists }));
  assert.equal(read, 4);
});
