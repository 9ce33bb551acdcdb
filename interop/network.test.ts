import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { BootstrapDaemon, disposeOracle, OraclePeer, oracleMissing } from './oracle/oracle.ts';
import { type Entry, OurNode } from './our-node.ts';

const skip = await oracleMissing();
after(disposeOracle);

/** Two c-toxcore peers who know each other's keys only, and enter through these nodes. */
async function meet(entries: readonly Entry[]): Promise<void> {
  await using alice = await OraclePeer.start();
  await using bob = await OraclePeer.start();
  await alice.acceptFriend(bob.publicKey);
  await bob.acceptFriend(alice.publicKey);
  for (const [i, peer] of [alice, bob].entries()) {
    const { host, port, key } = entries[i % entries.length]!;
    await peer.bootstrap(host, port, key);
  }
  await Promise.all([alice.friendOnline(bob.publicKey), bob.friendOnline(alice.publicKey)]);
  await alice.sendMessage(bob.publicKey, 'found you');
  assert.equal((await bob.waitFor('message')).text, 'found you');
}

describe('the network', { concurrency: true, skip }, () => {
  test('our node bootstraps from tox-bootstrapd', async (t) => {
    await using daemon = await BootstrapDaemon.start();
    const began = performance.now();
    await using ours = await OurNode.start([daemon]);
    await ours.waitFor('connection', (e) => e.connection === 'udp');
    t.diagnostic(`connected after ${Math.round(performance.now() - began)} ms`);
    assert.equal(ours.node.connection, 'udp');
    assert.equal(ours.node.nodes, 1);
  });

  test('a c-toxcore node bootstraps from ours alone', async () => {
    await using ours = await OurNode.start();
    await using peer = await OraclePeer.start();
    await peer.bootstrap(ours.host, ours.port, ours.key);
    await peer.waitFor('self-connection', (e) => e.connection !== 'none');
    await ours.waitFor('connection', (e) => e.connection === 'udp'); // it is a node for us as well
  });

  test('c-toxcore friends find each other when the only other node is ours', async () => {
    await using ours = await OurNode.start();
    await meet([ours]);
  });

  test('c-toxcore friends find each other when the only other nodes are ours, five of them', async () => {
    await using first = await OurNode.start();
    await using second = await OurNode.start([first]);
    await using third = await OurNode.start([first]);
    await using fourth = await OurNode.start([second]);
    await using fifth = await OurNode.start([third]);
    await Promise.all(
      [second, third, fourth, fifth].map((n) => n.waitFor('connection', (e) => e.connection === 'udp')),
    );
    await meet([fourth, fifth]);
  });

  test('two of our nodes find each other through tox-bootstrapd alone', async (t) => {
    await using daemon = await BootstrapDaemon.start();
    const began = performance.now();
    await using alice = await OurNode.start([daemon]);
    await using bob = await OurNode.start([daemon]);
    alice.node.acceptFriend(bob.publicKey);
    bob.node.acceptFriend(alice.publicKey);
    await Promise.all([alice.friendOnline(bob.publicKey), bob.friendOnline(alice.publicKey)]);
    t.diagnostic(`online after ${Math.round(performance.now() - began)} ms`);
  });

  test('two of our nodes find each other when the only other node is a c-toxcore client', async () => {
    await using peer = await OraclePeer.start();
    const entry = { host: peer.host, port: peer.port, key: peer.dhtKey };
    await using alice = await OurNode.start([entry]);
    await using bob = await OurNode.start([entry]);
    alice.node.acceptFriend(bob.publicKey);
    bob.node.acceptFriend(alice.publicKey);
    await Promise.all([alice.friendOnline(bob.publicKey), bob.friendOnline(alice.publicKey)]);
  });

  test('our node and a c-toxcore peer meet over IPv6', async () => {
    await using daemon = await BootstrapDaemon.start({ ipv6: true });
    await using peer = await OraclePeer.start({ ipv6: true });
    await peer.bootstrap('::1', daemon.port, daemon.key);
    const entry = { host: '::1', port: daemon.port, key: daemon.key };
    await using ours = await OurNode.start([entry], { udp: { host: '::1', port: 0 } });
    ours.node.acceptFriend(peer.publicKey);
    await peer.acceptFriend(ours.publicKey);
    await Promise.all([ours.friendOnline(peer.publicKey), peer.friendOnline(ours.publicKey)]);
    ours.node.sendMessage(peer.publicKey, 'over six');
    await peer.waitFor('message', (e) => e.text === 'over six');
  });

  test('one c-toxcore peer befriends two of our identities in one process', async () => {
    await using daemon = await BootstrapDaemon.start();
    await using peer = await OraclePeer.start();
    await peer.bootstrap(daemon.host, daemon.port, daemon.key);
    await using one = await OurNode.start([daemon]);
    await using two = await OurNode.start([daemon]);
    for (const ours of [one, two]) {
      ours.node.acceptFriend(peer.publicKey);
      await peer.acceptFriend(ours.publicKey);
    }
    await Promise.all([one, two].map((ours) => ours.friendOnline(peer.publicKey)));
    await Promise.all([one, two].map((ours) => peer.friendOnline(ours.publicKey)));
  });
});
