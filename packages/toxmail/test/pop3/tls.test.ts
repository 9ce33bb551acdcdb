import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemScheduler } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { Pop3Server } from '../../src/pop3/server.ts';
import { outwardAddress, TextClient, temporaryTls } from '../tls/pair.ts';
import { Mailbox } from './script.ts';

const LINE = /\r\n/;
const LISTING = /\r\n\.\r\n/;

interface Setup {
  readonly port: number;
  readonly tlsPort: number;
  readonly ca: string;
  readonly server: Pop3Server;
}

async function withServer(use: (setup: Setup) => Promise<void>): Promise<void> {
  const box = new Mailbox(['Subject: x\r\n\r\nhello\r\n']);
  const { tls, ca, remove } = await temporaryTls();
  const server = new Pop3Server({
    authenticate: box.deps.authenticate,
    scheduler: systemScheduler,
    log: silentLogger,
    tls,
  });
  const { port } = await server.listen({ host: '0.0.0.0', port: 0 });
  const { port: tlsPort } = await server.listenTls({ host: '0.0.0.0', port: 0 });
  try {
    await use({ port, tlsPort, ca, server });
  } finally {
    await server.close();
    remove();
    box.remove();
  }
}

test('a mail is read after STLS, and within TLS from the first byte', async () => {
  await withServer(async ({ port, tlsPort, ca }) => {
    const upgraded = await TextClient.open(port);
    await upgraded.until(LINE);
    assert.match(await upgraded.ask('CAPA', LISTING), /\r\nSTLS\r\n/);
    assert.match(await upgraded.ask('STLS', LINE), /^\+OK/);
    await upgraded.upgrade(ca);
    assert.doesNotMatch(await upgraded.ask('CAPA', LISTING), /STLS/);
    const direct = await TextClient.openTls(tlsPort, ca);
    await direct.until(LINE);
    for (const client of [upgraded, direct]) {
      assert.match(await client.ask('STLS', LINE), /^-ERR/);
      await client.ask('USER mrose', LINE);
      assert.match(await client.ask('PASS secret word', LINE), /^\+OK 1 mails/);
      assert.match(await client.ask('RETR 1', LISTING), /hello/);
      await client.ask('QUIT', LINE);
      client.close();
    }
  });
});

test('commands put in behind STLS by somebody between are never run', async () => {
  await withServer(async ({ port }) => {
    const client = await TextClient.open(port);
    await client.until(LINE);
    client.write('STLS\r\nUSER mrose\r\nPASS secret word\r\n');
    assert.equal(await client.until(/$never/), '-ERR Nothing may be sent ahead of the TLS handshake\r\n');
    assert.ok(client.ended);
  });
});

test('a name given before STLS is forgotten', async () => {
  await withServer(async ({ port, ca }) => {
    const client = await TextClient.open(port);
    await client.until(LINE);
    await client.ask('USER mrose', LINE);
    await client.ask('STLS', LINE);
    await client.upgrade(ca);
    assert.equal(await client.ask('PASS secret word', LINE), '-ERR USER first\r\n');
    client.close();
  });
});

test('from another machine nobody logs in without TLS', { skip: !outwardAddress && 'no network' }, async () => {
  await withServer(async ({ port, ca }) => {
    const client = await TextClient.open(port, outwardAddress);
    await client.until(LINE);
    const capabilities = await client.ask('CAPA', LISTING);
    assert.match(capabilities, /\r\nSTLS\r\n/);
    assert.doesNotMatch(capabilities, /USER\r\n(?!.)|SASL/);
    for (const command of ['USER mrose', 'PASS secret word', 'AUTH PLAIN AG1yb3NlAHNlY3JldCB3b3Jk'])
      assert.match(await client.ask(command, LINE), /^-ERR \[AUTH\] .*STARTTLS/);
    await client.ask('STLS', LINE);
    await client.upgrade(ca);
    assert.match(await client.ask('AUTH PLAIN AG1yb3NlAHNlY3JldCB3b3Jk', LINE), /^\+OK/);
    client.close();
  });
});

test('a broken handshake ends that connection and no other', async () => {
  await withServer(async ({ port, tlsPort, ca }) => {
    const bad = await TextClient.open(port);
    await bad.until(LINE);
    await bad.ask('STLS', LINE);
    bad.write('USER mrose\r\nPASS secret word\r\n');
    assert.doesNotMatch(await bad.until(/$never/), /OK/);
    const worse = await TextClient.open(tlsPort);
    worse.write('QUIT\r\n'.repeat(10));
    await worse.until(/$never/);
    const good = await TextClient.openTls(tlsPort, ca);
    assert.match(await good.until(LINE), /^\+OK/);
    good.close();
  });
});

test('a session of another password is ended, and what it marked stays', async () => {
  await withServer(async ({ port, server }) => {
    const logIn = async (): Promise<TextClient> => {
      const client = await TextClient.open(port);
      await client.until(LINE);
      await client.ask('USER mrose', LINE);
      assert.match(await client.ask('PASS secret word', LINE), /^\+OK 1 mails/);
      return client;
    };
    const client = await logIn();
    await client.ask('DELE 1', LINE);
    server.endSessions('other');
    assert.match(await client.ask('NOOP', LINE), /^\+OK/);
    server.endSessions('mrose');
    await client.until(/$never/);
    (await logIn()).close();
  });
});
