import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { test } from 'node:test';
import { UdpSocket } from '../../src/node/udp.ts';
import { endpoint } from '../../src/wire/endpoint.ts';

const HOST = '127.0.0.1';

async function peer(t: { after(end: () => void): void }) {
  const socket = dgram.createSocket('udp4').bind(0, HOST);
  t.after(() => socket.close());
  await once(socket, 'listening');
  const at = endpoint(HOST, socket.address().port)!;
  /** The next so many datagrams: from which ports. */
  const hear = (count: number): Promise<number[]> =>
    new Promise((resolve) => {
      const ports: number[] = [];
      const listener = (_data: Buffer, from: dgram.RemoteInfo) => {
        ports.push(from.port);
        if (ports.length < count) return;
        socket.off('message', listener);
        resolve(ports);
      };
      socket.on('message', listener);
    });
  return { socket, at, hear };
}

test('a burst comes from many ports, and the one that is answered is the way from then on', async (t) => {
  const node = await UdpSocket.open({ host: HOST, port: 0 });
  t.after(() => node.close());
  const { socket, at, hear } = await peer(t);
  const burst = hear(9);
  node.send(at, Uint8Array.of(1), 8);
  const ports = await burst;
  assert.equal(new Set(ports).size, 9);
  assert.ok(ports.includes(node.port));

  const chosen = ports.find((port) => port !== node.port)!;
  const answered = new Promise((resolve) => {
    node.onDatagram = (from, data) => resolve([from, [...data]]);
  });
  socket.send(Uint8Array.of(2), chosen, HOST);
  assert.deepEqual(await answered, [at, [2]]);
  const next = hear(1);
  node.send(at, Uint8Array.of(3));
  assert.deepEqual(await next, [chosen]);
});

test('a peer that only the own port hears any more is answered from there again; a forged datagram changes nothing', async (t) => {
  let late = 0;
  const real = performance.now.bind(performance);
  t.mock.method(performance, 'now', () => real() + late);
  const node = await UdpSocket.open({ host: HOST, port: 0 });
  t.after(() => node.close());
  const { socket, at, hear } = await peer(t);
  const burst = hear(3);
  node.send(at, Uint8Array.of(1), 2);
  const chosen = (await burst).find((port) => port !== node.port)!;
  let heard = Promise.withResolvers<void>();
  node.onDatagram = () => heard.resolve();
  socket.send(Uint8Array.of(2), chosen, HOST);
  await heard.promise;
  for (const expected of [chosen, node.port]) {
    heard = Promise.withResolvers<void>();
    socket.send(Uint8Array.of(2), node.port, HOST);
    await heard.promise;
    const next = hear(1);
    node.send(at, Uint8Array.of(3));
    assert.deepEqual(await next, [expected]);
    late += 10_000;
  }
});

test('a node bound to one address sends bursts from that address alone', async (t) => {
  const node = await UdpSocket.open({ host: '127.0.0.2', port: 0 });
  t.after(() => node.close());
  const { socket, at } = await peer(t);
  const sources: string[] = [];
  const all = new Promise<void>((resolve) => {
    socket.on('message', (_data, from) => {
      if (sources.push(from.address) === 4) resolve();
    });
  });
  node.send(at, Uint8Array.of(1), 3);
  await all;
  assert.deepEqual([...new Set(sources)], ['127.0.0.2']);
});

test('what strangers send to a further port is not heard', async (t) => {
  const node = await UdpSocket.open({ host: HOST, port: 0 });
  t.after(() => node.close());
  const [{ socket, at, hear }, stranger] = [await peer(t), await peer(t)];
  const burst = hear(3);
  node.send(at, Uint8Array.of(1), 2);
  const chosen = (await burst).find((port) => port !== node.port)!;
  const heard: number[] = [];
  const done = new Promise<void>((resolve) => {
    node.onDatagram = (_from, data) => {
      heard.push(data[0]!);
      resolve();
    };
  });
  stranger.socket.send(Uint8Array.of(9), chosen, HOST, () => socket.send(Uint8Array.of(2), chosen, HOST));
  await done;
  assert.deepEqual(heard, [2]);
});

test('one node of the process sends a burst at a time', async (t) => {
  const [one, other] = [await UdpSocket.open({ host: HOST, port: 0 }), await UdpSocket.open({ host: HOST, port: 0 })];
  const { at, hear } = await peer(t);
  const first = hear(6);
  one.send(at, Uint8Array.of(1), 4);
  other.send(at, Uint8Array.of(1), 4);
  assert.equal(new Set(await first).size, 6, 'five of the first, one of the other');
  const second = hear(5);
  await one.close();
  other.send(at, Uint8Array.of(1), 4);
  assert.equal(new Set(await second).size, 5);
  await other.close();
});
