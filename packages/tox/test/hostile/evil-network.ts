import {
  generateKeyPair,
  type KeyPair,
  keyId,
  type Nonce,
  type PublicKey,
  type SharedKey,
} from '../../src/crypto/keys.ts';
import { open, seal, sharedKey } from '../../src/crypto/sodium.ts';
import type { ToxEvent } from '../../src/messenger/events.ts';
import { seededRandom, testEnv } from '../../src/testing/index.ts';
import { Tox } from '../../src/tox.ts';
import { type Endpoint, endpoint, endpointIp, endpointPort } from '../../src/wire/endpoint.ts';

const NODES = 24;
/** In each of their answers. */
const TOLD = 4;
/** A node that always spins would never let time pass. */
const MAX_WAKES_PER_SECOND = 5_000;

interface EvilNode {
  readonly keys: KeyPair;
  readonly at: Endpoint;
  readonly shared: SharedKey;
}

/**
 * A whole network of liars around one honest node: they answer its questions with valid boxes and well-formed or
 * broken lies, and send it whatever they like. What they do follows from the seed.
 */
export class EvilNetwork {
  now = 1_000;
  readonly victim: Tox;
  readonly events: ToxEvent[] = [];
  received = 0;
  sent = 0;
  sentBytes = 0;
  readonly #random: () => number;
  readonly #nodes: EvilNode[] = [];
  readonly #byAt = new Map<Endpoint, EvilNode>();
  readonly #sharedKeys = new Map<string, SharedKey | undefined>();
  readonly #friends: PublicKey[] = [];
  #air: { readonly node: EvilNode; readonly data: Uint8Array }[] = [];
  #pingId: Uint8Array = new Uint8Array(32);
  #dataKey: Uint8Array;

  constructor(seed: number) {
    const env = testEnv(seed);
    this.#random = seededRandom(seed + 1);
    this.victim = new Tox(env, this.now, { bootstrapInfo: { version: 1, motd: env.random(70) } });
    for (let i = 0; i < NODES; i++) {
      const keys = generateKeyPair(env);
      const at = endpoint(`${60 + i}.${i}.3.4`, 33_445 + i)!;
      const node = { keys, at, shared: sharedKey(this.victim.dhtKeys.publicKey, keys.secretKey)! };
      this.#nodes.push(node);
      this.#byAt.set(at, node);
    }
    this.#dataKey = this.#nodes[0]!.keys.publicKey;
    for (let i = 0; i < 4; i++) {
      const node = this.#nodes[i]!;
      this.victim.bootstrap(this.now, { publicKey: node.keys.publicKey, endpoint: node.at });
      this.#friends.push(this.victim.messenger.acceptFriend(this.now, generateKeyPair(env).publicKey));
    }
    this.#drain();
  }

