import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateKeyPair, randomNonce } from '../../src/crypto/keys.ts';
import { sharedKey } from '../../src/crypto/sodium.ts';
import { encodeCookieRequest, encodeHandshake, openCookieResponse } from '../../src/packet/crypto.ts';
import { testEnv } from '../../src/testing/index.ts';
import { type Endpoint, endpoint } from '../../src/wire/endpoint.ts';
import { Pair } from './pair.ts';

const GOOD = { latencyMs: 10 };

/** Drops everything of a kind, or all but the first `keep` of it. */
function dropKind(pair: Pair, kind: number, keep = 0): () => number {
  let seen = 0;
  pair.tap = (_from, _to, data) => data[0] !== kind || ++seen <= keep;
  return () => seen;
}

test('a session is open on both sides after two and a half round trips', () => {
  const pair = new Pair(1, GOOD).open();
  assert.equal(pair.now, 50);
  assert.deepEqual(pair.b.events, ['dht-key', 'established']);
  assert.deepEqual(pair.a.events, ['established']);
  assert.deepEqual(pair.b.peerDhtKey, pair.a.dhtKeys.publicKey);
});

test('the wire sees 18, 19, 1a, 1a, 1b in the sizes of the standard', () => {
  const pair = new Pair(1, GOOD);
  const seen: [number, number][] = [];
  pair.tap = (_from, _to, data) => {
    seen.push([data[0]!, data.length]);
    return true;
  };
  pair.open();
  assert.deepEqual(seen.slice(0, 4), [
    [0x18, 145],
    [0x19, 161],
    [0x1a, 385],
    [0x1a, 385],
  ]);
  for (const [kind, size] of seen.slice(4)) assert.deepEqual([kind, size], [0x1b, 32]);
});

test('both opening at once end in one session, for 100 seeds with loss and jitter', () => {
  for (let seed = 0; seed < 100; seed++) {
    const pair = new Pair(seed, { latencyMs: 5, jitterMs: 30, loss: seed % 3 === 0 ? 0.2 : 0 });
    pair.connect(pair.a, pair.b);
    pair.run((seed % 10) * 5);
    pair.connect(pair.b, pair.a);
    pair.until(() => pair.established(), 8_000);
    assert.ok(pair.send(Uint8Array.of(64, seed)) !== undefined);
    pair.b.crypto.sendLossless(pair.now, pair.a.realKeys.publicKey, Uint8Array.of(65, seed));
    pair.until(() => pair.a.lossless.length === 1 && pair.b.lossless.length === 1, 8_000);
    pair.run(2_000);
    assert.ok(pair.established());
    for (const side of pair.sides) assert.equal(side.events.filter((e) => e === 'closed').length, 0, `seed ${seed}`);
  }
});

test('cookie requests repeat each second, eight in all, then the attempt is given up', () => {
  const pair = new Pair(2, GOOD);
  const seen = dropKind(pair, 0x18);
  pair.connect(pair.a, pair.b);
  pair.until(() => pair.a.events.includes('closed'));
  assert.equal(seen(), 8);
  assert.equal(pair.now, 8_000);
  assert.equal(pair.a.crypto.nextWake(), undefined);
});

test('handshakes repeat verbatim each second, eight in all', () => {
  const pair = new Pair(2, GOOD);
  const packets: string[] = [];
  pair.tap = (_from, _to, data) => {
    if (data[0] !== 0x1a) return true;
    packets.push(Buffer.from(data).toString('hex'));
    return false;
  };
  pair.connect(pair.a, pair.b);
  pair.until(() => pair.a.events.includes('closed'));
  assert.equal(packets.length, 8);
  assert.equal(new Set(packets).size, 1);
});

test('an attempt without an address waits and starts the moment the address is known', () => {
  const pair = new Pair(3, GOOD);
  const key = pair.b.realKeys.publicKey;
  pair.a.crypto.connect(0, key, pair.b.dhtKeys.publicKey);
  pair.run(100_000);
  assert.equal(pair.sent, 0);
  pair.a.crypto.setEndpoint(pair.now, key, pair.b.endpoint);
  assert.equal(pair.sent, 1);
  pair.until(() => pair.established(), 100);
});

test('a stranger gets a cookie but no session', () => {
  const pair = new Pair(4, GOOD);
  pair.b.friends = [];
  pair.connect(pair.a, pair.b);
  pair.run(10_000);
  assert.deepEqual(pair.b.events, []);
  assert.deepEqual(pair.a.events, ['closed']);
});

