import assert from 'node:assert/strict';
import { afterEach, test as plainTest, type TestContext } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { realFiles } from '../../src/base/files.ts';
import { FailingFiles } from '../../src/testing/failing-files.ts';
import { settle } from '../../src/testing/virtual-scheduler.ts';
import { ALICE, BOB, bodyOf, mailOf, never, Station, Wire } from './pair.ts';

/** What hangs fails. */
function test(name: string, run: (t: TestContext) => Promise<void>): void {
  plainTest(name, { timeout: 60_000 }, run);
}

const stations: Station[] = [];

async function pair(): Promise<{ wire: Wire; alice: Station; bob: Station }> {
  const wire = new Wire();
  const alice = new Station(wire.ends.alice);
  const bob = new Station(wire.ends.bob);
  stations.push(alice, bob);
  await alice.start();
  await bob.start();
  return { wire, alice, bob };
}

afterEach(async () => {
  for (const station of stations.splice(0)) {
    await station.stop();
    station.remove();
  }
});

test('a small mail arrives with its body unchanged, under the name that the recipient has for the sender', async () => {
  const { wire, alice, bob } = await pair();
  wire.connect();
  const mail = mailOf(3_000);
  const progress: number[] = [];
  const outcome = await alice.transfer.deliver(alice.job(BOB, mail), (n) => progress.push(n), never);
  assert.deepEqual(outcome, { kind: 'delivered' });
  const [stored, ...more] = bob.mails();
  assert.equal(more.length, 0);
  assert.deepEqual(bodyOf(stored!), bodyOf(mail));
  const text = stored!.toString();
  assert.match(text, /^Return-Path: <alice@tox>\r\nDelivered-To: me@tox\r\nReceived: from tox/);
  assert.match(text, /\r\nFrom: Alice <alice@tox>\r\nTo: bob <bob@tox>\r\n/);
  assert.equal(progress.at(-1), mail.length);
  assert.deepEqual(bob.tmp(), []);
});

test('a mail of 5 MB arrives whole and leaves no partial file', async () => {
  const { wire, alice, bob } = await pair();
  wire.connect();
  const mail = mailOf(5_000_000);
  assert.deepEqual(await alice.transfer.deliver(alice.job(BOB, mail), () => {}, never), { kind: 'delivered' });
  assert.deepEqual(bodyOf(bob.mails()[0]!), bodyOf(mail));
  await bob.stop();
  assert.deepEqual(bob.partials(), []);
  await bob.start();
});

test('1,000 small mails and some large ones in both directions all arrive once', async () => {
  const { wire, alice, bob } = await pair();
  wire.connect();
  const sizes = Array.from({ length: 1_000 }, (_, i) => (i % 250 === 7 ? 400_000 : 300 + i * 5));
  const outcomes = await Promise.all([
    ...sizes.map((size) => alice.transfer.deliver(alice.job(BOB, mailOf(size)), () => {}, never)),
    ...sizes.slice(0, 50).map((size) => bob.transfer.deliver(bob.job(ALICE, mailOf(size)), () => {}, never)),
  ]);
  assert.ok(outcomes.every((o) => o.kind === 'delivered'));
  assert.equal(bob.mails().length, 1_000);
  assert.equal(alice.mails().length, 50);
});

for (const size of [20_000, 300_000]) {
  test(`with the session lost at every k-th packet and restarts, a mail of ${size} bytes arrives exactly once`, async () => {
    const { wire, alice, bob } = await pair();
    const mail = mailOf(size);
    const job = alice.job(BOB, mail);
    let left = 1;
    wire.onPacket = () => {
      if (--left === 0) wire.cut();
    };
    let attempts = 0;
    for (let k = 1; ; k = k < 30 ? k + 1 : Math.ceil(k * 1.3)) {
      attempts++;
      left = k;
      wire.connect();
      const outcome = await alice.transfer.deliver(job, () => {}, never);
      left = 0;
      wire.cut();
      if (outcome.kind === 'delivered') break;
      assert.equal(outcome.kind, 'offline');
      const restarted = attempts % 3 === 0 ? bob : attempts % 3 === 1 ? alice : undefined;
      await restarted?.stop();
      await restarted?.start();
    }
    assert.ok(attempts > 5);
    assert.equal(bob.mails().length, 1);
    assert.deepEqual(bodyOf(bob.mails()[0]!), bodyOf(mail));
    // Told once more, it is not stored once more.
    wire.connect();
    assert.deepEqual(await alice.transfer.deliver(job, () => {}, never), { kind: 'delivered' });
    assert.equal(bob.mails().length, 1);
  });
}

