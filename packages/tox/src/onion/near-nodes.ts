import type { Mono } from '../core/env.ts';
import { type KeyId, keyId, type PublicKey } from '../crypto/keys.ts';
import { compareDistance } from '../dht/distance.ts';
import { type AnnounceResponsePlain, NOT_STORED } from '../packet/onion.ts';
import type { NodeInfo } from '../wire/packed-node.ts';
import type { OnionPath } from './path.ts';

// c-toxcore.
/** ONION_NODE_MAX_PINGS. */
export const MAX_UNANSWERED = 3;
/** ONION_NODE_TIMEOUT: a node is dropped this long after its last unanswered request; ms. */
export const NODE_TIMEOUT = 15_000;

/** A node that answered an announce request. */
export interface NearNode {
  readonly id: KeyId;
  node: NodeInfo;
  readonly addedAt: Mono;
  askedAt: Mono;
  /** Requests since its last answer. */
  unanswered: number;
  /** Its last answer. */
  status: AnnounceResponsePlain['status'];
  heardAt: Mono;
  /** The path of its last answer, to which its ping id is bound. */
  path: OnionPath;
  pingId: Uint8Array | undefined;
  /** To be asked before its turn. */
  hurried: boolean;
}

/** The nodes nearest to a key among those that answered. BOUNDED: `capacity`, the farthest goes first. */
export class NearNodes {
  readonly capacity: number;
  readonly #reference: PublicKey;
  readonly #nodes = new Map<KeyId, NearNode>();

  constructor(reference: PublicKey, capacity: number) {
    this.#reference = reference;
    this.capacity = capacity;
  }

  get size(): number {
    return this.#nodes.size;
  }

  get(id: KeyId): NearNode | undefined {
    return this.#nodes.get(id);
  }

  has(id: KeyId): boolean {
    return this.#nodes.has(id);
  }

  values(): MapIterator<NearNode> {
    return this.#nodes.values();
  }

  /** Whether a node of this key would be taken. */
  wants(publicKey: PublicKey): boolean {
    if (this.#nodes.size < this.capacity) return true;
    return compareDistance(this.#reference, publicKey, this.#farthest()!.node.publicKey) < 0;
  }

  /** Call only if it is wanted and not here. */
  add(now: Mono, node: NodeInfo, path: OnionPath): NearNode {
    if (this.#nodes.size >= this.capacity) this.#nodes.delete(this.#farthest()!.id);
    const id = keyId(node.publicKey);
    const near: NearNode = {
      id,
      node,
      addedAt: now,
      askedAt: now,
      unanswered: 0,
      status: NOT_STORED,
      heardAt: now,
      path,
      pingId: undefined,
      hurried: false,
    };
    this.#nodes.set(id, near);
    return near;
  }

  delete(id: KeyId): void {
    this.#nodes.delete(id);
  }

  /** Drops nodes that left three requests unanswered. */
  dropDead(now: Mono): void {
    for (const n of this.#nodes.values()) {
      if (n.unanswered >= MAX_UNANSWERED && n.askedAt + NODE_TIMEOUT <= now) this.#nodes.delete(n.id);
    }
  }

  #farthest(): NearNode | undefined {
    let farthest: NearNode | undefined;
    for (const n of this.#nodes.values()) {
      if (!farthest || compareDistance(this.#reference, farthest.node.publicKey, n.node.publicKey) < 0) farthest = n;
    }
    return farthest;
  }
}
