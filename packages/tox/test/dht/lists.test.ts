import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { PublicKey } from '../../src/crypto/keys.ts';
import { sameBytes, toHex } from '../../src/crypto/keys.ts';
import { Bootstrapper } from '../../src/dht/bootstrapper.ts';
import { CloseList } from '../../src/dht/close-list.ts';
import { bucketIndex, compareDistance } from '../../src/dht/distance.ts';
import { Nearest } from '../../src/dht/nearest.ts';
import { Peer } from '../../src/dht/peer.ts';
import { PendingReplies } from '../../src/dht/pending-replies.ts';
import { RoutingTable } from '../../src/dht/routing-table.ts';
import { SearchList } from '../../src/dht/search-list.ts';
import { ToPing } from '../../src/dht/to-ping.ts';
import { testEnv } from '../../src/testing/index.ts';
import { ip } from './network.ts';

const keyArbitrary = fc.uint8Array({
  minLength: 32,
  maxLength: 32,
}) as fc.Arbitrary<Uint8Array> as fc.Arbitrary<PublicKey>;
const key = (...start: number[]) => {
  const bytes = new Uint8Array(32);
  bytes.set(start);
  return bytes as PublicKey;
};
const OWN = key();
const peerAt = (now: number, publicKey: PublicKey, host = '198.51.100.1') => {
  const peer = new Peer(publicKey);
  peer.answered(now, ip(host));
  return peer;
};

test('distance compares like the XOR read as one big number', () => {
  const distance = (a: PublicKey, b: PublicKey) => BigInt(`0x${toHex(a)}`) ^ BigInt(`0x${toHex(b)}`);
  fc.assert(
    fc.property(keyArbitrary, keyArbitrary, keyArbitrary, (target, a, b) => {
      const [x, y] = [distance(target, a), distance(target, b)];
      assert.equal(Math.sign(compareDistance(target, a, b)), x < y ? -1 : x > y ? 1 : 0);
      assert.equal(compareDistance(target, a, a), 0);
    }),
  );
});

test('the nearest nodes are those that come first when all are sorted, whoever came and went', () => {
  // Keys that often agree in their first four bytes, or differ in the last one only.
  const digit = fc.integer({ min: 0, max: 3 });
  const alike = fc
    .tuple(digit, digit, digit, digit)
    .map(([a, b, c, d]) => key(a << 6, 0, 0, b, c << 3, ...new Array<number>(26).fill(7), d));
  fc.assert(
    fc.property(fc.array(alike, { maxLength: 40 }), alike, fc.integer({ min: 1, max: 5 }), (keys, target, count) => {
      const nearest = new Nearest();
      const here = new Map<string, Peer>();
      for (const [i, publicKey] of keys.entries()) {
        const known = here.get(toHex(publicKey));
        if (known) nearest.remove(known);
        here.delete(toHex(publicKey));
        if (known && i % 2 === 0) continue; // it leaves; else it leaves and comes back
        const peer = new Peer(publicKey);
        here.set(toHex(publicKey), peer);
        nearest.add(peer);
      }
      const willDo = (peer: Peer) => peer.publicKey[4] !== 8;
      const sorted = [...here.values()]
        .filter(willDo)
        .sort((a, b) => compareDistance(target, a.publicKey, b.publicKey))
        .slice(0, count);
      assert.deepEqual(nearest.find(target, count, willDo), sorted);
    }),
  );
});

test('the bucket is the first differing bit, at most 127', () => {
  assert.equal(bucketIndex(OWN, key(0x80)), 0);
  assert.equal(bucketIndex(OWN, key(0x01)), 7);
  assert.equal(bucketIndex(OWN, key(0, 0x40)), 9);
  const late = key();
  late[15] = 1;
  assert.equal(bucketIndex(OWN, late), 127);
  late[15] = 0;
  late[20] = 0xff;
  assert.equal(bucketIndex(OWN, late), 127);
  assert.equal(bucketIndex(OWN, key()), 127);
});

test('a full bucket never evicts a live node, and replaces a dead one', () => {
  const dropped: Peer[] = [];
  const list = new CloseList(OWN, (_now, peer) => dropped.push(peer));
  for (let i = 0; i < 8; i++) assert.equal(list.add(0, peerAt(i === 3 ? -1 : 0, key(0x80, i))), true);
  assert.equal(list.wants(0, key(0x80, 9)), false);
  assert.equal(list.add(0, peerAt(0, key(0x80, 9))), false);
  assert.equal(list.wants(0, key(0x40)), true, 'another bucket has room');
  assert.equal(list.wants(121_999, key(0x80, 9)), true, 'the oldest is silent for 122 s');
  assert.equal(list.add(121_999, peerAt(121_999, key(0x80, 9))), true);
  assert.deepEqual(
    dropped.map((peer) => peer.publicKey[1]),
    [3],
  );
  assert.equal(list.members().length, 8);
});

