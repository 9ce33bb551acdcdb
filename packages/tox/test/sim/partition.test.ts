import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Endpoint } from '../../src/wire/endpoint.ts';
import { Network, type Person } from './network.ts';

const LINK = { latencyMs: 20, jitterMs: 30, loss: 0.01, mtu: 1_400 };
/** Milliseconds: nodes give up whoever was silent for 182 s. */
const APART = 200_000;

/** A network whose friends are all online, to be cut into the given number of parts. */
function stage(seed: number, size: number) {
  const network = new Network(seed, size);
  const part = new Map<Endpoint, number>();
  network.world.link = (from, to) => (part.get(from) === part.get(to) ? LINK : undefined);
  const pairs = network.befriend(1);
  network.world.runUntil(() => pairs.every((pair) => network.areOnline(pair)), 20_000, 'all friends online');
  const cut = (person: Person, into: number) => part.set(person.at, into);
  return { network, pairs, cut, heal: () => part.clear() };
}

test('50 nodes cut in two halves for longer than they remember each other meet again within 10 s, their way in long dead', (t) => {
  const { network, pairs, cut, heal } = stage(1, 50);
  const { world, people } = network;
  const [first] = people as [Person];
  for (const person of people) cut(person, person.index % 2);
  world.remove(first.at);
  const rest = pairs.filter((pair) => !pair.includes(first));
  const apart = () => rest.filter((pair) => !network.areOnline(pair)).length;
  world.runFor(APART);
  assert.equal(apart(), rest.filter(([a, b]) => a.index % 2 !== b.index % 2).length);

  heal();
  const began = world.now;
  let sent = 0;
  world.tap = () => sent++;
  world.runUntil(() => apart() === 0, 10_000, 'all friends met again');
  t.diagnostic(`${((world.now - began) / 1000).toFixed(1)} s, ${Math.round(sent / people.length)} datagrams a node`);
});
