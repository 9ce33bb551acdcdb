import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Fifo } from '../../src/core/fifo.ts';

test('what was pushed is shifted in order, across the moments at which room is given back', () => {
  const fifo = new Fifo<number>();
  let pushed = 0;
  let shifted = 0;
  for (let i = 0; i < 5_000; i++) {
    fifo.push(pushed++);
    fifo.push(pushed++);
    assert.equal(fifo.peek(), shifted);
    assert.equal(fifo.shift(), shifted++);
    assert.equal(fifo.size, pushed - shifted);
  }
  while (shifted < pushed) assert.equal(fifo.shift(), shifted++);
  assert.equal(fifo.shift(), undefined);
});

test('a queue that is never empty does not grow with what went through it', () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const fifo = new Fifo<number>();
  fifo.push(0);
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let i = 1; i < 2_000_000; i++) {
    fifo.push(i);
    fifo.shift();
  }
  collect();
  const grown = process.memoryUsage().heapUsed - before;
  assert.ok(grown < 1_000_000, `${grown} bytes more`);
  assert.equal(fifo.size, 1);
});
