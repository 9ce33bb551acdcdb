import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endpoint } from '../../src/wire/endpoint.ts';
import { type Member, RelayedNetwork } from './relayed.ts';

const PACKET = 1_373;

/** A relay, and two friends who know it; online with each other. */
function stage(seed: number, options: { udpA?: boolean; udpB?: boolean; relays?: number } = {}) {
  const net = new RelayedNetwork(seed);
  const relays = Array.from({ length: options.relays ?? 1 }, (_, i) => net.relay(`relay ${i}`));
  const a = net.add('a', { udp: options.udpA ?? false });
  const b = net.add('b', { udp: options.udpB ?? false });
  for (const relay of relays) {
    net.enter(a, relay);
    net.enter(b, relay);
  }
  net.befriend(a, b);
  const ms = net.untilOnline(a, b, 20_000);
  return { net, relays, a, b, ms };
}

/** `a` sends numbered packets as fast as they are taken. `step` runs the world until so many have arrived. */
function transfer(net: RelayedNetwork, a: Member, b: Member, packets: number) {
  let sent = 0;
  const fill = () =>
    net.command(a, (tox, now) => {
      while (sent < packets) {
        const data = new Uint8Array(PACKET).fill(160 + (sent % 32));
        new DataView(data.buffer).setUint32(1, sent);
        if (!tox.messenger.sendLossless(now, b.tox.realKeys.publicKey, data)) return;
        sent++;
      }
    });
  const seen = net.world.onEvent;
  net.world.onEvent = (event) => {
    seen(event);
    if (event.who === a.at && event.event.type === 'writable') fill();
  };
  fill();
  const until = (count: number, limitMs: number) =>
    net.world.runUntil(() => b.got.length >= count, limitMs, `${count} packets (${b.got.length} came, ${sent} went)`);
  const check = () => {
    assert.equal(b.got.length, packets);
    b.got.forEach((data, i) => {
      assert.equal(data.length, PACKET);
      assert.equal(new DataView(data.buffer, data.byteOffset).getUint32(1), i);
    });
  };
  return { until, check };
}

/** From now on no datagram of `member` arrives anywhere, or none arrives at it. */
function blockUdp(net: RelayedNetwork, member: Member): () => void {
  const { link } = net.world;
  net.world.link = (from, to) => (from === member.at || to === member.at ? undefined : link(from, to));
  return () => {
    net.world.link = link;
  };
}

test('two nodes without UDP find each other by key through one relay and exchange 10 MB', (t) => {
  const { net, a, b, ms } = stage(1);
  t.diagnostic(`online after ${ms} ms`);
  assert.ok(ms < 2_000, `${ms}`);
  assert.equal(net.connection(a, b), 'tcp');
  assert.equal(a.tox.connection, 'tcp');
  const { until, check } = transfer(net, a, b, 7_700);
  const start = net.world.now;
  until(7_700, 60_000);
  t.diagnostic(`10 MB in ${Math.round(net.world.now - start)} ms`);
  check();
});

test('a friend request reaches a node without UDP, and one over UDP a node without', () => {
  for (const [udpA, udpB] of [
    [false, false],
    [true, false],
    [false, true],
  ]) {
    const net = new RelayedNetwork(2);
    const relay = net.relay('relay');
    const [a, b] = [net.add('a', { udp: udpA }), net.add('b', { udp: udpB })];
    net.enter(a, relay, !udpA);
    net.enter(b, relay, !udpB);
    net.command(a, (tox, now) => tox.messenger.addFriend(now, b.tox.messenger.toxId, 'hello'));
    const request = () => b.events.find((event) => event.type === 'friend-request');
    net.world.runUntil(() => request() !== undefined, 5_000, 'request');
    net.command(b, (tox, now) => tox.messenger.acceptFriend(now, request()!.publicKey));
    const ms = net.untilOnline(a, b, 5_000);
    assert.equal(net.connection(a, b), 'tcp', `${udpA} ${udpB} ${ms}`);
  }
});

