import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { ImapFlow } from 'imapflow';
import { type Scheduler, systemScheduler } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { CONNECTIONS_UNKNOWN_MAX, IDLE_TIMEOUT_MS } from '../../src/imap/limits.ts';
import { ImapServer } from '../../src/imap/server.ts';
import { settle, until, VirtualScheduler } from '../../src/testing/virtual-scheduler.ts';
import { outwardAddress } from '../tls/pair.ts';
import { MemoryStore } from './memory-store.ts';

const MAIL = 'Subject: one\r\nFrom: a@tox\r\nTo: b@tox\r\n\r\nHello you\r\n';

async function serve(t: TestContext, host = '127.0.0.1', scheduler: Scheduler = systemScheduler) {
  const store = new MemoryStore();
  const server = new ImapServer({
    authenticate: async (user, password) => (password === 'right' ? { account: user, store } : undefined),
    scheduler,
    log: silentLogger,
    version: '1',
  });
  t.after(() => server.close());
  const { port } = await server.listen({ host, port: 0 });
  return { store, server, port };
}

class Raw {
  said = '';
  readonly socket: Socket;

  constructor(port: number, host = '127.0.0.1') {
    this.socket = connect(port, host);
    this.socket.on('data', (data) => {
      this.said += data.toString('latin1');
    });
    this.socket.on('error', () => {});
  }

  send(text: string): void {
    this.socket.write(text);
  }

  async until(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.said)) await once(this.socket, 'data');
  }
}

test('imapflow does a day of work', async (t) => {
  const { store, port } = await serve(t);
  for (let i = 0; i < 3; i++) store.inbox.deliver(MAIL);
  const client = new ImapFlow({
    host: '127.0.0.1',
    port,
    secure: false,
    doSTARTTLS: false,
    auth: { user: 'mum', pass: 'right' },
    logger: false,
  });
  try {
    await client.connect();
    const folders = await client.list();
    assert.deepEqual(
      folders.map((folder) => [folder.path, folder.specialUse]).filter(([, use]) => use),
      [
        ['INBOX', '\\Inbox'],
        ['Sent', '\\Sent'],
        ['Entwürfe', '\\Drafts'],
        ['Trash', '\\Trash'],
      ],
    );
    await client.mailboxCreate('Work/2026');
    const box = await client.mailboxOpen('INBOX');
    assert.equal(box.exists, 3);
    const message = await client.fetchOne('2', { flags: true, envelope: true, source: true, uid: true });
    assert.ok(message);
    assert.equal(message.envelope?.subject, 'one');
    assert.equal(message.source?.toString(), MAIL);
    assert.ok(await client.messageFlagsAdd('1:2', ['\\Seen', '$Work']));
    assert.deepEqual(await client.search({ seen: true }, { uid: true }), [1, 2]);
    const stored = await client.append('Sent', MAIL, ['\\Seen'], new Date(0));
    assert.ok(stored);
    assert.equal(stored.uid, 1);
    const moved = await client.messageMove('1', 'Trash');
    assert.ok(moved);
    assert.deepEqual([...(moved.uidMap ?? [])], [[1, 1]]);
    assert.ok(await client.messageDelete('1'));
    const arrived = once(client, 'exists');
    void client.idle();
    await until(() => store.inbox.listeners > 0);
    store.inbox.deliver(MAIL);
    assert.equal((await arrived)[0].count, 2);
    const status = await client.status('Sent', { messages: true, unseen: true });
    assert.ok(status);
    assert.deepEqual([status.messages, status.unseen], [1, 0]);
    await client.mailboxDelete('Work/2026');
    const quota = await client.getQuota('INBOX');
    assert.ok(quota);
    assert.equal(quota.storage?.limit, 98 * 1024);
    await client.logout();
  } finally {
    client.close();
  }
});

test('stopping says goodbye to clients in IDLE and is not held up by one that does not read', async (t) => {
  const { store, server, port } = await serve(t);
  store.inbox.deliver(`Subject: big\n\n${'x'.repeat(20_000_000)}`);
  const idle = new Raw(port);
  const stuck = new Raw(port);
  idle.send('a LOGIN mum right\r\nb SELECT INBOX\r\nc IDLE\r\n');
  await idle.until(/\+ idling/);
  stuck.send('a LOGIN mum right\r\nb SELECT INBOX\r\n');
  await stuck.until(/b OK/);
  stuck.socket.pause();
  stuck.send('c FETCH 1 BODY.PEEK[]\r\n');
  const started = performance.now();
  const gone = once(idle.socket, 'close');
  await server.close();
  await gone;
  assert.match(idle.said, /\* BYE Toxmail stops\r\n$/);
  assert.ok(performance.now() - started < 3_000);
  stuck.socket.destroy();
});

test('a client that reads nothing does not keep its place for ever', async (t) => {
  const scheduler = new VirtualScheduler();
  const { store, server, port } = await serve(t, '127.0.0.1', scheduler);
  store.inbox.deliver(`Subject: big\n\n${'x'.repeat(20_000_000)}`);
  const stuck = new Raw(port);
  t.after(() => stuck.socket.destroy());
  stuck.send('a LOGIN mum right\r\nb SELECT INBOX\r\n');
  await stuck.until(/b OK/);
  stuck.socket.pause();
  stuck.send('c FETCH 1 BODY.PEEK[]\r\n');
  await settle(1_000); // the system's buffers fill up
  await scheduler.advance(IDLE_TIMEOUT_MS + 60_000);
  await until(() => [...server.sessions()].length === 0);
});

test('sessions of an account end with its password, others stay', async (t) => {
  const { server, port } = await serve(t);
  const mum = new Raw(port);
  const dad = new Raw(port);
  mum.send('a LOGIN mum right\r\n');
  dad.send('a LOGIN dad right\r\n');
  await Promise.all([mum.until(/a OK/), dad.until(/a OK/)]);
  server.endSessions('mum', 'The password was changed');
  await once(mum.socket, 'close');
  assert.match(mum.said, /\* BYE The password was changed\r\n$/);
  dad.send('b NOOP\r\n');
  await dad.until(/b OK/);
  dad.socket.destroy();
});

test('a client that closes its side still gets the answers to what it sent', async (t) => {
  const { port } = await serve(t);
  const client = new Raw(port);
  client.socket.end('a LOGIN mum right\r\nb STATUS INBOX (MESSAGES)\r\n');
  await once(client.socket, 'close');
  assert.match(client.said, /b OK Done\r\n$/);
});

test('connections before the log-in are bounded', async (t) => {
  const { port } = await serve(t);
  const clients: Raw[] = [];
  for (let i = 0; i < CONNECTIONS_UNKNOWN_MAX; i++) {
    const client = new Raw(port);
    clients.push(client);
    await client.until(/\* OK/);
  }
  const refused = new Raw(port);
  await once(refused.socket, 'close');
  assert.match(refused.said, /^\* BYE \[UNAVAILABLE\] Too many connections/);
  for (const each of clients) each.socket.destroy();
});

test('strangers of one place cannot keep the others out', { skip: !outwardAddress && 'no network' }, async (t) => {
  const { port } = await serve(t, '0.0.0.0');
  const clients: Raw[] = [];
  for (let i = 0; i < 10; i++) {
    const client = new Raw(port, outwardAddress);
    clients.push(client);
    await client.until(/\* OK/);
  }
  const refused = new Raw(port, outwardAddress);
  await once(refused.socket, 'close');
  assert.match(refused.said, /^\* BYE/);
  const other = new Raw(port);
  await other.until(/\* OK/);
  for (const each of [...clients, other]) each.socket.destroy();
});
