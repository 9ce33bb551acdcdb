import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toHex } from '../../src/crypto/keys.ts';
import type { Nospam } from '../../src/packet/friend.ts';
import { network, type OnionPeer } from './network.ts';

const text = (s: string) => new TextEncoder().encode(s);
const found = (a: OnionPeer, b: OnionPeer) => a.notices.some((n) => n.kind === 'dht-key' && n.from === b.name);

test('one node serves as all hops and as announce node, and friends find each other in a few round trips', () => {
  const { world, peers } = network(1, 3);
  const [hub, a, b] = peers as [OnionPeer, OnionPeer, OnionPeer];
  for (const [me, friend] of [
    [a, b],
    [b, a],
  ] as const) {
    world.poke(me.at, () => me.client.addFriend(world.now, friend.realKeys.publicKey));
    hub.known.push(me.info);
    world.poke(me.at, () => me.meet(world.now, hub));
  }
  world.runUntil(() => a.client.announced() && b.client.announced(), 1000, 'announced');
  // Two exchanges of 80, 81, 82, 83 and 84..8c: 8 ways of 20 ms each.
  assert.ok(world.now <= 2 * 8 * 20, `announced after ${world.now} ms`);
  world.runUntil(() => found(a, b) && found(b, a), 5000, 'both know the DHT key');
  const news = a.notices.find((n) => n.kind === 'dht-key')!;
  assert.equal(toHex(news.dhtKey), toHex(b.dhtKeys.publicKey));
  assert.equal(news.nodes[0]?.endpoint, b.at);
  assert.ok(world.now < 1500, `found after ${world.now} ms`);
});

test('a friend who is already announced is told our DHT key within two onion round trips', () => {
  const { world, peers } = network(2, 3);
  const [hub, a, b] = peers as [OnionPeer, OnionPeer, OnionPeer];
  hub.known.push(a.info, b.info);
  world.poke(b.at, () => b.client.addFriend(world.now, a.realKeys.publicKey));
  world.poke(b.at, () => b.meet(world.now, hub));
  world.runFor(60_000);
  const start = world.now;
  world.poke(a.at, () => a.client.addFriend(world.now, b.realKeys.publicKey));
  world.poke(a.at, () => a.meet(world.now, hub));
  world.runUntil(() => found(b, a), 5000, 'b knows a');
  assert.ok(world.now - start <= 2 * 8 * 20);
  world.runUntil(() => found(a, b), 60_000, 'a knows b');
});

test('a friend request reaches a stranger, and stops when it is cleared', () => {
  const { world, peers } = network(3, 3);
  const [hub, a, b] = peers as [OnionPeer, OnionPeer, OnionPeer];
  hub.known.push(a.info, b.info);
  for (const me of [a, b]) world.poke(me.at, () => me.meet(world.now, hub));
  const request = { nospam: Uint8Array.of(1, 2, 3, 4) as Uint8Array as Nospam, message: text('hello') };
  world.poke(a.at, () => {
    a.client.addFriend(world.now, b.realKeys.publicKey);
    a.client.setFriendRequest(world.now, b.realKeys.publicKey, request);
  });
  world.runUntil(() => b.notices.length > 0, 3000, 'request');
  assert.deepEqual(b.notices[0], { kind: 'request', from: a.name, ...request });
  assert.ok(world.now < 1000);
  world.poke(a.at, () => a.client.setFriendRequest(world.now, b.realKeys.publicKey, undefined));
  world.runFor(1000);
  const count = b.notices.length;
  world.runFor(120_000);
  assert.equal(b.notices.length, count);
});

test('a friend who announces himself to our own node hears from us in the same moment', () => {
  const { world, peers } = network(7, 3);
  const [hub, a, b] = peers as [OnionPeer, OnionPeer, OnionPeer];
  world.poke(a.at, () => a.meet(world.now, hub));
  world.poke(a.at, () => a.client.addFriend(world.now, b.realKeys.publicKey));
  world.runFor(3_600_000); // our search is rare by now
  world.poke(b.at, () => b.client.addFriend(world.now, a.realKeys.publicKey));
  b.client.setFriendOnline(world.now, a.realKeys.publicKey, true); // b does not search for us
  const start = world.now;
  world.poke(b.at, () => b.meet(world.now, a));
  world.runUntil(() => found(b, a), 1_000, 'b knows a');
  assert.ok(world.now - start <= 400, `${world.now - start} ms`);
});

test('two nodes that know only each other find each other', () => {
  const { world, peers } = network(4, 2);
  const [a, b] = peers as [OnionPeer, OnionPeer];
  for (const [me, other] of [
    [a, b],
    [b, a],
  ] as const) {
    world.poke(me.at, () => me.client.addFriend(world.now, other.realKeys.publicKey));
    world.poke(me.at, () => me.meet(world.now, other));
  }
  world.runUntil(() => found(a, b) && found(b, a), 10_000, 'both know the DHT key');
});

test('in a network of fifty nodes friends meet, one tenth of all datagrams being lost', () => {
  const { world, peers } = network(5, 50);
  world.link = (from, to) => (from === to ? { latencyMs: 0 } : { latencyMs: 20, jitterMs: 10, loss: 0.1 });
  for (const peer of peers) {
    for (let i = 0; i < 12; i++) {
      const other = peers[Math.floor(world.random() * peers.length)]!;
      if (other !== peer) world.poke(peer.at, () => peer.meet(world.now, other));
    }
  }
  const [a, b] = peers as [OnionPeer, OnionPeer];
  world.poke(a.at, () => a.client.addFriend(world.now, b.realKeys.publicKey));
  world.poke(b.at, () => b.client.addFriend(world.now, a.realKeys.publicKey));
  world.runUntil(() => found(a, b) && found(b, a), 120_000, 'both know the DHT key');
});

test('once announced and with the friend online, a node is nearly silent', () => {
  const { world, peers } = network(6, 3);
  const [hub, a, b] = peers as [OnionPeer, OnionPeer, OnionPeer];
  hub.known.push(a.info, b.info);
  for (const [me, friend] of [
    [a, b],
    [b, a],
  ] as const) {
    world.poke(me.at, () => me.client.addFriend(world.now, friend.realKeys.publicKey));
    world.poke(me.at, () => me.meet(world.now, hub));
  }
  world.runFor(20_000);
  for (const [me, friend] of [
    [a, b],
    [b, a],
  ] as const) {
    world.poke(me.at, () => me.client.setFriendOnline(world.now, friend.realKeys.publicKey, true));
  }
  world.runFor(180_000);
  const before = world.delivered;
  world.runFor(600_000);
  const perMinute = (world.delivered - before) / 10 / 2;
  assert.ok(perMinute < 80);
});
