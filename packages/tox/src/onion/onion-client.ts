import { earlier } from '../core/deadline.ts';
import type { Env, Mono } from '../core/env.ts';
import type { SendDatagram } from '../core/machine.ts';
import { Budget, SourceLimiter } from '../core/source-limiter.ts';
import {
  generateKeyPair,
  type KeyId,
  type KeyPair,
  keyId,
  type Nonce,
  type PublicKey,
  randomNonce,
  sameBytes,
} from '../crypto/keys.ts';
import { SharedKeys } from '../crypto/shared-keys.ts';
import { open, seal, sharedKey } from '../crypto/sodium.ts';
import { REQUEST_DHT_KEY } from '../packet/dht-request.ts';
import {
  decodeFriendRequest,
  encodeFriendRequest,
  type FriendRequestBody,
  MAX_FRIEND_REQUEST_MESSAGE_SIZE,
  NOSPAM_SIZE,
  type Nospam,
} from '../packet/friend.ts';
import {
  ANNOUNCE_RESPONSE,
  COUNTED_ANNOUNCE_RESPONSE,
  DATA_RESPONSE,
  ONION_DATA_DHT_KEY,
  ONION_DATA_FRIEND_REQUEST,
  readAnnounceResponse,
  readDataResponse,
  readDhtKeyBody,
  readRoutedDhtKey,
  readSignedData,
  writeDataRequest,
  writeRoutedDhtKey,
  writeSignedData,
} from '../packet/onion.ts';
import { type Endpoint, isInternal, sourceOf } from '../wire/endpoint.ts';
import type { NodeInfo, PackedNode } from '../wire/packed-node.ts';
import { Announcer } from './announcer.ts';
import { DhtKeyNews } from './dht-key-news.ts';
import { FriendSearch } from './friend-search.ts';
import type { Lookup, LookupDeps } from './lookup.ts';
import type { NearNode } from './near-nodes.ts';
import { type FirstHopRelays, NodePool } from './node-pool.ts';
import { OnionPaths } from './paths.ts';
import { PendingRequests } from './pending-requests.ts';

// c-toxcore.
/** DHT_DHTPK_SEND_INTERVAL: our DHT key over the DHT to an offline friend; ms. */
const ROUTED_INTERVAL = 20_000;

// Ours.
/** The first repeats over the DHT: after 2, 4, 8, 16 s; ms. */
const FIRST_ROUTED_INTERVAL = 2_000;
/**
 * News of one friend that count: an honest one has some every second at most, as copies count once. A new DHT key
 * costs a search, a key pair and the session that there is.
 */
const HEARD_RATE = { burst: 16, perSecond: 1 };
/**
 * So many searches begin anew at once, the others one after another; ms. Each begins with some 12 packets of 400 bytes,
 * which for 200 friends is 1 MB: eight seconds of an uplink of 1 Mbit/s, that announces and mail would wait for.
 */
const HURRIED_AT_ONCE = 8;
const HURRY_SPACING = 40;
/** Between what a friend is told each time that he announces himself to us; ms. */
const TELL_HERE_INTERVAL = 500;
/** Keys shared by our real key with friends and with the nodes that we announce to. */
const MAX_REAL_SHARED_KEYS = 1024;
/** Derivations that data through one first hop may cost us: two per packet of a stranger. */
const KEYS_EACH = { burst: 128, perSecond: 40 };
/** And through all of them, as addresses can be forged: 4 % of a processor. Twelve paths need 480. */
const KEYS_ALL = { burst: 1_536, perSecond: 800 };
/** First hops that are told apart. */
const SOURCES = 1_024;

export interface OnionHooks {
  /** A friend says where he is; newer than anything he said before. */
  onFriendDhtKey(now: Mono, friend: PublicKey, dhtKey: PublicKey, nodes: PackedNode[]): void;
  /** From a stranger. Nospam and message are unchecked; the same request may come several times. */
  onFriendRequest(now: Mono, from: PublicKey, nospam: Uint8Array, message: Uint8Array): void;
}

/** The TCP relays, through which requests travel while no node is reached directly. */
export interface OnionRelays extends FirstHopRelays {
  sendOnion(relay: PublicKey, nonce: Nonce, body: Uint8Array): boolean;
}

