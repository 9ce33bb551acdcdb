import { earlier } from '../core/deadline.ts';
import { DeadlineQueue } from '../core/deadline-queue.ts';
import type { Env, Mono } from '../core/env.ts';
import { Budget, SourceLimiter } from '../core/source-limiter.ts';
import type { Stream, StreamHandler } from '../core/streams.ts';
import { type KeyPair, keyId, type Nonce, type PublicKey } from '../crypto/keys.ts';
import { sharedKey } from '../crypto/sodium.ts';
import { encodeRelayPacket, RELAY_ONION_RESPONSE, RELAY_PING, type RelayClientNumber } from '../packet/relay.ts';
import { type Endpoint, isLan, sourceOf } from '../wire/endpoint.ts';
import { packetScratch } from './frame.ts';
import { answerHello, CLIENT_HELLO_SIZE, helloSender } from './handshake.ts';
import { newPingId } from './outbox.ts';
import { type SendPool, ServedClient } from './served-client.ts';
import { Switchboard, type SwitchboardCounts } from './switchboard.ts';

// spec: TCP server. Milliseconds.
const PING_INTERVAL = 30_000;
const PING_TIMEOUT = 10_000;
/** For hello and first frame; c-toxcore has no such limit, only that of places. */
const LOGIN_TIMEOUT = 10_000;

// Ours.
/** Connections that have not logged in; c-toxcore has 256 before and 256 after the hello. */
const MAX_HALF_OPEN = 512;
/** Of those, from one IPv4 address or IPv6 /64. LAN addresses are told apart by port, so not counted. */
const MAX_HALF_OPEN_EACH = 16;
const MAX_CLIENTS_EACH = 128;
/** With all places taken, a client that sent nothing but pings and was sent nothing for so long makes room; ms. */
const IDLE = 600_000;
/** Log-ins cost about 0.15 ms: for one source, and for all, as there are many addresses. */
const LOGINS_EACH = { burst: 64, perSecond: 2 };
const LOGINS_ALL = { burst: 2_048, perSecond: 400 };
const SOURCES = 4_096;
/** A smaller frame counts as so many bytes, as that is what it costs. */
const MIN_FRAME_COST = 700;
/** Clients that sent more than their rate are not read for so long; ms. */
const PAUSE = 50;
/** Seconds of its rate that a client may save up. */
const BURST_SECONDS = 2;

export interface RelayLimits {
  /** Clients logged in at once. Default 1024. */
  readonly maxClients?: number | undefined;
  /** Bytes per second that one client may send; a faster one has to wait. Default 32 MiB. */
  readonly clientRate?: number | undefined;
  /** The same for all clients together. Default 64 MiB, which keeps half a processor busy. */
  readonly totalRate?: number | undefined;
  /** Bytes that may wait for all clients together; beyond, 16 KiB for each. Default 64 MiB. */
  readonly maxQueued?: number | undefined;
}

const MEBIBYTE = 1_048_576;
const DEFAULT_LIMITS = {
  maxClients: 1_024,
  clientRate: 32 * MEBIBYTE,
  totalRate: 64 * MEBIBYTE,
  maxQueued: 64 * MEBIBYTE,
};

export interface RelayServerHooks {
  /** An onion request of which we are hop A; `body` is the plain text of its layer, a view. */
  onOnionRequest(now: Mono, client: RelayClientNumber, from: Endpoint, nonce: Nonce, body: Uint8Array): void;
}

/** Counts are since the start. */
export interface RelayStats extends Readonly<SwitchboardCounts> {
  readonly clients: number;
  readonly halfOpen: number;
  /** Bytes that wait for clients. */
  readonly queuedBytes: number;
  readonly receivedBytes: number;
  readonly accepted: number;
  /** No place or over a rate. */
  readonly refused: number;
  /** Broke the protocol or did not read. */
  readonly kicked: number;
  /** Did not log in in time, or did not answer a ping. */
  readonly timedOut: number;
}

/**
 * A TCP relay for others: lets clients that are known by their DHT key talk to each other, and takes
 * their onion packets. Owns no socket: `accept` is for `Streams.onAccept`. BOUNDED: so many
 * connections that have not logged in, of which the oldest makes room; so many clients, of which one
 * that has long been idle makes room, else the new one is refused; both also for each source; bytes
 * that wait for each client and for all.
 */
