import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { SMTPServer } from 'smtp-server';
import { type Scheduler, systemScheduler } from '../../src/base/clock.ts';
import { MailServer, type MailServerAddress, parseMailServer } from '../../src/delivery/mail-server.ts';
import { MailError } from '../../src/smtp/mail-error.ts';
import { until, VirtualScheduler } from '../../src/testing/virtual-scheduler.ts';
import { ALICE, BOB, bodyOf, mailOf, never, Station, Wire } from '../transfer/pair.ts';

interface Taken {
  readonly from: string;
  readonly to: readonly string[];
  readonly bytes: Buffer;
}

/** A mail server that really speaks LMTP or SMTP; its answers are the test's. */
async function mailServer(t: TestContext, { lmtp = true, path }: { lmtp?: boolean; path?: string } = {}) {
  const refused = (reply: string): Error =>
    Object.assign(new Error(reply.slice(4)), { responseCode: Number(reply.slice(0, 3)) });
  const fake = {
    taken: [] as Taken[],
    connections: 0,
    /** Bytes of mail that came, also of mails that were never whole. */
    received: 0,
    from: undefined as string | undefined,
    rcpt: undefined as string | undefined,
    data: undefined as string | undefined,
    /** Breaks the connection after so many bytes of the mail. */
    breakAt: Number.POSITIVE_INFINITY,
    /** Reads the mail in small steps, with other things between them. */
    slow: false,
    /** Says nothing at the end of a mail. */
    silent: false,
    address: undefined as unknown as MailServerAddress,
    close: (): Promise<void> => new Promise((resolve) => server.close(() => resolve())),
  };
  const server = new SMTPServer({
    ...{ lmtp, authOptional: true, disabledCommands: ['AUTH', 'STARTTLS'], logger: false, closeTimeout: 1 },
    onConnect: (_session, done) => {
      fake.connections++;
      done();
    },
    onMailFrom: (_address, _session, done) => done(fake.from === undefined ? null : refused(fake.from)),
    onRcptTo: (_address, _session, done) => done(fake.rcpt === undefined ? null : refused(fake.rcpt)),
    onData: (stream, session, done) => {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        fake.received += chunk.length;
        if (fake.slow)
          for (const { _socket } of server.connections) {
            _socket.pause();
            setImmediate(() => setImmediate(() => _socket.resume()));
          }
        if (fake.received >= fake.breakAt) for (const connection of server.connections) connection._socket.destroy();
      });
      stream.on('end', () => {
        if (fake.silent) return;
        if (fake.data !== undefined) return done(refused(fake.data));
        const { mailFrom, rcptTo } = session.envelope;
        const from = mailFrom ? mailFrom.address : '';
        fake.taken.push({ from, to: rcptTo.map(({ address }) => address), bytes: Buffer.concat(chunks) });
        done();
      });
    },
  });
  server.on('error', () => {});
  await new Promise<void>((resolve) => (path ? server.listen(path, resolve) : server.listen(0, '127.0.0.1', resolve)));
  t.after(() => fake.close());
  fake.address = path
    ? { protocol: 'lmtp', path }
    : { protocol: lmtp ? 'lmtp' : 'smtp', host: '127.0.0.1', port: (server.server.address() as AddressInfo).port };
  return fake;
}

function client(server: MailServerAddress, scheduler: Scheduler = systemScheduler): MailServer {
  const senderAddress = (key: string): string => `${key.toLowerCase()}@tox`;
  return new MailServer({ server, recipient: 'anna@example.org', senderAddress, scheduler });
}

/** Resolves with the refusal, if there is one. */
async function handOver(server: MailServerAddress, mail: Buffer, piece = 100_000): Promise<MailError | undefined> {
  const writer = client(server).create({ sender: ALICE, size: mail.length });
  try {
    for (let at = 0; at < mail.length; at += piece) await writer.append(mail.subarray(at, at + piece));
    await writer.commit();
    return undefined;
  } catch (error) {
    await writer.abort();
    assert.ok(error instanceof MailError, String(error));
    return error;
  }
}

