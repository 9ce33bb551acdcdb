import { earlier } from '../core/deadline.ts';
import type { Env, Mono } from '../core/env.ts';
import { type KeyId, type KeyPair, keyId, type Nonce, type PublicKey, sameBytes } from '../crypto/keys.ts';
import { sharedKey } from '../crypto/sodium.ts';
import {
  CONNECT_NOTIFICATION,
  DISCONNECT_NOTIFICATION,
  decodeRelayPacket,
  encodeRelayPacket,
  FIRST_ROUTE_ID,
  FORWARDING,
  MAX_OOB_SIZE,
  MAX_RELAY_PACKET_SIZE,
  MAX_ROUTES,
  OOB_RECEIVE,
  OOB_SEND,
  RELAY_ONION_REQUEST,
  RELAY_ONION_RESPONSE,
  RELAY_PING,
  RELAY_PONG,
  type RelayPacket,
  ROUTING_REQUEST,
  ROUTING_RESPONSE,
} from '../packet/relay.ts';
import { FrameOpener, packetScratch } from './frame.ts';
import { ClientHandshake, SERVER_HELLO_SIZE } from './handshake.ts';
import { newPingId, Outbox } from './outbox.ts';

// spec: TCP client. Milliseconds.
const PING_INTERVAL = 30_000;
const PING_TIMEOUT = 10_000;
/** For the stream to come up, and again for the relay's answer to our hello. */
const CONNECTION_TIMEOUT = 10_000;

// Ours.
/** For the answer of a relay that may not be reached any more; ms. */
const PROBE_TIMEOUT = 3_000;
/**
 * Bytes of frames that wait, here and in the driver, before data is refused: 94 full packets, so that a
 * fast sender has always something to write, and a slow line does not delay for seconds.
 */
const MAX_QUEUED = 128 * 1_024;
/** Pings, answers and requests may still be queued up to here; a relay that reads nothing for so long is left. */
const MAX_QUEUED_CONTROL = 2 * MAX_QUEUED;

/** What becomes of one connection; called synchronously. `data` is a view, valid during the call. */
export interface RelayClientHooks {
  /** The relay proved that it has its key; requests and out-of-band data may be sent. */
  onOnline(now: Mono): void;
  /** The answer to `requestRoute`; `id` is 16..255. Data may be sent once the peer is there (`onPeer`). */
  onRoute(now: Mono, peer: PublicKey, id: number): void;
  onRouteRefused(now: Mono, peer: PublicKey): void;
  /** The peer asked for a route to us as well, or no longer does. */
  onPeer(now: Mono, id: number, online: boolean): void;
  onData(now: Mono, id: number, data: Uint8Array): void;
  /** `from` is a copy and as true as the relay is honest. */
  onOob(now: Mono, from: PublicKey, data: Uint8Array): void;
  onOnionResponse(now: Mono, data: Uint8Array): void;
}

interface Route {
  readonly peer: PublicKey;
  online: boolean;
}

/**
 * One connection to one TCP relay, without the socket: its owner brings bytes and time in and takes
 * bytes out after each call. A relay that breaks the protocol or says nothing gets it closed; what it
 * says otherwise is only believed where the sessions above prove it.
 */
export class RelayClient {
  readonly #env: Env;
  readonly #hooks: RelayClientHooks;
  #state: 'connecting' | 'online' | 'closed' = 'connecting';
  #handshake: ClientHandshake | undefined;
  #answer = new Uint8Array(0);
  #hello: Uint8Array | undefined;
  #opener: FrameOpener | undefined;
  #outbox: Outbox | undefined;
  /** Index: id - 16. BOUNDED: 240 with those requested. */
  readonly #routes: (Route | undefined)[] = [];
  readonly #requested = new Map<KeyId, PublicKey>();
  #deadline: Mono | undefined;
  #nextPing: Mono | undefined;
  #pingId: Uint8Array | undefined;
  #pingedAt: Mono = Number.NEGATIVE_INFINITY;
  /** When a frame of the relay last came. */
  #heardAt: Mono = Number.NEGATIVE_INFINITY;

  constructor(env: Env, now: Mono, deps: { dhtKeys: KeyPair; relayKey: PublicKey }, hooks: RelayClientHooks) {
    this.#env = env;
    this.#hooks = hooks;
    const shared = sharedKey(deps.relayKey, deps.dhtKeys.secretKey);
    if (shared) this.#handshake = new ClientHandshake(env, deps.dhtKeys.publicKey, shared);
    else this.#close('low-order-key');
    if (shared) this.#deadline = now + CONNECTION_TIMEOUT;
  }

