import { type Env, type Mono, randomInt } from '../core/env.ts';
import type { SendDatagram } from '../core/machine.ts';
import { keyId, type PublicKey, randomNonce, sameBytes } from '../crypto/keys.ts';
import type { SharedKeys } from '../crypto/shared-keys.ts';
import {
  decodeNatPing,
  encodeNatPing,
  NAT_PING_REQUEST,
  NAT_PING_RESPONSE,
  type NatPing,
  openDhtRequest,
  REQUEST_DHT_KEY,
  REQUEST_NAT_PING,
  readDhtRequest,
  writeDhtRequest,
} from '../packet/dht-request.ts';
import type { Endpoint } from '../wire/endpoint.ts';
import type { Exchange } from './exchange.ts';
import type { RoutingTable } from './routing-table.ts';
import type { SearchList } from './search-list.ts';

export interface RequestRouterDeps {
  readonly own: PublicKey;
  readonly sharedKeys: SharedKeys;
  readonly exchange: Exchange;
  readonly table: RoutingTable;
  readonly send: SendDatagram;
  /** Whether the source may cost us one more packet. */
  readonly allowFavour: (now: Mono, from: Endpoint) => boolean;
  readonly onDhtKeyPacket: (now: Mono, sender: PublicKey, data: Uint8Array) => void;
  /** A NAT ping of a searched node; a request among them is answered already. */
  readonly onNatPing: (now: Mono, list: SearchList, ping: NatPing) => void;
}

/** DHT requests (kind 20): those for us, those of others on their way, and our own. */
export class RequestRouter {
  readonly #env: Env;
  readonly #deps: RequestRouterDeps;

  constructor(env: Env, deps: RequestRouterDeps) {
    this.#env = env;
    this.#deps = deps;
  }

  handle(now: Mono, from: Endpoint, data: Uint8Array): void {
    const { own, exchange, onDhtKeyPacket } = this.#deps;
    const request = readDhtRequest(data);
    if (!request || sameBytes(request.sender, own)) return;
    if (!sameBytes(request.receiver, own)) {
      this.#forward(now, from, request.receiver, data);
      return;
    }
    const key = exchange.keyFor(now, from, request.sender);
    const body = key && openDhtRequest(request, key);
    if (body?.id === REQUEST_DHT_KEY) onDhtKeyPacket(now, request.sender.slice() as PublicKey, body.data);
    else if (body?.id === REQUEST_NAT_PING) this.#handleNatPing(now, request.sender, body.data);
  }

  /**
   * Sends through at most `copies` nodes that know where the searched receiver is, a random one
   * first; or straight to it if none does but we know. Returns how many packets went out.
   */
  route(now: Mono, receiver: PublicKey, id: number, data: Uint8Array, copies: number): number {
    const { own, sharedKeys, table, send } = this.#deps;
    const key = sharedKeys.get(receiver);
    if (!key) return 0;
    const receiverId = keyId(receiver);
    const packet = writeDhtRequest(receiver, own, randomNonce(this.#env), key, id, data);
    const reporters = table.wanted(receiverId)?.reporters(now) ?? [];
    const first = randomInt(this.#env, reporters.length);
    let sent = 0;
    for (let i = 0; i < reporters.length && sent < copies; i++) {
      const { peer } = reporters[(first + i) % reporters.length]!;
      const to = peer.liveAddress(now, undefined, true);
      if (!to) continue;
      send(to, packet.slice());
      sent++;
    }
    const direct = sent === 0 ? table.get(receiverId)?.liveAddress(now, undefined, true) : undefined;
    if (!direct) return sent;
    send(direct, packet);
    return 1;
  }

  /** Unchanged, and only to a member of the close list, so that nobody can use us to reach anybody. */
  #forward(now: Mono, from: Endpoint, receiver: PublicKey, data: Uint8Array): void {
    const { table, send, allowFavour } = this.#deps;
    const peer = table.get(keyId(receiver));
    const to = peer?.inClose ? peer.liveAddress(now, undefined, true) : undefined;
    if (to && allowFavour(now, from)) send(to, data.slice());
  }

  /** Only searched nodes get an answer, as from c-toxcore: through one node that knows them. */
  #handleNatPing(now: Mono, sender: PublicKey, data: Uint8Array): void {
    const ping = decodeNatPing(data);
    const list = this.#deps.table.wanted(keyId(sender));
    if (!ping || !list) return;
    if (ping.type === NAT_PING_REQUEST)
      this.route(now, sender, REQUEST_NAT_PING, encodeNatPing({ type: NAT_PING_RESPONSE, id: ping.id }), 1);
    this.#deps.onNatPing(now, list, ping);
  }
}