test('an idle session sends one packet request a second each way, and nothing else', () => {
  const pair = new Pair(5, GOOD).open();
  pair.run(1_000);
  const before = pair.sent;
  pair.run(60_000);
  assert.ok(Math.abs(pair.sent - before - 120) <= 4, `${pair.sent - before} packets in a minute`);
});

test('a lone message leaves at once, arrives once, and is acknowledged within ten milliseconds', () => {
  const pair = new Pair(6, GOOD).open();
  pair.run(500);
  const sentAt = pair.now;
  assert.equal(pair.send(Uint8Array.of(64, 104, 105)), 0);
  pair.until(() => pair.b.lossless.length === 1);
  assert.equal(pair.now, sentAt + 10);
  assert.deepEqual([...pair.b.lossless[0]!], [64, 104, 105]);
  pair.until(() => pair.a.acknowledged.includes(1));
  assert.ok(pair.now <= sentAt + 30);
});

test('closing kills the session at the peer, once, and the next one starts anew', () => {
  const pair = new Pair(7, GOOD).open();
  pair.a.crypto.close(pair.now, pair.b.realKeys.publicKey);
  pair.until(() => pair.b.events.includes('closed'), 20);
  assert.equal(pair.a.events.includes('closed'), false);
  assert.equal(pair.a.crypto.nextWake(), undefined);
  assert.equal(pair.b.crypto.nextWake(), undefined);
  pair.connect(pair.b, pair.a);
  pair.until(() => pair.established(), 100);
});

test('a peer that restarts with a new DHT key replaces its old session at once', () => {
  const pair = new Pair(8, GOOD).open();
  const again = pair.add('a2', 3, 99, { realKeys: pair.a.realKeys });
  again.friends.push(pair.b.realKeys.publicKey);
  pair.a.crypto.handle = () => true; // crashed
  pair.a.crypto.wake = () => {};
  pair.a.crypto.nextWake = () => undefined;
  pair.connect(again, pair.b);
  const { a, b } = pair;
  pair.until(() => again.crypto.established(b.realKeys.publicKey), 100);
  pair.until(() => b.crypto.established(a.realKeys.publicKey), 100);
  assert.deepEqual(pair.b.events, ['dht-key', 'established', 'dht-key', 'closed', 'established']);
  assert.deepEqual(pair.b.peerDhtKey, again.dhtKeys.publicKey);
  assert.equal(pair.b.crypto.endpoint(pair.a.realKeys.publicKey), again.endpoint);
});

test('a peer that lost the session but kept its DHT key is not locked out', () => {
  const pair = new Pair(9, GOOD).open();
  dropKind(pair, 0x1b);
  pair.a.crypto.close(pair.now, pair.b.realKeys.publicKey); // the kill is lost
  pair.run(500);
  pair.tap = undefined;
  pair.connect(pair.a, pair.b);
  pair.until(() => pair.a.crypto.established(pair.b.realKeys.publicKey), 100);
  pair.until(() => pair.established(), 100);
  assert.deepEqual(pair.b.events, ['dht-key', 'established', 'closed', 'established']);
  pair.send(Uint8Array.of(64, 1));
  pair.until(() => pair.b.lossless.length === 1, 100);
});

test('captured handshakes and data packets change nothing when they are played back', () => {
  const pair = new Pair(10, GOOD);
  const captured: [Endpoint, Endpoint, Uint8Array][] = [];
  pair.tap = (from, to, data) => {
    captured.push([from, to, data.slice()]);
    return true;
  };
  pair.open();
  pair.a.crypto.sendLossy(pair.now, pair.b.realKeys.publicKey, Uint8Array.of(200, 1));
  pair.send(Uint8Array.of(64, 1));
  pair.run(3_000);
  const copy = captured.slice();
  const elsewhere = endpoint('203.0.113.9', 4444)!;
  for (const [from, to, data] of copy) {
    for (const side of pair.sides) {
      if (side.endpoint !== to) continue;
      side.crypto.handle(pair.now, from, data);
      side.crypto.handle(pair.now, elsewhere, data);
    }
  }
  pair.run(3_000);
  assert.equal(pair.b.lossy.length, 1);
  assert.equal(pair.b.lossless.length, 1);
  assert.deepEqual(pair.b.events, ['dht-key', 'established']);
  assert.equal(pair.b.crypto.endpoint(pair.a.realKeys.publicKey), pair.a.endpoint);
  pair.send(Uint8Array.of(64, 2));
  pair.until(() => pair.b.lossless.length === 2, 100);
});

