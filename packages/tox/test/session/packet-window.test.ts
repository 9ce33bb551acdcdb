import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ReceiveWindow, readRequest, SendWindow, StoreBudget, WINDOW_SIZE } from '../../src/session/packet-window.ts';

const budget = () => new StoreBudget(1 << 26);
const u32 = (n: number) => n >>> 0;

/** A window that begins at `start`, knows of numbers before `end`, and lacks exactly `missing`. */
function windowWith(start: number, end: number, missing: number[]): ReceiveWindow {
  const window = new ReceiveWindow(budget(), start);
  for (let n = start; n !== end; n = u32(n + 1)) if (!missing.includes(n)) window.accept(n, Uint8Array.of(16));
  window.extend(end);
  return window;
}

function request(window: ReceiveWindow): number[] {
  const out = new Uint8Array(1373);
  return [...out.subarray(0, window.writeRequest(out))];
}

function read(body: number[], origin: number, end: number): { arrived: number[]; missing: number[] } {
  const told = { arrived: [] as number[], missing: [] as number[] };
  readRequest(Uint8Array.from(body), origin, end, {
    arrived: (n) => told.arrived.push(n),
    missing: (n) => told.missing.push(n),
  });
  return told;
}

// Made with c-toxcore's encoder: first number, first unknown number, missing ones, body.
const VECTORS: [number, number, number[], number[]][] = [
  [0, 1, [0], [1, 1]],
  [0, 3, [0, 2], [1, 1, 2]],
  [1, 5, [1, 4], [1, 1, 3]],
  [0, 300, [0, 254], [1, 1, 0xfe]],
  [0, 300, [0, 255], [1, 1, 0xff]],
  [0, 300, [0, 256], [1, 1, 0, 1]],
  [2, 1100, [2, 3, 6, 1024], [1, 1, 1, 3, 0, 0, 0, 0xfd]],
  [0xfffffffe, 3, [0xfffffffe, 1], [1, 1, 3]],
  [0, 600, [0], [1, 1, 0, 0]],
];

for (const [start, end, missing, body] of VECTORS) {
  test(`the request for ${missing.map((n) => n.toString(16))} of ${start.toString(16)}..${end} is c-toxcore's`, () => {
    const window = windowWith(start, end, missing);
    const made = request(window);
    // Zeros may follow: they tell of runs of 255 that arrived.
    assert.deepEqual(made.slice(0, body.length), body);
    assert.ok(made.slice(body.length).every((byte) => byte === 0));
    const told = read(body, start, end);
    assert.deepEqual(told.missing, missing);
    for (const n of told.arrived) assert.ok(!missing.includes(n));
  });
}

test('what a request names is what the receiver lacks, for any set of holes and any place in the number space', () => {
  const holes = fc.array(fc.nat(2_000), { maxLength: 200 });
  fc.assert(
    fc.property(fc.nat(0xffffffff), fc.integer({ min: 1, max: 2_000 }), holes, (start, span, offsets) => {
      const end = u32(start + span);
      const missing = new Set([start, ...offsets.filter((o) => o < span).map((o) => u32(start + o))]);
      const told = read(request(windowWith(start, end, [...missing])), start, end);
      assert.deepEqual(new Set(told.missing), missing);
      for (const n of told.arrived) assert.ok(!missing.has(n));
    }),
    { numRuns: 60 },
  );
});

test('a request with more holes than fit names the first ones and leaves the rest undecided', () => {
  const window = new ReceiveWindow(budget(), 5);
  window.extend(5 + 4_000);
  const body = request(window);
  assert.equal(body.length, 1373);
  const told = read(body, 5, 5 + 4_000);
  assert.equal(told.missing.length, 1372);
  assert.equal(told.arrived.length, 0);
});

test('any bytes as a request stay within the numbers that were sent', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 1373 }), fc.nat(0xffffffff), fc.nat(WINDOW_SIZE), (bytes, origin, span) => {
      const told = read([1, ...bytes], origin, u32(origin + span));
      assert.ok(told.arrived.length + told.missing.length <= span);
      for (const n of [...told.arrived, ...told.missing]) assert.ok(u32(n - origin) < span);
    }),
    { numRuns: 200 },
  );
  assert.deepEqual(read([1, 1, 1], 10, 5), { arrived: [], missing: [] }); // a request from beyond what was sent
});

test('numbers come out in order and once, across the wrap at 2^32', () => {
  const window = new ReceiveWindow(budget(), 0xfffffffd);
  const order: number[] = [];
  const take = (n: number) => {
    const arrival = window.accept(n, Uint8Array.of(16, n & 0xff));
    if (arrival === 'next') {
      window.advance();
      order.push(n & 0xff);
      for (let d = window.takeNext(); d; d = window.takeNext()) order.push(d[1]!);
    }
    return arrival;
  };
  assert.equal(take(0), 'stored');
  assert.equal(take(0), 'duplicate');
  assert.equal(take(0xffffffff), 'stored');
  assert.equal(take(0xfffffffd), 'next');
  assert.equal(take(0xfffffffd), 'duplicate');
  assert.equal(take(0xfffffffe), 'next');
  assert.equal(take(1), 'next');
  assert.deepEqual(order, [0xfd, 0xfe, 0xff, 0, 1]);
  assert.equal(window.gap, false);
});

test('numbers outside the window are refused and the memory for early packets is bounded', () => {
  const small = new StoreBudget(10_000);
  const window = new ReceiveWindow(small, 0);
  assert.equal(window.accept(WINDOW_SIZE, new Uint8Array(9)), 'refused');
  assert.equal(window.accept(0x80000000, new Uint8Array(9)), 'refused');
  assert.equal(window.accept(WINDOW_SIZE - 1, new Uint8Array(9)), 'stored');
  let stored = 1;
  for (let n = 1; n < 1_000; n++) if (window.accept(n, new Uint8Array(1373)) === 'stored') stored++;
  assert.ok(stored < 10);
  assert.ok(small.left >= 0);
  assert.equal(window.accept(0, new Uint8Array(9)), 'next'); // what is next in order always gets in
  window.clear();
  assert.equal(small.left, 10_000);
});

test('the send window gives out 32768 numbers and then no more', () => {
  const window = new SendWindow(0xfffffff0);
  for (let i = 0; i < WINDOW_SIZE; i++) assert.equal(window.push(Uint8Array.of(16, i & 0xff)), u32(0xfffffff0 + i));
  assert.equal(window.push(Uint8Array.of(16)), undefined);
  for (let i = 0; i < WINDOW_SIZE; i += 111) assert.equal(window.get(u32(0xfffffff0 + i))?.data[1], i & 0xff);
});
