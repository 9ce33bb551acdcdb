import { BoundedMap } from '../core/bounded-map.ts';
import type { Env, Mono } from '../core/env.ts';
import { Budget } from '../core/source-limiter.ts';
import { type KeyId, type KeyPair, keyId, type PublicKey, randomNonce } from '../crypto/keys.ts';
import { SharedKeys } from '../crypto/shared-keys.ts';
import { open, seal } from '../crypto/sodium.ts';
import {
  type AnnounceResponse,
  type AnnounceResponsePlain,
  PING_ID_SIZE,
  readAnnounceResponsePlain,
  writeAnnounceRequest,
  writeAnnounceRequestPlain,
} from '../packet/onion.ts';
import { type Endpoint, isInternal, isUnicast } from '../wire/endpoint.ts';
import type { NodeInfo } from '../wire/packed-node.ts';
import { type NearNode, NearNodes } from './near-nodes.ts';
import type { NodePool } from './node-pool.ts';
import type { OnionPath } from './path.ts';
import type { OnionPaths } from './paths.ts';
import type { PendingRequest, PendingRequests } from './pending-requests.ts';

// c-toxcore.
/** ANNOUNCE_POPULATE_TIMEOUT: a list that never gets full tries random nodes this often; ms. */
const REFILL_INTERVAL = 600_000;

// Ours.
/** Silent nodes, and a list less than half full, are tried again after 1, 2, 4 ... 60 s; ms. */
const FIRST_RETRY = 1_000;
const MAX_RETRY = 60_000;
/** Nodes remembered as asked and silent. */
const MAX_ASKED = 64;
/** Keys shared with the nodes of one lookup: the list and those on the way to it. */
const MAX_SHARED_KEYS = 32;
/**
 * Nodes that others named and that are asked: four times what a walk takes. Somebody with many keys near the
 * target can name ever nearer ones, and each costs us 0.1 ms and 400 bytes.
 */
const NAMED_RATE = { burst: 128, perSecond: 8 };

const NO_PING_ID = new Uint8Array(PING_ID_SIZE);

/** What all lookups of a client have in common. */
export interface LookupDeps {
  readonly env: Env;
  readonly pool: NodePool;
  readonly requests: PendingRequests<Lookup>;
  /** Sends an 0x80, or the same through a relay. */
  sendOver(path: OnionPath, to: Endpoint, payload: Uint8Array): void;
}

export interface LookupOptions {
  /** What is looked for. */
  readonly target: PublicKey;
  /** Who asks: our real keys when we announce ourselves, a temporary pair in a search. */
  readonly keys: KeyPair;
  /** What others shall encrypt data for us with; zeros in a search. */
  readonly dataKey: PublicKey;
  readonly capacity: number;
  readonly paths: OnionPaths;
  onAnswer(now: Mono, near: NearNode, answer: AnnounceResponsePlain, proven: boolean): void;
}

/**
 * Walks towards a key with announce requests: asks nodes, keeps the nearest that answer, asks
 * those they name. When to ask a kept node again is the owner's business.
 */
export class Lookup {
  readonly near: NearNodes;
  readonly paths: OnionPaths;
  /** While false, answers that still come lead to nothing. */
  active = true;
  readonly #deps: LookupDeps;
  readonly #options: LookupOptions;
  readonly #sharedKeys: SharedKeys;
  readonly #asked = new BoundedMap<KeyId, { at: Mono; times: number }>(MAX_ASKED);
  readonly #named = new Budget(NAMED_RATE);
  #refilledAt: Mono | undefined;
  #refills = 0;

  constructor(deps: LookupDeps, options: LookupOptions) {
    this.#deps = deps;
    this.#options = options;
    this.paths = options.paths;
    this.near = new NearNodes(options.target, options.capacity);
    this.#sharedKeys = new SharedKeys(options.keys.secretKey, MAX_SHARED_KEYS);
  }

