import type { Env } from '../core/env.ts';
import { ToxError } from '../core/errors.ts';
import { MAC_SIZE, NONCE_SIZE, type Nonce, randomNonce, type SharedKey } from '../crypto/keys.ts';
import { openInto, passphraseKey, seal, sha256, wipe } from '../crypto/sodium.ts';
import { Reader } from '../wire/reader.ts';
import { Writer } from '../wire/writer.ts';

// The standard encrypted form (toxencryptsave): magic(8) salt(32) nonce(24) box.

const MAGIC = new TextEncoder().encode('toxEsave');
const SALT_SIZE = 32;
/** What encryption adds. */
export const ENCRYPTED_SAVE_OVERHEAD = MAGIC.length + SALT_SIZE + NONCE_SIZE + MAC_SIZE;

/** Whether these bytes start like an encrypted profile. */
export function isEncryptedSave(bytes: Uint8Array): boolean {
  return bytes.length >= ENCRYPTED_SAVE_OVERHEAD && MAGIC.every((byte, i) => bytes[i] === byte);
}

/** Takes about 0.1 s and 16 MiB on purpose: a passphrase must be dear to guess. */
export function encryptSave(env: Env, save: Uint8Array, passphrase: string): Uint8Array {
  const salt = env.random(SALT_SIZE);
  const nonce = randomNonce(env);
  const key = deriveKey(passphrase, salt);
  const box = seal(key, nonce, save);
  wipe(key);
  return new Writer(ENCRYPTED_SAVE_OVERHEAD + save.length).bytes(MAGIC).bytes(salt).bytes(nonce).bytes(box).finish();
}

/** Throws `bad-save` for another format, a wrong passphrase or damaged bytes. As slow as `encryptSave`. */
export function decryptSave(bytes: Uint8Array, passphrase: string): Uint8Array {
  if (!isEncryptedSave(bytes)) throw new ToxError('bad-save', 'this is no encrypted Tox profile');
  const r = new Reader(bytes);
  r.take(MAGIC.length);
  const salt = r.take(SALT_SIZE);
  const nonce = r.take<Nonce>(NONCE_SIZE);
  const key = deriveKey(passphrase, salt);
  const box = r.rest();
  const plain = new Uint8Array(box.length - MAC_SIZE);
  const opened = openInto(plain, key, nonce, box);
  wipe(key);
  if (!opened) throw new ToxError('bad-save', 'wrong passphrase, or the profile is damaged');
  return plain;
}

function deriveKey(passphrase: string, salt: Uint8Array): SharedKey {
  return passphraseKey(sha256(new TextEncoder().encode(passphrase)), salt);
}
