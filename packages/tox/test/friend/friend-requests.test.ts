import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PublicKey } from '../../src/crypto/keys.ts';
import { FriendRequests } from '../../src/friend/friend-requests.ts';
import type { Nospam } from '../../src/packet/friend.ts';

const nospam = Uint8Array.of(1, 2, 3, 4) as Nospam;
const text = Uint8Array.of(65);
const key = (n: number) => new Uint8Array(32).fill(n) as Uint8Array as PublicKey;

test('of many requesters the last 32 are remembered', () => {
  const requests = new FriendRequests(nospam, () => false);
  for (let n = 1; n <= 33; n++) assert.equal(requests.admit(0, key(n), nospam, text), true);
  for (let n = 2; n <= 33; n++) assert.equal(requests.admit(0, key(n), nospam, text), false);
  assert.equal(requests.admit(0, key(1), nospam, text), true, 'the oldest made room');
});

test('a refused request does not count as seen', () => {
  const requests = new FriendRequests(nospam, () => false);
  assert.equal(requests.admit(0, key(1), Uint8Array.of(1, 2, 3, 5), text), false);
  assert.equal(requests.admit(0, key(1), nospam, text), true);
});
