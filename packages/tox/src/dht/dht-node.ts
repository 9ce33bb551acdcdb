import { BoundedMap } from '../core/bounded-map.ts';
import { earlier } from '../core/deadline.ts';
import type { Env, Mono } from '../core/env.ts';
import type { SendDatagram } from '../core/machine.ts';
import { Budget, SourceLimiter } from '../core/source-limiter.ts';
import {
  KEY_SIZE,
  type KeyId,
  type KeyPair,
  keyId,
  type PublicKey,
  type SharedKey,
  sameBytes,
} from '../crypto/keys.ts';
import type { SharedKeys } from '../crypto/shared-keys.ts';
import {
  BOOTSTRAP_INFO,
  type BootstrapInfo,
  encodeBootstrapInfo,
  isBootstrapInfoRequest,
} from '../packet/bootstrap-info.ts';
import {
  decodeNodesRequest,
  decodeNodesResponse,
  decodePing,
  encodeNodesResponse,
  encodePing,
  NODES_REQUEST,
  NODES_RESPONSE,
  openDhtFrame,
  PING_REQUEST,
  PING_RESPONSE,
  readDhtFrame,
} from '../packet/dht.ts';
import { DHT_REQUEST, NAT_PING_REQUEST, REQUEST_NAT_PING } from '../packet/dht-request.ts';
import { decodeLanDiscovery, LAN_DISCOVERY } from '../packet/lan-discovery.ts';
import { type Endpoint, isInternal, isLan, isUnicast, sourceOf } from '../wire/endpoint.ts';
import { MAX_SENT_NODES, type NodeInfo } from '../wire/packed-node.ts';
import { Bootstrapper } from './bootstrapper.ts';
import { Exchange } from './exchange.ts';
import { HolePuncher } from './hole-puncher.ts';
import { LanAnnouncer } from './lan-announcer.ts';
import { LostNodes } from './lost-nodes.ts';
import { type OwnAddress, ownAddress } from './own-address.ts';
import { isFresh, type Peer } from './peer.ts';
import { type Pending, REPLY_TIMEOUT } from './pending-replies.ts';
import { RequestRouter } from './request-router.ts';
import { RoutingTable } from './routing-table.ts';
import type { SearchEntry, SearchList } from './search-list.ts';
import { ToPing } from './to-ping.ts';
import { Upkeep } from './upkeep.ts';

/** What the DHT tells the layers above. Called synchronously while a packet is handled. */
export interface DhtHooks {
  /** A node answered us validly. */
  onNode(now: Mono, node: NodeInfo): void;
  /** A searched key answered us from there. Repeated with each answer. */
  onFound(now: Mono, publicKey: PublicKey, endpoint: Endpoint): void;
  /** A friend's DHT key packet that came through other nodes: the bytes after its id. */
  onDhtKeyPacket(now: Mono, sender: PublicKey, data: Uint8Array): void;
  /** Many nodes came at once that were silent for long, or unknown: a part of the network that was cut off is back. */
  onReunion(now: Mono): void;
}

export interface DhtOptions {
  /** Answers kind 0xf0, as bootstrap nodes do. */
  readonly bootstrapInfo?: BootstrapInfo;
  /** Whether to announce ourselves in the local network, and to heed who does. */
  readonly lanDiscovery?: boolean;
}

// Of the spec.
/** `DHT_FAKE_FRIEND_NUMBER`: random keys that are searched for the diversity of what we know. */
const RANDOM_SEARCHES = 2;

