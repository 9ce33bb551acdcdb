import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ToxEvent } from '../../src/messenger/events.ts';
import { testEnv, World } from '../../src/testing/index.ts';
import { Tox } from '../../src/tox.ts';
import { endpointPort } from '../../src/wire/endpoint.ts';
import { ip, TestNode } from './network.ts';

function join(world: World<never>, seed: number, address: string, port = 33_445, lanDiscovery = true): TestNode {
  const node = new TestNode(seed, ip(address, port), { lanDiscovery });
  world.add(node.at, node);
  world.poke(node.at, () => node.dht.networkChanged(world.now));
  return node;
}

test('two nodes in one local network find each other at once, without any other node', () => {
  const world = new World<never>(1);
  const first = join(world, 1, '192.168.1.2');
  world.runFor(15_000);
  const second = join(world, 2, '192.168.1.3');
  const both = () => first.dht.connected(world.now) && second.dht.connected(world.now);
  world.runUntil(both, 200, 'found each other');
});

test('a node at any port of the usual range is found within two minutes', () => {
  const world = new World<never>(1);
  const first = join(world, 1, '192.168.1.2', 33_545);
  const second = join(world, 2, '192.168.1.3', 33_512);
  const both = () => first.dht.connected(world.now) && second.dht.connected(world.now);
  world.runUntil(both, 110_000, 'found each other');
});

test('the default port and ten others hear of us every ten seconds, all of the range within two minutes', () => {
  const world = new World<never>(1);
  const sent: { at: number; port: number }[] = [];
  world.tap = (_from, to) => {
    if (to.startsWith('255.255.255.255:')) sent.push({ at: world.now, port: endpointPort(to) });
  };
  join(world, 1, '192.168.1.2');
  world.runFor(119_000);
  const times = [...new Set(sent.map(({ at }) => at))];
  assert.deepEqual(
    times,
    Array.from({ length: 12 }, (_, i) => i * 10_000),
  );
  for (const time of times.slice(1)) {
    const ports = sent.filter(({ at }) => at === time).map(({ port }) => port);
    assert.equal(ports.length, 11);
    assert.ok(ports.includes(33_445));
  }
  assert.equal(new Set(sent.map(({ port }) => port)).size, 101);
});

test('neighbours do not hear of a node that keeps to itself, nor it of them', () => {
  const world = new World<never>(1);
  const open = join(world, 1, '192.168.1.2');
  const quiet = join(world, 2, '192.168.1.3', 33_445, false);
  world.runFor(120_000);
  assert.deepEqual([open.dht.connected(world.now), quiet.dht.connected(world.now)], [false, false]);
});

test('friends in one local network come online in a second with no node of the outer world', () => {
  const world = new World<ToxEvent>(1);
  const online = new Set<string>();
  world.onEvent = ({ who, event }) => {
    if (event.type === 'friend-connection' && event.online) online.add(who);
  };
  const people = [1, 2].map((seed) => {
    const at = ip(`192.168.1.${seed}`);
    const tox = new Tox(
      testEnv(seed, () => world.now),
      world.now,
      { lanDiscovery: true },
    );
    world.add(at, tox);
    world.poke(at, () => tox.networkChanged(world.now));
    return { at, tox };
  });
  const [a, b] = people as [(typeof people)[0], (typeof people)[0]];
  world.poke(a.at, () => a.tox.messenger.acceptFriend(world.now, b.tox.realKeys.publicKey));
  world.poke(b.at, () => b.tox.messenger.acceptFriend(world.now, a.tox.realKeys.publicKey));
  world.runUntil(() => online.size === 2, 1_000, 'both online');
});
