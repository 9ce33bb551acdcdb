import type { PublicKey } from '../crypto/keys.ts';
import { type Endpoint, endpointFromBytes, endpointIp, endpointPort, isIp6 } from './endpoint.ts';
import type { Reader } from './reader.ts';
import type { Writer } from './writer.ts';

/** A DHT node or TCP relay as peers tell it (spec: Node Info). */
export interface NodeInfo {
  readonly publicKey: PublicKey;
  readonly endpoint: Endpoint;
}

/** As in DHT-key packets, relay sharing and save files, where TCP relays may stand too. */
export interface PackedNode extends NodeInfo {
  readonly transport: 'udp' | 'tcp';
}

// Address families on the wire; the host's own AF_ numbers play no part.
const UDP4 = 2;
const UDP6 = 10;
const TCP4 = 130;
const TCP6 = 138;

/** The larger of the two forms, bytes. */
export const PACKED_NODE_IP6_SIZE = 51;
/** spec: `MAX_SENT_NODES`: nodes in any one answer about nodes, and in a DHT-key packet. */
export const MAX_SENT_NODES = 4;
/** Fixed form inside onion layers: family, 16 address bytes (IPv4 zero-padded), port. */
export const ONION_IP_PORT_SIZE = 19;

/** family(1) ip(4|16) port(2) public key(32): 39 or 51 bytes. UDP unless the node says otherwise. */
export function writePackedNode(w: Writer, node: NodeInfo & Partial<PackedNode>): void {
  const ip6 = isIp6(node.endpoint);
  w.u8(node.transport === 'tcp' ? (ip6 ? TCP6 : TCP4) : ip6 ? UDP6 : UDP4);
  w.bytes(endpointIp(node.endpoint)).u16(endpointPort(node.endpoint)).bytes(node.publicKey);
}

/**
 * One node, its key copied. Undefined without a failure if port 0 or the address length names
 * nobody; an unknown family, or a TCP one where none is allowed, fails.
 */
export function readPackedNode(r: Reader, tcpAllowed: boolean): PackedNode | undefined {
  const family = r.u8();
  const tcp = family === TCP4 || family === TCP6;
  if (tcp ? !tcpAllowed : family !== UDP4 && family !== UDP6) r.fail('bad-value');
  const ip = r.take(family === UDP4 || family === TCP4 ? 4 : 16);
  const port = r.u16();
  const publicKey = r.take<PublicKey>(32);
  if (r.failure) return undefined;
  const at = endpointFromBytes(ip, port);
  return at && { publicKey: publicKey.slice() as PublicKey, endpoint: at, transport: tcp ? 'tcp' : 'udp' };
}

/** All that is left: up to `max` nodes; more fails. Nodes that name nobody are left out. */
export function readPackedNodes(r: Reader, max: number, tcpAllowed: boolean): PackedNode[] {
  const nodes: PackedNode[] = [];
  for (let n = 0; r.left > 0; n++) {
    if (n >= max) r.fail('trailing');
    const node = readPackedNode(r, tcpAllowed);
    if (node) nodes.push(node);
  }
  return r.failure ? [] : nodes;
}

export function writeOnionIpPort(w: Writer, e: Endpoint): void {
  const ip = endpointIp(e);
  w.u8(ip.length === 4 ? UDP4 : UDP6).bytes(ip);
  if (ip.length === 4) w.zeros(12);
  w.u16(endpointPort(e));
}

/** UDP families only, as CVE-2018-25022 taught; fails for anything else or port 0. */
export function readOnionIpPort(r: Reader): Endpoint | undefined {
  const family = r.u8();
  const ip = r.take(16);
  const port = r.u16();
  if (family !== UDP4 && family !== UDP6) r.fail('bad-value');
  if (r.failure) return undefined;
  const e = endpointFromBytes(family === UDP4 ? ip.subarray(0, 4) : ip, port);
  if (!e) r.fail('bad-value');
  return e;
}