export interface OnionClientDeps {
  readonly realKeys: KeyPair;
  readonly dhtKeys: KeyPair;
  readonly dhtSharedKeys: SharedKeys;
  readonly send: SendDatagram;
  readonly relays: OnionRelays;
  /** What DHT-key packets carry: our own node first, then good nodes near us; the first four count. */
  ownNodes(now: Mono): readonly PackedNode[];
  /** Hands an 0x85 to a friend who announced himself to this very node. */
  deliver(now: Mono, request: Uint8Array): void;
  /** Asks a node whether it still lives; `addNode` is told if it does. */
  probe(now: Mono, node: NodeInfo): void;
  /** A routed DHT request; how many copies went out. */
  sendDhtRequest(now: Mono, dhtKey: PublicKey, id: number, data: Uint8Array): number;
}

interface Friend {
  readonly publicKey: PublicKey;
  readonly search: FriendSearch;
  readonly news: DhtKeyNews;
  online: boolean;
  dhtKey: PublicKey | undefined;
  /** Our DHT key went over the DHT so often since his was learnt, and is due again. */
  routedTimes: number;
  routedDue: Mono;
  request: FriendRequestBody | undefined;
  /** When he was last told something as he announced himself to us. */
  toldHereAt: Mono;
  /** The newest `no_replay` of his; forgotten when he goes offline, in case his clock was wrong. */
  noReplay: bigint;
  /** What his last DHT-key packet said. */
  heardDhtKey: PublicKey | undefined;
  readonly heard: Budget;
}

/**
 * Our own use of the onion: announces our real key so that friends find us without knowing our
 * address, finds theirs, and tells them our DHT key or delivers a friend request. Acts as packets
 * arrive; steady intervals are those of c-toxcore.
 */
export class OnionClient {
  readonly #env: Env;
  readonly #deps: OnionClientDeps;
  readonly #hooks: OnionHooks;
  readonly #realShared: SharedKeys;
  /** Others encrypt for it what goes through our announces; new in every run. */
  readonly #dataKeys: KeyPair;
  readonly #pool: NodePool;
  readonly #requests: PendingRequests<Lookup>;
  readonly #lookupDeps: LookupDeps;
  readonly #searchPaths: OnionPaths;
  readonly #announcer: Announcer;
  readonly #friends = new Map<KeyId, Friend>();
  /** Friends who are searched. */
  #searched = 0;
  readonly #budget = new SourceLimiter(KEYS_EACH, KEYS_ALL, SOURCES);
  #clock: Mono = 0;
  /** The answer of `nextWake`, which is asked for after every datagram of any layer; null: to be found anew. */
  #next: Mono | undefined | null = null;

  constructor(env: Env, deps: OnionClientDeps, hooks: OnionHooks) {
    this.#env = env;
    this.#deps = deps;
    this.#hooks = hooks;
    this.#realShared = new SharedKeys(deps.realKeys.secretKey, MAX_REAL_SHARED_KEYS);
    this.#dataKeys = generateKeyPair(env);
    this.#pool = new NodePool(env, deps.probe, deps.relays);
    this.#requests = new PendingRequests(env);
    this.#lookupDeps = {
      env,
      pool: this.#pool,
      requests: this.#requests,
      sendOver: (path, to, payload) => {
        if (!path.relayed) {
          deps.send(path.firstHop, path.wrap(to, payload));
          return;
        }
        const { nonce, body } = path.wrapRelayed(to, payload);
        deps.relays.sendOnion(path.hops[0].publicKey, nonce, body);
      },
    };
    const { publicKey } = deps.dhtKeys;
    this.#searchPaths = new OnionPaths(env, this.#pool, publicKey, deps.dhtSharedKeys);
    const ownPaths = new OnionPaths(env, this.#pool, publicKey, deps.dhtSharedKeys);
    this.#announcer = new Announcer(this.#lookupDeps, deps.realKeys, this.#dataKeys.publicKey, ownPaths);
  }

  /** True if the kind is ours, whatever became of the packet. */
  handle(now: Mono, from: Endpoint, data: Uint8Array): boolean {
    if (data[0] !== ANNOUNCE_RESPONSE && data[0] !== COUNTED_ANNOUNCE_RESPONSE && data[0] !== DATA_RESPONSE)
      return false;
    this.handleFrom(now, { source: sourceOf(from), internal: isInternal(from) }, data);
    return true;
  }

