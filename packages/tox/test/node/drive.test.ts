import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import type { Datagram, Machine } from '../../src/core/machine.ts';
import { type DatagramSocket, Driver } from '../../src/node/drive.ts';
import { type Endpoint, endpoint } from '../../src/wire/endpoint.ts';

const HERE = endpoint('127.0.0.1', 1)!;

/** Each datagram of n bytes gives n events; each command gives a datagram and perhaps an event. */
class Toy implements Machine<number> {
  readonly datagrams: Datagram[] = [];
  readonly events: number[] = [];
  wakeAt: number | undefined;
  wakes = 0;

  receive(_now: number, _from: Endpoint, data: Uint8Array): void {
    for (let i = 0; i < data.length; i++) this.events.push(i);
  }

  wake(): void {
    this.wakes++;
    this.wakeAt = undefined;
    this.events.push(-1);
  }

  nextWake(): number | undefined {
    return this.wakeAt;
  }

  takeDatagram(): Datagram | undefined {
    return this.datagrams.shift();
  }

  takeEvent(): number | undefined {
    return this.events.shift();
  }

  say(): void {
    this.datagrams.push({ to: HERE, data: new Uint8Array(1) });
  }
}

class FakeSocket implements DatagramSocket {
  onDatagram: DatagramSocket['onDatagram'] = () => {};
  sent = 0;
  send(): void {
    this.sent++;
  }
}

test('a listener that answers each of 30000 events is called in order and never nested', (t) => {
  const toy = new Toy();
  const socket = new FakeSocket();
  const seen: number[] = [];
  let depth = 0;
  const driver = new Driver(toy, { datagrams: socket }, (event) => {
    assert.equal(++depth, 1);
    seen.push(event);
    driver.poke(() => toy.say());
    depth--;
  });
  t.after(() => driver.stop());
  socket.onDatagram(HERE, new Uint8Array(30_000));
  assert.deepEqual(
    seen,
    Array.from({ length: 30_000 }, (_, i) => i),
  );
  assert.equal(socket.sent, 30_000);
});

test('what a listener sends leaves before the next event', (t) => {
  const toy = new Toy();
  const socket = new FakeSocket();
  const driver = new Driver(toy, { datagrams: socket }, (event) => {
    assert.equal(socket.sent, event);
    driver.poke(() => toy.say());
    assert.equal(socket.sent, event + 1);
  });
  t.after(() => driver.stop());
  socket.onDatagram(HERE, new Uint8Array(3));
  assert.equal(socket.sent, 3);
});

test('a listener that throws surfaces as uncaught and loses no event', async (t) => {
  const toy = new Toy();
  const socket = new FakeSocket();
  const seen: number[] = [];
  const driver = new Driver(toy, { datagrams: socket }, (event) => {
    seen.push(event);
    if (event === 0) throw new Error('a mistake of the owner');
  });
  t.after(() => driver.stop());
  // The test runner listens for uncaught errors itself, and would fail this test.
  const listeners = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  try {
    const uncaught = once(process, 'uncaughtException');
    socket.onDatagram(HERE, new Uint8Array(3));
    assert.deepEqual(seen, [0, 1, 2]);
    const [error] = await uncaught;
    assert.equal(error.message, 'a mistake of the owner');
  } finally {
    for (const listener of listeners) process.on('uncaughtException', listener);
  }
});

test('after stop nothing is received any more', () => {
  const toy = new Toy();
  const socket = new FakeSocket();
  const seen: number[] = [];
  const driver = new Driver(toy, { datagrams: socket }, (event) => seen.push(event));
  driver.stop();
  socket.onDatagram(HERE, new Uint8Array(3));
  assert.deepEqual(seen, []);
});

test('a deadline that has passed wakes the machine in a later turn, once', async () => {
  const toy = new Toy();
  const { promise, resolve } = Promise.withResolvers<void>();
  const driver = new Driver(toy, { datagrams: new FakeSocket() }, () => resolve());
  driver.poke(() => {
    toy.wakeAt = performance.now();
  });
  assert.equal(toy.wakes, 0);
  await promise;
  driver.stop();
  assert.equal(toy.wakes, 1);
});
