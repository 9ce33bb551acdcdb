import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { generateKeyPair, type KeyPair, type PublicKey, randomNonce, sameBytes } from '../../src/crypto/keys.ts';
import { seal, sharedKey } from '../../src/crypto/sodium.ts';
import type { Nospam } from '../../src/packet/friend.ts';
import * as packet from '../../src/packet/onion.ts';
import { testEnv } from '../../src/testing/index.ts';
import { network, type OnionPeer } from './network.ts';

const env = testEnv(99);

/** Hub and two peers that know it; both announced, neither searching. */
function trio(seed: number) {
  const { world, peers } = network(seed, 3);
  const [hub, a, b] = peers as [OnionPeer, OnionPeer, OnionPeer];
  hub.known.push(a.info, b.info);
  for (const me of [a, b]) world.poke(me.at, () => me.meet(world.now, hub));
  world.runUntil(() => a.client.announced() && b.client.announced(), 1000, 'announced');
  return { world, hub, a, b };
}

/** A routed DHT-key packet as `from` would make it. */
function routed(from: KeyPair, to: PublicKey, noReplay: bigint, dhtKey: PublicKey): Uint8Array {
  const nonce = randomNonce(env);
  const plain = packet.writeDhtKeyBody({ noReplay, dhtKey, nodes: [] });
  const box = seal(sharedKey(to, from.secretKey)!, nonce, plain);
  return packet.writeRoutedDhtKey({ sender: from.publicKey, nonce, box });
}

test('a routed DHT-key packet counts only from a friend, for the key that sent it, and once', () => {
  const { world, a, b } = trio(11);
  const dhtKey = generateKeyPair(env).publicKey;
  const data = routed(b.realKeys, a.realKeys.publicKey, 5n, dhtKey);
  a.client.handleDhtKeyPacket(world.now, dhtKey, data);
  assert.equal(a.notices.length, 0, 'a stranger');
  world.poke(a.at, () => a.client.addFriend(world.now, b.realKeys.publicKey));
  a.client.handleDhtKeyPacket(world.now, a.dhtKeys.publicKey, data);
  assert.equal(a.notices.length, 0, 'sent by another DHT key');
  a.client.handleDhtKeyPacket(world.now, dhtKey, data);
  assert.equal(a.notices.length, 1);
  a.client.handleDhtKeyPacket(world.now, dhtKey, data);
  a.client.handleDhtKeyPacket(world.now, dhtKey, routed(b.realKeys, a.realKeys.publicKey, 4n, dhtKey));
  assert.equal(a.notices.length, 1, 'replays and older news');
  const thief = routed(generateKeyPair(env), a.realKeys.publicKey, 9n, dhtKey);
  thief.set(b.realKeys.publicKey);
  a.client.handleDhtKeyPacket(world.now, dhtKey, thief);
  assert.equal(a.notices.length, 1, 'a forged sender');
  for (let n = 0; n < data.length; n++) a.client.handleDhtKeyPacket(world.now, dhtKey, data.subarray(0, n));
  a.client.handleDhtKeyPacket(world.now, dhtKey, routed(b.realKeys, a.realKeys.publicKey, 6n, dhtKey));
  assert.equal(a.notices.length, 2);
  a.client.setFriendOnline(world.now, b.realKeys.publicKey, true);
  a.client.setFriendOnline(world.now, b.realKeys.publicKey, false);
  a.client.handleDhtKeyPacket(world.now, dhtKey, routed(b.realKeys, a.realKeys.publicKey, 1n, dhtKey));
  assert.equal(a.notices.length, 3, 'a friend whose clock went back is heard after he was online');
});

test('a friend who tells ever new DHT keys is heard once a second in the long run', () => {
  const { world, a, b } = trio(13);
  world.poke(a.at, () => a.client.addFriend(world.now, b.realKeys.publicKey));
  const dhtKeys = [generateKeyPair(env).publicKey, generateKeyPair(env).publicKey];
  for (let n = 1; n <= 500; n++) {
    const dhtKey = dhtKeys[n % 2]!;
    a.client.handleDhtKeyPacket(
      world.now + n * 10,
      dhtKey,
      routed(b.realKeys, a.realKeys.publicKey, BigInt(n), dhtKey),
    );
  }
  assert.ok(a.notices.length >= 16 && a.notices.length <= 22, `${a.notices.length} in five seconds`);
});

test('an announce response counts once and only with our sendback', () => {
  const { world, peers } = network(12, 2);
  const [hub, a] = peers as [OnionPeer, OnionPeer];
  const answers: Uint8Array[] = [];
  let asked = 0;
  world.tap = (from, to, data) => {
    if (to === a.at && data[0] === 0x84) answers.push(data.slice());
    if (from === a.at && data[0] === 0x80) asked++;
  };
  world.poke(a.at, () => a.meet(world.now, hub));
  world.runUntil(() => answers.length === 1, 1000, 'answer');
  world.runFor(20);
  assert.equal(asked, 2, 'the ping id is used at once');
  const replay = answers[0]!;
  world.poke(a.at, () => a.receive(world.now, hub.at, replay));
  const other = replay.slice();
  other[1]! ^= 1;
  world.poke(a.at, () => a.receive(world.now, hub.at, other));
  assert.equal(asked, 2);
});

