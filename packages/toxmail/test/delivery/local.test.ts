import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileContent, realFiles } from '../../src/base/files.ts';
import { silentLogger } from '../../src/base/log.ts';
import { canonicalAddress } from '../../src/contacts/address.ts';
import { AddressBookOf } from '../../src/contacts/address-book.ts';
import { Contacts } from '../../src/contacts/contacts.ts';
import { LocalDelivery, type LocalMailbox } from '../../src/delivery/local.ts';
import type { DeliveryJob } from '../../src/delivery/target.ts';
import { Maildir } from '../../src/maildir/maildir.ts';
import { MailError, type MailStatus } from '../../src/smtp/mail-error.ts';
import { Accounts } from '../../src/store/accounts.ts';
import { openDatabase } from '../../src/store/database.ts';
import { FailingFiles, systemError } from '../../src/testing/failing-files.ts';
import { VirtualScheduler } from '../../src/testing/virtual-scheduler.ts';
import { CreditPool } from '../../src/transfer/credit.ts';
import { Inbox } from '../../src/transfer/inbox.ts';
import { CREDIT_POOL } from '../../src/transfer/limits.ts';
import { transferStatus } from '../../src/transfer/outcome.ts';
import { Partials } from '../../src/transfer/partials.ts';
import { SeenTransfers } from '../../src/transfer/seen.ts';
import { MUM_ID, TOM_ID } from '../contacts/ids.ts';

async function bench(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'toxmail-local-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const clock = new VirtualScheduler();
  const files = new FailingFiles(realFiles);
  const db = openDatabase(':memory:');
  const accounts = new Accounts(db, clock);
  const contacts = new Contacts(db, accounts, clock);
  for (const [name, id] of [
    ['mum', MUM_ID],
    ['tom', TOM_ID],
  ] as const) {
    accounts.add(name, 'h');
    accounts.setToxId(name, id);
  }
  const boxes = new Map<string, LocalMailbox>();
  let refusal: MailStatus | undefined;
  for (const { name } of accounts.list()) {
    const maildir = new Maildir(files, join(folder, name), clock);
    const seen = new SeenTransfers(db, name, clock);
    const inbox = new Inbox({
      account: name,
      maildir,
      seen,
      partials: new Partials(files, join(folder, `${name}-partial`), clock),
      book: new AddressBookOf(name, accounts, contacts),
      pool: new CreditPool(CREDIT_POOL),
      scheduler: clock,
      log: silentLogger,
      maxSize: 1_000_000,
      admit: () => refusal,
    });
    await inbox.prepare();
    boxes.set(name, { inbox, maildir, seen, handOver: undefined });
  }
  const local = new LocalDelivery({
    log: silentLogger,
    mailbox: (account) => boxes.get(account),
    publicKey: (account) => accounts.get(account)?.toxId?.slice(0, 64),
  });
  const mail = (text: string, to: string, from: string, id = 'ab'.repeat(16)): DeliveryJob => {
    const path = join(folder, 'spooled');
    writeFileSync(path, text);
    const digest = createHash('sha256').update(text).digest();
    return {
      id,
      account: 'mum',
      peer: to,
      envelope: { from, to: `${to}@tox`, tag: 'garden' },
      content: fileContent(files, path),
      size: text.length,
      digest,
    };
  };
  return {
    db,
    local,
    files,
    mail,
    /** From now on the account has a mail server, which refuses all. */
    handOver(account: string, status: MailStatus): void {
      const refused = async (): Promise<never> => {
        throw new MailError(status);
      };
      const writer = { append: async () => {}, commit: refused, abort: async () => {} };
      boxes.set(account, { ...boxes.get(account)!, handOver: { create: () => writer } });
    },
    refuse(status: MailStatus | undefined): void {
      refusal = status;
    },
    mails: (account: string): string[] =>
      readdirSync(join(folder, account, 'new')).map((name) => readFileSync(join(folder, account, 'new', name), 'utf8')),
  };
}

const MUM = canonicalAddress(MUM_ID);

test('mail between two accounts arrives under their names, once, with its body untouched', async (t) => {
  const { local, mail, mails } = await bench(t);
  const text = `From: Mama <${MUM}>\r\nTo: ${canonicalAddress(TOM_ID)}\r\n\r\nbody\r\n.\r\n`;
  for (let i = 0; i < 2; i++) assert.deepEqual(await local.deliver(mail(text, 'tom', MUM)), { kind: 'delivered' });
  const [stored, ...more] = mails('tom');
  assert.deepEqual(more, []);
  assert.match(stored!, /^From: mum <mum@tox>\r$/m);
  assert.match(stored!, /^To: tom <tom@tox>\r$/m);
  assert.match(stored!, /^Delivered-To: tom\+garden@tox\r$/m);
  assert.ok(stored!.endsWith('\r\n\r\nbody\r\n.\r\n'));
});