test('data packets from another address do not count while those of the right one arrive', () => {
  const pair = new Pair(11, GOOD).open();
  pair.tap = (_from, to, data) => {
    const lossless = data.length > 40;
    if (lossless && to === pair.b.endpoint) pair.b.crypto.handle(pair.now, endpoint('203.0.113.9', 1)!, data);
    return !lossless;
  };
  pair.send(new Uint8Array(100).fill(64));
  pair.run(20_000);
  assert.equal(pair.b.lossless.length, 0);
  assert.equal(pair.b.crypto.endpoint(pair.a.realKeys.publicKey), pair.a.endpoint);
});

test('a session goes on within four seconds, and loses nothing, when a NAT gives one side another port', () => {
  const pair = new Pair(11, GOOD).open();
  const { a, b } = pair;
  a.endpoint = endpoint('198.51.100.7', 4001)!;
  pair.send(Uint8Array.of(64, 1));
  b.crypto.sendLossless(pair.now, a.realKeys.publicKey, Uint8Array.of(64, 2));
  pair.until(() => a.lossless.length === 1 && b.lossless.length === 1, 4_000);
  a.endpoint = endpoint('198.51.100.7', 4002)!;
  pair.run(4_000);
  assert.equal(b.crypto.endpoint(a.realKeys.publicKey), a.endpoint);
  assert.deepEqual([a.events, b.events], [['established'], ['dht-key', 'established']]);
});

test('a session goes on when both sides moved and one of them is found', () => {
  const pair = new Pair(11, GOOD).open();
  const { a, b } = pair;
  a.endpoint = endpoint('198.51.100.7', 4001)!;
  b.endpoint = endpoint('203.0.113.5', 4001)!;
  pair.run(8_100);
  a.crypto.setEndpoint(pair.now, b.realKeys.publicKey, b.endpoint);
  pair.send(Uint8Array.of(64, 1));
  pair.until(() => b.lossless.length === 1, 100);
  assert.equal(b.crypto.endpoint(a.realKeys.publicKey), a.endpoint);
});

test('an address from the DHT does not replace the one that the peer answers from, before or after the start', () => {
  const pair = new Pair(11, GOOD);
  const elsewhere = endpoint('203.0.113.9', 1)!;
  pair.connect(pair.a, pair.b);
  while (!pair.established()) {
    pair.step();
    if (pair.now > 10) pair.b.crypto.setEndpoint(pair.now, pair.a.realKeys.publicKey, elsewhere);
    if (pair.now > 20) pair.a.crypto.setEndpoint(pair.now, pair.b.realKeys.publicKey, elsewhere);
  }
  assert.equal(pair.now, 50);
  pair.run(20_000);
  pair.a.crypto.setEndpoint(pair.now, pair.b.realKeys.publicKey, elsewhere);
  assert.equal(pair.a.crypto.endpoint(pair.b.realKeys.publicKey), pair.b.endpoint);
});

test('a flood of data packets from forged addresses moves no session', () => {
  const pair = new Pair(11, GOOD).open();
  pair.tap = () => false; // silent
  pair.run(5_000);
  for (let i = 0; i < 5_000; i++) {
    const from = endpoint(`198.51.${i % 256}.${(i >> 8) % 256}`, 1 + (i % 60_000))!;
    pair.b.crypto.handle(pair.now, from, new Uint8Array(1_400).fill(0x1b));
  }
  assert.equal(pair.b.crypto.endpoint(pair.a.realKeys.publicKey), pair.a.endpoint);
});

test('a flood of cookie requests from one address is answered ten times and does not silence another', () => {
  const pair = new Pair(12, GOOD);
  const env = testEnv(77);
  let answers = 0;
  const requests: Uint8Array[] = [];
  const peers = Array.from({ length: 60 }, () => generateKeyPair(env));
  const real = pair.b.realKeys.publicKey;
  pair.tap = (_from, to, data) => {
    if (data[0] === 0x18) requests.push(data);
    if (data[0] === 0x19 && to !== pair.a.endpoint) answers++;
    return requests.length > 1_000;
  };
  for (const peer of peers) {
    pair.a.crypto.connect(0, peer.publicKey, pair.b.dhtKeys.publicKey, pair.b.endpoint);
    pair.a.crypto.close(0, peer.publicKey);
  }
  for (let i = 0; i < 40; i++) {
    for (const packet of requests) pair.b.crypto.handle(0, endpoint('203.0.113.7', 1000 + i)!, packet);
  }
  assert.equal(answers, 10);
  pair.tap = undefined;
  pair.a.crypto.connect(0, real, pair.b.dhtKeys.publicKey, pair.b.endpoint);
  pair.until(() => pair.established(), 100);
});

