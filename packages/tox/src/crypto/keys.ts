import type { Env } from '../core/env.ts';
import { scalarMultBase } from './sodium.ts';

/** A Curve25519 public key, 32 bytes: a long-term ("real") key, a DHT key or a temporary one. */
export type PublicKey = Uint8Array & { readonly __key: 'public' };
/** A Curve25519 secret key, 32 bytes. Never logged, never sent. */
export type SecretKey = Uint8Array & { readonly __key: 'secret' };
/** The symmetric key of `crypto_box` (X25519 then HSalsa20), or a local symmetric key; 32 bytes. */
export type SharedKey = Uint8Array & { readonly __key: 'shared' };
/** 24 bytes; counted as one big-endian number where the protocol counts. */
export type Nonce = Uint8Array & { readonly __key: 'nonce' };
/** A public key as a map key: its 32 bytes as latin-1 characters. Not for printing. */
export type KeyId = string & { readonly __keyId: true };

export const KEY_SIZE = 32;
export const NONCE_SIZE = 24;
/** Poly1305 tag that a box adds. */
export const MAC_SIZE = 16;

const scratch = Buffer.alloc(KEY_SIZE);

export interface KeyPair {
  readonly publicKey: PublicKey;
  readonly secretKey: SecretKey;
}

export function generateKeyPair(env: Env): KeyPair {
  return keyPairFromSecret(env.random(KEY_SIZE) as SecretKey);
}

export function keyPairFromSecret(secretKey: SecretKey): KeyPair {
  return { publicKey: scalarMultBase(secretKey), secretKey };
}

export function randomNonce(env: Env): Nonce {
  return env.random(NONCE_SIZE) as Nonce;
}

export function keyId(key: PublicKey): KeyId {
  return byteString(key) as KeyId;
}

/**
 * Up to 32 bytes as latin-1 characters, to be a map key. By way of one buffer that exists already: V8
 * keeps small arrays without an ArrayBuffer until someone asks for it, which then costs more than the rest.
 */
export function byteString(bytes: Uint8Array): string {
  scratch.set(bytes);
  return scratch.toString('latin1', 0, bytes.length);
}

/** Plain comparison, for public values only. Secrets: `equalConstantTime`. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** Upper-case hexadecimal, as Tox writes keys. */
export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex').toUpperCase();
}

/** Undefined unless `text` is exactly `size` bytes of hexadecimal. */
export function fromHex(text: string, size: number): Uint8Array | undefined {
  if (text.length !== size * 2 || !/^[0-9a-fA-F]*$/.test(text)) return undefined;
  return new Uint8Array(Buffer.from(text, 'hex'));
}
