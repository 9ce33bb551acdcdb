import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { realFiles } from '../../src/base/files.ts';
import { Maildir } from '../../src/maildir/maildir.ts';
import { Accounts } from '../../src/store/accounts.ts';
import { openDatabase } from '../../src/store/database.ts';
import { SeenTransfers } from '../../src/transfer/seen.ts';

test('a clock that was a year ahead for a while does not make a crash bring mails twice', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'toxmail-seen-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const clock = { now: Date.UTC(2027, 0, 1), mono: () => 0, unixMs: () => clock.now };
  const db = openDatabase(':memory:');
  new Accounts(db, clock).add('me', 'hash');
  const maildir = new Maildir(realFiles, folder, clock);
  await maildir.prepare();
  await new SeenTransfers(db, 'me', clock).add('aa');
  clock.now = Date.UTC(2026, 0, 1);
  const writer = await maildir.create('bb');
  await writer.commit();
  // Killed here, before the row.
  const seen = new SeenTransfers(db, 'me', clock);
  await seen.recover(maildir);
  assert.ok(seen.has('bb'));
});
