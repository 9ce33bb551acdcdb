import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { keyPairFromSecret, type Nonce, type SecretKey, type SharedKey } from '../../src/crypto/keys.ts';
import { sharedKey } from '../../src/crypto/sodium.ts';
import {
  decodeNatPing,
  encodeNatPing,
  MAX_DHT_REQUEST_DATA,
  NAT_PING_REQUEST,
  NAT_PING_RESPONSE,
  openDhtRequest,
  REQUEST_NAT_PING,
  readDhtRequest,
  writeDhtRequest,
} from '../../src/packet/dht-request.ts';

const alice = keyPairFromSecret(new Uint8Array(32).fill(1) as SecretKey);
const bob = keyPairFromSecret(new Uint8Array(32).fill(2) as SecretKey);
const key = sharedKey(bob.publicKey, alice.secretKey) as SharedKey;
const nonce = new Uint8Array(24).fill(3) as Nonce;
const write = (id: number, data: Uint8Array) => writeDhtRequest(bob.publicKey, alice.publicKey, nonce, key, id, data);

test('a NAT ping has 115 bytes, and the receiver reads what was written', () => {
  const id = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]);
  for (const type of [NAT_PING_REQUEST, NAT_PING_RESPONSE] as const) {
    const data = write(REQUEST_NAT_PING, encodeNatPing({ type, id }));
    assert.equal(data.length, 115);
    assert.deepEqual([...data.subarray(0, 65)], [0x20, ...bob.publicKey, ...alice.publicKey]);
    const request = readDhtRequest(data)!;
    const body = openDhtRequest(request, sharedKey(alice.publicKey, bob.secretKey)!)!;
    assert.equal(body.id, 0xfe);
    assert.deepEqual(decodeNatPing(body.data), { type, id });
    assert.equal(openDhtRequest(request, new Uint8Array(32) as SharedKey), undefined);
  }
});

test('lengths outside 106..1040 are refused before any crypto', () => {
  for (const size of [0, 1, 105, 1041, 2048]) {
    const data = new Uint8Array(size);
    data[0] = 0x20;
    assert.equal(readDhtRequest(data), undefined, String(size));
  }
  for (const size of [106, 1040]) {
    const data = new Uint8Array(size);
    data[0] = 0x20;
    assert.ok(readDhtRequest(data), String(size));
  }
  assert.equal(write(1, new Uint8Array(MAX_DHT_REQUEST_DATA)).length, 1024);
  assert.throws(() => write(1, new Uint8Array(MAX_DHT_REQUEST_DATA + 1)), RangeError);
});

test('every truncation and trailing byte keeps the box closed', () => {
  const data = write(1, Uint8Array.from([9]));
  for (let size = 0; size <= data.length + 1; size++) {
    const bytes = new Uint8Array(size);
    bytes.set(data.subarray(0, Math.min(size, data.length)));
    const request = readDhtRequest(bytes);
    const opened = request && openDhtRequest(request, key);
    assert.equal(opened !== undefined, size === data.length, String(size));
  }
});

test('random bytes never throw, and a NAT ping of another type or length is refused', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (b) => void readDhtRequest(b)));
  for (const bad of [[], [0], [2, 1, 2, 3, 4, 5, 6, 7, 8], [0, 1, 2, 3, 4, 5, 6, 7], [1, 1, 2, 3, 4, 5, 6, 7, 8, 9]]) {
    assert.equal(decodeNatPing(Uint8Array.from(bad)), undefined);
  }
});
