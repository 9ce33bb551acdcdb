import dgram from 'node:dgram';
import { type Endpoint, endpoint, endpointAddress, endpointPort, isIp6 } from '../wire/endpoint.ts';

/** Without another burst for so long its ports are closed, ms: routers have forgotten them by then. */
const BURST_LIFE = 30_000;
/** A port by which a peer was reached is closed when the peer was silent for so long, ms. */
const ROUTE_LIFE = 60_000;
/** Not heard for so long at the port by which it was reached, a peer is where else it was heard, ms: all send each second. */
const ROUTE_QUIET = 3_000;
/** Peers reached by a port of their own at once. */
const MAX_ROUTES = 32;

/** Only one burst at a time in the whole process: it takes hundreds of file descriptors. */
let busy: UdpFan | undefined;

interface Route {
  readonly socket: dgram.Socket;
  heardAt: number;
}

/**
 * Further local ports of a node, for hole punching through a router that gives each destination a
 * random port: from many ports at once, one of its outside ports is likely to be guessed by the peer.
 * The port that an answer comes to is the way to that peer from then on.
 * BOUNDED: one burst in the process, 32 routes; the one silent for longest goes first.
 */
export class UdpFan {
  readonly #host: string | undefined;
  readonly #onDatagram: (from: Endpoint, data: Uint8Array) => void;
  #burst: dgram.Socket[] = [];
  #burstTo: Endpoint | undefined;
  #burstTimer: NodeJS.Timeout | undefined;
  readonly #routes = new Map<Endpoint, Route>();
  #routeTimer: NodeJS.Timeout | undefined;

  /** `host`: the address of ours to send from; all if undefined. */
  constructor(host: string | undefined, onDatagram: (from: Endpoint, data: Uint8Array) => void) {
    this.#host = host;
    this.#onDatagram = onDatagram;
  }

  /** Sends the datagram from `count` ports; again from the same if they are open. IPv4 only. */
  spread(to: Endpoint, data: Uint8Array, count: number): void {
    if (isIp6(to) || (busy && busy !== this)) return;
    if (this.#burstTo !== to) this.#endBurst();
    busy = this;
    this.#burstTo = to;
    clearTimeout(this.#burstTimer);
    this.#burstTimer = setTimeout(() => this.#endBurst(), BURST_LIFE).unref();
    while (this.#burst.length < count) this.#burst.push(this.#open(to));
    for (const socket of this.#burst) socket.send(data, endpointPort(to), endpointAddress(to));
  }

  /** The port by which this peer was reached, if by one of these. */
  route(to: Endpoint): dgram.Socket | undefined {
    return this.#routes.get(to)?.socket;
  }

  /** The peer was heard at the node's own port, or somebody who forges its address. */
  heardElsewhere(peer: Endpoint): void {
    const route = this.#routes.get(peer);
    if (route && performance.now() - route.heardAt >= ROUTE_QUIET) this.#forget(peer);
  }

  get isEmpty(): boolean {
    return this.#routes.size === 0;
  }

  close(): void {
    this.#endBurst();
    clearInterval(this.#routeTimer);
    for (const { socket } of this.#routes.values()) socket.close();
    this.#routes.clear();
  }

  #open(to: Endpoint): dgram.Socket {
    const socket = dgram.createSocket('udp4').unref();
    socket.on('error', () => {}); // a port that cannot be had is one guess less
    socket.bind({ port: 0, address: this.#host, exclusive: true });
    socket.on('message', (data, from) => {
      const source = endpoint(from.address, from.port);
      if (source !== to) return; // nobody else knows this port
      this.#keep(source, socket);
      this.#onDatagram(source, new Uint8Array(data.buffer, data.byteOffset, data.length));
    });
    return socket;
  }

  #keep(peer: Endpoint, socket: dgram.Socket): void {
    const known = this.#routes.get(peer);
    if (known?.socket === socket) {
      known.heardAt = performance.now();
      return;
    }
    known?.socket.close();
    if (this.#routes.size >= MAX_ROUTES) this.#closeMostSilent();
    this.#routes.set(peer, { socket, heardAt: performance.now() });
    this.#routeTimer ??= setInterval(() => this.#closeSilent(performance.now() - ROUTE_LIFE), ROUTE_LIFE / 3).unref();
    const at = this.#burst.indexOf(socket);
    if (at < 0) return;
    this.#burst.splice(at, 1);
    this.#endBurst();
  }

  #forget(peer: Endpoint): void {
    this.#routes.get(peer)?.socket.close();
    this.#routes.delete(peer);
  }

  #closeSilent(limit: number): void {
    for (const [peer, { heardAt }] of this.#routes) if (heardAt < limit) this.#forget(peer);
  }

  #closeMostSilent(): void {
    const [oldest] = [...this.#routes].sort(([, a], [, b]) => a.heardAt - b.heardAt);
    if (oldest) this.#forget(oldest[0]);
  }

  #endBurst(): void {
    clearTimeout(this.#burstTimer);
    for (const socket of this.#burst.splice(0)) socket.close();
    this.#burstTo = undefined;
    if (busy === this) busy = undefined;
  }
}
