import { readFileSync } from 'node:fs';
import {
  keyPairFromSecret,
  type Nonce,
  type PublicKey,
  type SecretKey,
  type SharedKey,
} from '../../src/crypto/keys.ts';
import { open, sharedKey } from '../../src/crypto/sodium.ts';
import { type Endpoint, endpoint } from '../../src/wire/endpoint.ts';
import type { NodeInfo } from '../../src/wire/packed-node.ts';

// Golden bytes made by c-toxcore; `interop/capture` writes the files and says how.

/** One node of the captured network. Keys in lower-case hex. */
export interface GoldenNode {
  readonly ip4: string;
  readonly ip6?: string;
  readonly port: number;
  readonly realKey: string;
  readonly realSecret: string;
  readonly dhtKey: string;
  readonly dhtSecret: string;
  readonly toxId: string;
}

export interface GoldenDatagram {
  readonly from: string;
  readonly to: string;
  readonly data: string;
}

// biome-ignore lint/suspicious/noExplicitAny: the files have as many shapes as there are packets
export function vectors(name: string): any {
  return JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url), 'utf8'));
}

/** Bytes of a hex string, as whatever brand the test needs. */
export function bytes<T extends Uint8Array = Uint8Array>(hex: string): T {
  return new Uint8Array(Buffer.from(hex, 'hex')) as Uint8Array as T;
}

export function hex(data: Uint8Array): string {
  return Buffer.from(data).toString('hex');
}

export function utf8(data: Uint8Array): string {
  return Buffer.from(data).toString('utf8');
}

/** The key of a box between the owner of `secret` and the one of `publicKey`, both in hex. */
export function shared(publicKey: string, secret: string): SharedKey {
  return sharedKey(bytes<PublicKey>(publicKey), bytes<SecretKey>(secret))!;
}

/** Opens a box or fails the test. */
export function opened(key: SharedKey, nonce: Uint8Array, box: Uint8Array): Uint8Array {
  const plain = open(key, nonce as Nonce, box);
  if (!plain) throw new Error('the box does not open');
  return plain;
}

export function publicOf(secret: string): string {
  return hex(keyPairFromSecret(bytes<SecretKey>(secret)).publicKey);
}

/** The captured network: who lives where. */
export class GoldenNetwork {
  readonly #nodes: Readonly<Record<string, GoldenNode>>;

  constructor(nodes: Record<string, GoldenNode>) {
    this.#nodes = nodes;
  }

  node(name: string): GoldenNode {
    return this.#nodes[name]!;
  }

  endpoints(name: string): Endpoint[] {
    const { ip4, ip6, port } = this.node(name);
    return [endpoint(ip4, port)!, ...(ip6 ? [endpoint(ip6, port)!] : [])];
  }

  /** The name of the node with this DHT key. */
  named(dhtKey: Uint8Array): string | undefined {
    return Object.keys(this.#nodes).find((name) => this.node(name).dhtKey === hex(dhtKey));
  }

  /** Whether a node that a packet tells of is one of this network, at its true address. */
  tells(node: NodeInfo): boolean {
    const name = this.named(node.publicKey);
    return name !== undefined && this.endpoints(name).includes(node.endpoint);
  }
}