test('a search list is sorted, replaces the dead first and then the farthest', () => {
  const list = new SearchList(OWN, true, () => {});
  const first = (peer: Peer) => peer.publicKey[0]!;
  for (const n of [80, 20, 70, 10, 60, 30, 50, 40]) assert.ok(list.add(0, peerAt(n === 20 ? -1 : 0, key(n))));
  assert.deepEqual(
    list.entries.map((e) => first(e.peer)),
    [10, 20, 30, 40, 50, 60, 70, 80],
  );
  assert.equal(list.add(0, peerAt(0, key(90))), undefined);
  assert.ok(list.add(0, peerAt(0, key(75))));
  assert.deepEqual(first(list.entries[7]!.peer), 75);
  assert.ok(list.add(121_999, peerAt(121_999, key(90))), 'takes the place of the dead 20');
  assert.deepEqual(
    list.entries.map((e) => first(e.peer)),
    [10, 30, 40, 50, 60, 70, 75, 90],
  );
});

test('whatever answers, the table is bounded, sorted, without ourselves, and adding twice changes nothing', () => {
  const small = fc.integer({ min: 0, max: 60 });
  const step = fc.record({ key: small, host: small, wait: fc.nat(40_000) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const table = new RoutingTable(OWN, () => {});
      const searched = [key(17), key(200)];
      for (const target of searched) table.addSearch(0, target, true);
      let now = 0;
      for (const s of steps) {
        now += s.wait;
        const host = ip(s.host % 2 ? `198.51.100.${s.host + 1}` : `2001:db8::${s.host + 1}`);
        table.answered(now, key(s.key), host);
        const before = snapshot(table);
        table.answered(now, key(s.key), host);
        assert.deepEqual(snapshot(table), before);
      }
      const members = table.close.members();
      assert.ok([...table.peers()].every((p) => !sameBytes(p.publicKey, OWN) && p.lists > 0 && (p.ip4 || p.ip6)));
      for (const list of table.searches) {
        assert.ok(list.entries.length <= 8);
        for (let i = 1; i < list.entries.length; i++) {
          const [a, b] = [list.entries[i - 1]!.peer.publicKey, list.entries[i]!.peer.publicKey];
          assert.ok(compareDistance(list.key, a, b) < 0);
        }
      }
      assert.ok(members.every((p) => p.inClose && table.get(p.id) === p));
      const endpoints = [...table.peers()].flatMap((p) => [p.ip4?.endpoint, p.ip6?.endpoint]).filter((e) => e);
      assert.equal(new Set(endpoints).size, endpoints.length, 'one address belongs to one node');
      for (const peer of [...table.peers()]) table.drop(0, peer);
      assert.equal(table.size, 0);
      assert.equal(table.close.members().length, 0);
    }),
    { numRuns: 60 },
  );
});

function snapshot(table: RoutingTable): string[] {
  const lists = table.searches.map((l) => l.entries.map((e) => toHex(e.peer.publicKey)).join());
  return [
    ...lists,
    table.close
      .members()
      .map((p) => `${toHex(p.publicKey)} ${p.ip4?.endpoint} ${p.ip6?.endpoint}`)
      .join(),
  ];
}

test('the nearest nodes are exactly the nearest live ones', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 1, max: 255 }), { maxLength: 40 }), keyArbitrary, (ids, target) => {
      const table = new RoutingTable(OWN, () => {});
      for (const id of ids) table.answered(id % 3 ? 200_000 : 0, key(id), ip(`198.51.100.${id}`));
      const live = [...table.peers()].filter((p) => p.live(200_000)).map((p) => p.publicKey);
      live.sort((a, b) => compareDistance(target, a, b));
      const told = table.closest(200_000, target, 4, undefined).map((n) => n.publicKey);
      assert.deepEqual(told.map(toHex), live.slice(0, 4).map(toHex));
    }),
  );
});

test('an asker from outside hears of no LAN address; one from the LAN hears of all', () => {
  const table = new RoutingTable(OWN, () => {});
  table.answered(0, key(1), ip('192.168.1.5'));
  table.answered(0, key(2), ip('198.51.100.2'));
  table.answered(0, key(3), ip('192.168.1.7'));
  table.answered(0, key(3), ip('2001:db8::3'));
  const told = (asker: string) => table.closest(0, OWN, 4, ip(asker)).map((n) => n.endpoint);
  assert.deepEqual(told('203.0.113.1'), [ip('198.51.100.2'), ip('2001:db8::3')]);
  assert.deepEqual(told('192.168.1.9'), [ip('192.168.1.5'), ip('198.51.100.2'), ip('192.168.1.7')]);
  assert.deepEqual(told('2001:db8::9'), [ip('198.51.100.2'), ip('2001:db8::3')]);
});

