import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import type { MailFolder } from '../../src/mailbox/folder.ts';
import type { MailIndex } from '../../src/mailbox/index/mail-index.ts';
import type { Wanted } from '../../src/mailbox/types.ts';
import { append, Box, inbox, mail, read, record, search, unsynced } from './harness.ts';

const PARTS =
  'From: =?utf-8?q?J=C3=BCrgen?= <j@tox>\nTo: a@tox, b@tox\nSubject: parts\nReferences: <one@tox> <two@tox>\n' +
  'Content-Type: multipart/mixed; boundary=x\n\n--x\n\nfirst\n--x\nContent-Type: message/rfc822\n\nSubject: inner\n\ntext\n--x--\n';
const MAILS = [
  mail('plain'),
  mail('plain'), // the same: one content
  PARTS,
  '',
  'Subject: only a header',
  'no header at all\r\n\r\n',
  `X-Long: ${'long '.repeat(5_000)}\r\nSubject: behind a long field\r\n\r\ntext\r\n`,
  `Subject: \xe9\xff\r\nFrom: \xc3\xa9 <x>\r\n\r\n\xe9`,
];
const LARGE = mail('large', 'a line\r\n'.repeat(20_000));

const WISHES: Wanted[] = [
  { envelope: true },
  { headerFields: { names: ['Subject', 'FROM'], not: false } },
  { headerFields: { names: ['subject'], not: true } },
  { body: true, bodyStructure: true },
  { preview: true },
  { objectIds: true },
  {},
];

async function all(folder: MailFolder, uids: readonly number[]): Promise<unknown[]> {
  const found: unknown[] = [];
  for (const want of WISHES) for (const uid of uids) found.push(await record(folder, uid, want));
  for (const uid of uids) for (const path of [[], [1], [2, 1]]) found.push(await read(folder, uid, path));
  return found;
}

test('a mail that the index has not read yet is given as it is afterwards', async () => {
  const box = await Box.make();
  const held: (() => void)[] = [];
  let holding = true;
  const onIndex = (index: MailIndex): void => {
    const parse = index.parse.bind(index);
    index.parse = (...what) => void (holding ? held.push(() => parse(...what)) : parse(...what));
  };
  const folder = await inbox(await box.open({ files: unsynced, onIndex }));
  const uids: number[] = [];
  for (const text of MAILS) uids.push(await append(folder, Buffer.from(text, 'latin1'), [], 1_000_000));
  const large = await append(folder, LARGE, [], 1_000_000);
  const before = await all(folder, uids);
  assert.match((await record(folder, large, { envelope: true }))!.envelope!, /"large"/, 'of a large mail, its header');
  holding = false;
  for (const parse of held) parse();
  await search(folder, { key: 'body', text: 'text' }); // needs all to be read
  const after = await all(folder, uids);
  for (const [i, each] of before.entries()) assert.deepEqual(each, after[i]);
  await box.stop();
});

test('a mail that another program renamed before the index read it is found under its new name', async () => {
  const box = await Box.make();
  const folder = await inbox(await box.open({ files: unsynced }));
  const uid = await append(folder, mail('renamed'));
  const { files, maildir } = { files: unsynced, maildir: folder.state.maildir };
  const [name] = await box.names();
  await files.rename(`${maildir.path}/${name}`, `${maildir.path}/${name}S`);
  assert.match((await record(folder, uid, { envelope: true }))!.envelope!, /"renamed"/);
  await box.stop();
});

test('a pipe under the name of a mail holds nobody up', { skip: process.platform === 'win32' }, async () => {
  const box = await Box.make();
  await append(await inbox(await box.open({ files: unsynced })), mail('before'));
  execFileSync('mkfifo', [`${box.maildir}/cur/1.pipe:2,`]);
  const folder = await inbox(await box.restart({ files: unsynced }));
  const uid = await append(folder, mail('behind'));
  const subjects = [];
  for await (const records of folder.records(folder.uids, { envelope: true }))
    for (const { envelope } of records) subjects.push(/"(\w+)"/.exec(envelope!)?.[1]);
  assert.deepEqual(subjects, ['before', undefined, 'behind']);
  assert.deepEqual(await search(folder, { key: 'header', name: 'subject', text: 'behind' }), [uid]);
  await box.stop();
});
