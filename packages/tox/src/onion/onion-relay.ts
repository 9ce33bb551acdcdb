import type { Env, Mono } from '../core/env.ts';
import type { SendDatagram } from '../core/machine.ts';
import { SourceLimiter } from '../core/source-limiter.ts';
import { type KeyPair, type Nonce, type PublicKey, randomNonce, type SharedKey } from '../crypto/keys.ts';
import type { SharedKeys } from '../crypto/shared-keys.ts';
import { equalConstantTime, open, seal } from '../crypto/sodium.ts';
import {
  ANNOUNCE_REQUEST,
  ANNOUNCE_RESPONSE,
  ANNOUNCED,
  type AnnounceResponsePlain,
  COUNTED_ANNOUNCE_REQUEST,
  COUNTED_ANNOUNCE_RESPONSE,
  DATA_REQUEST,
  MAX_ONION_PACKET_SIZE,
  mayLeaveOnion,
  NOT_STORED,
  ONION_REQUEST_0,
  ONION_REQUEST_1,
  ONION_REQUEST_2,
  ONION_RESPONSE_1,
  ONION_RESPONSE_2,
  ONION_RESPONSE_3,
  RETURN_3_SIZE,
  readAnnounceRequest,
  readAnnounceRequestPlain,
  readDataRequest,
  readOnionRequest,
  readOnionResponse,
  STORED,
  writeAnnounceResponse,
  writeAnnounceResponsePlain,
  writeDataResponse,
  writeOnionResponse,
} from '../packet/onion.ts';
import type { RelayClientNumber } from '../packet/relay.ts';
import { type Endpoint, isInternal, isUnicast, sourceOf } from '../wire/endpoint.ts';
import { MAX_SENT_NODES, type NodeInfo } from '../wire/packed-node.ts';
import { Writer } from '../wire/writer.ts';
import { ANNOUNCE_ENTRY_LIFETIME, AnnounceStore } from './announce-store.ts';
import {
  type Layer,
  openReturnBlock,
  type ReturnAddress,
  type ReturnLayer,
  readLayer,
  sealReturnBlock,
  unwrapLayer,
} from './layer.ts';

// c-toxcore.
/** The key of return blocks changes when this old, at the next packet; ms. KEY_REFRESH_INTERVAL. */
const RETURN_KEY_LIFETIME = 7_200_000;

// Ours.
/** The previous key opens blocks as long as an announce made with it may live; c-toxcore drops it at once. */
const OLD_RETURN_KEY_LIFETIME = ANNOUNCE_ENTRY_LIFETIME;
/** Derivations for one address (2 % of a processor); a hop that serves hundreds of clients needs thousands at their start. */
const KEYS_EACH = { burst: 4_096, perSecond: 400 };
/** For all of them, as addresses can be forged: 5 % of a processor. */
const KEYS_ALL = { burst: 8_192, perSecond: 1_000 };
const NO_BLOCK = new Uint8Array(0);
/** Addresses that are told apart. */
const SOURCES = 1_024;

/**
 * A node's service to others: forwards onion packets, keeps announces, answers searches and hands
 * data to those who announced themselves. Stateless but for the announces and two return keys.
 */
export class OnionRelay {
  readonly #env: Env;
  readonly #sharedKeys: SharedKeys;
  readonly #send: SendDatagram;
  readonly #closest: (now: Mono, target: PublicKey, asker: Endpoint) => readonly NodeInfo[];
  readonly #onStored: (now: Mono, publicKey: PublicKey, dataKey: PublicKey) => void;
  readonly #toRelayClient: (client: RelayClientNumber, payload: Uint8Array) => void;
  readonly #store: AnnounceStore;
  readonly #budget = new SourceLimiter(KEYS_EACH, KEYS_ALL, SOURCES);
  #returnKey: SharedKey;
  #returnKeyMade: Mono | undefined;
  #oldReturnKey: SharedKey | undefined;

