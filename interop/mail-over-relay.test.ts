import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  ask,
  fetchMail,
  isDelivered,
  isOnline,
  json,
  launch,
  type Person,
  person,
  type Scope,
  scratch,
  send,
  until,
} from '../packages/toxmail/test/daemon/processes.ts';

const SIZE = 25_000_000;

/** In each daemon: once the file is there, no datagram leaves the process or reaches it. */
const CUT = `
import dgram from 'node:dgram';
import { existsSync } from 'node:fs';
let cut = false;
setInterval(() => { cut = existsSync(process.env.INTEROP_CUT); }, 50).unref();
const { send, emit } = dgram.Socket.prototype;
dgram.Socket.prototype.send = function (...args) { return cut ? undefined : send.apply(this, args); };
dgram.Socket.prototype.emit = function (...args) { return cut && args[0] === 'message' ? true : emit.apply(this, args); };
`;

/** Two daemons, started with these settings, that know each other, and a bootstrap node which is a relay too. */
async function pair(t: Scope, settings: string): Promise<{ folder: string; ann: Person; bob: Person }> {
  const folder = scratch(t);
  const port = await freePort();
  const options = ['--data', join(folder, 'bootstrap'), '--udp-port', String(port), '--bootstrap', 'none'];
  const { line } = await launch(t, 'bootstrap', ...options);
  const bootstrap = line.replace(/^.*(:\d+:[0-9A-F]{64})$/, '127.0.0.1$1');
  process.env.INTEROP_CUT = join(folder, 'cut');
  process.env.NODE_OPTIONS = `--import data:text/javascript,${encodeURIComponent(CUT)}`;
  t.after(() => {
    delete process.env.NODE_OPTIONS;
  });
  for (const name of ['ann', 'bob']) {
    mkdirSync(join(folder, name), { mode: 0o700 });
    writeFileSync(join(folder, name, 'config.toml'), settings);
  }
  const [ann, bob] = await Promise.all([person(t, folder, 'ann', bootstrap), person(t, folder, 'bob', bootstrap)]);
  await json(ann.data, 'contact', 'add', 'bob', bob.address);
  await json(bob.data, 'contact', 'add', 'ann', ann.address);
  await until('both are online', async () => (await isOnline(ann)) && (await isOnline(bob)));
  return { folder, ann, bob };
}

/** A port that is free for TCP, and so most likely for UDP. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function connection(of: Person): Promise<string> {
  return (await ask(of.data, 'status')).accounts[0].tox.connection;
}

/** The one mail of `bob` is the one that was sent, in one attempt. */
async function checkMail(ann: Person, bob: Person, content: Buffer): Promise<void> {
  await until('delivered', () => isDelivered(ann), 90_000);
  const [mail, ...others] = await fetchMail(bob);
  assert.equal(others.length, 0);
  const body = /base64\r\n(?:[\w-]+: .*\r\n)*\r\n([A-Za-z0-9+/=\r\n]+)/.exec(mail!)?.[1] ?? '';
  assert.ok(Buffer.from(body, 'base64').equals(content));
  const [row] = await ask(ann.data, 'queue list');
  assert.equal(row.attempts, 1, JSON.stringify(row));
}

test('25 MB go from one daemon to another over a relay alone', { timeout: 180_000 }, async (t) => {
  const { ann, bob } = await pair(t, 'no-udp = true\n');
  assert.equal(await connection(ann), 'tcp');
  const content = randomBytes(SIZE);
  const began = performance.now();
  await send(ann, 'bob@tox', 'over a relay', content);
  await checkMail(ann, bob, content);
  t.diagnostic(`${((performance.now() - began) / 1_000).toFixed(1)} s`);
});

test('UDP that dies while 25 MB are under way costs seconds, and nothing is sent anew', {
  timeout: 180_000,
}, async (t) => {
  const { folder, ann, bob } = await pair(t, '');
  assert.equal(await connection(ann), 'udp');
  const content = randomBytes(SIZE);
  const began = performance.now();
  const sent = send(ann, 'bob@tox', 'over both', content);
  await until('some bytes arrived', async () => {
    const [row] = (await ask(ann.data, 'queue list')) ?? [];
    return row?.sent > 1_000_000;
  });
  writeFileSync(join(folder, 'cut'), '');
  const [row] = await ask(ann.data, 'queue list');
  assert.ok(row.sent < row.size, 'it was still under way');
  await sent;
  await checkMail(ann, bob, content);
  t.diagnostic(`${((performance.now() - began) / 1_000).toFixed(1)} s`);
});
