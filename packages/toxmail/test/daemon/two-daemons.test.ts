import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { SocketGuest } from '../../../tox/test/relay/socket-guest.ts';
import {
  fetchMail,
  friends,
  isDelivered,
  isOnline,
  json,
  launch,
  person,
  run,
  scratch,
  send,
  stop,
  toxmail,
  until,
} from './processes.ts';

const subjects = (mails: string[]): (string | undefined)[] => mails.map((mail) => /^Subject: (.*)\r$/m.exec(mail)?.[1]);

const attachment = (mail: string): Buffer =>
  Buffer.from(/base64\r\n(?:[\w-]+: .*\r\n)*\r\n([A-Za-z0-9+/=\r\n]+)/.exec(mail)?.[1] ?? '', 'base64');

test('a mail goes from one daemon to another, also when the other was stopped meanwhile', async (t) => {
  const { ann, bob, bootstrap } = await friends(t);
  const picture = randomBytes(400_000);

  assert.match(await send(ann, 'bob@tox', 'online', picture), /^250 /);
  const [first] = await until('the first mail', async () => {
    const mails = await fetchMail(bob);
    return mails.length > 0 && mails;
  });
  assert.deepEqual(attachment(first!), picture);
  assert.match(first!, /^From: ann <ann@tox>\r$/m);

  await stop(bob.daemon, 'SIGTERM');
  await until('bob is gone', async () => !(await isOnline(ann)), 10_000);
  assert.match(await send(ann, bob.address, 'while away', picture), /^250 /);
  assert.equal((await json(ann.data, 'status')).queue.waiting, 1);
  Object.assign(bob, await run(t, bob.data, bootstrap));
  const both = await until('the second mail', async () => {
    const mails = await fetchMail(bob);
    return mails.length > 1 && mails;
  });
  assert.deepEqual(subjects(both), ['online', 'while away']);
  await until('delivered', () => isDelivered(ann));
});

test('a sender that is killed right after the 250 loses nothing and sends once', async (t) => {
  const { ann, bob, bootstrap } = await friends(t);
  await send(ann, 'bob@tox', 'before the kill', randomBytes(2_000_000));
  await stop(ann.daemon, 'SIGKILL');
  Object.assign(ann, await run(t, ann.data, bootstrap));
  await until('delivered', () => isDelivered(ann));
  assert.deepEqual(subjects(await fetchMail(bob)), ['before the kill']);
});

test('wrong passwords, strangers as recipients and a second daemon are refused in plain words', async (t) => {
  const folder = scratch(t);
  const nobody = `127.0.0.1:9:${'AB'.repeat(32)}`;
  const me = await person(t, folder, 'me', nobody);
  await assert.rejects(send({ ...me, password: 'wrong' }, 'x@tox', 's', Buffer.alloc(1)), /535 5\.7\.8/);
  await assert.rejects(send(me, 'x@tox', 's', Buffer.alloc(1)), /550 5\.1\.1/);
  assert.deepEqual(await fetchMail({ ...me, password: 'wrong' }), []);

  const second = await toxmail('run', '--data', me.data);
  assert.equal(second.status, 1);
  assert.match(second.stderr, /^toxmail: .* already\. Stop it first.*\n$/);
  const waited = await toxmail('status', '--data', me.data, '--wait', '0.3');
  assert.equal(waited.status, 1);
  assert.match(waited.stderr, /^toxmail: The daemon runs, but is not connected.*\n$/);
});

