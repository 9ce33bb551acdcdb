import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { after, test } from 'node:test';
import { BootstrapDaemon, disposeOracle, OraclePeer, oracleMissing, TemporaryFolder } from './oracle/oracle.ts';

// The oracle against itself: when this fails, nothing else in this folder means anything.

const skip = await oracleMissing();
after(disposeOracle);

test('two c-toxcore peers meet through tox-bootstrapd, talk and send a file', { skip }, async () => {
  await using folder = await TemporaryFolder.create();
  await using daemon = await BootstrapDaemon.start();
  await using alice = await OraclePeer.start();
  await using bob = await OraclePeer.start();
  for (const peer of [alice, bob]) await peer.bootstrap(daemon.host, daemon.port, daemon.key);
  await alice.addFriend(bob.toxId, 'hello');
  const request = await bob.waitFor('friend-request');
  assert.deepEqual([request.friend, request.message], [alice.publicKey, 'hello']);
  await bob.acceptFriend(alice.publicKey);
  await Promise.all([alice.friendOnline(bob.publicKey), bob.friendOnline(alice.publicKey)]);

  const id = await alice.sendMessage(bob.publicKey, 'ünï 🐢');
  assert.equal((await bob.waitFor('message')).text, 'ünï 🐢');
  await alice.waitFor('receipt', (e) => e.message === id);

  const packets = Array.from({ length: 300 }, (_, i) => Uint8Array.of(160, i >> 8, i & 255, ...randomBytes(1000)));
  await Promise.all(packets.map((p) => bob.sendLossless(alice.publicKey, p)));
  await alice.waitFor('lossless', (e) => e.data[1] === 1 && e.data[2] === 43);
  const got = alice.events.filter((e) => e.event === 'lossless').map((e) => e.data);
  assert.deepEqual(got, packets);

  const content = randomBytes(1_000_000);
  await writeFile(folder.join('sent'), content);
  await alice.sendFile(bob.publicKey, folder.join('sent'), 'a.bin');
  const offer = await bob.waitFor('file-offer');
  assert.deepEqual([offer.name, offer.size], ['a.bin', 1_000_000n]);
  await bob.acceptFile(alice.publicKey, offer.file, folder.join('received'));
  await bob.waitFor('file-received');
  await alice.waitFor('file-sent');
  assert.ok(content.equals(await readFile(folder.join('received'))));
});