  constructor(
    env: Env,
    dhtKeys: KeyPair,
    sharedKeys: SharedKeys,
    send: SendDatagram,
    /** Live DHT nodes nearest to `target`, LAN addresses only for askers on the LAN. */
    closest: (now: Mono, target: PublicKey, asker: Endpoint) => readonly NodeInfo[],
    /** Someone announced himself to us, anew or again; both keys are views. */
    onStored: (now: Mono, publicKey: PublicKey, dataKey: PublicKey) => void = () => {},
    /** An answer for a client of our TCP relay, a view. */
    toRelayClient: (client: RelayClientNumber, payload: Uint8Array) => void = () => {},
  ) {
    this.#env = env;
    this.#sharedKeys = sharedKeys;
    this.#send = send;
    this.#closest = closest;
    this.#onStored = onStored;
    this.#toRelayClient = toRelayClient;
    this.#store = new AnnounceStore(env, dhtKeys.publicKey);
    this.#returnKey = env.random(32) as SharedKey;
  }

  /** True if the kind is ours, whatever became of the packet. */
  handle(now: Mono, from: Endpoint, data: Uint8Array): boolean {
    switch (data[0]) {
      case ONION_REQUEST_0:
        this.#forward(now, from, data, ONION_REQUEST_1);
        return true;
      case ONION_REQUEST_1:
        this.#forward(now, from, data, ONION_REQUEST_2);
        return true;
      case ONION_REQUEST_2:
        this.#forward(now, from, data, undefined);
        return true;
      case ONION_RESPONSE_3:
        this.#return(now, data, ONION_RESPONSE_2);
        return true;
      case ONION_RESPONSE_2:
        this.#return(now, data, ONION_RESPONSE_1);
        return true;
      case ONION_RESPONSE_1:
        this.#return(now, data, undefined);
        return true;
      case ANNOUNCE_REQUEST:
        this.#answerAnnounce(now, from, data, ANNOUNCE_RESPONSE);
        return true;
      case COUNTED_ANNOUNCE_REQUEST:
        this.#answerAnnounce(now, from, data, COUNTED_ANNOUNCE_RESPONSE);
        return true;
      case DATA_REQUEST:
        this.#handOver(now, data);
        return true;
      default:
        return false;
    }
  }