test('a large mail goes on where it stopped, across a restart of the receiver', async () => {
  const { wire, alice, bob } = await pair();
  const mail = mailOf(3_000_000);
  const job = alice.job(BOB, mail);
  let data = 0;
  wire.onPacket = (from, packet) => {
    if (from === ALICE && packet[0] === 164 && ++data === 1_200) wire.cut();
  };
  wire.connect();
  assert.deepEqual(await alice.transfer.deliver(job, () => {}, never), { kind: 'offline' });
  await bob.stop();
  await bob.start();
  data = 1_200;
  let resumedAt = 0;
  wire.connect();
  const outcome = await alice.transfer.deliver(job, (sent) => (resumedAt ||= sent), never);
  assert.deepEqual(outcome, { kind: 'delivered' });
  assert.ok(resumedAt > 500_000, `went on at ${resumedAt}`);
  assert.deepEqual(bodyOf(bob.mails()[0]!), bodyOf(mail));
});

test('a partial file that was damaged costs one more attempt, not a damaged mail', async () => {
  const { wire, alice, bob } = await pair();
  const mail = mailOf(1_000_000);
  const job = alice.job(BOB, mail);
  let data = 0;
  wire.onPacket = (from, packet) => {
    if (from === ALICE && packet[0] === 164 && ++data === 500) wire.cut();
  };
  wire.connect();
  await alice.transfer.deliver(job, () => {}, never);
  await bob.stop();
  const { writeFileSync, statSync } = await import('node:fs');
  const part = `${bob.folder}/partial/${bob.partials()[0]}`;
  writeFileSync(part, Buffer.alloc(statSync(part).size, 'x'));
  await bob.start();
  wire.connect();
  const outcome = await alice.transfer.deliver(job, () => {}, never);
  assert.equal(outcome.kind === 'failed' && outcome.status.enhanced, '4.7.7');
  assert.deepEqual(await alice.transfer.deliver(job, () => {}, never), { kind: 'delivered' });
  assert.deepEqual(bodyOf(bob.mails()[0]!), bodyOf(mail));
});

test('a crash between the mail and its row in the table stores it once: the file name tells', async () => {
  const { wire, alice, bob } = await pair();
  const job = alice.job(BOB, mailOf(2_000));
  wire.connect();
  await alice.transfer.deliver(job, () => {}, never);
  wire.cut();
  await bob.stop();
  const { rmSync } = await import('node:fs');
  for (const name of ['db', 'db-wal', 'db-shm']) rmSync(`${bob.folder}/${name}`, { force: true });
  await bob.start();
  wire.connect();
  assert.deepEqual(await alice.transfer.deliver(job, () => {}, never), { kind: 'delivered' });
  assert.equal(bob.mails().length, 1);
});

test('what the receiver does not take is refused with its status, before a large mail flows', async () => {
  const { wire, alice, bob } = await pair();
  bob.admit = (mail) =>
    mail.size > 1_000_000 ? { reply: 452, enhanced: '4.2.2', text: 'The mailbox is full' } : undefined;
  let bytes = 0;
  wire.onPacket = (from, packet) => {
    if (from === ALICE) bytes += packet.length;
  };
  wire.connect();
  const outcome = await alice.transfer.deliver(alice.job(BOB, mailOf(2_000_000)), () => {}, never);
  assert.deepEqual(outcome, {
    kind: 'failed',
    status: { reply: 452, enhanced: '4.2.2', text: 'The mailbox is full' },
  });
  assert.ok(bytes < 1_000);
});

test('a mail above the size that the receiver announced is not even offered', async () => {
  const { wire, alice, bob } = await pair();
  await bob.stop();
  bob.maxSize = 1_000;
  await bob.start();
  wire.connect();
  const outcome = await alice.transfer.deliver(alice.job(BOB, mailOf(2_000)), () => {}, never);
  assert.equal(outcome.kind === 'failed' && outcome.status.enhanced, '5.3.4');
});

test('a full disk is a temporary refusal and leaves nothing behind', async () => {
  const { wire, alice, bob } = await pair();
  await bob.stop();
  let full = true;
  bob.files = {
    ...realFiles,
    open: async (path, mode) => {
      const file = await realFiles.open(path, mode);
      const sync = async (): Promise<void> => {
        if (full) throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
        await file.sync();
      };
      return { ...file, sync };
    },
  };
  await bob.start();
  wire.connect();
  const job = alice.job(BOB, mailOf(2_000));
  const outcome = await alice.transfer.deliver(job, () => {}, never);
  assert.equal(outcome.kind === 'failed' && outcome.status.enhanced, '4.3.1');
  assert.deepEqual([bob.mails().length, bob.tmp().length], [0, 0]);
  full = false;
  assert.deepEqual(await alice.transfer.deliver(job, () => {}, never), { kind: 'delivered' });
});

test('one who is no contact is refused for good', async () => {
  const { wire, alice, bob } = await pair();
  bob.strangers.add(ALICE);
  wire.connect();
  const outcome = await alice.transfer.deliver(alice.job(BOB, mailOf(2_000)), () => {}, never);
  assert.equal(outcome.kind === 'failed' && outcome.status.enhanced, '5.7.1');
  assert.equal(bob.mails().length, 0);
});

