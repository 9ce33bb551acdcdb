import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, test } from 'node:test';
import type { MailFolder } from '../../src/mailbox/folder.ts';
import { searchIndex } from '../../src/mailbox/index/index-search.ts';
import { IndexStore } from '../../src/mailbox/index/index-store.ts';
import { openIndexFile } from '../../src/mailbox/index/schema.ts';
import { parseMail } from '../../src/mailbox/mime/parse-mail.ts';
import type { SearchKey, Thread } from '../../src/mailbox/types.ts';
import { append, Box, inbox, mail, read, record, search } from './harness.ts';

const DAY = 86_400_000;
const date = Date.UTC(2024, 2, 10);
const header = (name: string, text: string): SearchKey => ({ key: 'header', name, text });
const body = (text: string): SearchKey => ({ key: 'body', text });
const whole = (text: string) => ({ key: 'text', text }) as const;

const MAILS = [
  // 1
  'From: Ann Ünal <ann@tox>\r\nTo: bob@tox\r\nSubject: Holiday in =?utf-8?Q?M=C3=BCnchen?=\r\nDate: Fri, 8 Mar 2024 23:30:00 -0500\r\nMessage-ID: <1@tox>\r\nX-Mark: red\r\n\r\nSee you at the Café.\r\n',
  // 2
  'From: Bob <bob@tox>\r\nTo: ann@tox\r\nCc: carl@tox\r\nSubject: Re: Holiday in =?utf-8?Q?M=C3=BCnchen?=\r\nDate: Sat, 9 Mar 2024 10:00:00 +0000\r\nMessage-ID: <2@tox>\r\nReferences: <1@tox>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nPHA+5pel5pys6Kqe44Gu5paH5pu4PC9wPg==\r\n--b\r\nContent-Type: application/pdf; name="=?utf-8?Q?Rechnung_f=C3=BCr_M=C3=A4rz.pdf?="\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--b--\r\n',
  // 3
  'From: carl@tox\r\nTo: ann@tox\r\nBcc: dora@tox\r\nSubject: 50% "off" _now_\r\nMessage-ID: <3@tox>\r\nIn-Reply-To: <2@tox>\r\n\r\nthe string spans\r\nlines of text\r\n',
  // 4: no header at all
  '\r\nonly text\r\n',
];

let box: Box;
let folder: MailFolder;
before(async () => {
  box = await Box.make();
  folder = await inbox(await box.open());
  for (const [n, text] of MAILS.entries())
    await append(folder, text, n === 1 ? ['\\Seen', 'Work'] : [], date + n * DAY);
});

const CASES: readonly (readonly [SearchKey, readonly number[]])[] = [
  [{ key: 'all' }, [1, 2, 3, 4]],
  [header('From', 'unal'), [1]],
  [header('from', 'ANN@TOX'), [1]],
  [header('subject', 'münchen'), [1, 2]],
  [header('Subject', 'MUNCHEN'), [1, 2]],
  [header('subject', '% "off" _'), [3]],
  [header('cc', ''), [2]],
  [header('bcc', 'dora'), [3]],
  [header('x-mark', 'RED'), [1]],
  [header('x-mark', ''), [1]],
  [header('x-mark', '2@tox'), []],
  [header('Message-ID', '<2@tox>'), [2]],
  [body('café'), [1]],
  [body('CAFE'), [1]],
  [body('日本語'), [2]],
  [body('日本'), [2]],
  [body('語'), [2]],
  [body('märz.PDF'), [2]],
  [body('holiday'), []],
  [body('string spans lines'), [3]],
  [body('ca'), [1]],
  [body('x'), [3, 4]],
  [whole('holiday'), [1, 2]],
  [whole('tox'), [1, 2, 3]],
  [whole('nothing of that'), []],
  [whole(''), [1, 2, 3, 4]],
  [{ key: 'flag', flag: '\\Seen' }, [2]],
  [{ key: 'flag', flag: 'work' }, [2]],
  [{ key: 'flag', flag: 'unheard' }, []],
  [{ key: 'not', of: { key: 'flag', flag: '\\seen' } }, [1, 3, 4]],
  [
    {
      key: 'uid',
      ranges: [
        [2, 3],
        [9, 99],
      ],
    },
    [2, 3],
  ],
  [{ key: 'before', date: 'internal', day: date / DAY + 1 }, [1]],
  [{ key: 'on', date: 'internal', day: date / DAY + 1 }, [2]],
  [{ key: 'since', date: 'internal', day: date / DAY + 2 }, [3, 4]],
  // As written, whatever the zone: the eighth of March.
  [{ key: 'on', date: 'sent', day: Date.UTC(2024, 2, 8) / DAY }, [1]],
  [{ key: 'since', date: 'sent', day: Date.UTC(2024, 2, 9) / DAY }, [2]],
  [{ key: 'before', date: 'saved', day: date / DAY }, []],
  [{ key: 'larger', octets: 300 }, [2]],
  [{ key: 'smaller', octets: 20 }, [4]],
  [{ key: 'older', seconds: 60 }, [1, 2, 3, 4]],
  [{ key: 'or', of: [body('cafe'), { key: 'and', of: [header('from', 'bob'), body('日')] }] }, [1, 2]],
  [{ key: 'emailid', id: 'M00' }, []],
];

