import { allocate } from '../core/allocate.ts';
import {
  KEY_SIZE,
  MAC_SIZE,
  NONCE_SIZE,
  type Nonce,
  type PublicKey,
  type SharedKey,
  sameBytes,
} from '../crypto/keys.ts';
import { equalConstantTime, open, openInto, seal, sealInto, sha512 } from '../crypto/sodium.ts';

// Packets of net_crypto (spec: Crypto connection). Layouts are given above each encoder; E(k, n){...}
// is a box: 16 bytes of MAC, then as many bytes as the plain text.

export const COOKIE_REQUEST = 0x18;
export const COOKIE_RESPONSE = 0x19;
export const HANDSHAKE = 0x1a;
export const CRYPTO_DATA = 0x1b;

export const COOKIE_SIZE = 112;
/** Request number, echoed untouched by the answer. */
export const ECHO_SIZE = 8;
export const COOKIE_REQUEST_SIZE = 1 + KEY_SIZE + NONCE_SIZE + MAC_SIZE + 2 * KEY_SIZE + ECHO_SIZE;
export const COOKIE_RESPONSE_SIZE = 1 + NONCE_SIZE + MAC_SIZE + COOKIE_SIZE + ECHO_SIZE;
const HASH_SIZE = 64;
const HANDSHAKE_PLAIN_SIZE = NONCE_SIZE + KEY_SIZE + HASH_SIZE + COOKIE_SIZE;
export const HANDSHAKE_SIZE = 1 + COOKIE_SIZE + NONCE_SIZE + MAC_SIZE + HANDSHAKE_PLAIN_SIZE;

/** Id and body of one data packet. */
export const MAX_CRYPTO_DATA_SIZE = 1373;
const DATA_HEAD_SIZE = 3; // kind, last two bytes of the nonce
const NUMBERS_SIZE = 8; // buffer_start, number
const PAD_TO = 8;
/** What one data packet may measure; larger ones are dropped by every receiver. */
export const MAX_CRYPTO_PACKET_SIZE = DATA_HEAD_SIZE + MAC_SIZE + NUMBERS_SIZE + MAX_CRYPTO_DATA_SIZE;
const MIN_CRYPTO_PACKET_SIZE = DATA_HEAD_SIZE + MAC_SIZE + NUMBERS_SIZE + 1;

// First byte inside a data packet.
export const PACKET_REQUEST = 1;
export const PACKET_KILL = 2;
export const FIRST_LOSSLESS = 16;
export const FIRST_LOSSY = 192;
export const LAST_LOSSY = 254;

/** `18 our_dht_pk nonce E(dht x dht){ our_real_pk zeros(32) echo }`. */
export function encodeCookieRequest(
  shared: SharedKey,
  nonce: Nonce,
  dhtKey: PublicKey,
  realKey: PublicKey,
  echo: Uint8Array,
): Uint8Array {
  const plain = allocate(2 * KEY_SIZE + ECHO_SIZE);
  plain.set(realKey, 0);
  plain.set(echo, 2 * KEY_SIZE);
  const out = allocate(COOKIE_REQUEST_SIZE);
  out[0] = COOKIE_REQUEST;
  out.set(dhtKey, 1);
  out.set(nonce, 1 + KEY_SIZE);
  out.set(seal(shared, nonce, plain), 1 + KEY_SIZE + NONCE_SIZE);
  return out;
}

/** The sender's DHT key, a view: it selects the key for `openCookieRequest`. */
export function cookieRequestSender(data: Uint8Array): PublicKey | undefined {
  if (data.length !== COOKIE_REQUEST_SIZE || data[0] !== COOKIE_REQUEST) return undefined;
  return data.subarray(1, 1 + KEY_SIZE) as Uint8Array as PublicKey;
}

/** Of a packet that `cookieRequestSender` accepted. */
export function openCookieRequest(
  shared: SharedKey,
  data: Uint8Array,
): { realKey: PublicKey; echo: Uint8Array } | undefined {
  const plain = open(shared, nonceAt(data, 1 + KEY_SIZE), data.subarray(1 + KEY_SIZE + NONCE_SIZE));
  if (!plain) return undefined;
  return {
    realKey: plain.subarray(0, KEY_SIZE) as Uint8Array as PublicKey,
    echo: plain.subarray(2 * KEY_SIZE),
  };
}

