import assert from 'node:assert/strict';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { test } from 'node:test';
import type { Datagram, Machine } from '../../src/core/machine.ts';
import { Streams } from '../../src/core/streams.ts';
import { Driver } from '../../src/node/drive.ts';
import { TcpStreams } from '../../src/node/tcp.ts';
import { type Endpoint, endpoint } from '../../src/wire/endpoint.ts';

/** A machine without a protocol: the test is its protocol. */
class Bare implements Machine<never> {
  readonly streams = new Streams();
  receive(): void {}
  wake(): void {}
  nextWake(): undefined {}
  takeDatagram(): Datagram | undefined {
    return undefined;
  }
  takeEvent(): undefined {}
}

async function stage(t: import('node:test').TestContext) {
  const server = net.createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const tcp = new TcpStreams();
  const machine = new Bare();
  const driver = new Driver<never>(machine, { streams: tcp }, () => {});
  t.after(async () => {
    await tcp.close();
    driver.stop();
    server.close();
  });
  const at = endpoint('127.0.0.1', (server.address() as AddressInfo).port)!;
  return { server, tcp, machine, driver, at };
}

function open(driver: Driver<never>, machine: Bare, to: Endpoint) {
  const got: number[] = [];
  const queued: number[] = [];
  const opened = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  const drained = Promise.withResolvers<void>();
  const stream = driver.poke(() =>
    machine.streams.open(to, {
      opened: () => opened.resolve(),
      received: (_now, bytes) => got.push(...bytes),
      written: (_now, n) => {
        queued.push(n);
        if (n === 0) drained.resolve();
      },
      closed: () => closed.resolve(),
    }),
  );
  return { stream, got, queued, opened: opened.promise, closed: closed.promise, drained: drained.promise };
}

test('bytes go both ways over a real connection, and the peer ends it', async (t) => {
  const { server, machine, driver, at } = await stage(t);
  const connection = once(server, 'connection') as Promise<[net.Socket]>;
  const { stream, got, opened, closed } = open(driver, machine, at);
  await opened;
  const [socket] = await connection;
  driver.poke(() => {
    stream.write(Uint8Array.of(1));
    stream.write(Uint8Array.of(2));
  });
  const [data] = (await once(socket, 'data')) as [Buffer];
  assert.deepEqual([...data], [1, 2], 'writes of one turn leave together');
  socket.end(Uint8Array.of(3));
  await closed;
  assert.deepEqual(got, [3]);
});

test('the machine is told what the peer does not take, until it does', async (t) => {
  const { server, machine, driver, at } = await stage(t);
  const connection = once(server, 'connection') as Promise<[net.Socket]>;
  const { stream, queued, opened, drained } = open(driver, machine, at);
  await opened;
  const [socket] = await connection;
  socket.pause();
  driver.poke(() => {
    for (let i = 0; i < 64; i++) stream.write(new Uint8Array(1024 * 1024));
  });
  assert.ok(queued[0]! > 1024 * 1024);
  socket.resume();
  await drained;
});

test('a port where nobody listens closes the stream', async (t) => {
  const { server, machine, driver, at } = await stage(t);
  server.close();
  await open(driver, machine, at).closed;
});

test('a host name without a proxy to resolve it closes the stream, unasked of any resolver', async (t) => {
  const { machine, driver } = await stage(t);
  await open(driver, machine, 'relay.example:33445' as Endpoint).closed;
});

test('what was written before a close still arrives', async (t) => {
  const { server, machine, driver, at } = await stage(t);
  const connection = once(server, 'connection') as Promise<[net.Socket]>;
  const { stream, opened } = open(driver, machine, at);
  await opened;
  const [socket] = await connection;
  driver.poke(() => {
    stream.write(new Uint8Array(300_000));
    stream.close();
  });
  let size = 0;
  for await (const data of socket) size += (data as Buffer).length;
  assert.equal(size, 300_000);
});

test('a stream that a peer opens is accepted or refused by the machine', async (t) => {
  const { server, tcp, machine, at } = await stage(t);
  server.on('connection', (socket) => tcp.adopt(socket));
  const refused = net.connect({ host: '127.0.0.1', port: Number(at.split(':')[1]) });
  await once(refused, 'close');
  machine.streams.onAccept = (_now, from, stream) => {
    assert.match(from, /^127\.0\.0\.1:/);
    return { received: (_at, bytes) => stream.write(bytes.slice()), written: () => {}, closed: () => {} };
  };
  const socket = net.connect({ host: '127.0.0.1', port: Number(at.split(':')[1]) });
  socket.write('echo');
  const [data] = (await once(socket, 'data')) as [Buffer];
  assert.equal(data.toString(), 'echo');
  socket.destroy();
});

test('a paused stream reads nothing until it is resumed', async (t) => {
  const { server, machine, driver, at } = await stage(t);
  const connection = once(server, 'connection') as Promise<[net.Socket]>;
  let got = 0;
  const closed = Promise.withResolvers<void>();
  const stream = driver.poke(() =>
    machine.streams.open(at, {
      opened: () => stream.pause(),
      received: (_now, bytes) => {
        got += bytes.length;
      },
      written: () => {},
      closed: () => closed.resolve(),
    }),
  );
  const [socket] = await connection;
  const size = 16 * 1024 * 1024; // more than the buffers of both sides: it leaves only if somebody reads
  const sent = new Promise<void>((done) => socket.write(new Uint8Array(size), () => done()));
  const leaves = await Promise.race([sent.then(() => true), new Promise((done) => setImmediate(() => done(false)))]);
  assert.deepEqual([leaves, got], [false, 0]);
  driver.poke(() => stream.resume());
  await sent;
  socket.end();
  await closed.promise;
  assert.equal(got, size);
});