  /** Sends one request; over `path` or a random one. `pingId` was given over that path. False: no path. */
  ask(now: Mono, node: NodeInfo, pingId?: Uint8Array, path?: OnionPath): boolean {
    const way = path ?? this.paths.pick(now);
    const key = this.#sharedKeys.get(node.publicKey);
    if (!way || !key) return false;
    const { env, requests } = this.#deps;
    const { keys, target, dataKey } = this.#options;
    const proven = pingId !== undefined && path !== undefined;
    const sendback = requests.add({ owner: this, node, path: way, proven, at: now });
    const nonce = randomNonce(env);
    const plain = writeAnnounceRequestPlain({ pingId: pingId ?? NO_PING_ID, searched: target, dataKey, sendback });
    way.used(now);
    this.#deps.sendOver(
      way,
      node.endpoint,
      writeAnnounceRequest({ nonce, publicKey: keys.publicKey, box: seal(key, nonce, plain) }),
    );
    return true;
  }

  /** An answer to a request of ours; the caller checked the sendback. `internal`: our first hop is on our own network. */
  receive(now: Mono, internal: boolean, request: PendingRequest<Lookup>, response: AnnounceResponse, counted: boolean) {
    const { node, path, proven } = request;
    const key = this.#sharedKeys.get(node.publicKey);
    const plain = key && open(key, response.nonce, response.box);
    const answer = plain && readAnnounceResponsePlain(plain, counted);
    if (!answer) return;
    this.paths.answered(now, path, now - request.at);
    this.#deps.pool.addDistant(now, node);
    if (!this.active) return;
    const id = keyId(node.publicKey);
    let near = this.near.get(id);
    if (!near && this.near.wants(node.publicKey)) near = this.near.add(now, node, path);
    if (near) {
      if (!this.#sparse()) this.#refills = 0;
      this.#asked.delete(id);
      near.node = node;
      near.unanswered = 0;
      near.heardAt = now;
      near.path = path;
      this.#options.onAnswer(now, near, answer, proven);
    }
    for (const named of answer.nodes) {
      if (!isUnicast(named.endpoint) || (!internal && isInternal(named.endpoint))) continue;
      if (this.#wants(now, named) && this.#named.take(now)) this.consider(now, named);
    }
  }

  /** Asks a node that was named to us, if it would be kept and was not asked just now. True if it was sent. */
  consider(now: Mono, node: NodeInfo): boolean {
    if (!this.#wants(now, node) || !this.ask(now, node)) return false;
    const id = keyId(node.publicKey);
    this.#asked.set(id, { at: now, times: (this.#asked.peek(id)?.times ?? 0) + 1 });
    return true;
  }

  /** A node of the pool was heard of: ask it if we know few. True if it was. */
  offer(now: Mono, node: NodeInfo): boolean {
    if (!this.#sparse() || this.near.has(keyId(node.publicKey))) return false;
    let waiting = 0;
    for (const asked of this.#asked.values()) if (now - asked.at < FIRST_RETRY) waiting++;
    if (waiting >= this.near.capacity / 2 || !this.consider(now, node)) return false;
    this.#refilledAt ??= now;
    return true;
  }

  /** When `refill` should be called next. */
  refillDue(): Mono | undefined {
    if (this.#refilledAt === undefined || this.near.size >= this.near.capacity) return undefined;
    return this.#refilledAt + (this.#sparse() ? backOff(this.#refills) : REFILL_INTERVAL);
  }

  /** Asks random nodes of the pool for the neighbourhood. */
  refill(now: Mono): void {
    this.#refilledAt = now;
    this.#refills++;
    let sent = 0;
    for (const node of this.#deps.pool.candidates(now)) {
      if (sent >= this.near.capacity / 2) break;
      if (this.consider(now, node)) sent++;
    }
  }

  /** Forgets whom we gave up on and starts again from the pool. */
  restart(now: Mono): void {
    this.#asked.clear();
    this.#refills = 0;
    this.refill(now);
  }

  #wants(now: Mono, node: NodeInfo): boolean {
    const id = keyId(node.publicKey);
    if (this.near.has(id) || !this.near.wants(node.publicKey)) return false;
    const asked = this.#asked.get(id);
    return !asked || now - asked.at >= backOff(asked.times);
  }

  #sparse(): boolean {
    return this.near.size <= this.near.capacity / 2;
  }
}

function backOff(times: number): number {
  return Math.min(MAX_RETRY, FIRST_RETRY * 2 ** (times - 1));
}
