import { allocate } from '../core/allocate.ts';
import { KEY_SIZE, MAC_SIZE, NONCE_SIZE, type Nonce, type PublicKey, type SharedKey } from '../crypto/keys.ts';
import { open, sealInto } from '../crypto/sodium.ts';
import {
  MAX_SENT_NODES,
  type NodeInfo,
  PACKED_NODE_IP6_SIZE,
  readPackedNode,
  writePackedNode,
} from '../wire/packed-node.ts';
import { Reader } from '../wire/reader.ts';
import { Writer } from '../wire/writer.ts';

/** First bytes of the DHT's own datagrams (spec: DHT Packet). 0x03 does not exist. */
export const PING_REQUEST = 0x00;
export const PING_RESPONSE = 0x01;
export const NODES_REQUEST = 0x02;
export const NODES_RESPONSE = 0x04;

/** Opaque: compared, never interpreted. */
export const REQUEST_ID_SIZE = 8;

const HEADER_SIZE = 1 + KEY_SIZE + NONCE_SIZE;
const MIN_FRAME_SIZE = HEADER_SIZE + MAC_SIZE;
const PING_PLAIN_SIZE = 1 + REQUEST_ID_SIZE;
const NODES_REQUEST_PLAIN_SIZE = KEY_SIZE + REQUEST_ID_SIZE;

const PING_SIZE = MIN_FRAME_SIZE + PING_PLAIN_SIZE;
const NODES_REQUEST_SIZE = MIN_FRAME_SIZE + NODES_REQUEST_PLAIN_SIZE;
const MIN_NODES_RESPONSE_SIZE = MIN_FRAME_SIZE + 1 + REQUEST_ID_SIZE;
const MAX_NODES_RESPONSE_SIZE = MIN_NODES_RESPONSE_SIZE + MAX_SENT_NODES * PACKED_NODE_IP6_SIZE;

/**
 * `kind(1) sender's DHT key(32) nonce(24) box`: what kinds 00, 01, 02 and 04 share.
 * Every field is a view of the datagram.
 */
export interface DhtFrame {
  readonly kind: number;
  readonly sender: PublicKey;
  readonly nonce: Nonce;
  readonly box: Uint8Array;
}

/** Undefined unless `data` is of a known kind and of a length that this kind can have. */
export function readDhtFrame(data: Uint8Array): DhtFrame | undefined {
  const kind = data[0];
  const size = data.length;
  if (kind === PING_REQUEST || kind === PING_RESPONSE) {
    if (size !== PING_SIZE) return undefined;
  } else if (kind === NODES_REQUEST) {
    if (size !== NODES_REQUEST_SIZE) return undefined;
  } else if (kind !== NODES_RESPONSE || size < MIN_NODES_RESPONSE_SIZE || size > MAX_NODES_RESPONSE_SIZE) {
    return undefined;
  }
  return {
    kind,
    sender: data.subarray(1, 1 + KEY_SIZE) as PublicKey,
    nonce: data.subarray(1 + KEY_SIZE, HEADER_SIZE) as Nonce,
    box: data.subarray(HEADER_SIZE),
  };
}

/** The frame's plain text; undefined if the box does not open. */
export function openDhtFrame(frame: DhtFrame, key: SharedKey): Uint8Array | undefined {
  return open(key, frame.nonce, frame.box);
}

/** `nonce` must be fresh: it is used with a key that both directions share. */
export function writeDhtFrame(
  kind: number,
  sender: PublicKey,
  nonce: Nonce,
  key: SharedKey,
  plain: Uint8Array,
): Uint8Array {
  const out = allocate(MIN_FRAME_SIZE + plain.length);
  out[0] = kind;
  out.set(sender, 1);
  out.set(nonce, 1 + KEY_SIZE);
  sealInto(out.subarray(HEADER_SIZE), key, nonce, plain);
  return out;
}

/** Plain text of kinds 00 and 01: the kind again (both directions share one key), then the id. */
export function encodePing(kind: typeof PING_REQUEST | typeof PING_RESPONSE, id: Uint8Array): Uint8Array {
  const plain = allocate(PING_PLAIN_SIZE);
  plain[0] = kind;
  plain.set(id, 1);
  return plain;
}

/** The id, as a view; undefined if the inner kind is not `kind`. */
export function decodePing(kind: number, plain: Uint8Array): Uint8Array | undefined {
  return plain.length === PING_PLAIN_SIZE && plain[0] === kind ? plain.subarray(1) : undefined;
}

/** `target` is the key whose neighbours are wanted. */
export interface NodesRequest {
  readonly target: PublicKey;
  readonly id: Uint8Array;
}

export function encodeNodesRequest(request: NodesRequest): Uint8Array {
  const plain = allocate(NODES_REQUEST_PLAIN_SIZE);
  plain.set(request.target);
  plain.set(request.id, KEY_SIZE);
  return plain;
}

/** Views of `plain`. */
export function decodeNodesRequest(plain: Uint8Array): NodesRequest | undefined {
  if (plain.length !== NODES_REQUEST_PLAIN_SIZE) return undefined;
  return { target: plain.subarray(0, KEY_SIZE) as PublicKey, id: plain.subarray(KEY_SIZE) };
}

export interface NodesResponse {
  readonly nodes: readonly NodeInfo[];
  readonly id: Uint8Array;
}

/** count(1) packed UDP nodes, id(8). At most `MAX_SENT_NODES` nodes. */
export function encodeNodesResponse(response: NodesResponse): Uint8Array {
  const w = new Writer(1 + MAX_SENT_NODES * PACKED_NODE_IP6_SIZE + REQUEST_ID_SIZE).u8(response.nodes.length);
  for (const node of response.nodes) writePackedNode(w, node);
  return w.bytes(response.id).finish();
}

/** Nodes that name no reachable address are left out; a wrong count or a TCP family fails. */
export function decodeNodesResponse(plain: Uint8Array): NodesResponse | undefined {
  const r = new Reader(plain);
  const count = r.u8();
  if (count > MAX_SENT_NODES) r.fail('bad-value');
  const nodes: NodeInfo[] = [];
  for (let i = 0; i < count && !r.failure; i++) {
    const node = readPackedNode(r, false);
    if (node) nodes.push(node);
  }
  const id = r.take(REQUEST_ID_SIZE);
  return r.done() ? { nodes, id } : undefined;
}
