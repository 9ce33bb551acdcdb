import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Budget, SourceLimiter } from '../../src/core/source-limiter.ts';

const allowed = (limiter: SourceLimiter, now: number, source: string, tries: number) => {
  let count = 0;
  for (let i = 0; i < tries; i++) if (limiter.allow(now, source)) count++;
  return count;
};

test('a source may spend its burst, then its rate; another source is not touched', () => {
  const limiter = new SourceLimiter({ burst: 5, perSecond: 2 }, { burst: 100, perSecond: 100 }, 10);
  assert.equal(allowed(limiter, 0, 'a', 50), 5);
  assert.equal(allowed(limiter, 1_000, 'a', 50), 2);
  assert.equal(allowed(limiter, 1_000, 'b', 50), 5);
  assert.equal(allowed(limiter, 1_000_000, 'a', 50), 5, 'never more than the burst');
});

test('many forged sources meet the common limit, also when the table forgets them', () => {
  const limiter = new SourceLimiter({ burst: 5, perSecond: 1 }, { burst: 20, perSecond: 10 }, 3);
  let total = 0;
  for (let i = 0; i < 100; i++) total += allowed(limiter, 0, `source ${i}`, 5);
  assert.equal(total, 20);
});

test('a budget refills with time and not when the clock stands still', () => {
  const budget = new Budget({ burst: 2, perSecond: 4 });
  const takes = [0, 0, 0, 249, 250, 250].map((now) => budget.take(now));
  assert.deepEqual(takes, [true, true, false, false, true, false]);
});
