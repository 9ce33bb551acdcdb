import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateKeyPair, type PublicKey } from '../../src/crypto/keys.ts';
import { RelayClient, type RelayClientHooks } from '../../src/relay/client.ts';
import { testEnv } from '../../src/testing/index.ts';
import { ScriptedRelay } from './scripted-relay.ts';

const env = testEnv(2);
const peer = (): PublicKey => generateKeyPair(env).publicKey;

test('a client is online as soon as the relay has proved its key, and pings at once', () => {
  const relay = new ScriptedRelay();
  assert.equal(relay.client.takeBytes(), undefined);
  relay.client.connected(0);
  assert.equal(relay.client.state, 'connecting');
  relay.read();
  assert.equal(relay.client.state, 'online');
  assert.deepEqual(relay.told, [['online']]);
  relay.read();
  assert.deepEqual(
    relay.received.map((p) => (p as { kind: number }).kind),
    [4],
  );
});

test('a relay with another key never gets a client online', () => {
  const relay = new ScriptedRelay();
  relay.client.connected(0);
  relay.client.receive(0, relay.env.random(96));
  assert.equal(relay.client.state, 'closed');
  assert.equal(relay.client.takeBytes(), undefined);
  assert.deepEqual(relay.told, []);
});

test('a relay that does not answer the hello within 10 s is left', () => {
  const relay = new ScriptedRelay();
  relay.advance(9_000);
  relay.client.connected(9_000);
  relay.advance(18_999);
  assert.equal(relay.client.state, 'connecting');
  relay.advance(19_000);
  assert.equal(relay.client.state, 'closed');
  assert.equal(relay.client.nextWake(), undefined);
});

test('the relay is pinged every 30 s and left when an answer is missing for 10 s', () => {
  const relay = new ScriptedRelay().login();
  for (const at of [30_000, 60_000]) {
    relay.advance(at - 1);
    relay.read();
    assert.deepEqual(relay.received, []);
    relay.advance(at);
    relay.answerPings();
  }
  relay.advance(90_000);
  relay.send({ kind: 5, pingId: relay.env.random(8) }); // an answer to something else
  relay.advance(99_999);
  assert.equal(relay.client.state, 'online');
  relay.advance(100_000);
  assert.equal(relay.client.state, 'closed');
});

test('while the relay sends, its answer to a ping may take until the next one is due', () => {
  const relay = new ScriptedRelay().login();
  relay.advance(30_000);
  relay.read();
  const ping = relay.received.at(-1) as { kind: 4; pingId: Uint8Array };
  for (let at = 35_000; at < 60_000; at += 5_000) {
    relay.advance(at);
    relay.send({ kind: 7, peer: peer(), data: Uint8Array.of(1) });
  }
  assert.equal(relay.client.state, 'online');
  relay.send({ kind: 5, pingId: ping.pingId });
  relay.advance(69_999);
  assert.equal(relay.client.state, 'online', 'it answered');

  const mute = new ScriptedRelay().login();
  for (let at = 31_000; at < 60_000; at += 1_000) {
    mute.advance(at);
    mute.send({ kind: 7, peer: peer(), data: Uint8Array.of(1) });
  }
  mute.advance(60_000);
  assert.equal(mute.client.state, 'closed', 'it never does');
});

test('a ping of the relay is answered with the same id', () => {
  const relay = new ScriptedRelay().login();
  const pingId = relay.env.random(8);
  relay.send({ kind: 4, pingId });
  relay.read();
  assert.deepEqual(relay.received, [{ kind: 5, pingId }]);
});

test('data goes over a route while its peer is there, and comes with its id', () => {
  const relay = new ScriptedRelay().login();
  const friend = peer();
  assert.equal(relay.client.sendData(16, Uint8Array.of(1)), false);
  assert.equal(relay.client.requestRoute(friend), true);
  relay.send({ kind: 1, id: 16, peer: friend });
  assert.equal(relay.client.sendData(16, Uint8Array.of(1)), false);
  relay.send({ kind: 2, id: 16 });
  assert.equal(relay.client.sendData(16, Uint8Array.of(1, 2, 3)), true);
  relay.read();
  assert.deepEqual(relay.received, [{ kind: 0, peer: friend }, Uint8Array.of(16, 1, 2, 3)]);
  relay.sendRaw(Uint8Array.of(16, 9, 9));
  relay.send({ kind: 3, id: 16 });
  assert.equal(relay.client.sendData(16, Uint8Array.of(1)), false);
  assert.deepEqual(relay.told.slice(1), [
    ['route', friend, 16],
    ['peer', 16, true],
    ['data', 16, Uint8Array.of(9, 9)],
    ['peer', 16, false],
  ]);
});

test('a dropped route is told to the relay; what still comes on it is ignored', () => {
  const relay = new ScriptedRelay().login();
  relay.route(peer(), 20);
  relay.read();
  relay.received = [];
  relay.client.dropRoute(20);
  relay.client.dropRoute(20);
  relay.read();
  assert.deepEqual(relay.received, [{ kind: 3, id: 20 }]);
  const before = relay.told.length;
  relay.sendRaw(Uint8Array.of(20, 1));
  relay.send({ kind: 3, id: 20 });
  assert.equal(relay.told.length, before);
  assert.equal(relay.client.state, 'online');
});

