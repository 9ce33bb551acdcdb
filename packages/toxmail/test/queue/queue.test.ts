import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { readHead } from '../../src/base/files.ts';
import { UserError } from '../../src/base/user-error.ts';
import type { MailStatus } from '../../src/smtp/mail-error.ts';
import { MIGRATIONS } from '../../src/store/migrations.ts';
import { settle, until } from '../../src/testing/virtual-scheduler.ts';
import { A, B, Bench, BODIES, KEY_A, KEY_B, MUM } from './harness.ts';

const FULL: MailStatus = { reply: 452, enhanced: '4.2.2', text: 'mailbox full' };
const REFUSED: MailStatus = { reply: 550, enhanced: '5.7.1', text: 'not wanted' };
const DAY = 86_400_000;

test('a mail to an absent contact waits and says why; it goes out the moment the contact is online', async (t) => {
  const bench = new Bench(t);
  await bench.queue.start();
  const [id] = await bench.put('hello', A);
  await bench.scheduler.advance(DAY);
  assert.equal(bench.tox.jobs.length, 0);
  assert.equal(bench.queue.get(id!)!.reason!.code, '4.4.1');

  bench.queue.peerOnline('mum', KEY_A);
  const job = bench.tox.jobs[0]!;
  assert.equal(job.id, id);
  assert.equal(job.peer, KEY_A);
  assert.equal(job.size, 5);
  assert.equal(job.envelope.from, 'mum-own@tox');
  job.progress(3);
  const item = bench.queue.get(id!)!;
  assert.deepEqual([item.state, item.sent, item.attempts, item.reason], ['sending', 3, 1, null]);

  job.end({ kind: 'delivered' });
  await bench.calm();
  assert.deepEqual([bench.queue.get(id!)!.state, bench.queue.get(id!)!.sent], ['delivered', 5]);
  assert.deepEqual(bench.kept(), []);
  assert.deepEqual(bench.queue.counts(), { waiting: 0, sending: 0, failed: 0 });
});

test('a contact who is online gets the mail at once, and only from the account that has it as contact', async (t) => {
  const bench = new Bench(t);
  await bench.queue.start();
  bench.queue.peerOnline('dad', KEY_A);
  bench.queue.peerOnline('mum', KEY_B);
  const ids = await bench.put('x', A, B);
  assert.deepEqual(bench.tox.ids, [ids[1]]);
});

test('the body stays while one recipient waits and goes after the last', async (t) => {
  const bench = new Bench(t);
  await bench.queue.start();
  await bench.put('shared', A, B);
  bench.queue.peerOnline('mum', KEY_A);
  bench.tox.jobs[0]!.end({ kind: 'delivered' });
  await bench.calm();
  assert.deepEqual(bench.kept(), ['shared']);
  bench.queue.peerOnline('mum', KEY_B);
  bench.tox.jobs[1]!.end({ kind: 'delivered' });
  await bench.calm();
  assert.deepEqual(bench.kept(), []);
});

test('a temporary refusal waits for the clock, longer each time, and keeps the transfer id', async (t) => {
  const bench = new Bench(t);
  await bench.queue.start();
  bench.queue.peerOnline('mum', KEY_A);
  bench.tox.answer = () => ({ kind: 'failed', status: FULL });
  const [id] = await bench.put('x', A);
  await bench.calm();
  assert.deepEqual(bench.queue.get(id!)!.reason, { code: '4.2.2', text: 'mailbox full' });
  assert.equal(bench.queue.get(id!)!.nextAttempt, bench.scheduler.unixMs() + 30_000);
  await bench.scheduler.advance(29_999);
  assert.equal(bench.tox.jobs.length, 1);
  await bench.scheduler.advance(1);
  assert.equal(bench.tox.jobs.length, 2);
  await bench.calm();
  await bench.scheduler.advance(59_999);
  assert.equal(bench.tox.jobs.length, 2);
  bench.tox.answer = () => ({ kind: 'delivered' });
  await bench.scheduler.advance(1);
  await bench.calm();
  assert.deepEqual(bench.tox.ids, [id, id, id]);
  assert.deepEqual([bench.queue.get(id!)!.state, bench.queue.get(id!)!.attempts], ['delivered', 3]);
});