test('every search key finds what it is meant to, before and after the full-text index is built', async () => {
  for (let round = 0; round < 2; round++) {
    for (const [key, uids] of CASES)
      assert.deepEqual(await search(folder, key), uids, `${JSON.stringify(key)}, round ${round}`);
  }
});

test('a text in more mails than the index wants to look at one by one is found in all', async () => {
  const many = await Box.make();
  const other = (await (await many.open()).folder('Archive'))!;
  for (let n = 0; n < 40; n++) await append(other, `Subject: number ${n}\r\n\r\nsomething common\r\n`);
  assert.equal((await search(other, body('common'))).length, 40);
  assert.deepEqual(await search(other, header('subject', 'number 39')), [40]);
});

test('EMAILID is of the content, THREADID of the conversation, MODSEQ counts changes', async () => {
  const ids = [];
  for (const uid of folder.uids) ids.push((await record(folder, uid, { objectIds: true }))!);
  assert.deepEqual(await search(folder, { key: 'emailid', id: ids[2]!.emailId! }), [3]);
  assert.deepEqual(await search(folder, { key: 'threadid', id: ids[0]!.threadId! }), [1, 2]);
  const before = folder.highestModSeq;
  await folder.storeFlags([3], { mode: 'add', flags: ['\\Flagged'] });
  assert.deepEqual(await search(folder, { key: 'modseq', from: before + 1 }), [3]);
});

test('mails are sorted and threaded as RFC 5256 says', async () => {
  const sorted = async (...keys: ('subject' | 'date' | 'from' | 'size' | 'arrival')[]): Promise<number[]> => [
    ...(await folder.sort(
      folder.uids,
      keys.map((key) => ({ key, reverse: false })),
    )),
  ];
  assert.deepEqual(await sorted('subject', 'date'), [4, 3, 1, 2]);
  assert.deepEqual(await sorted('from'), [4, 1, 2, 3]);
  assert.deepEqual(await sorted('date'), [1, 2, 3, 4]);
  assert.deepEqual([...(await folder.sort([1, 3, 4], [{ key: 'size', reverse: true }]))], [1, 3, 4]);
  const shape = (threads: readonly Thread[]): unknown => threads.map(({ uid, children }) => [uid, shape(children)]);
  assert.deepEqual(shape(await folder.thread(folder.uids, 'REFERENCES')), [
    [1, [[2, [[3, []]]]]],
    [4, []],
  ]);
  assert.deepEqual(shape(await folder.thread([2, 3], 'ORDEREDSUBJECT')), [
    [2, []],
    [3, []],
  ]);
  assert.deepEqual(shape(await folder.thread([1, 3], 'REFERENCES')), [
    [1, []],
    [3, []],
  ]);
});

