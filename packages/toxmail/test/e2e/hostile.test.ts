import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ask, fetchMail, json, type Person, person, scratch, send, until } from '../daemon/processes.ts';
import { SmtpClient } from '../submission/smtp-client.ts';

const MB = 1_000_000;
const LIMIT = { timeout: 60_000 };
const NOBODY = `127.0.0.1:9:${'AB'.repeat(32)}`;
/** product.md: mails up to 50 MB. */
const SIZE_LIMIT = 52_428_800;
/** What garbage may leave a daemon with, above what it had before: the allocator's own reserve. */
const GROWTH_MAX = 150 * MB;

async function alone(t: TestContext): Promise<Person> {
  return person(t, scratch(t), 'me', NOBODY);
}

/** Resident bytes; undefined where the system does not tell. */
function memoryOf({ daemon }: Person): number | undefined {
  if (process.platform !== 'linux') return undefined;
  return Number(/^VmRSS:\s*(\d+) kB/m.exec(readFileSync(`/proc/${daemon.pid}/status`, 'latin1'))?.[1]) * 1024;
}

/** Writes until all is taken or the other side hangs up; resolves with what it said. */
async function pour(to: { host: string; port: number } | { path: string }, ...pieces: Buffer[]): Promise<string> {
  const socket = connect(to);
  let said = '';
  socket.setEncoding('latin1').on('data', (text) => {
    said += text;
  });
  socket.on('error', () => {}); // reset by the other side, which had enough
  socket.end(Buffer.concat(pieces));
  await new Promise((closed) => socket.on('close', closed));
  return said;
}

/** The daemon answers, takes mail, and gives it out. */
async function assertWorks(me: Person): Promise<void> {
  assert.equal((await ask(me.data, 'status')).pid, me.daemon.pid);
  const before = (await fetchMail(me)).length;
  assert.match(await send(me, 'me@tox', 'still there', randomBytes(1_000)), /^250 /);
  await until('the mail', async () => (await fetchMail(me)).length === before + 1);
}

test('garbage on every port is answered by the standard, bounded, and disturbs nobody', LIMIT, async (t) => {
  const me = await alone(t);
  await assertWorks(me);
  const before = memoryOf(me) ?? 0;
  const noise = randomBytes(4 * MB);
  const line = Buffer.alloc(8 * MB, 'x');

  // Who talks on after being hung up on may not get to see the last reply.
  for (const each of [noise, line]) {
    assert.match(await pour(me.smtp, each), /^(?:220 .*\r\n)?(?:[45]\d\d .*\r\n)*$/);
    assert.match(await pour(me.pop3, each), /^(?:\+OK .*\r\n)?(?:-ERR .*\r\n)*$/);
    assert.match(await pour(me.imap, each), /^(?:\* OK .*\r\n)?(?:(?:\S+ BAD|\* BYE) .*\r\n)*$/);
  }
  for (const each of [noise, line, Buffer.from('{"command":\n[]\n{"command":"__proto__"}\n')]) {
    const answers = await pour({ path: join(me.data, 'control.sock') }, each);
    for (const answer of answers.split('\n').slice(0, -1)) assert.match(JSON.parse(answer).error, /./);
  }

  const [{ port }] = await ask(me.data, 'node');
  const udp = createSocket('udp4');
  for (let kind = 0; kind < 256; kind++) {
    for (let i = 0; i < 20; i++) {
      const size = (kind * 20 + i * 97) % 2_048;
      udp.send(Buffer.concat([Buffer.of(kind), noise.subarray(i * 2_048, i * 2_048 + size)]), port, '127.0.0.1');
    }
    await ask(me.data, 'status'); // it has seen those by now, or soon will
  }
  await new Promise<void>((done) => udp.close(done));

  await assertWorks(me);
  assert.ok((memoryOf(me) ?? 0) < before + GROWTH_MAX, `${memoryOf(me)} bytes, ${before} before`);
});

test('wrong passwords, strangers and mails that are too big get standard errors; nothing is kept', LIMIT, async (t) => {
  const me = await alone(t);
  const before = memoryOf(me) ?? 0;
  assert.match(await pour(me.pop3, Buffer.from('USER me\r\nPASS wrong\r\nQUIT\r\n')), /\r\n-ERR \[AUTH\] .*\r\n/);
  const wrong = new SmtpClient(me.smtp.port);
  assert.match(await wrong.logIn('me', 'wrong'), /^535 5\.7\.8 /);
  wrong.close();

  const smtp = new SmtpClient(me.smtp.port);
  t.after(() => smtp.close());
  assert.match(await smtp.logIn('me', me.password), /^235 /);
  assert.match(await smtp.say(`MAIL FROM:<me@tox> SIZE=${SIZE_LIMIT + 1}`), /^552 5\.3\.4 /);
  assert.match(await smtp.say('MAIL FROM:<me@tox>'), /^250 /);
  assert.match(await smtp.say('RCPT TO:<nobody@tox>'), /^550 5\.1\.1 /);
  assert.match(await smtp.say(`RCPT TO:<${'0'.repeat(76)}@tox>`), /^5\d\d 5\.1\.\d /);
  assert.match(await smtp.say('RCPT TO:<me@tox>'), /^250 /);
  assert.match(await smtp.say('DATA'), /^354 /);
  // More than memory may grow by: what is too long is not kept.
  const lines = Buffer.from(`${'x'.repeat(998)}\r\n`.repeat(1_000));
  for (let sent = 0; sent <= 3 * SIZE_LIMIT; sent += lines.length) {
    if (!smtp.socket.write(lines)) await once(smtp.socket, 'drain');
  }
  assert.match(await smtp.say('.'), /^552 5\.3\.4 /);
  assert.deepEqual(await ask(me.data, 'queue list'), []);
  assert.deepEqual(await fetchMail(me), []);

  assert.ok((memoryOf(me) ?? 0) < before + GROWTH_MAX, `${memoryOf(me)} bytes, ${before} before`);
  await assertWorks(me);
});

test('mail to somebody who is offline waits and says why', LIMIT, async (t) => {
  const me = await alone(t);
  const other = await json(join(scratch(t), 'other'), 'account', 'add', 'other');
  await ask(me.data, 'contact add', { name: 'other', address: other.address });
  assert.match(await send(me, 'other@tox', 'hello', randomBytes(10)), /^250 /);
  const [mail] = await ask(me.data, 'queue list');
  assert.equal(mail.state, 'waiting');
  assert.equal(mail.attempts, 0);
  assert.equal(mail.reason.code, '4.4.1');
});