test('our DHT key goes over the DHT while the friend is offline and his DHT key is known', () => {
  const { world, a, b } = trio(13);
  const friend = b.realKeys.publicKey;
  world.poke(a.at, () => a.client.addFriend(world.now, friend));
  world.poke(a.at, () => a.client.setFriendDhtKey(friend, b.dhtKeys.publicKey));
  world.runFor(60_000);
  const count = a.routed.length;
  assert.ok(count >= 4 && count <= 8, `${count} in a minute`);
  assert.ok(sameBytes(a.routed[0]!.to, b.dhtKeys.publicKey));
  b.client.addFriend(world.now, a.realKeys.publicKey);
  b.client.handleDhtKeyPacket(world.now, a.dhtKeys.publicKey, a.routed[0]!.data);
  assert.equal(b.notices.at(-1)?.kind, 'dht-key');
  world.poke(a.at, () => a.client.setFriendOnline(world.now, friend, true));
  world.runFor(60_000);
  assert.equal(a.routed.length, count);
});

test('copies of one message over several ways count once', () => {
  const { world, a, b } = trio(14);
  world.poke(b.at, () => b.client.addFriend(world.now, a.realKeys.publicKey));
  world.poke(a.at, () => a.client.addFriend(world.now, b.realKeys.publicKey));
  world.poke(a.at, () => a.client.setFriendDhtKey(b.realKeys.publicKey, b.dhtKeys.publicKey));
  world.runUntil(() => b.notices.length > 0, 2000, 'DHT key');
  const before = b.notices.length;
  for (const { data } of a.routed) b.client.handleDhtKeyPacket(world.now, a.dhtKeys.publicKey, data);
  assert.ok(b.notices.length <= before + 1);
});

test('the search for a friend who stays away gets rare, and mail for him makes it prompt again', () => {
  const { world, a } = trio(15);
  const gone = generateKeyPair(env).publicKey;
  let asked = 0;
  world.tap = (from, _to, data) => {
    if (from === a.at && data[0] === 0x80) asked++;
  };
  const during = (ms: number) => {
    asked = 0;
    world.runFor(ms);
    return asked;
  };
  const idle = during(120_000);
  world.poke(a.at, () => a.client.addFriend(world.now, gone));
  assert.ok(during(10_000) >= 5);
  world.runFor(6 * 3_600_000);
  const rare = during(120_000);
  assert.ok(rare <= idle + 4, `${rare} requests in two minutes, ${idle} without a friend`);
  world.poke(a.at, () => a.client.hurry(world.now, gone));
  assert.ok(during(2_000) >= 3);
});

test('when all friends are to be searched anew, the line is not filled in one moment', () => {
  const { world, a } = trio(31);
  let asked = 0;
  world.tap = (from, _to, data) => {
    if (from === a.at && data[0] === 0x80) asked++;
  };
  for (let i = 0; i < 100; i++) world.poke(a.at, () => a.client.addFriend(world.now, generateKeyPair(env).publicKey));
  world.runFor(3_600_000);
  asked = 0;
  world.poke(a.at, () => a.client.hurry(world.now));
  world.runFor(200);
  const first = asked;
  world.runFor(4_800);
  assert.ok(asked >= 200, `${asked} requests in five seconds`);
  assert.ok(first <= asked / 4, `${first} of ${asked} in the first 0.2 s`);
});

test('many friends who are away are searched with more patience than a few', () => {
  const asks = (friends: number) => {
    const { world, a } = trio(30);
    let asked = 0;
    world.tap = (from, to, data) => {
      if (from === a.at && to !== a.at && data[0] === 0x80) asked++;
    };
    for (let i = 0; i < friends; i++) {
      world.poke(a.at, () => a.client.addFriend(world.now, generateKeyPair(env).publicKey));
    }
    world.runFor(10_000);
    return asked / friends;
  };
  const few = asks(4);
  const many = asks(80);
  assert.ok(few >= 15, `${few} requests for each of a few`);
  assert.ok(many < few / 2, `${many} requests for each of many`);
});

