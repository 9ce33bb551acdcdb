import { BoundedMap } from '../core/bounded-map.ts';
import { type Env, type Mono, randomInt } from '../core/env.ts';
import type { SendDatagram } from '../core/machine.ts';
import { Budget, SourceLimiter } from '../core/source-limiter.ts';
import { earlier, TimerTable } from '../core/timer-table.ts';
import {
  KEY_SIZE,
  type KeyId,
  type KeyPair,
  keyId,
  NONCE_SIZE,
  type Nonce,
  type PublicKey,
  randomNonce,
  type SharedKey,
  sameBytes,
} from '../crypto/keys.ts';
import type { SharedKeys } from '../crypto/shared-keys.ts';
import { type BootstrapInfo, encodeBootstrapInfo, isBootstrapInfoRequest } from '../packet/bootstrap-info.ts';
import {
  decodeNodesRequest,
  decodeNodesResponse,
  decodePing,
  encodeNodesRequest,
  encodeNodesResponse,
  encodePing,
  MAX_NODES,
  NODES_REQUEST,
  NODES_RESPONSE,
  openDhtFrame,
  PING_REQUEST,
  PING_RESPONSE,
  REQUEST_ID_SIZE,
  readDhtFrame,
  writeDhtFrame,
} from '../packet/dht.ts';
import {
  decodeNatPing,
  encodeNatPing,
  NAT_PING_REQUEST,
  NAT_PING_RESPONSE,
  openDhtRequest,
  REQUEST_DHT_KEY,
  REQUEST_NAT_PING,
  readDhtRequest,
  writeDhtRequest,
} from '../packet/dht-request.ts';
import { decodeLanDiscovery, encodeLanDiscovery } from '../packet/lan-discovery.ts';
import { type Endpoint, isLan, isUnicast, sourceOf } from '../wire/endpoint.ts';
import type { NodeInfo } from '../wire/packed-node.ts';
import { Bootstrapper } from './bootstrapper.ts';
import { isFresh, KILL_AFTER, type Peer } from './peer.ts';
import { type Pending, PendingReplies, REPLY_TIMEOUT } from './pending-replies.ts';
import { RoutingTable } from './routing-table.ts';
import type { SearchEntry, SearchList } from './search-list.ts';
import { ToPing } from './to-ping.ts';

/** What the DHT tells the layers above. Called synchronously while a packet is handled. */
export interface DhtHooks {
  /** A node answered us validly. */
  onNode(now: Mono, node: NodeInfo): void;
  /** A searched key answered us from there. Repeated with each answer. */
  onFound(now: Mono, publicKey: PublicKey, endpoint: Endpoint): void;
  /** A friend's DHT key packet that came through other nodes: the bytes after its id. */
  onDhtKeyPacket(now: Mono, sender: PublicKey, data: Uint8Array): void;
}

export interface DhtOptions {
  /** Answers kind 0xf0, as bootstrap nodes do. */
  readonly bootstrapInfo?: BootstrapInfo;
}

// Of the spec (times in ms).
/** `PING_INTERVAL`: each listed node gets a nodes request so often. */
const ASK_INTERVAL = 60_000;
/** `NODES_REQUEST_INTERVAL`: one extra request to a random node of each list. */
const RANDOM_INTERVAL = 20_000;
/** `MAX_BOOTSTRAP_TIMES`: so many extra requests come at the quick pace first. */
const QUICK_REQUESTS = 5;
/** `DHT_FAKE_FRIEND_NUMBER`: random keys that are searched for the diversity of what we know. */
const RANDOM_SEARCHES = 2;

