import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromHex, keyPairFromSecret, type Nonce, type SecretKey, toHex } from '../../src/crypto/keys.ts';
import { incrementNonce } from '../../src/crypto/nonce.ts';
import { open, seal, sharedKey } from '../../src/crypto/sodium.ts';

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
