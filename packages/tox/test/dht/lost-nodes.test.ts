import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PublicKey } from '../../src/crypto/keys.ts';
import { keyId } from '../../src/crypto/keys.ts';
import { LostNodes } from '../../src/dht/lost-nodes.ts';
import { testEnv } from '../../src/testing/index.ts';
import type { NodeInfo } from '../../src/wire/packed-node.ts';
import { ip } from './network.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const node = (n: number, host = `198.51.${n >> 8}.${n & 255}`): NodeInfo => {
  const publicKey = new Uint8Array(32) as PublicKey;
  new DataView(publicKey.buffer).setUint16(0, n + 1);
  return { publicKey, endpoint: ip(host) };
};

class Rig {
  now = 0;
  readonly asked: { at: number; node: NodeInfo }[] = [];
  reunions = 0;
  readonly lost = new LostNodes(testEnv(1), {
    ask: (at, asked) => this.asked.push({ at, node: asked }),
    reunited: () => this.reunions++,
  });

  lose(count: number): NodeInfo[] {
    const nodes = Array.from({ length: count }, (_, i) => node(i));
    for (const each of nodes) this.lost.add(this.now, each);
    return nodes;
  }

  advance(ms: number): void {
    const end = this.now + ms;
    for (let at = this.lost.nextWake(); at !== undefined && at <= end; at = this.lost.nextWake()) {
      this.now = Math.max(this.now, at);
      this.lost.wake(this.now);
    }
    this.now = end;
  }

  answer(from: NodeInfo, isNew = false): NodeInfo[] {
    this.asked.length = 0;
    this.lost.answered(this.now, keyId(from.publicKey), isNew);
    return this.asked.map((each) => each.node);
  }
}

test('one lost node is asked soon, then every two minutes, and given up after a day', () => {
  const rig = new Rig();
  rig.lose(1);
  rig.advance(MINUTE);
  assert.ok(rig.asked.length >= 2);
  rig.advance(HOUR);
  rig.asked.length = 0;
  rig.advance(HOUR);
  assert.ok(rig.asked.length >= 28 && rig.asked.length <= 30, `${rig.asked.length}`);
  rig.advance(22 * HOUR);
  assert.equal(rig.lost.size, 0);
  assert.equal(rig.lost.nextWake(), undefined);
});

test('however many are lost at once, at most 15 questions a minute go out, and each is asked in turn', () => {
  const rig = new Rig();
  rig.lose(64);
  for (let minute = 0; minute < 60; minute++) {
    rig.asked.length = 0;
    rig.advance(MINUTE);
    assert.ok(rig.asked.length <= 15, `${rig.asked.length}`);
  }
  rig.asked.length = 0;
  rig.advance(10 * MINUTE);
  assert.equal(new Set(rig.asked.map((each) => each.node.endpoint)).size, 64);
});

test('64 are kept, two of one address, and any of the old ones makes room', () => {
  const rig = new Rig();
  rig.lose(64);
  for (let i = 0; i < 100; i++) rig.lost.add(0, node(1_000 + i, '203.0.113.1'));
  assert.equal(rig.lost.size, 64);
  rig.advance(20 * MINUTE);
  const hosts = new Map<string, Set<string>>();
  for (const { node: each } of rig.asked) {
    const keys = hosts.get(each.endpoint) ?? new Set();
    hosts.set(each.endpoint, keys.add(keyId(each.publicKey)));
  }
  assert.equal(hosts.get(ip('203.0.113.1'))!.size, 2);
  assert.equal(hosts.size, 63);
});

test('when one answers two more are asked in the same moment, so that all are back after a few round trips', () => {
  const rig = new Rig();
  const [first, ...others] = rig.lose(40);
  let answering = [first!];
  let rounds = 0;
  for (; answering.length > 0; rounds++) {
    rig.now += 50;
    answering = answering.flatMap((each) => rig.answer(each));
    assert.ok(answering.every((each) => others.includes(each)));
  }
  assert.equal(rig.lost.size, 0);
  assert.ok(rounds <= 7, `${rounds}`);
  assert.equal(rig.reunions, 1);
});

test('whoever does not answer is not asked again and again as others return', () => {
  const rig = new Rig();
  const nodes = rig.lose(10);
  const dead = nodes.slice(0, 5);
  const counts = new Map(dead.map((each) => [each.endpoint, 0]));
  for (const each of nodes.slice(5)) {
    for (const { endpoint } of rig.answer(each)) {
      if (counts.has(endpoint)) counts.set(endpoint, counts.get(endpoint)! + 1);
    }
    rig.now += 50;
  }
  assert.ok([...counts.values()].every((count) => count <= 1));
});

test('it is a reunion when four return within ten seconds, or half of the lost if they are few', () => {
  const many = new Rig();
  const nodes = many.lose(20);
  for (const each of nodes.slice(0, 3)) many.answer(each);
  many.advance(10_000);
  for (const each of nodes.slice(3, 6)) many.answer(each);
  assert.equal(many.reunions, 0, 'three and three');
  many.answer(nodes[6]!);
  assert.equal(many.reunions, 1);
  const few = new Rig();
  const pair = few.lose(2);
  few.answer(pair[0]!);
  assert.equal(few.reunions, 1);
});

test('new neighbours count as well, for whoever was away long may have another key, but only while somebody is lost', () => {
  const rig = new Rig();
  for (let i = 100; i < 110; i++) rig.answer(node(i), true);
  assert.equal(rig.reunions, 0);
  rig.lose(8);
  for (let i = 200; i < 204; i++) assert.deepEqual(rig.answer(node(i), true), []);
  assert.equal(rig.reunions, 1);
});

test('nodes that come and go make no more than one reunion in five minutes', () => {
  const rig = new Rig();
  for (let i = 0; i < 360; i++) {
    for (const each of rig.lose(4)) rig.answer(each);
    rig.advance(10_000);
  }
  assert.ok(rig.reunions <= 15, `${rig.reunions} in an hour`);
});

test('an answer of somebody who was not lost changes nothing', () => {
  const rig = new Rig();
  rig.lose(3);
  assert.deepEqual(rig.answer(node(99)), []);
  assert.equal(rig.lost.size, 3);
});