test('a contact whose program takes no mail is left alone until it comes anew, and the reason is told', async (t) => {
  const bench = new Bench(t);
  await bench.queue.start();
  const text = 'no mail there';
  bench.tox.answer = () => ({ kind: 'offline', status: { reply: 451, enhanced: '4.3.3', text } });
  bench.queue.peerOnline('mum', KEY_A);
  const [id] = await bench.put('x', A);
  await bench.calm();
  const [later] = await bench.put('y', A);
  await bench.scheduler.advance(2 * DAY);
  assert.deepEqual(bench.tox.ids, [id]);
  const item = bench.queue.get(id!)!;
  assert.deepEqual([item.state, item.attempts, item.reason], ['waiting', 0, { code: '4.3.3', text }]);
  assert.equal(bench.queue.get(later!)!.reason!.code, '4.3.3');

  bench.queue.peerOffline('mum', KEY_A);
  assert.equal(bench.queue.get(id!)!.reason!.code, '4.4.1');
  bench.tox.answer = () => ({ kind: 'delivered' });
  bench.queue.peerOnline('mum', KEY_A);
  await bench.calm();
  assert.deepEqual(bench.tox.ids, [id, id, later]);
  assert.deepEqual(bench.kept(), []);
});

test('retry tries at once, by the beginning of the id', async (t) => {
  const bench = new Bench(t);
  await bench.queue.start();
  bench.queue.peerOnline('mum', KEY_A);
  bench.tox.answer = () => ({ kind: 'failed', status: FULL });
  const [id] = await bench.put('x', A);
  await bench.calm();
  assert.equal(bench.queue.retry(id!.slice(0, 12)).state, 'sending');
  assert.equal(bench.tox.jobs.length, 2);
  assert.throws(() => bench.queue.retry('zz'), UserError);
  assert.throws(() => bench.queue.retry(`${id}0`), UserError);
});

test('a refusal for good ends in one notice in the sender’s own inbox, and a notice never causes another', async (t) => {
  const bench = new Bench(t);
  await bench.queue.start();
  bench.queue.peerOnline('mum', KEY_A);
  bench.local.answer = () => ({ kind: 'failed', status: REFUSED });
  const [id] = await bench.put('Subject: hi\r\n\r\nbody', A);
  bench.tox.jobs[0]!.end({ kind: 'failed', status: REFUSED });
  await bench.calm();
  assert.equal(bench.queue.get(id!)!.state, 'failed');
  assert.equal(bench.local.jobs.length, 1);
  const notice = bench.local.jobs[0]!;
  assert.deepEqual([notice.peer, notice.envelope.from], ['mum', '']);
  assert.deepEqual(bench.states(), ['failed', 'failed']);
  assert.deepEqual(bench.kept(), []);
});

test('the notice tells the reason and the header of the mail', async (t) => {
  const bench = new Bench(t);
  await bench.queue.start();
  bench.queue.peerOnline('mum', KEY_A);
  await bench.put('Subject: hi\r\n\r\nsecret body', A);
  bench.tox.jobs[0]!.end({ kind: 'failed', status: REFUSED });
  await until(() => bench.local.jobs.length === 1 && bench.kept().length === 1);
  const [text] = bench.kept();
  assert.match(text!, /^Status: 5\.7\.1\r$/m);
  assert.match(text!, /^Subject: hi\r$/m);
  assert.doesNotMatch(text!, /secret body/);
});

test('after 30 days a mail is given back, with the last thing the other side said', async (t) => {
  const bench = new Bench(t);
  await bench.queue.start();
  const [id] = await bench.put('x', A);
  await bench.scheduler.advance(30 * DAY - 7_200_000);
  assert.equal(bench.queue.get(id!)!.state, 'waiting');
  await bench.scheduler.advance(3 * 3_600_000);
  await until(() => bench.local.jobs.length === 1 && bench.kept().length === 1);
  assert.deepEqual([bench.queue.get(id!)!.state, bench.queue.get(id!)!.reason!.code], ['failed', '5.4.7']);
  assert.deepEqual([bench.local.jobs.length, bench.kept().length], [1, 1]);
});

test('a mail that expired while the daemon was off is still sent if its recipient appears at once', async (t) => {
  const bench = new Bench(t);
  await bench.queue.start();
  const [first] = await bench.put('x', A);
  const [second] = await bench.put('x', B);
  bench.restart();
  bench.scheduler.setUnixMs(bench.scheduler.unixMs() + 40 * DAY);
  bench.local.answer = () => ({ kind: 'delivered' });
  await bench.queue.start();
  await bench.scheduler.advance(60_000);
  bench.tox.answer = () => ({ kind: 'delivered' });
  bench.queue.peerOnline('mum', KEY_A);
  await bench.calm();
  assert.equal(bench.queue.get(first!)!.state, 'delivered');
  await bench.scheduler.advance(DAY / 24);
  await until(() => bench.queue.get(second!)!.state === 'failed');
});

