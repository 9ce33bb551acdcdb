import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { PublicKey } from '../../src/crypto/keys.ts';
import {
  formatToxId,
  formatToxIdBase32,
  isValidPublicKey,
  makeToxId,
  type Nospam,
  parseToxId,
  parseToxIdBase32,
  type ToxId,
  toxIdFromBytes,
  toxIdNospam,
  toxIdPublicKey,
} from '../../src/messenger/tox-id.ts';

const counted = Uint8Array.from({ length: 36 }, (_, i) => (7 * i + 1) % 256);
// Bytes (7i + 1) mod 256; checksum taken from c-toxcore.
const HEX = '01080F161D242B323940474E555C636A71787F868D949BA2A9B0B7BEC5CCD3DAE1E8EFF66EFE';

/** A key and a nospam that make a valid ID. */
const arbitraryId = fc
  .tuple(fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.uint8Array({ minLength: 4, maxLength: 4 }))
  .map(([key, nospam]) => {
    key[31]! &= 0x7f;
    return makeToxId(key as Uint8Array as PublicKey, nospam as Uint8Array as Nospam);
  });

function valid(result: ReturnType<typeof parseToxId>): ToxId {
  assert.ok(result.ok);
  return result.id;
}

function reason(result: ReturnType<typeof parseToxId>): string {
  assert.ok(!result.ok);
  return result.reason;
}

test('the checksum agrees with c-toxcore', () => {
  // The vector's key has its top bit set, so only the checksum can be compared.
  const key = counted.subarray(0, 32) as Uint8Array as PublicKey;
  const id = makeToxId(key, counted.subarray(32) as Uint8Array as Nospam);
  assert.equal(formatToxId(id), HEX);
  assert.equal(reason(parseToxId(HEX)), 'key');
});

test('an ID is read in upper and lower case and written in upper case', () => {
  const text = HEX.replace('DAE1', '5AE1').replace('6EFE', '6E7E');
  assert.equal(formatToxId(valid(parseToxId(text.toLowerCase()))), text);
});

test('each kind of wrong ID is told apart', () => {
  assert.equal(reason(parseToxId('')), 'length');
  assert.equal(reason(parseToxId(HEX.slice(1))), 'length');
  assert.equal(reason(parseToxId(`${HEX}0`)), 'length');
  assert.equal(reason(parseToxId(`${HEX.slice(0, 75)}G`)), 'hex');
  assert.equal(reason(parseToxId(`${HEX.slice(0, 75)}F`)), 'checksum');
  assert.equal(reason(parseToxIdBase32('a'.repeat(60))), 'length');
  assert.equal(reason(parseToxIdBase32('1'.repeat(61))), 'base32');
  assert.equal(reason(parseToxIdBase32(`${'a'.repeat(60)}b`)), 'base32', 'the spare bit must be zero');
  assert.equal(reason(parseToxIdBase32(`${'a'.repeat(59)}ca`)), 'checksum');
  assert.equal(reason(toxIdFromBytes(new Uint8Array(37))), 'length');
});

test('base32 follows RFC 4648', () => {
  // Made with Python's base64 module from 38 bytes whose checksum is right.
  const id = valid(parseToxId(`${'00'.repeat(30)}0A7F${'DEADBEEF'}6A3D`));
  const text = formatToxIdBase32(id);
  assert.equal(text, `${'a'.repeat(48)}bj755ln655vd2`);
  assert.deepEqual(valid(parseToxIdBase32(text)), id);
  assert.deepEqual(valid(parseToxIdBase32(text.toUpperCase())), id);
});

test('both written forms give back the same bytes', () => {
  fc.assert(
    fc.property(arbitraryId, (id) => {
      assert.deepEqual(valid(parseToxId(formatToxId(id))), id);
      const short = formatToxIdBase32(id);
      assert.match(short, /^[a-z2-7]{61}$/);
      assert.deepEqual(valid(parseToxIdBase32(short)), id);
      assert.deepEqual(makeToxId(toxIdPublicKey(id), toxIdNospam(id)), id);
    }),
  );
});

test('one wrong digit is always noticed', () => {
  fc.assert(
    fc.property(arbitraryId, fc.nat(75), fc.integer({ min: 1, max: 15 }), (id, at, change) => {
      const text = formatToxId(id);
      const digit = (Number.parseInt(text[at]!, 16) ^ change).toString(16);
      assert.equal(parseToxId(text.slice(0, at) + digit + text.slice(at + 1)).ok, false);
    }),
  );
});

test('no text makes the parsers throw', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 80 }), (text) => {
      parseToxId(text);
      parseToxIdBase32(text);
    }),
  );
});

test('a key with its top bit set is refused', () => {
  const key = new Uint8Array(32).fill(1);
  assert.equal(isValidPublicKey(key), true);
  key[31] = 0x80;
  assert.equal(isValidPublicKey(key), false);
  assert.equal(isValidPublicKey(key.subarray(1)), false);
});
