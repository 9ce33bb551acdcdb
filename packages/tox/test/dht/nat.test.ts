import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { sameBytes } from '../../src/crypto/keys.ts';
import { NAT_KINDS, type NatKind, Nats, type World } from '../../src/testing/index.ts';
import { ip, network, TestNode } from './network.ts';

const OPEN = undefined;

/** A network of open nodes and routers, into which nodes behind the routers are put. */
class Stage {
  readonly world: World<never>;
  readonly helpers: TestNode[];
  readonly nats = new Nats();
  #placed = 0;

  constructor(helpers = 8, seed = 1) {
    const { world, nodes } = network(seed, helpers);
    this.world = world;
    this.helpers = nodes;
    world.routers = this.nats;
    world.runFor(5_000);
  }

  /** A node behind a router of its own, which is itself at `outside`. */
  behind(kind: NatKind | undefined, outside = `203.0.113.${this.#placed + 1}`): TestNode {
    const inside = `10.${++this.#placed}.`;
    if (!kind) return this.at(outside);
    this.nats.add(kind, outside, inside);
    return this.at(`${inside}0.2`);
  }

  at(address: string): TestNode {
    const node = new TestNode(1_000 + this.world.random() * 1_000, ip(address));
    this.world.add(node.at, node);
    this.world.poke(node.at, () => node.dht.bootstrap(this.world.now, this.helpers[0]!.info));
    return node;
  }

  search(seeker: TestNode, sought: TestNode): void {
    this.world.poke(seeker.at, () => seeker.dht.search(this.world.now, sought.keys.publicKey));
  }

  /** Both search each other; how long it takes until both have an answer, ms. */
  meet(a: TestNode, b: TestNode, limit: number): number {
    this.world.runFor(5_000);
    const began = this.world.now;
    this.search(a, b);
    this.search(b, a);
    this.world.runUntil(() => a.found.length > 0 && b.found.length > 0, limit, 'both found');
    return this.world.now - began;
  }
}

const { 'full cone': cone, 'address-restricted': restricted, 'port-restricted': portRestricted } = NAT_KINDS;
const {
  'symmetric, sequential ports': counting,
  'symmetric, random ports': random,
  'UDP blocked': blocked,
} = NAT_KINDS;

/** Pairs that UDP alone can bring together, and how long that may take, ms. */
const PAIRS: [string, NatKind | undefined, NatKind | undefined, number][] = [
  ['open and full cone', OPEN, cone, 500],
  ['open and port-restricted', OPEN, portRestricted, 500],
  ['open and symmetric with counted ports', OPEN, counting, 500],
  ['open and symmetric with random ports', OPEN, random, 500],
  ['full cone and full cone', cone, cone, 500],
  ['full cone and symmetric with random ports', cone, random, 500],
  ['address-restricted and address-restricted', restricted, restricted, 500],
  ['address-restricted and port-restricted', restricted, portRestricted, 500],
  ['address-restricted and symmetric with counted ports', restricted, counting, 500],
  ['address-restricted and symmetric with random ports', restricted, random, 500],
  ['port-restricted and port-restricted', portRestricted, portRestricted, 500],
  ['port-restricted and symmetric with counted ports', portRestricted, counting, 2_000],
  ['symmetric and symmetric, both with counted ports', counting, counting, 2_000],
];

describe('two nodes behind routers find each other', () => {
  for (const [names, a, b, limit] of PAIRS) {
    test(names, () => {
      const stage = new Stage();
      stage.meet(stage.behind(a), stage.behind(b), limit);
    });

    test(`${names}: with a single node in common`, () => {
      const stage = new Stage(1);
      stage.meet(stage.behind(a), stage.behind(b), 4_000);
    });

    test(`${names}: in a lossy network, one side a minute later`, () => {
      const stage = new Stage();
      stage.world.link = () => ({ latencyMs: 40, jitterMs: 20, loss: 0.1 });
      const [left, right] = [stage.behind(a), stage.behind(b)];
      stage.search(left, right);
      stage.world.runFor(60_000);
      stage.search(right, left);
      const both = () => left.found.length > 0 && right.found.length > 0;
      stage.world.runUntil(both, 10_000, 'both found');
    });
  }

  for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
    test(`port-restricted and symmetric with random ports, from many ports at once (seed ${seed})`, (t) => {
      const stage = new Stage(8, seed);
      const took = stage.meet(stage.behind(portRestricted), stage.behind(random), 60_000);
      t.diagnostic(`${Math.round(took)} ms`);
    });
  }

  test('each behind two routers', () => {
    const stage = new Stage();
    stage.nats.add(portRestricted, '203.0.113.101', '100.64.1.');
    stage.nats.add(portRestricted, '203.0.113.102', '100.64.2.');
    stage.meet(stage.behind(portRestricted, '100.64.1.9'), stage.behind(portRestricted, '100.64.2.9'), 2_000);
  });

  test('both behind the same router, if it sends back what hosts behind it send to its outside', () => {
    const stage = new Stage();
    const a = stage.behind({ ...portRestricted, hairpin: true });
    stage.meet(a, stage.at('10.1.0.3'), 2_000);
  });
});

test('a node behind a router that lets no UDP out stays alone and calm', () => {
  const stage = new Stage();
  const lone = stage.behind(blocked);
  let sent = 0;
  stage.world.tap = (from) => {
    if (from === lone.at) sent++;
  };
  stage.world.runFor(10 * 60_000);
  assert.equal(lone.dht.connected(stage.world.now), false);
  assert.ok(sent < 80, `${sent} datagrams in ten minutes`);
});

test('a node behind a router that forgets after 30 s can be reached through the nodes around it at any time', () => {
  const stage = new Stage(30);
  const node = stage.behind(portRestricted);
  const key = node.keys.publicKey;
  const outside = ip('203.0.113.1');
  stage.world.runFor(60_000);
  for (let step = 0; step < 120; step++) {
    stage.world.runFor(10_000);
    const { now } = stage.world;
    const reaching = stage.helpers.filter(
      (helper) =>
        helper.dht.closest(now, key, 1).some((told) => sameBytes(told.publicKey, key)) &&
        stage.nats.enter(now, helper.at, outside),
    );
    assert.ok(reaching.length >= 7, `after ${step * 10} s only ${reaching.length} nodes`);
  }
});

test('guesses for a friend who is never reached stay within 32 a second', () => {
  const stage = new Stage();
  const [left, right] = [stage.behind(random), stage.behind(random)];
  stage.world.runFor(5_000);
  stage.search(left, right);
  stage.search(right, left);
  let guesses = 0;
  stage.world.tap = (from, to) => {
    if (from === left.at && to.startsWith('203.0.113.2:')) guesses++;
  };
  stage.world.runFor(5 * 60_000);
  assert.ok(guesses > 1_000 && guesses < 192 + 32 * 300 + 100, `${guesses} in five minutes`);
});
