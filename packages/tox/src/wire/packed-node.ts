import type { PublicKey } from '../crypto/keys.ts';
import { type Endpoint, endpointFromBytes, endpointIp, endpointIp4, endpointPort, ip4Endpoint } from './endpoint.ts';
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
  const ip4 = endpointIp4(node.endpoint);
  const tcp = node.transport === 'tcp';
  if (ip4 !== undefined) w.u8(tcp ? TCP4 : UDP4).u32(ip4);
  else w.u8(tcp ? TCP6 : UDP6).bytes(endpointIp(node.endpoint));
  w.u16(endpointPort(node.endpoint)).bytes(node.publicKey);
}

/**
 * One node, its key copied. Undefined without a failure if port 0 or the address length names
 * nobody; an unknown family, or a TCP one where none is allowed, fails.
 */
export function readPackedNode(r: Reader, tcpAllowed: boolean): PackedNode | undefined {
  const family = r.u8();
  const tcp = family === TCP4 || family === TCP6;
  if (tcp ? !tcpAllowed : family !== UDP4 && family !== UDP6) r.fail('bad-value');
  const ip = family === UDP4 || family === TCP4 ? r.u32() : r.take(16);
  const port = r.u16();
  const publicKey = r.copy<PublicKey>(32);
  if (r.failure) return undefined;
  const at = typeof ip === 'number' ? ip4Endpoint(ip, port) : endpointFromBytes(ip, port);
  return at && { publicKey, endpoint: at, transport: tcp ? 'tcp' : 'udp' };
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
  const ip4 = endpointIp4(e);
  if (ip4 !== undefined) w.u8(UDP4).u32(ip4).zeros(12);
  else w.u8(UDP6).bytes(endpointIp(e));
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
