import { BoundedMap } from '../core/bounded-map.ts';
import { type Env, type Mono, randomInt } from '../core/env.ts';
import { type KeyId, keyId, type PublicKey } from '../crypto/keys.ts';
import { endpointIp, isLan } from '../wire/endpoint.ts';
import type { NodeInfo } from '../wire/packed-node.ts';
import type { Hops } from './path.ts';

// c-toxcore.
/** MAX_PATH_NODES. */
const POOL_SIZE = 32;
export const PATH_LENGTH = 3;

// Ours.
/**
 * From one network, once the places are taken. Whoever asks us something and answers our ping gets in, so that
 * one host with many keys could have all places, and with them every hop of our paths.
 */
const EACH_NETWORK = 2;
/** A node not heard of for this long is used only if there is no other: three DHT rounds; ms. */
const FRESH = 182_000;
/** For so long after a path failed, hops are first sought among the nodes heard of since; ms. */
const TROUBLE = 60_000;

interface Candidate {
  readonly id: KeyId;
  readonly node: NodeInfo;
  readonly lan: boolean;
  /** The /16 of an IPv4 address, the /32 of an IPv6 one: about one operator. */
  readonly network: string;
  heardAt: Mono;
  /** It stood in a path that failed, and was not heard of since. */
  doubted: boolean;
}

/** TCP relays as first hops. */
export interface FirstHopRelays {
  /** One that we are logged in at; its endpoint is only compared. */
  onionRelay(): NodeInfo | undefined;
  isOnline(relay: PublicKey): boolean;
}

/**
 * Nodes for paths and first announces. BOUNDED: 32 that answered us directly, which alone may be
 * first hops beside relays, and 32 that answered through the onion, or were named to us as a way in;
 * least recently heard of goes first, and before others one of a network that has more than two.
 */
export class NodePool {
  readonly #env: Env;
  readonly #probe: (now: Mono, node: NodeInfo) => void;
  readonly #relays: FirstHopRelays;
  /** When the first use of the path that failed last went out. */
  #troubleSince: Mono = Number.NEGATIVE_INFINITY;
  readonly #direct = new BoundedMap<KeyId, Candidate>(POOL_SIZE);
  readonly #distant = new BoundedMap<KeyId, Candidate>(POOL_SIZE);

  /** `probe` asks a node for a sign of life, which `addDirect` is to be told. */
  constructor(env: Env, probe: (now: Mono, node: NodeInfo) => void = () => {}, relays: FirstHopRelays = NO_RELAYS) {
    this.#env = env;
    this.#probe = probe;
    this.#relays = relays;
  }

  /** All nodes, fresh or not. */
  get size(): number {
    return this.#direct.size + this.#distant.size;
  }