/** `19 nonce E(the request's key){ cookie echo }`. */
export function encodeCookieResponse(
  shared: SharedKey,
  nonce: Nonce,
  cookie: Uint8Array,
  echo: Uint8Array,
): Uint8Array {
  const plain = allocate(COOKIE_SIZE + ECHO_SIZE);
  plain.set(cookie, 0);
  plain.set(echo, COOKIE_SIZE);
  const out = allocate(COOKIE_RESPONSE_SIZE);
  out[0] = COOKIE_RESPONSE;
  out.set(nonce, 1);
  out.set(seal(shared, nonce, plain), 1 + NONCE_SIZE);
  return out;
}

/** The cookie, if the answer is to the request with this echo. */
export function openCookieResponse(shared: SharedKey, echo: Uint8Array, data: Uint8Array): Uint8Array | undefined {
  if (data.length !== COOKIE_RESPONSE_SIZE || data[0] !== COOKIE_RESPONSE) return undefined;
  const plain = open(shared, nonceAt(data, 1), data.subarray(1 + NONCE_SIZE));
  if (!plain || !equalConstantTime(plain.subarray(COOKIE_SIZE), echo)) return undefined;
  return plain.subarray(0, COOKIE_SIZE);
}

/** What a handshake tells about its sender; copies. */
export interface HandshakeContent {
  /** The sender encrypts its data packets with this nonce and its successors. */
  readonly baseNonce: Nonce;
  readonly sessionKey: PublicKey;
  /** For our own handshake to it: made by the sender, so we need no cookie request. */
  readonly cookie: Uint8Array;
}

/**
 * `1a cookie_from_peer nonce E(real x real){ base_nonce session_pk sha512(cookie_from_peer)
 * cookie_for_peer }`.
 */
export function encodeHandshake(
  shared: SharedKey,
  nonce: Nonce,
  cookieFromPeer: Uint8Array,
  content: HandshakeContent,
): Uint8Array {
  const plain = allocate(HANDSHAKE_PLAIN_SIZE);
  plain.set(content.baseNonce, 0);
  plain.set(content.sessionKey, NONCE_SIZE);
  plain.set(sha512(cookieFromPeer), NONCE_SIZE + KEY_SIZE);
  plain.set(content.cookie, NONCE_SIZE + KEY_SIZE + HASH_SIZE);
  const out = allocate(HANDSHAKE_SIZE);
  out[0] = HANDSHAKE;
  out.set(cookieFromPeer, 1);
  out.set(nonce, 1 + COOKIE_SIZE);
  out.set(seal(shared, nonce, plain), 1 + COOKIE_SIZE + NONCE_SIZE);
  return out;
}

/** The outer cookie, a view: one of ours if the packet is honest. */
export function handshakeCookie(data: Uint8Array): Uint8Array | undefined {
  if (data.length !== HANDSHAKE_SIZE || data[0] !== HANDSHAKE) return undefined;
  return data.subarray(1, 1 + COOKIE_SIZE);
}

/** Of a packet that `handshakeCookie` accepted. Undefined unless it opens and names that cookie. */
export function openHandshake(shared: SharedKey, data: Uint8Array): HandshakeContent | undefined {
  const plain = open(shared, nonceAt(data, 1 + COOKIE_SIZE), data.subarray(1 + COOKIE_SIZE + NONCE_SIZE));
  if (!plain) return undefined;
  const hash = plain.subarray(NONCE_SIZE + KEY_SIZE, NONCE_SIZE + KEY_SIZE + HASH_SIZE);
  if (!equalConstantTime(hash, sha512(data.subarray(1, 1 + COOKIE_SIZE)))) return undefined;
  return {
    baseNonce: plain.slice(0, NONCE_SIZE) as Uint8Array as Nonce,
    sessionKey: plain.slice(NONCE_SIZE, NONCE_SIZE + KEY_SIZE) as Uint8Array as PublicKey,
    cookie: plain.slice(NONCE_SIZE + KEY_SIZE + HASH_SIZE),
  };
}

