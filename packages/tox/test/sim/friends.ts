import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Network } from './network.ts';

const SIZE = 200;
const FRIENDS_EACH = 5;
/** Milliseconds of virtual time, several times what it takes; a c-toxcore pair needs 10 s in a perfect network. */
const LIMIT = 20_000;
/** For all but one in twenty. */
const USUAL = 6_000;

/** One file for each seed, so that they run side by side. */
export function friendsFindEachOther(seed: number): void {
  test(`${SIZE} nodes with 5 % loss find five random friends each and talk; a third restarts and all come back (seed ${seed})`, (t) => {
    const network = new Network(seed, SIZE);
    network.world.link = () => ({ latencyMs: 20, jitterMs: 30, loss: 0.05, mtu: 1_400 });
    const pairs = network.befriend(FRIENDS_EACH);

    network.world.runUntil(() => pairs.every((pair) => network.areOnline(pair)), LIMIT, 'all friends online');
    t.diagnostic(`all online after ${Math.round(network.world.now)} ms, ${network.world.delivered} datagrams`);

    for (const [a, b] of pairs) {
      network.command(a, (tox, now) => tox.messenger.sendMessage(now, b.tox.realKeys.publicKey, `to ${b.index}`));
      network.command(b, (tox, now) => tox.messenger.sendMessage(now, a.tox.realKeys.publicKey, `to ${a.index}`));
    }
    const talked = () =>
      pairs.every(([a, b]) => a.received.get(b.key)?.length === 1 && b.received.get(a.key)?.length === 1);
    network.world.runUntil(talked, LIMIT, 'all messages delivered');
    for (const [a, b] of pairs) assert.deepEqual(a.received.get(b.key), [`to ${a.index}`]);

    const before = network.world.now;
    const back = () => pairs.filter((pair) => network.areOnline(pair)).length;
    for (const person of network.people) if (person.index % 3 === 1) network.restart(person);
    network.world.runUntil(() => back() >= 0.95 * pairs.length, USUAL, '95 % of the pairs back');
    t.diagnostic(`95 % back ${Math.round(network.world.now - before)} ms after a third restarted`);
    network.world.runUntil(() => pairs.every((pair) => network.areOnline(pair)), LIMIT, 'all friends back');
    t.diagnostic(`all back ${Math.round(network.world.now - before)} ms after a third restarted`);
  });
}
