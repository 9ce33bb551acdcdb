import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FailingFiles, systemError } from '../../../src/testing/failing-files.ts';
import { append, Box, inbox, mail, unsynced } from '../../mailbox/harness.ts';
import { ImapBox } from '../script.ts';

test('a client hears which flags it changed also when its command failed half-way', async (t) => {
  const disk = await Box.make();
  t.after(() => disk.stop());
  const files = new FailingFiles(unsynced);
  const store = await disk.open({ files });
  const folder = await inbox(store);
  const coded = 'Content-Transfer-Encoding: x-secret\r\n\r\nhidden';
  for (const text of [
    mail('1'),
    `Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n${coded}\r\n--b--\r\n`,
    mail('3'),
  ])
    await append(folder, text);
  const client = await new ImapBox(store as never).select();
  let renames = 0;
  files.fail = (operation) => (operation === 'rename' && ++renames === 2 ? systemError('EIO') : undefined);
  client.send('a STORE 1:3 +FLAGS.SILENT (\\Flagged)\r\n');
  const stored = await client.reply('a');
  assert.match(stored, /^\* 1 FETCH \(FLAGS \(\\Flagged\)\)\r\n/);
  assert.match(stored, /\r\na NO /);

  client.send('b FETCH 1:3 BINARY[1]\r\n');
  const fetched = await client.reply('b');
  assert.match(fetched, /\* 3 FETCH \(FLAGS \(\\Seen\)\)\r\n/, 'that was marked before the second failed');
  assert.match(fetched, /b NO \[UNKNOWN-CTE\]/);
});