  /** Closed is final: the owner closes the stream and forgets this. */
  get state(): 'connecting' | 'online' | 'closed' {
    return this.#state;
  }

  /** The stream is up: says hello. */
  connected(now: Mono): void {
    if (this.#state !== 'connecting' || !this.#handshake) return;
    this.#hello = this.#handshake.hello;
    this.#deadline = now + CONNECTION_TIMEOUT;
  }

  /** The next bytes of the stream, split anyhow. */
  receive(now: Mono, bytes: Uint8Array): void {
    let rest = bytes;
    if (this.#state === 'connecting') {
      const taken = Math.min(SERVER_HELLO_SIZE - this.#answer.length, bytes.length);
      this.#answer = Uint8Array.of(...this.#answer, ...bytes.subarray(0, taken));
      if (this.#answer.length < SERVER_HELLO_SIZE) return;
      this.#login(now);
      rest = bytes.subarray(taken);
    }
    if (this.#state !== 'online') return;
    if (!this.#opener!.push(rest, (packet) => this.#receivePacket(now, packet))) this.#close('bad-frame');
  }

  /** What is to be written to the stream; the caller's. The time, if known, serves to measure the way. */
  takeBytes(now?: Mono): Uint8Array | undefined {
    if (this.#state === 'closed') return undefined;
    const hello = this.#hello;
    this.#hello = undefined;
    return hello ?? this.#outbox?.take(now);
  }

  wake(now: Mono): void {
    if (this.#deadline !== undefined && now >= this.#deadline) {
      // On a slow line the ping, or its answer, may wait behind seconds of data; but not until the next ping.
      const alive = this.#heardAt > this.#pingedAt ? this.#heardAt + PING_TIMEOUT : now;
      if (alive > now && now < this.#nextPing!) this.#deadline = Math.min(alive, this.#nextPing!);
      else this.#close(this.#state === 'connecting' ? 'no-handshake' : 'ping-timeout');
    } else if (this.#nextPing !== undefined && now >= this.#nextPing) this.#ping(now);
  }

  /** Our network has changed: the relay must show soon that it still hears us. */
  probe(now: Mono): void {
    if (this.#state !== 'online') return;
    this.#ping(now);
    this.#deadline = now + PROBE_TIMEOUT;
  }

  nextWake(): Mono | undefined {
    return this.#state === 'closed' ? undefined : earlier(this.#deadline, this.#nextPing);
  }

  /** Asks for a route to the peer; `onRoute` or `onRouteRefused` answers. False: not online or no room. */
  requestRoute(peer: PublicKey): boolean {
    const id = keyId(peer);
    if (this.#requested.has(id)) return true;
    if (this.#requested.size + this.#routes.filter(Boolean).length >= MAX_ROUTES) return false;
    if (!this.#send({ kind: ROUTING_REQUEST, peer }, MAX_QUEUED_CONTROL)) return false;
    this.#requested.set(id, peer.slice() as PublicKey);
    return true;
  }

  dropRoute(id: number): void {
    if (!this.#routes[id - FIRST_ROUTE_ID]) return;
    this.#routes[id - FIRST_ROUTE_ID] = undefined;
    this.#send({ kind: DISCONNECT_NOTIFICATION, id }, MAX_QUEUED_CONTROL);
  }

  /** Whether `sendData` has room for a packet of any size. */
  get writable(): boolean {
    return this.#hasRoom(MAX_RELAY_PACKET_SIZE, MAX_QUEUED);
  }

  /** A session packet for the peer of a route. False: the peer is not there, or there is no room now. */
  sendData(id: number, data: Uint8Array): boolean {
    if (!this.#routes[id - FIRST_ROUTE_ID]?.online || data.length === 0 || data.length >= MAX_RELAY_PACKET_SIZE) {
      return false;
    }
    if (!this.#hasRoom(1 + data.length, MAX_QUEUED)) return false;
    const packet = new Uint8Array(1 + data.length);
    packet[0] = id;
    packet.set(data, 1);
    return this.#outbox!.pushData(packet, MAX_QUEUED);
  }

  /** 1..1024 bytes for whoever is logged in with that key; lost if nobody is. */
  sendOob(peer: PublicKey, data: Uint8Array): boolean {
    if (data.length === 0 || data.length > MAX_OOB_SIZE) return false;
    return this.#send({ kind: OOB_SEND, peer, data }, MAX_QUEUED);
  }

  /** An onion request of which the relay is hop A; `body` is the plain text of its layer. */
  sendOnion(nonce: Uint8Array, body: Uint8Array): boolean {
    return this.#send({ kind: RELAY_ONION_REQUEST, nonce: nonce as Nonce, body }, MAX_QUEUED);
  }

  /** What the stream has not yet written of the bytes that it was given. */
  written(_now: Mono, bytesStillQueued: number): void {
    this.#outbox?.written(bytesStillQueued);
  }

  #login(now: Mono): void {
    const session = this.#handshake?.finish(this.#answer);
    if (!session) {
      this.#close('bad-handshake');
      return;
    }
    this.#handshake = undefined;
    this.#opener = new FrameOpener(session.key, session.receiveNonce, packetScratch());
    this.#outbox = new Outbox(this.#env, session);
    this.#state = 'online';
    // The relay lists us at our first frame, and only its answer shows that this is no old handshake.
    this.#ping(now);
    this.#hooks.onOnline(now);
  }

  #ping(now: Mono): void {
    this.#pingId = newPingId(this.#env);
    this.#pingedAt = now;
    this.#nextPing = now + PING_INTERVAL;
    this.#deadline = now + PING_TIMEOUT;
    this.#send({ kind: RELAY_PING, pingId: this.#pingId }, MAX_QUEUED_CONTROL);
  }

  /** False if the connection is of no use any more. */
  #receivePacket(now: Mono, packet: Uint8Array): boolean {
    this.#heardAt = now;
    if (packet[0]! >= FIRST_ROUTE_ID) {
      const id = packet[0]!;
      // After `dropRoute` some may still be under way.
      if (packet.length > 1 && this.#routes[id - FIRST_ROUTE_ID]) this.#hooks.onData(now, id, packet.subarray(1));
    } else {
      const decoded = decodeRelayPacket(packet);
      if (!decoded || !this.#handle(now, decoded)) return false;
    }
    return this.#state === 'online';
  }

  #handle(now: Mono, packet: RelayPacket): boolean {
    switch (packet.kind) {
      case ROUTING_RESPONSE:
        return this.#receiveRoute(now, packet.peer, packet.id);
      case CONNECT_NOTIFICATION:
      case DISCONNECT_NOTIFICATION:
        this.#setOnline(now, packet.id, packet.kind === CONNECT_NOTIFICATION);
        return true;
      case RELAY_PING:
        return this.#send({ kind: RELAY_PONG, pingId: packet.pingId }, MAX_QUEUED_CONTROL);
      case RELAY_PONG:
        if (this.#pingId && sameBytes(packet.pingId, this.#pingId)) this.#pingId = this.#deadline = undefined;
        else this.#outbox!.answered(now, packet.pingId);
        return true;
      case OOB_RECEIVE:
        this.#hooks.onOob(now, packet.peer.slice() as PublicKey, packet.data);
        return true;
      case RELAY_ONION_RESPONSE:
        this.#hooks.onOnionResponse(now, packet.data);
        return true;
      default:
        return packet.kind === FORWARDING; // which we never ask for; the rest is for relays
    }
  }

  #receiveRoute(now: Mono, peer: PublicKey, id: number): boolean {
    const requested = this.#requested.get(keyId(peer));
    if (!requested) return true; // said twice
    this.#requested.delete(keyId(peer));
    if (id < FIRST_ROUTE_ID) {
      this.#hooks.onRouteRefused(now, requested);
      return true;
    }
    const held = this.#routes[id - FIRST_ROUTE_ID];
    if (held && !sameBytes(held.peer, requested)) return false; // one id for two peers
    if (!held) this.#routes[id - FIRST_ROUTE_ID] = { peer: requested, online: false };
    this.#hooks.onRoute(now, requested, id);
    return true;
  }

  #setOnline(now: Mono, id: number, online: boolean): void {
    const route = this.#routes[id - FIRST_ROUTE_ID];
    if (!route || route.online === online) return;
    route.online = online;
    this.#hooks.onPeer(now, id, online);
  }

  #send(packet: RelayPacket, limit: number): boolean {
    return this.#state === 'online' && this.#outbox!.pushControl(encodeRelayPacket(packet), limit);
  }

  #hasRoom(size: number, limit: number): boolean {
    return this.#state === 'online' && this.#outbox!.fits(size, limit);
  }

  #close(reason: string): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#handshake = this.#opener = this.#outbox = this.#hello = undefined;
    this.#deadline = this.#nextPing = undefined;
    this.#env.log('relay.closed', { reason });
  }
}