for (const size of [3_000, 200_000]) {
  test(`the receiver crashes at each step of storing ${size} bytes: the mail is there once and whole in the end`, async () => {
    let crashes = 0;
    for (let at = 1; ; at += size > 100_000 ? 3 : 1) {
      const { wire, alice, bob } = await pair();
      const mail = mailOf(size);
      const job = alice.job(BOB, mail);
      await bob.stop();
      const failing = new FailingFiles(realFiles);
      bob.files = failing;
      await bob.start();
      failing.crashAt = failing.step + at;
      wire.connect();
      const first = await alice.transfer.deliver(job, () => {}, never);
      const crashed = failing.crashed;
      wire.cut();
      await bob.stop();
      bob.files = realFiles;
      await bob.start();
      assert.equal(bob.mails().length <= 1, true);
      if (first.kind === 'delivered') assert.equal(bob.mails().length, 1);
      wire.connect();
      assert.deepEqual(await alice.transfer.deliver(job, () => {}, never), { kind: 'delivered' }, `step ${at}`);
      assert.equal(bob.mails().length, 1, `step ${at}`);
      assert.deepEqual(bodyOf(bob.mails()[0]!), bodyOf(mail));
      if (!crashed) break;
      crashes++;
    }
    assert.ok(crashes >= 5);
  });
}

test('a mail of 50 MB never sits in memory', async () => {
  const { wire, alice, bob } = await pair();
  const job = alice.bigJob(BOB, 49_000_000);
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const inUse = (): number => {
    collect();
    return process.memoryUsage().arrayBuffers;
  };
  const before = inUse();
  let peak = 0;
  wire.onPacket = () => {
    if (wire.packets % 2_000 === 0) peak = Math.max(peak, inUse() - before);
  };
  wire.connect();
  assert.deepEqual(await alice.transfer.deliver(job, () => {}, never), { kind: 'delivered' });
  assert.ok(wire.packets > 30_000);
  assert.ok(peak < 20_000_000, `${peak} bytes`);
  assert.ok(bob.size() > 49_000_000);
});

test('when the disk of the receiver hangs, the sender stops at the credit', async () => {
  const { wire, alice, bob } = await pair();
  await bob.stop();
  let goOn = (): void => {};
  const hanging = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  bob.files = {
    ...realFiles,
    open: async (path, mode) => {
      const file = await realFiles.open(path, mode);
      return { ...file, write: (data, position) => hanging.then(() => file.write(data, position)) };
    },
  };
  await bob.start();
  let bytes = 0;
  const spent = new Promise<void>((resolve) => {
    wire.onPacket = (from, packet) => {
      if (from === ALICE && packet[0] === 164) bytes += packet.length - 5;
      if (bytes >= 4 * 1024 * 1024) resolve();
    };
  });
  wire.connect();
  const outcome = alice.transfer.deliver(alice.bigJob(BOB, 20_000_000), () => {}, never);
  await spent;
  await settle(200);
  const stoppedAt = bytes;
  goOn();
  assert.deepEqual(await outcome, { kind: 'delivered' });
  assert.equal(stoppedAt, 4 * 1024 * 1024);
});

test('a disk that fails after the session has gone holds up neither the next attempt nor the end', async () => {
  const { wire, alice, bob } = await pair();
  const mail = mailOf(300_000);
  let gone = (): void => {};
  const cut = new Promise<void>((resolve) => {
    gone = resolve;
  });
  await bob.stop();
  bob.files = {
    ...realFiles,
    open: async (path, mode) => {
      const file = await realFiles.open(path, mode);
      return { ...file, write: () => cut.then(() => Promise.reject(new Error('no such device'))) };
    },
  };
  await bob.start();
  wire.onPacket = (from, packet) => {
    if (from === ALICE && packet[0] === 164 && packet.length < 1_000) wire.cut(); // the last of it
  };
  wire.connect();
  const job = alice.job(BOB, mail);
  assert.deepEqual(await alice.transfer.deliver(job, () => {}, never), { kind: 'offline' });
  gone();
  await bob.stop();
  bob.files = realFiles;
  await bob.start();
  wire.onPacket = () => {};
  wire.connect();
  assert.deepEqual(await alice.transfer.deliver(job, () => {}, never), { kind: 'delivered' });
  assert.equal(bob.mails().length, 1);
});

test('an aborted delivery settles, and the next mail is not disturbed', async () => {
  const { wire, alice, bob } = await pair();
  wire.connect();
  const abort = new AbortController();
  const first = alice.transfer.deliver(alice.job(BOB, mailOf(4_000_000)), () => abort.abort('cancelled'), abort.signal);
  assert.deepEqual(await first, { kind: 'offline' });
  assert.deepEqual(await alice.transfer.deliver(alice.job(BOB, mailOf(70_000)), () => {}, never), {
    kind: 'delivered',
  });
  await bob.stop();
  assert.deepEqual(bob.partials(), []);
  await bob.start();
});

test('a peer that is not online is offline at once', async () => {
  const { alice } = await pair();
  assert.deepEqual(await alice.transfer.deliver(alice.job(BOB, mailOf(100)), () => {}, never), { kind: 'offline' });
});
