import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endpoint } from '../../src/wire/endpoint.ts';
import { numbered, Pair, type Path, transfer } from './pair.ts';

/** Name, path, packets, and the least share of the bottleneck that a transfer must reach, 0..1. */
const PATHS: [string, Path, number, number][] = [
  ['a clean LAN', { latencyMs: 1, rate: 20, queue: 300 }, 12_000, 0.8],
  ['a clean line of 5 packets/ms', { latencyMs: 20, rate: 5, queue: 400 }, 6_000, 0.75],
  ['1 % loss', { latencyMs: 20, loss: 0.01, rate: 5, queue: 400 }, 6_000, 0.7],
  ['5 % loss', { latencyMs: 20, loss: 0.05, rate: 5, queue: 400 }, 6_000, 0.6],
  ['20 % loss', { latencyMs: 20, loss: 0.2, rate: 5, queue: 400 }, 5_000, 0.4],
  ['5 % loss over 200 ms', { latencyMs: 200, loss: 0.05, rate: 2, queue: 1_000 }, 4_000, 0.3],
  ['reordering and duplicates', { latencyMs: 20, jitterMs: 20, duplicate: 0.05, rate: 5, queue: 400 }, 6_000, 0.6],
  ['wild reordering', { latencyMs: 1, jitterMs: 200, rate: 5, queue: 400 }, 3_000, 0.08],
  ['a very short queue', { latencyMs: 10, rate: 5, queue: 12 }, 5_000, 0.4],
  ['a slow uplink', { latencyMs: 25, rate: 0.09, queue: 200 }, 300, 0.8],
];

for (const [name, path, count, share] of PATHS) {
  test(`over ${name} everything arrives in order, fast enough`, () => {
    for (const seed of [1, 2]) {
      const pair = new Pair(seed, path).open();
      const ms = transfer(pair, count, 120_000);
      const reached = count / ms / path.rate!;
      assert.ok(reached >= share, `${reached.toFixed(2)} of the line, ${ms.toFixed(0)} ms, ${pair.dropped} dropped`);
    }
  });
}

test('a slow uplink is not flooded: after the first packets the queue stays under a third of a second', () => {
  const pair = new Pair(3, { latencyMs: 25, rate: 0.09, queue: 1_000 }).open();
  transfer(pair, 150, 60_000);
  pair.longestQueue = 0;
  transfer(pair, 400, 60_000);
  assert.ok(pair.longestQueue < 333, `${pair.longestQueue} ms`);
});

test('a line that becomes slower and slower is not flooded with what it drops', () => {
  const pair = new Pair(11, { latencyMs: 20, rate: 60, queue: 12_000 }).open();
  transfer(pair, 7_000, 10_000);
  for (const [rate, count] of [
    [9, 7_000],
    [1.8, 7_000],
    [0.18, 1_500],
  ] as const) {
    pair.run(3_000);
    pair.path = { latencyMs: 20, rate, queue: 200 * rate };
    const before = pair.dropped;
    const reached = count / transfer(pair, count, 120_000) / rate;
    assert.ok(reached > 0.85, `${reached.toFixed(2)} of the line`);
    assert.ok(pair.dropped - before < 0.7 * count, `${pair.dropped - before} dropped of ${count}`);
  }
});

test('packet numbers wrap at 2^32 in the midst of a lossy transfer', () => {
  const pair = new Pair(4, { latencyMs: 5, loss: 0.03, jitterMs: 3 }, { firstNumber: 0xffffff00 }).open();
  transfer(pair, 1_500, 30_000, 200);
  assert.equal(pair.a.acknowledged.at(-1), 1_500 - 256);
});

test('more than 65536 packets pass in one session, so that the nonce is recovered across its 16 bits', () => {
  const pair = new Pair(5, { latencyMs: 1, loss: 0.002 }).open();
  transfer(pair, 150_000, 120_000, 20);
  assert.ok(pair.established());
});

test('both directions at once do not disturb each other', () => {
  const pair = new Pair(6, { latencyMs: 15, loss: 0.01, rate: 5, queue: 400 }).open();
  const toA = pair.a.realKeys.publicKey;
  let back = 0;
  let sentBack = 0;
  const fill = () => {
    while (sentBack < 3_000 && pair.b.crypto.room(toA) > 0)
      pair.b.crypto.sendLossless(pair.now, toA, numbered(sentBack++));
  };
  pair.b.onWritable = fill;
  pair.a.onLossless = (_now, data) => assert.deepEqual(data, numbered(back++));
  fill();
  transfer(pair, 3_000, 20_000);
  pair.until(() => back === 3_000, 20_000);
});

