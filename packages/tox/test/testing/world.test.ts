import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Datagram, Machine } from '../../src/core/machine.ts';
import { type Link, World } from '../../src/testing/index.ts';
import { type Endpoint, endpoint } from '../../src/wire/endpoint.ts';

const A = endpoint('10.0.0.1', 1)!;
const B = endpoint('10.0.0.2', 1)!;

/** Sends one numbered byte every 10 ms and reports what arrives. */
class Ticker implements Machine<number> {
  readonly #to: Endpoint | undefined;
  readonly #out: Datagram[] = [];
  readonly #events: number[] = [];
  #next = 10;
  #n = 0;

  constructor(to?: Endpoint) {
    this.#to = to;
  }
  receive(_now: number, _from: Endpoint, data: Uint8Array): void {
    this.#events.push(data[0]!);
  }
  wake(now: number): void {
    if (this.#to && this.#n < 100) this.#out.push({ to: this.#to, data: Uint8Array.of(this.#n++) });
    this.#next = now + 10;
  }
  nextWake(): number | undefined {
    return this.#to && this.#n < 100 ? this.#next : undefined;
  }
  takeDatagram(): Datagram | undefined {
    return this.#out.shift();
  }
  takeEvent(): number | undefined {
    return this.#events.shift();
  }
}

function run(seed: number, link: Link): { at: number; event: number }[] {
  const world = new World<number>(seed);
  const seen: { at: number; event: number }[] = [];
  world.link = () => link;
  world.onEvent = ({ at, event }) => seen.push({ at, event });
  world.add(A, new Ticker(B));
  world.add(B, new Ticker());
  world.runFor(5_000);
  return seen;
}

test('a perfect link delivers everything in order after its latency', () => {
  const seen = run(1, { latencyMs: 7 });
  assert.deepEqual(
    seen.map((s) => s.event),
    Array.from({ length: 100 }, (_, i) => i),
  );
  assert.equal(seen[0]!.at, 17);
});

test('one seed is one history, another seed another', () => {
  const link = { latencyMs: 20, jitterMs: 40, loss: 0.2, duplicate: 0.1 };
  assert.deepEqual(run(5, link), run(5, link));
  assert.notDeepEqual(run(5, link), run(6, link));
});

test('loss, duplication and reordering happen about as often as asked', () => {
  const seen = run(3, { latencyMs: 20, jitterMs: 60, loss: 0.3, duplicate: 0.2 }).map((s) => s.event);
  assert.ok(seen.length > 60 && seen.length < 110);
  assert.ok(new Set(seen).size < 100);
  assert.ok(seen.some((n, i) => i > 0 && n < seen[i - 1]!));
});

test('a goal that is not reached names the seed', () => {
  const world = new World<number>(42);
  world.add(A, new Ticker(B));
  assert.throws(() => world.runUntil(() => false, 100), /seed 42/);
});

test('a removed machine neither receives nor wakes', () => {
  const world = new World<number>(1);
  const seen: number[] = [];
  world.onEvent = ({ event }) => seen.push(event);
  world.add(A, new Ticker(B));
  world.add(B, new Ticker());
  world.runFor(200);
  world.remove(B);
  const before = seen.length;
  world.runFor(1_000);
  assert.equal(seen.length, before);
});

test('a machine whose deadline never moves on is named instead of stopping time', () => {
  class Stuck extends Ticker {
    override nextWake(): number {
      return 10;
    }
  }
  const world = new World<number>(1);
  world.add(A, new Stuck(B));
  assert.throws(() => world.runFor(1_000), /10\.0\.0\.1:1 never reaches its deadline/);
});