test('random bytes of every kind, from the peer and from strangers, are dropped without harm', () => {
  const pair = new Pair(13, GOOD).open();
  const env = testEnv(5);
  for (let i = 0; i < 4_000; i++) {
    const data = env.random(i % 1_500);
    if (data.length > 0) data[0] = 0x18 + (i & 3);
    const from = i % 2 === 0 ? pair.a.endpoint : endpoint('203.0.113.1', 1 + i)!;
    pair.b.crypto.handle(pair.now, from, data);
  }
  assert.equal(pair.b.crypto.handle(pair.now, pair.a.endpoint, new Uint8Array(0)), false);
  assert.ok(pair.established());
  pair.send(Uint8Array.of(64, 1));
  pair.until(() => pair.b.lossless.length === 1, 100);
});

test('changed handshakes are refused, byte by byte', () => {
  const pair = new Pair(14, GOOD);
  const handshakes: Uint8Array[] = [];
  pair.tap = (_from, _to, data) => {
    if (data[0] === 0x1a) handshakes.push(data);
    return data[0] !== 0x1a;
  };
  pair.connect(pair.a, pair.b);
  pair.run(100);
  const packet = handshakes[0]!;
  for (let i = 1; i < packet.length; i++) {
    const mutant = packet.slice();
    mutant[i]! ^= 0x10;
    pair.b.crypto.handle(pair.now, pair.a.endpoint, mutant);
  }
  assert.deepEqual(pair.b.events, []);
  pair.b.crypto.handle(pair.now, pair.a.endpoint, packet);
  assert.deepEqual(pair.b.events, ['dht-key']);
});

test('a friend who sends ever new handshakes has few of them answered, and gets in afterwards', () => {
  const pair = new Pair(19, GOOD);
  const { a, b } = pair;
  const shared = sharedKey(a.dhtKeys.publicKey, b.dhtKeys.secretKey)!;
  const echo = new Uint8Array(8);
  const env = testEnv(5);
  let cookie: Uint8Array | undefined;
  pair.tap = (from, _to, data) => {
    if (from === b.endpoint) cookie ??= openCookieResponse(shared, echo, data);
    return false;
  };
  const request = encodeCookieRequest(shared, randomNonce(env), a.dhtKeys.publicKey, a.realKeys.publicKey, echo);
  b.crypto.handle(pair.now, a.endpoint, request);
  const real = sharedKey(a.realKeys.publicKey, b.realKeys.secretKey)!;
  const before = pair.sent;
  for (let i = 0; i < 500; i++) {
    const content = {
      baseNonce: randomNonce(env),
      sessionKey: generateKeyPair(env).publicKey,
      cookie: new Uint8Array(112),
    };
    b.crypto.handle(pair.now + i * 2, a.endpoint, encodeHandshake(real, randomNonce(env), cookie!, content));
  }
  assert.ok(pair.sent - before <= 20, `${pair.sent - before} packets`);
  pair.tap = undefined;
  pair.run(5_000);
  pair.connect(a, b);
  pair.until(() => pair.established(), 5_000);
});

test('a handshake with a cookie older than 15 seconds is refused', () => {
  const pair = new Pair(15, GOOD);
  let handshake: Uint8Array | undefined;
  pair.tap = (_from, _to, data) => {
    if (data[0] === 0x1a) handshake ??= data;
    return data[0] !== 0x1a;
  };
  pair.connect(pair.a, pair.b);
  pair.run(15_100);
  pair.b.crypto.handle(pair.now, pair.a.endpoint, handshake!);
  assert.deepEqual(pair.b.events, []);
});

test('ids and lengths that no packet may have are a mistake of the caller', () => {
  const pair = new Pair(16, GOOD).open();
  const key = pair.b.realKeys.publicKey;
  for (const data of [new Uint8Array(0), Uint8Array.of(1), Uint8Array.of(192), new Uint8Array(1374).fill(160)]) {
    assert.throws(() => pair.a.crypto.sendLossless(pair.now, key, data), RangeError);
  }
  for (const data of [Uint8Array.of(191), Uint8Array.of(255)]) {
    assert.throws(() => pair.a.crypto.sendLossy(pair.now, key, data), RangeError);
  }
});

test('all sessions are killed on shutdown', () => {
  const pair = new Pair(17, GOOD).open();
  pair.a.crypto.closeAll(pair.now);
  pair.until(() => pair.b.events.includes('closed'), 20);
  assert.equal(pair.send(Uint8Array.of(64)), undefined);
  assert.equal(pair.room(), 0);
});
