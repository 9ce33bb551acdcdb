import type { Mono } from '../../src/core/env.ts';
import { generateKeyPair, type KeyPair, type PublicKey, sameBytes } from '../../src/crypto/keys.ts';
import { SharedKeys } from '../../src/crypto/shared-keys.ts';
import { NetCrypto } from '../../src/session/net-crypto.ts';
import { Heap, noRelays, seededRandom, testEnv } from '../../src/testing/index.ts';
import { type Endpoint, endpoint } from '../../src/wire/endpoint.ts';

/** What happens to datagrams on the way from one side to the other. */
export interface Path {
  readonly latencyMs: number;
  readonly jitterMs?: number;
  readonly loss?: number;
  readonly duplicate?: number;
  /** Bottleneck: packets per ms, and how many wait in front of it before the next is dropped. */
  readonly rate?: number;
  readonly queue?: number;
}

/** One NetCrypto with a record of what its hooks were told. */
export class Side {
  readonly name: string;
  readonly realKeys: KeyPair;
  readonly dhtKeys: KeyPair;
  readonly crypto: NetCrypto;
  /** Where datagrams come from and go to; another one when the side moves. */
  endpoint: Endpoint;
  readonly events: string[] = [];
  readonly lossless: Uint8Array[] = [];
  readonly lossy: Uint8Array[] = [];
  readonly acknowledged: number[] = [];
  friends: PublicKey[] = [];
  onLossless: ((now: Mono, data: Uint8Array) => void) | undefined;
  onWritable: ((now: Mono) => void) | undefined;
  onClosed: ((now: Mono, key: PublicKey) => void) | undefined;
  peerDhtKey: PublicKey | undefined;

  constructor(
    pair: Pair,
    name: string,
    address: Endpoint,
    seed: number,
    options: { realKeys?: KeyPair; firstNumber?: number } = {},
  ) {
    const env = testEnv(seed);
    this.name = name;
    this.endpoint = address;
    this.realKeys = options.realKeys ?? generateKeyPair(env);
    this.dhtKeys = generateKeyPair(env);
    const deps = {
      realKeys: this.realKeys,
      dhtKeys: this.dhtKeys,
      dhtSharedKeys: new SharedKeys(this.dhtKeys.secretKey, 64),
      send: (to: Endpoint, data: Uint8Array) => pair.carry(this.endpoint, to, data),
      relays: noRelays,
    };
    const first = options.firstNumber === undefined ? {} : { firstNumber: options.firstNumber };
    this.crypto = new NetCrypto(
      env,
      { ...deps, ...first },
      {
        isFriend: (key) => this.friends.some((friend) => sameBytes(friend, key)),
        onDhtKey: (_now, _key, dhtKey) => {
          this.peerDhtKey = dhtKey;
          this.events.push('dht-key');
        },
        onEstablished: () => this.events.push('established'),
        onClosed: (now, key) => {
          this.events.push('closed');
          this.onClosed?.(now, key);
        },
        onLossless: (now, _key, data) => {
          if (this.onLossless) this.onLossless(now, data);
          else this.lossless.push(data.slice());
        },
        onLossy: (_now, _key, data) => this.lossy.push(data.slice()),
        onAcknowledged: (_now, _key, upTo) => this.acknowledged.push(upTo),
        onWritable: (now) => {
          this.events.push('writable');
          this.onWritable?.(now);
        },
        onRerouted: () => {},
      },
    );
  }
}

/** Several NetCrypto on one simulated link in virtual time; every step follows from the seed. */
export class Pair {
  now: Mono = 0;
  path: Path;
  /** Sees each datagram as it is sent; false drops it. */
  tap: ((from: Endpoint, to: Endpoint, data: Uint8Array) => boolean) | undefined;
  sent = 0;
  bytes = 0;
  dropped = 0;
  /** Longest that a datagram waited in front of the bottleneck, ms. */
  longestQueue = 0;
  readonly firstNumber: number;
  readonly a: Side;
  readonly b: Side;
  readonly sides: Side[] = [];
  readonly #air = new Heap<{ at: number; from: Endpoint; to: Endpoint; data: Uint8Array }>();
  readonly #busyUntil = new Map<Endpoint, number>();
  readonly #random: () => number;

  constructor(seed: number, path: Path, options: { firstNumber?: number } = {}) {
    this.path = path;
    this.firstNumber = options.firstNumber ?? 0;
    this.#random = seededRandom(seed);
    this.a = this.add('a', 1, seed * 2 + 1, options);
    this.b = this.add('b', 2, seed * 2 + 2, options);
    this.a.friends.push(this.b.realKeys.publicKey);
    this.b.friends.push(this.a.realKeys.publicKey);
  }

