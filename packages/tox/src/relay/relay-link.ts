import { type Env, type Mono, randomInt } from '../core/env.ts';
import type { HostPort } from '../core/machine.ts';
import type { Stream, StreamHandler } from '../core/streams.ts';
import { type KeyId, type KeyPair, keyId, type PublicKey } from '../crypto/keys.ts';
import type { Endpoint } from '../wire/endpoint.ts';
import { RelayClient } from './client.ts';

/** Where a relay listens; a name only behind a proxy, which resolves it. */
export type RelayAddress = Endpoint | HostPort;

/** A TCP relay as it is known. */
export interface RelayInfo {
  readonly publicKey: PublicKey;
  readonly at: RelayAddress;
}

/** What a link tells its owner. Called synchronously; views. */
export interface RelayLinkHooks {
  onOnline(now: Mono, link: RelayLink): void;
  /** The connection ended, or an attempt failed. Not told for `disconnect`. */
  onClosed(now: Mono, link: RelayLink): void;
  onRoute(now: Mono, link: RelayLink, peer: PublicKey, id: number): void;
  onPeer(now: Mono, link: RelayLink, id: number, online: boolean): void;
  onData(now: Mono, link: RelayLink, id: number, data: Uint8Array): void;
  onOob(now: Mono, link: RelayLink, from: PublicKey, data: Uint8Array): void;
  onOnionResponse(now: Mono, link: RelayLink, data: Uint8Array): void;
}

export interface RelayLinkDeps {
  readonly env: Env;
  readonly dhtKeys: KeyPair;
  /** Opens a stream to a relay, through a proxy if that is how we go out. */
  readonly open: (to: RelayAddress, handler: StreamHandler) => Stream;
  readonly hooks: RelayLinkHooks;
}

// Ours.
/** Ports and addresses under which one relay is known. */
const MAX_ADDRESSES = 4;
/** After a failure; doubles with each further one, ms. */
const FIRST_RETRY = 1_000;
/** While nothing works: a network that is back is noticed this soon. */
const MAX_RETRY = 30_000;
/** After so many failures in a row a relay that never was up is hardly tried any more: perhaps it is none. */
const HOPELESS = 12;
const HOPELESS_RETRY = 600_000;
/** A connection that lasted this long is made again at once; ms. */
const STEADY_AFTER = 5_000;

/** One relay, and the connection to it when there is one: connects, and knows when to try again. */
export class RelayLink {
  readonly publicKey: PublicKey;
  readonly id: KeyId;
  /** Peers by the ids of their routes. BOUNDED: 240. */
  readonly routes = new Map<number, KeyId>();
  /** Decides among equals, so that not everybody crowds the first relays of a list. */
  readonly lot: number;
  /** Where the present or the next connection goes. */
  at: RelayAddress;
  /** Attempts that failed, and connections that soon ended, since one lasted. */
  failures = 0;
  /** It was online in this run. */
  wasUp = false;
  /** Not to be tried earlier. */
  retryAt: Mono = Number.NEGATIVE_INFINITY;
  /** Since when nobody wants it, while it is connected. */
  idleSince: Mono | undefined;
  readonly #deps: RelayLinkDeps;
  /** BOUNDED: MAX_ADDRESSES; the one that worked last is tried first, those told later are tried later. */
  #addresses: RelayAddress[];
  #client: RelayClient | undefined;
  #stream: Stream | undefined;
  #onlineAt: Mono | undefined;

  constructor(deps: RelayLinkDeps, info: RelayInfo) {
    this.#deps = deps;
    this.publicKey = info.publicKey.slice() as PublicKey;
    this.id = keyId(info.publicKey);
    this.lot = randomInt(deps.env, 2 ** 32);
    this.at = info.at;
    this.#addresses = [info.at];
  }

