import type { Mono } from '../../src/core/env.ts';
import type { Datagram, Machine } from '../../src/core/machine.ts';
import { generateKeyPair, type KeyPair, type PublicKey, sameBytes, toHex } from '../../src/crypto/keys.ts';
import { SharedKeys } from '../../src/crypto/shared-keys.ts';
import { compareDistance } from '../../src/dht/distance.ts';
import { OnionClient } from '../../src/onion/onion-client.ts';
import { OnionRelay } from '../../src/onion/onion-relay.ts';
import { noRelays, testEnv, World } from '../../src/testing/index.ts';
import { type Endpoint, endpoint } from '../../src/wire/endpoint.ts';
import type { NodeInfo, PackedNode } from '../../src/wire/packed-node.ts';

/** What a peer of the test network noticed. */
export type Notice =
  | { kind: 'dht-key'; from: string; dhtKey: PublicKey; nodes: PackedNode[] }
  | { kind: 'request'; from: string; nospam: Uint8Array; message: Uint8Array };

/** A node without a DHT: whom it knows is told by the test. */
export class OnionPeer implements Machine<Notice> {
  readonly at: Endpoint;
  readonly realKeys: KeyPair;
  readonly dhtKeys: KeyPair;
  readonly relay: OnionRelay;
  readonly client: OnionClient;
  /** Its DHT: the nodes it names to others. */
  readonly known: NodeInfo[] = [];
  readonly routed: { to: PublicKey; data: Uint8Array }[] = [];
  /** Nodes that the client wants a sign of life of; the test answers with `addNode`, if at all. */
  readonly probed: NodeInfo[] = [];
  readonly notices: Notice[] = [];
  #out: Datagram[] = [];

  constructor(seed: number, at: Endpoint, now: () => Mono) {
    const env = testEnv(seed, now);
    this.at = at;
    this.realKeys = generateKeyPair(env);
    this.dhtKeys = generateKeyPair(env);
    const shared = new SharedKeys(this.dhtKeys.secretKey, 512);
    const send = (to: Endpoint, data: Uint8Array) => void this.#out.push({ to, data });
    this.relay = new OnionRelay(
      env,
      this.dhtKeys,
      shared,
      send,
      (_now, target) => [...this.known].sort((a, b) => compareDistance(target, a.publicKey, b.publicKey)).slice(0, 4),
      (at, key, dataKey) => this.client.announcedHere(at, key, dataKey),
    );
    this.client = new OnionClient(
      env,
      {
        realKeys: this.realKeys,
        dhtKeys: this.dhtKeys,
        dhtSharedKeys: shared,
        send,
        relays: noRelays,
        ownNodes: () => [{ ...this.info, transport: 'udp' }],
        deliver: (at, request) => this.relay.deliver(at, request),
        probe: (_now, node) => this.probed.push(node),
        sendDhtRequest: (_now, to, _id, data) => this.routed.push({ to, data }),
      },
      {
        onFriendDhtKey: (_now, friend, dhtKey, nodes) =>
          void this.notices.push({ kind: 'dht-key', from: toHex(friend), dhtKey, nodes }),
        onFriendRequest: (_now, from, nospam, message) =>
          void this.notices.push({ kind: 'request', from: toHex(from), nospam, message }),
      },
    );
  }

  get info(): NodeInfo {
    return { publicKey: this.dhtKeys.publicKey, endpoint: this.at };
  }

  get name(): string {
    return toHex(this.realKeys.publicKey);
  }

  /** As if the DHT had an answer from `peer`. */
  meet(now: Mono, peer: OnionPeer): void {
    if (!this.known.some((n) => sameBytes(n.publicKey, peer.dhtKeys.publicKey))) this.known.push(peer.info);
    this.client.addNode(now, peer.info);
  }

  receive(now: Mono, from: Endpoint, data: Uint8Array): void {
    if (!this.relay.handle(now, from, data)) this.client.handle(now, from, data);
  }

  wake(now: Mono): void {
    this.client.wake(now);
  }

  nextWake(): Mono | undefined {
    return this.client.nextWake();
  }

  takeDatagram(): Datagram | undefined {
    return this.#out.shift();
  }

  takeEvent(): Notice | undefined {
    return undefined;
  }
}

/** `count` peers that know nobody yet, in different networks. */
export function network(seed: number, count: number): { world: World<Notice>; peers: OnionPeer[] } {
  const world = new World<Notice>(seed);
  const peers = Array.from({ length: count }, (_, i) => {
    const at = endpoint(`${20 + (i >> 8)}.${i & 255}.0.1`, 33445)!;
    const peer = new OnionPeer(seed * 1000 + i, at, () => world.now);
    world.add(at, peer);
    return peer;
  });
  return { world, peers };
}