test('a port that is taken ends the start with its option named, whichever server wanted it', {
  timeout: 20_000,
}, async (t) => {
  const taken = createServer().listen(0, '127.0.0.1');
  t.after(() => taken.close());
  await once(taken, 'listening');
  const busy = String((taken.address() as AddressInfo).port);
  const data = join(scratch(t), 'd');
  for (const [smtp, pop3, option] of [
    [busy, '0', '--smtp-port'],
    ['0', busy, '--pop3-port'],
  ] as const) {
    const ports = ['--udp-port', '0', '--smtp-port', smtp, '--pop3-port', pop3];
    const refused = await toxmail('run', '--data', data, ...ports, '--bootstrap', 'none', '--no-lan');
    assert.equal(refused.status, 1);
    assert.equal(
      refused.stderr,
      `toxmail: Port ${busy} is in use by another program. Choose another one with ${option}.\n`,
    );
  }
  // The password of the first account is shown once, so the account must not be left of a start that failed.
  const ports = ['--udp-port', '0', '--smtp-port', '0', '--pop3-port', '0'];
  const { line } = await launch(t, 'run', '--data', data, ...ports, '--bootstrap', 'none', '--no-lan');
  assert.match(line, /your new address/);
});

test('an address that this machine does not have ends the start, and changes no certificate', async (t) => {
  const data = join(scratch(t), 'd');
  const args = [
    'run',
    '--data',
    data,
    '--udp-port',
    '0',
    '--smtp-port',
    '0',
    '--pop3-port',
    '0',
    '--bootstrap',
    'none',
  ];
  const { child } = await launch(t, ...args, '--no-lan');
  const before = await json(data, 'tls', 'ca');
  await stop(child, 'SIGKILL');
  const { status, stderr } = await toxmail(...args, '--no-lan', '--listen', '198.51.100.1');
  assert.equal(status, 1);
  assert.match(stderr, /^toxmail: Cannot listen on 198\.51\.100\.1: .*--listen\.\n$/);
  assert.deepEqual(await json(data, 'tls', 'ca'), before);
});

test('a data folder that cannot be used is told in one line', async (t) => {
  const folder = scratch(t);
  const file = join(folder, 'file');
  writeFileSync(file, '');
  const damaged = join(folder, 'damaged');
  mkdirSync(damaged);
  writeFileSync(join(damaged, 'toxmail.db'), 'not a database '.repeat(100));
  for (const [data, ...command] of [
    [file, 'account', 'add', 'me'],
    [file, 'run'],
    [damaged, 'account', 'list'],
    [damaged, 'run'],
  ] as const) {
    const { status, stderr } = await toxmail(...command, '--data', data);
    assert.equal(status, 1);
    assert.match(stderr, /^toxmail: Cannot use .*--data\.\n$/);
    assert.ok(stderr.includes(data), stderr);
  }
});

test('a daemon that was killed leaves no obstacle for the next', async (t) => {
  const folder = scratch(t);
  const nobody = `127.0.0.1:9:${'AB'.repeat(32)}`;
  const me = await person(t, folder, 'me', nobody);
  await stop(me.daemon, 'SIGKILL');
  await run(t, me.data, nobody);
  assert.equal((await json(me.data, 'account', 'list')).length, 1);
});

test('mail between two accounts of one daemon arrives without any network', async (t) => {
  const folder = scratch(t);
  const me = await person(t, folder, 'me', `127.0.0.1:9:${'AB'.repeat(32)}`);
  const { password } = await json(me.data, 'account', 'add', 'you', '--no-welcome');
  const picture = randomBytes(1_000);
  await send(me, 'you@tox', 'next door', picture);
  const [mail] = await until('the mail', async () => {
    const mails = await fetchMail({ name: 'you', password, pop3: me.pop3 });
    return mails.length > 0 && mails;
  });
  assert.deepEqual(attachment(mail!), picture);
  assert.match(mail!, /^From: me <me@tox>\r$/m);
});

test('any form of the name logs in; an account renamed while the daemon runs has its mail under the new one', async (t) => {
  const folder = scratch(t);
  const me = await person(t, folder, 'me', 'none');
  await send(me, 'me@tox', 'to myself', randomBytes(100));
  const { toxId, publicKey, addresses } = await json(me.data, 'address');
  for (const name of ['me', 'ME', 'me@tox', 'Me@tox.alt', `${publicKey}@tox`, `${toxId}@tox.alt`, ...addresses])
    await until(`mail as ${name}`, async () => (await fetchMail({ ...me, name })).length === 1);
  await json(me.data, 'account', 'rename', 'me', 'mum');
  assert.equal((await fetchMail({ ...me, name: 'mum' })).length, 1);
  await send({ ...me, name: 'mum' }, 'mum@tox', 'to myself again', randomBytes(100));
  await until('the second mail', async () => (await fetchMail({ ...me, name: 'mum@tox' })).length === 2);
  assert.equal((await json(me.data, 'address')).toxId, toxId);
});

