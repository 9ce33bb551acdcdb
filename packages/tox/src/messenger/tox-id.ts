import { fromHex, KEY_SIZE, type PublicKey, toHex } from '../crypto/keys.ts';
import { NOSPAM_SIZE, type Nospam } from '../packet/friend.ts';

export type { Nospam } from '../packet/friend.ts';

/**
 * What a person hands out to be added: public key (32 bytes), nospam (4), checksum (2); 38 bytes
 * (spec: Tox ID). A value of this type has a right checksum and a key that may be used.
 */
export type ToxId = Uint8Array & { readonly __toxId: true };

/** `length`: not 76 (61) characters; `key`: a key that Tox refuses, its top bit is set. */
export type ToxIdFailure = 'length' | 'hex' | 'base32' | 'checksum' | 'key';

export type ToxIdResult =
  | { readonly ok: true; readonly id: ToxId }
  | { readonly ok: false; readonly reason: ToxIdFailure };

export const TOX_ID_SIZE = 38;
/** Characters of the two written forms. */
export const TOX_ID_HEX_LENGTH = 76;
export const TOX_ID_BASE32_LENGTH = 61;

/** 76 hexadecimal digits, any case. Anything around them is the caller's to remove. */
export function parseToxId(text: string): ToxIdResult {
  if (text.length !== TOX_ID_HEX_LENGTH) return { ok: false, reason: 'length' };
  const bytes = fromHex(text, TOX_ID_SIZE);
  return bytes ? toxIdFromBytes(bytes) : { ok: false, reason: 'hex' };
}

/** 61 characters of base32 (RFC 4648 §6), any case, no padding; the spare last bit must be 0. */
export function parseToxIdBase32(text: string): ToxIdResult {
  if (text.length !== TOX_ID_BASE32_LENGTH) return { ok: false, reason: 'length' };
  const bytes = fromBase32(text, TOX_ID_SIZE);
  return bytes ? toxIdFromBytes(bytes) : { ok: false, reason: 'base32' };
}

/** 38 bytes, copied. */
export function toxIdFromBytes(bytes: Uint8Array): ToxIdResult {
  if (bytes.length !== TOX_ID_SIZE) return { ok: false, reason: 'length' };
  const [even, odd] = checksum(bytes);
  if (bytes[36] !== even || bytes[37] !== odd) return { ok: false, reason: 'checksum' };
  if (!isValidPublicKey(bytes.subarray(0, KEY_SIZE))) return { ok: false, reason: 'key' };
  return { ok: true, id: bytes.slice() as ToxId };
}

/** The ID of a key that is valid (`isValidPublicKey`) and a nospam. */
export function makeToxId(publicKey: PublicKey, nospam: Nospam): ToxId {
  const id = new Uint8Array(TOX_ID_SIZE);
  id.set(publicKey);
  id.set(nospam, KEY_SIZE);
  id.set(checksum(id), KEY_SIZE + NOSPAM_SIZE);
  return id as ToxId;
}

/** 76 upper-case hexadecimal digits: the form that every Tox program shows. */
export function formatToxId(id: ToxId): string {
  return toHex(id);
}

/** 61 lower-case characters of base32 (RFC 4648 §6) without padding: fits the local part of a mail address. */
export function formatToxIdBase32(id: ToxId): string {
  return toBase32(id);
}

/** A copy. */
export function toxIdPublicKey(id: ToxId): PublicKey {
  return id.slice(0, KEY_SIZE) as Uint8Array as PublicKey;
}

/** A copy. */
export function toxIdNospam(id: ToxId): Nospam {
  return id.slice(KEY_SIZE, KEY_SIZE + NOSPAM_SIZE) as Uint8Array as Nospam;
}

/** Tox refuses keys with the top bit of the last byte set: X25519 ignores it, so each key would have two names. */
export function isValidPublicKey(key: Uint8Array): key is PublicKey {
  return key.length === KEY_SIZE && key[31]! < 0x80;
}

/** XOR of the bytes at even offsets, then of those at odd ones, over key and nospam. */
function checksum(bytes: Uint8Array): [number, number] {
  let even = 0;
  let odd = 0;
  for (let i = 0; i < KEY_SIZE + NOSPAM_SIZE; i += 2) {
    even ^= bytes[i]!;
    odd ^= bytes[i + 1]!;
  }
  return [even, odd];
}

const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';

function toBase32(bytes: Uint8Array): string {
  let out = '';
  let bits = 0;
  let held = 0;
  for (const byte of bytes) {
    held = ((held << 8) | byte) & 0xfff;
    bits += 8;
    for (; bits >= 5; bits -= 5) out += BASE32[(held >>> (bits - 5)) & 31];
  }
  return bits > 0 ? out + BASE32[(held << (5 - bits)) & 31] : out;
}

/** `text` has the length that `size` bytes need. */
function fromBase32(text: string, size: number): Uint8Array | undefined {
  if (!/^[a-zA-Z2-7]*$/.test(text)) return undefined;
  const out = new Uint8Array(size);
  let at = 0;
  let bits = 0;
  let held = 0;
  for (const c of text.toLowerCase()) {
    held = ((held << 5) | BASE32.indexOf(c)) & 0xfff;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    out[at++] = held >>> bits;
  }
  return (held & ((1 << bits) - 1)) === 0 ? out : undefined;
}
