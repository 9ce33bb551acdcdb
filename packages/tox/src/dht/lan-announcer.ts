import type { Mono } from '../core/env.ts';
import type { SendDatagram } from '../core/machine.ts';
import type { PublicKey } from '../crypto/keys.ts';
import { encodeLanDiscovery } from '../packet/lan-discovery.ts';
import { endpoint } from '../wire/endpoint.ts';

// Of the spec.
/** `LAN_DISCOVERY_INTERVAL`, ms. */
const INTERVAL = 10_000;
/** `TOX_PORT_DEFAULT`: announced to each time; the others of the range in turn. */
const FIRST_PORT = 33_445;
const LAST_PORT = 33_545;
/** `PORTS_PER_DISCOVERY`. */
const PORTS_EACH = 10;
/** All nodes of the link (RFC 4291 §2.7.1), and all hosts of all networks that the machine is in. */
const EVERYBODY = ['255.255.255.255', 'ff02::1'];

// Our own.
/** The first announcement goes to more ports: programs and accounts take the lowest free ones. */
const PORTS_FIRST = 20;

/** Tells the local network every ten seconds that we are here (spec: LAN discovery). */
export class LanAnnouncer {
  readonly #packet: Uint8Array;
  readonly #send: SendDatagram;
  #dueAt: Mono | undefined;
  #nextPort = FIRST_PORT + 1;

  constructor(own: PublicKey, send: SendDatagram) {
    this.#packet = encodeLanDiscovery(own);
    this.#send = send;
  }

  /** Begins anew: at the start, or in another network. */
  restart(now: Mono): void {
    this.#nextPort = FIRST_PORT + 1;
    this.#announce(now, PORTS_FIRST);
  }

  nextWake(): Mono | undefined {
    return this.#dueAt;
  }

  wake(now: Mono): void {
    if (this.#dueAt !== undefined && this.#dueAt <= now) this.#announce(now, PORTS_EACH);
  }

  #announce(now: Mono, count: number): void {
    this.#dueAt = now + INTERVAL;
    this.#announceTo(FIRST_PORT);
    for (let i = 0; i < count; i++) {
      this.#announceTo(this.#nextPort);
      this.#nextPort = this.#nextPort === LAST_PORT ? FIRST_PORT + 1 : this.#nextPort + 1;
    }
  }

  #announceTo(port: number): void {
    for (const address of EVERYBODY) this.#send(endpoint(address, port)!, this.#packet.slice());
  }
}