// Our own.
/** Pause between passes over the lists, ms; also the quick pace of extra requests. */
const PASS_PAUSE = 1_000;
/** Requests that one pass may send; the rest waits for the next. */
const PASS_REQUESTS = 64;
/** Keys searched at once: more friends than a person has. */
const MAX_SEARCHES = 512;
/** A mentioned node that is wanted may be asked again after this, ms; others after `REPLY_TIMEOUT`. */
const WANTED_RETRY = 1_000;
/** Nodes asked lately that are remembered, so that many mentions cause one request. */
const ASKED_CAPACITY = 512;
/** Requests caused by mentions and new nodes: the most work that hostile answers can cause. */
const MENTION_RATE = { burst: 256, perSecond: 64 };
/** Key derivations (52 µs each) for one source, and for all: at most a tenth of a core. */
const DERIVATIONS_EACH = { burst: 64, perSecond: 16 };
const DERIVATIONS_ALL = { burst: 2_000, perSecond: 2_000 };
/** Packets passed on and 0xf0 answers, for one source and for all. */
const FAVOURS_EACH = { burst: 64, perSecond: 32 };
const FAVOURS_ALL = { burst: 2_000, perSecond: 2_000 };
/** Sources that are told apart. */
const SOURCES = 2_048;
/** Nodes worth keeping for the next start. */
const MAX_SAVED = 64;

/**
 * A node of the DHT (spec: DHT): keeps the nodes around its own key and around searched keys,
 * answers for them, and passes requests on to them.
 */
export class DhtNode {
  readonly #env: Env;
  readonly #own: PublicKey;
  readonly #sharedKeys: SharedKeys;
  readonly #send: SendDatagram;
  readonly #hooks: DhtHooks;
  readonly #options: DhtOptions;
  readonly #table: RoutingTable;
  readonly #pending = new PendingReplies();
  readonly #bootstrapper = new Bootstrapper();
  readonly #toPing: ToPing;
  /** BOUNDED. When we last asked a node at an address because somebody mentioned it. */
  readonly #asked = new BoundedMap<string, Mono>(ASKED_CAPACITY);
  readonly #mentions = new Budget(MENTION_RATE);
  readonly #derivations = new SourceLimiter(DERIVATIONS_EACH, DERIVATIONS_ALL, SOURCES);
  readonly #favours = new SourceLimiter(FAVOURS_EACH, FAVOURS_ALL, SOURCES);
  /** `pass`: something in the lists is due. */
  readonly #timers = new TimerTable<'pass'>();
  #lastPass: Mono = Number.NEGATIVE_INFINITY;
  #closeRandomAt: Mono = Number.NEGATIVE_INFINITY;
  #closeQuickLeft = QUICK_REQUESTS;
  #wasConnected = false;

  constructor(
    env: Env,
    keys: KeyPair,
    sharedKeys: SharedKeys,
    send: SendDatagram,
    hooks: DhtHooks,
    options: DhtOptions = {},
  ) {
    this.#env = env;
    this.#own = keys.publicKey;
    this.#sharedKeys = sharedKeys;
    this.#send = send;
    this.#hooks = hooks;
    this.#options = options;
    this.#toPing = new ToPing(keys.publicKey);
    this.#table = new RoutingTable(keys.publicKey, (now, peer, list, entry) => this.#listed(now, peer, list, entry));
    for (let i = 0; i < RANDOM_SEARCHES; i++) {
      this.#table.addSearch(0, env.random(KEY_SIZE) as PublicKey, false, QUICK_REQUESTS);
    }
  }

  /** True if the kind belongs to the DHT, whatever came of it: 00 01 02 04 20 21 f0. */
  handle(now: Mono, from: Endpoint, data: Uint8Array): boolean {
    switch (data[0]) {
      case PING_REQUEST:
      case PING_RESPONSE:
      case NODES_REQUEST:
      case NODES_RESPONSE:
        this.#handleFrame(now, from, data);
        return true;
      case 0x20:
        this.#handleRequest(now, from, data);
        return true;
      case 0x21:
        this.#handleLanDiscovery(now, from, data);
        return true;
      case 0xf0:
        this.#handleInfoRequest(now, from, data);
        return true;
      default:
        return false;
    }
  }

