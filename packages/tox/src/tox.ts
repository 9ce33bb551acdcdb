import { earlier, isDue } from './core/deadline.ts';
import type { Env, Mono } from './core/env.ts';
import { Fifo } from './core/fifo.ts';
import type { Datagram, Machine, SendDatagram } from './core/machine.ts';
import { type Stream, type StreamHandler, Streams } from './core/streams.ts';
import { generateKeyPair, type KeyPair, keyPairFromSecret, type PublicKey, type SecretKey } from './crypto/keys.ts';
import { SharedKeys } from './crypto/shared-keys.ts';
import { DhtNode } from './dht/dht-node.ts';
import type { FriendConnections } from './friend/friend-connections.ts';
import type { FriendRelays } from './friend/friend-relays.ts';
import { friendsOverSessions } from './friend/over-sessions.ts';
import type { ToxConnection, ToxEvent } from './messenger/events.ts';
import type { Profile } from './messenger/friend-record.ts';
import { Messenger } from './messenger/messenger.ts';
import type { Nospam } from './messenger/tox-id.ts';
import { OnionClient } from './onion/onion-client.ts';
import { OnionRelay } from './onion/onion-relay.ts';
import { MAX_SHARED_RELAYS } from './packet/friend.ts';
import { RelayConnections } from './relay/connections.ts';
import { openThroughProxy, type StreamProxy } from './relay/proxy.ts';
import type { RelayAddress, RelayInfo } from './relay/relay-link.ts';
import { type RelayLimits, RelayServer, type RelayStats } from './relay/server.ts';
import type { NetCrypto } from './session/net-crypto.ts';
import { readToxSave, type ToxSave, writeToxSave } from './state/tox-save.ts';
import { type Endpoint, endpoint, endpointAddress, isInternal, parseEndpoint } from './wire/endpoint.ts';
import { MAX_SENT_NODES, type NodeInfo, type PackedNode } from './wire/packed-node.ts';

export interface ToxOptions {
  /** A profile that is not encrypted; absent: a new identity. */
  readonly save?: Uint8Array | undefined;
  /**
   * The key of this node in the DHT. Default, and right for everyone but bootstrap nodes: a new one
   * for each run, as it can be followed from address to address.
   */
  readonly dhtSecretKey?: SecretKey | undefined;
  /** Answered to whoever asks (0xf0), as bootstrap nodes do. `motd` at most 256 bytes. */
  readonly bootstrapInfo?: { readonly version: number; readonly motd: Uint8Array } | undefined;
  /** False: no datagram is sent; everything goes over TCP relays. */
  readonly udp?: boolean | undefined;
  /** All relays are reached through it. It excludes `udp`, which would go beside it. */
  readonly proxy?: StreamProxy | undefined;
  /** Serve others as a TCP relay, for streams that the driver accepts. */
  readonly relay?: RelayLimits | undefined;
  /** Whether nodes of the local network find us, and we them, without any other. Default false. */
  readonly lanDiscovery?: boolean | undefined;
}

/** Shared keys with DHT nodes and onion hops: what a close list and its visitors need, 52 µs each. */
const DHT_SHARED_KEYS = 4096;
/** Nodes of the last run that are asked at the start. */
const SAVED_NODES_ASKED = 32;
/** As in c-toxcore: relays among the nodes of a DHT-key packet, and nodes for onion paths that are saved. */
const RELAYS_TOLD = 2;
const PATH_NODES_SAVED = 8;
/** Ways in that are remembered, for when UDP does not get through. */
const MAX_ENTRIES = 64;
/** UDP has so long to get through before nodes are tried that may be TCP relays; ms. */
const UDP_PATIENCE = 3_000;

/**
 * One identity in the Tox network, without a socket: takes datagrams and the time, gives datagrams,
 * events and its next deadline. Here the layers are put together; each knows only those below it.
 */
export class Tox implements Machine<ToxEvent> {
  readonly messenger: Messenger;
  readonly dhtKeys: KeyPair;
  readonly realKeys: KeyPair;
  readonly streams = new Streams();

  readonly #env: Env;
  readonly #dht: DhtNode;
  readonly #onionRelay: OnionRelay;
  readonly #onion: OnionClient;
  readonly #relayServer: RelayServer | undefined;
  readonly #relays: RelayConnections;
  readonly #sessions: NetCrypto;
  readonly #friends: FriendConnections;
  readonly #save: ToxSave;
  readonly #datagrams = new Fifo<Datagram>();
  readonly #events = new Fifo<ToxEvent>();
  readonly #udp: boolean;
  readonly #proxy: StreamProxy | undefined;
  /** Ways in, for the onion while UDP does not get through. BOUNDED: MAX_ENTRIES, as the next. */
  readonly #entries: NodeInfo[] = [];
  /** Those of them that may be relays as well, and when to try. */
  #perhapsRelays: NodeInfo[] = [];
  #perhapsRelaysAt: Mono | undefined;
  #connection: ToxConnection = 'none';
  #ownEndpoint: Endpoint | undefined;

