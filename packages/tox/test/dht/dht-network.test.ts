import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sameBytes, toHex } from '../../src/crypto/keys.ts';
import { compareDistance } from '../../src/dht/distance.ts';
import { World } from '../../src/testing/index.ts';
import { ip, network, TestNode } from './network.ts';

test('a node that bootstraps is connected after one round trip, and the bootstrap node after two', () => {
  const { world, nodes } = network(1, 2);
  world.runUntil(() => nodes[1]!.dht.connected(world.now), 41, 'joiner connected');
  world.runUntil(() => nodes[0]!.dht.connected(world.now), 40, 'bootstrap node connected');
});

test('two nodes that share only a bootstrap node find each other within a second', () => {
  const { world, nodes } = network(2, 3);
  const [, a, b] = nodes as [TestNode, TestNode, TestNode];
  world.poke(a.at, () => a.dht.search(world.now, b.keys.publicKey));
  world.runUntil(() => a.found.length > 0, 1_000, 'search');
  assert.equal(a.found[0]!.endpoint, b.at);
  assert.ok(sameBytes(a.found[0]!.publicKey, b.keys.publicKey));
  assert.equal(a.dht.endpointOf(world.now, b.keys.publicKey), b.at);
});

test('in a network of 30 every node finds every searched key', () => {
  const { world, nodes } = network(3, 30);
  world.runFor(5_000);
  for (let i = 0; i < 30; i++) {
    const node = nodes[i]!;
    world.poke(node.at, () => node.dht.search(world.now, nodes[(i + 11) % 30]!.keys.publicKey));
  }
  world.runUntil(() => nodes.every((n) => n.found.length > 0), 1_000, 'all searches');
});

test('after a minute each node knows its own nearest neighbours', () => {
  const { world, nodes } = network(4, 20);
  world.runFor(60_000);
  for (const node of nodes) {
    const own = node.keys.publicKey;
    const others = nodes.filter((n) => n !== node).map((n) => n.keys.publicKey);
    others.sort((x, y) => compareDistance(own, x, y));
    const told = node.dht.closest(world.now, own, 4).map((n) => toHex(n.publicKey));
    assert.deepEqual(told, others.slice(0, 4).map(toHex));
  }
});

test('a node learns how others see it', () => {
  const { world, nodes } = network(5, 4);
  world.runFor(3_000);
  for (const node of nodes) assert.equal(node.dht.ownAddress().endpoint, node.at);
});

test('a node that vanished is not told after 122 s and forgotten by 200 s', () => {
  const { world, nodes } = network(6, 5);
  world.runFor(10_000);
  const gone = nodes[4]!;
  world.remove(gone.at);
  world.runFor(200_000);
  for (const node of nodes.slice(0, 4)) {
    assert.equal(node.dht.liveNodes(world.now), 3);
    assert.ok(!node.dht.closest(world.now, gone.keys.publicKey, 4).some((n) => n.endpoint === gone.at));
  }
});

test('nodes stay listed with each other over an hour of idling', () => {
  const { world, nodes } = network(7, 5);
  for (let minute = 0; minute < 60; minute++) {
    world.runFor(60_000);
    for (const node of nodes) assert.equal(node.dht.liveNodes(world.now), 4);
  }
});

test('an idle node sends little and wakes at most once a second', () => {
  const { world, nodes } = network(8, 10);
  world.runFor(60_000);
  const before = world.delivered;
  const node = nodes[3]!;
  let wakes = 0;
  const wake = node.wake.bind(node);
  node.wake = (now) => {
    wakes++;
    wake(now);
  };
  world.runFor(60_000);
  assert.ok(wakes <= 60, `${wakes} wakes`);
  // Per node and minute: 8 near close members 2.4 times and one once, 2 x 8 search entries, 3 x 3 extra requests, and
  // answers.
  const perNode = (world.delivered - before) / 10;
  assert.ok(perNode <= 2 * (20 + 1 + 16 + 9) + 4, `${perNode} datagrams`);
});

test('when everybody was away for ten minutes, a node finds back by itself', () => {
  const { world, nodes } = network(9, 4);
  world.runFor(5_000);
  const cut = nodes[2]!;
  const link = world.link;
  world.link = (from, to) => (from === cut.at || to === cut.at ? undefined : link(from, to));
  world.runFor(600_000);
  assert.equal(cut.dht.connected(world.now), false);
  world.link = link;
  world.runUntil(() => cut.dht.connected(world.now), 31_000, 'reconnected');
  world.runUntil(() => cut.dht.liveNodes(world.now) === 3, 5_000, 'knows all again');
});