export class RelayServer {
  readonly #env: Env;
  readonly #dhtKeys: KeyPair;
  readonly #limits: Required<{ [K in keyof RelayLimits]: number }>;
  readonly #board: Switchboard;
  readonly #pool: SendPool;
  readonly #scratch = packetScratch();
  readonly #halfOpen = new DeadlineQueue<ServedClient>(LOGIN_TIMEOUT);
  readonly #pings = new DeadlineQueue<ServedClient>(PING_INTERVAL);
  readonly #pongs = new DeadlineQueue<ServedClient>(PING_TIMEOUT);
  readonly #paused = new Set<ServedClient>();
  #resumeAt: Mono | undefined;
  /** By number, for onion answers. BOUNDED as the clients. */
  readonly #numbers = new Map<RelayClientNumber, ServedClient>();
  /** Connections of each source; bounded as these. */
  readonly #halfOpenOf = new Map<string, number>();
  readonly #clientsOf = new Map<string, number>();
  readonly #logins = new SourceLimiter(LOGINS_EACH, LOGINS_ALL, SOURCES);
  readonly #traffic: Budget;
  readonly #counts = { receivedBytes: 0, accepted: 0, refused: 0, kicked: 0, timedOut: 0 };
  #next = 0;

  constructor(env: Env, dhtKeys: KeyPair, hooks: RelayServerHooks, limits: RelayLimits = {}) {
    this.#env = env;
    this.#dhtKeys = dhtKeys;
    this.#limits = {
      maxClients: limits.maxClients ?? DEFAULT_LIMITS.maxClients,
      clientRate: limits.clientRate ?? DEFAULT_LIMITS.clientRate,
      totalRate: limits.totalRate ?? DEFAULT_LIMITS.totalRate,
      maxQueued: limits.maxQueued ?? DEFAULT_LIMITS.maxQueued,
    };
    this.#pool = { queued: 0, limit: this.#limits.maxQueued, touched: new Set() };
    this.#traffic = rateBudget(this.#limits.totalRate);
    this.#board = new Switchboard((now, client, nonce, body) =>
      hooks.onOnionRequest(now, client.number, client.from, nonce, body),
    );
  }

  get stats(): RelayStats {
    return {
      ...this.#counts,
      ...this.#board.counts,
      clients: this.#board.size,
      halfOpen: this.#halfOpen.size,
      queuedBytes: this.#pool.queued,
    };
  }

  /** A peer connected; undefined refuses. */
  accept(now: Mono, from: Endpoint, stream: Stream): StreamHandler | undefined {
    const source = sourceOf(from);
    if (!isLan(from) && count(this.#halfOpenOf, source) >= MAX_HALF_OPEN_EACH) {
      this.#counts.refused++;
      return undefined;
    }
    if (this.#halfOpen.size >= MAX_HALF_OPEN) this.#kick(this.#halfOpen.first()!, 'refused');
    const number = this.#next++ as RelayClientNumber;
    const client = new ServedClient(
      now,
      number,
      { endpoint: from, source, stream },
      rateBudget(this.#limits.clientRate),
      this.#pool,
    );
    this.#counts.accepted++;
    this.#halfOpen.set(now, client);
    change(this.#halfOpenOf, source, 1);
    return {
      received: (at, bytes) => this.#received(at, client, bytes),
      written: (_at, queued) => client.written(queued),
      closed: (at) => {
        this.#remove(client);
        this.#flush(at);
      },
    };
  }

  /** The answer to an onion request, for whoever sent it, if he is still there. */
  sendOnionResponse(client: RelayClientNumber, data: Uint8Array): void {
    this.#numbers.get(client)?.sendData(encodeRelayPacket({ kind: RELAY_ONION_RESPONSE, data }));
    this.#flush();
  }

  wake(now: Mono): void {
    for (let client = this.#halfOpen.take(now); client; client = this.#halfOpen.take(now)) {
      change(this.#halfOpenOf, client.source, -1);
      this.#kick(client, 'timedOut');
    }
    for (let client = this.#pongs.take(now); client; client = this.#pongs.take(now)) {
      if (client.pingId) this.#kick(client, 'timedOut');
    }
    for (let client = this.#pings.take(now); client; client = this.#pings.take(now)) this.#ping(now, client);
    if (this.#resumeAt !== undefined && now >= this.#resumeAt) this.#resume(now);
    this.#flush(now);
  }

  nextWake(): Mono | undefined {
    return [this.#halfOpen.next(), this.#pings.next(), this.#pongs.next()].reduce(earlier, this.#resumeAt);
  }

  /** Ends all connections. */
  close(): void {
    for (const client of [...this.#board.clients()]) this.#end(client);
    for (let client = this.#halfOpen.first(); client; client = this.#halfOpen.first()) this.#end(client);
  }

  #received(now: Mono, client: ServedClient, bytes: Uint8Array): void {
    this.#counts.receivedBytes += bytes.length;
    const rest = client.opener ? bytes : this.#receiveHello(now, client, bytes);
    let frames = 0;
    const onPacket = (packet: Uint8Array) => {
      frames++;
      return this.#receivePacket(now, client, packet);
    };
    if (rest && client.opener && !client.opener.push(rest, onPacket)) this.#kick(client, 'kicked');
    this.#charge(now, client, Math.max(bytes.length, frames * MIN_FRAME_COST));
    this.#flush(now);
  }

  /** What is left of the bytes once the hello was answered. */
  #receiveHello(now: Mono, client: ServedClient, bytes: Uint8Array): Uint8Array | undefined {
    const taken = Math.min(CLIENT_HELLO_SIZE - client.hello.length, bytes.length);
    client.hello = Uint8Array.of(...client.hello, ...bytes.subarray(0, taken));
    if (client.hello.length < CLIENT_HELLO_SIZE) return undefined;
    const publicKey = helloSender(client.hello).slice() as PublicKey;
    if (!this.#logins.allow(now, client.source)) {
      this.#kick(client, 'refused');
      return undefined;
    }
    const shared = sharedKey(publicKey, this.#dhtKeys.secretKey);
    const answered = shared && answerHello(this.#env, shared, client.hello);
    if (!answered) {
      this.#kick(client, 'kicked');
      return undefined;
    }
    client.publicKey = publicKey;
    client.id = keyId(publicKey);
    client.hello = new Uint8Array(0);
    client.start(this.#env, answered.session, this.#scratch);
    client.stream.write(answered.answer);
    return bytes.subarray(taken);
  }

  #receivePacket(now: Mono, client: ServedClient, packet: Uint8Array): boolean {
    if (!client.confirmed && !this.#login(now, client)) return false;
    return !client.gone && this.#board.handle(now, client, packet);
  }

  #login(now: Mono, client: ServedClient): boolean {
    const before = this.#board.get(client.id);
    if (before) this.#end(before); // a second log-in with a key ends the first
    if (!this.#hasPlace(now, client)) {
      this.#kick(client, 'refused');
      return false;
    }
    this.#halfOpen.delete(client);
    change(this.#halfOpenOf, client.source, -1);
    change(this.#clientsOf, client.source, 1);
    client.confirmed = true;
    this.#numbers.set(client.number, client);
    this.#board.join(client);
    this.#pings.set(now, client);
    return true;
  }

  #hasPlace(now: Mono, client: ServedClient): boolean {
    if (!isLan(client.from) && count(this.#clientsOf, client.source) >= MAX_CLIENTS_EACH) return false;
    if (this.#board.size < this.#limits.maxClients) return true;
    let idlest: ServedClient | undefined;
    for (const each of this.#board.clients()) if (!idlest || each.lastActive < idlest.lastActive) idlest = each;
    if (!idlest || now - idlest.lastActive < IDLE) return false;
    this.#kick(idlest, 'timedOut');
    return true;
  }

  #ping(now: Mono, client: ServedClient): void {
    const pingId = newPingId(this.#env);
    client.pingId = pingId;
    this.#pings.set(now, client);
    this.#pongs.set(now, client);
    client.sendControl({ kind: RELAY_PING, pingId });
  }

  /** A client that sends more than its share, or than there is for all, is not read for a while. */
  #charge(now: Mono, client: ServedClient, cost: number): void {
    client.traffic.spend(now, cost);
    this.#traffic.spend(now, cost);
    if (client.gone || !(client.traffic.inDebt(now) || this.#traffic.inDebt(now))) return;
    if (this.#paused.has(client)) return;
    this.#paused.add(client);
    client.stream.pause();
    this.#resumeAt ??= now + PAUSE;
  }

  #resume(now: Mono): void {
    const full = this.#traffic.inDebt(now);
    for (const client of this.#paused) {
      if (full || client.traffic.inDebt(now)) continue;
      this.#paused.delete(client);
      client.stream.resume();
    }
    this.#resumeAt = this.#paused.size > 0 ? now + PAUSE : undefined;
  }

  #kick(client: ServedClient, why: 'refused' | 'kicked' | 'timedOut'): void {
    if (client.gone) return;
    this.#counts[why]++;
    this.#end(client);
  }

  #end(client: ServedClient): void {
    client.stream.close();
    this.#remove(client);
  }

  /** Forgets a connection that is over. */
  #remove(client: ServedClient): void {
    if (client.gone) return;
    if (client.confirmed) {
      this.#board.leave(client);
      change(this.#clientsOf, client.source, -1);
      this.#numbers.delete(client.number);
    } else if (this.#halfOpen.delete(client)) {
      change(this.#halfOpenOf, client.source, -1);
    }
    this.#pings.delete(client);
    this.#pongs.delete(client);
    this.#paused.delete(client);
    client.discard();
  }

  #flush(now?: Mono): void {
    for (const client of this.#pool.touched) client.flush(now);
    this.#pool.touched.clear();
  }
}

function rateBudget(perSecond: number): Budget {
  return new Budget({ perSecond, burst: perSecond * BURST_SECONDS });
}

function count(of: Map<string, number>, source: string): number {
  return of.get(source) ?? 0;
}

function change(of: Map<string, number>, source: string, by: number): void {
  const n = count(of, source) + by;
  if (n > 0) of.set(source, n);
  else of.delete(source);
}
