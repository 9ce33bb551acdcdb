import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Nonce, SharedKey } from '../../src/crypto/keys.ts';
import { FrameOpener, packetScratch } from '../../src/relay/frame.ts';
import { Outbox } from '../../src/relay/outbox.ts';
import { testEnv } from '../../src/testing/index.ts';

const KIB = 1_024;
const NO_LIMIT = Number.POSITIVE_INFINITY;

/** An outbox and the peer that reads what leaves it, when the test wants. */
function stage() {
  const env = testEnv(1);
  const key = env.random(32) as SharedKey;
  const nonce = env.random(24) as Nonce;
  const outbox = new Outbox(env, { key, sendNonce: nonce.slice() as Nonce, receiveNonce: nonce });
  const opener = new FrameOpener(key, nonce.slice() as Nonce, packetScratch());
  const pings: Uint8Array[] = [];
  let data = 0;
  /** Bytes that leave, all that may. */
  const leave = (now?: number): number => {
    let size = 0;
    for (let bytes = outbox.take(now); bytes; bytes = outbox.take(now)) {
      size += bytes.length;
      const intact = opener.push(bytes, (packet) => {
        if (packet[0] === 4) pings.push(packet.slice(1));
        else data++;
        return true;
      });
      assert.ok(intact, 'whole frames in order');
    }
    return size;
  };
  const fill = (count: number) => {
    for (let i = 0; i < count; i++) assert.ok(outbox.pushData(new Uint8Array(1_401).fill(16, 0, 1), NO_LIMIT));
  };
  return { outbox, pings, leave, fill, data: () => data };
}

test('a peer that has read nothing yet is sent at most 48 KiB', () => {
  const { outbox, pings, leave, fill, data } = stage();
  fill(100);
  const first = leave(0);
  assert.ok(first > 46 * KIB && first <= 48 * KIB, `${first}`);
  assert.equal(leave(1), 0);
  assert.ok(outbox.queued > 90 * KIB);
  for (let now = 1; data() < 100; now++) {
    outbox.answered(now, pings.shift()!);
    assert.ok(leave(now) <= 20 * KIB);
  }
  assert.equal(outbox.queued, 0);
});

test('the window grows with the length of the way, by the shortest trip that was measured', () => {
  const { outbox, pings, leave, fill } = stage();
  fill(3_000);
  leave(0);
  outbox.answered(65, pings.shift()!);
  const grown = leave(100);
  assert.ok(grown > 250 * KIB && grown < 320 * KIB, `${grown}`);
  outbox.answered(102, pings.splice(0).at(-1)!);
  assert.ok(leave(102) <= 48 * KIB, 'one quick answer shows that the way is short');
});

test('a peer that looks at its sockets every 30 or 50 ms is not taken for one far away', () => {
  for (const trip of [30, 50]) {
    const { outbox, pings, leave, fill } = stage();
    fill(3_000);
    leave(0);
    outbox.answered(trip, pings.splice(0).at(-1)!);
    assert.ok(leave(trip) <= 48 * KIB, `${trip} ms`);
  }
});

test('control packets never wait behind data', () => {
  const { outbox, leave, fill } = stage();
  fill(100);
  leave();
  assert.equal(leave(), 0);
  assert.ok(outbox.pushControl(Uint8Array.of(5, 1, 1, 1, 1, 1, 1, 1, 1), 1_000));
  assert.equal(leave(), 27);
});

test('an answer stands for those before it that never came; others are ignored', () => {
  const { outbox, pings, leave, fill } = stage();
  fill(100);
  leave(0);
  outbox.answered(0, new Uint8Array(8).fill(9));
  assert.equal(leave(1), 0);
  const [early, late] = [pings[0]!, pings.at(-1)!];
  outbox.answered(1, late);
  assert.ok(leave(1) > 30 * KIB);
  outbox.answered(1, early);
  assert.equal(leave(1), 0);
});

test('without the time nothing is measured, and all goes on', () => {
  const { outbox, pings, leave, fill, data } = stage();
  fill(200);
  while (data() < 200) {
    leave();
    for (const id of pings.splice(0)) outbox.answered(1_000_000, id);
  }
  assert.equal(leave(), 0);
});

test('what exceeds the limit is refused, whether it waits here or in the stream', () => {
  const { outbox, leave } = stage();
  const packet = new Uint8Array(982);
  for (let i = 0; i < 4; i++) assert.ok(outbox.pushData(packet, 4_000));
  assert.equal(outbox.pushData(Uint8Array.of(1), 4_000), false);
  leave();
  outbox.written(3_500);
  assert.equal(outbox.pushData(packet, 4_000), false);
  assert.equal(outbox.fits(400, 4_000), true);
  outbox.written(0);
  assert.equal(outbox.pushData(packet, 4_000), true);
});
