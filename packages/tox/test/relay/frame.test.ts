import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Nonce, SharedKey } from '../../src/crypto/keys.ts';
import { FRAME_OVERHEAD, FrameOpener, FrameSealer, packetScratch } from '../../src/relay/frame.ts';
import { seededRandom, testEnv } from '../../src/testing/index.ts';

const env = testEnv(1);
const key = env.random(32) as SharedKey;
const nonce = env.random(24) as Nonce;

/** All packets that come out of a stream, whose bytes arrive in these pieces. */
function receive(pieces: Iterable<Uint8Array>, by: SharedKey = key): { packets: Uint8Array[]; intact: boolean } {
  const opener = new FrameOpener(by, nonce.slice() as Nonce, packetScratch());
  const packets: Uint8Array[] = [];
  for (const piece of pieces) {
    if (!opener.push(piece, (packet) => packets.push(packet.slice()) > 0)) return { packets, intact: false };
  }
  return { packets, intact: true };
}

function sealed(packets: readonly Uint8Array[]): Uint8Array {
  const sealer = new FrameSealer(key, nonce.slice() as Nonce);
  for (const packet of packets) sealer.push(packet);
  return sealer.take()!;
}

const packets = [1, 2, 40, 300, 1_401, 2_032, 1].map((size) => env.random(size));

test('frames come out of the stream in order, however it is split', () => {
  const stream = sealed(packets);
  assert.equal(
    stream.length,
    packets.reduce((sum, p) => sum + p.length + FRAME_OVERHEAD, 0),
  );
  for (const size of [1, 2, 3, 17, 18, 19, 1_000, stream.length]) {
    const pieces = Array.from({ length: Math.ceil(stream.length / size) }, (_, i) =>
      stream.subarray(i * size, (i + 1) * size),
    );
    assert.deepEqual(receive(pieces), { packets, intact: true }, `pieces of ${size}`);
  }
  const random = seededRandom(7);
  for (let run = 0; run < 200; run++) {
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < stream.length; ) {
      const next = at + Math.floor(random() ** 3 * 3_000);
      pieces.push(stream.subarray(at, next));
      at = next;
    }
    assert.deepEqual(receive(pieces), { packets, intact: true });
  }
});

test('a frame whose length nobody sends ends the stream at once, before its bytes arrive', () => {
  for (const length of [0, 1, 16, 2_049, 65_535]) {
    const head = Uint8Array.of(length >>> 8, length & 255);
    assert.equal(receive([head]).intact, false);
    assert.equal(receive([head.subarray(0, 1), head.subarray(1)]).intact, false);
  }
});

test('a changed byte, a lost, repeated or exchanged frame or another key ends the stream', () => {
  const stream = sealed(packets.slice(0, 3));
  for (let at = 2; at < stream.length; at++) {
    const changed = stream.slice();
    changed[at]! ^= 1;
    assert.equal(receive([changed]).intact && receive([changed]).packets.length === 3, false, `byte ${at}`);
  }
  const [first, second] = [stream.subarray(0, 19), stream.subarray(19, 39)];
  assert.deepEqual(receive([first, first]), { packets: [packets[0]], intact: false });
  assert.deepEqual(receive([second, first]), { packets: [], intact: false });
  assert.equal(receive([stream], env.random(32) as SharedKey).intact, false);
});

test('whoever takes a packet can end the stream there', () => {
  const opener = new FrameOpener(key, nonce.slice() as Nonce, packetScratch());
  let seen = 0;
  assert.equal(
    opener.push(sealed(packets), () => ++seen < 2),
    false,
  );
  assert.equal(seen, 2);
});

test('random bytes never open', () => {
  for (let run = 0; run < 300; run++) assert.deepEqual(receive([env.random(run * 7)]).packets, []);
});
