import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Datagram, Machine } from '../../src/core/machine.ts';
import { type Stream, Streams } from '../../src/core/streams.ts';
import { World } from '../../src/testing/index.ts';
import { type Endpoint, endpoint } from '../../src/wire/endpoint.ts';

const A = endpoint('10.0.0.1', 1)!;
const B = endpoint('10.0.0.2', 1)!;
const PORT = endpoint('10.0.0.2', 443)!;

type Said = { at: number; what: string };

/** Opens streams, or accepts them; notes what it hears. */
class Talker implements Machine<never> {
  readonly streams = new Streams();
  readonly said: Said[] = [];
  readonly queued: number[] = [];
  bytes: number[] = [];
  accepted: Stream | undefined;

  constructor(accepts: boolean) {
    this.streams.onAccept = (now, _from, stream) => {
      this.said.push({ at: now, what: 'accept' });
      if (!accepts) return undefined;
      this.accepted = stream;
      return this.handler();
    };
  }

  handler() {
    return {
      opened: (now: number) => this.said.push({ at: now, what: 'opened' }),
      received: (_now: number, bytes: Uint8Array) => this.bytes.push(...bytes),
      written: (_now: number, queued: number) => this.queued.push(queued),
      closed: (now: number) => this.said.push({ at: now, what: 'closed' }),
    };
  }

  open(to: Endpoint): Stream {
    return this.streams.open(to, this.handler());
  }
  receive(): void {}
  wake(): void {}
  nextWake(): undefined {}
  takeDatagram(): Datagram | undefined {
    return undefined;
  }
  takeEvent(): undefined {}
}

function network(accepts = true): { world: World<never>; a: Talker; b: Talker } {
  const world = new World<never>(1);
  const a = new Talker(false);
  const b = new Talker(accepts);
  world.add(A, a);
  world.add(B, b);
  world.listen(PORT, B);
  return { world, a, b };
}

test('a stream is up after a round trip, and its bytes come in order after the latency', () => {
  const { world, a, b } = network();
  const stream = world.poke(A, () => a.open(PORT));
  world.runFor(100);
  assert.deepEqual(b.said, [{ at: 20, what: 'accept' }]);
  assert.deepEqual(a.said, [{ at: 40, what: 'opened' }]);
  world.poke(A, () => {
    stream.write(Uint8Array.of(1, 2));
    stream.write(Uint8Array.of(3));
  });
  world.runFor(19);
  assert.deepEqual(b.bytes, []);
  world.runFor(1);
  assert.deepEqual(b.bytes, [1, 2, 3]);
});

test('what was written before a close arrives before it', () => {
  const { world, a, b } = network();
  const stream = world.poke(A, () => a.open(PORT));
  world.runFor(100);
  world.poke(A, () => {
    stream.write(Uint8Array.of(7));
    stream.close();
    stream.write(Uint8Array.of(8));
  });
  world.runFor(100);
  assert.deepEqual(b.bytes, [7]);
  assert.equal(b.said.at(-1)?.what, 'closed');
  assert.equal(a.said.length, 1, 'the one who closes is told nothing');
});

test('nobody listening, a refusal and a cut way end an attempt, the last after ten seconds', () => {
  const { world, a } = network(false);
  world.poke(A, () => a.open(endpoint('10.0.0.2', 444)!));
  world.poke(A, () => a.open(PORT));
  world.runFor(100);
  assert.deepEqual(
    a.said.map((s) => s.what),
    ['closed', 'closed'],
  );
  world.pipe = () => undefined;
  world.poke(A, () => a.open(PORT));
  world.runFor(9_950);
  assert.equal(a.said.length, 2);
  world.runFor(100);
  assert.equal(a.said.length, 3);
});

test('a slow way tells the writer how much waits, and keeps its rate', () => {
  const { world, a, b } = network();
  world.pipe = () => ({ latencyMs: 5, rate: 100 });
  const stream = world.poke(A, () => a.open(PORT));
  world.runFor(50);
  world.poke(A, () => stream.write(new Uint8Array(500_000)));
  world.runFor(1_000);
  assert.ok(b.bytes.length > 60_000 && b.bytes.length <= 100_000, `${b.bytes.length}`);
  assert.ok(a.queued.length > 2 && a.queued.every((n, i) => i === 0 || n <= a.queued[i - 1]!));
  world.runFor(5_000);
  assert.equal(b.bytes.length, 500_000);
  assert.equal(a.queued.at(-1), 0);
});

test('a stalled way loses nothing', () => {
  const { world, a, b } = network();
  const stream = world.poke(A, () => a.open(PORT));
  world.runFor(100);
  const { pipe } = world;
  world.pipe = () => undefined;
  world.poke(A, () => stream.write(Uint8Array.of(1)));
  world.runFor(3_000);
  assert.deepEqual(b.bytes, []);
  world.pipe = pipe;
  world.runFor(200);
  assert.deepEqual(b.bytes, [1]);
});

test('a machine that vanishes breaks its streams, and a broken stream is told at both ends', () => {
  const { world, a, b } = network();
  world.poke(A, () => a.open(PORT));
  world.runFor(100);
  world.breakStreams(A, B);
  world.runFor(100);
  assert.deepEqual([a.said.at(-1)?.what, b.said.at(-1)?.what], ['closed', 'closed']);
  world.poke(A, () => a.open(PORT));
  world.runFor(100);
  world.remove(B);
  world.runFor(100);
  assert.equal(a.said.filter((s) => s.what === 'closed').length, 2);
});

test('a paused stream makes its peer wait; resumed, it gets all bytes in order before the end', () => {
  const { world, a, b } = network();
  const stream = world.poke(A, () => a.open(PORT));
  world.runFor(100);
  world.poke(B, () => b.accepted!.pause());
  const bytes = Uint8Array.from({ length: 200_000 }, (_, i) => i % 251);
  world.poke(A, () => {
    stream.write(bytes.slice());
    stream.write(Uint8Array.of(7));
  });
  world.runFor(1_000);
  assert.deepEqual(b.bytes, []);
  assert.ok(a.queued.at(-1)! > 0);
  world.poke(A, () => stream.close());
  world.poke(B, () => b.accepted!.resume());
  world.runFor(1_000);
  assert.deepEqual(b.bytes, [...bytes, 7]);
  assert.equal(b.said.at(-1)?.what, 'closed');
});
