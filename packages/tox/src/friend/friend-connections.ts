import type { Env, Mono } from '../core/env.ts';
import { type KeyId, keyId, type PublicKey, sameBytes } from '../crypto/keys.ts';
import {
  ALIVE,
  decodeFriendRequest,
  encodeFriendRequest,
  type FriendRequestBody,
  LIVE_FRIEND_REQUEST,
  SHARE_RELAYS,
} from '../packet/friend.ts';
import type { Endpoint } from '../wire/endpoint.ts';
import type { NodeInfo, PackedNode } from '../wire/packed-node.ts';
import { type FriendRelays, FriendRelayUse } from './friend-relays.ts';

/** What a friend connection needs of the DHT. */
export interface FriendDht {
  search(now: Mono, publicKey: PublicKey): void;
  stopSearch(now: Mono, publicKey: PublicKey): void;
  endpointOf(now: Mono, publicKey: PublicKey): Endpoint | undefined;
  probe(now: Mono, node: NodeInfo, target: PublicKey): void;
}

/** What it needs of the onion. */
export interface FriendOnion {
  addFriend(now: Mono, friend: PublicKey): void;
  removeFriend(friend: PublicKey): void;
  setFriendOnline(now: Mono, friend: PublicKey, online: boolean): void;
  setFriendMissed(now: Mono, friend: PublicKey, missed: boolean): void;
  setFriendDhtKey(friend: PublicKey, dhtKey: PublicKey | undefined): void;
  setFriendRequest(now: Mono, friend: PublicKey, request: FriendRequestBody | undefined): void;
}

/** What it needs of the sessions. */
export interface FriendSessions {
  connect(now: Mono, realKey: PublicKey, dhtKey: PublicKey, endpoint?: Endpoint): void;
  setEndpoint(now: Mono, realKey: PublicKey, endpoint: Endpoint): void;
  /** The ways through relays to this node may be other ones. */
  relaysChanged(now: Mono, dhtKey: PublicKey): void;
  /** Whether there is a session, or an attempt of either side. */
  active(realKey: PublicKey): boolean;
  /** The direct address of a session or attempt, if it has one. */
  endpoint(realKey: PublicKey): Endpoint | undefined;
  /** Where the packets of a session go. */
  path(realKey: PublicKey): 'direct' | 'relay' | undefined;
  /** When something valid last came over the session. */
  heardAt(realKey: PublicKey): Mono | undefined;
  close(now: Mono, realKey: PublicKey): void;
  /** Copies `data`. */
  sendLossless(now: Mono, realKey: PublicKey, data: Uint8Array): number | undefined;
  /** Asking while it is 0 is what makes `onWritable` follow. */
  room(realKey: PublicKey): number;
  sendLossy(now: Mono, realKey: PublicKey, data: Uint8Array): boolean;
}

/** What a friend connection tells upward, synchronously. `friend` is always the same array for one friend. */
export interface FriendConnectionHooks {
  onConnected(now: Mono, friend: PublicKey): void;
  onDisconnected(now: Mono, friend: PublicKey): void;
  /** Ids 16..191 except those of the friend connection itself. A view, valid during the call. */
  onLossless(now: Mono, friend: PublicKey, data: Uint8Array): void;
  onLossy(now: Mono, friend: PublicKey, data: Uint8Array): void;
  onAcknowledged(now: Mono, friend: PublicKey, upTo: number): void;
  onWritable(now: Mono, friend: PublicKey): void;
  /** The connection goes on over another path. */
  onRerouted(now: Mono, friend: PublicKey): void;
  /** A request that came over the connection itself; views. */
  onFriendRequest(now: Mono, from: PublicKey, nospam: Uint8Array, message: Uint8Array): void;
}

// Times of the spec, ms.
const ALIVE_INTERVAL = 8_000;
/** Without a packet of id 16; data alone does not count. */
const ALIVE_TIMEOUT = 32_000;
/** How long a DHT key, and an address, is good for attempts after it was last heard. */
const DHT_KEY_TIMEOUT = 122_000;

// Times of ours, ms.
/**
 * A connected friend who is silent for so long is missed: his program may have crashed and run again
 * elsewhere, so the search for him begins while the connection is kept. Peers send at least once a
 * second, so three packets in a row are lost or not sent.
 */