  get state(): 'idle' | 'connecting' | 'online' {
    if (!this.#client) return 'idle';
    return this.#onlineAt === undefined ? 'connecting' : 'online';
  }

  /** Where it was reached last; until then as it was first told. */
  get bestAddress(): RelayAddress {
    return this.#addresses[0]!;
  }

  addAddress(at: RelayAddress): void {
    if (!this.#addresses.includes(at) && this.#addresses.length < MAX_ADDRESSES) this.#addresses.push(at);
  }

  connect(now: Mono): void {
    if (this.#client) return;
    const { env, dhtKeys, open, hooks } = this.#deps;
    const client = new RelayClient(
      env,
      now,
      { dhtKeys, relayKey: this.publicKey },
      {
        onOnline: (at) => {
          this.#onlineAt = at;
          this.wasUp = true;
          this.#addresses = [this.at, ...this.#addresses.filter((each) => each !== this.at)];
          hooks.onOnline(at, this);
        },
        onRoute: (at, peer, id) => hooks.onRoute(at, this, peer, id),
        onRouteRefused: () => {}, // the relay does not want to; others may
        onPeer: (at, id, online) => hooks.onPeer(at, this, id, online),
        onData: (at, id, data) => hooks.onData(at, this, id, data),
        onOob: (at, from, data) => hooks.onOob(at, this, from, data),
        onOnionResponse: (at, data) => hooks.onOnionResponse(at, this, data),
      },
    );
    this.#client = client;
    const act = (at: Mono, what: () => void) => {
      what();
      if (this.#client === client) this.#settle(at);
    };
    this.#stream = open(this.at, {
      opened: (at) => act(at, () => client.connected(at)),
      received: (at, bytes) => act(at, () => client.receive(at, bytes)),
      written: (at, queued) => act(at, () => client.written(at, queued)),
      closed: (at) => this.#closed(at),
    });
    this.#settle(now);
  }

  /** Our network has changed: nothing that failed before counts, and what is up must prove it. */
  networkChanged(now: Mono): void {
    this.retryAt = now;
    this.failures = Math.min(this.failures, 1);
    this.#client?.probe(now);
    this.#settle(now);
  }

  disconnect(): void {
    this.#stream?.close();
    this.#forget();
  }

  wake(now: Mono): void {
    this.#client?.wake(now);
    this.#settle(now);
  }

  nextWake(): Mono | undefined {
    return this.#client?.nextWake();
  }

  requestRoute(peer: PublicKey): boolean {
    return this.#send((client) => client.requestRoute(peer));
  }

  dropRoute(id: number): void {
    this.routes.delete(id);
    this.#send((client) => {
      client.dropRoute(id);
      return true;
    });
  }

  /** Whether `sendData` would take a full packet now. */
  get writable(): boolean {
    return this.#client?.writable ?? false;
  }

  sendData(id: number, data: Uint8Array): boolean {
    return this.#send((client) => client.sendData(id, data));
  }

  sendOob(peer: PublicKey, data: Uint8Array): boolean {
    return this.#send((client) => client.sendOob(peer, data));
  }

  sendOnion(nonce: Uint8Array, body: Uint8Array): boolean {
    return this.#send((client) => client.sendOnion(nonce, body));
  }

  #send(act: (client: RelayClient) => boolean): boolean {
    const client = this.#client;
    if (!client || !act(client)) return false;
    this.#flush(client);
    return true;
  }

  #flush(client: RelayClient, now?: Mono): void {
    for (let bytes = client.takeBytes(now); bytes; bytes = client.takeBytes(now)) this.#stream?.write(bytes);
  }

  #settle(now: Mono): void {
    const client = this.#client;
    if (!client) return;
    this.#flush(client, now);
    if (client.state !== 'closed') return;
    this.#stream?.close();
    this.#closed(now);
  }

  #closed(now: Mono): void {
    const steady = this.#onlineAt !== undefined && now - this.#onlineAt >= STEADY_AFTER;
    this.#forget();
    if (steady) {
      this.failures = 0;
      this.retryAt = now;
    } else {
      this.failures++;
      // The next address at once, all of them again after a pause.
      const next = this.failures % this.#addresses.length;
      const rounds = Math.ceil(this.failures / this.#addresses.length);
      const limit = !this.wasUp && rounds > HOPELESS ? HOPELESS_RETRY : MAX_RETRY;
      const pause = Math.min(limit, FIRST_RETRY * 2 ** Math.min(rounds - 1, 10));
      this.at = this.#addresses[next]!;
      // Not all that lost the same relay come back in the same moment.
      this.retryAt = next === 0 ? now + pause * (0.75 + randomInt(this.#deps.env, 512) / 1024) : now;
    }
    this.#deps.hooks.onClosed(now, this);
  }

  #forget(): void {
    this.#client = undefined;
    this.#stream = undefined;
    this.#onlineAt = undefined;
    this.idleSince = undefined;
  }
}
