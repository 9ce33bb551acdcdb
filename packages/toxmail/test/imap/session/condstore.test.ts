import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../../../src/testing/virtual-scheduler.ts';
import { ImapBox } from '../script.ts';

function box(): ImapBox {
  const all = new ImapBox();
  for (let i = 0; i < 4; i++) all.store.inbox.deliver(`Subject: ${i}\n\nx\n`); // mod-sequences 2 to 5
  return all;
}

test('CONDSTORE: mod-sequences are given once the client has asked for any', async () => {
  const client = await box().select();
  await client.run(
    'C: a STORE 1 +FLAGS (\\Seen)',
    'S: * 1 FETCH (FLAGS (\\Seen))',
    'S: a OK Done',
    'C: b FETCH 1:2 (MODSEQ)',
    'S: * OK [HIGHESTMODSEQ 6] The latest change',
    'S: * 1 FETCH (MODSEQ (6))',
    'S: * 2 FETCH (MODSEQ (3))',
    'S: b OK Done',
    'C: c STORE 2 +FLAGS (\\Seen)',
    'S: * 2 FETCH (UID 2 FLAGS (\\Seen) MODSEQ (7))',
    'S: c OK Done',
    'C: d STORE 2 -FLAGS.SILENT (\\Seen)',
    'S: * 2 FETCH (UID 2 MODSEQ (8))',
    'S: d OK Done',
    'C: e UID FETCH 1:* (FLAGS) (CHANGEDSINCE 5)',
    'S: * 1 FETCH (UID 1 FLAGS (\\Seen) MODSEQ (6))',
    'S: * 2 FETCH (UID 2 FLAGS () MODSEQ (8))',
    'S: e OK Done',
    'C: f SEARCH MODSEQ 6',
    'S: * SEARCH 1 2 (MODSEQ 8)',
    'S: f OK Done',
    'C: g SEARCH RETURN (MIN) MODSEQ 6',
    'S: * ESEARCH (TAG "g") MIN 1 MODSEQ 6',
    'S: g OK Done',
  );
});

test('a conditional STORE leaves alone what others changed since', async () => {
  const all = box();
  const client = await all.select('CONDSTORE');
  await all.store.inbox.storeFlags([2], { mode: 'add', flags: ['\\Answered'] });
  await client.run(
    'C: a STORE 1:2 (UNCHANGEDSINCE 5) +FLAGS.SILENT (\\Deleted)',
    'S: * 1 FETCH (UID 1 MODSEQ (7))',
    'S: * 2 FETCH (UID 2 FLAGS (\\Answered) MODSEQ (6))',
    'S: a OK [MODIFIED 2] Some mails were changed meanwhile',
    'C: b UID STORE 2 (UNCHANGEDSINCE 5) +FLAGS (\\Deleted)',
    'S: b OK [MODIFIED 2] Some mails were changed meanwhile',
  );
});

test('a mail that a conditional STORE leaves alone is told with what others made of it', async () => {
  const all = box();
  const client = await all.select('CONDSTORE');
  await all.store.inbox.storeFlags([2], { mode: 'add', flags: ['\\Answered'] });
  await client.run(
    'C: a STORE 1:2 (UNCHANGEDSINCE 5) +FLAGS (\\Deleted)',
    'S: * 1 FETCH (UID 1 FLAGS (\\Deleted) MODSEQ (7))',
    'S: * 2 FETCH (UID 2 FLAGS (\\Answered) MODSEQ (6))',
    'S: a OK [MODIFIED 2] Some mails were changed meanwhile',
  );
});

test('QRESYNC: a client that comes back learns what it missed, and nothing else', async () => {
  const all = box();
  all.store.inbox.remove([2]); // 6
  await all.store.inbox.storeFlags([3], { mode: 'add', flags: ['\\Seen'] }); // 7
  const client = await all.logIn('QRESYNC');
  client.send('a SELECT INBOX (QRESYNC (3857529045 5 1:4))\r\n');
  const said = await client.reply('a');
  assert.match(said, /\r\n\* VANISHED \(EARLIER\) 2\r\n\* 2 FETCH \(UID 3 FLAGS \(\\Seen\) MODSEQ \(7\)\)\r\na OK/);
  client.send('b SELECT INBOX (QRESYNC (1 5))\r\n');
  assert.doesNotMatch(await client.reply('b'), /VANISHED|FETCH/, 'other UIDs, other world');
  await client.run(
    'C: c UID FETCH 1:* (UID) (CHANGEDSINCE 6 VANISHED)',
    'S: * 2 FETCH (UID 3 MODSEQ (7))',
    'S: c OK Done',
    'C: d UID FETCH 1:* (UID) (CHANGEDSINCE 5 VANISHED)',
    'S: * VANISHED (EARLIER) 2',
    'S: * 2 FETCH (UID 3 MODSEQ (7))',
    'S: d OK Done',
  );
});

test('QRESYNC: removals are VANISHED with UIDs, and flags come with them', async () => {
  const all = box();
  const client = await all.select('QRESYNC');
  await all.store.inbox.storeFlags([4], { mode: 'add', flags: ['\\Seen'] });
  all.store.inbox.remove([1, 2]);
  await client.run(
    'C: a NOOP',
    'S: * VANISHED 1:2',
    'S: * 2 FETCH (UID 4 FLAGS (\\Seen) MODSEQ (6))',
    'S: a OK Done',
    'C: b STORE 1 +FLAGS.SILENT (\\Deleted)',
    'S: * 1 FETCH (UID 3 MODSEQ (8))',
    'S: b OK Done',
    'C: c EXPUNGE',
    'S: * VANISHED 3',
    'S: c OK [HIGHESTMODSEQ 9] Expunged',
    'C: d MOVE 1 Trash',
    'S: * OK [COPYUID 3857529045 4 1] Moved',
    'S: * VANISHED 4',
    'S: d OK [HIGHESTMODSEQ 10] Done',
  );
});

test('QRESYNC: no mod-sequence is told before the removals below it', async () => {
  const all = box();
  for (let i = 0; i < 1_500; i++) all.store.inbox.deliver('x');
  const client = await all.select('QRESYNC');
  await all.store.inbox.storeFlags(all.store.inbox.uids, { mode: 'add', flags: ['\\Seen'] });
  client.reading = false;
  client.send('a NOOP\r\n');
  await until(() => client.said !== ''); // the client takes its time for the first of it
  all.store.inbox.remove([1]);
  const removed = all.store.inbox.highestModSeq;
  await all.store.inbox.storeFlags([1_500], { mode: 'add', flags: ['\\Answered'] });
  client.read();
  let known = 0;
  const hear = (said: string): void => {
    for (const [, modSeq, vanished] of said.matchAll(/MODSEQ \((\d+)\)|(VANISHED 1)\r/g))
      if (vanished) known = Number.POSITIVE_INFINITY;
      else assert.ok(Number(modSeq) < removed || known > 0, `told of ${modSeq}, and not of a removal at ${removed}`);
  };
  hear(await client.reply('a'));
  client.send('b NOOP\r\n');
  const next = await client.reply('b');
  assert.match(next, /^\* VANISHED 1\r\n\* 1499 FETCH \(UID 1500 FLAGS \(\\Seen \\Answered\) MODSEQ \(\d+\)\)\r\nb OK/);
});

test('SELECT with QRESYNC needs ENABLE', async () => {
  const client = await box().logIn();
  await client.run('C: a SELECT INBOX (QRESYNC (1 1))', 'S: a BAD ENABLE QRESYNC first');
});
