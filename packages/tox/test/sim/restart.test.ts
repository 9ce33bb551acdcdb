import assert from 'node:assert/strict';
import { test } from 'node:test';
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