test('a mail is handed over byte for byte, by LMTP, by SMTP and through a socket file', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'toxmail-lmtp-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const mail = Buffer.from(`Subject: x\r\n\r\n.\r\n..dots\r\nümläut\r\n${'0123456789\r\n'.repeat(100_000)}.`);
  for (const options of [{}, { lmtp: false }, { path: join(folder, 'lmtp') }]) {
    const server = await mailServer(t, options);
    assert.equal(await handOver(server.address, mail), undefined);
    assert.equal(server.taken.length, 1);
    const [{ from, to, bytes }] = server.taken as [Taken];
    assert.deepEqual([from, to], [`${ALICE.toLowerCase()}@tox`, ['anna@example.org']]);
    assert.ok(bytes.equals(Buffer.concat([mail, Buffer.from('\r\n')])));
  }
});

test('a mail server that reads slowly gets the very bytes, although the block they came in is used again', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'toxmail-lmtp-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const server = await mailServer(t, { path: join(folder, 'lmtp') }); // a socket file holds little by itself
  server.slow = true;
  const mail = mailOf(2_000_000);
  const writer = client(server.address).create({ sender: ALICE, size: mail.length });
  const block = new Uint8Array(128 * 1024);
  for (let at = 0; at < mail.length; at += block.length) {
    const part = mail.subarray(at, at + block.length);
    block.set(part);
    await writer.append(block.subarray(0, part.length));
  }
  await writer.commit();
  assert.ok(server.taken[0]!.bytes.equals(Buffer.concat([mail, Buffer.from('\r\n')])));
});

test('what the mail server says of a mail is what its sender hears; its own trouble is for now', async (t) => {
  const server = await mailServer(t);
  for (const [where, reply, enhanced] of [
    ['rcpt', '550 5.1.1 <anna@example.org>: unknown user', '5.1.1'],
    ['rcpt', '450 4.2.0 greylisted', '4.2.0'],
    ['rcpt', '550 no', '5.0.0'],
    ['rcpt', '452 5.2.2 full', '4.0.0'],
    ['from', '550 5.7.1 not from him', '5.7.1'],
    ['from', '552 5.3.4 too big', '5.3.4'],
    ['data', '452 4.2.2 Quota exceeded', '4.2.2'],
    ['data', '552 5.2.2 Quota exceeded for good', '5.2.2'],
  ] as const) {
    Object.assign(server, { from: undefined, rcpt: undefined, data: undefined, [where]: reply });
    const refusal = await handOver(server.address, mailOf(300_000));
    assert.equal(refusal?.status.enhanced, enhanced, reply);
    assert.equal(refusal?.status.reply, Number(reply.slice(0, 3)));
  }
  server.rcpt = undefined;
  server.data = undefined;
  server.breakAt = 100_000;
  assert.equal((await handOver(server.address, mailOf(300_000)))?.status.enhanced, '4.4.1');
  await server.close();
  assert.equal((await handOver(server.address, mailOf(300_000)))?.status.enhanced, '4.4.1');
  assert.equal((await handOver({ protocol: 'lmtp', path: '/nowhere' }, mailOf(10)))?.status.enhanced, '4.4.1');
  assert.deepEqual(server.taken, []);
});

test('what the two servers have to settle among themselves is no reason to give a mail back', async (t) => {
  const server = await mailServer(t);
  for (const [where, reply, enhanced] of [
    ['from', '530 5.7.0 Must issue a STARTTLS command first', '4.7.0'],
    ['from', '501 5.1.7 Bad sender address syntax', '4.1.7'],
    ['from', '550 5.1.8 Sender address rejected: Domain not found', '4.1.8'],
    ['from', '555 unknown parameter', '4.0.0'],
    ['rcpt', '503 5.5.1 bad sequence', '4.5.1'],
  ] as const) {
    Object.assign(server, { from: undefined, rcpt: undefined, [where]: reply });
    const refusal = await handOver(server.address, mailOf(1_000));
    assert.equal(refusal?.status.enhanced, enhanced, reply);
    assert.equal(refusal?.status.reply, 451);
    assert.ok(reply.endsWith(refusal!.status.text), 'the sender hears the reason');
  }
});

