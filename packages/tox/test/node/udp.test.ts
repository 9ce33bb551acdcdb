import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import { UdpSocket } from '../../src/node/udp.ts';
import { type Endpoint, endpoint } from '../../src/wire/endpoint.ts';

const hasIp6 = Object.values(networkInterfaces()).some((all) => all?.some((a) => a.address === '::1'));

/** The next datagram that arrives. */
function next(socket: UdpSocket): Promise<[Endpoint, Uint8Array]> {
  return new Promise((resolve) => {
    socket.onDatagram = (from, data) => resolve([from, data.slice()]);
  });
}

test('a dual-stack socket names IPv4 peers as IPv4 and reaches both kinds', { skip: !hasIp6 }, async (t) => {
  const dual = await UdpSocket.open({ port: 0 });
  t.after(() => dual.close());
  for (const host of ['127.0.0.1', '::1']) {
    const peer = await UdpSocket.open({ host, port: 0 });
    t.after(() => peer.close());
    const arrived = next(dual);
    peer.send(endpoint(host, dual.port)!, Uint8Array.of(1));
    const [from] = await arrived;
    assert.equal(from, endpoint(host, peer.port));
    const answered = next(peer);
    dual.send(from, Uint8Array.of(2));
    assert.deepEqual(await answered, [endpoint(host, dual.port), Uint8Array.of(2)]);
  }
});

test('what cannot be sent is lost without harm: too large, no route, broadcast, other IP version', async (t) => {
  const socket = await UdpSocket.open({ host: '127.0.0.1', port: 0 });
  t.after(() => socket.close());
  const self = endpoint('127.0.0.1', socket.port)!;
  socket.send(self, new Uint8Array(70_000)); // EMSGSIZE
  socket.send(endpoint('192.0.2.1', 1)!, Uint8Array.of(1)); // EINVAL or ENETUNREACH from a loopback socket
  socket.send(endpoint('255.255.255.255', 1)!, Uint8Array.of(1)); // EACCES
  socket.send(endpoint('2001:db8::1', 1)!, Uint8Array.of(1));
  const arrived = next(socket);
  socket.send(self, Uint8Array.of(7));
  assert.deepEqual(await arrived, [self, Uint8Array.of(7)]);
});

test('without a wanted port the first free one of 33445..33545 is taken, and a wanted one is taken or refused', async (t) => {
  const first = await UdpSocket.open({ host: '127.0.0.1' });
  t.after(() => first.close());
  const second = await UdpSocket.open({ host: '127.0.0.1' });
  t.after(() => second.close());
  assert.ok(first.port >= 33_445 && second.port > first.port && second.port <= 33_545);
  await assert.rejects(UdpSocket.open({ host: '127.0.0.1', port: first.port }), { kind: 'port-in-use' });
});

test('datagrams of any size up to the limit of UDP arrive as they were sent, empty ones too', async (t) => {
  const socket = await UdpSocket.open({ host: '127.0.0.1', port: 0 });
  t.after(() => socket.close());
  const plain = dgram.createSocket('udp4');
  t.after(() => plain.close());
  for (const size of [0, 1, 1_400, 2_048, 65_507]) {
    const arrived = next(socket);
    plain.send(new Uint8Array(size).fill(size), socket.port, '127.0.0.1');
    assert.deepEqual((await arrived)[1], new Uint8Array(size).fill(size));
  }
});
