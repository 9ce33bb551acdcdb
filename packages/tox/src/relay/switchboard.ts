import type { Mono } from '../core/env.ts';
import { type KeyId, keyId, type Nonce, type PublicKey, sameBytes } from '../crypto/keys.ts';
import {
  CONNECT_NOTIFICATION,
  DISCONNECT_NOTIFICATION,
  decodeRelayPacket,
  encodeRelayPacket,
  FIRST_ROUTE_ID,
  FORWARD_REQUEST,
  MAX_ROUTES,
  OOB_RECEIVE,
  OOB_SEND,
  RELAY_ONION_REQUEST,
  RELAY_PING,
  RELAY_PONG,
  type RelayPacket,
  ROUTING_REQUEST,
  ROUTING_RESPONSE,
} from '../packet/relay.ts';
import type { Route, ServedClient } from './served-client.ts';

/** A routing response with it refuses. */
const NO_ROUTE = 0;

/** What the clients of a relay were served; counts since the start. */
export interface SwitchboardCounts {
  /** Packets handed from one client to another, over routes and out of band. */
  forwarded: number;
  forwardedBytes: number;
  /** Packets that their receiver had no room for, or that exceeded a rate. */
  dropped: number;
  onionRequests: number;
}

/**
 * What clients that are logged in can do: routes to each other, data over them, data out of band, and
 * onion packets. A route carries data once both sides have asked for each other (spec: TCP server).
 */
export class Switchboard {
  readonly counts: SwitchboardCounts = { forwarded: 0, forwardedBytes: 0, dropped: 0, onionRequests: 0 };
  /** BOUNDED by the server: at most so many clients. */
  readonly #clients = new Map<KeyId, ServedClient>();
  readonly #onOnion: (now: Mono, client: ServedClient, nonce: Nonce, body: Uint8Array) => void;

  constructor(onOnion: (now: Mono, client: ServedClient, nonce: Nonce, body: Uint8Array) => void) {
    this.#onOnion = onOnion;
  }

  get size(): number {
    return this.#clients.size;
  }

  clients(): MapIterator<ServedClient> {
    return this.#clients.values();
  }

  /** Who is logged in with this key. */
  get(id: KeyId): ServedClient | undefined {
    return this.#clients.get(id);
  }

  join(client: ServedClient): void {
    this.#clients.set(client.id, client);
  }

  /** Its peers hear that it is gone; their routes to it wait for it. */
  leave(client: ServedClient): void {
    if (this.#clients.get(client.id) === client) this.#clients.delete(client.id);
    for (const route of client.routes) if (route) this.#part(route);
    client.routes = [];
    client.routeIds.clear();
  }

  /** `packet` is the caller's scratch and may be changed. False: the client breaks the protocol or reads nothing. */
  handle(now: Mono, client: ServedClient, packet: Uint8Array): boolean {
    if (packet[0]! >= FIRST_ROUTE_ID) {
      client.lastActive = now;
      return this.#forward(client, packet);
    }
    const decoded = decodeRelayPacket(packet);
    if (decoded && decoded.kind !== RELAY_PING && decoded.kind !== RELAY_PONG) client.lastActive = now;
    return decoded !== undefined && this.#handle(now, client, decoded);
  }

  #handle(now: Mono, client: ServedClient, packet: RelayPacket): boolean {
    switch (packet.kind) {
      case ROUTING_REQUEST:
        return this.#open(now, client, packet.peer);
      case CONNECT_NOTIFICATION:
        return true; // means nothing here
      case DISCONNECT_NOTIFICATION:
        this.#drop(client, packet.id);
        return true;
      case RELAY_PING:
        return client.sendControl({ kind: RELAY_PONG, pingId: packet.pingId });
      case RELAY_PONG:
        if (client.pingId && sameBytes(client.pingId, packet.pingId)) client.pingId = undefined;
        else client.answered(now, packet.pingId);
        return true;
      case OOB_SEND:
        this.#sendOob(now, client, packet.peer, packet.data);
        return true;
      case RELAY_ONION_REQUEST:
        if (client.onion.take(now)) {
          this.counts.onionRequests++;
          this.#onOnion(now, client, packet.nonce, packet.body);
        } else {
          this.counts.dropped++;
        }
        return true;
      default:
        return packet.kind === FORWARD_REQUEST; // not done here; the rest is for clients
    }
  }

  #open(now: Mono, client: ServedClient, peer: PublicKey): boolean {
    const respond = (id: number) => client.sendControl({ kind: ROUTING_RESPONSE, id, peer });
    const peerId = keyId(peer);
    if (peerId === client.id) return respond(NO_ROUTE);
    const known = client.routeIds.get(peerId);
    if (known !== undefined) return respond(known);
    const free = client.routes.indexOf(undefined);
    const index = free >= 0 ? free : client.routes.length;
    if (index >= MAX_ROUTES || !client.asked.take(now)) return respond(NO_ROUTE);
    const id = FIRST_ROUTE_ID + index;
    if (!respond(id)) return false;
    const route: Route = { peer: peerId, other: undefined, otherId: 0 };
    client.routes[index] = route;
    client.routeIds.set(peerId, id);
    return this.#meet(client, id, route);
  }

  /** If both asked for each other, both are told. */
  #meet(client: ServedClient, id: number, route: Route): boolean {
    const other = this.#clients.get(route.peer);
    const otherId = other?.routeIds.get(client.id);
    if (!other || otherId === undefined) return true;
    const back = other.routes[otherId - FIRST_ROUTE_ID]!;
    route.other = other;
    route.otherId = otherId;
    back.other = client;
    back.otherId = id;
    // A peer that has no room even for this will be kicked at the next ping, which ends the route.
    other.sendControl({ kind: CONNECT_NOTIFICATION, id: otherId });
    return client.sendControl({ kind: CONNECT_NOTIFICATION, id });
  }

  #drop(client: ServedClient, id: number): void {
    const route = client.routes[id - FIRST_ROUTE_ID];
    if (!route) return;
    this.#part(route);
    client.routes[id - FIRST_ROUTE_ID] = undefined;
    client.routeIds.delete(route.peer);
  }

  #part(route: Route): void {
    const { other, otherId } = route;
    if (!other) return;
    route.other = undefined;
    const back = other.routes[otherId - FIRST_ROUTE_ID];
    if (back) back.other = undefined;
    other.sendControl({ kind: DISCONNECT_NOTIFICATION, id: otherId });
  }

  #forward(client: ServedClient, packet: Uint8Array): boolean {
    const route = client.routes[packet[0]! - FIRST_ROUTE_ID];
    if (!route) return false;
    // The peer may have left meanwhile; and c-toxcore would leave us if we passed on an empty one.
    if (!route.other || packet.length < 2) return true;
    packet[0] = route.otherId;
    route.other.lastActive = client.lastActive;
    this.#count(route.other.sendData(packet), packet.length);
    return true;
  }

  #sendOob(now: Mono, client: ServedClient, peer: PublicKey, data: Uint8Array): void {
    const other = this.#clients.get(keyId(peer));
    if (!other || other === client) return;
    const sent =
      client.oob.take(now) &&
      other.sendData(encodeRelayPacket({ kind: OOB_RECEIVE, peer: client.publicKey as PublicKey, data }));
    this.#count(sent, data.length);
  }

  #count(sent: boolean, bytes: number): void {
    if (sent) {
      this.counts.forwarded++;
      this.counts.forwardedBytes += bytes;
    } else {
      this.counts.dropped++;
    }
  }
}
