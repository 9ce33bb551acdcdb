import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { UserError } from '../../src/base/user-error.ts';
import { Accounts } from '../../src/store/accounts.ts';
import { openDatabase } from '../../src/store/database.ts';
import { VirtualScheduler } from '../../src/testing/virtual-scheduler.ts';
import { SeenTransfers } from '../../src/transfer/seen.ts';
import { MUM_ID } from '../contacts/ids.ts';

test('the database is readable by its owner only, syncs each commit, and survives being opened again', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'toxmail-db-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'toxmail.db');
  const first = openDatabase(path);
  new Accounts(first, new VirtualScheduler()).add('mum', 'h');
  assert.equal(first.prepare('PRAGMA synchronous').get()!.synchronous, 2);
  assert.equal(first.prepare('PRAGMA journal_mode').get()!.journal_mode, 'wal');
  if (process.platform !== 'win32') {
    for (const name of [path, `${path}-wal`]) assert.equal(statSync(name).mode & 0o777, 0o600);
  }
  first.close();
  const again = openDatabase(path);
  assert.equal(new Accounts(again, new VirtualScheduler()).get('mum')!.name, 'mum');
  again.exec('PRAGMA user_version = 9999');
  again.close();
  assert.throws(
    () => openDatabase(path),
    (error) => error instanceof UserError && /newer Toxmail/.test(error.message),
  );
});

test('work handed in together is committed together, and one that fails is undone alone', async () => {
  const db = openDatabase(':memory:');
  const accounts = new Accounts(db, new VirtualScheduler());
  const results = await Promise.allSettled([
    db.soon(() => accounts.add('a', 'h').name),
    db.soon(() => {
      accounts.add('b', 'h');
      throw new Error('no');
    }),
    db.soon(() => db.transaction(() => accounts.add('c', 'h').name)),
  ]);
  assert.deepEqual(
    results.map((r) => (r.status === 'fulfilled' ? r.value : r.status)),
    ['a', 'rejected', 'c'],
  );
  assert.deepEqual(
    accounts.list().map((a) => a.name),
    ['a', 'c'],
  );
});

test('if SQLite undoes a whole commit, as when the disk is full, nobody is told that his part is there', async () => {
  const db = openDatabase(':memory:');
  const accounts = new Accounts(db, new VirtualScheduler());
  const results = await Promise.allSettled([
    db.soon(() => accounts.add('a', 'h')),
    db.soon(() => {
      db.exec('ROLLBACK');
      throw new Error('full');
    }),
    db.soon(() => accounts.add('c', 'h')),
  ]);
  assert.ok(results.every(({ status }) => status === 'rejected'));
  assert.deepEqual(accounts.list(), []);
  await db.soon(() => accounts.add('d', 'h'));
  assert.equal(accounts.list().length, 1);
});

test('what nobody waits for goes with the next commit, and is written without one', async () => {
  const db = openDatabase(':memory:');
  const accounts = new Accounts(db, new VirtualScheduler());
  const order: string[] = [];
  const late = db.later(() => accounts.add('late', 'h')).then(() => order.push('late'));
  await db.soon(() => accounts.add('soon', 'h')).then(() => order.push('soon'));
  await late;
  assert.deepEqual(order, ['late', 'soon']);
  await db.later(() => accounts.add('alone', 'h'));
  assert.equal(accounts.list().length, 3);
});

test('an account takes with it what it remembers of mails that came', async () => {
  const db = openDatabase(':memory:');
  const accounts = new Accounts(db, new VirtualScheduler());
  accounts.add('mum', 'h');
  const seen = new SeenTransfers(db, 'mum', new VirtualScheduler());
  await seen.add('0123');
  assert.equal(seen.has('0123'), true);
  accounts.remove('mum');
  accounts.add('mum', 'h');
  assert.equal(seen.has('0123'), false);
});

test('what waits for its commit is committed when the database is closed', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'toxmail-db-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'toxmail.db');
  const db = openDatabase(path);
  const done = db.soon(() => new Accounts(db, new VirtualScheduler()).add('a', 'h').name);
  db.close();
  assert.equal(await done, 'a');
  const again = openDatabase(path);
  assert.equal(new Accounts(again, new VirtualScheduler()).list().length, 1);
  again.close();
});

test('account names are such that they can be addresses and folders', () => {
  const accounts = new Accounts(openDatabase(':memory:'), new VirtualScheduler());
  for (const name of ['mum', 'a', 'a.b-c_9', 'x'.repeat(64)]) accounts.add(name, 'h');
  const bad = ['', 'Mum', 'a b', '.', '..', '.a', 'a.', 'a..b', 'a/b', 'ä', 'x'.repeat(65), '1'.repeat(64), 'mum'];
  for (const name of bad) assert.throws(() => accounts.add(name, 'h'), UserError, name);
});

test('changes to an account that is not there are refused', () => {
  const accounts = new Accounts(openDatabase(':memory:'), new VirtualScheduler());
  assert.throws(() => accounts.setPassword('mum', 'h'), /no account "mum"/);
  assert.throws(() => accounts.setToxId('mum', MUM_ID), /no account "mum"/);
  assert.throws(() => accounts.remove('mum'), /no account "mum"/);
});
