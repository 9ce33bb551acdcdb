import { earlier } from './core/deadline.ts';
import type { Env, Mono } from './core/env.ts';
import { Fifo } from './core/fifo.ts';
import type { Datagram, Machine } from './core/machine.ts';
import { Streams } from './core/streams.ts';
import { generateKeyPair, type KeyPair, keyPairFromSecret, type PublicKey, type SecretKey } from './crypto/keys.ts';
import { SharedKeys } from './crypto/shared-keys.ts';
import { DhtNode } from './dht/dht-node.ts';
import { FriendConnections } from './friend/friend-connections.ts';
import type { ToxEvent } from './messenger/events.ts';
import type { Profile } from './messenger/friend-record.ts';
import { Messenger } from './messenger/messenger.ts';
import type { Nospam } from './messenger/tox-id.ts';
import { OnionClient } from './onion/onion-client.ts';
import { OnionRelay } from './onion/onion-relay.ts';
import { type RelayLimits, RelayServer, type RelayStats } from './relay/server.ts';
import { NetCrypto } from './session/net-crypto.ts';
import { readToxSave, type ToxSave, writeToxSave } from './state/tox-save.ts';
import type { Endpoint } from './wire/endpoint.ts';
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
  /** Serve others as a TCP relay, for streams that the driver accepts. */
  readonly relay?: RelayLimits | undefined;
  /** Whether nodes of the local network find us, and we them, without any other. Default false. */
  readonly lanDiscovery?: boolean | undefined;
}