test('header fields, previews and parts come as in the mail, with CRLF, whatever the file has', async () => {
  await writeFile(join(box.maildir, 'new', '1800000000.lf'), MAILS[1]!.replaceAll('\r\n', '\n'));
  await folder.sync();
  const uid = folder.uids.at(-1)!;
  const wanted = { names: ['subject', 'References', 'x-none'], not: false };
  const { headerFields, preview, size } = (await record(folder, uid, { headerFields: wanted, preview: true }))!;
  assert.equal(size, MAILS[1]!.length);
  assert.equal(
    Buffer.from(headerFields!).toString(),
    'Subject: Re: Holiday in =?utf-8?Q?M=C3=BCnchen?=\r\nReferences: <1@tox>\r\n\r\n',
  );
  assert.equal(preview, '日本語の文書');
  const rest = (await record(folder, uid, {
    headerFields: { names: ['Subject', 'From', 'To', 'Cc', 'Date'], not: true },
  }))!;
  assert.match(Buffer.from(rest.headerFields!).toString(), /^Message-ID: <2@tox>\r\nReferences: /);
  assert.equal(await read(folder, uid), MAILS[1]);
  assert.equal(await read(folder, uid, [1]), 'PHA+5pel5pys6Kqe44Gu5paH5pu4PC9wPg==');
  const reader = (await folder.open(uid))!;
  const piece = async (from: number, to: number): Promise<string> => {
    const section = (await reader.section([], 'all'))!;
    const pieces = [];
    for await (const each of section.read(from, to)) pieces.push(each);
    return Buffer.concat(pieces).toString();
  };
  for (const from of [0, 17, 100]) assert.equal(await piece(from, from + 50), MAILS[1]!.slice(from, from + 50));
  const mime = (await reader.section([2], 'mime'))!;
  assert.equal(mime.size, MAILS[1]!.indexOf('\r\n\r\nAAAA') + 4 - MAILS[1]!.indexOf('Content-Type: application/pdf'));
  const binary = await reader.binary([1]);
  assert.ok(binary && binary !== 'unknown-cte');
  assert.equal(binary.size, Buffer.byteLength('<p>日本語の文書</p>'));
  assert.equal(await reader.section([3], 'all'), undefined);
  assert.equal(await reader.section([1, 1], 'all'), undefined);
  assert.equal(await reader.section([1], 'header'), undefined);
  await reader.close();
});

test('mails with very long headers come in pieces, so that nobody else waits long for the daemon', async () => {
  const store = await (await Box.make()).open();
  const folder = await inbox(store);
  const long = 'x'.repeat(200_000);
  for (let i = 0; i < 6; i++) await append(folder, `From: a@tox\r\nSubject: ${i} ${long}\r\n\r\nhello\r\n`);
  for (const want of [{ envelope: true }, { headerFields: { names: ['Subject'], not: false } }]) {
    const subjects: string[] = [];
    for await (const records of folder.records(folder.uids, want)) {
      assert.ok(records.length <= 3, `${records.length} at once`);
      for (const { envelope, headerFields } of records)
        subjects.push(envelope ?? Buffer.from(headerFields!).toString('latin1'));
    }
    assert.deepEqual(
      subjects.map((text) => /(\d) x{100}/.exec(text)?.[1]),
      ['0', '1', '2', '3', '4', '5'],
    );
  }
});

test('a mail is found by its text, also when its number in the index was given before, to one that was not kept', async () => {
  const { sql } = openIndexFile((await Box.make()).indexFile);
  const store = new IndexStore(sql);
  const key = { mailboxId: 'F1', uidValidity: 1 };
  const folderId = store.folder(key);
  store.add(key, Uint32Array.of(1), Uint32Array.of(0), Float64Array.of(1));
  const keep = (subject: string): number => {
    const text = Buffer.from(mail(subject));
    return store.keep(parseMail((into, position) => text.copy(into, 0, position)));
  };
  let lost = 0;
  assert.throws(() =>
    store.transaction(() => {
      lost = keep('lost');
      throw new Error('the disk is full');
    }),
  );
  while (store.tidy());
  store.transaction(() => {
    const content = keep('another one');
    assert.equal(content, lost);
    store.parsed(folderId, 1, content, 1, 0);
  });
  while (store.tidy());
  assert.deepEqual([...searchIndex(store, store.folder(key), whole('another'))], [1]);
  store.close();
});