test('a session survives an outage of eight seconds and goes on within two', () => {
  const pair = new Pair(7, { latencyMs: 20, rate: 2, queue: 200 }).open();
  let received = 0;
  pair.b.onLossless = () => received++;
  let offered = 0;
  const fill = () => {
    while (offered < 3_000 && pair.room() > 0) pair.send(numbered(offered++));
  };
  pair.a.onWritable = fill;
  fill();
  pair.run(300);
  pair.tap = () => false;
  pair.run(8_000);
  const atCut = received;
  const sent = pair.sent;
  pair.tap = undefined;
  pair.run(2_100);
  assert.ok(received > atCut);
  assert.ok(pair.sent - sent < 3_000);
  pair.until(() => received === 3_000, 20_000);
});

/** Two on a short line, one of whom always has something to send; and how many packets the other got. */
function busyPair(): { pair: Pair; received: () => number } {
  const pair = new Pair(5, { latencyMs: 2, rate: 10, queue: 200 }).open();
  let received = 0;
  let offered = 0;
  const fill = () => {
    while (pair.room() > 0) pair.send(numbered(offered++));
  };
  pair.b.onLossless = () => received++;
  pair.a.onWritable = fill;
  fill();
  return { pair, received: () => received };
}

test('a transfer gets fast again when the way becomes longer and nobody says so', () => {
  const { pair, received } = busyPair();
  pair.run(3_000);
  pair.path = { latencyMs: 40, rate: 2, queue: 100 };
  pair.run(3_000);
  const before = received();
  pair.run(5_000);
  assert.ok(received() - before > 8_000, `${received() - before} packets in 5 s, where 10,000 would fit`);
});

for (const mover of ['a', 'b'] as const) {
  test(`a transfer is soon at full speed again when ${mover === 'a' ? 'its sender' : 'its receiver'} moves from a short line to a long one`, () => {
    const { pair, received } = busyPair();
    pair.run(2_000);
    pair.path = { latencyMs: 150, rate: 1, queue: 200 };
    pair[mover].endpoint = endpoint('192.0.2.77', 33_445)!;
    pair.run(5_000);
    const before = received();
    pair.run(8_000);
    assert.ok(received() - before > 5_000, `${received() - before} packets in 8 s, where 8,000 would fit`);
  });
}

test('a lost lone message is sent again without waiting for the next second', () => {
  const pair = new Pair(8, { latencyMs: 20 }).open();
  pair.run(300);
  let lose = true;
  pair.tap = (from, _to, data) => {
    if (from !== pair.a.endpoint || data.length < 100 || !lose) return true;
    lose = false;
    return false;
  };
  const at = pair.now;
  pair.send(new Uint8Array(100).fill(64));
  pair.until(() => pair.b.lossless.length === 1);
  assert.ok(pair.now - at < 400, `${pair.now - at} ms`);
});

test('bulk is refused early, messages are taken until the numbers end, and the refused source is called again', () => {
  const pair = new Pair(9, { latencyMs: 20, rate: 5, queue: 400 }).open();
  let bulk = 0;
  while (pair.send(numbered(bulk)) !== undefined) bulk++;
  assert.ok(bulk >= 256 && bulk < 1_000, `${bulk} packets queued`);
  assert.equal(pair.room(), 0);
  let messages = 0;
  while (pair.send(Uint8Array.of(64, 1)) !== undefined) messages++;
  assert.equal(bulk + messages, 32_768);
  pair.until(() => pair.a.events.includes('writable'), 60_000);
  assert.ok(pair.room() > 0);
  pair.until(() => pair.b.lossless.length === bulk + messages, 60_000);
});

test('two sessions share a bottleneck', () => {
  // Both directions of a pair have their own line here, so the two senders are a and a second one at its address.
  const path = { latencyMs: 20, rate: 4, queue: 300 };
  const pair = new Pair(10, path).open();
  const c = pair.add('c', 3, 500);
  c.friends.push(pair.a.realKeys.publicKey);
  pair.a.friends.push(c.realKeys.publicKey);
  pair.connect(pair.a, c);
  pair.until(() => c.crypto.established(pair.a.realKeys.publicKey));
  const received = [0, 0];
  pair.b.onLossless = () => received[0]!++;
  c.onLossless = () => received[1]!++;
  const fill = () => {
    for (const to of [pair.b, c]) {
      const key = to.realKeys.publicKey;
      while (pair.a.crypto.room(key) > 0) pair.a.crypto.sendLossless(pair.now, key, numbered(0));
    }
  };
  pair.a.onWritable = fill;
  fill();
  pair.run(8_000);
  const [one, two] = received as [number, number];
  assert.ok(one + two > 8_000 * 4 * 0.7, `${one} + ${two}`);
  assert.ok(Math.min(one, two) / (one + two) > 0.2, `${one} and ${two}`);
});