  wake(now: Mono): void {
    for (const node of this.#bootstrapper.due(now)) this.#ask(now, node.publicKey, node.endpoint, this.#own);
    for (const node of this.#toPing.due(now)) this.#ask(now, node.publicKey, node.endpoint, undefined);
    for (const _ of this.#timers.due(now)) this.#pass(now);
  }

  nextWake(): Mono | undefined {
    return earlier(earlier(this.#timers.earliest(), this.#bootstrapper.nextWake()), this.#toPing.nextWake());
  }

  /** Asks the node for our neighbourhood, again and again while no such node has answered. */
  bootstrap(now: Mono, node: NodeInfo): void {
    if (sameBytes(node.publicKey, this.#own)) return;
    const copy = { publicKey: node.publicKey.slice() as PublicKey, endpoint: node.endpoint };
    if (this.#bootstrapper.add(now, copy)) this.#ask(now, copy.publicKey, copy.endpoint, this.#own);
  }

  /** Searches the node with this DHT key until `stopSearch`. At most 512 keys; more are ignored. */
  search(now: Mono, publicKey: PublicKey): void {
    if (sameBytes(publicKey, this.#own) || this.#table.wanted(keyId(publicKey))) return;
    if (this.#table.wantedCount >= MAX_SEARCHES) {
      this.#env.log('dht.search-refused', { searches: MAX_SEARCHES });
      return;
    }
    this.#table.addSearch(now, publicKey.slice() as PublicKey, true, QUICK_REQUESTS);
  }

  stopSearch(publicKey: PublicKey): void {
    const list = this.#table.wanted(keyId(publicKey));
    if (list) this.#table.removeSearch(list);
  }

  /** The address to use for a searched node: fresh LAN IPv4, else fresh IPv6, else fresh IPv4. */
  endpointOf(now: Mono, publicKey: PublicKey): Endpoint | undefined {
    const peer = this.#table.get(keyId(publicKey));
    if (!peer) return undefined;
    return peer.liveAddress(now, peer.ip4?.lan !== true, true);
  }

  /** Up to `count` live nodes nearest to `target`; no LAN addresses for an asker from outside. */
  closest(now: Mono, target: PublicKey, count: number, asker?: Endpoint): NodeInfo[] {
    return this.#table.closest(now, target, count, asker);
  }

  /**
   * Sends a DHT request (kind 20) through the nodes that know where the searched receiver is, or
   * straight to it if none does but we know. Returns how many copies went out.
   */
  sendRequest(now: Mono, receiver: PublicKey, id: number, data: Uint8Array): number {
    return this.#route(now, receiver, id, data, Number.POSITIVE_INFINITY);
  }

  /** Asks a node that somebody mentioned for the nodes around `target` (default: around itself). */
  probe(now: Mono, node: NodeInfo, target: PublicKey = node.publicKey): void {
    if (sameBytes(node.publicKey, this.#own) || !isUnicast(node.endpoint)) return;
    this.#askOnce(now, node.publicKey, node.endpoint, target);
  }

  /** The datagram that tells our DHT key to a LAN. */
  lanDiscovery(): Uint8Array {
    return encodeLanDiscovery(this.#own);
  }

  liveNodes(now: Mono): number {
    let count = 0;
    for (const peer of this.#table.peers()) if (peer.live(now)) count++;
    return count;
  }

  /** Whether any node answered within the last 122 s. */
  connected(now: Mono): boolean {
    return this.#table.anyLive(now);
  }

  /** Live nodes to bootstrap from at the next start, at most 64. */
  savedNodes(now: Mono): NodeInfo[] {
    const nodes: NodeInfo[] = [];
    for (const peer of this.#table.close.members()) {
      const endpoint = peer.liveAddress(now, undefined, true);
      if (endpoint) nodes.push({ publicKey: peer.publicKey, endpoint });
      if (nodes.length >= MAX_SAVED) break;
    }
    return nodes;
  }

  /** Where most nodes see us; a LAN address only if none sees us elsewhere. */
  ownEndpoint(): Endpoint | undefined {
    const votes = new Map<Endpoint, number>(); // at most one per node
    for (const peer of this.#table.peers()) {
      if (peer.seesUs) votes.set(peer.seesUs, (votes.get(peer.seesUs) ?? 0) + 1);
    }
    let best: Endpoint | undefined;
    let bestScore = 0;
    for (const [endpoint, count] of votes) {
      const score = isLan(endpoint) ? count : count + this.#table.size;
      if (score <= bestScore) continue;
      best = endpoint;
      bestScore = score;
    }
    return best;
  }

  // Kinds 00, 01, 02, 04

  #handleFrame(now: Mono, from: Endpoint, data: Uint8Array): void {
    const frame = readDhtFrame(data);
    if (!frame || sameBytes(frame.sender, this.#own)) return;
    const key = this.#sharedKey(now, from, frame.sender);
    const plain = key && openDhtFrame(frame, key);
    if (!plain) return;
    switch (frame.kind) {
      case PING_REQUEST:
        this.#handlePing(now, from, frame.sender, key, plain);
        break;
      case PING_RESPONSE: {
        const id = decodePing(PING_RESPONSE, plain);
        const pending = id && this.#pending.take(now, id, frame.sender, from);
        if (pending && pending.target === undefined) this.#answered(now, pending);
        break;
      }
      case NODES_REQUEST:
        this.#handleNodesRequest(now, from, frame.sender, key, plain);
        break;
      default:
        this.#handleNodesResponse(now, from, frame.sender, plain);
    }
  }

  #handlePing(now: Mono, from: Endpoint, sender: PublicKey, key: SharedKey, plain: Uint8Array): void {
    const id = decodePing(PING_REQUEST, plain);
    if (!id) return;
    const reply = encodePing(PING_RESPONSE, id);
    this.#send(from, writeDhtFrame(PING_RESPONSE, this.#own, randomNonce(this.#env), key, reply));
    this.#considerAsker(now, sender, from);
  }

  #handleNodesRequest(now: Mono, from: Endpoint, sender: PublicKey, key: SharedKey, plain: Uint8Array): void {
    const request = decodeNodesRequest(plain);
    if (!request) return;
    const nodes = this.#table.closest(now, request.target, MAX_NODES, from);
    const reply = encodeNodesResponse({ nodes, id: request.id });
    this.#send(from, writeDhtFrame(NODES_RESPONSE, this.#own, randomNonce(this.#env), key, reply));
    this.#considerAsker(now, sender, from);
  }

  #handleNodesResponse(now: Mono, from: Endpoint, sender: PublicKey, plain: Uint8Array): void {
    const response = decodeNodesResponse(plain);
    if (!response) return;
    const pending = this.#pending.take(now, response.id, sender, from);
    if (!pending?.target) return;
    const peer = this.#answered(now, pending);
    const sourceIsLan = isLan(from);
    for (const node of response.nodes) {
      // A stranger must not make us knock at doors of our own LAN.
      if (!isUnicast(node.endpoint) || (!sourceIsLan && isLan(node.endpoint))) continue;
      this.#mentioned(now, node, peer, pending.target);
    }
  }

  /** A node that asked us may join the lists, if it answers in turn. */
  #considerAsker(now: Mono, sender: PublicKey, from: Endpoint): void {
    const id = keyId(sender);
    const peer = this.#table.get(id);
    if (peer?.liveAt(now, from)) return;
    const list = this.#table.wanted(id);
    if (list) {
      this.#askOnce(now, sender, from, list.key);
    } else if ((peer || this.#table.close.wants(now, sender)) && !this.#askedLately(now, id, from)) {
      const node = { publicKey: sender.slice() as PublicKey, endpoint: from };
      if (this.#toPing.admit(now, node)) {
        this.#asked.set(id + from, now);
        this.#ask(now, node.publicKey, from, undefined);
      }
    }
  }

  #answered(now: Mono, pending: Pending): Peer | undefined {
    const peer = this.#table.answered(now, pending.publicKey, pending.endpoint, pending.target);
    if (!this.#wasConnected && peer) {
      this.#wasConnected = true;
      this.#env.log('dht.connected');
    }
    const id = keyId(pending.publicKey);
    this.#asked.delete(id + pending.endpoint);
    this.#bootstrapper.answered(pending.publicKey);
    this.#hooks.onNode(now, { publicKey: pending.publicKey, endpoint: pending.endpoint });
    if (this.#table.wanted(id)) this.#hooks.onFound(now, pending.publicKey, pending.endpoint);
    return peer;
  }

  /** `by` said, in an answer about `target`, that there is such a node. */
  #mentioned(now: Mono, node: NodeInfo, by: Peer | undefined, target: PublicKey): void {
    if (sameBytes(node.publicKey, this.#own)) {
      if (by) {
        by.seesUs = node.endpoint;
        by.seesUsAt = now;
      }
      return;
    }
    const id = keyId(node.publicKey);
    const wanted = this.#table.wanted(id);
    const entry = by && wanted?.find(by);
    if (entry) {
      entry.says = node.endpoint;
      entry.saysAt = now;
    }
    const peer = this.#table.get(id);
    if (peer?.liveAt(now, node.endpoint)) return;
    if (wanted) this.#askOnce(now, node.publicKey, node.endpoint, wanted.key);
    else if (peer) {
      if (!isFresh(peer.address(node.endpoint), now)) this.#askOnce(now, node.publicKey, node.endpoint, this.#own);
    } else {
      const use = this.#useOf(now, node.publicKey, target);
      if (use) this.#askOnce(now, node.publicKey, node.endpoint, use);
    }
  }

  /** The key of a list that would take the unknown node: first that of the question at hand. */
  #useOf(now: Mono, key: PublicKey, target: PublicKey): PublicKey | undefined {
    const list = this.#table.wanted(keyId(target));
    if (list?.wants(now, key)) return list.key;
    if (this.#table.close.wants(now, key)) return this.#own;
    for (const other of this.#table.searches) if (other.wants(now, key)) return other.key;
    return undefined;
  }

  /** A list has a new member: ask it soon, and at once if that may lead to a wanted key. */
  #listed(now: Mono, peer: Peer, list?: SearchList, entry?: SearchEntry): void {
    const urgent = list?.wanted && (peer.id === list.id || !this.#table.get(list.id)?.live(now));
    if (urgent && entry && this.#mentions.take(now)) {
      entry.askedAt = now;
      this.#askPeer(now, peer, list.key);
    }
    this.#schedulePass(now, now);
  }

  // Kinds 20, 21, f0

  #handleRequest(now: Mono, from: Endpoint, data: Uint8Array): void {
    const request = readDhtRequest(data);
    if (!request || sameBytes(request.sender, this.#own)) return;
    if (!sameBytes(request.receiver, this.#own)) {
      const peer = this.#table.get(keyId(request.receiver));
      const to = peer?.inClose ? peer.liveAddress(now, undefined, true) : undefined;
      if (to && this.#favours.allow(now, sourceOf(from))) this.#send(to, data.slice());
      return;
    }
    const key = this.#sharedKey(now, from, request.sender);
    const body = key && openDhtRequest(request, key);
    if (body?.id === REQUEST_DHT_KEY) this.#hooks.onDhtKeyPacket(now, request.sender.slice() as PublicKey, body.data);
    else if (body?.id === REQUEST_NAT_PING) this.#handleNatPing(now, request.sender, body.data);
  }

  /** Only searched nodes get an answer, by the way that c-toxcore uses: one of those that know them. */
  #handleNatPing(now: Mono, sender: PublicKey, data: Uint8Array): void {
    const ping = decodeNatPing(data);
    if (ping?.type !== NAT_PING_REQUEST || !this.#table.wanted(keyId(sender))) return;
    this.#route(now, sender, REQUEST_NAT_PING, encodeNatPing({ type: NAT_PING_RESPONSE, id: ping.id }), 1);
  }

  #route(now: Mono, receiver: PublicKey, id: number, data: Uint8Array, copies: number): number {
    const list = this.#table.wanted(keyId(receiver));
    const key = this.#sharedKeys.get(receiver);
    if (!key) return 0;
    const packet = writeDhtRequest(receiver, this.#own, randomNonce(this.#env), key, id, data);
    const reporters = list?.reporters(now) ?? [];
    let sent = 0;
    for (let i = randomInt(this.#env, reporters.length), left = reporters.length; left > 0 && sent < copies; left--) {
      const to = reporters[i]!.peer.liveAddress(now, undefined, true);
      if (to) {
        this.#send(to, packet.slice());
        sent++;
      }
      i = (i + 1) % reporters.length;
    }
    const direct = sent === 0 ? this.endpointOf(now, receiver) : undefined;
    if (!direct) return sent;
    this.#send(direct, packet);
    return 1;
  }

  #handleLanDiscovery(now: Mono, from: Endpoint, data: Uint8Array): void {
    const sender = decodeLanDiscovery(data);
    if (!sender || !isLan(from) || sameBytes(sender, this.#own)) return;
    if (!this.#table.get(keyId(sender))?.liveAt(now, from)) this.#askOnce(now, sender, from, this.#own);
  }

  #handleInfoRequest(now: Mono, from: Endpoint, data: Uint8Array): void {
    const info = this.#options.bootstrapInfo;
    if (!info || !isBootstrapInfoRequest(data) || !this.#favours.allow(now, sourceOf(from))) return;
    this.#send(from, encodeBootstrapInfo(info));
  }

  // Upkeep

  #schedulePass(now: Mono, at: Mono): void {
    this.#timers.setEarliest('pass', Math.max(at, now, this.#lastPass + PASS_PAUSE));
  }

  /** Sends what is due in all lists, at most `PASS_REQUESTS`, and drops nodes silent for too long. */
  #pass(now: Mono): void {
    this.#lastPass = now;
    // With nobody alive even the long silent are asked on, so that the network is found again.
    const connected = this.#table.anyLive(now);
    if (connected) this.#dropSilent(now);
    else if (this.#wasConnected) {
      this.#wasConnected = false;
      this.#env.log('dht.disconnected');
      this.#bootstrapper.restart(now);
    }
    let requests = PASS_REQUESTS;
    let next = Number.POSITIVE_INFINITY;
    const members = this.#table.close.members();
    for (const peer of members) {
      if (peer.closeAskedAt + ASK_INTERVAL <= now && requests > 0) {
        requests--;
        peer.closeAskedAt = now;
        this.#askPeer(now, peer, this.#own);
      }
      next = Math.min(next, peer.closeAskedAt + ASK_INTERVAL);
    }
    if (connected && this.#closeRandomAt <= now) {
      this.#askRandom(now, members.length, (i) => members[i]!, this.#own);
      this.#closeRandomAt = now + (this.#closeQuickLeft-- > 0 ? PASS_PAUSE : RANDOM_INTERVAL);
    }
    if (connected) next = Math.min(next, this.#closeRandomAt);
    for (const list of this.#table.searches) {
      for (const entry of list.entries) {
        if (entry.askedAt + ASK_INTERVAL <= now && requests > 0) {
          requests--;
          entry.askedAt = now;
          this.#askPeer(now, entry.peer, list.key);
        }
        next = Math.min(next, entry.askedAt + ASK_INTERVAL);
      }
      if (!connected || list.entries.length === 0) continue;
      if (list.randomAt <= now && requests > 0) {
        requests--;
        this.#askRandom(now, list.entries.length, (i) => list.entries[i]!.peer, list.key);
        if (this.#table.get(list.id)?.live(now)) list.quickLeft = 0;
        list.randomAt = now + (list.quickLeft-- > 0 ? PASS_PAUSE : RANDOM_INTERVAL);
      }
      next = Math.min(next, list.randomAt);
    }
    if (next < Number.POSITIVE_INFINITY) this.#schedulePass(now, next);
  }

  #dropSilent(now: Mono): void {
    for (const peer of this.#table.peers()) {
      if (now - peer.lastAnswer() >= KILL_AFTER) this.#table.drop(peer);
    }
  }

  /** One extra request to a live member, more often to a near one: `at` orders them nearest first. */
  #askRandom(now: Mono, count: number, at: (index: number) => Peer, target: PublicKey): void {
    const pick = Math.min(randomInt(this.#env, count), randomInt(this.#env, count));
    for (let i = 0; i < count; i++) {
      const peer = at((pick + i) % count);
      if (!peer.live(now)) continue;
      this.#askPeer(now, peer, target);
      return;
    }
  }

  /** A nodes request to each address of a node, except one that was silent for long while the other was not. */
  #askPeer(now: Mono, peer: Peer, target: PublicKey): void {
    const { ip4, ip6 } = peer;
    const oldest = Math.max(peer.lastAnswer() - KILL_AFTER, Number.NEGATIVE_INFINITY);
    if (ip4 && ip4.answeredAt >= oldest) this.#ask(now, peer.publicKey, ip4.endpoint, target);
    if (ip6 && ip6.answeredAt >= oldest) this.#ask(now, peer.publicKey, ip6.endpoint, target);
  }

  #askedLately(now: Mono, id: KeyId, endpoint: Endpoint): boolean {
    const at = this.#asked.peek(id + endpoint);
    return at !== undefined && now - at < (this.#table.wanted(id) ? WANTED_RETRY : REPLY_TIMEOUT);
  }

  /** A nodes request to a node we only heard of; once while an answer may come, and within the allowance. */
  #askOnce(now: Mono, publicKey: PublicKey, endpoint: Endpoint, target: PublicKey): void {
    const id = keyId(publicKey);
    if (this.#askedLately(now, id, endpoint) || !this.#mentions.take(now)) return;
    this.#asked.set(id + endpoint, now);
    this.#ask(now, publicKey.slice() as PublicKey, endpoint, target);
  }

  /** Sends a nodes request, or a ping without a target. `publicKey` must not be a view of a datagram. */
  #ask(now: Mono, publicKey: PublicKey, endpoint: Endpoint, target: PublicKey | undefined): void {
    const key = this.#sharedKeys.get(publicKey);
    if (!key) return;
    const random = this.#env.random(NONCE_SIZE + REQUEST_ID_SIZE);
    const nonce = random.subarray(0, NONCE_SIZE) as Nonce;
    const id = random.subarray(NONCE_SIZE);
    this.#pending.add(now, id, publicKey, endpoint, target);
    const kind = target ? NODES_REQUEST : PING_REQUEST;
    const plain = target ? encodeNodesRequest({ target, id }) : encodePing(PING_REQUEST, id);
    this.#send(endpoint, writeDhtFrame(kind, this.#own, nonce, key, plain));
  }

  /** From the cache, or derived at the expense of the source. */
  #sharedKey(now: Mono, from: Endpoint, sender: PublicKey): SharedKey | undefined {
    const cached = this.#sharedKeys.cached(sender);
    if (cached) return cached;
    return this.#derivations.allow(now, sourceOf(from)) ? this.#sharedKeys.get(sender) : undefined;
  }
}