test('a bootstrap node that starts late is found by repeated attempts', () => {
  const world = new World<never>(10);
  const late = new TestNode(101, ip('198.51.100.1'));
  const node = new TestNode(102, ip('198.51.100.2'));
  world.add(node.at, node);
  world.poke(node.at, () => node.dht.bootstrap(world.now, late.info));
  world.runFor(3_000);
  world.add(late.at, late);
  world.runUntil(() => node.dht.connected(world.now), 4_000, 'connected');
});

test('with dead bootstrap nodes among many, one live node suffices', () => {
  const world = new World<never>(11);
  const live = new TestNode(111, ip('198.51.100.1'));
  const node = new TestNode(112, ip('198.51.100.2'));
  world.add(live.at, live);
  world.add(node.at, node);
  world.poke(node.at, () => {
    for (let i = 0; i < 20; i++) {
      node.dht.bootstrap(world.now, new TestNode(200 + i, ip(`203.0.113.${i + 1}`)).info);
    }
    node.dht.bootstrap(world.now, live.info);
  });
  world.runUntil(() => node.dht.connected(world.now), 2_500, 'connected');
});

test('a lossy network (30 %) still connects and finds', () => {
  const { world, nodes } = network(12, 8);
  world.link = () => ({ latencyMs: 30, jitterMs: 60, loss: 0.3, duplicate: 0.05 });
  for (const node of nodes.slice(1)) world.poke(node.at, () => node.dht.search(world.now, nodes[0]!.keys.publicKey));
  world.runUntil(() => nodes.slice(1).every((n) => n.found.length > 0), 20_000, 'found');
});

test('a restarted node with a new key on the same address replaces the old one everywhere', () => {
  const { world, nodes } = network(13, 4);
  world.runFor(5_000);
  const old = nodes[3]!;
  world.remove(old.at);
  const fresh = new TestNode(999, old.at);
  world.add(fresh.at, fresh);
  world.poke(fresh.at, () => fresh.dht.bootstrap(world.now, nodes[0]!.info));
  world.runFor(3_000);
  for (const node of nodes.slice(0, 3)) {
    const told = node.dht.closest(world.now, fresh.keys.publicKey, 8);
    assert.ok(sameBytes(told[0]!.publicKey, fresh.keys.publicKey));
    assert.ok(!told.some((n) => sameBytes(n.publicKey, old.keys.publicKey)));
  }
});

test('a searched node that moves to another address is found there', () => {
  const { world, nodes } = network(14, 5);
  const [, a, b] = nodes as [TestNode, TestNode, TestNode];
  world.poke(a.at, () => a.dht.search(world.now, b.keys.publicKey));
  world.runUntil(() => a.found.length > 0, 2_000);
  world.runFor(10_000);
  world.remove(b.at);
  const moved = new TestNode(14 * 10_000 + 2, ip('198.51.9.9'));
  assert.ok(sameBytes(moved.keys.publicKey, b.keys.publicKey));
  world.add(moved.at, moved);
  world.poke(moved.at, () => moved.dht.bootstrap(world.now, nodes[0]!.info));
  world.runUntil(() => a.dht.endpointOf(world.now, b.keys.publicKey) === moved.at, 2_000, 'found anew');
});

test('a DHT request reaches a searched node through those that know it', () => {
  const { world, nodes } = network(15, 6);
  const [, a, b] = nodes as [TestNode, TestNode, TestNode];
  world.poke(a.at, () => a.dht.search(world.now, b.keys.publicKey));
  world.runFor(10_000);
  const data = Uint8Array.from([1, 2, 3]);
  world.link = (from, to) => (from === a.at && to === b.at ? undefined : { latencyMs: 10 });
  const copies = world.poke(a.at, () => a.dht.sendRequest(world.now, b.keys.publicKey, 0x9c, data));
  assert.ok(copies >= 2 && copies <= 8, `${copies} copies`);
  world.runFor(100);
  assert.equal(b.keyPackets.length, copies);
  assert.deepEqual(b.keyPackets[0]!.data, data);
  assert.ok(sameBytes(b.keyPackets[0]!.sender, a.keys.publicKey));
});

test('the same seed gives the same history', () => {
  const trace = (seed: number) => {
    const { world } = network(seed, 6);
    const sizes: string[] = [];
    world.tap = (from, to, data) => sizes.push(`${from} ${to} ${toHex(data)}`);
    world.runFor(5_000);
    return sizes;
  };
  assert.deepEqual(trace(16), trace(16));
});
