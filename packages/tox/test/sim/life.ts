import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { Network, type Person } from './network.ts';

const LINK = { latencyMs: 20, jitterMs: 30, loss: 0.01, mtu: 1_400 };
const MINUTE = 60_000;
/** Of all nodes, so many leave each minute, for one minute. */
const CHURN = 0.02;
const PARTITION = 10 * MINUTE;
/** Of all nodes, so many change their address at once. */
const MOVERS = 0.1;

/** What a node of a quiet network costs. */
export interface Cost {
  readonly datagramsPerMinute: number;
  /** Of memory, MiB; 0 if the program cannot tell (needs --expose-gc). */
  readonly memory: number;
}

/**
 * The life of a network: everyone starts at once, then quiet, churn, a partition in two halves, and
 * moves. After each trouble all pairs of friends are to be online again. Returns the cost of quiet.
 */
export function live(t: TestContext, size: number, friendsEach: number, churnMinutes: number): Cost {
  const empty = memory();
  const network = new Network(1, size);
  const { world } = network;
  const all = network.people;
  const pairs = network.befriend(friendsEach);
  let halves = false;
  const side = new Map<string, number>();
  world.link = (from, to) => (halves && side.get(from) !== side.get(to) ? undefined : LINK);
  const allOnline = () => pairs.every((pair) => network.areOnline(pair));
  const settle = (what: string, limit: number) => {
    const began = world.now;
    world.runUntil(allOnline, limit, what);
    t.diagnostic(`${size} nodes: ${what} after ${((world.now - began) / 1000).toFixed(1)} s`);
  };

  settle('all online', MINUTE);
  const cost = quiet(t, network, empty);

  const away: { person: Person; save: Uint8Array }[] = [];
  for (let minute = 0; minute < churnMinutes; minute++) {
    for (const { person, save } of away.splice(0)) network.comeBack(person, save);
    for (let i = 0; i < size * CHURN; i++) {
      const person = all[1 + Math.floor(world.random() * (size - 1))]!; // the first is everyone's way in
      if (!away.some((each) => each.person === person)) away.push({ person, save: network.leave(person) });
    }
    world.runFor(MINUTE);
  }
  for (const { person, save } of away) network.comeBack(person, save);
  settle('all back from the churn', MINUTE);

  for (const [i, person] of all.entries()) side.set(person.at, i % 2);
  halves = true;
  world.runFor(PARTITION);
  assert.ok(
    pairs.every((pair) => network.areOnline(pair) === ((pair[0].index - pair[1].index) % 2 === 0)),
    'friends on one side stay online, others notice',
  );
  halves = false;
  settle('all together after the partition', 20_000);

  for (const person of all.slice(1)) if (world.random() < MOVERS) network.move(person, world.random() < 0.5);
  world.runFor(MINUTE); // whoever did not find the other has lost him by then
  settle('all met again after the moves', MINUTE);
  return cost;
}

/** Lets the start be over, and counts during the minutes that follow. */
export function quiet(t: TestContext, { world, people }: Network, empty: number): Cost {
  world.runFor(2 * MINUTE);
  const before = world.delivered;
  world.runFor(MINUTE);
  const datagramsPerMinute = (world.delivered - before) / people.length;
  const used = (memory() - empty) / people.length;
  const told = empty === 0 ? '' : `, ${(used * 1024).toFixed(0)} KiB of memory each`;
  t.diagnostic(`${people.length} nodes: ${datagramsPerMinute.toFixed(0)} datagrams a minute and node${told}`);
  return { datagramsPerMinute, memory: used };
}

/** Of the whole process, MiB. */
export function memory(): number {
  if (!globalThis.gc) return 0;
  globalThis.gc();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 2 ** 20;
}
