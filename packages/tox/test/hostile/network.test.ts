import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EvilNetwork } from './evil-network.ts';

test('in a network of liars a node neither fails nor spins, and sends within a bound', () => {
  for (let seed = 1; seed <= 5; seed++) {
    const evil = new EvilNetwork(seed);
    evil.run(30_000, 50);
    const { victim, now } = evil;
    assert.ok(victim.connection === 'udp', 'they do answer');
    // Each list has its bound: 1024 nodes near us, 8 near each of the searched keys.
    assert.ok(victim.liveNodes(now) <= 1_024 + 8 * (4 + 2 + 256));
    const perSecond = evil.sent / 30;
    assert.ok(perSecond < 300, `seed ${seed}: ${perSecond} datagrams a second`);
    assert.ok(!evil.events.some((event) => event.type === 'friend-connection'));
  }
});