  add(name: string, host: number, seed: number, options: { realKeys?: KeyPair; firstNumber?: number } = {}): Side {
    const side = new Side(this, name, endpoint(`192.0.2.${host}`, 33445)!, seed, options);
    this.sides.push(side);
    return side;
  }

  connect(from: Side, to: Side): void {
    from.crypto.connect(this.now, to.realKeys.publicKey, to.dhtKeys.publicKey, to.endpoint);
  }

  /** Connects a to b and waits for both. */
  open(): this {
    this.connect(this.a, this.b);
    this.until(() => this.established());
    return this;
  }

  established(): boolean {
    const { a, b } = this;
    return a.crypto.established(b.realKeys.publicKey) && b.crypto.established(a.realKeys.publicKey);
  }

  /** Sends from a to b. */
  send(data: Uint8Array): number | undefined {
    return this.a.crypto.sendLossless(this.now, this.b.realKeys.publicKey, data);
  }

  room(): number {
    return this.a.crypto.room(this.b.realKeys.publicKey);
  }

  carry(from: Endpoint, to: Endpoint, data: Uint8Array): void {
    this.sent++;
    this.bytes += data.length;
    if (this.tap && !this.tap(from, to, data)) return;
    const { latencyMs, jitterMs = 0, loss = 0, duplicate = 0, rate, queue = 1000 } = this.path;
    if (this.#random() < loss) {
      this.dropped++;
      return;
    }
    let wait = 0;
    if (rate !== undefined) {
      const free = Math.max(this.now, this.#busyUntil.get(from) ?? 0);
      wait = free - this.now;
      if (wait * rate > queue) {
        this.dropped++;
        return;
      }
      this.longestQueue = Math.max(this.longestQueue, wait);
      this.#busyUntil.set(from, free + data.length / 1400 / rate);
    }
    const copies = this.#random() < duplicate ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      const at = this.now + wait + latencyMs + this.#random() * jitterMs;
      this.#air.push({ at, from, to, data });
    }
  }

  /** Runs until `done`, or throws when nothing was reached for `limitMs` of virtual time. */
  until(done: () => boolean, limitMs = 60_000): void {
    const end = this.now + limitMs;
    while (!done()) {
      if (!this.step() || this.now > end) {
        throw new Error(`not reached at ${this.now} ms: a ${this.a.events}, b ${this.b.events}`);
      }
    }
  }

  run(ms: number): void {
    const end = this.now + ms;
    while (this.#next() <= end && this.step());
    this.now = end;
  }

  step(): boolean {
    const next = this.#next();
    if (next === Number.POSITIVE_INFINITY) return false;
    this.now = Math.max(this.now, next);
    for (let top = this.#air.peek(); top && top.at <= this.now; top = this.#air.peek()) {
      this.#air.pop();
      for (const side of this.sides) if (side.endpoint === top.to) side.crypto.handle(this.now, top.from, top.data);
    }
    for (const side of this.sides) {
      const at = side.crypto.nextWake();
      if (at !== undefined && at <= this.now) side.crypto.wake(this.now);
    }
    return true;
  }

  #next(): number {
    let next = this.#air.peek()?.at ?? Number.POSITIVE_INFINITY;
    for (const side of this.sides) next = Math.min(next, side.crypto.nextWake() ?? Number.POSITIVE_INFINITY);
    return next;
  }
}

/** A numbered packet with id 160 and content that follows from the number. */
export function numbered(n: number, size = 1373): Uint8Array {
  const data = new Uint8Array(size);
  data[0] = 160;
  new DataView(data.buffer).setUint32(1, n);
  for (let i = 5; i < size; i += 97) data[i] = n + i;
  return data;
}

/**
 * Sends `count` numbered packets from a to b as fast as `room` allows and checks each on arrival.
 * Returns the virtual ms it took until all were acknowledged.
 */
export function transfer(pair: Pair, count: number, limitMs: number, size = 1373): number {
  const { a, b } = pair;
  const begin = pair.now;
  let offered = 0;
  let received = 0;
  const fill = () => {
    while (offered < count && pair.room() > 0) {
      if (pair.send(numbered(offered, size)) === undefined) throw new Error('refused although there was room');
      offered++;
    }
  };
  b.onLossless = (_now, data) => {
    if (!sameBytes(data, numbered(received, size))) throw new Error(`packet ${received} is not what was sent`);
    received++;
  };
  a.onWritable = fill;
  const before = a.acknowledged.at(-1) ?? pair.firstNumber;
  fill();
  pair.until(() => received === count && ((a.acknowledged.at(-1) ?? before) - before) >>> 0 >= count, limitMs);
  b.onLossless = undefined;
  a.onWritable = undefined;
  return pair.now - begin;
}
