import { hsalsa } from '@noble/ciphers/salsa.js';
import sodium from 'sodium-native';
import { allocate } from '../core/allocate.ts';
import type { Nonce, PublicKey, SecretKey, SharedKey } from './keys.ts';

// The one place that knows the cryptographic library. Every function works on whole arrays that
// the caller owns; lengths are the caller's duty and are wrong only through a bug of ours.

const SIGMA = Uint32Array.from([0x61707865, 0x3320646e, 0x79622d32, 0x6b206574]); // "expand 32-byte k"
const ZERO16 = new Uint32Array(4);
const PUBLIC_KEY = new Uint8Array(32);

export function scalarMultBase(secretKey: SecretKey): PublicKey {
  const out = new Uint8Array(32);
  sodium.crypto_scalarmult_base(out, secretKey);
  return out as PublicKey;
}

/**
 * `crypto_box_beforenm`: HSalsa20(X25519(secret, public)). Undefined for a low-order public key,
 * which a hostile peer may send.
 */
export function sharedKey(publicKey: PublicKey, secretKey: SecretKey): SharedKey | undefined {
  const out = new Uint8Array(32) as SharedKey;
  return sharedKeyInto(out, publicKey, secretKey) ? out : undefined;
}

/** As `sharedKey`, into `out`, which begins at a multiple of four in its buffer. False for a low-order key. */
export function sharedKeyInto(out: SharedKey, publicKey: PublicKey, secretKey: SecretKey): boolean {
  const q = new Uint8Array(32);
  PUBLIC_KEY.set(publicKey); // an array that the library has seen needs 250 bytes more for as long as it lives
  try {
    sodium.crypto_scalarmult(q, secretKey, PUBLIC_KEY);
  } catch {
    return false;
  }
  hsalsa(SIGMA, new Uint32Array(q.buffer), ZERO16, new Uint32Array(out.buffer, out.byteOffset, 8));
  return true;
}

/** MAC (16 bytes) then ciphertext: the libsodium "easy" order, as on the Tox wire. */
export function seal(key: SharedKey, nonce: Nonce, plain: Uint8Array): Uint8Array {
  const out = allocate(plain.length + 16);
  sodium.crypto_secretbox_easy(out, plain, nonce, key);
  return out;
}

/** As `seal`, into `out` (exactly `plain.length + 16` bytes). */
export function sealInto(out: Uint8Array, key: SharedKey, nonce: Nonce, plain: Uint8Array): void {
  sodium.crypto_secretbox_easy(out, plain, nonce, key);
}

/** Undefined if the box is too short or does not open. */
export function open(key: SharedKey, nonce: Nonce, box: Uint8Array): Uint8Array | undefined {
  if (box.length < 16) return undefined;
  const out = allocate(box.length - 16);
  return sodium.crypto_secretbox_open_easy(out, box, nonce, key) ? out : undefined;
}

/** As `open`, into `out` (exactly `box.length - 16` bytes). False if the box does not open. */
export function openInto(out: Uint8Array, key: SharedKey, nonce: Nonce, box: Uint8Array): boolean {
  if (box.length < 16) return false;
  return sodium.crypto_secretbox_open_easy(out, box, nonce, key);
}

/** Keyed MAC for local use (`crypto_auth`, HMAC-SHA-512-256): 32 bytes out, 32-byte key. */
export function mac(key: Uint8Array, message: Uint8Array): Uint8Array {
  const out = allocate(32);
  sodium.crypto_auth(out, message, key);
  return out;
}

export function sha256(message: Uint8Array): Uint8Array {
  const out = new Uint8Array(32);
  sodium.crypto_hash_sha256(out, message);
  return out;
}

export function sha512(message: Uint8Array): Uint8Array {
  const out = new Uint8Array(64);
  sodium.crypto_hash_sha512(out, message);
  return out;
}

/** Constant-time comparison; false at once for different lengths (lengths are public). */
export function equalConstantTime(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && (a.length === 0 || sodium.sodium_memcmp(a, b));
}

/** Overwrites a secret that is no longer needed. */
export function wipe(secret: Uint8Array): void {
  sodium.sodium_memzero(secret);
}

/** `randombytes_buf`: for `Env.random` of the real driver only. */
export function systemRandom(size: number): Uint8Array {
  const out = size < 32 ? allocate(size) : new Uint8Array(size); // a nonce or an id; else it may be a secret key
  if (size > 0) sodium.randombytes_buf(out);
  return out;
}

/** The key of an encrypted save file: scryptsalsa208sha256, opslimit 2^20, memlimit 16 MiB (toxencryptsave). */
export function passphraseKey(passphraseHash: Uint8Array, salt: Uint8Array): SharedKey {
  const out = new Uint8Array(32);
  sodium.crypto_pwhash_scryptsalsa208sha256(out, passphraseHash, salt, 1_048_576, 16_777_216);
  return out as SharedKey;
}
