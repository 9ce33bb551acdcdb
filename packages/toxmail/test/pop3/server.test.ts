import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { systemScheduler } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { Pop3Server } from '../../src/pop3/server.ts';
import { Mailbox } from './script.ts';

async function withServer(mails: string[], use: (port: number, box: Mailbox) => Promise<void>): Promise<void> {
  const box = new Mailbox(mails);
  const server = new Pop3Server({
    authenticate: box.deps.authenticate,
    scheduler: systemScheduler,
    log: silentLogger,
  });
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
  try {
    await use(port, box);
  } finally {
    await server.close();
    box.remove();
  }
}

async function until(socket: Socket, ending: string): Promise<string> {
  let text = '';
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    text += chunk.toString('latin1');
    if (text.endsWith(ending)) break;
  }
  return text;
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function inUse(): number {
  collect();
  return process.memoryUsage().arrayBuffers;
}

test('a whole session over a real socket, sent ahead and with the sending side closed', async () => {
  const mail = `Subject: x\r\n\r\n${'y'.repeat(70)}\r\n`.padEnd(500_000, 'z\r\n');
  await withServer([mail], async (port) => {
    const socket = connect(port, '127.0.0.1');
    socket.end('USER mrose\r\nPASS secret word\r\nRETR 1\r\nQUIT\r\n');
    const text = await until(socket, '+OK Bye\r\n');
    const sent = mail.endsWith('\n') ? mail : `${mail}\r\n`;
    assert.ok(text.includes(`octets\r\n${sent}.\r\n+OK Bye\r\n`));
    socket.destroy();
  });
});

test('a client that does not read its mail makes the server wait, not grow', async () => {
  const line = `${'y'.repeat(998)}\r\n`;
  await withServer([`Subject: x\r\n\r\n${line.repeat(20_000)}`], async (port) => {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.pause();
    const before = inUse();
    socket.write('USER mrose\r\nPASS secret word\r\nRETR 1\r\n');
    const turns = async (): Promise<void> => {
      for (let i = 0; i < 2_000; i++) await new Promise((resolve) => setImmediate(resolve));
    };
    await turns();
    // V8 gives back what it collected in a thread of its own: a busy machine may take some time for it.
    for (let looks = 0; inUse() - before >= 8_000_000; looks++) {
      assert.ok(looks < 20, `${inUse() - before} octets`);
      await turns();
    }
    socket.resume();
    const text = await until(socket, '\r\n.\r\n');
    assert.ok(text.length > 20_000_000);
    socket.destroy();
  });
});

test('too many connections without a log-in are turned away', async () => {
  await withServer([], async (port) => {
    const sockets = Array.from({ length: 60 }, () => connect(port, '127.0.0.1'));
    const first = await Promise.all(sockets.map((socket) => until(socket, '\r\n')));
    assert.equal(first.filter((text) => text.startsWith('-ERR [SYS/TEMP]')).length, 10);
    for (const socket of sockets) socket.destroy();
  });
});

test('closing the server ends the connections', async () => {
  const box = new Mailbox();
  const server = new Pop3Server({ authenticate: box.deps.authenticate, scheduler: systemScheduler, log: silentLogger });
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
  const socket = connect(port, '127.0.0.1');
  await until(socket, '\r\n');
  socket.resume();
  const closed = once(socket, 'close');
  await server.close();
  await closed;
  box.remove();
});
