import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RelayedNetwork } from './relayed.ts';

test('two nodes without UDP find each other by key through one relay', (t) => {
  const net = new RelayedNetwork(1);
  const relay = net.relay('relay');
  const [a, b] = [net.add('a', { udp: false }), net.add('b', { udp: false })];
  net.world.tap = (from) => assert.ok(from !== a.at && from !== b.at, 'a datagram without UDP');
  net.enter(a, relay);
  net.enter(b, relay);
  net.befriend(a, b);
  const ms = net.untilOnline(a, b, 5_000);
  t.diagnostic(`online after ${ms} ms`);
  assert.equal(net.connection(a, b), 'tcp');
  assert.equal(a.tox.connection, 'tcp');
});
