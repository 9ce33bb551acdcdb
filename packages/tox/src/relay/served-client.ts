import type { Env, Mono } from '../core/env.ts';
import { Budget } from '../core/source-limiter.ts';
import type { Stream } from '../core/streams.ts';
import type { KeyId, PublicKey } from '../crypto/keys.ts';
import { wipe } from '../crypto/sodium.ts';
import { encodeRelayPacket, type RelayClientNumber, type RelayPacket } from '../packet/relay.ts';
import type { Endpoint } from '../wire/endpoint.ts';
import { FrameOpener } from './frame.ts';
import type { RelaySession } from './handshake.ts';
import { Outbox } from './outbox.ts';

// Ours. Bytes of frames that wait for one client, here and in the driver.
/** Beyond it data for a client is lost, as on any full line; sessions send it again. */
const MAX_QUEUED = 1_024 * 1_024;
/** What goes on to be queued for everyone while all together have too much. */
const MAX_QUEUED_WHEN_FULL = 16 * 1_024;
/** Answers and notifications: a client that does not read so many of them is kicked. */
const MAX_QUEUED_CONTROL = MAX_QUEUED + 64 * 1_024;

// Ours. What a client may have done for it; more is dropped.
/** c-toxcore sends all packets of a session so while a route is missing. */
const OOB_RATE = { burst: 1_024, perSecond: 256 };
const ONION_RATE = { burst: 1_024, perSecond: 256 };
/** Routes asked for: twice as many as there are, for a log-in and what follows. The peers hear of each. */
const ROUTE_RATE = { burst: 480, perSecond: 32 };

/** A client's route: what it wants to talk to, and whether that one is there. */
export interface Route {
  readonly peer: KeyId;
  /** The peer, if it asked for this client too, and the id of its route to us. */
  other: ServedClient | undefined;
  otherId: number;
}

/** What all clients share. */
export interface SendPool {
  queued: number;
  /** From here on `MAX_QUEUED_WHEN_FULL` counts. */
  readonly limit: number;
  /** Those for whom something was sealed since the last flush. */
  readonly touched: Set<ServedClient>;
}

/** One connection to our relay: its keys, what waits for it, and its routes. */
export class ServedClient {
  readonly number: RelayClientNumber;
  readonly from: Endpoint;
  readonly source: string;
  readonly stream: Stream;
  /** The hello as far as it came; later nothing. */
  hello = NONE;
  /** From the hello on. */
  publicKey: PublicKey | undefined;
  id: KeyId = '' as KeyId;
  /** After its first frame: only then it has shown that it is no old hello. */
  confirmed = false;
  /** Index: id - 16. BOUNDED: 240. */
  routes: (Route | undefined)[] = [];
  readonly routeIds = new Map<KeyId, number>();
  pingId: Uint8Array | undefined;
  /** When it last sent anything but pings, or was sent data. */
  lastActive: Mono;
  readonly oob = new Budget(OOB_RATE);
  readonly onion = new Budget(ONION_RATE);
  readonly asked = new Budget(ROUTE_RATE);
  readonly traffic: Budget;
  readonly #pool: SendPool;
  #session: RelaySession | undefined;
  #opener: FrameOpener | undefined;
  #outbox: Outbox | undefined;
  /** What the pool knows of. */
  #counted = 0;
  #gone = false;

  constructor(
    now: Mono,
    number: RelayClientNumber,
    from: { endpoint: Endpoint; source: string; stream: Stream },
    traffic: Budget,
    pool: SendPool,
  ) {
    this.number = number;
    this.from = from.endpoint;
    this.source = from.source;
    this.stream = from.stream;
    this.lastActive = now;
    this.traffic = traffic;
    this.#pool = pool;
  }

  get gone(): boolean {
    return this.#gone;
  }

  get opener(): FrameOpener | undefined {
    return this.#opener;
  }

  start(env: Env, session: RelaySession, scratch: Uint8Array): void {
    this.#session = session;
    this.#opener = new FrameOpener(session.key, session.receiveNonce, scratch);
    this.#outbox = new Outbox(env, session);
  }

  /** An answer or a notification. False if too much waits. */
  sendControl(packet: RelayPacket): boolean {
    if (!this.#outbox?.pushControl(encodeRelayPacket(packet), MAX_QUEUED_CONTROL)) return false;
    return this.#touch();
  }

  /** What may get lost, and is if too much waits (false). */
  sendData(packet: Uint8Array): boolean {
    const limit = this.#pool.queued > this.#pool.limit ? MAX_QUEUED_WHEN_FULL : MAX_QUEUED;
    return this.#outbox?.pushData(packet, limit) === true && this.#touch();
  }

  /** Hands what may leave to the stream, which tells at once how much of it it could not write. */
  flush(now: Mono | undefined): void {
    const bytes = this.#outbox?.take(now);
    if (!bytes) return;
    this.stream.write(bytes);
    this.#count();
  }

  /** A ping among the frames was answered. */
  answered(now: Mono, pingId: Uint8Array): void {
    if (!this.#outbox?.answered(now, pingId)) return;
    this.pingId = undefined; // it lives, even if on a slow line our own ping still waits behind much else
    this.#pool.touched.add(this);
  }

  /** So much of what it was handed waits in the stream. */
  written(queued: number): void {
    this.#outbox?.written(queued);
    this.#count();
  }

  /** Forgets keys and whatever waits. */
  discard(): void {
    if (this.#gone) return;
    this.#pool.touched.delete(this);
    this.#gone = true;
    if (this.#session) wipe(this.#session.key);
    this.#session = this.#opener = this.#outbox = undefined;
    this.hello = NONE;
    this.#count();
  }

  #touch(): true {
    this.#pool.touched.add(this);
    this.#count();
    return true;
  }

  #count(): void {
    const queued = this.#outbox?.queued ?? 0;
    this.#pool.queued += queued - this.#counted;
    this.#counted = queued;
  }
}

const NONE = new Uint8Array(0);
