import { KEY_SIZE, MAC_SIZE, NONCE_SIZE, type Nonce, type PublicKey, type SharedKey } from '../crypto/keys.ts';
import { open, sealInto } from '../crypto/sodium.ts';

/** A box for one DHT node that others pass on (spec: DHT Request Packets). */
export const DHT_REQUEST = 0x20;

/** First byte inside the box: NAT ping (spec: NAT ping packets). */
export const REQUEST_NAT_PING = 0xfe;
/** First byte inside the box: a friend tells its DHT key (spec: DHT public key packet). */
export const REQUEST_DHT_KEY = 0x9c;

export const NAT_PING_REQUEST = 0;
export const NAT_PING_RESPONSE = 1;

const HEADER_SIZE = 1 + KEY_SIZE + KEY_SIZE + NONCE_SIZE;
const MIN_SIZE = HEADER_SIZE + MAC_SIZE + 1;
/** What c-toxcore receivers take; senders stay at or below `MAX_DHT_REQUEST_SIZE`. */
const MAX_RECEIVED_SIZE = 1040;
/** spec: `MAX_CRYPTO_REQUEST_SIZE`. */
export const MAX_DHT_REQUEST_SIZE = 1024;
/** Bytes after the id that fit a request. */
export const MAX_DHT_REQUEST_DATA = MAX_DHT_REQUEST_SIZE - MIN_SIZE;
const NAT_PING_DATA_SIZE = 9;

/** `0x20 receiver(32) sender(32) nonce(24) box{ id(1) data }`; every field is a view of the datagram. */
export interface DhtRequest {
  readonly receiver: PublicKey;
  readonly sender: PublicKey;
  readonly nonce: Nonce;
  readonly box: Uint8Array;
}

/** Undefined for another kind or a length outside 106..1040 (CVE-2021-44847: checked before any crypto). */
export function readDhtRequest(data: Uint8Array): DhtRequest | undefined {
  if (data[0] !== DHT_REQUEST || data.length < MIN_SIZE || data.length > MAX_RECEIVED_SIZE) return undefined;
  return {
    receiver: data.subarray(1, 1 + KEY_SIZE) as PublicKey,
    sender: data.subarray(1 + KEY_SIZE, 1 + 2 * KEY_SIZE) as PublicKey,
    nonce: data.subarray(1 + 2 * KEY_SIZE, HEADER_SIZE) as Nonce,
    box: data.subarray(HEADER_SIZE),
  };
}

/** `data` is what follows the id, at most `MAX_DHT_REQUEST_DATA` bytes; `nonce` must be fresh. */
export function writeDhtRequest(
  receiver: PublicKey,
  sender: PublicKey,
  nonce: Nonce,
  key: SharedKey,
  id: number,
  data: Uint8Array,
): Uint8Array {
  if (data.length > MAX_DHT_REQUEST_DATA) throw new RangeError(`DHT request of ${data.length} bytes`);
  const out = new Uint8Array(MIN_SIZE + data.length);
  out[0] = DHT_REQUEST;
  out.set(receiver, 1);
  out.set(sender, 1 + KEY_SIZE);
  out.set(nonce, 1 + 2 * KEY_SIZE);
  const plain = new Uint8Array(1 + data.length);
  plain[0] = id;
  plain.set(data, 1);
  sealInto(out.subarray(HEADER_SIZE), key, nonce, plain);
  return out;
}

/** The plain text: id(1), then data. Undefined if the box does not open. */
export function openDhtRequest(request: DhtRequest, key: SharedKey): { id: number; data: Uint8Array } | undefined {
  const plain = open(key, request.nonce, request.box);
  return plain && plain.length > 0 ? { id: plain[0]!, data: plain.subarray(1) } : undefined;
}

/** Data of a NAT ping: type(1), id(8, opaque). */
export interface NatPing {
  readonly type: typeof NAT_PING_REQUEST | typeof NAT_PING_RESPONSE;
  readonly id: Uint8Array;
}

export function encodeNatPing(ping: NatPing): Uint8Array {
  const data = new Uint8Array(NAT_PING_DATA_SIZE);
  data[0] = ping.type;
  data.set(ping.id, 1);
  return data;
}

export function decodeNatPing(data: Uint8Array): NatPing | undefined {
  const type = data[0];
  if (data.length !== NAT_PING_DATA_SIZE || (type !== NAT_PING_REQUEST && type !== NAT_PING_RESPONSE)) return undefined;
  return { type, id: data.subarray(1) };
}