const MISSED_AFTER = 3_200;
/** Between attempts, and before the next try of an alive packet for which there was no room. */
const RETRY_DELAY = 1_000;
/** A connection that lasted this long is tried again at once when it breaks; a shorter one only after RETRY_DELAY. */
const STEADY_AFTER = 5_000;
/**
 * An attempt that ended in nothing after so long is started anew: longer than its 8 cookie requests
 * and 8 handshakes, one a second. It may hang if another session took over its address.
 */
const ATTEMPT_TIMEOUT = 20_000;
/** So long a friend is sought where he was last met when he may be back there: one attempt, of eight packets. */
const RECALL_TIME = 8_000;

interface Friend {
  readonly key: PublicKey;
  dhtKey: PublicKey | undefined;
  /** When the DHT key was last heard, or was last in use by a connection. */
  dhtKeyAt: Mono;
  /** The last address found for the DHT key. */
  endpoint: Endpoint | undefined;
  /** Where it was last connected, in this run or an earlier one: at its address, or at that of a relay. */
  met: PackedNode | undefined;
  readonly relays: FriendRelayUse;
  /** A session attempt is running. */
  attempting: boolean;
  connectedAt: Mono | undefined;
  /** Connected: when our next alive packet is due, and when the friend counts as dead. */
  aliveAt: Mono;
  deadAt: Mono;
  /** Connected: when to look whether the friend was heard of lately, and whether he was not. */
  checkAt: Mono;
  missed: boolean;
  /** Not connected: when to try again, also if an attempt still runs. */
  retryAt: Mono | undefined;
  request: FriendRequestBody | undefined;
}

/**
 * Keeps one session with every friend (spec: Friend connection): finds their DHT key and address,
 * connects, notices loss and connects again. Owns no packets but 16, 17 and 18.
 * BOUNDED by the friends that the owner adds; peers add nothing.
 */
export class FriendConnections {
  readonly #env: Env;
  readonly #dht: FriendDht;
  readonly #onion: FriendOnion;
  readonly #sessions: FriendSessions;
  readonly #relays: FriendRelays;
  readonly #hooks: FriendConnectionHooks;
  readonly #friends = new Map<KeyId, Friend>();
  /**
   * Who uses a searched DHT key: a hostile friend may name the DHT key of another one.
   * BOUNDED: one entry per friend at most.
   */
  readonly #searched = new Map<KeyId, Set<Friend>>();
  /** The earliest deadline of all friends; recomputed when stale. */
  #wakeAt: Mono | undefined;
  #wakeStale = false;

  constructor(
    env: Env,
    deps: { dht: FriendDht; onion: FriendOnion; sessions: FriendSessions; relays: FriendRelays },
    hooks: FriendConnectionHooks,
  ) {
    this.#env = env;
    this.#dht = deps.dht;
    this.#onion = deps.onion;
    this.#sessions = deps.sessions;
    this.#relays = deps.relays;
    this.#hooks = hooks;
  }

  /** Starts to look for the friend; `request` travels with the search until cleared. No effect if known. */
  add(now: Mono, key: PublicKey, request?: FriendRequestBody): void {
    const id = keyId(key);
    if (this.#friends.has(id)) return;
    this.#friends.set(id, {
      key,
      dhtKey: undefined,
      dhtKeyAt: now,
      endpoint: undefined,
      met: undefined,
      relays: new FriendRelayUse(this.#relays),
      attempting: false,
      connectedAt: undefined,
      aliveAt: now,
      deadAt: now,
      checkAt: now,
      missed: false,
      retryAt: undefined,
      request: undefined,
    });
    this.#onion.addFriend(now, key);
    if (request) this.setRequest(now, key, request);
  }

  /** Ends the connection, with a kill, and every search. Tells nothing upward. */
  remove(now: Mono, key: PublicKey): void {
    const friend = this.#friends.get(keyId(key));
    if (!friend) return;
    this.#friends.delete(keyId(key));
    this.#wakeStale = true;
    this.#dropDhtKey(now, friend);
    this.#onion.removeFriend(key);
    this.#sessions.close(now, key);
  }

