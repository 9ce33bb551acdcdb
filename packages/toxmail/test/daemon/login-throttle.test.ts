import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LoginThrottle } from '../../src/daemon/login-throttle.ts';

function throttle(): { now: (ms: number) => void; logins: LoginThrottle } {
  let time = 0;
  const logins = new LoginThrottle({ mono: () => time, unixMs: () => time }, (login) =>
    /^(?:ann|bob)(?:\+\w+)?(?:@tox)?$/i.test(login) ? login.slice(0, 3).toLowerCase() : undefined,
  );
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

test('all forms of one account are one to be guessed at', () => {
  const { logins } = throttle();
  for (let i = 0; i < 15; i++) logins.failed('192.0.2.1', `ann+${i}@tox`);
  assert.ok(logins.waitMs('192.0.2.1', 'Ann@tox') > 0);
});

test('trying many names from one address is slowed down, as are addresses of one IPv6 network', () => {
  const { logins } = throttle();
  for (let i = 0; i < 31; i++) logins.failed('192.0.2.1', `name${i}`);
  assert.ok(logins.waitMs('192.0.2.1', 'bob') > 0);
  assert.ok(logins.waitMs('::ffff:192.0.2.1', 'bob') > 0);
  assert.equal(logins.waitMs('192.0.2.2', 'bob'), 0);
  for (let i = 0; i < 31; i++) logins.failed(`2001:db8::${i}`, `name${i}`);
  assert.ok(logins.waitMs('2001:db8:0:0:ffff::1', 'bob') > 0);
  assert.equal(logins.waitMs('2001:db8:0:1::1', 'bob'), 0);
});

test('guessing from many addresses slows down strangers, not where the owner has logged in before', () => {
  const { logins } = throttle();
  logins.succeeded('10.0.0.7', 'ann');
  for (let i = 0; i < 110; i++) logins.failed(`192.0.2.${i}`, 'ann');
  assert.ok(logins.waitMs('198.51.100.1', 'ann') > 0);
  assert.equal(logins.waitMs('10.0.0.7', 'ann'), 0);
});

test('one program with an old password does not keep others of the same machine out', () => {
  const { logins } = throttle();
  logins.succeeded('127.0.0.1', 'bob');
  for (let i = 0; i < 40; i++) logins.failed('127.0.0.1', 'ann');
  assert.equal(logins.waitMs('127.0.0.1', 'bob'), 0);
});
