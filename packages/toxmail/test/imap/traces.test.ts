import assert from 'node:assert/strict';
import { readdir, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { append, Box, inbox } from '../mailbox/harness.ts';
import { type Client, ImapBox } from './script.ts';

const boxes: Box[] = [];
after(async () => {
  for (const box of boxes) await box.stop();
});

async function open() {
  const box = await Box.make();
  boxes.push(box);
  const store = await box.open();
  return { box, store, imap: new ImapBox(store), folder: await inbox(store) };
}

/** The mail of RFC 3501 §8, with a text of the size and lines that it tells of. */
const HEADER = [
  'Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)',
  'From: Terry Gray <gray@cac.washington.edu>',
  'Subject: IMAP4rev1 WG mtg summary and minutes',
  'To: imap@cac.washington.edu',
  'cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>',
  'Message-Id: <B27397-0100000@cac.washington.edu>',
  'MIME-Version: 1.0',
  'Content-Type: TEXT/PLAIN; CHARSET=US-ASCII',
  '',
  '',
].join('\r\n');
const TEXT = `${`${'x'.repeat(31)}\r\n`.repeat(91)}${'y'.repeat(3028 - 91 * 33 - 2)}\r\n`;

async function skipTo(client: Client, tag: string): Promise<void> {
  while (!(await client.line()).startsWith(`${tag} OK`));
}

test('the sample connection of RFC 3501 §8', async () => {
  const { imap, folder } = await open();
  await append(folder, HEADER + TEXT, ['\\Seen'], Date.UTC(1996, 6, 17, 9, 44, 25));
  const client = await imap.connect();
  client.send('a001 login mrc "secret word"\r\na002 select inbox\r\n');
  await skipTo(client, 'a001');
  await skipTo(client, 'a002');
  await client.run(
    'C: a003 fetch 1 full',
    'S: * 1 FETCH (FLAGS (\\Seen) INTERNALDATE "17-Jul-1996 09:44:25 +0000" RFC822.SIZE 3370 ENVELOPE ("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev1 WG mtg summary and minutes" (("Terry Gray" NIL "gray" "cac.washington.edu")) (("Terry Gray" NIL "gray" "cac.washington.edu")) (("Terry Gray" NIL "gray" "cac.washington.edu")) ((NIL NIL "imap" "cac.washington.edu")) ((NIL NIL "minutes" "CNRI.Reston.VA.US")("John Klensin" NIL "KLENSIN" "MIT.EDU")) NIL NIL "<B27397-0100000@cac.washington.edu>") BODY ("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7bit" 3028 92))',
    'S: a003 OK Done',
    'C: a004 fetch 1 body[header]',
    'S: * 1 FETCH (BODY[HEADER] {342}',
    ...HEADER.split('\r\n')
      .slice(0, -1)
      .map((line) => `S: ${line}`),
    'S: )',
    'S: a004 OK Done',
    'C: a005 store 1 +flags \\deleted',
    'S: * 1 FETCH (FLAGS (\\Seen \\Deleted))',
    'S: a005 OK Done',
    'C: a006 logout',
    'S: * BYE Logging out',
    'S: a006 OK Done',
  );
});

test('parts of a multipart mail as RFC 3501 §6.4.5 numbers them', async () => {
  const { imap, folder } = await open();
  const inner =
    'Subject: inner\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\n\r\none\r\n--i\r\nX: y\r\n\r\ntwo\r\n--i--\r\n';
  await append(
    folder,
    `Subject: outer\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\npreamble\r\n--o\r\n\r\ntext\r\n--o\r\nContent-Type: message/rfc822\r\n\r\n${inner}\r\n--o\r\nContent-Type: application/x; name=a\r\nContent-Transfer-Encoding: base64\r\n\r\nYWJjZGVm\r\n--o--\r\n`,
    ['\\Seen'],
  );
  const client = await imap.logIn();
  client.send('s select inbox\r\n');
  await skipTo(client, 's');
  await client.run(
    'C: a fetch 1 (body[1] body[2.header] body[2.1] body[2.2.mime] body[2.2] body[4])',
    'S: * 1 FETCH (BODY[1] {4}',
    'S: text BODY[2.HEADER] {61}',
    'S: Subject: inner',
    'S: Content-Type: multipart/mixed; boundary=i',
    'S: ',
    'S:  BODY[2.1] {3}',
    'S: one BODY[2.2.MIME] {8}',
    'S: X: y',
    'S: ',
    'S:  BODY[2.2] {3}',
    'S: two BODY[4] NIL)',
    'S: a OK Done',
    'C: b fetch 1 (binary.size[3] binary[3]<1.2> body[3]<2.3>)',
    'S: * 1 FETCH (BINARY.SIZE[3] 6 BINARY[3]<1> ~{2}',
    'S: bc BODY[3]<2> {3}',
    'S: JjZ)',
    'S: b OK Done',
    'C: c uid fetch 1 (body.peek[header.fields (subject)] preview)',
    'S: * 1 FETCH (UID 1 PREVIEW "text" BODY[HEADER.FIELDS (SUBJECT)] {18}',
    'S: Subject: outer',
    'S: ',
    'S: )',
    'S: c OK Done',
  );
});

test('a mail that is appended is the same octets when it is read', async () => {
  const { imap } = await open();
  const client = await imap.logIn();
  const text = `${HEADER}${'a line\r\n'.repeat(20_000)}no end`;
  client.send(`a append Drafts (\\Draft $Later) {${text.length}+}\r\n${text}\r\nb select Drafts\r\n`);
  await skipTo(client, 'a');
  await skipTo(client, 'b');
  client.send('c fetch 1 (flags body.peek[])\r\n');
  assert.equal(
    await client.reply('c'),
    `* 1 FETCH (FLAGS (\\Draft $Later) BODY[] {${text.length}}\r\n${text})\r\nc OK Done\r\n`,
  );
});

test('what another Maildir program does is seen, in IDLE too', async () => {
  const { box, imap, folder } = await open();
  for (const subject of ['a', 'b', 'c']) await append(folder, `Subject: ${subject}\r\n\r\nx\r\n`);
  const client = await imap.logIn();
  client.send('s select inbox\r\n');
  await skipTo(client, 's');
  const cur = join(box.maildir, 'cur');
  const [first, second] = (await readdir(cur)).sort();
  await rename(join(cur, first!), join(cur, `${first!.split(':2,')[0]}:2,FS`));
  await client.run('C: a noop', 'S: * 1 FETCH (FLAGS (\\Seen \\Flagged))', 'S: a OK Done');
  await client.run('C: b idle', 'S: + idling');
  await unlink(join(cur, second!));
  await client.run('S: * 2 EXPUNGE', 'C: done', 'S: b OK Done');
});

test('UIDs and what $ stands for hold when the daemon starts again', async () => {
  const { box, imap, folder } = await open();
  for (const subject of ['a', 'b', 'c']) await append(folder, `Subject: ${subject}\r\n\r\nx\r\n`);
  const client = await imap.logIn();
  client.send('s select inbox\r\nt uid store 2 +flags.silent (\\deleted)\r\nu expunge\r\n');
  const before = await client.reply('u');
  const validity = /UIDVALIDITY (\d+)/.exec(before)![1];
  client.session.shutDown();
  const again = new ImapBox(await box.restart());
  const later = await again.logIn();
  later.send('s select inbox\r\n');
  const said = await later.reply('s');
  assert.match(said, new RegExp(`UIDVALIDITY ${validity}\\]`));
  await later.run('C: a uid search all', 'S: * SEARCH 1 3', 'S: a OK Done');
});

test('searching, sorting and threading what is in the mails', async () => {
  const { imap, folder } = await open();
  const mail = (id: string, subject: string, more: string, body: string): string =>
    `Message-ID: <${id}@x>\r\nSubject: ${subject}\r\nFrom: ${id} <${id}@tox>\r\n${more}\r\n${body}\r\n`;
  await append(folder, mail('zoe', '=?utf-8?q?Gr=C3=BC=C3=9Fe?=', 'Date: 2 Jan 2026 00:00:00 +0000\r\n', 'hello'));
  await append(folder, mail('ann', 'Re: other', 'Date: 1 Jan 2026 00:00:00 +0000\r\n', '東京へ'));
  await append(folder, mail('bob', 'Re: Grüße', 'Date: 3 Jan 2026 00:00:00 +0000\r\nReferences: <zoe@x>\r\n', 'bye'));
  const client = await imap.logIn();
  client.send('s select inbox\r\n');
  await skipTo(client, 's');
  const utf8 = (text: string): string => Buffer.from(text).toString('latin1');
  await client.run(
    `C: a search charset utf-8 subject "${utf8('GRÜSSE')}"`,
    'S: * SEARCH 1 3',
    'S: a OK Done',
    `C: b search text {6+}\r\n${utf8('東京')}`,
    'S: * SEARCH 2',
    'S: b OK Done',
    'C: c sort (from) utf-8 all',
    'S: * SORT 2 3 1',
    'S: c OK Done',
    'C: d sort (reverse date) utf-8 all',
    'S: * SORT 3 1 2',
    'S: d OK Done',
    'C: e thread references utf-8 all',
    'S: * THREAD (2)(1 3)',
    'S: e OK Done',
    'C: f search sentsince 2-Jan-2026 not from bob',
    'S: * SEARCH 1',
    'S: f OK Done',
  );
});

test('a folder that another session renames stays selected, in IDLE too, and is found under its new name', async () => {
  const { store, imap } = await open();
  await store.create('Work');
  const folder = (await store.folder('Work'))!;
  await append(folder, 'Subject: one\r\n\r\nhello\r\n');
  const other = await imap.logIn();
  other.send('a SELECT Work\r\n');
  await skipTo(other, 'a');
  await other.run('C: b IDLE', 'S: + idling');
  const client = await imap.logIn();
  client.send('s SELECT Work\r\n');
  await skipTo(client, 's');
  await client.run('C: c RENAME Work Arbeit', 'S: c OK Renamed');
  await client.run('C: d FETCH 1 BODY.PEEK[TEXT]', 'S: * 1 FETCH (BODY[TEXT] {7}', 'S: hello', 'S: )', 'S: d OK Done');
  client.send('e APPEND Arbeit {5+}\r\nx: y\n\r\n');
  await skipTo(client, 'e');
  await other.expect('* 2 EXISTS');
  other.send('DONE\r\n');
  await skipTo(other, 'b');
  await other.run('C: f STORE 2 +FLAGS.SILENT (\\Flagged)', 'S: f OK Done', 'C: g UNSELECT', 'S: g OK *');
  await other.run('C: h SELECT Work', 'S: h NO [NONEXISTENT] *');
  assert.deepEqual(folder.flagNames(folder.flagsAt(1)), ['\\Flagged']);
  for (const each of [client, other]) each.session.shutDown();
});
