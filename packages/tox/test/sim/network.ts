import { toHex } from '../../src/crypto/keys.ts';
import type { ToxEvent } from '../../src/messenger/events.ts';
import { readToxSave, writeToxSave } from '../../src/state/tox-save.ts';
import { testEnv, World } from '../../src/testing/index.ts';
import { Tox } from '../../src/tox.ts';
import { type Endpoint, endpoint } from '../../src/wire/endpoint.ts';

/** One simulated person: a node at an endpoint, and what it has seen. */
export interface Person {
  readonly index: number;
  /** Real public key, hexadecimal. */
  readonly key: string;
  at: Endpoint;
  tox: Tox;
  readonly online: Set<string>;
  readonly received: Map<string, string[]>;
}

/** A whole network of `size` nodes that know each other's first node only. */
export class Network {
  readonly world: World<ToxEvent>;
  readonly people: Person[] = [];
  readonly #seed: number;
  readonly #byEndpoint = new Map<Endpoint, Person>();
  #starts = 0;

  constructor(seed: number, size: number) {
    this.#seed = seed;
    this.world = new World(seed);
    this.world.onEvent = ({ who, event }) => this.#see(who, event);
    for (let index = 0; index < size; index++) {
      const tox = this.#start();
      const person: Person = {
        index,
        key: toHex(tox.realKeys.publicKey),
        at: this.#address(index),
        tox,
        online: new Set(),
        received: new Map(),
      };
      this.people.push(person);
      this.#join(person);
    }
  }

  /** Everyone gets `count` friends at random (an even number of people); both sides add each other by key. */
  befriend(count: number): [Person, Person][] {
    const pairs: [Person, Person][] = [];
    const known = new Set<string>();
    for (let round = 0; round < count; ) {
      const mixed = this.people
        .map((person) => ({ person, order: this.world.random() }))
        .sort((a, b) => a.order - b.order)
        .map(({ person }) => person);
      const drawn: [Person, Person][] = [];
      for (let i = 0; i < mixed.length; i += 2) drawn.push([mixed[i]!, mixed[i + 1]!]);
      const names = drawn.map((pair) => [pair[0].index, pair[1].index].sort((a, b) => a - b).join('-'));
      if (names.some((name) => known.has(name))) continue; // drawn before: draw the round anew
      for (const name of names) known.add(name);
      pairs.push(...drawn);
      round++;
    }
    for (const [a, b] of pairs) {
      this.command(a, (tox, now) => tox.messenger.acceptFriend(now, b.tox.realKeys.publicKey));
      this.command(b, (tox, now) => tox.messenger.acceptFriend(now, a.tox.realKeys.publicKey));
    }
    return pairs;
  }

  command<R>(person: Person, act: (tox: Tox, now: number) => R): R {
    return this.world.poke(person.at, () => act(person.tox, this.world.now));
  }

  /** A crash, and a new start from the profile, at another port; `forgetful`: from one that says not where friends were. */
  restart(person: Person, forgetful = false): void {
    let save = this.leave(person);
    if (forgetful) save = writeToxSave({ ...readToxSave(save), friendNodes: [] });
    this.comeBack(person, save);
  }

  /** Vanishes without a word; what is left is the profile. */
  leave(person: Person): Uint8Array {
    const save = person.tox.save(this.world.now);
    this.world.remove(person.at);
    this.#byEndpoint.delete(person.at);
    person.online.clear();
    return save;
  }

  /** Starts again from the profile, elsewhere. */
  comeBack(person: Person, save: Uint8Array): void {
    person.at = this.#address(person.index + this.people.length * ++this.#starts);
    person.tox = this.#start(save);
    this.#join(person);
  }

  /** The machine comes into another network, with all its programs running. `told`: and has noticed. */
  move(person: Person, told = true): void {
    this.world.remove(person.at);
    this.#byEndpoint.delete(person.at);
    person.at = this.#address(person.index + this.people.length * ++this.#starts);
    this.#byEndpoint.set(person.at, person);
    this.world.add(person.at, person.tox);
    if (told) this.command(person, (tox, now) => tox.networkChanged(now));
  }

  areOnline([a, b]: readonly [Person, Person]): boolean {
    return a.online.has(b.key) && b.online.has(a.key);
  }

  #start(save?: Uint8Array): Tox {
    const env = testEnv(this.#seed * 100_003 + this.#starts++, () => this.world.now);
    return new Tox(env, this.world.now, { save });
  }

  #join(person: Person): void {
    this.#byEndpoint.set(person.at, person);
    this.world.add(person.at, person.tox);
    const first = this.people[0]!;
    if (person === first) return;
    const node = { publicKey: first.tox.dhtKeys.publicKey, endpoint: first.at };
    this.command(person, (tox, now) => tox.bootstrap(now, node));
  }

  /** Public addresses, all in different /16 nets as far as that goes. */
  #address(n: number): Endpoint {
    return endpoint(
      `${20 + (n % 100)}.${Math.floor(n / 100) % 250}.7.${1 + (n % 200)}`,
      33_445 + Math.floor(n / 25_000),
    )!;
  }

  #see(who: Endpoint, event: ToxEvent): void {
    const person = this.#byEndpoint.get(who);
    if (!person) return;
    if (event.type === 'friend-connection') {
      if (event.online) person.online.add(toHex(event.friend));
      else person.online.delete(toHex(event.friend));
    } else if (event.type === 'message') {
      const key = toHex(event.friend);
      person.received.set(key, [...(person.received.get(key) ?? []), event.text]);
    }
  }
}
