import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { generateKeyPair } from '../../src/crypto/keys.ts';
import { decodeFriendRequest, decodeShareRelays, encodeShareRelays } from '../../src/packet/friend.ts';
import { testEnv } from '../../src/testing/test-env.ts';
import { endpoint } from '../../src/wire/endpoint.ts';
import type { PackedNode } from '../../src/wire/packed-node.ts';

const env = testEnv(4);
const node = (address: string, transport: 'udp' | 'tcp'): PackedNode => ({
  publicKey: generateKeyPair(env).publicKey,
  endpoint: endpoint(address, 3389)!,
  transport,
});

test('shared relays round-trip, at most three', () => {
  const relays = [node('192.0.2.1', 'tcp'), node('2001:db8::1', 'tcp'), node('192.0.2.3', 'tcp')];
  const packet = encodeShareRelays([...relays, node('192.0.2.4', 'tcp')]);
  assert.equal(packet.length, 1 + 39 + 51 + 39);
  assert.equal(packet[1], 130);
  assert.deepEqual(decodeShareRelays(packet), relays);
});

test('nodes that are no relays are left out, and cut or overlong lists are refused', () => {
  const relay = node('192.0.2.1', 'tcp');
  const packet = encodeShareRelays([node('192.0.2.2', 'udp'), relay]);
  assert.deepEqual(decodeShareRelays(packet), [relay]);
  for (let length = 0; length < packet.length; length++) {
    if (length === 1 || length === 40) continue; // whole lists of none and one
    assert.equal(decodeShareRelays(packet.subarray(0, length)), undefined, `${length} bytes`);
  }
  const four = new Uint8Array([...encodeShareRelays([relay, relay, relay]), ...encodeShareRelays([relay]).subarray(1)]);
  assert.equal(decodeShareRelays(four), undefined);
});

test('a live friend request needs nospam and a text, and no bytes make a decoder throw', () => {
  for (let length = 0; length < 6; length++) {
    assert.equal(decodeFriendRequest(18, new Uint8Array(length).fill(18)), undefined);
  }
  assert.equal(decodeFriendRequest(18, new Uint8Array(6).fill(18))?.message.length, 1);
  fc.assert(
    fc.property(fc.constantFrom(17, 18), fc.uint8Array({ maxLength: 200 }), (id, rest) => {
      decodeShareRelays(Uint8Array.of(id, ...rest));
      decodeFriendRequest(18, Uint8Array.of(id, ...rest));
    }),
  );
});
