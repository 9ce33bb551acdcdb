import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createTransport } from 'nodemailer';
import { systemScheduler } from '../../src/base/clock.ts';
import { realFiles } from '../../src/base/files.ts';
import { silentLogger } from '../../src/base/log.ts';
import { hashPassword } from '../../src/base/password.ts';
import { canonicalAddress } from '../../src/contacts/address.ts';
import { Contacts } from '../../src/contacts/contacts.ts';
import { Queue } from '../../src/queue/queue.ts';
import { Accounts } from '../../src/store/accounts.ts';
import { openDatabase } from '../../src/store/database.ts';
import { SubmissionServer } from '../../src/submission/server.ts';
import { ScriptedTarget } from '../../src/testing/scripted-target.ts';
import { MUM_ID, TOM_ID } from '../contacts/ids.ts';
import { outwardAddress, TextClient, temporaryTls } from '../tls/pair.ts';

const REPLY = /^(?:\d{3}-.*\r\n)*\d{3} .*\r\n/;
const AUTH = `AUTH PLAIN ${Buffer.from('\0mum\0password').toString('base64')}`;

interface Setup {
  readonly port: number;
  readonly tlsPort: number;
  readonly ca: string;
  readonly queue: Queue;
  readonly server: SubmissionServer;
}

async function withServer(use: (setup: Setup) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'toxmail-smtp-tls-'));
  const spool = join(folder, 'spool');
  mkdirSync(spool);
  const db = openDatabase(join(folder, 'toxmail.db'));
  const accounts = new Accounts(db, systemScheduler);
  const contacts = new Contacts(db, accounts, systemScheduler);
  for (const [name, id] of [
    ['mum', MUM_ID],
    ['tom', TOM_ID],
  ] as const) {
    accounts.add(name, await hashPassword('password'));
    accounts.setToxId(name, id);
  }
  const [scheduler, log, files] = [systemScheduler, silentLogger, realFiles];
  const targets = { tox: new ScriptedTarget(), local: new ScriptedTarget() };
  const ownAddress = (account: string): string => canonicalAddress(accounts.get(account)!.toxId!);
  const addresses = { ownAddress, noticeAddress: ownAddress };
  const queue = new Queue({ db, files, scheduler, log, spool, ...targets, ...addresses });
  await queue.start();
  const { tls, ca, remove } = await temporaryTls();
  const server = new SubmissionServer({ accounts, contacts, queue, clock: scheduler, log, tls });
  const { port } = await server.listen({ host: '0.0.0.0', port: 0 });
  const { port: tlsPort } = await server.listenTls({ host: '0.0.0.0', port: 0 });
  try {
    await use({ port, tlsPort, ca, queue, server });
  } finally {
    await server.close();
    await queue.stop();
    remove();
    db.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

test('mail is handed in after STARTTLS, and within TLS from the first byte', async () => {
  await withServer(async ({ port, tlsPort, ca, queue }) => {
    for (const way of [
      { port, requireTLS: true },
      { port: tlsPort, secure: true },
    ]) {
      const transport = createTransport({
        host: '127.0.0.1',
        ...way,
        tls: { ca },
        auth: { user: 'mum@tox.alt', pass: 'password' },
      });
      await transport.sendMail({ from: 'mum@tox', to: 'tom@tox', subject: 'x', text: 'hello' });
      transport.close();
    }
    assert.equal(queue.list('mum').length, 2);
  });
});

test('STARTTLS is offered once, and what was said before it does not count after it', async () => {
  await withServer(async ({ port, ca }) => {
    const client = await TextClient.open(port);
    await client.until(REPLY);
    assert.match(await client.ask('EHLO client', REPLY), /^250.STARTTLS\r$/m);
    assert.match(await client.ask(AUTH, REPLY), /^235/);
    assert.match(await client.ask('STARTTLS', REPLY), /^220/);
    await client.upgrade(ca);
    assert.match(await client.ask('MAIL FROM:<mum@tox>', REPLY), /^503/);
    assert.doesNotMatch(await client.ask('EHLO client', REPLY), /STARTTLS/);
    assert.match(await client.ask('MAIL FROM:<mum@tox>', REPLY), /^530 5\.7\.0/);
    assert.match(await client.ask('STARTTLS', REPLY), /^503/);
    client.close();
  });
});

test('commands put in behind STARTTLS by somebody between are never run', async () => {
  await withServer(async ({ port, ca }) => {
    const client = await TextClient.open(port);
    await client.until(REPLY);
    await client.ask('EHLO client', REPLY);
    client.write(`STARTTLS\r\n${AUTH}\r\nMAIL FROM:<mum@tox>\r\n`);
    assert.match(await client.until(REPLY), /^220/);
    try {
      await client.upgrade(ca);
      await client.ask('EHLO client', REPLY);
      assert.match(await client.ask('RCPT TO:<tom@tox>', REPLY), /^5/); // no log-in, no MAIL
    } catch (error) {
      assert.match(String(error), /TLS|SSL|disconnected/); // the bytes broke the handshake, as good
    }
    client.close();
  });
});

test('from another machine nobody logs in without TLS', { skip: !outwardAddress && 'no network' }, async () => {
  await withServer(async ({ port, ca }) => {
    const client = await TextClient.open(port, outwardAddress);
    await client.until(REPLY);
    const features = await client.ask('EHLO client', REPLY);
    assert.match(features, /STARTTLS/);
    assert.doesNotMatch(features, /AUTH/);
    assert.match(await client.ask(AUTH, REPLY), /^538 5\.7\.11 /);
    assert.match(await client.ask('MAIL FROM:<mum@tox>', REPLY), /^530/);
    await client.ask('STARTTLS', REPLY);
    await client.upgrade(ca);
    assert.match(await client.ask('EHLO client', REPLY), /AUTH PLAIN LOGIN/);
    assert.match(await client.ask(AUTH, REPLY), /^235/);
    client.close();
  });
});

test('with a new password, or without the account, those logged in are told to go, in clear and within TLS', async () => {
  await withServer(async ({ port, tlsPort, ca, server }) => {
    const clients = [await TextClient.open(port), await TextClient.openTls(tlsPort, ca)];
    const stranger = await TextClient.open(port);
    for (const client of [...clients, stranger]) {
      await client.until(REPLY);
      await client.ask('EHLO client', REPLY);
    }
    for (const client of clients) assert.match(await client.ask(AUTH, REPLY), /^235/);
    server.endSessions('mum');
    for (const client of clients) {
      assert.match(await client.until(REPLY), /^421 4\.7\.0/);
      await client.until(/$never/);
    }
    assert.match(await stranger.ask('NOOP', REPLY), /^250/);
    stranger.close();
  });
});
