import { toHex } from '../../src/crypto/keys.ts';
import type { ToxEvent } from '../../src/messenger/events.ts';
import { testEnv, World } from '../../src/testing/index.ts';
import { Tox, type ToxOptions } from '../../src/tox.ts';
import { type Endpoint, endpoint } from '../../src/wire/endpoint.ts';

/** One simulated node: where it is, and what it has told. */
export interface Member {
  readonly name: string;
  at: Endpoint;
  tox: Tox;
  readonly events: ToxEvent[];
  /** Custom packets received, by length and a sum over their bytes. */
  readonly got: Uint8Array[];
}

/** A small network with nodes that are TCP relays for others, in virtual time. */
export class RelayedNetwork {
  readonly world: World<ToxEvent>;
  readonly members: Member[] = [];
  readonly #seed: number;
  #starts = 0;

  constructor(seed: number) {
    this.#seed = seed;
    this.world = new World(seed);
    this.world.onEvent = ({ who, event }) => {
      const member = this.members.find((m) => m.at === who);
      if (!member) return;
      member.events.push(event);
      if (event.type === 'lossless') member.got.push(event.data.slice());
    };
  }

  add(name: string, options: ToxOptions = {}): Member {
    const at = this.#address();
    const member = { name, at, tox: this.#start(options), events: [], got: [] };
    this.members.push(member);
    this.world.add(at, member.tox);
    return member;
  }

  /** A node that is a bootstrap node and relay, at one port for both. */
  relay(name: string): Member {
    const relay = this.add(name, { relay: {} });
    this.world.listen(relay.at, relay.at);
    const [first] = this.members;
    if (first && first !== relay) this.enter(relay, first);
    return relay;
  }

  /** Dies as in a crash. */
  kill(member: Member): void {
    this.world.remove(member.at);
  }

  command<R>(member: Member, act: (tox: Tox, now: number) => R): R {
    return this.world.poke(member.at, () => act(member.tox, this.world.now));
  }

  /** `member` knows `way`, and that it is a relay too. */
  enter(member: Member, way: Member, isRelay = true): void {
    const node = { publicKey: way.tox.dhtKeys.publicKey, endpoint: way.at };
    const port = Number(way.at.split(':').at(-1));
    this.command(member, (tox, now) => tox.bootstrap(now, node, isRelay ? [port] : []));
  }

  /** Both add each other by key. */
  befriend(a: Member, b: Member): void {
    this.command(a, (tox, now) => tox.messenger.acceptFriend(now, b.tox.realKeys.publicKey));
    this.command(b, (tox, now) => tox.messenger.acceptFriend(now, a.tox.realKeys.publicKey));
  }

  /** How `a` reaches `b`. */
  connection(a: Member, b: Member): string {
    return a.tox.messenger.friend(b.tox.realKeys.publicKey)?.connection ?? 'none';
  }

  untilOnline(a: Member, b: Member, limitMs: number): number {
    const start = this.world.now;
    const both = () => this.connection(a, b) !== 'none' && this.connection(b, a) !== 'none';
    this.world.runUntil(both, limitMs, `${a.name} and ${b.name} online`);
    return this.world.now - start;
  }

  /** Whether `a` ever told that the connection with `b` broke. */
  broke(a: Member, b: Member): boolean {
    const key = toHex(b.tox.realKeys.publicKey);
    return a.events.some((e) => e.type === 'friend-connection' && !e.online && toHex(e.friend) === key);
  }

  #start(options: ToxOptions): Tox {
    return new Tox(
      testEnv(this.#seed * 1_009 + this.#starts++, () => this.world.now),
      this.world.now,
      options,
    );
  }

  /** Public addresses in different networks. */
  #address(): Endpoint {
    return endpoint(`${20 + this.members.length}.7.7.7`, 33_445)!;
  }
}
