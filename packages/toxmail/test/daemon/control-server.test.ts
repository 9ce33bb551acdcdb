import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { silentLogger } from '../../src/base/log.ts';
import { UserError } from '../../src/base/user-error.ts';
import { askDaemon } from '../../src/cli/control-client.ts';
import { findControlAddress } from '../../src/daemon/control-address.ts';
import { startControlServer } from '../../src/daemon/control-server.ts';

const run = async (command: string, args: Readonly<Record<string, unknown>>): Promise<unknown> => {
  if (command === 'echo') return args;
  if (command === 'nothing') return undefined;
  if (command === 'bug') throw new TypeError('secret detail');
  throw new UserError(`No command ${command}. Try echo.`);
};

async function served(t: TestContext, subfolder = ''): Promise<string> {
  const base = mkdtempSync(join(tmpdir(), 'toxmail-control-'));
  const folder = join(base, subfolder);
  mkdirSync(folder, { recursive: true });
  const server = await startControlServer(folder, run, silentLogger);
  t.after(async () => {
    await server.close();
    rmSync(base, { recursive: true });
  });
  return folder;
}

async function connect(folder: string): Promise<Socket> {
  const socket = createConnection(findControlAddress(folder)!);
  await once(socket, 'connect');
  return socket;
}

/** Everything the server says until it closes. */
async function conversation(socket: Socket, bytes: string | Buffer): Promise<string> {
  const parts: Buffer[] = [];
  socket.on('data', (part) => parts.push(part));
  socket.on('error', () => {});
  socket.end(bytes);
  await once(socket, 'close');
  return Buffer.concat(parts).toString();
}

test('an answer comes back, and what the person did wrong as one line', async (t) => {
  const folder = await served(t);
  assert.deepEqual(await askDaemon(folder, { command: 'echo', args: { a: ['ä', 1] } }), { result: { a: ['ä', 1] } });
  assert.deepEqual(await askDaemon(folder, { command: 'nothing', args: {} }), { result: null });
  await assert.rejects(askDaemon(folder, { command: 'x', args: {} }), { message: 'No command x. Try echo.' });
});

test('an error of ours tells no details', async (t) => {
  const folder = await served(t);
  await assert.rejects(askDaemon(folder, { command: 'bug', args: {} }), (error: Error) => {
    assert.ok(error instanceof UserError);
    assert.doesNotMatch(error.message, /secret detail/);
    return true;
  });
});

test('only the owner can connect', { skip: process.platform === 'win32' }, async (t) => {
  const folder = await served(t);
  assert.equal(statSync(join(folder, 'control.sock')).mode & 0o777, 0o600);
});

test('a data folder with a long path works, and leaves nothing behind', {
  skip: process.platform === 'win32',
}, async () => {
  const base = mkdtempSync(join(tmpdir(), 'toxmail-control-'));
  const folder = join(base, 'x'.repeat(120));
  mkdirSync(folder);
  const server = await startControlServer(folder, run, silentLogger);
  const address = findControlAddress(folder)!;
  assert.ok(Buffer.byteLength(address) <= 103);
  assert.deepEqual(await askDaemon(folder, { command: 'echo', args: {} }), { result: {} });
  await server.close();
  assert.equal(existsSync(address), false);
  assert.equal(await askDaemon(folder, { command: 'echo', args: {} }), undefined);
  rmSync(base, { recursive: true });
});

test('no daemon means no answer rather than an error', async () => {
  assert.equal(await askDaemon(join(tmpdir(), 'toxmail-no-such-folder'), { command: 'echo', args: {} }), undefined);
});

test('several requests on one connection are answered in order', async (t) => {
  const folder = await served(t);
  const lines = [1, 2, 3].map((n) => `${JSON.stringify({ command: 'echo', args: { n } })}\n`).join('');
  const said = await conversation(await connect(folder), lines);
  assert.equal(said, '{"result":{"n":1}}\n{"result":{"n":2}}\n{"result":{"n":3}}\n');
});

test('garbage is answered with an error, and the daemon stays', async (t) => {
  const folder = await served(t);
  const garbage = [
    '\n',
    'GET / HTTP/1.1\r\n\r\n',
    '[]\n',
    'null\n',
    '{"command":1}\n',
    '{"command":"echo","args":[]}\n',
  ];
  for (const bytes of garbage) {
    const said = await conversation(await connect(folder), bytes);
    for (const line of said.trimEnd().split('\n')) assert.ok('error' in JSON.parse(line), bytes);
  }
  await conversation(await connect(folder), randomBytes(5_000));
  assert.ok(await askDaemon(folder, { command: 'echo', args: {} }));
});

test('an endless line is cut off', async (t) => {
  const folder = await served(t);
  const said = await conversation(await connect(folder), Buffer.alloc(1024 * 1024, 'x'));
  assert.match(said, /too long/);
  assert.ok(await askDaemon(folder, { command: 'echo', args: {} }));
});

test('a flood of requests is refused', async (t) => {
  const folder = await served(t);
  const said = await conversation(await connect(folder), '{"command":"echo"}\n'.repeat(3_000));
  assert.match(said, /Too many/);
  assert.ok(await askDaemon(folder, { command: 'echo', args: {} }));
});