/** Shared keys with DHT nodes and onion hops: what a close list and its visitors need, 52 µs each. */
const DHT_SHARED_KEYS = 4096;
/** Nodes of the last run that are asked at the start. */
const SAVED_NODES_ASKED = 32;

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
  readonly #sessions: NetCrypto;
  readonly #friends: FriendConnections;
  readonly #save: ToxSave;
  readonly #datagrams = new Fifo<Datagram>();
  readonly #events = new Fifo<ToxEvent>();
  #connected = false;
  #ownEndpoint: Endpoint | undefined;

  /** Throws `bad-save` for a profile that cannot be read. */
  constructor(env: Env, now: Mono, options: ToxOptions = {}) {
    this.#env = env;
    this.#save = options.save ? readToxSave(options.save) : newSave(env);
    this.realKeys = this.#save.keys;
    this.dhtKeys = options.dhtSecretKey ? keyPairFromSecret(options.dhtSecretKey) : generateKeyPair(env);

    const { realKeys, dhtKeys } = this;
    const dhtSharedKeys = new SharedKeys(dhtKeys.secretKey, DHT_SHARED_KEYS);
    const send = (to: Endpoint, data: Uint8Array) => this.#datagrams.push({ to, data });

    this.#dht = new DhtNode(
      env,
      dhtKeys,
      dhtSharedKeys,
      send,
      {
        onNode: (at, node) => this.#onion.addNode(at, node),
        onFound: (at, dhtKey, endpoint) => this.#friends.onFound(at, dhtKey, endpoint),
        onDhtKeyPacket: (at, sender, data) => this.#onion.handleDhtKeyPacket(at, sender, data),
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
    this.#onion = new OnionClient(
      env,
      {
        realKeys,
        dhtKeys,
        dhtSharedKeys,
        send,
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
    this.#sessions = new NetCrypto(
      env,
      { realKeys, dhtKeys, dhtSharedKeys, send },
      {
        isFriend: (key) => this.#friends.isFriend(key),
        onDhtKey: (at, key, dhtKey) => this.#friends.onSessionDhtKey(at, key, dhtKey),
        onEstablished: (at, key) => this.#friends.onEstablished(at, key),
        onClosed: (at, key) => this.#friends.onClosed(at, key),
        onLossless: (at, key, data) => this.#friends.onLossless(at, key, data),
        onLossy: (at, key, data) => this.#friends.onLossy(at, key, data),
        onAcknowledged: (at, key, upTo) => this.#friends.onAcknowledged(at, key, upTo),
        onWritable: (at, key) => this.#friends.onWritable(at, key),
      },
    );
    this.#friends = new FriendConnections(
      env,
      { dht: this.#dht, onion: this.#onion, sessions: this.#sessions },
      {
        onConnected: (at, key) => this.messenger.onConnected(at, key),
        onDisconnected: (at, key) => this.messenger.onDisconnected(at, key),
        onLossless: (at, key, data) => this.messenger.onLossless(at, key, data),
        onLossy: (at, key, data) => this.messenger.onLossy(at, key, data),
        onAcknowledged: (at, key, upTo) => this.messenger.onAcknowledged(at, key, upTo),
        onWritable: (at, key) => this.messenger.onWritable(at, key),
        onFriendRequest: (at, from, nospam, message) => this.messenger.onFriendRequest(at, from, nospam, message),
      },
    );
    this.messenger = new Messenger(env, {
      now,
      ownKey: realKeys.publicKey,
      profile: this.#save.profile,
      links: this.#friends,
      emit: (event) => this.#events.push(event),
    });

    for (const { friend, node } of this.#save.friendNodes) this.#friends.remember(now, friend, node);
    for (const node of this.#save.dhtNodes.slice(0, SAVED_NODES_ASKED)) this.#dht.bootstrap(now, node);
  }

  /** Names a node to enter the network by; more than one may be named, at any time. */
  bootstrap(now: Mono, node: NodeInfo): void {
    this.#dht.bootstrap(now, node);
  }

  /** To be told whenever the machine has come into a network: at the start, after a change, after a sleep. */
  networkChanged(now: Mono): void {
    this.#dht.networkChanged(now);
    this.#onion.hurry(now);
  }

  /** Whether at least one DHT node answers. */
  get connected(): boolean {
    return this.#connected;
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
    return writeToxSave({
      ...this.#save,
      profile: this.messenger.profile(),
      dhtNodes: dhtNodes.length > 0 ? dhtNodes : this.#save.dhtNodes,
      friendNodes: this.#friends.lastMet(),
    });
  }

  /** Tells all friends that we leave; the datagrams are still to be taken. */
  close(now: Mono): void {
    this.#sessions.closeAll(now);
    this.#relayServer?.close();
  }

  receive(now: Mono, from: Endpoint, data: Uint8Array): void {
    // By how often they come.
    const handled =
      this.#sessions.handle(now, from, data) ||
      this.#dht.handle(now, from, data) ||
      this.#onionRelay.handle(now, from, data) ||
      this.#onion.handle(now, from, data);
    if (handled && !this.#connected) this.#checkConnection(now);
  }

  wake(now: Mono): void {
    this.#dht.wake(now);
    this.#onion.wake(now);
    this.#sessions.wake(now);
    this.#friends.wake(now);
    this.#relayServer?.wake(now);
    this.#checkConnection(now);
  }

  nextWake(): Mono | undefined {
    return earlier(
      earlier(earlier(this.#dht.nextWake(), this.#onion.nextWake()), this.#relayServer?.nextWake()),
      earlier(this.#sessions.nextWake(), this.#friends.nextWake()),
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

  #checkConnection(now: Mono): void {
    const { endpoint } = this.#dht.ownAddress();
    if (endpoint !== this.#ownEndpoint) {
      this.#ownEndpoint = endpoint;
      if (this.#connected && endpoint) this.#onion.hurry(now); // friends are to hear of the new address
    }
    const connected = this.#dht.connected(now);
    if (connected === this.#connected) return;
    this.#connected = connected;
    this.#env.log('connection', { connected });
    if (connected) this.#onion.hurry(now);
    this.#events.push({ type: 'connection', connected });
  }

  /**
   * What friends are told beside our DHT key. Ourselves first: a c-toxcore friend asks that node at
   * once, finds "us", and opens the session without searching.
   */
  #ownNodes(now: Mono): PackedNode[] {
    const nodes = this.#dht.closest(now, this.dhtKeys.publicKey, MAX_SENT_NODES).map(udpNode);
    const endpoint = this.#ownEndpoint;
    return endpoint ? [udpNode({ publicKey: this.dhtKeys.publicKey, endpoint }), ...nodes] : nodes;
  }
}

/** A profile of a new identity, without a network. */
export function newProfile(env: Env): Uint8Array {
  return writeToxSave(newSave(env));
}

function newSave(env: Env): ToxSave {
  const none = new Uint8Array(0);
  const profile: Profile = {
    nospam: env.random(4) as Nospam,
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

function udpNode(node: NodeInfo): PackedNode {
  return { publicKey: node.publicKey as PublicKey, endpoint: node.endpoint, transport: 'udp' };
}
