import type { StreamHandler } from '../../src/core/streams.ts';
import { generateKeyPair, type KeyPair, type Nonce } from '../../src/crypto/keys.ts';
import { sharedKey } from '../../src/crypto/sodium.ts';
import { RelayClient } from '../../src/relay/client.ts';
import { FrameOpener, FrameSealer, packetScratch } from '../../src/relay/frame.ts';
import { ClientHandshake } from '../../src/relay/handshake.ts';
import { type RelayLimits, RelayServer } from '../../src/relay/server.ts';
import { testEnv } from '../../src/testing/index.ts';
import { type Endpoint, endpoint } from '../../src/wire/endpoint.ts';
import { type Told, tellInto } from './told.ts';

/** One connection to the server of a `Service`, as bytes. */
export class Line {
  /** Bytes that the server wrote and nobody took yet. */
  inbound: Uint8Array[] = [];
  open = true;
  paused = false;
  /** While it is false the server is told that nothing leaves. */
  reading = true;
  /** What the peer said first. */
  hello: Uint8Array | undefined;
  readonly #service: Service;
  #size = 0;
  /** What the server believes of `#size`. */
  #told = 0;
  #handler: StreamHandler | undefined;

  constructor(service: Service, from: Endpoint) {
    this.#service = service;
    this.#handler = service.server.accept(service.now, from, {
      write: (data) => {
        this.inbound.push(data);
        this.#size += data.length;
      },
      close: () => {
        this.open = false;
      },
      pause: () => {
        this.paused = true;
      },
      resume: () => {
        this.paused = false;
      },
    });
    if (!this.#handler) this.open = false;
  }

  send(bytes: Uint8Array): void {
    this.hello ??= bytes;
    if (this.open) this.#handler!.received(this.#service.now, bytes);
  }

  /** What the server wrote. As with a socket, it is told only of what does not leave, and when that does. */
  take(): Uint8Array[] {
    const taken = this.reading ? this.inbound.splice(0) : [];
    if (this.reading) this.#size = 0;
    if (this.open && this.#size !== this.#told) this.#handler!.written(this.#service.now, this.#size);
    this.#told = this.#size;
    return taken;
  }

  /** The peer ends it. */
  end(): void {
    if (!this.open) return;
    this.open = false;
    this.#handler!.closed(this.#service.now);
  }
}

/** A client of the real kind on such a line. */
export class Guest {
  readonly keys: KeyPair;
  readonly client: RelayClient;
  readonly line: Line;
  told: Told[] = [];

  constructor(service: Service, from: Endpoint, keys: KeyPair) {
    this.keys = keys;
    const deps = { dhtKeys: keys, relayKey: service.keys.publicKey };
    this.client = new RelayClient(service.env, service.now, deps, tellInto(this.told));
    this.line = new Line(service, from);
    this.client.connected(service.now);
  }

  get online(): boolean {
    return this.line.open && this.client.state === 'online';
  }

  /** Since the last look, without what is told about logging in. */
  news(): Told[] {
    return this.told.splice(0).filter(([name]) => name !== 'online');
  }
}

/** A client that may break all rules. */
export class RawClient {
  readonly keys: KeyPair;
  readonly line: Line;
  readonly #sealer: FrameSealer;
  readonly #opener: FrameOpener;

  constructor(service: Service, from: Endpoint) {
    this.keys = generateKeyPair(service.env);
    this.line = service.line(from);
    const shared = sharedKey(service.keys.publicKey, this.keys.secretKey)!;
    const handshake = new ClientHandshake(service.env, this.keys.publicKey, shared);
    this.line.send(handshake.hello);
    const session = handshake.finish(this.line.inbound.splice(0)[0]!)!;
    this.#sealer = new FrameSealer(session.key, session.sendNonce);
    this.#opener = new FrameOpener(session.key, session.receiveNonce, packetScratch());
  }

  send(...packets: Uint8Array[]): void {
    for (const packet of packets) this.#sealer.push(packet);
    this.line.send(this.#sealer.take()!);
  }

  /** All packets since the last look. */
  received(): Uint8Array[] {
    const packets: Uint8Array[] = [];
    for (const bytes of this.line.take()) this.#opener.push(bytes, (packet) => packets.push(packet.slice()) > 0);
    return packets;
  }
}

/** A relay server with clients on lines without delay. */
export class Service {
  readonly env;
  readonly keys: KeyPair;
  readonly server: RelayServer;
  readonly onion: { client: number; from: Endpoint; nonce: Uint8Array; body: Uint8Array }[] = [];
  readonly guests: Guest[] = [];
  now = 0;
  #ports = 1_000;

  constructor(limits: RelayLimits = {}, seed = 1) {
    this.env = testEnv(seed, () => this.now);
    this.keys = generateKeyPair(this.env);
    const hooks = {
      onOnionRequest: (_now: number, client: number, from: Endpoint, nonce: Nonce, body: Uint8Array) =>
        void this.onion.push({ client, from, nonce: nonce.slice(), body: body.slice() }),
    };
    this.server = new RelayServer(this.env, this.keys, hooks, limits);
  }

  /** A public address, another each time. */
  address(): Endpoint {
    const n = this.#ports++;
    return endpoint(`${20 + (n % 100)}.${(n >> 8) & 255}.${n & 255}.7`, n % 60_000)!;
  }

  /** A client that logs in. */
  guest(from: Endpoint = this.address(), keys: KeyPair = generateKeyPair(this.env)): Guest {
    const guest = new Guest(this, from, keys);
    this.guests.push(guest);
    this.settle();
    return guest;
  }

  /** A connection that says what the test wants. */
  line(from: Endpoint = this.address()): Line {
    return new Line(this, from);
  }

  /** A client that seals whatever the test wants, beginning with `first`. */
  raw(first: Uint8Array, from: Endpoint = this.address()): RawClient {
    const raw = new RawClient(this, from);
    raw.send(first);
    return raw;
  }

  /** Carries all bytes until nothing moves. */
  settle(): void {
    for (let moved = true; moved; ) {
      moved = false;
      for (const { client, line } of this.guests) {
        const bytes = line.paused ? undefined : client.takeBytes();
        if (bytes) line.send(bytes);
        const taken = line.take();
        for (const part of taken) client.receive(this.now, part);
        moved ||= bytes !== undefined || taken.length > 0;
        if (client.state === 'closed') line.end();
      }
    }
  }

  /** Lets the time pass; server and clients are woken at their deadlines. */
  advance(to: number): void {
    for (;;) {
      const deadlines = [this.server.nextWake(), ...this.guests.map(({ client }) => client.nextWake())];
      const next = Math.min(...deadlines.map((at) => at ?? Number.POSITIVE_INFINITY));
      if (next > to) break;
      this.now = Math.max(this.now, next);
      this.server.wake(this.now);
      for (const { client } of this.guests) client.wake(this.now);
      this.settle();
    }
    this.now = to;
  }
}