test('UDP that dies in mid-transfer hands over to a relay, and back when it returns: nothing is lost or begun anew', (t) => {
  const { net, a, b } = stage(3, { udpA: true, udpB: true });
  net.world.pipe = () => ({ latencyMs: 20, rate: 4_000 });
  const { link } = net.world;
  net.world.runUntil(() => net.connection(a, b) === 'udp' && net.connection(b, a) === 'udp', 10_000, 'direct');
  net.world.runFor(15_000); // relays may sleep
  const { until, check } = transfer(net, a, b, 14_000);
  until(1_500, 60_000);
  const restore = blockUdp(net, a);
  let start = net.world.now;
  net.world.runFor(100);
  const before = b.got.length; // what was under way has come
  assert.ok(before < 10_000);
  until(before + 200, 20_000);
  t.diagnostic(`goes on over the relay after ${Math.round(net.world.now - start)} ms`);
  assert.ok(net.world.now - start < 6_000);
  assert.equal(net.connection(a, b), 'tcp');
  until(before + 1_500, 60_000);
  restore();
  assert.equal(net.world.link, link);
  start = net.world.now;
  net.world.runUntil(() => net.connection(a, b) === 'udp', 20_000, 'direct again');
  t.diagnostic(`goes on over UDP after ${Math.round(net.world.now - start)} ms`);
  until(14_000, 600_000);
  check();
  assert.ok(!net.broke(a, b) && !net.broke(b, a));
});

test('a friend who is a relay himself says so, and is reached over it when UDP dies', () => {
  const net = new RelayedNetwork(12);
  const node = net.add('node');
  const a = net.relay('a');
  const b = net.add('b');
  const loopback = endpoint('127.0.0.1', 33_445)!;
  net.world.listen(loopback, a.at);
  net.command(a, (tox, now) => tox.addOwnRelay(now, loopback));
  for (const member of [a, b]) net.enter(member, node, false);
  net.befriend(a, b);
  net.untilOnline(a, b, 20_000);
  net.world.runUntil(() => net.connection(a, b) === 'udp' && net.connection(b, a) === 'udp', 10_000, 'direct');
  net.world.runFor(30_000);
  assert.equal(a.tox.connection, 'udp');
  blockUdp(net, b);
  const { until, check } = transfer(net, b, a, 100);
  until(100, 20_000);
  check();
  assert.equal(net.connection(b, a), 'tcp');
  assert.ok(!net.broke(a, b) && !net.broke(b, a));
});

test('to be a relay oneself is no connection to the network', () => {
  const net = new RelayedNetwork(13);
  const a = net.relay('a');
  const loopback = endpoint('127.0.0.1', 33_445)!;
  net.world.listen(loopback, a.at);
  net.command(a, (tox, now) => tox.addOwnRelay(now, loopback));
  net.world.runFor(10_000);
  assert.equal(a.tox.relayStats!.clients, 1);
  assert.equal(a.tox.connection, 'none');
});

test('a relay that dies in mid-transfer is replaced by another one, without a break', (t) => {
  const { net, relays, a, b } = stage(4, { relays: 3 });
  net.world.pipe = () => ({ latencyMs: 20, rate: 4_000 });
  net.world.runFor(5_000);
  const { until, check } = transfer(net, a, b, 8_000);
  until(1_500, 60_000);
  for (const relay of relays.slice(0, 2)) {
    net.kill(relay);
    const before = b.got.length;
    const start = net.world.now;
    until(before + 100, 10_000);
    t.diagnostic(`goes on after ${Math.round(net.world.now - start)} ms`);
    until(before + 1_500, 60_000);
  }
  until(8_000, 120_000);
  check();
  assert.ok(!net.broke(a, b) && !net.broke(b, a));
});

test('a node that starts again from its profile is back with its friend through the relay that both used', (t) => {
  const { net, a, b } = stage(5);
  net.world.runFor(2_000);
  const save = a.tox.save(net.world.now);
  net.kill(a);
  net.world.runFor(100);
  const again = net.add('a again', { udp: false, save });
  const start = net.world.now;
  net.world.runUntil(() => net.connection(again, b) === 'tcp', 2_000, 'back');
  t.diagnostic(`back after ${net.world.now - start} ms`);
});
