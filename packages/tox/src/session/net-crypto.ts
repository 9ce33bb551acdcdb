import type { Env, Mono } from '../core/env.ts';
import type { SendDatagram } from '../core/machine.ts';
import { Budget, SourceLimiter } from '../core/source-limiter.ts';
import {
  type KeyId,
  type KeyPair,
  keyId,
  type PublicKey,
  randomNonce,
  type SharedKey,
  sameBytes,
} from '../crypto/keys.ts';
import { SharedKeys } from '../crypto/shared-keys.ts';
import {
  COOKIE_REQUEST,
  COOKIE_RESPONSE,
  CRYPTO_DATA,
  CryptoDataOpener,
  cookieRequestSender,
  encodeCookieResponse,
  FIRST_LOSSLESS,
  FIRST_LOSSY,
  HANDSHAKE,
  type HandshakeContent,
  handshakeCookie,
  LAST_LOSSY,
  MAX_CRYPTO_DATA_SIZE,
  openCookieRequest,
  openHandshake,
} from '../packet/crypto.ts';
import { CUSTOM_LOSSLESS_FIRST, FILE_DATA } from '../packet/messenger.ts';
import type { Endpoint } from '../wire/endpoint.ts';
import {
  type Channel,
  isRelayed,
  relayChannel,
  relayChannelTo,
  relayedPeer,
  type SessionRelays,
  sourceOfChannel,
} from './channel.ts';
import { Connection, type ConnectionOwner } from './connection.ts';
import { type Cookie, CookieJar } from './cookie.ts';
import { StoreBudget } from './packet-window.ts';

export interface NetCryptoDeps {
  readonly realKeys: KeyPair;
  readonly dhtKeys: KeyPair;
  readonly dhtSharedKeys: SharedKeys;
  readonly send: SendDatagram;
  readonly relays: SessionRelays;
  /** The number of the first lossless packet: 0 on the wire, another value only in tests. */
  readonly firstNumber?: number;
}

/** Called synchronously, from within any method that is given `now`. */
export interface NetCryptoHooks {
  /** May this real key open a connection to us? */
  isFriend(realKey: PublicKey): boolean;
  /**
   * A valid handshake of this friend came from a node with this DHT key, other than the one on
   * file. The connection uses it already: `connect` with the same key changes nothing.
   */
  onDhtKey(now: Mono, realKey: PublicKey, dhtKey: PublicKey): void;
  onEstablished(now: Mono, realKey: PublicKey): void;
  /**
   * Killed by the peer, given up after 8 tries, or replaced because the peer started anew (then a
   * new connection is under way already). Not called for `close`.
   */
  onClosed(now: Mono, realKey: PublicKey): void;
  /** Id 16..191 and body, in order; the view is valid during the call only. */
  onLossless(now: Mono, realKey: PublicKey, data: Uint8Array): void;
  /** Id 192..254 and body, at most once each; the view is valid during the call only. */
  onLossy(now: Mono, realKey: PublicKey, data: Uint8Array): void;
  /** All lossless numbers before `upTo` (u32, wraps) arrived at the peer. */
  onAcknowledged(now: Mono, realKey: PublicKey, upTo: number): void;
  /** There is room again: `room` had fallen to 0, and a good part of it is free now. */
  onWritable(now: Mono, realKey: PublicKey): void;
  /** The session, which goes on, takes another way: see `path`. */
  onRerouted(now: Mono, realKey: PublicKey): void;
}

// Of the spec, ms.
/** UDP_DIRECT_TIMEOUT: a path on which nothing valid came for so long may give way to another one. */
const PATH_TIMEOUT = 8_000;

// Ours.
/**
 * A session may move to where its packets come from now after this much silence, ms: every peer
 * sends something each second.
 */
const MOVE_AFTER = 2_500;
/** Data packets from unknown addresses that are tried with the keys of silent sessions, 3 µs for each. */
const STRAYS_EACH = { burst: 8, perSecond: 2 };
const STRAYS_ALL = { burst: 64, perSecond: 32 };
/** BOUNDED: such sources that are told apart. */
const STRAY_SOURCES = 256;
/**
 * Cookie requests that are answered. c-toxcore limits all sources together (10 and 10/s), so that one
 * of them silences the others. An answer costs 10 µs: together at most 2 % of a core.
 */
