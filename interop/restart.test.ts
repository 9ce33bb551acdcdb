import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, describe, test } from 'node:test';
import { BootstrapDaemon, disposeOracle, OraclePeer, oracleMissing, TemporaryFolder } from './oracle/oracle.ts';
import { OurNode, sameFile } from './our-node.ts';

const skip = await oracleMissing();
after(disposeOracle);

/** Friends by key who are online with each other; both are disposed by the caller. */
async function friends(daemon: BootstrapDaemon): Promise<{ ours: OurNode; peer: OraclePeer }> {
  const peer = await OraclePeer.start();
  const ours = await OurNode.start([daemon]);
  await peer.bootstrap(daemon.host, daemon.port, daemon.key);
  await peer.acceptFriend(ours.publicKey);
  ours.node.acceptFriend(peer.publicKey);
  await Promise.all([ours.friendOnline(peer.publicKey), peer.friendOnline(ours.publicKey)]);
  return { ours, peer };
}

async function talk(ours: OurNode, peer: OraclePeer, text: string): Promise<void> {
  ours.node.sendMessage(peer.publicKey, `${text} there`);
  await peer.waitFor('message', (e) => e.text === `${text} there`);
  await peer.sendMessage(ours.publicKey, `${text} here`);
  await ours.waitFor('message', (e) => e.text === `${text} here`);
}

describe('after a restart with the save file', { concurrency: true, skip }, () => {
  test('our node comes back to a c-toxcore friend', async (t) => {
    await using daemon = await BootstrapDaemon.start();
    const { ours, peer } = await friends(daemon);
    await using _peer = peer;
    const save = ours.node.save();
    const seen = peer.events.length;
    await ours.node.close();
    await peer.waitFor('friend-connection', (e) => e.connection === 'none', { after: seen, timeoutMs: 3_000 });
    const began = performance.now();
    const again = peer.events.length;
    await using back = await OurNode.start([daemon], { save });
    assert.equal(back.toxId, ours.toxId);
    await Promise.all([back.friendOnline(peer.publicKey), peer.friendOnline(back.publicKey, { after: again })]);
    t.diagnostic(`online after ${Math.round(performance.now() - began)} ms`);
    await talk(back, peer, 'back');
  });

  test('our node comes back from its save file alone, without being told a bootstrap node', async () => {
    await using daemon = await BootstrapDaemon.start();
    const { ours, peer } = await friends(daemon);
    await using _peer = peer;
    const save = ours.node.save();
    await ours.node.close();
    const again = peer.events.length;
    await using back = await OurNode.start([], { save });
    await Promise.all([back.friendOnline(peer.publicKey), peer.friendOnline(back.publicKey, { after: again })]);
  });

  test('a c-toxcore friend comes back to our node', async (t) => {
    await using folder = await TemporaryFolder.create();
    await using daemon = await BootstrapDaemon.start();
    const { ours, peer } = await friends(daemon);
    await using _ours = ours;
    await peer.save(folder.join('peer.tox'));
    const seen = ours.events.length;
    await peer[Symbol.asyncDispose]();
    await ours.waitFor('friend-connection', (e) => !e.online, { after: seen, timeoutMs: 3_000 });
    const again = ours.events.length;
    const began = performance.now();
    await using back = await OraclePeer.start({ save: folder.join('peer.tox') });
    await back.bootstrap(daemon.host, daemon.port, daemon.key);
    assert.equal(back.toxId, peer.toxId);
    await Promise.all([back.friendOnline(ours.publicKey), ours.friendOnline(back.publicKey, { after: again })]);
    t.diagnostic(`online after ${Math.round(performance.now() - began)} ms`);
    await talk(ours, back, 'back');
  });

  test('a c-toxcore friend that crashed is missed within 35 s, and comes back at once', async (t) => {
    await using folder = await TemporaryFolder.create();
    await using daemon = await BootstrapDaemon.start();
    const { ours, peer } = await friends(daemon);
    await using _ours = ours;
    await peer.save(folder.join('peer.tox'));
    await peer.crash();
    const began = performance.now();
    const seen = ours.events.length;
    await using back = await OraclePeer.start({ save: folder.join('peer.tox') });
    await back.bootstrap(daemon.host, daemon.port, daemon.key);
    await back.friendOnline(ours.publicKey, { timeoutMs: 35_000 });
    t.diagnostic(`online after ${Math.round(performance.now() - began)} ms`);
    await ours.friendOnline(back.publicKey, { after: seen });
    await talk(ours, back, 'after the crash');
  });

  test('a file goes on where it stopped when the c-toxcore friend restarted', async () => {
    await using folder = await TemporaryFolder.create();
    await using daemon = await BootstrapDaemon.start();
    const { ours, peer } = await friends(daemon);
    await using _ours = ours;
    const content = randomBytes(10_000_000);
    const fileId = randomBytes(32);
    const path = folder.join('file');
    await peer.save(folder.join('peer.tox'));
    const first = ours.sendFile(peer.publicKey, content, 'file', { fileId });
    const offer = await peer.waitFor('file-offer');
    await peer.acceptFile(ours.publicKey, offer.file, path);
    await peer.waitFor('file-progress');
    await peer.controlFile(ours.publicKey, offer.file, 'pause'); // so that some of it is left
    await ours.waitFor('file-control', (e) => e.control === 'pause');
    await peer[Symbol.asyncDispose]();
    assert.equal(await first.done, 'aborted');
    const moved = peer.events.findLast((e) => e.event === 'file-progress');
    const position = moved?.event === 'file-progress' ? moved.moved : 0;
    assert.ok(position > 0 && position < content.length);

    const again = ours.events.length;
    await using back = await OraclePeer.start({ save: folder.join('peer.tox') });
    await back.bootstrap(daemon.host, daemon.port, daemon.key);
    await ours.friendOnline(back.publicKey, { after: again });
    const second = ours.sendFile(back.publicKey, content, 'file', { fileId });
    const repeated = await back.waitFor('file-offer');
    assert.equal(repeated.id, offer.id, 'recognised by its id');
    await back.acceptFile(ours.publicKey, repeated.file, path, position);
    await back.waitFor('file-received', (e) => e.moved === content.length);
    assert.equal(await second.done, 'done');
    assert.ok(await sameFile(path, content));
  });
});