test('a bootstrap node keeps its key, is a relay, tells figures, and answers status and node', async (t) => {
  const data = join(scratch(t), 'b');
  const options = ['bootstrap', '--data', data, '--udp-port', '0', '--bootstrap', 'none', '--no-lan'];
  const first = await launch(t, ...options, '--tcp-relay-port', '0', '--tcp-relay-port', '0', '--metrics-port', '0');
  const [node] = await json(data, 'node');
  assert.equal(`${node.host}:${node.port}:${node.publicKey}`, first.line);
  const { accounts, bootstrap } = await json(data, 'status', '--wait', '5');
  assert.deepEqual(accounts, []);
  assert.equal(bootstrap.relay.ports.length, 2);
  using guest = await SocketGuest.login(bootstrap.relay.ports[1], bootstrap.dhtKey);
  await until('it is counted', async () => (await json(data, 'status')).bootstrap.relay.clients === 1);
  const figures = await (await fetch(`http://127.0.0.1:${bootstrap.metricsPort}/metrics`)).text();
  assert.match(figures, /^toxmail_relay_clients 1$/m);
  assert.match(figures, /^# TYPE toxmail_relay_forwarded_bytes_total counter$/m);
  assert.equal((await fetch(`http://127.0.0.1:${bootstrap.metricsPort}/`)).status, 404);
  await stop(first.child, 'SIGTERM');
  await guest.heard('end');
  writeFileSync(join(data, 'config.toml'), 'tcp-relay-port = [0, 0, 0]\n');
  const again = await launch(t, ...options);
  assert.equal(again.line.slice(-64), first.line.slice(-64));
  assert.equal((await json(data, 'status')).bootstrap.relay.ports.length, 3);
});

test('a daemon is a relay at the port that it was given, under the key of its first account', async (t) => {
  const data = join(scratch(t), 'r');
  const ports = ['--smtp-port', '0', '--pop3-port', '0', '--udp-port', '0', '--tcp-relay-port', '0'];
  await launch(t, 'run', '--data', data, ...ports, '--bootstrap', 'none', '--no-lan');
  await json(data, 'account', 'add', 'second');
  const { accounts } = await json(data, 'status');
  const relays = accounts.map((account: { tox: { relayPorts: number[] } }) => account.tox.relayPorts.length);
  assert.deepEqual(relays.sort(), [0, 1]);
  const { tox } = accounts.find((account: { tox: { relayPorts: number[] } }) => account.tox.relayPorts.length > 0);
  using guest = await SocketGuest.login(tox.relayPorts[0], tox.dhtKey);
  assert.equal(guest.client.state, 'online');
});

test('commands on nothing say how to begin, wrong usage has its own status', async (t) => {
  const data = join(scratch(t), 'none');
  const nothing = await toxmail('address', '--data', data);
  assert.equal(nothing.status, 1);
  assert.match(nothing.stderr, /toxmail run/);
  const wrong = await toxmail('contact', 'add');
  assert.deepEqual([wrong.status, wrong.stdout], [2, '']);
  const port = await toxmail('run', '--data', data, '--smtp-port', 'many');
  assert.deepEqual([port.status, port.stdout], [2, '']);
  assert.match(port.stderr, /^toxmail: --smtp-port must be .*\n$/);
  mkdirSync(data);
  writeFileSync(join(data, 'config.toml'), 'smtp-port = "many"');
  const file = await toxmail('run', '--data', data);
  assert.deepEqual([file.status, file.stdout], [1, '']);
  assert.match(file.stderr, /^toxmail: \S*config\.toml: smtp-port must be .*\n$/);
});
