import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateKeyPair } from '../../src/crypto/keys.ts';
import { SharedKeys } from '../../src/crypto/shared-keys.ts';
import { NodePool } from '../../src/onion/node-pool.ts';
import { OnionPaths } from '../../src/onion/paths.ts';
import { testEnv } from '../../src/testing/index.ts';
import { endpoint } from '../../src/wire/endpoint.ts';
import type { NodeInfo } from '../../src/wire/packed-node.ts';

const env = testEnv(3);
const own = generateKeyPair(env);
const node = (ip: string): NodeInfo => ({ publicKey: generateKeyPair(env).publicKey, endpoint: endpoint(ip, 33445)! });

function pool(now: number, ...ips: string[]): NodePool {
  const p = new NodePool(env);
  for (const ip of ips) p.addDirect(now, node(ip));
  return p;
}

const makePaths = (p: NodePool) => new OnionPaths(env, p, own.publicKey, new SharedKeys(own.secretKey, 64));

test('hops are three nodes in three networks, if so many are known', () => {
  const p = pool(0, '1.1.0.1', '1.1.0.2', '1.1.0.3', '1.1.0.4', '2.1.0.1', '2001:db8::1', '2001:db8::2');
  for (let i = 0; i < 50; i++) {
    const nets = p.choosePath(0)!.nodes.map((n) => n.endpoint.slice(0, 5));
    assert.equal(new Set(nets).size, 3, nets.join());
  }
});

test('with fewer networks or nodes the hops differ as far as they can', () => {
  const same = pool(0, '1.1.0.1', '1.1.0.2', '1.1.0.3');
  assert.equal(new Set(same.choosePath(0)!.nodes).size, 3);
  assert.equal(new Set(pool(0, '1.1.0.1', '1.1.0.2').choosePath(0)!.nodes).size, 2);
  assert.equal(pool(0, '1.1.0.1').choosePath(0)!.nodes.length, 3);
  assert.equal(pool(0).choosePath(0), undefined);
});

test('a node that we know only through the onion is never the first hop', () => {
  const p = pool(0, '1.1.0.1');
  for (let i = 2; i < 30; i++) p.addDistant(0, node(`${i}.1.0.1`));
  for (let i = 0; i < 50; i++) assert.equal(p.choosePath(0)!.nodes[0].endpoint, '1.1.0.1:33445');
});

test('LAN nodes serve only while no public one is known, and silent nodes only while no fresh one is', () => {
  const p = pool(0, '192.168.1.1', '192.168.1.2');
  assert.equal(p.candidates(0).length, 2);
  p.addDirect(0, node('1.1.0.1'));
  assert.deepEqual(
    p.candidates(0).map((n) => n.endpoint),
    ['1.1.0.1:33445'],
  );
  p.addDirect(200_000, node('2.1.0.1'));
  assert.deepEqual(
    p.candidates(200_000).map((n) => n.endpoint),
    ['2.1.0.1:33445'],
  );
  assert.equal(p.candidates(400_000).length, 2, 'all are silent: any will do');
});

test('the pool is bounded', () => {
  const p = new NodePool(env);
  for (let i = 0; i < 100; i++) {
    p.addDirect(0, node(`1.${i}.0.1`));
    p.addDistant(0, node(`2.${i}.0.1`));
  }
  assert.equal(p.size, 64);
});

test('one network cannot take all places of the pool, before or after others are known', () => {
  const hostile = (p: NodePool) => p.candidates(0).filter((n) => n.endpoint.startsWith('9.9.')).length;
  const before = pool(0, ...Array.from({ length: 40 }, (_, i) => `9.9.${i}.1`));
  assert.equal(before.size, 32, 'there is nobody else');
  for (let i = 0; i < 30; i++) before.addDirect(0, node(`1.${i}.0.1`));
  assert.equal(hostile(before), 2);
  const after = pool(0, ...Array.from({ length: 32 }, (_, i) => `1.${i}.0.1`));
  for (let i = 0; i < 100; i++) after.addDirect(0, node(`9.9.${i}.1`));
  assert.equal(hostile(after), 2);
  assert.equal(after.size, 32);
});

test('a path lives while it answers, at most 20 minutes, and 1.5 s if it never does', () => {
  const paths = makePaths(pool(0, '1.1.0.1', '2.1.0.1', '3.1.0.1'));
  const good = paths.pick(0)!;
  good.used(0);
  paths.answered(100, good, 100);
  assert.ok(paths.usable(1_199_999, good));
  assert.ok(!paths.usable(1_200_000, good));

  const bad = makePaths(pool(0, '1.1.0.1', '2.1.0.1', '3.1.0.1'));
  const silent = bad.pick(0)!;
  silent.used(0);
  assert.ok(bad.usable(60_000, silent), 'one lost packet is no proof');
  silent.used(1000);
  silent.used(1100);
  assert.ok(bad.usable(1499, silent));
  assert.ok(!bad.usable(1500, silent));
});

test('where round trips are long, paths have longer to answer', () => {
  const paths = makePaths(pool(0, '1.1.0.1', '2.1.0.1', '3.1.0.1'));
  const path = paths.pick(0)!;
  path.used(0);
  paths.answered(3000, path, 3000);
  path.used(4000);
  path.used(5000);
  path.used(5000);
  assert.ok(paths.usable(9999, path));
  assert.ok(!paths.usable(10_000, path));
});

test('a path that owes an answer is picked only if no other can be made, and a repeat takes another path', () => {
  const paths = makePaths(pool(0, '1.1.0.1', '2.1.0.1', '3.1.0.1', '4.1.0.1', '5.1.0.1', '6.1.0.1'));
  const first = paths.pick(0)!;
  first.used(0);
  for (let i = 0; i < 50; i++) assert.notEqual(paths.pick(2000), first);
  const other = paths.pick(2000)!;
  for (let i = 0; i < 50; i++) assert.notEqual(paths.pick(2000, other), other);
});

test('after a path failed its nodes are asked for a sign of life, and hops are those heard of since', () => {
  const probed: string[] = [];
  const p = new NodePool(env, (_now, n) => probed.push(n.endpoint));
  for (let i = 1; i <= 20; i++) p.addDirect(0, node(`${i}.1.0.1`));
  const paths = makePaths(p);
  for (let i = 0; i < 50; i++) paths.pick(500)!.used(500); // all six are in use
  for (let i = 11; i <= 14; i++) p.addDirect(1000, node(`${i}.1.0.1`));
  const repaired = paths.pick(2500)!;
  assert.ok(probed.length <= 3);
  const living = ['11.1.0.1:33445', '12.1.0.1:33445', '13.1.0.1:33445', '14.1.0.1:33445'];
  for (const { endpoint } of repaired.hops) assert.ok(living.includes(endpoint), endpoint);
});

test('a path of one node is given up soon after better nodes are known', () => {
  const p = pool(0, '1.1.0.1');
  const paths = makePaths(p);
  const path = paths.pick(0)!;
  assert.ok(!path.distinct);
  paths.answered(0, path, 0);
  assert.ok(paths.usable(100_000, path), 'there is nothing better');
  p.addDirect(100_000, node('2.1.0.1'));
  p.addDirect(100_000, node('3.1.0.1'));
  assert.ok(!paths.usable(100_001, path));
  assert.ok(paths.usable(100_001, paths.pick(100_001)!));
});
