import { KEY_SIZE, MAC_SIZE, NONCE_SIZE, type Nonce, type PublicKey } from '../crypto/keys.ts';
import {
  MAX_SENT_NODES,
  PACKED_NODE_IP6_SIZE,
  type PackedNode,
  readPackedNodes,
  writePackedNode,
} from '../wire/packed-node.ts';
import { Reader } from '../wire/reader.ts';
import { Writer } from '../wire/writer.ts';
import { REQUEST_DHT_KEY } from './dht-request.ts';

// spec: Onion. First bytes of datagrams.
export const ONION_REQUEST_0 = 0x80;
export const ONION_REQUEST_1 = 0x81;
export const ONION_REQUEST_2 = 0x82;
export const ANNOUNCE_REQUEST = 0x83;
export const ANNOUNCE_RESPONSE = 0x84;
export const DATA_REQUEST = 0x85;
export const DATA_RESPONSE = 0x86;
/** As 0x83 and 0x84, but the response counts its nodes; newer, for group chats. */
export const COUNTED_ANNOUNCE_REQUEST = 0x87;
export const COUNTED_ANNOUNCE_RESPONSE = 0x88;
export const ONION_RESPONSE_3 = 0x8c;
export const ONION_RESPONSE_2 = 0x8d;
export const ONION_RESPONSE_1 = 0x8e;

/** No datagram of the onion is larger, at any hop; bytes. */
export const MAX_ONION_PACKET_SIZE = 1400;
/** What the last hop hands over: 1400 less 226 bytes of layers. */
export const MAX_ONION_PAYLOAD_SIZE = 1174;
/** Longest 0x86 that c-toxcore accepts (MAX_DATA_REQUEST_SIZE there). */
export const MAX_DATA_RESPONSE_SIZE = 1069;
export const ANNOUNCE_REQUEST_SIZE = 177;
export const PING_ID_SIZE = 32;
export const SENDBACK_SIZE = 8;
/** Return block that hop A, B, C leaves: nonce, MAC, address, and the block of the hop before. */
export const RETURN_1_SIZE = 59;
export const RETURN_2_SIZE = 118;
export const RETURN_3_SIZE = 177;

/** First byte of the plain text of onion data, and of a DHT-key packet inside 0x20. */
export const ONION_DATA_DHT_KEY = REQUEST_DHT_KEY;
export const ONION_DATA_FRIEND_REQUEST = 0x20;

const RETURN_SIZES: Readonly<Record<number, number>> = {
  [ONION_REQUEST_0]: 0,
  [ONION_REQUEST_1]: RETURN_1_SIZE,
  [ONION_REQUEST_2]: RETURN_2_SIZE,
  [ONION_RESPONSE_1]: RETURN_1_SIZE,
  [ONION_RESPONSE_2]: RETURN_2_SIZE,
  [ONION_RESPONSE_3]: RETURN_3_SIZE,
};

/** True for payloads that the last hop may hand to a node (CVE-2018-25022). */
export function mayLeaveOnion(kind: number | undefined): boolean {
  return kind === ANNOUNCE_REQUEST || kind === DATA_REQUEST || kind === COUNTED_ANNOUNCE_REQUEST;
}

/** True for payloads that may travel back to the sender of a request. */
export function mayReturn(kind: number | undefined): boolean {
  return kind === ANNOUNCE_RESPONSE || kind === DATA_RESPONSE || kind === COUNTED_ANNOUNCE_RESPONSE;
}

/** 0x80, 0x81 or 0x82: one layer, readable by the node whose key `publicKey` was agreed with. */
export interface OnionRequest {
  readonly nonce: Nonce;
  readonly publicKey: PublicKey;
  readonly box: Uint8Array;
  /** Empty in 0x80. */
  readonly returnBlock: Uint8Array;
}