  /** Throws `bad-save` for a profile that cannot be read. */
  constructor(env: Env, now: Mono, options: ToxOptions = {}) {
    this.#env = env;
    this.#save = options.save ? readToxSave(options.save) : newSave(env);
    this.realKeys = this.#save.keys;
    this.dhtKeys = options.dhtSecretKey ? keyPairFromSecret(options.dhtSecretKey) : generateKeyPair(env);

    const { realKeys, dhtKeys } = this;
    const dhtSharedKeys = new SharedKeys(dhtKeys.secretKey, DHT_SHARED_KEYS);
    this.#proxy = options.proxy;
    this.#udp = (options.udp ?? true) && !options.proxy;
    const send: SendDatagram = (to, data, spread) => {
      if (this.#udp) this.#datagrams.push({ to, data, spread });
    };

    this.#dht = new DhtNode(
      env,
      dhtKeys,
      dhtSharedKeys,
      send,
      {
        onNode: (at, node) => this.#onion.addNode(at, node),
        onFound: (at, dhtKey, endpoint) => this.#friends.onFound(at, dhtKey, endpoint),
        onDhtKeyPacket: (at, sender, data) => this.#onion.handleDhtKeyPacket(at, sender, data),
        onReunion: (at) => this.#seekFriends(at),
      },
      {
        ...(options.bootstrapInfo && { bootstrapInfo: options.bootstrapInfo }),
        lanDiscovery: options.lanDiscovery ?? false,
      },
    );
    this.#onionRelay = new OnionRelay(
      env,
      dhtKeys,
      dhtSharedKeys,
      send,
      (at, target, asker) => this.#dht.closest(at, target, MAX_SENT_NODES, asker),
      (at, key, dataKey) => this.#onion.announcedHere(at, key, dataKey),
      (client, payload) => this.#relayServer?.sendOnionResponse(client, payload),
    );
    if (options.relay) this.#relayServer = this.#serveRelay(options.relay);
    this.#relays = new RelayConnections(
      env,
      { dhtKeys, open: (to, handler) => this.#open(to, handler) },
      {
        onPacket: (at, peer, data) => this.#sessions.handleRelayed(at, peer, data),
        onWay: (at, dhtKey) => this.#friends.onRelayWay(at, dhtKey),
        onOnionResponse: (at, relay, data) => this.#onion.handleFrom(at, firstHop(relay), data),
        onRelays: (at) => this.#relaysChanged(at),
      },
    );
    this.#onion = new OnionClient(
      env,
      {
        realKeys,
        dhtKeys,
        dhtSharedKeys,
        send,
        relays: this.#relays,
        ownNodes: (at) => this.#ownNodes(at),
        deliver: (at, request) => this.#onionRelay.deliver(at, request),
        probe: (at, node) => this.#dht.probe(at, node, dhtKeys.publicKey),
        sendDhtRequest: (at, dhtKey, id, data) => this.#dht.sendRequest(at, dhtKey, id, data),
      },
      {
        onFriendDhtKey: (at, friend, dhtKey, nodes) => this.#friends.onFriendDhtKey(at, friend, dhtKey, nodes),
        onFriendRequest: (at, from, nospam, message) => this.messenger.onFriendRequest(at, from, nospam, message),
      },
    );
    const { sessions, friends } = friendsOverSessions(
      env,
      { realKeys, dhtKeys, dhtSharedKeys, send, relays: this.#relays },
      { dht: this.#dht, onion: this.#onion, relays: this.#friendRelays() },
      () => this.messenger,
    );
    this.#sessions = sessions;
    this.#friends = friends;
    this.messenger = new Messenger(env, {
      now,
      ownKey: realKeys.publicKey,
      profile: this.#save.profile,
      links: this.#friends,
      emit: (event) => this.#events.push(event),
    });

    for (const { publicKey, endpoint } of this.#save.tcpRelays) this.addRelay(now, { publicKey, at: endpoint });
    for (const { friend, node } of this.#save.friendNodes) this.#friends.remember(now, friend, node);
    for (const node of this.#save.dhtNodes.slice(0, SAVED_NODES_ASKED)) this.#enter(now, node);
    for (const node of this.#save.pathNodes) this.#enter(now, node);
  }

  /**
   * Names a node to enter the network by; more than one may be named, at any time. `tcpPorts`: where it
   * is a TCP relay too; if that is not known, its UDP port is tried a little later.
   */
  bootstrap(now: Mono, node: NodeInfo, tcpPorts?: readonly number[]): void {
    this.#enter(now, node);
    const { publicKey } = node;
    for (const port of tcpPorts ?? []) {
      const at = endpoint(endpointAddress(node.endpoint), port);
      if (at) this.addRelay(now, { publicKey, at });
    }
    if (tcpPorts) return;
    keep(this.#perhapsRelays, node);
    this.#perhapsRelaysAt ??= this.#udp ? now + UDP_PATIENCE : now;
  }

  /** To be told whenever the machine has come into a network: at the start, after a change, after a sleep. */
  networkChanged(now: Mono): void {
    this.#dht.networkChanged(now);
    this.#relays.networkChanged(now);
    this.#seekFriends(now);
  }

  /** Names a TCP relay to use; more than one may be named, at any time. */
  addRelay(now: Mono, relay: RelayInfo): void {
    this.#relays.addRelay(now, relay);
  }

  /** Where our own relay listens, as seen from here: friends are told that we are one. */
  addOwnRelay(now: Mono, at: Endpoint): void {
    this.#relays.addOwnRelay(now, at);
  }

  get connection(): ToxConnection {
    return this.#connection;
  }

  /** DHT nodes that answered within the last 122 s. */
  liveNodes(now: Mono): number {
    return this.#dht.liveNodes(now);
  }

  /** What our relay serves; undefined if we are none. */
  get relayStats(): RelayStats | undefined {
    return this.#relayServer?.stats;
  }

  /** The profile as it is now, in the standard format, not encrypted. */
  save(now: Mono): Uint8Array {
    const dhtNodes = this.#dht.savedNodes(now).map(udpNode);
    const relays = this.#relays.savedRelays();
    const pathNodes = this.#onion.pathNodes(now, PATH_NODES_SAVED).map(udpNode);
    return writeToxSave({
      ...this.#save,
      profile: this.messenger.profile(),
      dhtNodes: dhtNodes.length > 0 ? dhtNodes : this.#save.dhtNodes,
      tcpRelays: relays.length > 0 ? relays : this.#save.tcpRelays,
      pathNodes: pathNodes.length > 0 ? pathNodes : this.#save.pathNodes,
      friendNodes: this.#friends.lastMet(),
    });
  }

  /** Tells all friends that we leave; datagrams and streams are still to be drained. */
  close(now: Mono): void {
    this.#sessions.closeAll(now);
    this.#relays.close();
    this.#relayServer?.close();
  }

  receive(now: Mono, from: Endpoint, data: Uint8Array): void {
    // By how often they come.
    const handled =
      this.#sessions.handle(now, from, data) ||
      this.#dht.handle(now, from, data) ||
      this.#onionRelay.handle(now, from, data) ||
      this.#onion.handle(now, from, data);
    if (handled && this.#connection !== 'udp') this.#checkConnection(now);
  }

  wake(now: Mono): void {
    // Most wakes are for one layer, and each looks through its lists.
    if (isDue(this.#dht.nextWake(), now)) this.#dht.wake(now);
    if (isDue(this.#onion.nextWake(), now)) this.#onion.wake(now);
    if (isDue(this.#sessions.nextWake(), now)) this.#sessions.wake(now);
    if (isDue(this.#friends.nextWake(), now)) this.#friends.wake(now);
    if (isDue(this.#relayServer?.nextWake(), now)) this.#relayServer?.wake(now);
    if (isDue(this.#relays.nextWake(), now)) this.#relays.wake(now);
    if (isDue(this.#perhapsRelaysAt, now)) this.#tryRelays(now);
    this.#checkConnection(now);
  }

  nextWake(): Mono | undefined {
    return earlier(
      earlier(earlier(this.#dht.nextWake(), this.#onion.nextWake()), this.#relayServer?.nextWake()),
      earlier(
        earlier(this.#sessions.nextWake(), this.#friends.nextWake()),
        earlier(this.#relays.nextWake(), this.#perhapsRelaysAt),
      ),
    );
  }

  takeDatagram(): Datagram | undefined {
    return this.#datagrams.shift();
  }

  takeEvent(): ToxEvent | undefined {
    return this.#events.shift();
  }

  #serveRelay(limits: RelayLimits): RelayServer {
    const server = new RelayServer(
      this.#env,
      this.dhtKeys,
      {
        onOnionRequest: (at, client, from, nonce, body) =>
          this.#onionRelay.forwardFromClient(at, client, from, nonce, body),
      },
      limits,
    );
    this.streams.onAccept = (at, from, stream) => server.accept(at, from, stream);
    return server;
  }

  #open(to: RelayAddress, handler: StreamHandler): Stream {
    const proxy = this.#proxy;
    return proxy ? openThroughProxy(this.#env, this.streams, proxy, to, handler) : this.streams.open(to, handler);
  }

  /** A node that may know others: asked over UDP, and kept for the onion while that does not work. */
  #enter(now: Mono, node: NodeInfo): void {
    if (this.#udp) this.#dht.bootstrap(now, node);
    keep(this.#entries, node);
    if (this.#connection === 'tcp') this.#onion.addDistantNode(now, node);
  }

  /** Public nodes are relays as well, most of them at the same port. */
  #tryRelays(now: Mono): void {
    this.#perhapsRelaysAt = undefined;
    for (const { publicKey, endpoint } of this.#perhapsRelays) this.addRelay(now, { publicKey, at: endpoint });
    this.#perhapsRelays = [];
  }

  #relaysChanged(now: Mono): void {
    this.#onion.relaysChanged(now);
    this.#checkConnection(now);
    this.#friends.onRelays(now);
  }

  #checkConnection(now: Mono): void {
    const { endpoint: own } = this.#dht.ownAddress();
    if (own !== this.#ownEndpoint) {
      this.#ownEndpoint = own;
      if (this.#connection === 'udp' && own) this.#onion.hurry(now); // friends are to hear of the new address
    }
    const connection = this.#dht.connected(now) ? 'udp' : this.#relays.online > 0 ? 'tcp' : 'none';
    if (connection === this.#connection) return;
    this.#connection = connection;
    this.#env.log('connection', { connection });
    if (connection === 'tcp') this.#enterByRelay(now);
    if (connection !== 'none') this.#seekFriends(now);
    this.#events.push({ type: 'connection', connection });
  }

  /** We may be reached, and reach others, as we did not before: friends are sought as if new, and where they were. */
  #seekFriends(now: Mono): void {
    this.#onion.hurry(now);
    this.#friends.recall(now);
  }

  /** The onion needs nodes beside the relay, and nobody can ask them whether they live. */
  #enterByRelay(now: Mono): void {
    for (const node of this.#entries) this.#onion.addDistantNode(now, node);
    if (this.#entries.length > 0) return;
    // A relay is a node of the DHT as well, most often at the same port.
    for (const relay of this.#relays.onlineRelays(RELAYS_TOLD)) this.#onion.addDistantNode(now, relay);
  }

  #friendRelays(): FriendRelays {
    const relays = this.#relays;
    return {
      addPeer: (now, dhtKey) => relays.addPeer(now, dhtKey),
      removePeer: (now, dhtKey) => relays.removePeer(now, dhtKey),
      addPeerRelay: (now, dhtKey, relay, lan) => relays.addPeerRelay(now, dhtKey, relay, lan),
      setPeerAsleep: (now, dhtKey, asleep) => relays.setPeerAsleep(now, dhtKey, asleep),
      wayTo: (id) => relays.wayTo(id),
      meetingPlace: (id) => relays.meetingPlace(id),
      shared: () => relays.onlineRelays(MAX_SHARED_RELAYS),
    };
  }

  /**
   * What friends are told beside our DHT key. Ourselves first: a c-toxcore friend asks that node at
   * once, finds "us", and opens the session without searching.
   */
  #ownNodes(now: Mono): PackedNode[] {
    const nodes = this.#dht.closest(now, this.dhtKeys.publicKey, MAX_SENT_NODES).map(udpNode);
    const relays = this.#relays.onlineRelays(nodes.length > 0 ? RELAYS_TOLD : MAX_SHARED_RELAYS);
    const own = this.#ownEndpoint;
    const self = own ? [udpNode({ publicKey: this.dhtKeys.publicKey, endpoint: own })] : [];
    return [...self, ...relays, ...nodes];
  }
}

/** A profile of a new identity, without a network. */
export function newProfile(env: Env): Uint8Array {
  return writeToxSave(newSave(env));
}

function newSave(env: Env): ToxSave {
  const none = new Uint8Array(0);
  const profile: Profile = {
    nospam: env.random(4).slice() as Nospam,
    name: none,
    statusMessage: none,
    status: 'none',
    friends: [],
  };
  return {
    keys: generateKeyPair(env),
    profile,
    dhtNodes: [],
    tcpRelays: [],
    pathNodes: [],
    friendNodes: [],
    other: [],
  };
}

function keep(nodes: NodeInfo[], node: NodeInfo): void {
  nodes.push(node);
  if (nodes.length > MAX_ENTRIES) nodes.shift();
}

/** Whom to charge for what a relay brings. */
function firstHop({ at }: RelayInfo): { source: string; internal: boolean } {
  const endpoint = parseEndpoint(at);
  return { source: at, internal: endpoint !== undefined && isInternal(endpoint) };
}

function udpNode(node: NodeInfo): PackedNode {
  return { publicKey: node.publicKey as PublicKey, endpoint: node.endpoint, transport: 'udp' };
}
