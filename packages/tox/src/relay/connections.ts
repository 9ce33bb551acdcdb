import { BoundedMap } from '../core/bounded-map.ts';
import { earlier } from '../core/deadline.ts';
import { type Env, type Mono, randomInt } from '../core/env.ts';
import { Budget, SourceLimiter } from '../core/source-limiter.ts';
import { type KeyId, keyId, type PublicKey, sameBytes } from '../crypto/keys.ts';
import { COOKIE_REQUEST, HANDSHAKE } from '../packet/crypto.ts';
import { MAX_OOB_SIZE } from '../packet/relay.ts';
import { type Endpoint, isInternal, isLoopback, isUnicast, parseEndpoint } from '../wire/endpoint.ts';
import type { NodeInfo, PackedNode } from '../wire/packed-node.ts';
import { type RelayInfo, RelayLink, type RelayLinkDeps, type RelayLinkHooks } from './relay-link.ts';

/** What the relays bring. Called synchronously; `data` is a view, valid during the call. */
export interface RelayHooks {
  /**
   * A packet of a session, or of the way to one, from the node with this DHT key. True if it is proven
   * to be of the peer: then the route that it took is the one to use.
   */
  onPacket(now: Mono, peer: KeyId, data: Uint8Array): boolean;
  /** The way to a peer has changed: routes came up or went down, or a relay through which it may be reached. */
  onWay(now: Mono, peer: PublicKey): void;
  /** An answer to an onion request that this relay carried. */
  onOnionResponse(now: Mono, relay: RelayInfo, data: Uint8Array): void;
  /** The number of relays that we are logged in at has changed. */
  onRelays(now: Mono): void;
}

// c-toxcore.
/** MAX_FRIEND_TCP_CONNECTIONS: relays that a peer may name. */
const MAX_NAMED = 6;
/** RECOMMENDED_FRIEND_TCP_CONNECTIONS and NUM_ONION_TCP_CONNECTIONS: connections per peer, and of our own. */
const WANTED = 3;
/** A relay that nobody wants any more is left after this; ms. */
const LINGER = 10_000;

// Ours.
/** Relays of our own choice that are remembered. */
const MAX_HOME = 32;
/** While they are fewer, relays that friends named and that work join them. */
const ENOUGH_HOME = 8;
/** Connections in all. Peers share relays, so that even hundreds of friends need few. */
const MAX_CONNECTIONS = 64;
/** Of these, not for relays that only friends named: our own three, and the one that we are. */
const RESERVED = WANTED + 1;
/** Relays that one peer may name in a while: each may cost a connection to somebody who did not ask for it. */
const NAMED_RATE = { burst: 12, perSecond: 0.1 };
/** Handshakes that peers whom we do not know send through one relay, and through all. */
const STRANGERS_EACH = { burst: 64, perSecond: 20 };
const STRANGERS_ALL = { burst: 256, perSecond: 100 };
/** Such peers to whom an answer finds its way back. */
const MAX_STRANGERS = 256;

interface Route {
  /** Undefined until the relay has given it. */
  id: number | undefined;
  /** The peer asked for the route as well, says the relay. */
  online: boolean;
  /** Serial number of the last packet that was proven to be of the peer; 0: none of late. */
  proven: number;
}

interface Peer {
  readonly id: KeyId;
  readonly key: PublicKey;
  asleep: boolean;
  /** Relays at which it is, as it told. BOUNDED: MAX_NAMED. */
  readonly named: RelayLink[];
  readonly budget: Budget;
  /** Asked for at relays that are online. BOUNDED by the connections. */
  readonly routes: Map<RelayLink, Route>;
}

/**
 * All relays of one node (spec: TCP connections): keeps three of our own choice, and up to three for
 * each peer that is not reached otherwise, shared among them; asks for routes; sends over the one on
 * which the peer was heard last, over all while none has shown that it works, and out of band while
 * there is none.
 * BOUNDED: 32 relays of our own, 6 named by each peer that the owner adds, 64 connections. Of our own
 * the one goes first that failed most often.
 */