/** Views of `data`, whose first byte is 0x80, 0x81 or 0x82; undefined if malformed. */
export function readOnionRequest(data: Uint8Array): OnionRequest | undefined {
  if (data.length > MAX_ONION_PACKET_SIZE) return undefined;
  const returnSize = RETURN_SIZES[data[0] ?? 0] ?? 0;
  const r = new Reader(data);
  r.u8();
  const nonce = r.take<Nonce>(NONCE_SIZE);
  const publicKey = r.take<PublicKey>(KEY_SIZE);
  const box = r.take(Math.max(r.left - returnSize, MAC_SIZE));
  const returnBlock = r.take(returnSize);
  return r.done() ? { nonce, publicKey, box, returnBlock } : undefined;
}

export function writeOnionRequest(kind: number, request: OnionRequest): Uint8Array {
  return new Writer(57 + request.box.length + request.returnBlock.length)
    .u8(kind)
    .bytes(request.nonce)
    .bytes(request.publicKey)
    .bytes(request.box)
    .bytes(request.returnBlock)
    .finish();
}

/** 0x8c, 0x8d or 0x8e. */
export interface OnionResponse {
  readonly returnBlock: Uint8Array;
  readonly payload: Uint8Array;
}

/** Views of `data`, whose first byte is 0x8c, 0x8d or 0x8e; undefined if malformed or its payload may not return. */
export function readOnionResponse(data: Uint8Array): OnionResponse | undefined {
  if (data.length > MAX_ONION_PACKET_SIZE) return undefined;
  const r = new Reader(data);
  r.u8();
  const returnBlock = r.take(RETURN_SIZES[data[0] ?? 0] ?? 0);
  const payload = r.rest(1);
  return r.done() && mayReturn(payload[0]) ? { returnBlock, payload } : undefined;
}

export function writeOnionResponse(kind: number, response: OnionResponse): Uint8Array {
  return new Writer(1 + response.returnBlock.length + response.payload.length)
    .u8(kind)
    .bytes(response.returnBlock)
    .bytes(response.payload)
    .finish();
}

/** 0x83 and 0x87, as it reaches the node: 177 bytes and the return block. */
export interface AnnounceRequest {
  readonly nonce: Nonce;
  /** Our real key when we announce ourselves, a temporary one when we search. */
  readonly publicKey: PublicKey;
  readonly box: Uint8Array;
}

export interface AnnounceRequestPlain {
  /** Zeros if none is known. */
  readonly pingId: Uint8Array;
  readonly searched: PublicKey;
  /** Zeros in a search. */
  readonly dataKey: PublicKey;
  readonly sendback: Uint8Array;
}

const ANNOUNCE_PLAIN_SIZE = PING_ID_SIZE + 2 * KEY_SIZE + SENDBACK_SIZE;

/** Views. `data` is without the return block. Group chat extensions of 0x87 are refused. */
export function readAnnounceRequest(data: Uint8Array): AnnounceRequest | undefined {
  const r = new Reader(data);
  r.u8();
  const nonce = r.take<Nonce>(NONCE_SIZE);
  const publicKey = r.take<PublicKey>(KEY_SIZE);
  const box = r.take(ANNOUNCE_PLAIN_SIZE + MAC_SIZE);
  return r.done() ? { nonce, publicKey, box } : undefined;
}

export function writeAnnounceRequest(request: AnnounceRequest): Uint8Array {
  return new Writer(ANNOUNCE_REQUEST_SIZE)
    .u8(ANNOUNCE_REQUEST)
    .bytes(request.nonce)
    .bytes(request.publicKey)
    .bytes(request.box)
    .finish();
}

export function readAnnounceRequestPlain(plain: Uint8Array): AnnounceRequestPlain | undefined {
  const r = new Reader(plain);
  const pingId = r.take(PING_ID_SIZE);
  const searched = r.take<PublicKey>(KEY_SIZE);
  const dataKey = r.take<PublicKey>(KEY_SIZE);
  const sendback = r.take(SENDBACK_SIZE);
  return r.done() ? { pingId, searched, dataKey, sendback } : undefined;
}