  /** What a first hop, be it a relay, brought. `source`: whom to charge; `internal`: it is on our own network. */
  handleFrom(now: Mono, from: { readonly source: string; readonly internal: boolean }, data: Uint8Array): void {
    this.#touch(now);
    if (data[0] === DATA_RESPONSE) {
      this.#receiveData(now, from.source, data);
    } else if (data[0] === ANNOUNCE_RESPONSE || data[0] === COUNTED_ANNOUNCE_RESPONSE) {
      const response = readAnnounceResponse(data);
      const request = response && this.#requests.take(now, response.sendback);
      const counted = data[0] === COUNTED_ANNOUNCE_RESPONSE;
      if (request) request.owner.receive(now, from.internal, request, response, counted);
    }
  }

  /** A routed DHT request with id 0x9c: the bytes after the id. */
  handleDhtKeyPacket(now: Mono, senderDhtKey: PublicKey, data: Uint8Array): void {
    this.#touch(now);
    const packet = readRoutedDhtKey(data);
    const friend = packet && this.#friends.get(keyId(packet.sender));
    const key = friend && this.#realShared.get(friend.publicKey);
    const plain = key && open(key, packet.nonce, packet.box);
    if (plain) this.#receiveDhtKey(now, friend, plain, senderDhtKey);
  }

