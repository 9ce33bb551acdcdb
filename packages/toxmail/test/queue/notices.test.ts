import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readHead } from '../../src/base/files.ts';
import type { DeliveryJob } from '../../src/delivery/target.ts';
import type { MailStatus } from '../../src/smtp/mail-error.ts';
import { until } from '../../src/testing/virtual-scheduler.ts';
import { A, Bench, BODIES, KEY_A } from './harness.ts';

const HOUR = 3_600_000;
const REFUSED: MailStatus = { reply: 550, enhanced: '5.7.1', text: 'not wanted' };

/** A queue that has run for a while, and the texts of the notices that reach the sender's inbox. */
async function running(bench: Bench): Promise<string[]> {
  const notices: string[] = [];
  const local = bench.local;
  const deliver = local.deliver.bind(local);
  local.deliver = async (job: DeliveryJob, ...rest) => {
    notices.push(Buffer.from(await readHead(job.content, job.size)).toString('latin1'));
    return deliver(job, ...rest);
  };
  local.answer = () => ({ kind: 'delivered' });
  await bench.queue.start();
  return notices;
}

test('the sender of a mail that waits is told after four hours, then daily, and of its end', async (t) => {
  const bench = new Bench(t);
  bench.notify = undefined;
  const notices = await running(bench);
  const [id] = await bench.put('Subject: hi\r\n\r\nbody', A);
  await bench.scheduler.advance(4 * HOUR - 1);
  assert.equal(notices.length, 0);
  await bench.scheduler.advance(HOUR / 60);
  await until(() => notices.length === 1);
  assert.match(notices[0]!, /^Action: delayed\r\nStatus: 4\.4\.1\r$/m);
  assert.match(notices[0]!, /^Subject: hi\r$/m);
  await bench.calm();
  for (let hours = 0; hours < 23; hours++) await bench.scheduler.advance(HOUR);
  assert.equal(notices.length, 1);
  for (let hours = 0; hours < 3; hours++) await bench.scheduler.advance(HOUR);
  await until(() => notices.length === 2);
  await bench.calm();

  bench.tox.answer = () => ({ kind: 'failed', status: REFUSED });
  bench.queue.peerOnline('mum', KEY_A);
  await until(() => notices.length === 3);
  assert.match(notices[2]!, /^Action: failed\r\nStatus: 5\.7\.1\r$/m);
  await bench.calm();
  assert.equal(bench.queue.get(id!)!.state, 'failed');
  for (let hours = 0; hours < 30; hours++) await bench.scheduler.advance(HOUR);
  assert.equal(notices.length, 3);
});

test('a clock that was a year ahead does not keep the sender from hearing of a delay', async (t) => {
  const bench = new Bench(t);
  bench.notify = undefined;
  const notices = await running(bench);
  const right = bench.scheduler.unixMs();
  bench.scheduler.setUnixMs(right + 365 * 24 * HOUR);
  await bench.put('Subject: hi\r\n\r\nbody', A);
  bench.scheduler.setUnixMs(right);
  for (let hours = 0; hours < 5; hours++) await bench.scheduler.advance(HOUR);
  await until(() => notices.length === 1);
  for (let hours = 0; hours < 18; hours++) await bench.scheduler.advance(HOUR);
  await bench.calm();
  assert.equal(notices.length, 1);
});

test('after a start nobody is told of a delay before the peers had time to appear', async (t) => {
  const bench = new Bench(t);
  bench.notify = undefined;
  await bench.queue.start();
  await bench.put('x', A);
  bench.restart();
  await bench.scheduler.advance(10 * HOUR);
  const notices = await running(bench);
  await bench.scheduler.advance(9 * 60_000);
  assert.equal(notices.length, 0);
  bench.tox.answer = () => ({ kind: 'delivered' });
  bench.queue.peerOnline('mum', KEY_A);
  await bench.calm();
  await bench.scheduler.advance(HOUR);
  assert.deepEqual(notices, []);
});

for (const [what, body] of Object.entries(BODIES)) {
  test(`who asks for it hears of the delivery of a ${what} mail, once`, async (t) => {
    const bench = new Bench(t);
    bench.notify = ['SUCCESS'];
    const notices = await running(bench);
    await bench.put(body, A);
    bench.tox.answer = () => ({ kind: 'delivered' });
    bench.queue.peerOnline('mum', KEY_A);
    await until(() => notices.length === 1);
    await bench.calm();
    assert.match(notices[0]!, /^Action: delivered\r\nStatus: 2\.0\.0\r$/m);
    assert.deepEqual([bench.states(), bench.kept()], [['delivered', 'delivered'], []]);
  });
}

test('who wants to hear nothing hears nothing: neither delay nor failure nor delivery', async (t) => {
  const bench = new Bench(t);
  bench.notify = ['NEVER'];
  const notices = await running(bench);
  await bench.put('x', A);
  await bench.scheduler.advance(40 * HOUR);
  bench.tox.answer = () => ({ kind: 'failed', status: REFUSED });
  bench.queue.peerOnline('mum', KEY_A);
  await bench.calm();
  assert.deepEqual([bench.states(), notices], [['failed'], []]);
});

test('a failed mail comes back whole if that was asked for, with the marks of its sender', async (t) => {
  const bench = new Bench(t);
  const notices = await running(bench);
  const writer = bench.queue.spool.create();
  await writer.write(Buffer.from(BODIES.large));
  const body = await writer.commit();
  await bench.queue.accept({
    ...{ account: 'mum', messageId: '<1@x>', sender: 'mum@tox', body, ret: 'FULL', envelopeId: 'E1' },
    recipients: [{ address: 'a@tox', lane: A, tag: undefined, originalRecipient: 'rfc822;a@example.org' }],
  });
  bench.tox.answer = () => ({ kind: 'failed', status: REFUSED });
  bench.queue.peerOnline('mum', KEY_A);
  await until(() => notices.length === 1);
  await bench.calm();
  assert.match(notices[0]!, /^Original-Envelope-Id: E1\r$/m);
  assert.match(notices[0]!, /^Original-Recipient: rfc822; a@example\.org\r$/m);
  assert.ok(
    notices[0]!.includes(
      `\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n${BODIES.large}\r\n--`,
    ),
  );
  assert.deepEqual(bench.kept(), []);
});