export function writeAnnounceRequestPlain(plain: AnnounceRequestPlain): Uint8Array {
  return new Writer(ANNOUNCE_PLAIN_SIZE)
    .bytes(plain.pingId)
    .bytes(plain.searched)
    .bytes(plain.dataKey)
    .bytes(plain.sendback)
    .finish();
}

/** 0x84 and 0x88. */
export interface AnnounceResponse {
  readonly sendback: Uint8Array;
  readonly nonce: Nonce;
  readonly box: Uint8Array;
}

/** What the node holds for the searched key. */
export const NOT_STORED = 0;
/** `value` is the data key of the searched one. */
export const STORED = 1;
/** Our own announce is stored. */
export const ANNOUNCED = 2;

export interface AnnounceResponsePlain {
  readonly status: typeof NOT_STORED | typeof STORED | typeof ANNOUNCED;
  /** `STORED`: the data key. Otherwise the ping id to announce with. 32 bytes. */
  readonly value: Uint8Array;
  readonly nodes: readonly PackedNode[];
}

/** Views. */
export function readAnnounceResponse(data: Uint8Array): AnnounceResponse | undefined {
  const r = new Reader(data);
  r.u8();
  const sendback = r.take(SENDBACK_SIZE);
  const nonce = r.take<Nonce>(NONCE_SIZE);
  const box = r.rest(1 + 32 + MAC_SIZE, 2 + 32 + MAX_SENT_NODES * PACKED_NODE_IP6_SIZE + MAC_SIZE);
  return r.done() ? { sendback, nonce, box } : undefined;
}

export function writeAnnounceResponse(kind: number, response: AnnounceResponse): Uint8Array {
  return new Writer(1 + SENDBACK_SIZE + 24 + response.box.length)
    .u8(kind)
    .bytes(response.sendback)
    .bytes(response.nonce)
    .bytes(response.box)
    .finish();
}

/** `counted`: the form of 0x88. The value is a copy. */
export function readAnnounceResponsePlain(plain: Uint8Array, counted: boolean): AnnounceResponsePlain | undefined {
  const r = new Reader(plain);
  const status = r.u8();
  const value = r.copy(32);
  const count = counted ? r.u8() : undefined;
  if (count !== undefined && count > MAX_SENT_NODES) r.fail('bad-value');
  const nodes = readPackedNodes(r, count ?? MAX_SENT_NODES, false);
  if (status !== NOT_STORED && status !== STORED && status !== ANNOUNCED) return undefined;
  return r.done() ? { status, value, nodes } : undefined;
}

export function writeAnnounceResponsePlain(plain: AnnounceResponsePlain, counted: boolean): Uint8Array {
  const w = new Writer(33 + plain.nodes.length * PACKED_NODE_IP6_SIZE + 1).u8(plain.status).bytes(plain.value);
  if (counted) w.u8(plain.nodes.length);
  for (const node of plain.nodes) writePackedNode(w, node);
  return w.finish();
}

/** 0x86; 0x85 puts the receiver's real key in front. */
export interface OnionData {
  readonly nonce: Nonce;
  /** Made for this one packet. */
  readonly publicKey: PublicKey;
  readonly box: Uint8Array;
}

export interface DataRequest {
  readonly destination: PublicKey;
  /** The bytes of 0x86 after its kind. */
  readonly forwarded: Uint8Array;
}

const ONION_DATA_OVERHEAD = NONCE_SIZE + KEY_SIZE + MAC_SIZE;

/** Views. `data` is without the return block. */
export function readDataRequest(data: Uint8Array): DataRequest | undefined {
  const r = new Reader(data);
  r.u8();
  const destination = r.take<PublicKey>(KEY_SIZE);
  const forwarded = r.rest(ONION_DATA_OVERHEAD + 1);
  return r.done() ? { destination, forwarded } : undefined;
}

