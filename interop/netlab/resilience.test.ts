import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../../packages/toxmail/test/daemon/processes.ts';
import { type Host, Lab, netlabMissing } from './lab.ts';
import { BootstrapNode, introduce, MailDaemon } from './mail-daemon.ts';
import { bodyOf, mailOf } from './mails.ts';
import { cpuSeconds } from './processes.ts';

const skip = await netlabMissing();
const LARGE = 25_000_000;
/** So that a large mail takes long enough to be interrupted. */
const KBIT = 50_000;

async function pair(lab: Lab, home: Host, away: Host) {
  const stack = new AsyncDisposableStack();
  const bootstrap = stack.use(await BootstrapNode.start(await lab.host()));
  const ann = stack.use(await MailDaemon.start(home, 'ann', [bootstrap.line]));
  const bob = stack.use(await MailDaemon.start(away, 'bob', [bootstrap.line]));
  await introduce(ann, bob);
  await until('they find each other', async () => (await ann.isOnline('bob')) && (await bob.isOnline('ann')));
  return { ann, bob, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

interface Progress {
  readonly sent: number;
  readonly attempts: number;
  readonly state: string;
}

/** Bytes of the mail with this number that have gone out, and how often it was tried. */
async function progress(of: MailDaemon, number: number): Promise<Progress> {
  const rows: (Progress & { queuedAt: number })[] = (await of.ask('queue list')) ?? [];
  const row = rows.sort((a, b) => a.queuedAt - b.queuedAt)[number - 1];
  return row ?? { sent: 0, attempts: 0, state: 'none' };
}

/** Hands in the large mail with this number, does `what` when a part has gone out, and gives how it arrived. */
async function interrupted(ann: MailDaemon, bob: MailDaemon, number: number, what: () => Promise<void>) {
  const mail = mailOf(LARGE);
  await ann.send('bob@tox', mail);
  const before = await until('a part has gone out', async () => {
    const { sent } = await progress(ann, number);
    return sent > LARGE / 5 && sent;
  });
  await what();
  await until('the mail arrives', async () => (await bob.mails()) === number, 120_000);
  const { attempts } = await until('the sender knows', async () => {
    const row = await progress(ann, number);
    return row.state === 'delivered' && row;
  });
  return { intact: bodyOf(await bob.read(number)).equals(bodyOf(mail)), before, attempts };
}

describe('networks that fail', { concurrency: true, skip }, () => {
  test('a daemon without a network waits calmly, and is connected within seconds of its return', async (t) => {
    await using lab = await Lab.create();
    await using bootstrap = await BootstrapNode.start(await lab.host());
    const host = await lab.host();
    await host.unplug();
    await using ann = await MailDaemon.start(host, 'ann', [bootstrap.line]);
    await sleep(2_000); // the start is over
    const before = await cpuSeconds(ann.pid);
    await sleep(10_000);
    const used = (await cpuSeconds(ann.pid)) - before;
    t.diagnostic(`${used.toFixed(2)} s of CPU in 10 s without a network`);
    assert.ok(before > 0.1, 'the start was not free');
    assert.ok(used < 0.5, `calm: ${used} s of CPU in 10 s`);
    await host.plug();
    const began = performance.now();
    await until('it is connected', async () => (await ann.ask('status'))?.accounts[0].tox.connection !== 'none');
    const took = performance.now() - began;
    t.diagnostic(`connected ${Math.round(took)} ms after the network came`);
    assert.ok(took < 15_000, `connected after ${took} ms`);
  });

  test('a transfer goes on when the sender moves to another address', async (t) => {
    await using lab = await Lab.create();
    const home = await lab.host();
    await home.setLine({ kbit: KBIT });
    await using both = await pair(lab, home, await (await lab.router('port-restricted')).host());
    const { intact, before, attempts } = await interrupted(both.ann, both.bob, 1, () => home.move());
    t.diagnostic(`moved after ${before} bytes, ${attempts} attempt(s)`);
    assert.ok(intact);
    assert.equal(attempts, 1, 'the session went on');
  });

  test("a transfer goes on when the provider gives the sender's router, then the recipient's another address", async (t) => {
    await using lab = await Lab.create();
    const routers = [await lab.router('port-restricted'), await lab.router('port-restricted')] as const;
    const home = await routers[0].host();
    await home.setLine({ kbit: KBIT });
    await using both = await pair(lab, home, await routers[1].host());
    for (const [i, router] of routers.entries()) {
      const { intact, before, attempts } = await interrupted(both.ann, both.bob, i + 1, () => router.move());
      t.diagnostic(`moved after ${before} bytes, ${attempts} attempt(s)`);
      assert.ok(intact);
    }
  });

  test('a transfer goes on when the cable was out for ten seconds', async (t) => {
    await using lab = await Lab.create();
    const home = await (await lab.router('port-restricted')).host();
    await home.setLine({ kbit: KBIT });
    await using both = await pair(lab, home, await lab.host());
    const { intact, before, attempts } = await interrupted(both.ann, both.bob, 1, async () => {
      await home.unplug();
      await sleep(10_000);
      await home.plug();
    });
    t.diagnostic(`unplugged after ${before} bytes, ${attempts} attempt(s)`);
    assert.ok(intact);
    assert.equal(attempts, 1, 'the session went on');
  });
});
