import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { BootstrapDaemon, disposeOracle, OraclePeer, oracleMissing } from './oracle/oracle.ts';
import { OurNode } from './our-node.ts';

// Two who know one bootstrap node and, one of them, the other's Tox ID; nobody knows an address.

const skip = await oracleMissing();
after(disposeOracle);

describe('friend requests by Tox ID alone', { concurrency: true, skip }, () => {
  test('ours reaches a c-toxcore peer, and both come online', async (t) => {
    await using daemon = await BootstrapDaemon.start();
    await using peer = await OraclePeer.start();
    await using ours = await OurNode.start([daemon]);
    await peer.bootstrap(daemon.host, daemon.port, daemon.key);
    const began = performance.now();
    assert.equal(ours.node.addFriend(peer.toxId, 'Grüße 🐢 from here'), peer.publicKey);
    const request = await peer.waitFor('friend-request');
    t.diagnostic(`request after ${Math.round(performance.now() - began)} ms`);
    assert.deepEqual([request.friend, request.message], [ours.publicKey, 'Grüße 🐢 from here']);
    await peer.acceptFriend(ours.publicKey);
    await Promise.all([ours.friendOnline(peer.publicKey), peer.friendOnline(ours.publicKey)]);
    t.diagnostic(`online after ${Math.round(performance.now() - began)} ms`);
    assert.equal(peer.events.filter((e) => e.event === 'friend-request').length, 1, 'shown once');
  });

  test('the longest one that every receiver takes, 921 bytes, arrives whole', async () => {
    await using daemon = await BootstrapDaemon.start();
    await using peer = await OraclePeer.start();
    await using ours = await OurNode.start([daemon]);
    await peer.bootstrap(daemon.host, daemon.port, daemon.key);
    const message = `${'é'.repeat(460)}x`;
    ours.node.addFriend(peer.toxId, message);
    assert.equal((await peer.waitFor('friend-request')).message, message);
  });

  test('that of a c-toxcore peer reaches us, and both come online', async (t) => {
    await using daemon = await BootstrapDaemon.start();
    await using peer = await OraclePeer.start();
    await using ours = await OurNode.start([daemon]);
    await peer.bootstrap(daemon.host, daemon.port, daemon.key);
    const began = performance.now();
    await peer.addFriend(ours.toxId, 'Grüße 🐢 from there');
    const request = await ours.waitFor('friend-request');
    t.diagnostic(`request after ${Math.round(performance.now() - began)} ms`);
    assert.deepEqual([request.publicKey, request.message], [peer.publicKey, 'Grüße 🐢 from there']);
    ours.node.acceptFriend(request.publicKey);
    await Promise.all([ours.friendOnline(peer.publicKey), peer.friendOnline(ours.publicKey)]);
    t.diagnostic(`online after ${Math.round(performance.now() - began)} ms`);
    assert.equal(ours.events.filter((e) => e.event === 'friend-request').length, 1, 'shown once');
  });

  test('one with an outdated Tox ID is not shown', async () => {
    await using daemon = await BootstrapDaemon.start();
    await using peer = await OraclePeer.start();
    await using other = await OraclePeer.start();
    await using ours = await OurNode.start([daemon]);
    for (const p of [peer, other]) await p.bootstrap(daemon.host, daemon.port, daemon.key);
    await peer.addFriend(ours.toxId, 'to the old ID');
    ours.node.setNospam(Uint8Array.of(1, 2, 3, 4));
    await other.addFriend(ours.toxId, 'to the new ID');
    await ours.waitFor('friend-request', (e) => e.publicKey === other.publicKey);
    assert.deepEqual(
      ours.events.filter((e) => e.event === 'friend-request').length,
      1,
      'only the one with the right nospam',
    );
  });
});