  /** A node answered us: it may serve as a hop and be asked. */
  addNode(now: Mono, node: NodeInfo): void {
    const before = this.#pool.size;
    this.#pool.addDirect(now, node);
    if (this.#pool.size !== before) this.#touch(now);
    this.#offer(now, node);
  }

  /** A node that may serve as a later hop and be asked; whether it lives is not known. */
  addDistantNode(now: Mono, node: NodeInfo): void {
    const before = this.#pool.size;
    this.#pool.addDistant(now, node);
    if (this.#pool.size !== before) this.#touch(now);
    this.#offer(now, node);
  }

  /** We are logged in at other relays than before: paths through those that we left are of no use. */
  relaysChanged(now: Mono): void {
    this.#touch(now);
  }

  /** Nodes for the next start, at most `max`. */
  pathNodes(now: Mono, max: number): NodeInfo[] {
    return this.#pool.candidates(now).slice(0, max);
  }

  #offer(now: Mono, node: NodeInfo): void {
    this.#clock = now;
    let asked = this.#announcer.offer(now, node);
    for (const friend of this.#friends.values()) if (!friend.online && friend.search.offer(now, node)) asked = true;
    // Mostly nothing comes of it, and then deadlines stay as they are, unless this is the first node of all.
    if (asked || this.#next === undefined) this.#touch(now);
  }

  /** Someone announced himself to this very node: a friend hears from us in the same moment. */
  announcedHere(now: Mono, publicKey: PublicKey, dataKey: PublicKey): void {
    const friend = this.#friends.get(keyId(publicKey));
    if (!friend || friend.online || now - friend.toldHereAt < TELL_HERE_INTERVAL) return;
    friend.toldHereAt = now;
    this.#sendRequest(now, friend, undefined, dataKey);
    this.#tell(now, friend, undefined, dataKey);
  }

  /** Starts to search; nothing if he is a friend already. */
  addFriend(now: Mono, publicKey: PublicKey): void {
    this.#touch(now);
    const id = keyId(publicKey);
    if (this.#friends.has(id)) return;
    const friend: Friend = {
      publicKey: publicKey.slice() as PublicKey,
      search: new FriendSearch(this.#lookupDeps, publicKey.slice() as PublicKey, this.#searchPaths, {
        searched: () => this.#searched,
        tell: (at, near, dataKey) => this.#tell(at, friend, near, dataKey),
        request: (at, near, dataKey) => this.#sendRequest(at, friend, near, dataKey),
      }),
      news: new DhtKeyNews(),
      online: false,
      dhtKey: undefined,
      routedTimes: 0,
      routedDue: now,
      request: undefined,
      toldHereAt: Number.NEGATIVE_INFINITY,
      noReplay: 0n,
      heardDhtKey: undefined,
      heard: new Budget(HEARD_RATE),
    };
    this.#friends.set(id, friend);
    this.#searched++;
    friend.search.hurry(now);
  }

  removeFriend(publicKey: PublicKey): void {
    this.#touch(this.#clock);
    const friend = this.#friends.get(keyId(publicKey));
    if (!friend) return;
    friend.search.lookup.active = false;
    if (!friend.online) this.#searched--;
    this.#friends.delete(keyId(publicKey));
  }

  /** Online friends are left alone. One who goes offline is searched as if new. */
  setFriendOnline(now: Mono, publicKey: PublicKey, online: boolean): void {
    const friend = this.#friends.get(keyId(publicKey));
    if (!friend) return;
    if (!online) {
      friend.noReplay = 0n;
      if (!friend.online) friend.search.hurry(now); // he was missed before
    }
    this.#setOnline(now, friend, online);
  }

  /** One who is online but silent is searched too; a replay of what he said still counts for nothing. */
  setFriendMissed(now: Mono, publicKey: PublicKey, missed: boolean): void {
    const friend = this.#friends.get(keyId(publicKey));
    if (friend) this.#setOnline(now, friend, !missed);
  }

  #setOnline(now: Mono, friend: Friend, online: boolean): void {
    this.#touch(now);
    if (friend.online === online) return;
    friend.online = online;
    this.#searched += online ? -1 : 1;
    friend.search.lookup.active = !online;
    if (online) return;
    friend.routedTimes = 0;
    friend.routedDue = now;
    friend.search.hurry(now);
  }

  /** Where routed DHT-key packets go; undefined if unknown. Takes effect with the next `wake`. */
  setFriendDhtKey(publicKey: PublicKey, dhtKey: PublicKey | undefined): void {
    const friend = this.#friends.get(keyId(publicKey));
    if (!friend) return;
    if (dhtKey && friend.dhtKey && sameBytes(dhtKey, friend.dhtKey)) return;
    friend.dhtKey = dhtKey?.slice() as PublicKey | undefined;
    friend.routedTimes = 0;
    friend.routedDue = this.#clock;
    this.#touch(this.#clock);
  }

  /** A friend request to deliver through the onion until cleared. Throws `RangeError` for a bad length. */
  setFriendRequest(now: Mono, publicKey: PublicKey, request: FriendRequestBody | undefined): void {
    this.#touch(now);
    if (request) checkRequest(request);
    const friend = this.#friends.get(keyId(publicKey));
    if (!friend) return;
    friend.request = request && { nospam: request.nospam.slice() as Nospam, message: request.message.slice() };
    friend.search.requestChanged(request !== undefined);
    if (friend.online) return;
    friend.search.wake(now);
    if (request) friend.search.hurry(now);
  }

  /** Whether friends can find us: some node keeps our announce. */
  announced(): boolean {
    return this.#announcer.announced;
  }

  /**
   * Forgets the back-off for one friend (there is mail for him), or without `friend` for all and
   * for our own announces (we came online, our address changed).
   */
  hurry(now: Mono, publicKey?: PublicKey): void {
    this.#touch(now);
    if (!publicKey) this.#announcer.hurry(now);
    let turn = 0;
    for (const friend of publicKey ? [this.#friends.get(keyId(publicKey))] : this.#friends.values()) {
      if (!friend || friend.online) continue;
      friend.search.hurry(now, Math.max(0, ++turn - HURRIED_AT_ONCE) * HURRY_SPACING);
      friend.routedTimes = Math.min(friend.routedTimes, 1);
    }
  }

  wake(now: Mono): void {
    this.#touch(now);
    if (this.#pool.size === 0) return;
    this.#announcer.wake(now);
    for (const friend of this.#friends.values()) {
      if (friend.online) continue;
      friend.search.wake(now);
      if (friend.dhtKey && friend.routedDue <= now) this.#route(now, friend, friend.dhtKey);
    }
  }

  nextWake(): Mono | undefined {
    if (this.#next === null) this.#next = this.#findNextWake();
    return this.#next;
  }

  #findNextWake(): Mono | undefined {
    if (this.#pool.size === 0) return undefined;
    let next = this.#announcer.nextWake(this.#clock);
    for (const friend of this.#friends.values()) {
      if (friend.online) continue;
      next = earlier(next, friend.search.nextWake());
      if (friend.dhtKey) next = earlier(next, friend.routedDue);
    }
    return next;
  }

  #touch(now: Mono): void {
    this.#clock = now;
    this.#next = null;
  }

  #receiveData(now: Mono, source: string, data: Uint8Array): void {
    const outer = readDataResponse(data);
    if (!outer || !this.#budget.allow(now, source)) return;
    const outerKey = sharedKey(outer.publicKey, this.#dataKeys.secretKey);
    const signed = outerKey && open(outerKey, outer.nonce, outer.box);
    const inner = signed && readSignedData(signed);
    if (!inner) return;
    const key = this.#realShared.get(inner.sender, () => this.#budget.allow(now, source));
    const plain = key && open(key, outer.nonce, inner.box);
    if (!plain) return;
    const friend = this.#friends.get(keyId(inner.sender));
    if (plain[0] === ONION_DATA_DHT_KEY && friend) this.#receiveDhtKey(now, friend, plain);
    else if (plain[0] === ONION_DATA_FRIEND_REQUEST && !friend) {
      const body = decodeFriendRequest(ONION_DATA_FRIEND_REQUEST, plain);
      if (body)
        this.#hooks.onFriendRequest(now, inner.sender.slice() as PublicKey, body.nospam.slice(), body.message.slice());
    }
  }

  #receiveDhtKey(now: Mono, friend: Friend, plain: Uint8Array, from?: PublicKey): void {
    const body = readDhtKeyBody(plain);
    if (!body || body.noReplay <= friend.noReplay) return;
    if ((from && !sameBytes(from, body.dhtKey)) || !friend.heard.take(now)) return;
    const arrived = friend.noReplay === 0n || !friend.heardDhtKey || !sameBytes(friend.heardDhtKey, body.dhtKey);
    friend.noReplay = body.noReplay;
    friend.heardDhtKey = body.dhtKey;
    this.#hooks.onFriendDhtKey(now, friend.publicKey, body.dhtKey, [...body.nodes]);
    // He has just come: find his announce at once and tell him where we are.
    if (arrived && !friend.online) friend.search.hurry(now);
  }

  #tell(now: Mono, friend: Friend, near: NearNode | undefined, dataKey: PublicKey): void {
    const news = this.#news(now, friend);
    if (news) this.#sendData(now, friend, near, dataKey, news.nonce, news.box);
  }

  #sendRequest(now: Mono, friend: Friend, near: NearNode | undefined, dataKey: PublicKey): void {
    const key = this.#realShared.get(friend.publicKey);
    if (!friend.request || !key) return;
    const nonce = randomNonce(this.#env);
    const plain = encodeFriendRequest(ONION_DATA_FRIEND_REQUEST, friend.request);
    this.#sendData(now, friend, near, dataKey, nonce, seal(key, nonce, plain));
  }

  /**
   * `box` from our real key to the friend's under `nonce`, which the outer box shares. Without `near`
   * he announced himself to us.
   */
  #sendData(
    now: Mono,
    friend: Friend,
    near: NearNode | undefined,
    dataKey: PublicKey,
    nonce: Nonce,
    box: Uint8Array,
  ): void {
    const once = generateKeyPair(this.#env);
    const key = sharedKey(dataKey, once.secretKey);
    if (!key) return;
    const signed = writeSignedData({ sender: this.#deps.realKeys.publicKey, box });
    const data = { nonce, publicKey: once.publicKey, box: seal(key, nonce, signed) };
    const request = writeDataRequest(friend.publicKey, data);
    if (!near) {
      this.#deps.deliver(now, request);
      return;
    }
    // The path of an answer that just came works; a repeat takes another one.
    const path = near.heardAt === now ? near.path : this.#searchPaths.pick(now, near.path);
    if (path) this.#lookupDeps.sendOver(path, near.node.endpoint, request);
  }

  #route(now: Mono, friend: Friend, dhtKey: PublicKey): void {
    friend.routedDue = now + Math.min(ROUTED_INTERVAL, FIRST_ROUTED_INTERVAL * 2 ** friend.routedTimes);
    friend.routedTimes++;
    const news = this.#news(now, friend);
    if (!news) return;
    const data = writeRoutedDhtKey({ sender: this.#deps.realKeys.publicKey, ...news });
    this.#deps.sendDhtRequest(now, dhtKey, REQUEST_DHT_KEY, data);
  }

  #news(now: Mono, friend: Friend) {
    const key = this.#realShared.get(friend.publicKey);
    return key && friend.news.seal(now, this.#env, key, this.#deps.dhtKeys.publicKey, this.#deps.ownNodes(now));
  }
}

function checkRequest(request: FriendRequestBody): void {
  if (request.nospam.length !== NOSPAM_SIZE) throw new RangeError(`nospam of ${request.nospam.length} bytes`);
  const { length } = request.message;
  if (length < 1 || length > MAX_FRIEND_REQUEST_MESSAGE_SIZE) throw new RangeError(`friend request of ${length} bytes`);
}
