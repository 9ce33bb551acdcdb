import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LoginThrottle } from '../../src/daemon/login-throttle.ts';
import { VirtualScheduler } from '../../src/testing/virtual-scheduler.ts';

const wrong = async (): Promise<boolean> => false;
const right = async (): Promise<boolean> => true;

/** Milliseconds until an attempt is answered. */
async function timed(scheduler: VirtualScheduler, attempt: Promise<boolean>): Promise<number> {
  const start = scheduler.mono();
  let end: number | undefined;
  void attempt.then(() => {
    end = scheduler.mono();
  });
  await scheduler.advance(100_000);
  return (end ?? Number.NaN) - start;
}

test('mistyping twice costs nothing, then each failure doubles the wait up to a minute', async () => {
  const scheduler = new VirtualScheduler();
  const logins = new LoginThrottle(scheduler);
  const seconds: number[] = [];
  const guess = async (): Promise<boolean> => {
    seconds.push(scheduler.mono() / 1000);
    return false;
  };
  for (let i = 0; i < 3; i++) await logins.attempt('a', 'ann', guess);
  for (let i = 0; i < 8; i++) void logins.attempt('a', 'ann', guess);
  await scheduler.advance(1_000_000);
  assert.deepEqual(seconds, [0, 0, 0, 1, 3, 7, 15, 31, 63, 123, 183]);
});

test('another address or another account is not slowed down; case makes no difference', async () => {
  const scheduler = new VirtualScheduler();
  const logins = new LoginThrottle(scheduler);
  for (let i = 0; i < 3; i++) await logins.attempt('a', 'ann', wrong);
  assert.equal(await timed(scheduler, logins.attempt('b', 'ann', right)), 0);
  assert.equal(await timed(scheduler, logins.attempt('a', 'bob', right)), 0);
  for (let i = 0; i < 3; i++) void logins.attempt('a', 'eve', wrong);
  await scheduler.advance(0);
  assert.equal(await timed(scheduler, logins.attempt('a', 'EVE', right)), 1_000);
});

test('guesses made at the same moment wait one after the other, and too many are turned away unseen', async () => {
  const scheduler = new VirtualScheduler();
  const logins = new LoginThrottle(scheduler);
  for (let i = 0; i < 3; i++) await logins.attempt('a', 'ann', wrong);
  let looked = 0;
  const guess = async (): Promise<boolean> => {
    looked++;
    return false;
  };
  for (let i = 0; i < 100; i++) void logins.attempt('a', 'ann', guess);
  await scheduler.advance(3_500);
  assert.equal(looked, 2); // after 1 s and 2 s more
  await scheduler.advance(10 * 60_000);
  assert.equal(looked, 8);
});

test('a right password ends the slowness, and time forgets failures', async () => {
  const scheduler = new VirtualScheduler();
  const logins = new LoginThrottle(scheduler);
  for (let i = 0; i < 3; i++) await logins.attempt('a', 'ann', wrong);
  assert.equal(await timed(scheduler, logins.attempt('a', 'ann', right)), 1_000);
  assert.equal(await timed(scheduler, logins.attempt('a', 'ann', wrong)), 0);
  for (let i = 0; i < 2; i++) await logins.attempt('a', 'ann', wrong);
  await scheduler.advance(16 * 60_000);
  assert.equal(await timed(scheduler, logins.attempt('a', 'ann', wrong)), 0);
});