test('a refused route is told, and routes that nobody asked for are not believed', () => {
  const relay = new ScriptedRelay().login();
  const friend = peer();
  relay.client.requestRoute(friend);
  relay.send({ kind: 1, id: 17, peer: peer() });
  relay.send({ kind: 2, id: 17 });
  relay.sendRaw(Uint8Array.of(17, 1));
  relay.send({ kind: 1, id: 0, peer: friend });
  relay.send({ kind: 1, id: 18, peer: friend });
  assert.deepEqual(relay.told.slice(1), [['refused', friend]]);
});

test('a relay that gives one id to two peers is left', () => {
  const relay = new ScriptedRelay().login();
  relay.route(peer(), 16);
  relay.route(peer(), 16);
  assert.equal(relay.client.state, 'closed');
});

test('at most 240 routes are open or asked for', () => {
  const relay = new ScriptedRelay().login();
  for (let id = 16; id < 200; id++) relay.route(peer(), id);
  const asked = Array.from({ length: 56 }, peer);
  for (const key of asked) assert.equal(relay.client.requestRoute(key), true);
  assert.equal(relay.client.requestRoute(asked[0]!), true, 'again is no other one');
  assert.equal(relay.client.requestRoute(peer()), false);
  relay.client.dropRoute(16);
  assert.equal(relay.client.requestRoute(peer()), true);
});

test('out-of-band data and onion packets go out and come in', () => {
  const relay = new ScriptedRelay().login();
  const friend = peer();
  const body = env.random(400);
  const nonce = env.random(24);
  assert.equal(relay.client.sendOob(friend, new Uint8Array(0)), false);
  assert.equal(relay.client.sendOob(friend, new Uint8Array(1_025)), false);
  assert.equal(relay.client.sendOob(friend, Uint8Array.of(7)), true);
  assert.equal(relay.client.sendOnion(nonce, body), true);
  relay.read();
  assert.deepEqual(relay.received, [
    { kind: 6, peer: friend, data: Uint8Array.of(7) },
    { kind: 8, nonce, body },
  ]);
  relay.send({ kind: 7, peer: friend, data: Uint8Array.of(8) });
  relay.send({ kind: 9, data: Uint8Array.of(0x84, 1) });
  relay.send({ kind: 11, data: Uint8Array.of(1) }); // never asked for, harmless
  assert.deepEqual(relay.told.slice(1), [
    ['oob', friend, Uint8Array.of(8)],
    ['onion', Uint8Array.of(0x84, 1)],
  ]);
});

test('data is refused while 128 KiB wait, here or in the stream; pings still go out', () => {
  const relay = new ScriptedRelay().login();
  relay.route(peer(), 16);
  relay.answerPings();
  const data = new Uint8Array(1_400);
  let sent = 0;
  while (relay.client.sendData(16, data)) sent++;
  assert.ok(sent >= 91 && sent <= 92, `${sent}`);
  assert.equal(relay.client.writable, false);
  for (let turns = 0; turns < 10; turns++) relay.answerPings();
  assert.equal(relay.client.writable, true);
  relay.client.written(0, 128 * 1_024);
  assert.equal(relay.client.sendData(16, Uint8Array.of(1)), false);
  const pingId = env.random(8);
  relay.send({ kind: 4, pingId });
  relay.read();
  assert.deepEqual(relay.received, [{ kind: 5, pingId }]);
  relay.client.written(0, 1_000);
  assert.equal(relay.client.sendData(16, data), true);
});

test('a relay that asks and asks but reads nothing is left', () => {
  const relay = new ScriptedRelay().login();
  for (let i = 0; i < 20_000 && relay.client.state === 'online'; i++) {
    relay.send({ kind: 4, pingId: Uint8Array.of(1, 0, 0, 0, 0, 0, i >> 8, i) });
  }
  assert.equal(relay.client.state, 'closed');
});

test('packets that only a relay gets, malformed ones and broken frames close the connection', () => {
  const bad = [
    [0, ...peer()],
    [6, ...peer(), 1],
    [8, ...env.random(400)],
    [10, 1, 2, 3],
    [12, 1],
    [1, 16],
    [2, 3],
    [5, 0, 0, 0, 0, 0, 0, 0, 0],
    [7, ...peer()],
  ];
  for (const packet of bad) {
    const relay = new ScriptedRelay().login();
    relay.sendRaw(Uint8Array.from(packet));
    assert.equal(relay.client.state, 'closed', `kind ${packet[0]}`);
    assert.equal(relay.client.takeBytes(), undefined);
    assert.equal(relay.client.sendOob(peer(), Uint8Array.of(1)), false);
  }
  for (const bytes of [Uint8Array.of(0, 16), Uint8Array.of(8, 1), new Uint8Array(40).fill(0, 1).fill(30, 1, 2)]) {
    const relay = new ScriptedRelay().login();
    relay.client.receive(0, bytes);
    assert.equal(relay.client.state, 'closed');
  }
});

test('a relay key of low order is refused without a connection', () => {
  const hooks = new Proxy({} as RelayClientHooks, { get: () => () => assert.fail('no event expected') });
  const deps = { dhtKeys: generateKeyPair(env), relayKey: new Uint8Array(32) as PublicKey };
  const client = new RelayClient(env, 0, deps, hooks);
  client.connected(0);
  assert.equal(client.state, 'closed');
  assert.equal(client.takeBytes(), undefined);
});
