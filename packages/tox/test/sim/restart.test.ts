import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testEnv } from '../../src/testing/index.ts';
import { Tox } from '../../src/tox.ts';
import { endpoint } from '../../src/wire/endpoint.ts';
import { Network } from './network.ts';

test('after a crash a node is back with its friends at once where it met them, even if all other nodes are gone', () => {
  const network = new Network(7, 12);
  const pairs = network.befriend(1);
  network.world.runUntil(() => pairs.every((pair) => network.areOnline(pair)), 20_000, 'all friends online');

  const [crashed, friend] = pairs[0]!;
  for (const person of network.people) if (person !== crashed && person !== friend) network.world.remove(person.at);
  network.restart(crashed);
  network.world.runUntil(() => crashed.online.has(friend.key), 1_000, 'the friend met again');
});

test('a friend who moved while we were away is found by the network as before', () => {
  const network = new Network(8, 12);
  const pairs = network.befriend(1);
  network.world.runUntil(() => pairs.every((pair) => network.areOnline(pair)), 20_000, 'all friends online');

  for (const person of pairs[0]!) network.restart(person);
  network.world.runUntil(() => network.areOnline(pairs[0]!), 60_000, 'both found anew');
  assert.ok(network.areOnline(pairs[0]!));
});

test('a third of the nodes crashes, forgets where friends were, and finds them again over the onion in seconds', (t) => {
  const network = new Network(9, 60);
  network.world.link = () => ({ latencyMs: 20, jitterMs: 30, loss: 0.05, mtu: 1_400 });
  const pairs = network.befriend(5);
  const online = () => pairs.filter((pair) => network.areOnline(pair)).length;
  network.world.runUntil(() => online() === pairs.length, 20_000, 'all friends online');

  const before = network.world.now;
  for (const person of network.people) if (person.index % 3 === 1) network.restart(person, true);
  network.world.runUntil(() => online() >= 0.95 * pairs.length, 9_000, '95 % of the pairs back');
  t.diagnostic(`95 % back after ${Math.round(network.world.now - before)} ms`);
  network.world.runUntil(() => online() === pairs.length, 20_000, 'all friends back');
  t.diagnostic(`all back after ${Math.round(network.world.now - before)} ms`);
});

test('a friend who crashed and nobody told is found long before his connection times out', () => {
  const network = new Network(10, 12);
  const pairs = network.befriend(1);
  network.world.runUntil(() => pairs.every((pair) => network.areOnline(pair)), 20_000, 'all friends online');

  const [crashed, friend] = pairs[0]!;
  network.restart(crashed, true);
  friend.online.delete(crashed.key); // to see him come
  network.world.runUntil(() => friend.online.has(crashed.key), 6_000, 'the friend met again');
});

test('two programs that run with copies of one profile take their friends from each other at a walk, not a run', () => {
  const network = new Network(11, 10);
  const pairs = network.befriend(2);
  network.world.runUntil(() => pairs.every((pair) => network.areOnline(pair)), 20_000, 'all friends online');

  const { world } = network;
  const one = network.people[5]!;
  const save = one.tox.save(world.now);
  const copyAt = endpoint('99.9.9.9', 33_445)!;
  world.add(
    copyAt,
    new Tox(
      testEnv(4_242, () => world.now),
      world.now,
      { save },
    ),
  );
  let sent = 0;
  let changes = 0;
  world.tap = (from) => {
    if (from === one.at || from === copyAt) sent++;
  };
  const { onEvent } = world;
  world.onEvent = (event) => {
    onEvent(event);
    if (event.who === one.at && event.event.type === 'friend-connection') changes++;
  };
  world.runFor(60_000);
  assert.ok(changes > 4 && changes < 120, `${changes} changes of two friends in a minute`);
  assert.ok(sent < 6_000, `${sent} datagrams of both in a minute`);
});
