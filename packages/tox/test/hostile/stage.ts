import sodium from 'sodium-native';
import { toHex } from '../../src/crypto/keys.ts';
import type { ToxEvent } from '../../src/messenger/events.ts';
import { seededRandom } from '../../src/testing/index.ts';
import { type Endpoint, endpoint } from '../../src/wire/endpoint.ts';
import { Network, type Person } from '../sim/network.ts';

/** Every kind that Tox has on UDP. */
export const KINDS = [
  0x00, 0x01, 0x02, 0x04, 0x18, 0x19, 0x1a, 0x1b, 0x20, 0x21, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88,
  0x8c, 0x8d, 0x8e, 0xf0,
];
/** Neighbours of those, kinds of c-toxcore that we do not speak, and the ends of the range. */
export const UNKNOWN_KINDS = [0x03, 0x05, 0x17, 0x1c, 0x22, 0x5a, 0x7f, 0x89, 0x8b, 0x8f, 0x90, 0x93, 0x98, 0xff];

export interface Captured {
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly data: Uint8Array;
}

/** A small network with friends, a victim in it, and somebody who sends the victim what he likes. */
export class Stage {
  readonly network: Network;
  /** All that went over the wire since `record`. */
  captured: Captured[] = [];
  /** Events of the victim. */
  events: ToxEvent[] = [];
  /** Bytes and datagrams that the victim sent. */
  sentBytes = 0;
  sent = 0;
  readonly random: () => number;
  readonly #record: boolean;
  readonly #victim: number;

  constructor(seed: number, size: number, options: { victim?: number; record?: boolean } = {}) {
    this.#victim = options.victim ?? 1;
    this.#record = options.record ?? false;
    this.random = seededRandom(seed);
    this.network = new Network(seed, size);
    const { world } = this.network;
    const see = world.onEvent;
    world.onEvent = (event) => {
      see(event);
      if (event.who === this.victim.at) this.events.push(event.event);
    };
    world.tap = (from, to, data) => {
      if (from === this.victim.at) {
        this.sent++;
        this.sentBytes += data.length;
      }
      if (this.#record) this.captured.push({ from, to, data: Uint8Array.from(data) });
    };
  }

  get victim(): Person {
    return this.network.people[this.#victim]!;
  }

  get now(): number {
    return this.network.world.now;
  }

  /** What the attacker's datagrams do to the victim, in one instant. */
  attack(send: (give: (from: Endpoint, data: Uint8Array) => void) => void): void {
    const { victim } = this;
    this.network.command(victim, (tox, now) => send((from, data) => tox.receive(now, from, data)));
  }

  /** Makes the two friends and waits until they are online. */
  befriend(a: Person, b: Person, limitMs = 60_000): void {
    this.network.command(a, (tox, now) => tox.messenger.acceptFriend(now, b.tox.realKeys.publicKey));
    this.network.command(b, (tox, now) => tox.messenger.acceptFriend(now, a.tox.realKeys.publicKey));
    this.network.world.runUntil(() => this.network.areOnline([a, b]), limitMs, 'friends online');
  }

  /** Whether a text of each arrives at the other within the time. */
  talk(a: Person, b: Person, limitMs = 5_000): void {
    const text = `text ${Math.floor(this.random() * 2 ** 32)}`;
    this.network.command(a, (tox, now) => tox.messenger.sendMessage(now, b.tox.realKeys.publicKey, text));
    this.network.command(b, (tox, now) => tox.messenger.sendMessage(now, a.tox.realKeys.publicKey, text));
    const heard = (who: Person, from: Person) => who.received.get(from.key)?.includes(text) ?? false;
    this.network.world.runUntil(() => heard(a, b) && heard(b, a), limitMs, 'both texts arrived');
  }

  /** `size` bytes from the stage's seed. */
  bytes(size: number): Uint8Array {
    const out = new Uint8Array(size);
    for (let i = 0; i < size; i++) out[i] = this.random() * 256;
    return out;
  }

  /** A public address, another each time. */
  stranger(): Endpoint {
    const part = () => Math.floor(this.random() * 250);
    return endpoint(`${130 + Math.floor(this.random() * 40)}.${part()}.${part()}.${1 + part()}`, 1_024 + part() * 200)!;
  }
}

/** Counts the key derivations (X25519) of all code of this process while `work` runs. */
export function countDerivations<R>(work: () => R): { result: R; derivations: number } {
  const original = sodium.crypto_scalarmult;
  let derivations = 0;
  sodium.crypto_scalarmult = (out, secret, key) => {
    derivations++;
    original(out, secret, key);
  };
  try {
    return { result: work(), derivations };
  } finally {
    sodium.crypto_scalarmult = original;
  }
}

/** Events of the victim that tell more than that the network goes on. */
export function notable(events: readonly ToxEvent[]): string[] {
  return events.map((event) => ('friend' in event ? `${event.type} ${toHex(event.friend).slice(0, 8)}` : event.type));
}
