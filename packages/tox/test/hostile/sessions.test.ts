import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COOKIE_REQUEST, CRYPTO_DATA, HANDSHAKE } from '../../src/packet/crypto.ts';
import { testEnv } from '../../src/testing/index.ts';
import { numbered, Pair } from '../session/pair.ts';

const PATH = { latencyMs: 20 };

test('a friend who forges the address of another one does not cut him off', () => {
  const pair = new Pair(1, PATH).open();
  const { a, b } = pair;
  const c = pair.add('c', 3, 99);
  b.friends.push(c.realKeys.publicKey);
  c.friends.push(b.realKeys.publicKey);
  let forged = 0;
  pair.tap = (from, to, data) => {
    if (from !== c.endpoint || to !== b.endpoint || data[0] === COOKIE_REQUEST) return true;
    forged++;
    pair.carry(a.endpoint, to, data);
    return false;
  };
  for (let round = 0; round < 20; round++) {
    c.crypto.close(pair.now, b.realKeys.publicKey);
    pair.connect(c, b);
    const before = b.lossless.length;
    for (let n = 0; n < 10; n++) pair.send(numbered(n, 100));
    pair.run(300);
    assert.equal(b.lossless.length, before + 10, `round ${round}`);
  }
  assert.ok(forged >= 20);
  assert.ok(pair.established());
  assert.ok(!a.events.includes('closed'));
});

test('another identity that really is at the address of an old session takes it over', () => {
  const pair = new Pair(2, PATH).open();
  const { a, b } = pair;
  a.friends = [];
  pair.sides.splice(pair.sides.indexOf(a), 1); // crashed
  const c = pair.add('c', 1, 99);
  assert.equal(c.endpoint, a.endpoint);
  b.friends.push(c.realKeys.publicKey);
  c.friends.push(b.realKeys.publicKey);
  pair.connect(c, b);
  pair.until(() => c.crypto.established(b.realKeys.publicKey) && b.crypto.established(c.realKeys.publicKey), 3_000);
  c.crypto.sendLossless(pair.now, b.realKeys.publicKey, numbered(1, 100));
  pair.until(() => b.lossless.length === 1, 1_000);
});

test('everything recorded of a session and played back, at once or later, from either address, does nothing', () => {
  const pair = new Pair(3, PATH);
  const { a, b } = pair;
  const recorded: { to: string; data: Uint8Array }[] = [];
  pair.tap = (_from, to, data) => {
    recorded.push({ to, data: Uint8Array.from(data) });
    return true;
  };
  pair.open();
  for (let n = 0; n < 50; n++) pair.send(numbered(n, 200));
  a.crypto.sendLossy(pair.now, b.realKeys.publicKey, Uint8Array.of(200, 1));
  pair.run(2_000);
  const facts = () => ({
    lossless: [a.lossless.length, b.lossless.length],
    lossy: [a.lossy.length, b.lossy.length],
    events: [a.events.join(), b.events.join()],
  });
  const before = facts();
  pair.tap = undefined;
  const stranger = pair.add('c', 9, 7).endpoint;
  const play = () => {
    for (const { to, data } of recorded) {
      const side = to === a.endpoint ? a : b;
      const peer = side === a ? b : a;
      for (const from of [peer.endpoint, stranger]) side.crypto.handle(pair.now, from, data);
    }
  };
  play();
  pair.run(4_000);
  play();
  pair.run(20_000);
  play();
  assert.deepEqual(facts(), before);
  pair.send(numbered(50, 200));
  pair.run(500);
  assert.equal(b.lossless.length, before.lossless[1]! + 1);
});

test('what was recorded brings no packet a second time after the session has ended', () => {
  const pair = new Pair(4, PATH);
  const recorded: { to: string; data: Uint8Array }[] = [];
  pair.tap = (_from, to, data) => {
    recorded.push({ to, data: Uint8Array.from(data) });
    return true;
  };
  pair.open();
  pair.send(numbered(1, 100));
  pair.run(1_000);
  pair.tap = undefined;
  const { a, b } = pair;
  a.crypto.closeAll(pair.now);
  b.crypto.closeAll(pair.now);
  pair.run(100);
  const heard = b.lossless.length;
  for (const wait of [0, 5_000, 20_000]) {
    pair.run(wait);
    for (const { to, data } of recorded) {
      const side = to === a.endpoint ? a : b;
      side.crypto.handle(pair.now, side === a ? b.endpoint : a.endpoint, data);
    }
    pair.run(100);
  }
  pair.run(30_000);
  assert.equal(b.lossless.length, heard, 'no packet arrives twice');
});

test('a stranger in the middle who changes, drops, repeats and reorders never changes what arrives', () => {
  const pair = new Pair(5, { latencyMs: 10, jitterMs: 30, loss: 0.05, duplicate: 0.2 });
  const { b } = pair;
  let n = 0;
  let injecting = false;
  const env = testEnv(3);
  pair.tap = (from, to, data) => {
    if (injecting || ++n % 3 > 0) return true;
    const changed = Uint8Array.from(data);
    changed[env.random(2)[0]! % changed.length]! ^= 1 << (n % 8);
    injecting = true;
    pair.carry(from, to, changed);
    injecting = false;
    return true;
  };
  pair.open();
  for (let i = 0; i < 200; i++) pair.send(numbered(i, 300));
  pair.until(() => b.lossless.length === 200);
  for (const [i, data] of b.lossless.entries()) assert.deepEqual(Buffer.from(data), Buffer.from(numbered(i, 300)));
});

test('data packets of any low 16 bits from the right address do not move the session away', () => {
  const pair = new Pair(6, PATH).open();
  const { a, b } = pair;
  const env = testEnv(4);
  for (let low = 0; low < 65_536; low += 7) {
    const packet = env.random(40);
    packet[0] = CRYPTO_DATA;
    packet[1] = low >>> 8;
    packet[2] = low;
    b.crypto.handle(pair.now, a.endpoint, packet);
  }
  pair.send(numbered(1, 100));
  pair.run(200);
  assert.equal(b.lossless.length, 1);
});

test('handshakes from those who are no friends, or with our own key, make no connection and no answer', () => {
  const pair = new Pair(7, PATH).open();
  const { b } = pair;
  const c = pair.add('c', 3, 42);
  c.friends.push(b.realKeys.publicKey);
  const twin = pair.add('twin', 4, 43, { realKeys: b.realKeys });
  twin.friends.push(b.realKeys.publicKey);
  let answers = 0;
  pair.tap = (from, to, data) => {
    if (from === b.endpoint && to !== pair.a.endpoint && data[0] === HANDSHAKE) answers++;
    return true;
  };
  pair.connect(c, b);
  pair.connect(twin, b);
  pair.run(9_000);
  assert.equal(answers, 0);
  assert.ok(pair.established());
});
