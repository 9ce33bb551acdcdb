import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { until } from '../../packages/toxmail/test/daemon/processes.ts';
import { OraclePeer, oracleMissing } from '../oracle/oracle.ts';
import { type Host, Lab, netlabMissing } from './lab.ts';
import { introduce, MailDaemon } from './mail-daemon.ts';
import { mailOf } from './mails.ts';

const skip = await netlabMissing();
const noOracle = await oracleMissing();
const OURS = [process.execPath, fileURLToPath(new URL('our-peer.ts', import.meta.url))];

/** Hosts of one home whose router knows no way to the internet. */
async function home(lab: Lab): Promise<[Host, Host]> {
  const router = await lab.router('tcp-only');
  return [await router.host(), await router.host()];
}

describe('the local network, without any node outside', { concurrency: true, skip }, () => {
  test('two daemons find each other, and a mail goes over', async (t) => {
    await using lab = await Lab.create();
    const [left, right] = await home(lab);
    await using ann = await MailDaemon.start(left, 'ann', []);
    await using bob = await MailDaemon.start(right, 'bob', []);
    await introduce(ann, bob);
    const began = performance.now();
    await until('they find each other', async () => (await ann.isOnline('bob')) && (await bob.isOnline('ann')), 20_000);
    t.diagnostic(`online after ${Math.round(performance.now() - began)} ms`);
    await ann.send('bob@tox', mailOf(10_000));
    await until('the mail arrives', async () => (await bob.mails()) === 1, 10_000);
  });

  test('with --no-lan they do not', async () => {
    await using lab = await Lab.create();
    const [left, right] = await home(lab);
    await using ann = await MailDaemon.start(left, 'ann', [], '--no-lan');
    await using bob = await MailDaemon.start(right, 'bob', []);
    await introduce(ann, bob);
    await assert.rejects(
      until('never', async () => await ann.isOnline('bob'), 15_000),
      /never/,
    );
  });

  test('our node and a c-toxcore node that comes later find each other', { skip: noOracle }, async (t) => {
    await using lab = await Lab.create();
    const [left, right] = await home(lab);
    const options = { port: 33_445, lanDiscovery: true };
    await using ours = await OraclePeer.start({ ...options, prefix: left.prefix, program: OURS });
    await using theirs = await OraclePeer.start({ ...options, prefix: right.prefix });
    const began = performance.now();
    await ours.acceptFriend(theirs.publicKey);
    await theirs.acceptFriend(ours.publicKey);
    await Promise.all([ours.friendOnline(theirs.publicKey), theirs.friendOnline(ours.publicKey)]);
    t.diagnostic(`online after ${Math.round(performance.now() - began)} ms`);
  });
});