export class RelayConnections {
  readonly #env: Env;
  readonly #hooks: RelayHooks;
  readonly #ownKey: PublicKey;
  readonly #linkDeps: RelayLinkDeps;
  readonly #links = new Map<KeyId, RelayLink>();
  /** Those that are connected or about to be. BOUNDED: MAX_CONNECTIONS. */
  readonly #live = new Set<RelayLink>();
  readonly #home = new Set<RelayLink>();
  readonly #peers = new Map<KeyId, Peer>();
  /** Where peers whom we do not know were last heard. */
  readonly #strangers = new BoundedMap<KeyId, RelayLink>(MAX_STRANGERS);
  readonly #strangerLimit = new SourceLimiter(STRANGERS_EACH, STRANGERS_ALL, MAX_CONNECTIONS);
  #own: RelayLink | undefined;
  #online = 0;
  #packets = 0;
  #turn = 0;
  /** When `#review` is due. */
  #reviewAt: Mono | undefined;
  #reviewing = false;

  constructor(env: Env, deps: Omit<RelayLinkDeps, 'env' | 'hooks'>, hooks: RelayHooks) {
    this.#env = env;
    this.#hooks = hooks;
    this.#ownKey = deps.dhtKeys.publicKey;
    this.#linkDeps = { env, ...deps, hooks: this.#linkHooks() };
  }