test('a cancelled mail is not sent, leaves no notice, and cannot be cancelled twice', async (t) => {
  const bench = new Bench(t);
  await bench.queue.start();
  const [id] = await bench.put('x', A);
  assert.equal((await bench.queue.cancel(id!)).state, 'failed');
  bench.queue.peerOnline('mum', KEY_A);
  assert.equal(bench.tox.jobs.length, 0);
  assert.deepEqual([bench.kept(), bench.local.jobs], [[], []]);
  await assert.rejects(bench.queue.cancel(id!), UserError);
});

test('cancelling breaks off a delivery under way, whose outcome then counts no more', async (t) => {
  const bench = new Bench(t);
  await bench.queue.start();
  bench.queue.peerOnline('mum', KEY_A);
  const [id] = await bench.put('x', A);
  await bench.queue.cancel(id!);
  await bench.calm();
  assert.deepEqual([bench.queue.get(id!)!.state, bench.tox.jobs.length], ['failed', 1]);
});

test('a mail that is being cancelled is not begun once more', async (t) => {
  const bench = new Bench(t);
  await bench.queue.start();
  bench.queue.peerOnline('mum', KEY_A);
  const [id] = await bench.put('x', A);
  const cancelled = bench.queue.cancel(id!);
  await settle(5);
  bench.queue.peerOnline('mum', KEY_A); // while that is being written down
  await cancelled;
  assert.equal(bench.tox.jobs.length, 1);
});

test('a mail does not wait for a time that was set under a clock that went wrong', async (t) => {
  const bench = new Bench(t);
  await bench.queue.start();
  bench.queue.peerOnline('mum', KEY_A);
  bench.tox.answer = () => ({ kind: 'failed', status: FULL });
  const right = bench.scheduler.unixMs();
  bench.scheduler.setUnixMs(right + 365 * DAY);
  const [id] = await bench.put('x', A);
  await bench.calm();
  assert.equal(bench.queue.get(id!)!.attempts, 1);
  bench.scheduler.setUnixMs(right);
  bench.tox.answer = undefined;
  await bench.scheduler.advance(DAY / 24);
  assert.equal(bench.tox.jobs.length, 2);
});

test('at most 64 mails are under way to one contact, in the order of acceptance, and all arrive', async (t) => {
  const bench = new Bench(t);
  await bench.queue.start();
  const ids = (await Promise.all(Array.from({ length: 300 }, () => bench.put('x', A)))).flat();
  bench.queue.peerOnline('mum', KEY_A);
  assert.equal(bench.tox.jobs.length, 64);
  assert.deepEqual(bench.queue.counts(), { waiting: 236, sending: 64, failed: 0 });
  for (let done = 0; done < ids.length; done++) {
    await until(() => bench.tox.jobs[done] !== undefined);
    bench.tox.jobs[done]!.end({ kind: 'delivered' });
  }
  await bench.calm();
  assert.deepEqual(new Set(bench.tox.ids), new Set(ids));
  assert.equal(bench.tox.jobs.length, ids.length);
  assert.deepEqual(bench.queue.counts(), { waiting: 0, sending: 0, failed: 0 });
});

test('one busy contact does not keep the others waiting', async (t) => {
  const bench = new Bench(t);
  await bench.queue.start();
  const lanes = Array.from({ length: 6 }, (_, i) => `tox:${String(i).repeat(64)}`);
  for (let i = 0; i < 70; i++) await bench.put('x', ...lanes);
  for (const lane of lanes) bench.queue.peerOnline('mum', lane.slice(4));
  assert.equal(bench.tox.jobs.length, 256);
  for (let done = 0; done < 420; done++) {
    await until(() => bench.tox.jobs[done] !== undefined);
    bench.tox.jobs[done]!.end({ kind: 'delivered' });
    await settle(3);
  }
  assert.equal(bench.queue.counts().waiting, 0);
});

test('a session that goes and comes back in the middle costs no attempt and no wait', async (t) => {
  const bench = new Bench(t);
  await bench.queue.start();
  bench.queue.peerOnline('mum', KEY_A);
  const [id] = await bench.put('x', A);
  bench.queue.peerOffline('mum', KEY_A);
  bench.queue.peerOnline('mum', KEY_A);
  bench.tox.jobs[0]!.end({ kind: 'offline' });
  await settle();
  assert.equal(bench.tox.jobs.length, 2);
  assert.equal(bench.queue.get(id!)!.attempts, 1);
  bench.queue.peerOffline('mum', KEY_A);
  bench.tox.jobs[1]!.end({ kind: 'offline' });
  await bench.scheduler.advance(DAY);
  assert.equal(bench.tox.jobs.length, 2);
});

test('stopping ends what is under way and the next start sends it again under the same id', async (t) => {
  const bench = new Bench(t);
  await bench.queue.start();
  bench.queue.peerOnline('mum', KEY_A);
  const [id] = await bench.put('x', A);
  await bench.queue.stop();
  bench.restart();
  await bench.queue.start();
  bench.queue.peerOnline('mum', KEY_A);
  assert.deepEqual(bench.tox.ids, [id]);
});

