import type { Mono } from '../core/env.ts';
import { type Endpoint, endpoint, endpointAddress, endpointPort } from '../wire/endpoint.ts';
import { seededRandom } from './random.ts';

/** How a router translates addresses, in the words of RFC 4787 §4 and §5. */
export interface NatKind {
  /** One outside port for all destinations, or one for each ("symmetric"). */
  readonly mapping: 'endpoint-independent' | 'address-and-port-dependent';
  /** Who may send to an outside port: anybody, an address sent to before, or exactly an endpoint sent to before. */
  readonly filtering: 'endpoint-independent' | 'address-dependent' | 'address-and-port-dependent';
  /** Which outside port a new mapping gets. */
  readonly ports: 'preserved' | 'sequential' | 'random';
  /** Whether hosts behind it reach each other by its outside address. */
  readonly hairpin: boolean;
  /** A mapping without outgoing datagrams for so long is gone, ms. */
  readonly timeoutMs: number;
  /** No UDP leaves at all. */
  readonly blocked?: boolean;
}

const CONE = { mapping: 'endpoint-independent', ports: 'preserved', hairpin: true, timeoutMs: 30_000 } as const;
const SYMMETRIC = {
  mapping: 'address-and-port-dependent',
  filtering: 'address-and-port-dependent',
  hairpin: false,
  timeoutMs: 30_000,
} as const;

/** The kinds by their usual names. */
export const NAT_KINDS = {
  'full cone': { ...CONE, filtering: 'endpoint-independent' },
  'address-restricted': { ...CONE, filtering: 'address-dependent' },
  'port-restricted': { ...CONE, filtering: 'address-and-port-dependent', hairpin: false },
  'symmetric, sequential ports': { ...SYMMETRIC, ports: 'sequential' },
  'symmetric, random ports': { ...SYMMETRIC, ports: 'random' },
  'UDP blocked': { ...CONE, filtering: 'address-and-port-dependent', blocked: true },
} as const satisfies Record<string, NatKind>;

const FIRST_PORT = 1_024;
const PORTS = 65_536 - FIRST_PORT;

interface Mapping {
  readonly inside: Endpoint;
  readonly port: number;
  sentAt: Mono;
  /** When it last sent to an endpoint, and (under the bare address) to any port there. */
  readonly sentTo: Map<string, Mono>;
}

/** One router: hosts whose address begins with `inside` share its one outside address. */
export class NatBox {
  readonly kind: NatKind;
  readonly outside: string;
  readonly #inside: string;
  readonly #random: () => number;
  /** By inside endpoint, and destination if the mapping depends on it. */
  readonly #mappings = new Map<string, Mapping>();
  readonly #byPort = new Map<number, Mapping>();
  #nextPort: number;

  /** `inside` is a prefix of dotted addresses: `10.1.`. */
  constructor(kind: NatKind, outside: string, inside: string, seed: number) {
    this.kind = kind;
    this.outside = outside;
    this.#inside = inside;
    this.#random = seededRandom(seed);
    this.#nextPort = FIRST_PORT + Math.floor(this.#random() * PORTS);
  }

  holds(address: string): boolean {
    return address.startsWith(this.#inside);
  }

  /** The source as it is seen outside, for a datagram of `from` to `to`; undefined: dropped. */
  leave(now: Mono, from: Endpoint, to: Endpoint): Endpoint | undefined {
    const { kind } = this;
    if (kind.blocked || (!kind.hairpin && endpointAddress(to) === this.outside)) return undefined;
    const key = kind.mapping === 'endpoint-independent' ? from : `${from} ${to}`;
    let mapping = this.#mappings.get(key);
    if (mapping && this.#expired(now, mapping.sentAt)) {
      this.#mappings.delete(key);
      this.#byPort.delete(mapping.port);
      mapping = undefined;
    }
    if (!mapping) {
      mapping = { inside: from, port: this.#freePort(now, endpointPort(from)), sentAt: now, sentTo: new Map() };
      this.#mappings.set(key, mapping);
      this.#byPort.set(mapping.port, mapping);
    }
    mapping.sentAt = now;
    mapping.sentTo.set(to, now).set(endpointAddress(to), now);
    return endpoint(this.outside, mapping.port);
  }

  /** The host that a datagram to our outside address is for; undefined: dropped. */
  enter(now: Mono, from: Endpoint, to: Endpoint): Endpoint | undefined {
    const mapping = this.#byPort.get(endpointPort(to));
    if (!mapping || this.#expired(now, mapping.sentAt)) return undefined;
    const { filtering } = this.kind;
    if (filtering === 'endpoint-independent') return mapping.inside;
    const sentAt = mapping.sentTo.get(filtering === 'address-dependent' ? endpointAddress(from) : from);
    return sentAt === undefined || this.#expired(now, sentAt) ? undefined : mapping.inside;
  }

  #expired(now: Mono, sentAt: Mono): boolean {
    return now - sentAt >= this.kind.timeoutMs;
  }

  #freePort(now: Mono, preserved: number): number {
    const { ports } = this.kind;
    let port = ports === 'preserved' ? preserved : ports === 'sequential' ? this.#nextPort : this.#randomPort();
    for (;;) {
      const taken = this.#byPort.get(port);
      if (!taken || this.#expired(now, taken.sentAt)) break;
      port = ports === 'random' ? this.#randomPort() : following(port);
    }
    this.#nextPort = following(port);
    return port;
  }

  #randomPort(): number {
    return FIRST_PORT + Math.floor(this.#random() * PORTS);
  }
}

/** Routers of a simulated network, nested as their addresses say; for `World.routers`. */
export class Nats {
  readonly #boxes: NatBox[] = [];

  /** `outside` may lie behind another box: then there are two translations. */
  add(kind: NatKind, outside: string, inside: string): NatBox {
    const box = new NatBox(kind, outside, inside, this.#boxes.length + 1);
    this.#boxes.push(box);
    return box;
  }

  /** The source that the destination's network sees; undefined: the datagram does not get there. */
  leave(now: Mono, from: Endpoint, to: Endpoint): Endpoint | undefined {
    const target = endpointAddress(to);
    let source = from;
    for (;;) {
      const box = this.#around(endpointAddress(source));
      if (box === this.#around(target)) return source;
      if (!box) return undefined; // a private address means nothing out here
      const seen = box.leave(now, source, to);
      if (!seen) return undefined;
      source = seen;
    }
  }

  /** The machine's own endpoint that a datagram to `to` gets to; undefined: dropped at a router. */
  enter(now: Mono, from: Endpoint, to: Endpoint): Endpoint | undefined {
    let target: Endpoint | undefined = to;
    while (target) {
      const address = endpointAddress(target);
      const box = this.#boxes.find((each) => each.outside === address);
      if (!box) return target;
      target = box.enter(now, from, target);
    }
    return undefined;
  }

  #around(address: string): NatBox | undefined {
    return this.#boxes.find((box) => box.holds(address));
  }
}

function following(port: number): number {
  return port >= 65_535 ? FIRST_PORT : port + 1;
}