test('a friend who comes online hours later is found in a second, although our search is rare', () => {
  const { world, peers } = network(16, 3);
  const [hub, a, b] = peers as [OnionPeer, OnionPeer, OnionPeer];
  hub.known.push(a.info, b.info);
  world.poke(a.at, () => a.client.addFriend(world.now, b.realKeys.publicKey));
  world.poke(a.at, () => a.meet(world.now, hub));
  world.runFor(5 * 3_600_000);
  const start = world.now;
  world.poke(b.at, () => b.client.addFriend(world.now, a.realKeys.publicKey));
  world.poke(b.at, () => b.meet(world.now, hub));
  world.runUntil(() => a.notices.length > 0 && b.notices.length > 0, 3000, 'both know');
  assert.ok(world.now - start < 1500, `${world.now - start} ms`);
});

test('after an outage a node announces itself again without help', () => {
  const { world, hub, a } = trio(17);
  const link = world.link;
  world.link = () => undefined;
  world.runFor(200_000);
  assert.equal(a.client.announced(), false);
  world.link = link;
  world.runUntil(() => a.client.announced(), 61_000, 'announced again');
  world.link = () => undefined;
  world.runFor(200_000);
  world.link = link;
  world.poke(a.at, () => a.client.hurry(world.now));
  const start = world.now;
  world.runUntil(() => a.client.announced(), 1000, 'announced at once');
  assert.ok(world.now - start <= 320);
  assert.ok(hub.client);
});

test('a hop that dies is replaced and the announces move to living paths', () => {
  const { world, peers } = network(18, 20);
  for (const peer of peers) {
    for (const other of peers) if (other !== peer) world.poke(peer.at, () => peer.meet(world.now, other));
  }
  const [a, b] = peers as [OnionPeer, OnionPeer];
  world.runFor(30_000);
  for (const dead of peers.slice(12)) world.remove(dead.at);
  // The DHT goes on to answer for the living.
  for (let round = 0; round < 8; round++) {
    world.runFor(30_000);
    for (const other of peers.slice(1, 12)) world.poke(a.at, () => a.meet(world.now, other));
    for (const other of [a, ...peers.slice(2, 12)]) world.poke(b.at, () => b.meet(world.now, other));
  }
  const start = world.now;
  world.poke(a.at, () => a.client.addFriend(world.now, b.realKeys.publicKey));
  world.poke(b.at, () => b.client.addFriend(world.now, a.realKeys.publicKey));
  world.runUntil(() => a.notices.length > 0 && b.notices.length > 0, 20_000, 'both know');
  assert.ok(world.now - start < 10_000);
});

test('no bytes make a client throw, and none of them look like news', () => {
  const { world, a, b } = trio(19);
  world.poke(a.at, () => a.client.addFriend(world.now, b.realKeys.publicKey));
  fc.assert(
    fc.property(fc.constantFrom(0x84, 0x86, 0x88), fc.uint8Array({ maxLength: 400 }), (kind, rest) => {
      assert.ok(a.client.handle(world.now, b.at, Uint8Array.of(kind, ...rest)));
      a.client.handleDhtKeyPacket(world.now, b.dhtKeys.publicKey, rest);
    }),
  );
  assert.equal(a.notices.length, 0);
});

test('a request of a wrong length is refused before it is sent', () => {
  const { world, a, b } = trio(20);
  const set = (nospam: number, message: number) => () =>
    a.client.setFriendRequest(world.now, b.realKeys.publicKey, {
      nospam: new Uint8Array(nospam) as Uint8Array as Nospam,
      message: new Uint8Array(message),
    });
  assert.throws(set(3, 10), RangeError);
  assert.throws(set(4, 0), RangeError);
  assert.throws(set(4, 922), RangeError);
  assert.doesNotThrow(set(4, 921));
});

test('a friend request of the largest size arrives', () => {
  const { world, a, b } = trio(21);
  const message = new Uint8Array(921).fill(0x61);
  world.poke(a.at, () => {
    a.client.addFriend(world.now, b.realKeys.publicKey);
    a.client.setFriendRequest(world.now, b.realKeys.publicKey, {
      nospam: new Uint8Array(4) as Uint8Array as Nospam,
      message,
    });
  });
  world.runUntil(() => b.notices.length > 0, 2000, 'request');
  const notice = b.notices[0]!;
  assert.ok(notice.kind === 'request' && sameBytes(notice.message, message));
});

test('a friend who is online or removed is left alone at once', () => {
  const leave = [
    (a: OnionPeer, friend: PublicKey, now: number) => a.client.setFriendOnline(now, friend, true),
    (a: OnionPeer, friend: PublicKey) => a.client.removeFriend(friend),
  ];
  for (const [i, away] of leave.entries()) {
    const { world, a, b } = trio(22 + i);
    const friend = b.realKeys.publicKey;
    world.runFor(1000);
    let sent = 0;
    world.poke(a.at, () => a.client.addFriend(world.now, friend));
    world.poke(a.at, () => away(a, friend, world.now));
    world.tap = (from, to, data) => {
      if (from === a.at && to !== a.at && data[0] === 0x80) sent++;
    };
    world.runFor(10_000);
    assert.equal(sent, 0);
    assert.equal(b.notices.length, 0);
  }
});