  /** Lets `ms` pass, with `perSecond` attacks of each node in all. */
  run(ms: number, perSecond: number): void {
    const end = this.now + ms;
    let wakes = 0;
    let second = this.now;
    while (this.now < end) {
      const wake = this.victim.nextWake() ?? Number.POSITIVE_INFINITY;
      const attack = this.now + (2_000 * this.#random()) / perSecond;
      if (Math.max(wake, this.now) <= attack) {
        this.now = Math.max(wake, this.now);
        this.victim.wake(this.now);
        if (this.now >= second + 1_000) {
          second = this.now;
          wakes = 0;
        } else if (++wakes > MAX_WAKES_PER_SECOND) throw new Error(`the node spins at ${this.now}`);
      } else {
        this.now = attack;
        const node = this.#pick(this.#nodes);
        this.#give(node, this.#forge(node));
      }
      this.#drain();
    }
  }

  #drain(): void {
    for (let rounds = 0; rounds < 50; rounds++) {
      for (let d = this.victim.takeDatagram(); d; d = this.victim.takeDatagram()) {
        this.sent++;
        this.sentBytes += d.data.length;
        const node = this.#byAt.get(d.to);
        if (node && this.#air.length < 1_000) this.#air.push({ node, data: Uint8Array.from(d.data) });
      }
      for (let event = this.victim.takeEvent(); event; event = this.victim.takeEvent()) {
        if (this.events.length < 10_000) this.events.push(event);
      }
      const air = this.#air;
      this.#air = [];
      if (air.length === 0) return;
      for (const { node, data } of air) this.#answer(node, data);
    }
  }

  #give(node: EvilNode, data: Uint8Array): void {
    this.received += data.length;
    this.victim.receive(this.now, this.#random() < 0.95 ? node.at : this.#pick(this.#nodes).at, data);
  }

  #answer(node: EvilNode, data: Uint8Array): void {
    if (this.#random() < 0.1) return;
    const kind = data[0]!;
    if (kind === 0x00 || kind === 0x02) {
      const plain = open(node.shared, data.subarray(33, 57) as Uint8Array as Nonce, data.subarray(57));
      if (!plain) return;
      const id = kind === 0 ? plain.subarray(1) : plain.subarray(32);
      const target = kind === 0 ? undefined : plain.subarray(0, 32);
      const body = kind === 0 ? [Uint8Array.of(1), id] : [Uint8Array.of(TOLD), this.#packedNodes(target), id];
      this.#give(node, this.#dht(node, kind === 0 ? 1 : 4, this.#mess(Buffer.concat(body))));
    } else if (kind === 0x80) {
      this.#onion(node, data);
    } else if (kind === 0x8c && data.length > 178 && data[178] === 0x84) {
      const payload = data.subarray(178);
      const opened = open(node.shared, payload.subarray(9, 33) as Uint8Array as Nonce, payload.subarray(33));
      if (opened && opened[0] !== 1) this.#pingId = opened.slice(1, 33);
    } else if (this.#random() < 0.3) {
      this.#give(node, this.#mess(data)); // an echo
    }
  }

  /** Peels the layers that we hold keys for, and answers an announce request with a lie. */
  #onion(node: EvilNode, data: Uint8Array): void {
    const nonce = data.subarray(1, 25) as Uint8Array as Nonce;
    let key = this.#shared(node, data.subarray(25, 57));
    let box = data.subarray(57);
    for (let hop = 0; hop < 3; hop++) {
      const plain = key && open(key, nonce, box);
      if (!plain) return;
      const next = this.#nodes.find(({ at }) => sameIpPort(plain, at));
      if (!next) return;
      if (hop === 2) {
        this.#announce(node, next, plain.subarray(19));
        return;
      }
      key = this.#shared(next, plain.subarray(19, 51));
      box = plain.subarray(51);
    }
  }

  #announce(first: EvilNode, node: EvilNode, request: Uint8Array): void {
    if (request[0] !== 0x83) return;
    const key = this.#shared(node, request.subarray(25, 57));
    const plain = key && open(key, request.subarray(1, 25) as Uint8Array as Nonce, request.subarray(57));
    if (!key || !plain) return;
    const status = Uint8Array.of(this.#random() < 0.9 ? this.#random() * 3 : this.#random() * 256);
    if (plain.subarray(64, 96).some((x) => x !== 0)) this.#dataKey = plain.slice(64, 96);
    const value = this.#random() < 0.5 ? this.#pick(this.#nodes).keys.publicKey : this.#bytes(32);
    const nonce = this.#bytes(24) as Nonce;
    const body = this.#mess(Buffer.concat([status, value, this.#packedNodes(plain.subarray(32, 64))]));
    const answer = Buffer.concat([Uint8Array.of(0x84), plain.subarray(96, 104), nonce, seal(key, nonce, body)]);
    this.#give(first, Uint8Array.from(answer));
  }

  #forge(node: EvilNode): Uint8Array {
    const id = this.#bytes(8);
    const some = () => this.#bytes(Math.floor(this.#random() * 300));
    const own = node.keys.publicKey;
    switch (Math.floor(this.#random() * 14)) {
      case 0:
        return this.#dht(node, 0, this.#mess(Buffer.concat([Uint8Array.of(0), id])));
      case 1:
        return this.#dht(node, 2, this.#mess(Buffer.concat([this.#key(), id])));
      case 2:
        return this.#dht(node, 4, this.#mess(Buffer.concat([Uint8Array.of(TOLD), this.#packedNodes(), id])));
      case 3:
        return this.#routed(node, Buffer.concat([Uint8Array.of(0xfe, this.#random() * 3), id]));
      case 4:
        return this.#routed(node, Buffer.concat([Uint8Array.of(0x9c), this.#key(), some()]));
      case 5:
        return this.#dht(node, 0x18, this.#mess(Buffer.concat([this.#key(), new Uint8Array(32), id])));
      case 6:
      case 7: {
        const keyAtRest = this.#random() < 0.7 ? own : this.#key();
        const plain = Buffer.concat([this.#pingId, keyAtRest, this.#key(), id]);
        const nonce = this.#bytes(24) as Nonce;
        const kind = this.#random() < 0.8 ? 0x83 : 0x87;
        const request = [
          Uint8Array.of(kind),
          nonce,
          own,
          seal(node.shared, nonce, this.#mess(plain)),
          this.#bytes(177),
        ];
        return Uint8Array.from(Buffer.concat(request));
      }
      case 8:
        return Uint8Array.from(
          Buffer.concat([Uint8Array.of(0x85), this.#key(), this.#bytes(72), some(), this.#bytes(177)]),
        );
      case 9: {
        const kind = 0x80 + Math.floor(this.#random() * 3);
        const nonce = this.#bytes(24) as Nonce;
        const inner = Buffer.concat([
          this.#ipPort(),
          kind === 0x82 ? Uint8Array.of(this.#random() * 256) : this.#key(),
          some(),
        ]);
        const layer = [Uint8Array.of(kind), nonce, own, seal(node.shared, nonce, this.#mess(inner))];
        return Uint8Array.from(Buffer.concat([...layer, this.#bytes((kind - 0x80) * 59)]));
      }
      case 10: {
        const tmp = node.keys;
        const key = sharedKey(this.#dataKey as PublicKey, tmp.secretKey);
        const nonce = this.#bytes(24) as Nonce;
        const real = sharedKey(this.victim.realKeys.publicKey, tmp.secretKey)!;
        const body = this.#random() < 0.5 ? 0x20 : 0x9c;
        const inner = seal(real, nonce, Buffer.concat([Uint8Array.of(body), this.#nospam(), some()]));
        if (!key) return some();
        const outer = seal(key, nonce, this.#mess(Buffer.concat([own, inner])));
        return Uint8Array.from(Buffer.concat([Uint8Array.of(0x86), nonce, own, outer]));
      }
      case 11:
        return Uint8Array.from(Buffer.concat([Uint8Array.of(0x8c + this.#random() * 3), this.#bytes(240), some()]));
      case 12:
        return this.#random() < 0.5 ? this.#bytes(78).fill(0xf0, 0, 1) : Uint8Array.from([0x21, ...own]);
      default:
        return this.#bytes(Math.floor(this.#random() * 1_500));
    }
  }

  #dht(node: EvilNode, kind: number, plain: Uint8Array): Uint8Array {
    const nonce = this.#bytes(24) as Nonce;
    const frame = [Uint8Array.of(kind), node.keys.publicKey, nonce, seal(node.shared, nonce, plain)];
    return Uint8Array.from(Buffer.concat(frame));
  }

  #routed(node: EvilNode, plain: Uint8Array): Uint8Array {
    const nonce = this.#bytes(24) as Nonce;
    const to = this.#random() < 0.8 ? this.victim.dhtKeys.publicKey : this.#pick(this.#nodes).keys.publicKey;
    const box = seal(node.shared, nonce, this.#mess(plain));
    return Uint8Array.from(Buffer.concat([Uint8Array.of(0x20), to, node.keys.publicKey, nonce, box]));
  }

  /** Mostly as it is; else a byte changed, cut or longer. */
  #mess(plain: Uint8Array): Uint8Array {
    const out = Uint8Array.from(plain);
    const dice = this.#random();
    if (dice < 0.85 || out.length === 0) return out;
    if (dice < 0.92) {
      out[Math.floor(this.#random() * out.length)] = this.#random() * 256;
      return out;
    }
    if (dice < 0.96) return out.subarray(0, Math.floor(this.#random() * out.length));
    return Uint8Array.from([...out, ...this.#bytes(1 + Math.floor(this.#random() * 60))]);
  }

  /** Nodes: ours, nobody, the victim itself, places that no one may be sent to, keys ever nearer to `target`. */
  #packedNodes(target?: Uint8Array): Uint8Array {
    const parts: Uint8Array[] = [];
    for (let i = 0; i < TOLD; i++) {
      const node = this.#pick(this.#nodes);
      const dice = this.#random();
      if (dice < 0.5) {
        const ip = endpointIp(node.at);
        parts.push(Uint8Array.of(2), ip, u16(endpointPort(node.at)), node.keys.publicKey);
        continue;
      }
      const ip = this.#pick([
        [127, 0, 0, 1],
        [10, 0, 0, 1],
        [224, 0, 0, 1],
        [255, 255, 255, 255],
        [0, 0, 0, 0],
        [8, 8, 8, 8],
      ]);
      const key = target && this.#random() < 0.7 ? Uint8Array.from(target) : Uint8Array.from(this.#key());
      if (this.#random() < 0.8) key[31 - Math.floor(this.#random() * 8)]! ^= 1 + this.#random() * 255;
      if (dice < 0.8) parts.push(Uint8Array.of(2), Uint8Array.from(ip), u16(this.#random() * 65_536), key);
      else parts.push(Uint8Array.of(10), this.#bytes(16), u16(this.#random() * 65_536), key);
    }
    return Buffer.concat(parts);
  }

  #ipPort(): Uint8Array {
    if (this.#random() < 0.2) return this.#bytes(19);
    const node = this.#pick(this.#nodes);
    return Buffer.concat([Uint8Array.of(2), endpointIp(node.at), new Uint8Array(12), u16(endpointPort(node.at))]);
  }

  #nospam(): Uint8Array {
    return this.#random() < 0.5 ? this.victim.messenger.toxId.slice(32, 36) : this.#bytes(4);
  }

  #key(): Uint8Array {
    return this.#pick([
      this.#pick(this.#nodes).keys.publicKey,
      this.#pick(this.#friends),
      this.victim.dhtKeys.publicKey,
      this.victim.realKeys.publicKey,
      new Uint8Array(32),
      this.#bytes(32),
    ]);
  }

  #shared(node: EvilNode, key: Uint8Array): SharedKey | undefined {
    const id = node.at + keyId(key as PublicKey);
    if (!this.#sharedKeys.has(id)) this.#sharedKeys.set(id, sharedKey(key as PublicKey, node.keys.secretKey));
    return this.#sharedKeys.get(id);
  }

  #bytes(size: number): Uint8Array {
    const out = new Uint8Array(size);
    for (let i = 0; i < size; i++) out[i] = this.#random() * 256;
    return out;
  }

  #pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.#random() * list.length)]!;
  }
}

function u16(n: number): Uint8Array {
  return Uint8Array.of(n >>> 8, n);
}

function sameIpPort(plain: Uint8Array, at: Endpoint): boolean {
  const ip = endpointIp(at);
  return ip.every((byte, i) => plain[1 + i] === byte) && plain[17]! * 256 + plain[18]! === endpointPort(at);
}