  /** `kind`: what the next hop gets; undefined if we are the last hop. */
  #forward(now: Mono, from: Endpoint, data: Uint8Array, kind: number | undefined): void {
    const request = readOnionRequest(data);
    if (!request) return;
    const key = this.#sharedKey(now, from, request.publicKey);
    const layer = key && unwrapLayer(key, request.nonce, request.box);
    if (!layer || !mayReach(from, layer.next)) return;
    if (kind === undefined && !mayLeaveOnion(layer.rest[0])) return;
    const head = kind === undefined ? undefined : { kind, nonce: request.nonce };
    this.#pass(now, from, layer, head, request.returnBlock);
  }

  /** An onion request of which we are hop A, from a client of our TCP relay; `body` has no outer layer. */
  forwardFromClient(now: Mono, client: RelayClientNumber, from: Endpoint, nonce: Nonce, body: Uint8Array): void {
    const layer = readLayer(body);
    if (!layer || !mayReach(from, layer.next)) return;
    this.#pass(now, client, layer, { kind: ONION_REQUEST_1, nonce }, NO_BLOCK);
  }

  #pass(
    now: Mono,
    from: ReturnAddress,
    layer: Layer,
    head: { kind: number; nonce: Nonce } | undefined,
    returnBlock: Uint8Array,
  ): void {
    const block = sealReturnBlock(this.#env, this.#currentReturnKey(now), from, returnBlock);
    const w = new Writer(25 + layer.rest.length + block.length);
    if (head) w.u8(head.kind).bytes(head.nonce);
    const packet = w.bytes(layer.rest).bytes(block).finish();
    if (packet.length <= MAX_ONION_PACKET_SIZE) this.#send(layer.next, packet);
  }

  /** `kind`: what the hop before gets; undefined if that is the client. */
  #return(now: Mono, data: Uint8Array, kind: number | undefined): void {
    const response = readOnionResponse(data);
    const block = response && this.#openReturnBlock(now, response.returnBlock);
    if (!block) return;
    const { payload } = response;
    if (typeof block.next === 'number') this.#toRelayClient(block.next, payload);
    else if (kind === undefined) this.#send(block.next, payload.slice());
    else this.#send(block.next, writeOnionResponse(kind, { returnBlock: block.rest, payload }));
  }

  #answerAnnounce(now: Mono, from: Endpoint, data: Uint8Array, kind: number): void {
    const split = data.length - RETURN_3_SIZE;
    const request = split > 0 ? readAnnounceRequest(data.subarray(0, split)) : undefined;
    if (!request) return;
    const requester = request.publicKey;
    const returnBlock = data.subarray(split);
    const key = this.#sharedKey(now, from, requester);
    const opened = key && open(key, request.nonce, request.box);
    const plain = opened && readAnnounceRequestPlain(opened);
    if (!plain) return;
    const { searched, dataKey, pingId, sendback } = plain;
    // Only under the key that made the request, and only if he asks about himself.
    const own = equalConstantTime(searched, requester);
    const stored =
      own &&
      this.#store.checkPingId(now, requester, from, pingId) &&
      this.#store.put(now, requester, dataKey, from, returnBlock);
    const entry = this.#store.get(now, searched);
    let status: AnnounceResponsePlain['status'] = NOT_STORED;
    if (entry && !own) status = STORED;
    else if (entry && equalConstantTime(entry.dataKey, dataKey)) status = ANNOUNCED;
    const value = entry && status === STORED ? entry.dataKey : this.#store.pingId(now, requester, from);
    const nodes = this.#closest(now, searched, from)
      .slice(0, MAX_SENT_NODES)
      .map((node) => ({ ...node, transport: 'udp' as const }));
    const nonce = randomNonce(this.#env);
    const counted = kind === COUNTED_ANNOUNCE_RESPONSE;
    const box = seal(key, nonce, writeAnnounceResponsePlain({ status, value, nodes }, counted));
    this.#respond(from, returnBlock, writeAnnounceResponse(kind, { sendback, nonce, box }));
    if (stored) this.#onStored(now, requester, dataKey);
  }

  #handOver(now: Mono, data: Uint8Array): void {
    const split = data.length - RETURN_3_SIZE;
    if (split > 0 && data.length <= MAX_ONION_PACKET_SIZE) this.deliver(now, data.subarray(0, split));
  }

  /** Hands a data request (0x85, without a return block) to the one it is for, if he announced himself to us. */
  deliver(now: Mono, data: Uint8Array): void {
    const request = readDataRequest(data);
    const entry = request && this.#store.get(now, request.destination);
    if (entry) this.#respond(entry.hop, entry.returnBlock, writeDataResponse(request.forwarded));
  }

  #respond(hop: Endpoint, returnBlock: Uint8Array, payload: Uint8Array): void {
    this.#send(hop, writeOnionResponse(ONION_RESPONSE_3, { returnBlock, payload }));
  }

  #sharedKey(now: Mono, from: Endpoint, publicKey: PublicKey): SharedKey | undefined {
    return this.#sharedKeys.get(publicKey, () => this.#budget.allow(now, sourceOf(from)));
  }

  #currentReturnKey(now: Mono): SharedKey {
    this.#returnKeyMade ??= now;
    if (now - this.#returnKeyMade >= RETURN_KEY_LIFETIME) {
      this.#oldReturnKey = this.#returnKey;
      this.#returnKey = this.#env.random(32) as SharedKey;
      this.#returnKeyMade = now;
    }
    return this.#returnKey;
  }

  #openReturnBlock(now: Mono, block: Uint8Array): ReturnLayer | undefined {
    const layer = openReturnBlock(this.#currentReturnKey(now), block);
    if (layer || !this.#oldReturnKey) return layer;
    if (now - this.#returnKeyMade! > OLD_RETURN_KEY_LIFETIME) {
      this.#oldReturnKey = undefined;
      return undefined;
    }
    return openReturnBlock(this.#oldReturnKey, block);
  }
}

/** Nobody outside our LAN may use us to reach it. */
function mayReach(from: Endpoint, to: Endpoint): boolean {
  return isUnicast(to) && (!isInternal(to) || isInternal(from));
}