test('a notice to an account itself keeps its header, and comes once', async (t) => {
  const { local, mail, mails } = await bench(t);
  const notice = mail('From: Toxmail <mailer-daemon@tox>\r\n\r\nsorry\r\n', 'mum', '');
  for (let i = 0; i < 2; i++) assert.deepEqual(await local.deliver(notice), { kind: 'delivered' });
  assert.deepEqual(mails('mum').length, 1);
  assert.match(mails('mum')[0]!, /^From: Toxmail <mailer-daemon@tox>\r$/m);
});

test('a notice that the mail server refuses for good stays in the Maildir, and one that it refuses for now waits', async (t) => {
  const { local, mail, mails, handOver } = await bench(t);
  const notice = mail('From: Toxmail <mailer-daemon@tox>\r\n\r\nsorry\r\n', 'mum', '');
  const refusal = { reply: 450, enhanced: '4.2.0', text: 'not now' } as const;
  handOver('mum', refusal);
  assert.deepEqual(await local.deliver(notice), { kind: 'failed', status: refusal });
  assert.deepEqual(mails('mum'), []);
  handOver('mum', { reply: 550, enhanced: '5.1.1', text: 'unknown user' });
  for (let i = 0; i < 2; i++) assert.deepEqual(await local.deliver(notice), { kind: 'delivered' });
  assert.equal(mails('mum').length, 1);
  assert.match(mails('mum')[0]!, /^Delivered-To: mum@tox\r$/m);
});

test('an account that has gone is a refusal for good, a full disk one for now', async (t) => {
  const { local, mail, files, mails } = await bench(t);
  const gone = await local.deliver(mail('x', 'dad', MUM));
  assert.equal(gone.kind === 'failed' && gone.status.enhanced, '5.1.1');
  files.fail = (name) => (name === 'write' ? systemError('ENOSPC') : undefined);
  const full = await local.deliver(mail(`From: ${MUM}\r\n\r\nx`, 'tom', MUM));
  assert.equal(full.kind === 'failed' && full.status.enhanced, '4.3.1');
  files.fail = () => undefined;
  assert.deepEqual(await local.deliver(mail(`From: ${MUM}\r\n\r\nx`, 'tom', MUM)), { kind: 'delivered' });
  assert.equal(mails('tom').length, 1);
});

test('a full mailbox takes no mail from next door, and the sender hears why', async (t) => {
  const { local, mail, mails, refuse } = await bench(t);
  const job = mail('Subject: x\r\n\r\ny', 'tom', MUM);
  refuse(transferStatus.mailboxFull());
  const full = await local.deliver(job);
  assert.deepEqual([full.kind, full.kind === 'failed' && full.status.enhanced], ['failed', '4.2.2']);
  assert.equal(mails('tom').length, 0);
  refuse(undefined);
  assert.equal((await local.deliver(job)).kind, 'delivered');
});

test('a mail whose row cannot be written is stored once all the same, however often it comes', async (t) => {
  const { db, local, mail, mails } = await bench(t);
  db.exec("CREATE TEMP TRIGGER t BEFORE INSERT ON seen_transfers BEGIN SELECT RAISE(FAIL, 'disk'); END");
  const job = mail(`From: ${MUM}\r\n\r\nx`, 'tom', MUM);
  const notice = mail('From: Toxmail <mailer-daemon@tox>\r\n\r\nsorry\r\n', 'mum', '', 'cd'.repeat(16));
  for (const each of [job, notice]) {
    await local.deliver(each);
    for (let i = 0; i < 2; i++) assert.deepEqual(await local.deliver(each), { kind: 'delivered' });
  }
  assert.deepEqual([mails('tom').length, mails('mum').length], [1, 1]);
  db.exec('DROP TRIGGER t');
  assert.equal(db.prepare('SELECT count(*) AS n FROM seen_transfers').get()?.n, 0);
  await local.deliver(mail(`From: ${MUM}\r\n\r\nx`, 'tom', MUM, 'ef'.repeat(16)));
  assert.equal(db.prepare("SELECT count(*) AS n FROM seen_transfers WHERE account = 'tom'").get()?.n, 2);
});