// Our own.
/** Keys searched at once: more friends than a person has. */
const MAX_SEARCHES = 512;
/** A mentioned node that is wanted may be asked again after this, ms; others after `REPLY_TIMEOUT`. */
const WANTED_RETRY = 1_000;
/** Nodes asked lately that are remembered, so that many mentions cause one request. */
const ASKED_CAPACITY = 512;
/** Requests caused by mentions and new nodes: the most work that hostile answers can cause. */
const MENTION_RATE = { burst: 256, perSecond: 64 };
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
  readonly #send: SendDatagram;
  readonly #hooks: DhtHooks;
  readonly #options: DhtOptions;
  readonly #exchange: Exchange;
  readonly #table: RoutingTable;
  readonly #upkeep: Upkeep;
  readonly #router: RequestRouter;
  readonly #puncher: HolePuncher;
  readonly #lan: LanAnnouncer | undefined;
  readonly #bootstrapper: Bootstrapper;
  readonly #toPing: ToPing;
  readonly #lost: LostNodes;
  /** BOUNDED. When we last asked a node at an address because somebody mentioned it. */
  readonly #asked = new BoundedMap<string, Mono>(ASKED_CAPACITY);
  readonly #mentions = new Budget(MENTION_RATE);
  readonly #favours = new SourceLimiter(FAVOURS_EACH, FAVOURS_ALL, SOURCES);
  #wasConnected = false;
  /** Counted anew when a node sees us elsewhere than before. */
  #ownAddress: OwnAddress | undefined;

  constructor(
    env: Env,
    keys: KeyPair,
    sharedKeys: SharedKeys,
    send: SendDatagram,
    hooks: DhtHooks,
    options: DhtOptions = {},
  ) {
    const own = keys.publicKey;
    this.#env = env;
    this.#own = own;
    this.#send = send;
    this.#hooks = hooks;
    this.#options = options;
    const exchange = new Exchange(env, own, sharedKeys, send);
    const table = new RoutingTable(
      own,
      (now, peer, list, entry) => this.#listed(now, peer, list, entry),
      (now, node) => this.#lost.add(now, node),
    );
    this.#exchange = exchange;
    this.#table = table;
    this.#upkeep = new Upkeep(env, own, table, exchange);
    this.#router = new RequestRouter(env, {
      own,
      sharedKeys,
      exchange,
      table,
      send,
      allowFavour: (now, from) => this.#favours.allow(now, sourceOf(from)),
      onDhtKeyPacket: (now, sender, data) => hooks.onDhtKeyPacket(now, sender, data),
      onNatPing: (now, list, ping) => {
        if (ping.type === NAT_PING_REQUEST) this.#puncher.onRequest(now, list);
        else this.#puncher.onResponse(now, list, ping);
      },
    });
    this.#puncher = new HolePuncher(env, {
      own,
      wanted: (id) => table.wanted(id),
      reached: (now, id) => table.get(id)?.live(now) === true,
      ownPortVaries: () => this.ownAddress().portVaries,
      sendNatPing: (now, receiver, data) => void this.sendRequest(now, receiver, REQUEST_NAT_PING, data),
      probe: (now, key, to, spread) => exchange.guess(now, key, to, spread),
    });
    this.#bootstrapper = new Bootstrapper(env);
    this.#toPing = new ToPing(own);
    this.#lost = new LostNodes(env, {
      ask: (now, node) => {
        this.#asked.set(keyId(node.publicKey) + node.endpoint, now);
        exchange.ask(now, node.publicKey, node.endpoint, own);
      },
      reunited: (now) => {
        env.log('dht.reunion');
        hooks.onReunion(now);
      },
    });
    if (options.lanDiscovery) this.#lan = new LanAnnouncer(own, send);
    for (let i = 0; i < RANDOM_SEARCHES; i++) table.addSearch(0, env.random(KEY_SIZE) as PublicKey, false);
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
      case DHT_REQUEST:
        this.#router.handle(now, from, data);
        return true;
      case LAN_DISCOVERY:
        this.#handleLanDiscovery(now, from, data);
        return true;
      case BOOTSTRAP_INFO:
        this.#handleInfoRequest(now, from, data);
        return true;
      default:
        return false;
    }
  }

  wake(now: Mono): void {
    const live = (node: NodeInfo) => this.#table.get(keyId(node.publicKey))?.liveAt(now, node.endpoint) === true;
    for (const node of this.#bootstrapper.due(now, live))
      this.#exchange.ask(now, node.publicKey, node.endpoint, this.#own);
    for (const node of this.#toPing.due(now)) this.#exchange.ask(now, node.publicKey, node.endpoint, undefined);
    this.#lost.wake(now);
    this.#upkeep.wake(now);
    this.#puncher.wake(now);
    this.#lan?.wake(now);
    if (!this.#wasConnected || this.#table.anyLive(now)) return;
    this.#wasConnected = false;
    this.#env.log('dht.disconnected');
    this.#bootstrapper.restart(now);
  }

  nextWake(): Mono | undefined {
    return earlier(
      earlier(earlier(this.#upkeep.nextWake(), this.#puncher.nextWake()), this.#lan?.nextWake()),
      earlier(earlier(this.#bootstrapper.nextWake(), this.#toPing.nextWake()), this.#lost.nextWake()),
    );
  }

  /** The machine is in a network: at the start, after it changed, and after a sleep. All is asked anew. */
  networkChanged(now: Mono): void {
    this.#bootstrapper.restart(now);
    this.#upkeep.askAllSoon(now);
    this.#lan?.restart(now);
  }

  /** Asks the node for our neighbourhood, again and again while no such node has answered. */
  bootstrap(now: Mono, node: NodeInfo): void {
    if (sameBytes(node.publicKey, this.#own)) return;
    const copy = { publicKey: node.publicKey.slice() as PublicKey, endpoint: node.endpoint };
    if (this.#bootstrapper.add(now, copy)) this.#exchange.ask(now, copy.publicKey, copy.endpoint, this.#own);
  }

  /** Searches the node with this DHT key until `stopSearch`. At most 512 keys; more are ignored. */
  search(now: Mono, publicKey: PublicKey): void {
    if (sameBytes(publicKey, this.#own) || this.#table.wanted(keyId(publicKey))) return;
    if (this.#table.wantedCount >= MAX_SEARCHES) {
      this.#env.log('dht.search-refused', { searches: MAX_SEARCHES });
      return;
    }
    this.#table.addSearch(now, publicKey.slice() as PublicKey, true);
  }

  stopSearch(now: Mono, publicKey: PublicKey): void {
    const list = this.#table.wanted(keyId(publicKey));
    if (list) this.#table.removeSearch(now, list);
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
    return this.#router.route(now, receiver, id, data, Number.POSITIVE_INFINITY);
  }

  /** Asks a node that a friend mentioned for the nodes around `target`, usually the friend's key. */
  probe(now: Mono, node: NodeInfo, target: PublicKey): void {
    if (sameBytes(node.publicKey, this.#own) || !isUnicast(node.endpoint)) return;
    this.#askOnce(now, node.publicKey, node.endpoint, target);
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

  /** Where others see us. */
  ownAddress(): OwnAddress {
    this.#ownAddress ??= ownAddress(this.#table.peers());
    return this.#ownAddress;
  }

  // Kinds 00, 01, 02, 04

  #handleFrame(now: Mono, from: Endpoint, data: Uint8Array): void {
    const frame = readDhtFrame(data);
    if (!frame || sameBytes(frame.sender, this.#own)) return;
    const key = this.#exchange.keyFor(now, from, frame.sender);
    const plain = key && openDhtFrame(frame, key);
    if (!plain) return;
    switch (frame.kind) {
      case PING_REQUEST:
        this.#handlePing(now, from, frame.sender, key, plain);
        break;
      case PING_RESPONSE: {
        const id = decodePing(PING_RESPONSE, plain);
        const pending = id && this.#exchange.answered(now, id, frame.sender, from);
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
    this.#exchange.reply(from, PING_RESPONSE, key, reply);
    this.#considerAsker(now, sender, from);
  }

  #handleNodesRequest(now: Mono, from: Endpoint, sender: PublicKey, key: SharedKey, plain: Uint8Array): void {
    const request = decodeNodesRequest(plain);
    if (!request) return;
    const nodes = this.#table.closest(now, request.target, MAX_SENT_NODES, from);
    const reply = encodeNodesResponse({ nodes, id: request.id });
    this.#exchange.reply(from, NODES_RESPONSE, key, reply);
    this.#considerAsker(now, sender, from);
  }

  #handleNodesResponse(now: Mono, from: Endpoint, sender: PublicKey, plain: Uint8Array): void {
    const response = decodeNodesResponse(plain);
    if (!response) return;
    const pending = this.#exchange.answered(now, response.id, sender, from);
    if (!pending?.target) return;
    const peer = this.#answered(now, pending);
    const sourceIsInternal = isInternal(from);
    for (const node of response.nodes) {
      // A stranger must not make us knock at doors of our own LAN.
      if (!isUnicast(node.endpoint) || (!sourceIsInternal && isInternal(node.endpoint))) continue;
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
    } else if (this.#lost.has(id)) {
      this.#askOnce(now, sender, from, this.#own);
    } else if ((peer || this.#table.close.wants(now, sender)) && !this.#askedLately(now, id, from)) {
      const node = { publicKey: sender.slice() as PublicKey, endpoint: from };
      if (this.#toPing.admit(now, node)) {
        this.#asked.set(id + from, now);
        this.#exchange.ask(now, node.publicKey, from, undefined);
      }
    }
  }

  #answered(now: Mono, pending: Pending): Peer | undefined {
    const id = keyId(pending.publicKey);
    const known = this.#table.get(id) !== undefined;
    const peer = this.#table.answered(now, pending.publicKey, pending.endpoint, pending.target);
    if (!this.#wasConnected && peer) {
      this.#wasConnected = true;
      this.#env.log('dht.connected');
    }
    this.#upkeep.heard();
    this.#asked.delete(id + pending.endpoint);
    this.#bootstrapper.answered(now, pending.publicKey);
    this.#lost.answered(now, id, !known && peer?.inClose === true);
    this.#hooks.onNode(now, { publicKey: pending.publicKey, endpoint: pending.endpoint });
    if (this.#table.wanted(id)) this.#hooks.onFound(now, pending.publicKey, pending.endpoint);
    return peer;
  }

  /** `by` said, in an answer about `target`, that there is such a node. */
  #mentioned(now: Mono, node: NodeInfo, by: Peer | undefined, target: PublicKey): void {
    if (sameBytes(node.publicKey, this.#own)) {
      if (by) {
        if (by.seesUs !== node.endpoint) this.#ownAddress = undefined;
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
      this.#puncher.reported(now, wanted!);
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
      this.#upkeep.askPeer(now, peer, list.key);
    }
    this.#upkeep.schedule(now, now);
  }

  // Kinds 21 and f0

  #handleLanDiscovery(now: Mono, from: Endpoint, data: Uint8Array): void {
    const sender = decodeLanDiscovery(data);
    if (!this.#lan || !sender || !isLan(from) || sameBytes(sender, this.#own)) return;
    if (!this.#table.get(keyId(sender))?.liveAt(now, from)) this.#askOnce(now, sender, from, this.#own);
  }

  #handleInfoRequest(now: Mono, from: Endpoint, data: Uint8Array): void {
    const info = this.#options.bootstrapInfo;
    if (!info || !isBootstrapInfoRequest(data) || !this.#favours.allow(now, sourceOf(from))) return;
    this.#send(from, encodeBootstrapInfo(info));
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
    this.#exchange.ask(now, publicKey.slice() as PublicKey, endpoint, target);
  }
}
