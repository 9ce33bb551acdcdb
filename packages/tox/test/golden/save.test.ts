import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatToxId, makeToxId } from '../../src/messenger/tox-id.ts';
import { decryptSave, ENCRYPTED_SAVE_OVERHEAD, encryptSave, isEncryptedSave } from '../../src/state/encrypted-save.ts';
import { readToxSave, writeToxSave } from '../../src/state/tox-save.ts';
import { testEnv } from '../../src/testing/test-env.ts';
import { bytes, GoldenNetwork, hex, utf8, vectors } from './vectors.ts';

// A profile as c-toxcore writes it, plain and encrypted, with one friend and one open request.

const golden = vectors('save');
const network = new GoldenNetwork(golden.nodes);
const plain = bytes(golden.plain);

test('a profile of c-toxcore opens to its keys, texts and friends', () => {
  const save = readToxSave(plain);
  const [alice, bob] = [network.node('alice'), network.node('bob')];
  assert.equal(hex(save.keys.publicKey), alice.realKey);
  assert.equal(hex(save.keys.secretKey), alice.realSecret);
  const { profile } = save;
  assert.equal(formatToxId(makeToxId(save.keys.publicKey, profile.nospam)), alice.toxId.toUpperCase());
  assert.equal(utf8(profile.name), 'Alice é');
  assert.equal(utf8(profile.statusMessage), 'at work');
  assert.equal(profile.status, 'busy');
  const [friend, stranger] = profile.friends;
  assert.equal(profile.friends.length, 2);
  assert.equal(hex(friend!.publicKey), bob.realKey);
  assert.equal(friend!.request, undefined, 'a confirmed friend');
  assert.ok(friend!.lastSeen > 1_700_000_000n && friend!.lastSeen < 1_700_000_200n);
  assert.equal(hex(stranger!.publicKey), `42${'09'.repeat(31)}`);
  assert.equal(utf8(stranger!.request!.message), 'are you there?');
  assert.equal(hex(stranger!.request!.nospam), '09090909');
  assert.equal(stranger!.lastSeen, 0n);
});

test('the nodes of a profile are those of the network', () => {
  const save = readToxSave(plain);
  assert.ok(save.dhtNodes.length >= 7);
  for (const node of save.dhtNodes) assert.ok(network.tells(node), node.endpoint);
  for (const node of save.pathNodes) assert.ok(network.tells(node), node.endpoint);
});

test('reading and writing keeps everything that a profile of c-toxcore holds', () => {
  const save = readToxSave(plain);
  assert.deepEqual(readToxSave(writeToxSave(save)), save);
});

test('the encrypted form opens with its passphrase only', () => {
  const sealed = bytes(golden.sealed);
  assert.ok(isEncryptedSave(sealed) && !isEncryptedSave(plain));
  assert.equal(sealed.length, plain.length + ENCRYPTED_SAVE_OVERHEAD);
  assert.deepEqual(decryptSave(sealed, golden.passphrase), plain);
  assert.throws(() => decryptSave(sealed, 'wrong horse'), { kind: 'bad-save' });
});

test('our encrypted form with the same salt and nonce is the same bytes', () => {
  const sealed = bytes(golden.sealed);
  const drawn = [sealed.slice(8, 40), sealed.slice(40, 64)];
  const env = { ...testEnv(1), random: (size: number) => drawn.find((d) => d.length === size)! };
  assert.deepEqual(encryptSave(env, plain, golden.passphrase), sealed);
});
