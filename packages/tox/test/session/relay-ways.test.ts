import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateKeyPair, type KeyId, keyId } from '../../src/crypto/keys.ts';
import { SharedKeys } from '../../src/crypto/shared-keys.ts';
import { NetCrypto } from '../../src/session/net-crypto.ts';
import { testEnv } from '../../src/testing/index.ts';

/** Two nodes that reach each other over relays only. */
function setUp() {
  const env = testEnv(1);
  const under: { from: KeyId; to: KeyId; data: Uint8Array }[] = [];
  const nodes = new Map<KeyId, NetCrypto>();
  const way: { to: 'route' | 'oob' | 'none' } = { to: 'route' };
  const node = () => {
    const realKeys = generateKeyPair(env);
    const dhtKeys = generateKeyPair(env);
    const id = keyId(dhtKeys.publicKey);
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
        onLossless() {},
        onLossy() {},
        onAcknowledged() {},
        onWritable() {},
        onRerouted() {},
      },
    );
    nodes.set(id, sessions);
    return { sessions, real: realKeys.publicKey, dht: dhtKeys.publicKey };
  };
  const run = (from: number, to: number) => {
    for (let now = from; now <= to; now += 50) {
      for (const sessions of nodes.values()) sessions.wake(now);
      for (let p = under.shift(); p; p = under.shift()) {
        nodes.get(p.to)?.handleRelayed(now, p.from, p.data);
      }
    }
  };
  return { env, us: node(), friend: node(), run, way, under };
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
