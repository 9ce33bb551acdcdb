import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import sodium from 'sodium-native';
import { allocate } from '../../src/core/allocate.ts';
import {
  fromHex,
  keyId,
  keyPairFromSecret,
  type Nonce,
  type PublicKey,
  type SecretKey,
  type SharedKey,
  toHex,
} from '../../src/crypto/keys.ts';
import { incrementNonce, nonceLow16 } from '../../src/crypto/nonce.ts';
import { SharedKeys } from '../../src/crypto/shared-keys.ts';
import { equalConstantTime, open, openInto, seal, sealInto, sharedKey, systemRandom } from '../../src/crypto/sodium.ts';

const hex = (s: string) => fromHex(s, s.length / 2)!;

test('a box of one side opens on the other, and not when a bit changed', () => {
  const a = keyPairFromSecret(new Uint8Array(32).fill(7) as SecretKey);
  const b = keyPairFromSecret(new Uint8Array(32).fill(9) as SecretKey);
  const nonce = new Uint8Array(24) as Nonce;
  const box = seal(sharedKey(b.publicKey, a.secretKey)!, nonce, hex('00112233'));
  const key = sharedKey(a.publicKey, b.secretKey)!;
  assert.equal(toHex(open(key, nonce, box)!), '00112233');
  box[3]! ^= 1;
  assert.equal(open(key, nonce, box), undefined);
});

test('a low-order public key gives no shared key instead of an exception', () => {
  const a = keyPairFromSecret(new Uint8Array(32).fill(7) as SecretKey);
  assert.equal(sharedKey(new Uint8Array(32) as typeof a.publicKey, a.secretKey), undefined);
});

test('nonces count big endian, carry over every byte and wrap', () => {
  const nonce = new Uint8Array(24).fill(0xff) as Nonce;
  incrementNonce(nonce, 2);
  assert.equal(toHex(nonce), `${'00'.repeat(23)}01`);
  const far = hex(`${'00'.repeat(20)}0000fffe`) as Nonce;
  incrementNonce(far, 0x1_0003);
  assert.equal(toHex(far), `${'00'.repeat(20)}00020001`);
});

test('a shared key opens and makes the boxes of libsodium, for random keys', () => {
  const box = sodium as unknown as {
    crypto_box_easy(out: Uint8Array, m: Uint8Array, n: Uint8Array, pk: Uint8Array, sk: Uint8Array): void;
  };
  for (let i = 0; i < 20; i++) {
    const a = keyPairFromSecret(systemRandom(32) as SecretKey);
    const b = keyPairFromSecret(systemRandom(32) as SecretKey);
    const nonce = systemRandom(24) as Nonce;
    const plain = systemRandom(i * 7);
    const expected = new Uint8Array(plain.length + 16);
    box.crypto_box_easy(expected, plain, nonce, b.publicKey, a.secretKey);
    const key = sharedKey(a.publicKey, b.secretKey)!;
    assert.deepEqual(seal(key, nonce, plain), expected);
    assert.deepEqual(open(key, nonce, expected), plain);
  }
});

test('the first key of "Cryptography in NaCl" comes out byte for byte', () => {
  const alice = hex('8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a') as PublicKey;
  const bob = hex('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb') as SecretKey;
  const firstKey = hex('1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389');
  assert.deepEqual(sharedKey(alice, bob), firstKey);
});

test('every wrong bit and every truncation of a box is refused', () => {
  const key = systemRandom(32) as SharedKey;
  const nonce = systemRandom(24) as Nonce;
  const box = seal(key, nonce, hex('00112233'));
  for (let bit = 0; bit < box.length * 8; bit++) {
    const bad = box.slice();
    bad[bit >> 3]! ^= 1 << (bit & 7);
    assert.equal(open(key, nonce, bad), undefined);
  }
  for (let size = 0; size < box.length; size++) assert.equal(open(key, nonce, box.subarray(0, size)), undefined);
});

test('sealInto and openInto do as seal and open, in arrays of the caller', () => {
  const key = systemRandom(32) as SharedKey;
  const nonce = systemRandom(24) as Nonce;
  const plain = systemRandom(50);
  const box = new Uint8Array(66);
  sealInto(box, key, nonce, plain);
  assert.deepEqual(box, seal(key, nonce, plain));
  const out = new Uint8Array(50);
  assert.equal(openInto(out, key, nonce, box), true);
  assert.deepEqual(out, plain);
  box[0]! ^= 1;
  assert.equal(openInto(out, key, nonce, box), false);
  assert.equal(openInto(new Uint8Array(0), key, nonce, new Uint8Array(15)), false);
});

test('adding n to a nonce is n times adding one', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 24, maxLength: 24 }), fc.nat(2 ** 32 - 1), (bytes, n) => {
      const nonce = bytes.slice() as Nonce;
      incrementNonce(nonce, n);
      const expected = (BigInt(`0x${toHex(bytes)}`) + BigInt(n)) % (1n << 192n);
      assert.equal(BigInt(`0x${toHex(nonce)}`), expected);
      assert.equal(nonceLow16(nonce), Number(expected & 0xffffn));
    }),
  );
});

test('comparison in constant time agrees with plain comparison', () => {
  assert.equal(equalConstantTime(hex('0102'), hex('0102')), true);
  assert.equal(equalConstantTime(hex('0102'), hex('0103')), false);
  assert.equal(equalConstantTime(hex('0102'), hex('010203')), false);
  assert.equal(equalConstantTime(new Uint8Array(0), new Uint8Array(0)), true);
});

test('hexadecimal of another length or with other characters is refused', () => {
  assert.equal(fromHex('AB', 2), undefined);
  assert.equal(fromHex('ABCG', 2), undefined);
  assert.equal(fromHex('ABC', 2), undefined);
  assert.deepEqual(fromHex('abCD', 2), Uint8Array.from([0xab, 0xcd]));
});

test('two keys are the same map key exactly if their bytes are the same', () => {
  const key = fc.uint8Array({ minLength: 32, maxLength: 32 });
  fc.assert(
    fc.property(key, fc.nat(31), fc.integer({ min: 1, max: 255 }), (bytes, at, change) => {
      const padded = Uint8Array.of(1, 2, 3, 4, ...bytes, 5);
      assert.equal(keyId(padded.subarray(4, 36) as PublicKey), keyId(bytes as PublicKey));
      const other = bytes.slice() as PublicKey;
      other[at]! ^= change;
      assert.notEqual(keyId(other), keyId(bytes as PublicKey));
    }),
  );
});

test('random bytes fill what was asked for, and touch nothing beside it', () => {
  const [before, random, after] = [allocate(64), systemRandom(24), allocate(64)];
  assert.ok(random.some((byte) => byte !== 0));
  assert.ok([...before, ...after].every((byte) => byte === 0));
});

test('the cache of shared keys is bounded, forgets the least used, and refuses low-order keys', () => {
  const own = keyPairFromSecret(systemRandom(32) as SecretKey);
  const keys = Array.from({ length: 4 }, () => keyPairFromSecret(systemRandom(32) as SecretKey).publicKey);
  const cache = new SharedKeys(own.secretKey, 3);
  for (const key of keys.slice(0, 3)) assert.deepEqual(cache.get(key), sharedKey(key, own.secretKey));
  cache.get(keys[0]!);
  cache.get(keys[3]!);
  assert.deepEqual(
    keys.map((key) => cache.get(key, () => false) !== undefined),
    [true, false, true, true],
  );
  assert.equal(cache.get(new Uint8Array(32) as PublicKey), undefined);
});
