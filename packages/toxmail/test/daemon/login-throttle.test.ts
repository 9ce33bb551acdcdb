import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LoginThrottle } from '../../src/daemon/login-throttle.ts';

function throttle(): { now: (ms: number) => void; logins: LoginThrottle } {
  let time = 0;
  const logins = new LoginThrottle({ mono: () => time, unixMs: () => time });
  return {
    logins,
    now: (ms) => {
      time = ms;
    },
  };
}

test('mistyping a few times costs nothing, then each failure doubles the wait up to a minute', () => {
  const { logins } = throttle();
  const waits = Array.from({ length: 18 }, () => {
    logins.failed('127.0.0.1', 'ann');
    return logins.waitMs('127.0.0.1', 'ann') / 1000;
  });
  assert.deepEqual(waits, [...Array(9).fill(0), 1, 2, 4, 8, 16, 32, 60, 60, 60]);
});

test('another address or another account is not slowed down', () => {
  const { logins } = throttle();
  for (let i = 0; i < 15; i++) logins.failed('127.0.0.1', 'ann');
  assert.equal(logins.waitMs('127.0.0.2', 'ann'), 0);
  assert.equal(logins.waitMs('127.0.0.1', 'bob'), 0);
  assert.ok(logins.waitMs('127.0.0.1', 'ANN') > 0);
});

test('the wait runs out, a right password ends it, and time forgets failures', () => {
  const { logins, now } = throttle();
  for (let i = 0; i < 11; i++) logins.failed('a', 'ann');
  assert.equal(logins.waitMs('a', 'ann'), 2_000);
  now(2_000);
  assert.equal(logins.waitMs('a', 'ann'), 0);
  logins.failed('a', 'ann');
  assert.equal(logins.waitMs('a', 'ann'), 4_000);
  logins.succeeded('a', 'ann');
  logins.failed('a', 'ann');
  assert.equal(logins.waitMs('a', 'ann'), 0);
  for (let i = 0; i < 20; i++) logins.failed('a', 'ann');
  now(20 * 60_000);
  logins.failed('a', 'ann');
  assert.equal(logins.waitMs('a', 'ann'), 0);
});
