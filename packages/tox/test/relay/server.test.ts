import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateKeyPair, type PublicKey } from '../../src/crypto/keys.ts';
import { type Guest, Service } from './service.ts';

const PING = Uint8Array.of(4, 1, 1, 1, 1, 1, 1, 1, 1);

/** Both ask for each other; the ids of the routes. */
function connect(service: Service, a: Guest, b: Guest): [number, number] {
  a.client.requestRoute(b.keys.publicKey);
  b.client.requestRoute(a.keys.publicKey);
  service.settle();
  const id = (guest: Guest) => guest.news().find(([name]) => name === 'route')![2] as number;
  return [id(a), id(b)];
}

test('two clients that ask for each other are told so, and talk over the route', () => {
  const service = new Service();
  const [a, b] = [service.guest(), service.guest()];
  a.client.requestRoute(b.keys.publicKey);
  service.settle();
  assert.deepEqual(a.news(), [['route', b.keys.publicKey, 16]]);
  assert.deepEqual(b.news(), []);
  b.client.requestRoute(a.keys.publicKey);
  service.settle();
  assert.deepEqual(a.news(), [['peer', 16, true]]);
  assert.deepEqual(b.news(), [
    ['route', a.keys.publicKey, 16],
    ['peer', 16, true],
  ]);
  a.client.sendData(16, Uint8Array.of(1, 2));
  b.client.sendData(16, Uint8Array.of(3));
  service.settle();
  assert.deepEqual([a.news(), b.news()], [[['data', 16, Uint8Array.of(3)]], [['data', 16, Uint8Array.of(1, 2)]]]);
});

test('what was read by its client no longer counts as waiting, however much passes', () => {
  const service = new Service();
  const [a, b] = [service.guest(), service.guest()];
  const [id] = connect(service, a, b);
  const data = new Uint8Array(1_373);
  for (let i = 0; i < 1_000; i++) {
    assert.ok(a.client.sendData(id, data));
    service.settle();
  }
  assert.equal(b.news().filter(([name]) => name === 'data').length, 1_000);
  const { dropped, queuedBytes, forwardedBytes } = service.server.stats;
  assert.deepEqual([dropped, queuedBytes, forwardedBytes], [0, 0, 1_374_000]);
});

test('each side has ids of its own', () => {
  const service = new Service();
  const [a, b, c] = [service.guest(), service.guest(), service.guest()];
  a.client.requestRoute(c.keys.publicKey);
  service.settle();
  a.news();
  assert.deepEqual(connect(service, a, b), [17, 16]);
  a.client.sendData(17, Uint8Array.of(5));
  service.settle();
  assert.deepEqual(b.news().at(-1), ['data', 16, Uint8Array.of(5)]);
});

test('a peer that leaves, drops the route or comes back is told, and its old packets are not passed on', () => {
  const service = new Service();
  const [a, b] = [service.guest(), service.guest()];
  connect(service, a, b);
  b.client.dropRoute(16);
  service.settle();
  assert.deepEqual(a.news(), [['peer', 16, false]]);
  b.client.requestRoute(a.keys.publicKey);
  service.settle();
  assert.deepEqual(a.news(), [['peer', 16, true]]);
  b.line.end();
  service.settle();
  assert.deepEqual(a.news(), [['peer', 16, false]]);
  const again = service.guest(service.address(), b.keys);
  again.client.requestRoute(a.keys.publicKey);
  service.settle();
  assert.deepEqual(a.news(), [['peer', 16, true]]);
  assert.deepEqual(again.news().at(-1), ['peer', 16, true]);
});

test('a second log-in with the same key ends the first, and takes over its place', () => {
  const service = new Service();
  const [a, b] = [service.guest(), service.guest()];
  connect(service, a, b);
  const again = service.guest(service.address(), b.keys);
  assert.equal(b.line.open, false);
  assert.deepEqual(a.news(), [['peer', 16, false]]);
  a.client.sendOob(b.keys.publicKey, Uint8Array.of(1));
  service.settle();
  assert.deepEqual(again.news(), [['oob', a.keys.publicKey, Uint8Array.of(1)]]);
  assert.equal(service.server.stats.clients, 2);
});

test('nobody is logged out by an old hello: only the first frame shows who it is', () => {
  const service = new Service();
  const guest = service.guest();
  const replayed = service.line();
  replayed.send(guest.line.hello!);
  assert.equal(replayed.inbound.length, 1, 'it is answered');
  replayed.send(Uint8Array.of(0, 20, ...service.env.random(20)));
  assert.equal(replayed.open, false);
  assert.ok(guest.online);
  assert.equal(service.server.stats.clients, 1);
});