test('local mail needs nobody to be online', async (t) => {
  const bench = new Bench(t);
  await bench.queue.start();
  bench.local.answer = () => ({ kind: 'delivered' });
  const [id] = await bench.put('x', MUM);
  await bench.calm();
  assert.equal(bench.queue.get(id!)!.state, 'delivered');
});

test('mail for a contact that was removed comes back with a notice', async (t) => {
  const bench = new Bench(t);
  await bench.queue.start();
  const [id] = await bench.put('x', A);
  await bench.queue.contactRemoved('mum', KEY_A);
  assert.equal(bench.queue.get(id!)!.reason!.code, '5.1.1');
  assert.equal(bench.local.jobs.length, 1);
});

for (const [kind, body] of Object.entries(BODIES)) {
  test(`a ${kind} mail whose body was lost is told to the sender instead of being sent`, async (t) => {
    const bench = new Bench(t);
    const [id] = await bench.put(body, A);
    for (const name of bench.spoolFiles()) await bench.queue.spool.remove(name);
    bench.db.exec('DELETE FROM contents');
    bench.restart();
    await bench.queue.start();
    bench.queue.peerOnline('mum', KEY_A);
    assert.deepEqual([bench.queue.get(id!)!.state, bench.local.jobs.length, bench.tox.jobs.length], ['failed', 1, 0]);
  });

  test(`the body of a ${kind} mail is the same after a restart, for each recipient, and goes after the last`, async (t) => {
    const bench = new Bench(t);
    await bench.put(body, A, B);
    bench.restart();
    await bench.queue.start();
    assert.equal(bench.spoolFiles().length, kind === 'large' ? 1 : 0);
    for (const [i, key] of [KEY_A, KEY_B].entries()) {
      bench.queue.peerOnline('mum', key);
      const { content, size, digest, end } = bench.tox.jobs[i]!;
      const bytes = await readHead(content, size + 1);
      assert.equal(Buffer.from(bytes).toString(), body);
      assert.ok(createHash('sha256').update(bytes).digest().equals(digest));
      assert.deepEqual(bench.kept(), [body]);
      end({ kind: 'delivered' });
      await bench.calm();
    }
    assert.deepEqual(bench.kept(), []);
  });
}

test('a mail goes out at once also when all before it is forgotten', async (t) => {
  const bench = new Bench(t);
  await bench.queue.start();
  bench.queue.peerOnline('mum', KEY_A);
  bench.tox.answer = () => ({ kind: 'delivered' });
  for (let i = 0; i < 3; i++) await bench.put('x', A);
  await bench.calm();
  await bench.scheduler.advance(8 * DAY);
  assert.deepEqual(bench.states(), []);
  await bench.put('x', A);
  await bench.calm();
  assert.deepEqual(bench.states(), ['delivered']);
});

test('a mail of 64 KiB has no file, one of a byte more has; both are whole', async (t) => {
  const bench = new Bench(t);
  const bodies = [65_536, 65_537, 200_000].map((size) => 'x'.repeat(size));
  for (const [i, body] of bodies.entries()) {
    await bench.put(body, A);
    assert.equal(bench.spoolFiles().length, i);
  }
  assert.deepEqual(
    bench
      .kept()
      .map((body) => body.length)
      .sort(),
    [65_536, 65_537, 200_000].sort(),
  );
});

test('mails of a version that kept all of them as files are delivered', async (t) => {
  const bench = new Bench(t);
  bench.db.close();
  rmSync(join(bench.folder, 'toxmail.db'));
  const old = new DatabaseSync(join(bench.folder, 'toxmail.db'));
  old.exec(`${MIGRATIONS.slice(0, 2).join('')}; PRAGMA user_version = 2`);
  writeFileSync(join(bench.spool, 'old'), 'old mail');
  old.exec(`INSERT INTO mails VALUES (1, 'mum', '<1@x>', 'mum@tox', 'old', 8, x'00', 0, 9e15);
    INSERT INTO recipients (id, mail, account, lane, address, state) VALUES ('ab', 1, 'mum', '${A}', 'a@tox', 'waiting')`);
  old.close();
  bench.open();
  await bench.queue.start();
  bench.queue.peerOnline('mum', KEY_A);
  const { content, end } = bench.tox.jobs[0]!;
  assert.equal(Buffer.from(await readHead(content, 100)).toString(), 'old mail');
  end({ kind: 'delivered' });
  await bench.calm();
  assert.deepEqual([bench.states(), bench.kept()], [['delivered'], []]);
});
