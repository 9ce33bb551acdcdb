import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateKeyPair } from '../../src/crypto/keys.ts';
import { testEnv } from '../../src/testing/index.ts';
import { endpoint } from '../../src/wire/endpoint.ts';
import { CrookedRelay } from './crooked-relay.ts';
import { type Member, RelayedNetwork } from './relayed.ts';

const CROOKED = endpoint('99.9.9.9', 443)!;

/** Two nodes without UDP, an honest node for the onion, and a crooked relay. */
function stage(seed: number) {
  const net = new RelayedNetwork(seed);
  const honest = net.relay('honest');
  const crooked = new CrookedRelay(testEnv(seed));
  net.world.add(CROOKED, crooked);
  net.world.listen(CROOKED, CROOKED);
  const [a, b] = [net.add('a', { udp: false }), net.add('b', { udp: false })];
  for (const member of [a, b]) {
    net.command(member, (tox, now) => tox.addRelay(now, { publicKey: crooked.keys.publicKey, at: CROOKED }));
    net.enter(member, honest);
  }
  net.world.runUntil(() => a.tox.connection === 'tcp' && b.tox.connection === 'tcp', 5_000, 'connected');
  net.befriend(a, b);
  return { net, honest, crooked, a, b };
}

/** Numbered packets from `a` to `b`. */
function send(net: RelayedNetwork, a: Member, b: Member, count: number): void {
  let sent = 0;
  const end = net.world.now + 120_000;
  while (b.got.length < count) {
    assert.ok(net.world.now < end, `${b.got.length} of ${count} came`);
    net.command(a, (tox, now) => {
      while (sent < count) {
        const data = new Uint8Array(1_000).fill(170);
        new DataView(data.buffer).setUint32(1, sent);
        if (!tox.messenger.sendLossless(now, b.tox.realKeys.publicKey, data)) return;
        sent++;
      }
    });
    net.world.runFor(50);
  }
  b.got.forEach((data, i) => {
    assert.equal(new DataView(data.buffer, data.byteOffset).getUint32(1), i);
  });
}

test('a relay that drops, doubles and reorders costs time, but no packet', () => {
  const { net, honest, crooked, a, b } = stage(11);
  net.untilOnline(a, b, 10_000);
  net.kill(honest);
  let held: Uint8Array | undefined;
  crooked.manner = (data, deliver) => {
    const dice = net.world.random();
    if (dice < 0.05) return;
    if (dice < 0.1 && !held) {
      held = data;
      return;
    }
    deliver(data);
    if (dice > 0.95) deliver(data);
    if (held) deliver(held);
    held = undefined;
  };
  send(net, a, b, 1_500);
  assert.ok(!net.broke(a, b));
});

test('a relay that says everybody is there and swallows everything does not keep friends apart', () => {
  const { net, crooked, a, b } = stage(12);
  crooked.lies = true;
  net.untilOnline(a, b, 10_000);
  send(net, a, b, 500);
  net.world.runFor(40_000);
  assert.equal(net.connection(a, b), 'tcp');
  assert.ok(!net.broke(a, b));
});

test('a relay that begins to swallow everything is left for another one before the friend counts as lost', () => {
  const { net, crooked, a, b } = stage(13);
  net.untilOnline(a, b, 10_000);
  net.world.runFor(5_000);
  crooked.lies = true;
  net.world.runFor(60_000);
  assert.ok(!net.broke(a, b) && !net.broke(b, a));
  send(net, a, b, 500);
});

test('strangers without number, shouted by a relay, cost few answers and no memory', () => {
  const { net, crooked, a, b } = stage(14);
  net.untilOnline(a, b, 10_000);
  const env = testEnv(99);
  const cookieRequest = Uint8Array.of(0x18, ...env.random(144));
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < 5_000; i++) {
    const from = i % 50 === 0 ? generateKeyPair(env).publicKey : (env.random(32) as never);
    net.world.poke(CROOKED, () => crooked.shout(() => ({ kind: 7, peer: from, data: cookieRequest })));
    if (i % 100 === 0) net.world.runFor(10);
  }
  net.world.runFor(1_000);
  assert.ok(process.memoryUsage().heapUsed - before < 64 * 1024 * 1024);
  assert.ok(!net.broke(a, b));
  send(net, a, b, 100);
});

test('routes for peers that nobody asked for, and notices of them, change nothing', () => {
  const { net, crooked, a, b } = stage(15);
  net.untilOnline(a, b, 10_000);
  const env = testEnv(98);
  for (let i = 0; i < 240; i++) {
    const peer = env.random(32) as never;
    net.world.poke(CROOKED, () => {
      crooked.shout(() => ({ kind: 1, id: 16 + (i % 240), peer }));
      crooked.shout(() => ({ kind: i % 2 ? 2 : 3, id: 16 + (i % 240) }));
    });
  }
  net.world.runFor(1_000);
  send(net, a, b, 100);
  assert.ok(!net.broke(a, b));
});
