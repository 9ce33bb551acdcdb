import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateKeyPair, type KeyId, keyId } from '../../src/crypto/keys.ts';
import { SharedKeys } from '../../src/crypto/shared-keys.ts';
import { NetCrypto } from '../../src/session/net-crypto.ts';
import { testEnv } from '../../src/testing/index.ts';
import { endpoint } from '../../src/wire/endpoint.ts';

/** Nodes that reach each other over relays only. */
function setUp() {
  const env = testEnv(1);
  const under: { from: KeyId; to: KeyId; data: Uint8Array }[] = [];
  const nodes: [KeyId, NetCrypto][] = [];
  const way: { to: 'route' | 'oob' | 'none' } = { to: 'route' };
  const node = (dhtKeys = generateKeyPair(env)) => {
    const realKeys = generateKeyPair(env);
    const id = keyId(dhtKeys.publicKey);
    const seen = { rerouted: 0, received: 0 };
    const sessions = new NetCrypto(
      env,
      {
        realKeys,
        dhtKeys,
        dhtSharedKeys: new SharedKeys(dhtKeys.secretKey, 16),
        send: () => {},
        relays: {
          wayTo: () => way.to,
          ready: () => true,
          doubt() {},
          send: (to, data) => under.push({ from: id, to, data: data.slice() }) > 0,
        },
      },
      {
        isFriend: () => true,
        onDhtKey() {},
        onEstablished() {},
        onClosed() {},
        onLossless: () => seen.received++,
        onLossy() {},
        onAcknowledged() {},
        onWritable() {},
        onRerouted: () => seen.rerouted++,
      },
    );
    nodes.push([id, sessions]);
    return { sessions, seen, dhtKeys, real: realKeys.publicKey, dht: dhtKeys.publicKey };
  };
  const run = (from: number, to: number) => {
    for (let now = from; now <= to; now += 50) {
      for (const [, sessions] of nodes) sessions.wake(now);
      for (let p = under.shift(); p; p = under.shift()) {
        for (const [id, sessions] of nodes) if (id === p.to) sessions.handleRelayed(now, p.from, p.data);
      }
    }
  };
  return { env, us: node(), friend: node(), node, run, way, under };
}

test('a friend who names the DHT key of another one, again and again, does not keep us from that one over relays', () => {
  for (const first of ['we', 'he']) {
    const { env, us, friend, run } = setUp();
    const liar = generateKeyPair(env).publicKey;
    if (first === 'we') us.sessions.connect(0, friend.real, friend.dht);
    us.sessions.connect(0, liar, friend.dht);
    if (first === 'he') friend.sessions.connect(0, us.real, us.dht);
    run(0, 3_000);
    assert.ok(us.sessions.established(friend.real), `${first} began`);
    us.sessions.close(3_000, liar);
    us.sessions.connect(3_000, liar, friend.dht);
    let heard = friend.sessions.heardAt(us.real);
    run(3_000, 8_000);
    assert.ok(friend.sessions.heardAt(us.real)! > heard!);
    heard = us.sessions.heardAt(friend.real);
    us.sessions.close(8_000, liar);
    run(8_000, 12_000);
    assert.ok(us.sessions.heardAt(friend.real)! > heard!, 'the session goes on');
  }
});

test('a relay that says ever anew that the friend is there gets no flood of handshakes', () => {
  const { us, friend, way, under, run } = setUp();
  us.sessions.connect(0, friend.real, friend.dht);
  for (let now = 100; now < 1_100; now++) {
    way.to = 'none';
    us.sessions.relaysChanged(now, friend.dht);
    way.to = 'route';
    us.sessions.relaysChanged(now, friend.dht);
    us.sessions.wake(now);
  }
  assert.ok(under.length > 1 && under.length <= 22, `${under.length} packets in a second`);
  run(1_100, 2_000);
  assert.ok(us.sessions.established(friend.real));
});

test('a relay that says at any rate that the friend came and went makes an open session change its way a few times only', () => {
  const { us, friend, way, under, run } = setUp();
  us.sessions.connect(0, friend.real, friend.dht, endpoint('192.0.2.9', 33_445)); // where he cannot be reached
  run(0, 2_000);
  assert.equal(us.sessions.path(friend.real), 'relay');
  const before = us.seen.rerouted;
  for (let now = 2_000; now < 4_000; now++) {
    way.to = now % 2 === 0 ? 'none' : 'route';
    us.sessions.relaysChanged(now, friend.dht);
    us.sessions.wake(now);
  }
  assert.ok(us.seen.rerouted - before <= 10, `${us.seen.rerouted - before} changes in two seconds`);
  assert.ok(under.length < 40, `${under.length} packets`);
  run(4_000, 8_000);
  assert.equal(us.sessions.path(friend.real), 'relay', 'and the way is right in the end');
  assert.ok(us.sessions.heardAt(friend.real)! > 7_000);
});

test('two friends behind one DHT key talk to us in turn over one relay, and neither takes the way from the other', () => {
  const { us, friend, node, run } = setUp();
  const twin = node(friend.dhtKeys);
  us.sessions.connect(0, friend.real, friend.dht);
  twin.sessions.connect(0, us.real, us.dht);
  run(0, 3_000);
  const before = us.seen.rerouted;
  for (let now = 3_000; now < 5_000; now += 50) {
    friend.sessions.sendLossless(now, us.real, Uint8Array.of(160));
    twin.sessions.sendLossless(now, us.real, Uint8Array.of(160));
    us.sessions.sendLossless(now, friend.real, Uint8Array.of(160));
    us.sessions.sendLossless(now, twin.real, Uint8Array.of(160));
    run(now, now);
  }
  assert.equal(us.seen.received, 80);
  assert.equal(friend.seen.received, 40);
  assert.equal(twin.seen.received, 40);
  assert.equal(us.seen.rerouted, before);
});