test('a mail that cannot be read to its end never counts as a whole one', async (t) => {
  const server = await mailServer(t);
  const writer = client(server.address).create({ sender: undefined, size: 1_000_000 });
  await writer.append(Buffer.from('Subject: half\r\n\r\nhalf'.padEnd(200_000, '.')));
  await writer.abort();
  assert.equal(await handOver(server.address, mailOf(100)), undefined);
  assert.deepEqual(
    server.taken.map(({ bytes }) => bytes.includes('half')),
    [false],
  );
});

test('a mail server that never answers does not hold up the stop of the daemon', async (t) => {
  const server = await mailServer(t);
  server.silent = true;
  const scheduler = new VirtualScheduler();
  const handing = client(server.address, scheduler);
  const writer = handing.create({ sender: ALICE, size: 100 });
  await writer.append(mailOf(100));
  const outcome = assert.rejects(
    writer.commit(),
    (error) => error instanceof MailError && error.status.enhanced === '4.4.1',
  );
  await until(() => server.received > 0);
  handing.stop();
  await scheduler.advance(5_000);
  await outcome;
});

for (const size of [2_000, 2_000_000]) {
  test(`a mail of ${size} bytes is acknowledged when the mail server has it, and never handed over twice`, async (t) => {
    const server = await mailServer(t);
    const wire = new Wire();
    const alice = new Station(wire.ends.alice);
    const bob = new Station(wire.ends.bob);
    t.after(() => {
      alice.remove();
      bob.remove();
    });
    bob.handOver = client(server.address);
    await Promise.all([alice.start(), bob.start()]);
    wire.connect();
    const mail = mailOf(size);
    const job = alice.job(BOB, mail);
    server.rcpt = '451 4.3.0 not now';
    let sent = 0;
    const first = await alice.transfer.deliver(job, () => {}, never);
    assert.equal(first.kind === 'failed' && first.status.enhanced, '4.3.0');
    server.rcpt = undefined;
    wire.onPacket = (from, data) => {
      if (from === ALICE) sent += data.length;
    };
    for (let i = 0; i < 2; i++)
      assert.deepEqual(await alice.transfer.deliver(job, () => {}, never), { kind: 'delivered' });
    if (size > 1_000_000) assert.ok(sent < size / 2, 'a large mail that waits for the mail server travels once');
    assert.equal(server.taken.length, 1);
    const { bytes } = server.taken[0]!;
    assert.ok(bodyOf(bytes).subarray(0, bodyOf(mail).length).equals(bodyOf(mail)));
    assert.doesNotMatch(bytes.toString('latin1'), /^(Return-Path|Delivered-To):/m);
    assert.deepEqual(bob.mails(), []);
    await Promise.all([alice.stop(), bob.stop()]);
  });
}

test('addresses of mail servers are read, and nothing else is one', () => {
  assert.deepEqual(parseMailServer('lmtp://[::1]:24'), { protocol: 'lmtp', host: '::1', port: 24 });
  assert.deepEqual(parseMailServer('smtp://mail.example'), { protocol: 'smtp', host: 'mail.example', port: 25 });
  assert.deepEqual(parseMailServer('lmtp+unix:/run/lmtp'), { protocol: 'lmtp', path: '/run/lmtp' });
  assert.deepEqual(parseMailServer('lmtp+unix:///run/lmtp'), { protocol: 'lmtp', path: '/run/lmtp' });
  for (const bad of [
    '',
    'lmtp://host',
    'smtp://',
    'smtp://h:0',
    'smtp://h:65536',
    'http://h:1',
    'smtp://u@h:1',
    'lmtp+unix:x',
  ])
    assert.equal(parseMailServer(bad), undefined, bad);
});