const COOKIES_EACH = { burst: 10, perSecond: 10 };
const COOKIES_ALL = { burst: 2_000, perSecond: 2_000 };
/** BOUNDED: such sources that are told apart. */
const COOKIE_SOURCES = 1_024;
/** Key derivations (50 µs) for requests with unknown keys, all sources together: 2 % of a core. */
const NEW_KEYS = { burst: 200, perSecond: 400 };
/**
 * Handshakes of friends that count, each another one: a key derivation (50 µs) and perhaps a new session. An honest
 * friend makes one for each attempt, in which several of his ways may have a part.
 */
const HANDSHAKES_EACH = { burst: 16, perSecond: 2 };
const HANDSHAKES_ALL = { burst: 1_024, perSecond: 512 };
/** BOUNDED: keys with friends, least recently used goes. */
const REAL_SHARED_KEYS = 512;
/** BOUNDED: bytes that all sessions together store out of order. */
const STORE_BUDGET = 96 * 1024 * 1024;

/**
 * All sessions of one identity (spec: net_crypto). BOUNDED: at most one connection per friend.
 * A session is bound to one endpoint, whose packets from elsewhere count only once that one is silent,
 * and to the way through relays to its peer's DHT key; a hostile friend may have named that of another one,
 * so those with the same key share it, and what comes is of the session that it opens.
 */
export class NetCrypto {
  readonly #deps: NetCryptoDeps;
  readonly #hooks: NetCryptoHooks;
  readonly #env: Env;
  readonly #cookies: CookieJar;
  readonly #cookieRequests = new SourceLimiter(COOKIES_EACH, COOKIES_ALL, COOKIE_SOURCES);
  readonly #newKeys = new Budget(NEW_KEYS);
  readonly #strays = new SourceLimiter(STRAYS_EACH, STRAYS_ALL, STRAY_SOURCES);
  readonly #handshakes = new SourceLimiter(HANDSHAKES_EACH, HANDSHAKES_ALL, REAL_SHARED_KEYS);
  readonly #realShared: SharedKeys;
  readonly #owner: ConnectionOwner;
  readonly #byKey = new Map<KeyId, Connection>();
  /** By direct address; and those that were heard last over relays, which several sessions may share. */
  readonly #byChannel = new Map<Channel, Connection>();

  constructor(env: Env, deps: NetCryptoDeps, hooks: NetCryptoHooks) {
    this.#env = env;
    this.#deps = deps;
    this.#hooks = hooks;
    this.#cookies = new CookieJar(env);
    this.#realShared = new SharedKeys(deps.realKeys.secretKey, REAL_SHARED_KEYS);
    this.#owner = this.#makeOwner();
  }

  /** A packet that relays brought from the node with this DHT key. True if it proved to be of its session. */
  handleRelayed(now: Mono, peer: KeyId, data: Uint8Array): boolean {
    const channel = relayChannel(peer);
    if (data[0] === CRYPTO_DATA) return this.#handleData(now, channel, data);
    this.handle(now, channel, data);
    return false;
  }

  /** True if the kind of packet is ours: 18, 19, 1a, 1b. */
  handle(now: Mono, from: Channel, data: Uint8Array): boolean {
    switch (data[0]) {
      case CRYPTO_DATA:
        this.#handleData(now, from, data);
        return true;
      case COOKIE_REQUEST:
        this.#answerCookieRequest(now, from, data);
        return true;
      case COOKIE_RESPONSE:
        this.#handleCookieResponse(now, from, data);
        return true;
      case HANDSHAKE:
        this.#handleHandshake(now, from, data);
        return true;
      default:
        return false;
    }
  }

  /**
   * Starts an attempt, or starts anew if the DHT key is another one than before (the old session is
   * then lost). Without any way to the peer it waits, without limit, for `setEndpoint` or `relaysChanged`.
   */
  connect(now: Mono, realKey: PublicKey, dhtKey: PublicKey, endpoint?: Endpoint): void {
    const old = this.#byKey.get(keyId(realKey));
    if (old && sameBytes(old.dhtKey, dhtKey)) {
      if (endpoint) this.setEndpoint(now, realKey, endpoint);
      return;
    }
    if (old) this.#drop(old);
    const connection = this.#add(now, realKey, dhtKey);
    if (endpoint) this.#setDirect(now, connection, endpoint, false);
    connection.requestCookie(now);
  }