  /** A relay to use for whatever we need one, and to tell friends of. */
  addRelay(now: Mono, info: RelayInfo): void {
    const link = this.#link(info);
    if (!link) return;
    if (!this.#home.has(link) && this.#home.size >= MAX_HOME) this.#home.delete(this.#worstOfHome());
    this.#home.add(link);
    this.#review(now);
  }

  /** The relay that we are ourselves: friends may meet us there, and it is no way of ours to anybody else. */
  addOwnRelay(now: Mono, at: Endpoint): void {
    this.#own = new RelayLink(this.#linkDeps, { publicKey: this.#ownKey, at });
    this.#links.set(this.#own.id, this.#own);
    this.#review(now);
  }

  /** The peer shall be reached through relays, unless it is put to sleep. */
  addPeer(now: Mono, key: PublicKey): void {
    const id = keyId(key);
    if (this.#peers.has(id) || sameBytes(key, this.#ownKey)) return;
    const copy = key.slice() as PublicKey;
    const peer: Peer = { id, key: copy, asleep: false, named: [], budget: new Budget(NAMED_RATE), routes: new Map() };
    this.#peers.set(id, peer);
    const heard = this.#strangers.peek(id);
    this.#strangers.delete(id);
    if (heard?.state === 'online') this.#ask(peer, heard);
    this.#review(now);
  }

  removePeer(now: Mono, key: PublicKey): void {
    const id = keyId(key);
    const peer = this.#peers.get(id);
    if (!peer) return;
    this.#peers.delete(id);
    for (const [link, route] of peer.routes) if (route.id !== undefined) link.dropRoute(route.id);
    this.#review(now);
  }

  /**
   * The peer says that it is logged in there. An address of an internal network, or of this machine, counts
   * only if the peer (`lan`) or a relay of our own is on such a one: nobody outside shall make us knock at
   * doors inside. A relay of our own that works needs no address that peers tell.
   */
  addPeerRelay(now: Mono, key: PublicKey, info: { publicKey: PublicKey; at: Endpoint }, lan: boolean): void {
    const peer = this.#peers.get(keyId(key));
    const known = this.#links.get(keyId(info.publicKey));
    if (!peer || (known && peer.named.includes(known)) || !peer.budget.take(now)) return;
    if (!isUnicast(info.at) || (isInternal(info.at) && !lan && !this.#near(info.at))) return;
    if (peer.named.length >= MAX_NAMED) {
      const failed = peer.named.findIndex((link) => link.state === 'idle' && link.failures > 0);
      if (failed < 0) return;
      peer.named.splice(failed, 1);
    }
    const link = known && this.#works(known) ? known : this.#link(info);
    if (!link) return;
    peer.named.push(link);
    if (link.state === 'online' && !peer.asleep) this.#ask(peer, link);
    this.#review(now);
  }

  /** A peer that is reached directly keeps the routes that it has, but nothing is connected for it. */
  setPeerAsleep(now: Mono, key: PublicKey, asleep: boolean): void {
    const peer = this.#peers.get(keyId(key));
    if (!peer || peer.asleep === asleep) return;
    peer.asleep = asleep;
    if (!asleep) for (const link of this.#meetingPlaces(peer)) this.#ask(peer, link);
    this.#review(now);
  }

  /** `route`: both are there. `oob`: it may be at a relay where we are. `none`: no relay is online. */
  wayTo(id: KeyId): 'route' | 'oob' | 'none' {
    const peer = this.#peers.get(id);
    if (!peer) return this.#strangers.peek(id)?.state === 'online' ? 'oob' : 'none';
    for (const route of peer.routes.values()) if (route.online) return 'route';
    return peer.routes.size > 0 ? 'oob' : 'none';
  }

  /** The address of the relay over which we reach the peer. */
  meetingPlace(id: KeyId): Endpoint | undefined {
    for (const [link, route] of this.#peers.get(id)?.routes ?? []) if (route.online) return parseEndpoint(link.at);
    return undefined;
  }

  /** Whether the route to use takes a full packet now. */
  ready(id: KeyId): boolean {
    const peer = this.#peers.get(id);
    const link = peer && (provenLink(peer) ?? this.#anyLink(peer));
    return link?.writable ?? false;
  }

  /** False: no way, or no room. Without a route only packets up to 1024 bytes can be sent. */
  send(id: KeyId, data: Uint8Array): boolean {
    const peer = this.#peers.get(id);
    if (!peer) return data.length <= MAX_OOB_SIZE && this.#answerStranger(id, data);
    const link = provenLink(peer) ?? (data.length > MAX_OOB_SIZE ? this.#anyLink(peer) : undefined);
    if (link) this.#turn++;
    if (link) return link.sendData(peer.routes.get(link)!.id!, data);
    if (data.length > MAX_OOB_SIZE) return false;
    let sent = false;
    for (const [each, route] of peer.routes) {
      if (route.online ? each.sendData(route.id!, data) : each.sendOob(peer.key, data)) sent = true;
    }
    return sent;
  }

  /** The peer is not heard any more: the route in use may be a relay's lie. */
  doubt(id: KeyId): void {
    for (const route of this.#peers.get(id)?.routes.values() ?? []) route.proven = 0;
  }

  networkChanged(now: Mono): void {
    for (const link of this.#links.values()) link.networkChanged(now);
    this.#review(now);
  }

  /** A relay to begin an onion path with: a random one of ours, else of others. */
  onionRelay(): NodeInfo | undefined {
    const online = [...this.#live].filter((link) => link.state === 'online' && link !== this.#own);
    const ours = online.filter((link) => this.#home.has(link));
    const choice = ours.length > 0 ? ours : online;
    const link = choice[randomInt(this.#env, choice.length)];
    return link && { publicKey: link.publicKey, endpoint: link.at as Endpoint };
  }

  /** False if the relay is not online any more, or has no room. */
  sendOnion(relay: PublicKey, nonce: Uint8Array, body: Uint8Array): boolean {
    return this.#links.get(keyId(relay))?.sendOnion(nonce, body) ?? false;
  }

  isOnline(relay: PublicKey): boolean {
    return this.#links.get(keyId(relay))?.state === 'online';
  }

  /** Relays that we are logged in at and whose address is known, at most `max`: what friends are told. */
  onlineRelays(max: number): PackedNode[] {
    const found: PackedNode[] = [];
    const others = [...this.#live].filter((link) => link !== this.#own);
    for (const link of this.#own ? [this.#own, ...others] : others) {
      const endpoint = link.state === 'online' ? parseEndpoint(link.at) : undefined;
      if (endpoint && found.length < max) found.push({ publicKey: link.publicKey, endpoint, transport: 'tcp' });
    }
    return found;
  }

  get online(): number {
    return this.#online;
  }

  /** Relays for the next start, the best first. */
  savedRelays(): PackedNode[] {
    const worth = (link: RelayLink) => (link.state === 'online' ? 0 : link.wasUp ? 1 : 2 + link.failures);
    const saved: PackedNode[] = [];
    for (const { publicKey, bestAddress } of [...this.#home].sort((a, b) => worth(a) - worth(b))) {
      const endpoint = parseEndpoint(bestAddress);
      if (endpoint) saved.push({ publicKey, endpoint, transport: 'tcp' });
    }
    return saved;
  }

  /** Leaves all relays, at once. */
  close(): void {
    for (const link of this.#live) link.disconnect();
    this.#live.clear();
  }

  wake(now: Mono): void {
    for (const link of [...this.#live]) if ((link.nextWake() ?? Number.POSITIVE_INFINITY) <= now) link.wake(now);
    if (this.#reviewAt !== undefined && this.#reviewAt <= now) this.#review(now);
  }

  nextWake(): Mono | undefined {
    let next = this.#reviewAt;
    for (const link of this.#live) next = earlier(next, link.nextWake());
    return next;
  }

  #linkHooks(): RelayLinkHooks {
    return {
      onOnline: (now, link) => this.#onOnline(now, link),
      onClosed: (now, link) => this.#onClosed(now, link),
      onRoute: (_now, link, peerKey, id) => {
        const peer = this.#peers.get(keyId(peerKey));
        const route = peer?.routes.get(link);
        if (!peer || !route) {
          link.dropRoute(id);
          return;
        }
        route.id = id;
        link.routes.set(id, peer.id);
      },
      onPeer: (now, link, id, online) => {
        const peer = this.#peers.get(link.routes.get(id) ?? ('' as KeyId));
        const route = peer?.routes.get(link);
        if (!peer || !route || route.online === online) return;
        route.online = online;
        route.proven = 0;
        this.#hooks.onWay(now, peer.key);
      },
      onData: (now, link, id, data) => {
        const peer = this.#peers.get(link.routes.get(id) ?? ('' as KeyId));
        if (!peer || !this.#hooks.onPacket(now, peer.id, data)) return;
        const route = peer.routes.get(link);
        if (route?.online) route.proven = ++this.#packets;
      },
      onOob: (now, link, from, data) => this.#onOob(now, link, from, data),
      onOnionResponse: (now, link, data) => this.#hooks.onOnionResponse(now, link, data),
    };
  }

  #onOnline(now: Mono, link: RelayLink): void {
    this.#count();
    this.#env.log('relay.online', { relays: this.#online });
    this.#adopt(link);
    for (const peer of this.#peers.values()) {
      if (peer.asleep || !this.#isMeetingPlace(link, peer)) continue;
      this.#ask(peer, link);
      this.#hooks.onWay(now, peer.key);
    }
    this.#hooks.onRelays(now);
    this.#review(now);
  }

  #onClosed(now: Mono, link: RelayLink): void {
    this.#left(now, link);
    this.#review(now);
  }

  /** Its routes are gone. */
  #left(now: Mono, link: RelayLink): void {
    this.#live.delete(link);
    link.routes.clear();
    const before = this.#online;
    this.#count();
    for (const peer of this.#peers.values()) if (peer.routes.delete(link)) this.#hooks.onWay(now, peer.key);
    if (this.#online !== before) this.#hooks.onRelays(now);
  }

  #count(): void {
    this.#online = 0;
    for (const link of this.#live) if (link.state === 'online' && link !== this.#own) this.#online++;
  }

  #onOob(now: Mono, link: RelayLink, from: PublicKey, data: Uint8Array): void {
    if (sameBytes(from, this.#ownKey)) return;
    const id = keyId(from);
    const peer = this.#peers.get(id);
    if (peer) {
      this.#ask(peer, link); // it is there, so a route will come up
    } else {
      // A friend whose DHT key we do not know yet, or anybody.
      if (data[0] !== COOKIE_REQUEST && data[0] !== HANDSHAKE) return;
      if (!this.#strangerLimit.allow(now, link.id)) return;
      this.#strangers.set(id, link);
    }
    this.#hooks.onPacket(now, id, data);
  }

  #answerStranger(id: KeyId, data: Uint8Array): boolean {
    const link = this.#strangers.peek(id);
    return link?.sendOob(Buffer.from(id, 'latin1') as Uint8Array as PublicKey, data) ?? false;
  }

  /** Asks for a route, once. */
  #ask(peer: Peer, link: RelayLink): void {
    if (!peer.routes.has(link) && link.requestRoute(peer.key)) {
      peer.routes.set(link, { id: undefined, online: false, proven: 0 });
    }
  }

  /** One of the routes that are up; after each packet sent another one. */
  #anyLink(peer: Peer): RelayLink | undefined {
    const links: RelayLink[] = [];
    for (const [link, route] of peer.routes) if (route.online) links.push(link);
    return links[this.#turn % links.length];
  }

  /** Relays online at which the peer may be. */
  *#meetingPlaces(peer: Peer): Iterable<RelayLink> {
    for (const link of this.#live) {
      if (link.state === 'online' && this.#isMeetingPlace(link, peer)) yield link;
    }
  }

  #isMeetingPlace(link: RelayLink, peer: Peer): boolean {
    return this.#home.has(link) || link === this.#own || peer.named.includes(link);
  }

  /** The relay with this key, which may be known at other addresses. Undefined for ourselves. */
  #link(info: RelayInfo): RelayLink | undefined {
    if (sameBytes(info.publicKey, this.#ownKey)) return undefined;
    const id = keyId(info.publicKey);
    const known = this.#links.get(id);
    if (known) {
      known.addAddress(info.at);
      return known;
    }
    const link = new RelayLink(this.#linkDeps, info);
    this.#links.set(id, link);
    return link;
  }

  #works(link: RelayLink): boolean {
    return link !== this.#own && link.failures === 0 && (link.wasUp || this.#home.has(link));
  }

  /** A relay of our own is where this internal address is: on this machine, or in an internal network. */
  #near(at: Endpoint): boolean {
    const inside = isLoopback(at) ? isLoopback : isInternal;
    for (const link of this.#home) if (parseEndpoint(link.at) && inside(link.at as Endpoint)) return true;
    return false;
  }

  /** A relay that a friend named, and that works, is good for all. */
  #adopt(link: RelayLink): void {
    if (
      link !== this.#own &&
      this.#home.size < ENOUGH_HOME &&
      parseEndpoint(link.at) &&
      !isInternal(link.at as Endpoint)
    )
      this.#home.add(link);
  }

  #worstOfHome(): RelayLink {
    let worst: RelayLink | undefined;
    for (const link of this.#home) {
      if (!worst || (link.state === 'idle' && (worst.state !== 'idle' || link.failures > worst.failures))) worst = link;
    }
    return worst!;
  }

  /** Connects what is wanted, leaves what is not, and forgets what nobody knows any more. */
  #review(now: Mono): void {
    this.#reviewAt = now;
    if (this.#reviewing) return; // by what it causes itself; the next wake goes on
    this.#reviewing = true;
    const named = new Set<RelayLink>();
    for (const peer of this.#peers.values()) for (const link of peer.named) named.add(link);
    const wanted = this.#wanted();
    this.#reviewAt = undefined;
    for (const link of [...this.#links.values()]) {
      if (wanted.has(link)) {
        link.idleSince = undefined;
        if (link.state !== 'idle') continue;
        if (link.retryAt > now) this.#reviewBy(link.retryAt);
        else if (this.#live.size < this.#most(link)) this.#connect(now, link);
      } else if (link.state === 'idle') {
        if (!this.#home.has(link) && !named.has(link)) this.#links.delete(link.id);
      } else {
        link.idleSince ??= now;
        if (now - link.idleSince < LINGER) this.#reviewBy(link.idleSince + LINGER);
        else this.#leave(now, link);
      }
    }
    this.#reviewing = false;
  }

  #wanted(): Set<RelayLink> {
    const wanted = new Set<RelayLink>(best(this.#home));
    if (this.#own) wanted.add(this.#own);
    for (const peer of this.#peers.values()) {
      if (peer.asleep) continue;
      for (const link of best(peer.named)) wanted.add(link);
      for (const [link, route] of peer.routes) if (route.online) wanted.add(link);
    }
    return wanted;
  }

  /** Connections at which there is no place for this one. */
  #most(link: RelayLink): number {
    return this.#home.has(link) || link === this.#own ? MAX_CONNECTIONS : MAX_CONNECTIONS - RESERVED;
  }

  #connect(now: Mono, link: RelayLink): void {
    this.#live.add(link);
    link.connect(now);
  }

  #leave(now: Mono, link: RelayLink): void {
    link.disconnect();
    this.#left(now, link);
    this.#reviewBy(now); // it may be one to forget
  }

  #reviewBy(at: Mono): void {
    this.#reviewAt = earlier(this.#reviewAt, at);
  }
}

/** The route on which the peer was heard last. */
function provenLink(peer: Peer): RelayLink | undefined {
  let best: RelayLink | undefined;
  let proven = 0;
  for (const [link, route] of peer.routes) {
    if (route.proven <= proven) continue;
    proven = route.proven;
    best = link;
  }
  return best;
}

/** The three to use: those that are up, then those that are on their way, then those that failed least. */
function best(links: Iterable<RelayLink>): RelayLink[] {
  const rank = (link: RelayLink) => (link.state === 'online' ? -2 : link.state === 'connecting' ? -1 : link.failures);
  return [...links].sort((a, b) => rank(a) - rank(b) || a.lot - b.lot).slice(0, WANTED);
}