  addDirect(now: Mono, node: NodeInfo): void {
    const id = keyId(node.publicKey);
    hear(this.#direct, now, id, node);
    this.#distant.delete(id);
  }

  addDistant(now: Mono, node: NodeInfo): void {
    const id = keyId(node.publicKey);
    if (!this.#direct.has(id)) hear(this.#distant, now, id, node);
  }

  /** An answer came over these hops. */
  confirm(now: Mono, hops: readonly NodeInfo[]): void {
    for (const hop of hops) {
      const known = this.#find(hop);
      if (!known) continue;
      known.heardAt = now;
      known.doubted = false;
    }
  }

  /** None came since `since`, so one of them may be gone. */
  doubt(now: Mono, hops: readonly NodeInfo[], since: Mono): void {
    this.#troubleSince = since;
    for (const hop of hops) {
      const known = this.#find(hop);
      if (!known || known.heardAt >= since) continue;
      known.doubted = true;
      if (this.#direct.has(known.id)) this.#probe(now, known.node);
    }
  }

  /** The more surely it lives, the earlier; the order is kept otherwise. */
  #byTrust(now: Mono, all: Candidate[]): Candidate[] {
    const since = now - this.#troubleSince < TROUBLE ? this.#troubleSince : Number.NEGATIVE_INFINITY;
    const rank = (c: Candidate) => (c.doubted ? 2 : c.heardAt >= since ? 0 : 1);
    return all.sort((a, b) => rank(a) - rank(b));
  }

  #find(node: NodeInfo): Candidate | undefined {
    const id = keyId(node.publicKey);
    const known = this.#direct.peek(id) ?? this.#distant.peek(id);
    return known?.node.endpoint === node.endpoint ? known : undefined;
  }

  /** Whether a path may have three different nodes. */
  suffices(now: Mono): boolean {
    return this.#usable(now, true).length >= PATH_LENGTH;
  }

  /** Nodes worth using now, in random order. */
  candidates(now: Mono): NodeInfo[] {
    return this.#shuffled(now, true).map((c) => c.node);
  }

  /**
   * Hops A, B, C: different nodes in different networks as far as we know enough of them; one
   * known node serves as all three. A relay is A while no node is sure to answer us directly.
   * Undefined if no node is known, or none of them may be A.
   */
  choosePath(now: Mono): Hops | undefined {
    const first = this.#byTrust(now, this.#shuffled(now, false))[0];
    const sure = first && !first.doubted && now - first.heardAt < FRESH;
    const relay = sure ? undefined : this.#relays.onionRelay();
    const others = this.#byTrust(now, this.#shuffled(now, true));
    const head = relay ? candidate(now, keyId(relay.publicKey), relay) : first;
    if (!head || others.length === 0) return undefined;
    const path = [head];
    const distinct = (c: Candidate) => path.every((hop) => hop.id !== c.id);
    const far = (c: Candidate) => path.every((hop) => hop.network !== c.network);
    while (path.length < PATH_LENGTH) {
      path.push(
        others.find((c) => distinct(c) && far(c)) ??
          others.find(distinct) ??
          others[randomInt(this.#env, others.length)]!,
      );
    }
    return { nodes: path.map((c) => c.node) as [NodeInfo, NodeInfo, NodeInfo], relayed: relay !== undefined };
  }

  /** False for a path whose relay we are not logged in at any more. */
  reaches(path: { readonly relayed: boolean; readonly hops: readonly [NodeInfo, NodeInfo, NodeInfo] }): boolean {
    return !path.relayed || this.#relays.isOnline(path.hops[0].publicKey);
  }

  #shuffled(now: Mono, withDistant: boolean): Candidate[] {
    const all = this.#usable(now, withDistant);
    for (let i = all.length - 1; i > 0; i--) {
      const j = randomInt(this.#env, i + 1);
      [all[i], all[j]] = [all[j]!, all[i]!];
    }
    return all;
  }

  /**
   * Fresh ones if there are any. A path may not change from public addresses to the LAN, so LAN
   * nodes are used only while nobody else is known.
   */
  #usable(now: Mono, withDistant: boolean): Candidate[] {
    let all = [...this.#direct.values()];
    const publicOnly = all.some((c) => !c.lan);
    if (withDistant) all.push(...this.#distant.values());
    if (publicOnly) all = all.filter((c) => !c.lan);
    const fresh = all.filter((c) => now - c.heardAt < FRESH);
    return fresh.length > 0 ? fresh : all;
  }
}

function hear(nodes: BoundedMap<KeyId, Candidate>, now: Mono, id: KeyId, node: NodeInfo): void {
  const known = nodes.get(id);
  if (known && known.node.endpoint === node.endpoint) {
    known.heardAt = now;
    known.doubted = false;
    return;
  }
  const newcomer = candidate(now, id, node);
  if (!known && nodes.size >= POOL_SIZE) thin(nodes, newcomer.network);
  nodes.set(id, newcomer);
}

/** Makes room where a network has its share: first in that of the newcomer, else in the largest that has more. */
function thin(nodes: BoundedMap<KeyId, Candidate>, network: string): void {
  const networks = Map.groupBy(nodes.values(), (each) => each.network);
  let crowd = networks.get(network) ?? [];
  if (crowd.length < EACH_NETWORK) {
    for (const each of networks.values()) if (each.length > Math.max(crowd.length, EACH_NETWORK)) crowd = each;
  }
  if (crowd.length >= EACH_NETWORK) nodes.delete(crowd[0]!.id);
}

function candidate(now: Mono, id: KeyId, node: NodeInfo): Candidate {
  const ip = endpointIp(node.endpoint);
  const network = ip.subarray(0, ip.length === 4 ? 2 : 4).join('.');
  return { id, node, lan: isLan(node.endpoint), network, heardAt: now, doubted: false };
}

const NO_RELAYS: FirstHopRelays = { onionRelay: () => undefined, isOnline: () => false };