  /**
   * A direct address was found; what waits for it is sent at once. No effect while the present one
   * was heard from within 8 s: it is proven, and this one is not.
   */
  setEndpoint(now: Mono, realKey: PublicKey, endpoint: Endpoint): void {
    const connection = this.#byKey.get(keyId(realKey));
    if (connection && silence(now, connection) >= PATH_TIMEOUT) this.#setDirect(now, connection, endpoint, false);
  }

  /** The way through relays to the node with this DHT key may be another one. */
  relaysChanged(now: Mono, dhtKey: PublicKey): void {
    const channel = relayChannelTo(dhtKey);
    for (const each of this.#byKey.values()) if (each.ways.relay === channel) each.setRelay(now, channel);
  }

  /** Ends session or attempt; an open session is killed at the peer too. */
  close(_now: Mono, realKey: PublicKey): void {
    const connection = this.#byKey.get(keyId(realKey));
    if (connection) this.#drop(connection);
  }

  closeAll(_now: Mono): void {
    for (const connection of [...this.#byKey.values()]) this.#drop(connection);
  }

  /**
   * Queues one packet (id 16..191 and body, up to 1373 bytes; copied) and returns its number.
   * Undefined if not established, or if there is no room: file data (82) and custom packets (160 and
   * up) heed `room`, all others only the 32768 numbers. Throws RangeError for a wrong id or length.
   */
  sendLossless(now: Mono, realKey: PublicKey, data: Uint8Array): number | undefined {
    const id = checkedId(data, FIRST_LOSSLESS, FIRST_LOSSY - 1);
    const bulk = id === FILE_DATA || id >= CUSTOM_LOSSLESS_FIRST; // as in c-toxcore; all others are few
    return this.#byKey.get(keyId(realKey))?.sendLossless(now, data, bulk);
  }

  /** Id 192..254 and body, up to 1373 bytes. False if not established. */
  sendLossy(_now: Mono, realKey: PublicKey, data: Uint8Array): boolean {
    checkedId(data, FIRST_LOSSY, LAST_LOSSY);
    return this.#byKey.get(keyId(realKey))?.sendLossy(data) ?? false;
  }

  /** Bulk packets that would be taken now. `onWritable` follows when it has fallen to 0. */
  room(realKey: PublicKey): number {
    return this.#byKey.get(keyId(realKey))?.room() ?? 0;
  }

  established(realKey: PublicKey): boolean {
    return this.#byKey.get(keyId(realKey))?.state === 'established';
  }

  /** Whether there is a session, or an attempt of either side that knows some way. */
  active(realKey: PublicKey): boolean {
    return this.path(realKey) !== undefined;
  }

  /** The direct address of the session or attempt, if one is known. */
  endpoint(realKey: PublicKey): Endpoint | undefined {
    return this.#byKey.get(keyId(realKey))?.ways.direct;
  }

  /** Where the session's packets go. Undefined while there is no way at all. */
  path(realKey: PublicKey): 'direct' | 'relay' | undefined {
    return this.#byKey.get(keyId(realKey))?.ways.path;
  }

  /** When something valid last came over the session. */
  heardAt(realKey: PublicKey): Mono | undefined {
    return this.#byKey.get(keyId(realKey))?.ways.heardAt;
  }

  wake(now: Mono): void {
    for (const connection of this.#byKey.values()) if (connection.wakeAt <= now) connection.wake(now);
  }

  nextWake(): Mono | undefined {
    let earliest = Number.POSITIVE_INFINITY;
    for (const connection of this.#byKey.values()) if (connection.wakeAt < earliest) earliest = connection.wakeAt;
    return earliest === Number.POSITIVE_INFINITY ? undefined : earliest;
  }

  /** Keeps no state: all that we need later is in the cookie. */
  #answerCookieRequest(now: Mono, from: Channel, data: Uint8Array): void {
    const dhtKey = cookieRequestSender(data);
    if (!dhtKey || sameBytes(dhtKey, this.#deps.dhtKeys.publicKey)) return;
    if (isRelayed(from) && from !== relayChannelTo(dhtKey)) return;
    const keys = this.#deps.dhtSharedKeys;
    if (!this.#cookieRequests.allow(now, sourceOfChannel(from))) return;
    const shared = keys.get(dhtKey, () => this.#newKeys.take(now));
    const request = shared && openCookieRequest(shared, data);
    if (!request) return;
    const cookie = this.#cookies.issue(now, request.realKey, dhtKey);
    this.#owner.send(from, encodeCookieResponse(shared, randomNonce(this.#env), cookie, request.echo));
  }

  #handleCookieResponse(now: Mono, from: Channel, data: Uint8Array): void {
    this.#byChannel.get(from)?.handleCookieResponse(now, from, data);
    if (!isRelayed(from)) return;
    for (const each of this.#byKey.values()) if (each.ways.relay === from) each.handleCookieResponse(now, from, data);
  }

  #handleHandshake(now: Mono, from: Channel, data: Uint8Array): void {
    const outer = handshakeCookie(data);
    const cookie = outer && this.#cookies.open(now, outer);
    if (!cookie || sameBytes(cookie.realKey, this.#deps.realKeys.publicKey)) return;
    if (isRelayed(from) && from !== relayChannelTo(cookie.dhtKey)) return;
    if (!this.#hooks.isFriend(cookie.realKey)) return;
    const shared = this.#realShared.get(cookie.realKey);
    const content = shared && openHandshake(shared, data);
    if (!content) return;
    const old = this.#byKey.get(keyId(cookie.realKey));
    if (old && (old.knowsHandshake(content) || cookie.issued < old.cookieIssued)) return; // a repeat or a replay
    if (old?.state === 'established' && cookie.issued === old.cookieIssued) return;
    if (!this.#handshakes.allow(now, keyId(cookie.realKey))) return;
    if (old && old.state !== 'established' && sameBytes(old.dhtKey, cookie.dhtKey)) {
      this.#answerAt(now, old, from);
      old.acceptHandshake(now, from, content, cookie.issued);
      return;
    }
    this.#acceptNew(now, from, cookie, content, old);
  }

  /** The peer opens a connection that is not the `old` one: it started anew, or we knew of none. */
  #acceptNew(now: Mono, from: Channel, cookie: Cookie, content: HandshakeContent, old: Connection | undefined): void {
    const wasEstablished = old?.state === 'established';
    if (old) this.#forget(old);
    const connection = this.#add(now, cookie.realKey, cookie.dhtKey);
    this.#answerAt(now, connection, from);
    connection.acceptHandshake(now, from, content, cookie.issued);
    if (!old || !sameBytes(old.dhtKey, cookie.dhtKey)) this.#hooks.onDhtKey(now, connection.realKey, cookie.dhtKey);
    old?.discard();
    if (wasEstablished) this.#hooks.onClosed(now, connection.realKey);
  }

  #handleData(now: Mono, from: Channel, data: Uint8Array): boolean {
    const user = this.#byChannel.get(from);
    if (user?.handleData(now, from, data)) return true;
    const other = this.#successor(from, data, user) ?? (user ? undefined : this.#moved(now, from, data));
    if (!other) return false;
    if (isRelayed(from)) this.#byChannel.set(from, other);
    else this.#setDirect(now, other, from, true);
    return other.handleData(now, from, data);
  }

  /**
   * A new session whose handshake came from a channel in use, or one that shares the way through relays:
   * its data packet proves that it is there.
   */
  #successor(from: Channel, data: Uint8Array, user: Connection | undefined): Connection | undefined {
    for (const connection of this.#byKey.values()) {
      const { ways, state } = connection;
      const here = ways.relay === from || (ways.direct === from && state === 'not-confirmed');
      if (here && connection !== user && connection.opens(data)) return connection;
    }
    return undefined;
  }

  /**
   * A NAT gave a friend another port, or a friend another network: its packets come from where we
   * do not know it. The silent session whose key opens this one goes on there. c-toxcore cannot do
   * that, and need not know.
   */
  #moved(now: Mono, from: Channel, data: Uint8Array): Connection | undefined {
    if (isRelayed(from) || !this.#strays.allow(now, sourceOfChannel(from))) return undefined;
    for (const connection of this.#byKey.values()) {
      if (connection.state !== 'established' || silence(now, connection) < MOVE_AFTER) continue;
      if (!connection.opens(data)) continue;
      this.#env.log('session.moved');
      return connection;
    }
    return undefined;
  }

  #add(now: Mono, realKey: PublicKey, dhtKey: PublicKey): Connection {
    const connection = new Connection(this.#owner, realKey, dhtKey, this.#deps.firstNumber);
    this.#byKey.set(keyId(realKey), connection);
    connection.setRelay(now, relayChannelTo(connection.dhtKey));
    return connection;
  }

  /** `proven`: a data packet came from there, so whoever used the address before is gone. */
  #setDirect(now: Mono, connection: Connection, endpoint: Endpoint, proven: boolean): void {
    const user = this.#byChannel.get(endpoint);
    if (user && user !== connection) {
      if (user.state === 'established' && !proven) return;
      user.setDirect(now, undefined);
    }
    this.#leave(connection, connection.ways.direct);
    this.#byChannel.set(endpoint, connection);
    connection.setDirect(now, endpoint);
  }

  /**
   * A handshake came from there. Its source may be forged, so an established session keeps the
   * channel until a data packet decides.
   */
  #answerAt(now: Mono, connection: Connection, channel: Channel): void {
    if (isRelayed(channel)) return; // where its DHT key is, it is
    const user = this.#byChannel.get(channel);
    if (user === undefined || user === connection || user.state !== 'established') {
      this.#setDirect(now, connection, channel, false);
      return;
    }
    this.#leave(connection, connection.ways.direct);
    connection.setDirect(now, channel);
  }

  #leave(connection: Connection, channel: Channel | undefined): void {
    if (channel !== undefined && this.#byChannel.get(channel) === connection) this.#byChannel.delete(channel);
  }

  #drop(connection: Connection): void {
    this.#forget(connection);
    connection.close();
  }

  #forget(connection: Connection): void {
    const id = keyId(connection.realKey);
    if (this.#byKey.get(id) === connection) this.#byKey.delete(id);
    this.#leave(connection, connection.ways.direct);
    this.#leave(connection, connection.ways.relay);
  }

  #makeOwner(): ConnectionOwner {
    const { realKeys, dhtKeys, dhtSharedKeys, send, relays } = this.#deps;
    const hooks = this.#hooks;
    return {
      env: this.#env,
      realKeys,
      dhtKeys,
      opener: new CryptoDataOpener(),
      scratch: new Uint8Array(MAX_CRYPTO_DATA_SIZE),
      budget: new StoreBudget(STORE_BUDGET),
      send: (channel, data) => {
        if (isRelayed(channel)) return relays.send(relayedPeer(channel), data);
        send(channel, data);
        return true;
      },
      relayWay: (channel) => relays.wayTo(relayedPeer(channel)),
      relayReady: (channel) => relays.ready(relayedPeer(channel)),
      relayDoubted: (channel) => relays.doubt(relayedPeer(channel)),
      issueCookie: (now, realKey, dhtKey) => this.#cookies.issue(now, realKey, dhtKey),
      realShared: (key): SharedKey | undefined => this.#realShared.get(key),
      dhtShared: (key): SharedKey | undefined => dhtSharedKeys.get(key),
      established: (now, c) => hooks.onEstablished(now, c.realKey),
      ended: (now, c) => {
        this.#forget(c);
        hooks.onClosed(now, c.realKey);
      },
      lossless: (now, c, data) => hooks.onLossless(now, c.realKey, data),
      lossy: (now, c, data) => hooks.onLossy(now, c.realKey, data),
      acknowledged: (now, c, upTo) => hooks.onAcknowledged(now, c.realKey, upTo),
      writable: (now, c) => hooks.onWritable(now, c.realKey),
      rerouted: (now, c) => hooks.onRerouted(now, c.realKey),
    };
  }
}

/** Time since something valid came straight from the peer, ms. */
function silence(now: Mono, connection: Connection): Mono {
  return now - (connection.ways.directHeardAt ?? Number.NEGATIVE_INFINITY);
}

function checkedId(data: Uint8Array, first: number, last: number): number {
  const id = data[0] ?? 0;
  if (id < first || id > last || data.length > MAX_CRYPTO_DATA_SIZE) {
    throw new RangeError(`a packet of ${data.length} bytes with id ${id}`);
  }
  return id;
}