  /** The friend request to send, over the onion or a connection; undefined when it was answered. */
  setRequest(now: Mono, key: PublicKey, request: FriendRequestBody | undefined): void {
    const friend = this.#friends.get(keyId(key));
    if (!friend) return;
    friend.request = request;
    this.#onion.setFriendRequest(now, key, request);
    if (request && friend.connectedAt !== undefined) {
      this.#sessions.sendLossless(now, key, encodeFriendRequest(LIVE_FRIEND_REQUEST, request));
    }
  }

  /**
   * Where a friend was met in an earlier run. It is tried at once, beside the search: its program may
   * still run there, and then it need not be found anew. Met through a relay, it is sought at ours.
   */
  remember(now: Mono, key: PublicKey, node: PackedNode): void {
    const friend = this.#friends.get(keyId(key));
    if (!friend || friend.dhtKey) return;
    friend.met = node;
    this.#tryWhereMet(now, friend, node);
  }

  /** What kept us apart from friends may be over: those whom we lost are tried where they were last met. */
  recall(now: Mono): void {
    for (const friend of this.#friends.values()) {
      if (friend.dhtKey || !friend.met) continue;
      this.#tryWhereMet(now, friend, friend.met);
      friend.dhtKeyAt = now + RECALL_TIME - DHT_KEY_TIMEOUT;
    }
  }

  /** The DHT key that the friend's node has now is known from elsewhere. */
  meet(now: Mono, key: PublicKey, dhtKey: PublicKey): void {
    const friend = this.#friends.get(keyId(key));
    if (friend) this.#learnDhtKey(now, friend, dhtKey, false);
  }