/** Zero bytes before the id: the padded length is 5 mod 8, so that sizes tell little. */
export function paddingOf(length: number): number {
  return (MAX_CRYPTO_DATA_SIZE - length) % PAD_TO;
}

/**
 * `1b nonce_low16 E(session, nonce){ buffer_start u32, number u32, zeros, id, body }` into one fresh
 * array, sealed in place. `data` is id and body, 1..1373 bytes.
 */
export function encodeCryptoData(
  shared: SharedKey,
  nonce: Nonce,
  bufferStart: number,
  number: number,
  data: Uint8Array,
): Uint8Array {
  const padding = paddingOf(data.length);
  const size = DATA_HEAD_SIZE + MAC_SIZE + NUMBERS_SIZE + padding + data.length;
  const out = Buffer.allocUnsafe(size); // every byte is written below
  out[0] = CRYPTO_DATA;
  out[1] = nonce[NONCE_SIZE - 2]!;
  out[2] = nonce[NONCE_SIZE - 1]!;
  const at = DATA_HEAD_SIZE + MAC_SIZE;
  writeU32(out, at, bufferStart);
  writeU32(out, at + 4, number);
  for (let i = at + NUMBERS_SIZE; i < at + NUMBERS_SIZE + padding; i++) out[i] = 0;
  out.set(data, at + NUMBERS_SIZE + padding);
  sealInto(out.subarray(DATA_HEAD_SIZE), shared, nonce, out.subarray(at));
  return out;
}

/** The low 16 bits of a data packet's nonce. Undefined if the size is impossible. */
export function cryptoDataNonce(data: Uint8Array): number | undefined {
  if (data.length < MIN_CRYPTO_PACKET_SIZE || data.length > MAX_CRYPTO_PACKET_SIZE) return undefined;
  return data[1]! * 256 + data[2]!;
}

/** Opens data packets into one buffer that is used again and again. */
export class CryptoDataOpener {
  /** Of the last packet that opened. */
  bufferStart = 0;
  number = 0;
  /** One view per length, made when first needed. At most 1382. */
  readonly #views: (Uint8Array | undefined)[] = [];
  readonly #buffer = new Uint8Array(MAX_CRYPTO_PACKET_SIZE);

  /**
   * Of a packet that `cryptoDataNonce` accepted: id and body, a view that the next call overwrites.
   * Undefined if the box does not open, or holds nothing but padding.
   */
  open(shared: SharedKey, nonce: Nonce, data: Uint8Array): Uint8Array | undefined {
    const size = data.length - DATA_HEAD_SIZE - MAC_SIZE;
    const plain = this.#view(size);
    if (!openInto(plain, shared, nonce, data.subarray(DATA_HEAD_SIZE))) return undefined;
    let at = NUMBERS_SIZE;
    while (at < size && plain[at] === 0) at++;
    if (at === size) return undefined;
    this.bufferStart = readU32(plain, 0);
    this.number = readU32(plain, 4);
    return plain.subarray(at);
  }

  #view(size: number): Uint8Array {
    const known = this.#views[size];
    if (known) return known;
    const view = this.#buffer.subarray(0, size);
    this.#views[size] = view;
    return view;
  }
}

/** Whether two handshakes begin the same session (a repeat, or a replay). */
export function sameHandshake(a: HandshakeContent, b: HandshakeContent): boolean {
  return sameBytes(a.sessionKey, b.sessionKey) && sameBytes(a.baseNonce, b.baseNonce);
}

function nonceAt(data: Uint8Array, at: number): Nonce {
  return data.subarray(at, at + NONCE_SIZE) as Uint8Array as Nonce;
}

function writeU32(out: Uint8Array, at: number, n: number): void {
  out[at] = n >>> 24;
  out[at + 1] = n >>> 16;
  out[at + 2] = n >>> 8;
  out[at + 3] = n;
}

function readU32(data: Uint8Array, at: number): number {
  return ((data[at]! << 24) | (data[at + 1]! << 16) | (data[at + 2]! << 8) | data[at + 3]!) >>> 0;
}
