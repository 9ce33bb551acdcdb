import type { Mono } from '../../src/core/env.ts';
import type { Datagram, Machine } from '../../src/core/machine.ts';
import { generateKeyPair, type KeyPair, type PublicKey } from '../../src/crypto/keys.ts';
import { SharedKeys } from '../../src/crypto/shared-keys.ts';
import { DhtNode, type DhtOptions } from '../../src/dht/dht-node.ts';
import { testEnv, World } from '../../src/testing/index.ts';
import { type Endpoint, endpoint } from '../../src/wire/endpoint.ts';
import type { NodeInfo } from '../../src/wire/packed-node.ts';

/** One DHT node as a machine of the simulated network; keeps what its hooks reported. */
export class TestNode implements Machine<never> {
  readonly keys: KeyPair;
  readonly at: Endpoint;
  readonly dht: DhtNode;
  readonly sent: Datagram[] = [];
  readonly nodes: NodeInfo[] = [];
  readonly found: { at: Mono; publicKey: PublicKey; endpoint: Endpoint }[] = [];
  reunions = 0;
  readonly keyPackets: { sender: PublicKey; data: Uint8Array }[] = [];

  constructor(seed: number, at: Endpoint, options?: DhtOptions) {
    const env = testEnv(seed);
    this.keys = generateKeyPair(env);
    this.at = at;
    this.dht = new DhtNode(
      env,
      this.keys,
      new SharedKeys(this.keys.secretKey, 4096),
      (to, data, spread) => this.sent.push(spread ? { to, data, spread } : { to, data }),
      {
        onNode: (_now, node) => this.nodes.push(node),
        onFound: (now, publicKey, from) => this.found.push({ at: now, publicKey, endpoint: from }),
        onReunion: () => this.reunions++,
        onDhtKeyPacket: (_now, sender, data) => this.keyPackets.push({ sender, data: data.slice() }),
      },
      options,
    );
  }

  get info(): NodeInfo {
    return { publicKey: this.keys.publicKey, endpoint: this.at };
  }

  receive(now: Mono, from: Endpoint, data: Uint8Array): void {
    this.dht.handle(now, from, data);
  }

  wake(now: Mono): void {
    this.dht.wake(now);
  }

  nextWake(): Mono | undefined {
    return this.dht.nextWake();
  }

  takeDatagram(): Datagram | undefined {
    return this.sent.shift();
  }

  takeEvent(): undefined {
    return undefined;
  }
}

export function ip(host: string, port = 33445): Endpoint {
  return endpoint(host, port)!;
}

/** `count` nodes on public addresses, all but the first bootstrapping from the first. */
export function network(seed: number, count: number): { world: World<never>; nodes: TestNode[] } {
  const world = new World<never>(seed);
  const nodes: TestNode[] = [];
  for (let i = 0; i < count; i++) {
    const node = new TestNode(seed * 10_000 + i, ip(`198.51.${Math.floor(i / 250)}.${(i % 250) + 1}`));
    nodes.push(node);
    world.add(node.at, node);
    if (i > 0) world.poke(node.at, () => node.dht.bootstrap(world.now, nodes[0]!.info));
  }
  return { world, nodes };
}
