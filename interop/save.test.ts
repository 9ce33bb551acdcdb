import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { after, describe, test } from 'node:test';
import { ToxNode } from '../packages/tox/src/index.ts';
import { disposeOracle, OraclePeer, oracleMissing, TemporaryFolder } from './oracle/oracle.ts';
import { OurNode } from './our-node.ts';

const skip = await oracleMissing();
after(disposeOracle);

const PASSPHRASE = 'correct horse, Schloß';
const FRIEND = `42${'09'.repeat(31)}`;
/** Nobody's: key, nospam 01020304 and a right checksum. */
const STRANGER = `${'11'.repeat(32)}0102030402060000`.slice(0, 72);

function strangersId(): string {
  const bytes = Buffer.from(STRANGER, 'hex');
  const sum = [0, 0];
  for (const [i, byte] of bytes.entries()) sum[i % 2]! ^= byte;
  return (STRANGER + Buffer.from(sum).toString('hex')).toUpperCase();
}

describe('save files', { concurrency: true, skip }, () => {
  for (const passphrase of [undefined, PASSPHRASE]) {
    const form = passphrase === undefined ? 'plain' : 'encrypted';

    test(`one written by us opens in c-toxcore: ${form}`, async () => {
      await using folder = await TemporaryFolder.create();
      await using ours = await OurNode.start();
      ours.node.setName('Önamé');
      ours.node.setStatusMessage('writing profiles');
      ours.node.setStatus('away');
      ours.node.acceptFriend(FRIEND);
      ours.node.addFriend(strangersId(), 'are you there?');
      await writeFile(folder.join('ours.tox'), ours.node.save(passphrase));
      await using peer = await OraclePeer.start({
        save: folder.join('ours.tox'),
        ...(passphrase === undefined ? {} : { passphrase }),
      });
      assert.equal(peer.toxId, ours.toxId);
      const { name, statusMessage, status } = await peer.info();
      assert.deepEqual([name, statusMessage, status], ['Önamé', 'writing profiles', 1]);
      const friends = await peer.friends();
      assert.deepEqual(friends.map((f) => f.key).sort(), [STRANGER.slice(0, 64), FRIEND].sort());
    });

    test(`one written by c-toxcore opens with us: ${form}`, async () => {
      await using folder = await TemporaryFolder.create();
      await using peer = await OraclePeer.start();
      await peer.setName('Peer Ö');
      await peer.setStatusMessage('saving');
      await peer.setStatus(2);
      await peer.acceptFriend(FRIEND);
      await peer.addFriend(strangersId(), 'are you there?');
      await peer.save(folder.join('theirs.tox'), passphrase);
      const save = await readFile(folder.join('theirs.tox'));
      if (passphrase !== undefined) {
        await assert.rejects(ToxNode.create({ save, passphrase: 'wrong' }), { kind: 'bad-save' });
        await assert.rejects(ToxNode.create({ save }), { kind: 'bad-save' });
      }
      await using ours = await OurNode.start([], { save, passphrase });
      assert.equal(ours.toxId, peer.toxId);
      const { node } = ours;
      assert.deepEqual([node.name, node.statusMessage, node.status], ['Peer Ö', 'saving', 'busy']);
      assert.deepEqual(node.friends.map((f) => f.publicKey).sort(), [STRANGER.slice(0, 64), FRIEND].sort());
    });
  }

  test('one that remembers where friends were met opens in c-toxcore', async () => {
    await using folder = await TemporaryFolder.create();
    await using friend = await OurNode.start();
    await using ours = await OurNode.start([friend]);
    const before = ours.node.save().length;
    ours.node.acceptFriend(friend.publicKey);
    friend.node.acceptFriend(ours.publicKey);
    await ours.friendOnline(friend.publicKey);
    const save = ours.node.save();
    assert.ok(save.length > before + 2216, 'more than the friend record came to it');
    await writeFile(folder.join('ours.tox'), save);
    await using peer = await OraclePeer.start({ save: folder.join('ours.tox') });
    assert.equal(peer.toxId, ours.toxId);
    assert.deepEqual(
      (await peer.friends()).map((f) => f.key),
      [friend.publicKey],
    );
  });

  test('one that went through us still holds all that c-toxcore wrote', async () => {
    await using folder = await TemporaryFolder.create();
    await using peer = await OraclePeer.start();
    await peer.setName('round trip');
    await peer.acceptFriend(FRIEND);
    await peer.save(folder.join('theirs.tox'));
    await using ours = await OurNode.start([], { save: await readFile(folder.join('theirs.tox')) });
    await writeFile(folder.join('ours.tox'), ours.node.save());
    await using again = await OraclePeer.start({ save: folder.join('ours.tox') });
    assert.equal(again.toxId, peer.toxId);
    assert.equal((await again.info()).name, 'round trip');
    assert.deepEqual(
      (await again.friends()).map((f) => f.key),
      [FRIEND],
    );
  });
});
