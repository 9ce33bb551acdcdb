import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { systemScheduler } from '../../src/base/clock.ts';
import { realFiles } from '../../src/base/files.ts';
import { canonicalAddress } from '../../src/contacts/address.ts';
import { welcome, welcomeMail } from '../../src/daemon/welcome.ts';
import { Maildir } from '../../src/maildir/maildir.ts';
import { Accounts } from '../../src/store/accounts.ts';
import { openDatabase } from '../../src/store/database.ts';
import { MUM_ID } from '../contacts/ids.ts';

const PAGE = 'http://127.0.0.1:2580/';

async function house(t: TestContext) {
  const path = mkdtempSync(join(tmpdir(), 'toxmail-welcome-'));
  const maildir = new Maildir(realFiles, path, systemScheduler);
  await maildir.prepare();
  const db = openDatabase(':memory:');
  const accounts = new Accounts(db, systemScheduler);
  accounts.add('mum', 'hash');
  accounts.setToxId('mum', MUM_ID);
  t.after(() => {
    db.close();
    rmSync(path, { recursive: true, force: true });
  });
  const greet = () => welcome(accounts.get('mum')!, maildir, accounts, systemScheduler, PAGE);
  return { path, maildir, accounts, db, greet };
}

test('a new account is greeted once, with its address and where to go on', async (t) => {
  const { path, greet } = await house(t);
  await greet();
  await greet();
  const [name, ...more] = readdirSync(join(path, 'new'));
  assert.equal(more.length, 0);
  const mail = readFileSync(join(path, 'new', name!), 'latin1');
  for (const part of mail.split(/--=_\w+/).slice(1, 3))
    for (const wanted of [canonicalAddress(MUM_ID), 'toxmail contact add NAME ADDRESS --account mum', PAGE])
      assert.ok(part.includes(wanted), wanted);
});

test('killed between the mail and its note, the next start does not greet again', async (t) => {
  const { path, greet, db } = await house(t);
  await greet();
  db.exec('UPDATE accounts SET welcomed = 0');
  await greet();
  assert.equal(readdirSync(join(path, 'new')).length, 1);
});

test('who deleted the mail, or wanted none, does not get it at the next start', async (t) => {
  const { path, greet, maildir } = await house(t);
  await greet();
  for (const mail of await maildir.list()) await maildir.remove(mail);
  await greet();
  assert.equal(readdirSync(join(path, 'new')).length, 0);
  const other = await house(t);
  other.accounts.setWelcomed('mum');
  await other.greet();
  assert.equal(readdirSync(join(other.path, 'new')).length, 0);
});

test('it is ASCII in short lines, and fetches nothing from elsewhere', () => {
  const mail = welcomeMail('x'.repeat(64), MUM_ID, PAGE, 0);
  for (const line of mail.split('\r\n')) assert.ok(line.length < 200 && /^[\x20-\x7e]*$/.test(line), line);
  assert.doesNotMatch(mail, /<img|<a |<link|src=|href=/);
});