test('one cannot have a route to oneself, nor to more than 240 others, nor two to one', () => {
  const service = new Service();
  const client = service.raw(PING);
  client.received();
  const peers = Array.from({ length: 241 }, () => service.env.random(32));
  client.send(Uint8Array.of(0, ...client.keys.publicKey), ...peers.map((peer) => Uint8Array.of(0, ...peer)));
  const routes = () =>
    client
      .received()
      .filter(([kind]) => kind === 1)
      .map((packet) => packet[1]);
  assert.deepEqual(routes(), [0, ...Array.from({ length: 240 }, (_, i) => 16 + i), 0]);
  client.send(Uint8Array.of(0, ...peers[7]!), Uint8Array.of(3, 16 + 9), Uint8Array.of(0, ...peers[240]!));
  assert.deepEqual(routes(), [16 + 7, 16 + 9]);
});

test('out-of-band data reaches whoever is logged in with the key, and nobody else', () => {
  const service = new Service();
  const [a, b] = [service.guest(), service.guest()];
  a.client.sendOob(b.keys.publicKey, new Uint8Array(1_024).fill(3));
  a.client.sendOob(a.keys.publicKey, Uint8Array.of(1));
  a.client.sendOob(generateKeyPair(service.env).publicKey, Uint8Array.of(2));
  service.settle();
  assert.deepEqual(b.news(), [['oob', a.keys.publicKey, new Uint8Array(1_024).fill(3)]]);
  assert.deepEqual(a.news(), []);
});

test('onion requests are handed on with their client, and answers find it as long as it is there', () => {
  const service = new Service();
  const from = service.address();
  const [a, b] = [service.guest(from), service.guest()];
  const nonce = service.env.random(24);
  const body = service.env.random(300);
  a.client.sendOnion(nonce, body);
  b.client.sendOnion(nonce, body);
  service.settle();
  const [first, second] = service.onion;
  assert.deepEqual(first, { client: first!.client, from, nonce, body });
  service.server.sendOnionResponse(first!.client as never, Uint8Array.of(0x84, 1));
  b.line.end();
  service.guest();
  service.server.sendOnionResponse(second!.client as never, Uint8Array.of(0x84, 2));
  service.settle();
  assert.deepEqual(
    service.guests.map((guest) => guest.news()),
    [[['onion', Uint8Array.of(0x84, 1)]], [], []],
  );
});

test('clients are pinged every 30 s and kicked when they do not answer within 10 s', () => {
  const service = new Service();
  const [a, silent] = [service.guest(), service.guest()];
  service.advance(95_000);
  assert.ok(a.online && silent.online);
  silent.line.send = () => {};
  service.advance(129_999);
  assert.ok(silent.line.open);
  service.advance(130_000);
  assert.equal(silent.line.open, false);
  assert.ok(a.online);
  assert.equal(service.server.stats.clients, 1);
  assert.equal(service.server.stats.timedOut, 1);
});

test('a client on a slow line, where our ping waits behind data, is kept while it shows that data arrives', () => {
  const service = new Service();
  const slow = service.raw(PING);
  const b = service.guest();
  slow.send(Uint8Array.of(0, ...b.keys.publicKey));
  b.client.requestRoute(slow.keys.publicKey as PublicKey);
  service.settle();
  for (let i = 0; i < 20; i++) b.client.sendData(16, new Uint8Array(1_400));
  service.settle();
  const mark = slow.received().find((packet) => packet[0] === 4)!;
  service.advance(35_000);
  slow.send(Uint8Array.of(5, ...mark.subarray(1)));
  service.advance(69_999);
  assert.ok(slow.line.open);
  slow.send(Uint8Array.of(5, ...mark.subarray(1)));
  service.advance(70_000);
  assert.equal(slow.line.open, false, 'an answer counts once');
});

test('an idle relay sleeps: it has no deadline without connections', () => {
  const service = new Service();
  assert.equal(service.server.nextWake(), undefined);
  const guest = service.guest();
  assert.equal(service.server.nextWake(), 30_000);
  guest.line.end();
  assert.equal(service.server.nextWake(), undefined);
});

test('closing the server ends every connection', () => {
  const service = new Service();
  const guests = [service.guest(), service.guest()];
  const halfOpen = service.line();
  service.server.close();
  assert.deepEqual([...guests.map(({ line }) => line.open), halfOpen.open], [false, false, false]);
  const { clients, halfOpen: left, queuedBytes } = service.server.stats;
  assert.deepEqual([clients, left, queuedBytes], [0, 0, 0]);
});

test('a packet that c-toxcore would take for the end of the connection is not passed on', () => {
  const service = new Service();
  const a = service.raw(PING);
  const b = service.guest();
  a.send(Uint8Array.of(0, ...b.keys.publicKey));
  b.client.requestRoute(a.keys.publicKey as PublicKey);
  service.settle();
  b.news();
  a.send(Uint8Array.of(16));
  a.send(Uint8Array.of(16, 7));
  service.settle();
  assert.deepEqual(b.news(), [['data', 16, Uint8Array.of(7)]]);
});