  /** Where friends were last met: what `remember` takes in the next run. */
  lastMet(): { friend: PublicKey; node: PackedNode }[] {
    const found: { friend: PublicKey; node: PackedNode }[] = [];
    for (const { key, met } of this.#friends.values()) if (met) found.push({ friend: key, node: met });
    return found;
  }

  /** How a connected friend is reached. */
  path(key: PublicKey): 'direct' | 'relay' | undefined {
    return this.connected(key) ? this.#sessions.path(key) : undefined;
  }

  connected(key: PublicKey): boolean {
    return this.#friends.get(keyId(key))?.connectedAt !== undefined;
  }

  /**
   * Copies `data`, 1..1373 bytes. The packet's number, or undefined if there is no connection or no
   * room (then `onWritable` follows).
   */
  sendLossless(now: Mono, key: PublicKey, data: Uint8Array): number | undefined {
    if (!this.connected(key)) return undefined;
    const number = this.#sessions.sendLossless(now, key, data);
    if (number === undefined) this.#sessions.room(key);
    return number;
  }

  sendLossy(now: Mono, key: PublicKey, data: Uint8Array): boolean {
    return this.connected(key) && this.#sessions.sendLossy(now, key, data);
  }

  // From the onion and the DHT.

  /** A friend told its DHT key, and nodes near it, through the onion or a DHT request. */
  onFriendDhtKey(now: Mono, key: PublicKey, dhtKey: PublicKey, nodes: readonly PackedNode[]): void {
    const friend = this.#friends.get(keyId(key));
    if (!friend) return;
    this.#learnDhtKey(now, friend, dhtKey, true);
    friend.relays.named(now, nodes, friend.endpoint);
    if (friend.connectedAt !== undefined) return;
    for (const node of nodes) {
      if (node.transport === 'udp') this.#dht.probe(now, node, dhtKey);
    }
    this.#tryConnect(now, friend);
  }

  /** A searched key answered from there. */
  onFound(now: Mono, dhtKey: PublicKey, endpoint: Endpoint): void {
    for (const friend of this.#searched.get(keyId(dhtKey)) ?? []) {
      const moved = friend.endpoint !== endpoint;
      friend.endpoint = endpoint;
      if (friend.connectedAt !== undefined || (friend.attempting && moved)) {
        this.#sessions.setEndpoint(now, friend.key, endpoint); // heeded only if the present path is silent
      } else if (!friend.attempting && friend.retryAt === undefined) {
        this.#tryConnect(now, friend);
      }
    }
  }

  // From the relays.

  /** The way through relays to whoever has this DHT key may be another one. */
  onRelayWay(now: Mono, dhtKey: PublicKey): void {
    this.#sessions.relaysChanged(now, dhtKey);
    for (const friend of this.#searched.get(keyId(dhtKey)) ?? []) {
      if (!friend.attempting && friend.retryAt === undefined) this.#tryConnect(now, friend);
    }
  }

  /** The relays that we may tell friends of have changed. */
  onRelays(now: Mono): void {
    for (const friend of this.#friends.values()) friend.relays.changed(now);
    this.#wakeStale = true;
  }

  // From the sessions.

  isFriend(key: PublicKey): boolean {
    return this.#friends.has(keyId(key));
  }

  /** Learnt from a cookie inside a valid handshake: the session changes over by itself. */
  onSessionDhtKey(now: Mono, key: PublicKey, dhtKey: PublicKey): void {
    const friend = this.#friends.get(keyId(key));
    if (friend) this.#learnDhtKey(now, friend, dhtKey, false);
  }

  onEstablished(now: Mono, key: PublicKey): void {
    const friend = this.#friends.get(keyId(key));
    if (!friend) return;
    if (friend.connectedAt !== undefined) this.#disconnected(now, friend);
    friend.attempting = false;
    friend.retryAt = undefined;
    friend.connectedAt = now;
    friend.endpoint = this.#sessions.endpoint(key) ?? friend.endpoint;
    friend.relays.use(now, this.#sessions.path(key));
    this.#noteMet(friend);
    friend.deadAt = now + ALIVE_TIMEOUT;
    friend.checkAt = now + MISSED_AFTER;
    friend.missed = false;
    this.#sendAlive(now, friend);
    this.#env.log('friend.connected');
    this.#onion.setFriendOnline(now, friend.key, true);
    this.#hooks.onConnected(now, friend.key);
    if (friend.request && friend.connectedAt !== undefined) {
      this.#sessions.sendLossless(now, friend.key, encodeFriendRequest(LIVE_FRIEND_REQUEST, friend.request));
    }
  }

  /**
   * Killed by the friend, an attempt that nobody answered, or replaced by a new session that the
   * friend opens: then that one is under way.
   */
  onClosed(now: Mono, key: PublicKey): void {
    const friend = this.#friends.get(keyId(key));
    if (!friend) return;
    friend.attempting = this.#sessions.active(key);
    if (friend.connectedAt === undefined) this.#retry(now, friend, RETRY_DELAY);
    else this.#lost(now, friend);
  }

  onLossless(now: Mono, key: PublicKey, data: Uint8Array): void {
    const friend = this.#friends.get(keyId(key));
    if (friend?.connectedAt === undefined) return;
    switch (data[0]) {
      case ALIVE:
        friend.deadAt = now + ALIVE_TIMEOUT;
        this.#wakeStale = true;
        return;
      case SHARE_RELAYS:
        friend.relays.receive(now, data, this.#sessions.endpoint(key));
        this.#wakeStale = true;
        return;
      case LIVE_FRIEND_REQUEST: {
        const request = decodeFriendRequest(LIVE_FRIEND_REQUEST, data);
        if (request) this.#hooks.onFriendRequest(now, friend.key, request.nospam, request.message);
        return;
      }
      default:
        this.#hooks.onLossless(now, friend.key, data);
    }
  }

  onLossy(now: Mono, key: PublicKey, data: Uint8Array): void {
    const friend = this.#friends.get(keyId(key));
    if (friend?.connectedAt !== undefined) this.#hooks.onLossy(now, friend.key, data);
  }

  onAcknowledged(now: Mono, key: PublicKey, upTo: number): void {
    const friend = this.#friends.get(keyId(key));
    if (friend?.connectedAt !== undefined) this.#hooks.onAcknowledged(now, friend.key, upTo);
  }

  onWritable(now: Mono, key: PublicKey): void {
    const friend = this.#friends.get(keyId(key));
    if (friend?.connectedAt === undefined) return;
    if (friend.aliveAt <= now) this.#sendAlive(now, friend);
    this.#hooks.onWritable(now, friend.key);
  }

  onRerouted(now: Mono, key: PublicKey): void {
    const friend = this.#friends.get(keyId(key));
    if (friend?.connectedAt === undefined) return;
    this.#wakeStale = true;
    const path = this.#sessions.path(key);
    this.#env.log('friend.rerouted', { path: path ?? 'none' });
    friend.relays.use(now, path);
    this.#noteMet(friend);
    this.#hooks.onRerouted(now, friend.key);
  }

  // Time.

  nextWake(): Mono | undefined {
    if (this.#wakeStale) {
      this.#wakeStale = false;
      let earliest = Number.POSITIVE_INFINITY;
      for (const friend of this.#friends.values()) earliest = Math.min(earliest, deadline(friend));
      this.#wakeAt = earliest === Number.POSITIVE_INFINITY ? undefined : earliest;
    }
    return this.#wakeAt;
  }

  wake(now: Mono): void {
    const at = this.nextWake();
    if (at === undefined || at > now) return;
    this.#wakeStale = true;
    for (const friend of [...this.#friends.values()]) {
      if (deadline(friend) > now) continue;
      if (friend.connectedAt !== undefined) this.#wakeConnected(now, friend);
      else this.#wakeSearching(now, friend);
    }
  }

  #wakeConnected(now: Mono, friend: Friend): void {
    if (friend.deadAt <= now) {
      this.#env.log('friend.timeout');
      this.#sessions.close(now, friend.key);
      this.#lost(now, friend);
      return;
    }
    if (friend.checkAt <= now) this.#check(now, friend);
    if (friend.aliveAt <= now) this.#sendAlive(now, friend);
    const relays = friend.relays.wakeAt <= now ? friend.relays.wake(now) : undefined;
    if (relays) this.#sessions.sendLossless(now, friend.key, relays);
  }

  #check(now: Mono, friend: Friend): void {
    const missedAt = (this.#sessions.heardAt(friend.key) ?? now) + MISSED_AFTER;
    const missed = missedAt <= now;
    friend.checkAt = missed ? now + RETRY_DELAY : missedAt;
    // Where he was found meanwhile is heeded once the present path was silent for long enough.
    if (missed && friend.endpoint && friend.endpoint !== this.#sessions.endpoint(friend.key))
      this.#sessions.setEndpoint(now, friend.key, friend.endpoint);
    if (friend.missed === missed) return;
    friend.missed = missed;
    if (missed) friend.relays.need(now);
    else friend.relays.use(now, this.#sessions.path(friend.key));
    this.#onion.setFriendMissed(now, friend.key, missed);
  }

  #wakeSearching(now: Mono, friend: Friend): void {
    if (friend.attempting) this.#sessions.close(now, friend.key);
    friend.attempting = false;
    if (friend.dhtKeyAt + DHT_KEY_TIMEOUT <= now) {
      friend.retryAt = undefined;
      this.#dropDhtKey(now, friend);
      this.#onion.setFriendDhtKey(friend.key, undefined);
    } else {
      this.#tryConnect(now, friend);
    }
  }

  #sendAlive(now: Mono, friend: Friend): void {
    const sent = this.#sessions.sendLossless(now, friend.key, Uint8Array.of(ALIVE));
    friend.aliveAt = now + (sent === undefined ? RETRY_DELAY : ALIVE_INTERVAL);
    this.#wakeStale = true;
  }

  /**
   * The one routine behind the three ways in which a DHT key becomes known: onion, DHT request,
   * handshake. A key that changed means that the friend's program was started anew.
   */
  #learnDhtKey(now: Mono, friend: Friend, dhtKey: PublicKey, closeOld: boolean): void {
    friend.dhtKeyAt = now;
    this.#wakeStale = true;
    if (friend.dhtKey && sameBytes(friend.dhtKey, dhtKey)) return;
    this.#dropDhtKey(now, friend);
    friend.dhtKey = dhtKey.slice() as PublicKey;
    const id = keyId(dhtKey);
    const users = this.#searched.get(id);
    if (users) users.add(friend);
    else this.#searched.set(id, new Set([friend]));
    this.#onion.setFriendDhtKey(friend.key, friend.dhtKey);
    this.#dht.search(now, friend.dhtKey);
    friend.relays.setDhtKey(now, friend.dhtKey, false);
    this.#sessions.relaysChanged(now, friend.dhtKey);
    if (!closeOld || (friend.connectedAt === undefined && !friend.attempting)) return;
    this.#sessions.close(now, friend.key);
    friend.attempting = false;
    if (friend.connectedAt !== undefined) this.#disconnected(now, friend);
    friend.retryAt = undefined;
  }

  #dropDhtKey(now: Mono, friend: Friend): void {
    if (!friend.dhtKey) return;
    const id = keyId(friend.dhtKey);
    const users = this.#searched.get(id);
    users?.delete(friend);
    friend.relays.setDhtKey(now, undefined, users !== undefined && users.size > 0);
    if (users?.size === 0) {
      this.#searched.delete(id);
      this.#dht.stopSearch(now, friend.dhtKey);
    }
    friend.dhtKey = undefined;
    friend.endpoint = undefined;
  }

  #tryWhereMet(now: Mono, friend: Friend, met: PackedNode): void {
    this.#learnDhtKey(now, friend, met.publicKey, false);
    if (met.transport === 'udp') friend.endpoint = met.endpoint;
    this.#tryConnect(now, friend);
  }

  /** Starts an attempt if an address is known, or a relay where the friend may be; else `onFound` or `onRelayWay` will. */
  #tryConnect(now: Mono, friend: Friend): void {
    if (!friend.dhtKey || friend.attempting || friend.connectedAt !== undefined) return;
    friend.retryAt = undefined;
    this.#wakeStale = true;
    const opened = this.#sessions.active(friend.key); // by the friend, who needs no help
    const endpoint = this.#dht.endpointOf(now, friend.dhtKey) ?? friend.endpoint;
    if (!opened && !endpoint && this.#relays.wayTo(keyId(friend.dhtKey)) === 'none') return;
    friend.attempting = true;
    friend.retryAt = now + ATTEMPT_TIMEOUT;
    if (opened) return;
    friend.endpoint = endpoint;
    this.#sessions.connect(now, friend.key, friend.dhtKey, endpoint);
  }

  /** A connection broke: the friend may still be where it was, so that is tried first. */
  #lost(now: Mono, friend: Friend): void {
    const steady = friend.connectedAt !== undefined && now - friend.connectedAt >= STEADY_AFTER;
    friend.dhtKeyAt = now;
    this.#disconnected(now, friend);
    if (this.#friends.has(keyId(friend.key))) this.#retry(now, friend, steady ? 0 : RETRY_DELAY);
  }

  #disconnected(now: Mono, friend: Friend): void {
    friend.connectedAt = undefined;
    friend.relays.disconnected(now);
    this.#wakeStale = true;
    this.#env.log('friend.disconnected');
    this.#onion.setFriendOnline(now, friend.key, false);
    this.#hooks.onDisconnected(now, friend.key);
  }

  #noteMet(friend: Friend): void {
    const { dhtKey } = friend;
    if (!dhtKey) return;
    const relayed = this.#sessions.path(friend.key) === 'relay';
    const endpoint = relayed ? this.#relays.meetingPlace(keyId(dhtKey)) : friend.endpoint;
    if (endpoint) friend.met = { publicKey: dhtKey, endpoint, transport: relayed ? 'tcp' : 'udp' };
  }

  #retry(now: Mono, friend: Friend, delay: number): void {
    if (friend.dhtKey) friend.retryAt = now + (friend.attempting ? ATTEMPT_TIMEOUT : delay);
    this.#wakeStale = true;
  }
}

function deadline(friend: Friend): Mono {
  if (friend.connectedAt !== undefined)
    return Math.min(friend.aliveAt, friend.deadAt, friend.checkAt, friend.relays.wakeAt);
  if (!friend.dhtKey) return Number.POSITIVE_INFINITY;
  // Not while an attempt runs: a connection would go without the key, and so without the relays.
  const forgotten = friend.attempting ? Number.POSITIVE_INFINITY : friend.dhtKeyAt + DHT_KEY_TIMEOUT;
  return Math.min(forgotten, friend.retryAt ?? Number.POSITIVE_INFINITY);
}
