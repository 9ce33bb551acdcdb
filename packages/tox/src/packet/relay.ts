import { KEY_SIZE, NONCE_SIZE, type Nonce, type PublicKey } from '../crypto/keys.ts';
import { ONION_IP_PORT_SIZE } from '../wire/packed-node.ts';
import { Reader } from '../wire/reader.ts';
import { Writer } from '../wire/writer.ts';
import { MAX_ONION_PACKET_SIZE, RETURN_1_SIZE } from './onion.ts';

// What travels inside the frames between a TCP relay and its clients (spec: TCP client, TCP server).

export const ROUTING_REQUEST = 0;
export const ROUTING_RESPONSE = 1;
export const CONNECT_NOTIFICATION = 2;
export const DISCONNECT_NOTIFICATION = 3;
export const RELAY_PING = 4;
export const RELAY_PONG = 5;
export const OOB_SEND = 6;
export const OOB_RECEIVE = 7;
export const RELAY_ONION_REQUEST = 8;
export const RELAY_ONION_RESPONSE = 9;
/** Newer than the specification: DHT packets by way of a relay. Nothing that friends need. */
export const FORWARD_REQUEST = 10;
export const FORWARDING = 11;
/** First and last id of a route; the id of data is the first byte of the packet. */
export const FIRST_ROUTE_ID = 16;
export const LAST_ROUTE_ID = 255;

/** Routes of one client (spec: NUM_CLIENT_CONNECTIONS). */
export const MAX_ROUTES = 240;
/** Bytes of a frame, MAC included (MAX_PACKET_SIZE in c-toxcore). */
export const MAX_FRAME_SIZE = 2_048;
/** Id and data; bytes. */
export const MAX_RELAY_PACKET_SIZE = MAX_FRAME_SIZE - 16;
/** Bytes of out-of-band data (spec: TCP_MAX_OOB_DATA_LENGTH). */
export const MAX_OOB_SIZE = 1_024;
export const PING_ID_SIZE = 8;

/** A connection to our relay server; a number is never used again. */
export type RelayClientNumber = number & { readonly __relayClient: true };

/** Layers for hops B and C, each of address, key and MAC, are in every onion request. */
const MIN_ONION_BODY_SIZE = 2 * (ONION_IP_PORT_SIZE + KEY_SIZE + 16) + 1;
/** What makes, with the relay's return block, the largest onion packet for hop B. */
const MAX_ONION_BODY_SIZE = MAX_ONION_PACKET_SIZE + ONION_IP_PORT_SIZE - (1 + NONCE_SIZE + RETURN_1_SIZE);

/** All but data. Keys and byte strings are views of the packet. */
export type RelayPacket =
  | { readonly kind: typeof ROUTING_REQUEST; readonly peer: PublicKey }
  /** An id below 16: refused. */
  | { readonly kind: typeof ROUTING_RESPONSE; readonly id: number; readonly peer: PublicKey }
  | { readonly kind: typeof CONNECT_NOTIFICATION | typeof DISCONNECT_NOTIFICATION; readonly id: number }
  /** Eight bytes, echoed untouched, not all zero. */
  | { readonly kind: typeof RELAY_PING | typeof RELAY_PONG; readonly pingId: Uint8Array }
  /** `peer`: whom it is for in 6, whom it is from in 7. 1..1024 bytes. */
  | { readonly kind: typeof OOB_SEND | typeof OOB_RECEIVE; readonly peer: PublicKey; readonly data: Uint8Array }
  /** `body`: the plain text of the first layer, that is address of hop B, key, box. */
  | { readonly kind: typeof RELAY_ONION_REQUEST; readonly nonce: Nonce; readonly body: Uint8Array }
  | {
      readonly kind: typeof RELAY_ONION_RESPONSE | typeof FORWARD_REQUEST | typeof FORWARDING;
      readonly data: Uint8Array;
    };

/**
 * | kind | content |
 * |---|---|
 * | 0 | peer(32) |
 * | 1 | id(1) peer(32) |
 * | 2, 3 | id(1) |
 * | 4, 5 | ping id(8) |
 * | 6, 7 | peer(32) data(1..1024) |
 * | 8 | nonce(24) body |
 * | 9, 10, 11 | data |
 */
export function encodeRelayPacket(packet: RelayPacket): Uint8Array {
  const w = new Writer().u8(packet.kind);
  switch (packet.kind) {
    case ROUTING_REQUEST:
      return w.bytes(packet.peer).finish();
    case ROUTING_RESPONSE:
      return w.u8(packet.id).bytes(packet.peer).finish();
    case CONNECT_NOTIFICATION:
    case DISCONNECT_NOTIFICATION:
      return w.u8(packet.id).finish();
    case RELAY_PING:
    case RELAY_PONG:
      return w.bytes(packet.pingId).finish();
    case OOB_SEND:
    case OOB_RECEIVE:
      return w.bytes(packet.peer).bytes(packet.data).finish();
    case RELAY_ONION_REQUEST:
      return w.bytes(packet.nonce).bytes(packet.body).finish();
    default:
      return w.bytes(packet.data).finish();
  }
}

/** Undefined for everything that is malformed, and for data (first byte 16 and up). */
export function decodeRelayPacket(packet: Uint8Array): RelayPacket | undefined {
  const r = new Reader(packet);
  const kind = r.u8();
  const decoded = readBody(r, kind);
  return r.done() ? decoded : undefined;
}

function readBody(r: Reader, kind: number): RelayPacket | undefined {
  switch (kind) {
    case ROUTING_REQUEST:
      return { kind, peer: r.take<PublicKey>(KEY_SIZE) };
    case ROUTING_RESPONSE: {
      const id = r.u8();
      return { kind, id, peer: r.take<PublicKey>(KEY_SIZE) };
    }
    case CONNECT_NOTIFICATION:
    case DISCONNECT_NOTIFICATION: {
      const id = r.u8();
      if (id < FIRST_ROUTE_ID) r.fail('bad-value');
      return { kind, id };
    }
    case RELAY_PING:
    case RELAY_PONG: {
      const pingId = r.take(PING_ID_SIZE);
      if (pingId.every((byte) => byte === 0)) r.fail('bad-value');
      return { kind, pingId };
    }
    case OOB_SEND:
    case OOB_RECEIVE: {
      const peer = r.take<PublicKey>(KEY_SIZE);
      return { kind, peer, data: r.rest(1, MAX_OOB_SIZE) };
    }
    case RELAY_ONION_REQUEST: {
      const nonce = r.take<Nonce>(NONCE_SIZE);
      return { kind, nonce, body: r.rest(MIN_ONION_BODY_SIZE, MAX_ONION_BODY_SIZE) };
    }
    case RELAY_ONION_RESPONSE:
    case FORWARD_REQUEST:
    case FORWARDING:
      return { kind, data: r.rest(1) };
    default:
      r.fail('unknown-kind');
      return undefined;
  }
}