export function writeDataRequest(destination: PublicKey, data: OnionData): Uint8Array {
  return new Writer(89 + data.box.length)
    .u8(DATA_REQUEST)
    .bytes(destination)
    .bytes(data.nonce)
    .bytes(data.publicKey)
    .bytes(data.box)
    .finish();
}

export function writeDataResponse(forwarded: Uint8Array): Uint8Array {
  return new Writer(1 + forwarded.length).u8(DATA_RESPONSE).bytes(forwarded).finish();
}

/** Views. */
export function readDataResponse(data: Uint8Array): OnionData | undefined {
  if (data.length > MAX_DATA_RESPONSE_SIZE) return undefined;
  const r = new Reader(data);
  r.u8();
  const nonce = r.take<Nonce>(NONCE_SIZE);
  const publicKey = r.take<PublicKey>(KEY_SIZE);
  const box = r.rest(MAC_SIZE + 1);
  return r.done() ? { nonce, publicKey, box } : undefined;
}

/** Plain text of 0x85 and 0x86, and with a nonce in between of a DHT-key packet in 0x20. */
export interface SignedData {
  readonly sender: PublicKey;
  /** From the sender's real key to the receiver's. */
  readonly box: Uint8Array;
}

/** Views. */
export function readSignedData(plain: Uint8Array): SignedData | undefined {
  const r = new Reader(plain);
  const sender = r.take<PublicKey>(KEY_SIZE);
  const box = r.rest(MAC_SIZE + 1);
  return r.done() ? { sender, box } : undefined;
}

export function writeSignedData(data: SignedData): Uint8Array {
  return new Writer(32 + data.box.length).bytes(data.sender).bytes(data.box).finish();
}

/** Data of a DHT request 0x20 with id 0x9c. */
export interface RoutedDhtKey extends SignedData {
  readonly nonce: Nonce;
}

/** Views. */
export function readRoutedDhtKey(data: Uint8Array): RoutedDhtKey | undefined {
  const r = new Reader(data);
  const sender = r.take<PublicKey>(KEY_SIZE);
  const nonce = r.take<Nonce>(NONCE_SIZE);
  const box = r.rest(MAC_SIZE + DHT_KEY_MIN_SIZE, MAC_SIZE + DHT_KEY_MIN_SIZE + MAX_SENT_NODES * PACKED_NODE_IP6_SIZE);
  return r.done() ? { sender, nonce, box } : undefined;
}

export function writeRoutedDhtKey(data: RoutedDhtKey): Uint8Array {
  return new Writer(56 + data.box.length).bytes(data.sender).bytes(data.nonce).bytes(data.box).finish();
}

/** "Here I am": our DHT key and nodes near us. */
export interface DhtKeyBody {
  /** Must exceed the last one seen of the sender; c-toxcore takes Unix seconds. */
  readonly noReplay: bigint;
  readonly dhtKey: PublicKey;
  /** At most 4; TCP relays may be among them. */
  readonly nodes: readonly PackedNode[];
}

const DHT_KEY_MIN_SIZE = 41;

/** The key is a copy. */
export function readDhtKeyBody(plain: Uint8Array): DhtKeyBody | undefined {
  const r = new Reader(plain);
  r.kind(ONION_DATA_DHT_KEY);
  const noReplay = r.u64();
  const dhtKey = r.copy<PublicKey>(KEY_SIZE);
  const nodes = readPackedNodes(r, MAX_SENT_NODES, true);
  return r.done() ? { noReplay, dhtKey, nodes } : undefined;
}

export function writeDhtKeyBody(body: DhtKeyBody): Uint8Array {
  const w = new Writer(DHT_KEY_MIN_SIZE + body.nodes.length * PACKED_NODE_IP6_SIZE)
    .u8(ONION_DATA_DHT_KEY)
    .u64(body.noReplay)
    .bytes(body.dhtKey);
  for (const node of body.nodes) writePackedNode(w, node);
  return w.finish();
}
