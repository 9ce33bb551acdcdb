import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { systemScheduler } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { AccountNode } from '../../src/daemon/account-node.ts';
import { type DataFolder, openDataFolder } from '../../src/daemon/data-folder.ts';
import { type FakePeer, FakeTox, newToxId } from './fake-tox.ts';

async function house(t: TestContext): Promise<{ folder: DataFolder; tox: FakeTox }> {
  const path = mkdtempSync(join(tmpdir(), 'toxmail-account-'));
  const tox = new FakeTox();
  const folder = await openDataFolder(path, tox, systemScheduler);
  t.after(() => {
    folder.close();
    rmSync(path, { recursive: true });
  });
  await folder.addAccount('me', 'correct horse');
  return { folder, tox };
}

const noHooks = { peerOnline() {}, peerOffline() {} };

test('friends that are in no contact book are removed at the start', async (t) => {
  const { folder, tox } = await house(t);
  const [kept, gone] = [newToxId().slice(0, 64), newToxId().slice(0, 64)];
  folder.contacts.add({ account: 'me', name: 'ann', publicKey: kept });
  const node = new AccountNode('me', folder, silentLogger, noHooks);
  await node.start(async (profile) => {
    const peer = await tox.startWith(profile);
    peer.friends = () => [kept, gone];
    return peer;
  });
  assert.deepEqual(tox.peers[0]!.removed, [gone]);
  await node.close();
});

test('changes of the profile that come while one is written are written, too', async (t) => {
  const { folder, tox } = await house(t);
  const node = new AccountNode('me', folder, silentLogger, noHooks);
  await node.start(tox.startWith);
  const peer = tox.peers[0]!;
  let version = 0;
  peer.save = () => Buffer.from(`version ${version}`);
  for (version = 1; version < 20; version++) peer.events.connection('udp');
  version = 20;
  await node.close();
  assert.equal(readFileSync(folder.profileOf('me'), 'utf8'), 'version 20');
});

test('the mail transfer hears packets, room and presence of friends, in their order', async (t) => {
  const { folder, tox } = await house(t);
  const key = newToxId().slice(0, 64);
  folder.contacts.add({ account: 'me', name: 'ann', publicKey: key });
  const node = new AccountNode('me', folder, silentLogger, noHooks);
  await node.start(tox.startWith);
  const heard: string[] = [];
  node.handlers = {
    online: () => heard.push('online'),
    offline: () => heard.push('offline'),
    packet: (_peer, data) => heard.push(`packet ${data.length}`),
    writable: () => heard.push('writable'),
  };
  const { events } = tox.peers[0] as FakePeer;
  events.friendConnection(key, true);
  events.packet(key, new Uint8Array(3));
  events.writable(key);
  events.friendConnection(key, false);
  assert.deepEqual(heard, ['online', 'packet 3', 'writable', 'offline']);
  await node.close();
});

test('a contact that is removed while online counts as offline', async (t) => {
  const { folder, tox } = await house(t);
  const key = newToxId().slice(0, 64);
  folder.contacts.add({ account: 'me', name: 'ann', publicKey: key });
  const offline: string[] = [];
  const node = new AccountNode('me', folder, silentLogger, {
    peerOnline() {},
    peerOffline: (_account, who) => offline.push(who),
  });
  await node.start(tox.startWith);
  tox.peers[0]!.events.friendConnection(key, true);
  node.unfriend(key);
  assert.deepEqual(offline, [key]);
  assert.equal(node.isOnline(key), false);
  await node.close();
});