test('a live public address does not give way to a LAN one, and IPv4 and IPv6 stand side by side', () => {
  const peer = peerAt(0, key(1), '198.51.100.1');
  assert.equal(peer.answered(1, ip('192.168.0.1')), false);
  assert.equal(peer.answered(1, ip('198.51.100.9')), true);
  assert.equal(peer.answered(1, ip('2001:db8::1')), true);
  assert.deepEqual([peer.ip4?.endpoint, peer.ip6?.endpoint], [ip('198.51.100.9'), ip('2001:db8::1')]);
  assert.equal(peer.answered(200_000, ip('192.168.0.1')), true, 'the public one is silent by now');
});

test('a reply counts once, from the node and address asked, within 5 s', () => {
  const id = (n: number) => new Uint8Array(8).fill(n);
  const pending = new PendingReplies();
  const [a, b] = [ip('198.51.100.1'), ip('198.51.100.1', 2)];
  pending.add(0, id(1), key(1), a, undefined);
  assert.equal(pending.take(1, id(2), key(1), a), undefined);
  assert.equal(pending.take(1, id(1), key(2), a), undefined);
  assert.equal(pending.take(1, id(1), key(1), b), undefined);
  assert.ok(pending.take(4_999, id(1), key(1), a));
  assert.equal(pending.take(4_999, id(1), key(1), a), undefined);
  pending.add(0, id(3), key(1), a, undefined);
  assert.equal(pending.take(5_000, id(3), key(1), a), undefined);
});

test('requests that wait for a reply are bounded, the oldest go first', () => {
  const pending = new PendingReplies();
  const id = (n: number) => Uint8Array.from([n >> 8, n & 255, 0, 0, 0, 0, 0, 0]);
  for (let n = 0; n < 2_000; n++) pending.add(0, id(n), key(1), ip('198.51.100.1'), undefined);
  assert.equal(pending.size, 512);
  assert.equal(pending.take(1, id(1_487), key(1), ip('198.51.100.1')), undefined);
  assert.ok(pending.take(1, id(1_488), key(1), ip('198.51.100.1')));
  pending.add(6_000, id(0), key(1), ip('198.51.100.1'), undefined);
  assert.equal(pending.size, 1, 'what has expired is gone');
});

test('askers are pinged at once up to 32 per 2 s; then the nearest 32 wait', () => {
  const toPing = new ToPing(OWN);
  const node = (n: number) => ({ publicKey: key(n), endpoint: ip('198.51.100.1', n) });
  let atOnce = 0;
  for (let n = 1; n <= 200; n++) if (toPing.admit(10, node(201 - n))) atOnce++;
  assert.equal(atOnce, 32);
  assert.equal(toPing.nextWake(), 2_010);
  assert.deepEqual(toPing.due(2_009), []);
  const waited = toPing.due(2_010).map((n) => n.publicKey[0]!);
  assert.deepEqual(
    waited.sort((a, b) => a - b),
    Array.from({ length: 32 }, (_, i) => i + 1),
  );
  assert.equal(toPing.nextWake(), undefined);
  assert.equal(toPing.admit(2_011, node(1)), false, 'that window is spent');
});

test('bootstrapping asks in rounds of eight that grow apart, until one of the nodes answers', () => {
  const b = new Bootstrapper(testEnv(1));
  const nobody = () => false;
  const nodes = Array.from({ length: 20 }, (_, i) => ({ publicKey: key(i + 1), endpoint: ip('198.51.100.1', i + 1) }));
  assert.equal(nodes.filter((node) => b.add(0, node)).length, 8);
  const asked = new Set<number>();
  const pauses: number[] = [];
  let now = 0;
  for (let round = 0; round < 40; round++) {
    const at = b.nextWake()!;
    pauses.push(at - now);
    now = at;
    for (const node of b.due(now, nobody)) asked.add(node.publicKey[0]!);
  }
  assert.equal(asked.size, 20);
  assert.equal(pauses[0], 500);
  const last = pauses.slice(-10);
  assert.ok(last.every((pause) => pause >= 10_000 && pause <= 12_500) && new Set(last).size > 1, `${last}`);
  b.answered(now, key(99));
  assert.ok(b.nextWake()! - now < 13_000, 'a stranger is no way in');
  b.answered(now, key(3));
  for (let i = 0; i < 20; i++) {
    const at = b.nextWake()!;
    assert.ok(at - now >= 60_000 && at - now <= 75_000);
    now = at;
    assert.equal(b.due(now, nobody).length, 1, 'one a minute, so that parts of the network find together again');
  }
  now = b.nextWake()!;
  const [only] = b.due(now, (node) => node.publicKey[0] !== 7);
  assert.equal(only?.publicKey[0], 7, 'one that is not among those we know to live');
  b.restart(now);
  assert.ok(b.due(now, nobody).length > 1, 'all are lost: as in the beginning');
});
