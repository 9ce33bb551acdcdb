import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { realFiles } from '../../src/base/files.ts';
import { failCommits } from '../../src/testing/failing-commits.ts';
import { Crash, FailingFiles, systemError } from '../../src/testing/failing-files.ts';
import { A, B, Bench, BODIES, KEY_A, KEY_B } from './harness.ts';

/** More than a mail's whole life takes. */
const STEPS = 50;

/** From that step on nothing reaches the disk. Each file operation is a step, and each side of a commit. */
function crashAt(bench: Bench, step: number): FailingFiles {
  const files = new FailingFiles(realFiles);
  files.crashAt = step;
  bench.files = files;
  bench.restart();
  failCommits(bench.db, () => {
    files.step++;
    return files.crashed ? new Crash(`step ${files.step}`) : undefined;
  });
  return files;
}

/** The sender of a mail with that end hears of it once, whatever happens on the way. */
async function oneNotice(t: TestContext, body: string, state: 'failed' | 'delivered'): Promise<void> {
  let whole = 0;
  for (let step = 1; step <= STEPS; step++) {
    const bench = new Bench(t);
    bench.notify = ['SUCCESS', 'FAILURE'];
    const [id] = await bench.put(body, A);
    const files = crashAt(bench, step);
    const notices = new Set<string>();
    const play = async (): Promise<void> => {
      bench.local.answer = (job) => {
        notices.add(job.id);
        return { kind: 'delivered' };
      };
      bench.tox.answer = () =>
        state === 'delivered'
          ? { kind: 'delivered' }
          : { kind: 'failed', status: { reply: 550, enhanced: '5.7.1', text: 'no' } };
      await bench.queue.start();
      bench.queue.peerOnline('mum', KEY_A);
      await bench.calm();
    };
    await play().catch(() => {});
    if (!files.crashed) whole++;
    bench.files = realFiles;
    bench.restart();
    await play();
    assert.equal(bench.queue.get(id!)!.state, state, `crash at step ${step}`);
    assert.equal(notices.size, 1, `crash at step ${step}`);
    assert.deepEqual(bench.kept(), [], `crash at step ${step}`);
    bench.db.close();
  }
  assert.ok(whole > 0);
}

for (const [kind, body] of Object.entries(BODIES)) {
  test(`a crash at any step loses no accepted ${kind} mail, and repeats only under the same id`, async (t) => {
    let whole = 0;
    for (let step = 1; step <= STEPS; step++) {
      const bench = new Bench(t);
      const files = crashAt(bench, step);
      const arrived = new Set<string>();
      const take = (): void => {
        bench.tox.answer = (job) => {
          arrived.add(job.id);
          return { kind: 'delivered' };
        };
      };
      take();
      let ids: string[] = [];
      try {
        await bench.queue.start();
        ids = await bench.put(body, A, B);
        bench.queue.peerOnline('mum', KEY_A);
        await bench.calm();
      } catch {
        // the client heard no 250
      }
      if (!files.crashed) whole++;

      bench.files = realFiles;
      bench.restart();
      take();
      await bench.queue.start();
      // A crash between the commit and the 250 leaves a mail that the client does not know of.
      const queued = bench.queue.list().map((item) => item.id);
      if (ids.length > 0) assert.deepEqual(queued, ids, `crash at step ${step}`);
      bench.queue.peerOnline('mum', KEY_A);
      bench.queue.peerOnline('mum', KEY_B);
      await bench.calm();
      await bench.queue.stop();
      assert.deepEqual([...arrived].sort(), queued.sort(), `crash at step ${step}`);
      assert.deepEqual(bench.kept(), [], `crash at step ${step}`);
      assert.equal(bench.local.jobs.length, 0);
      bench.db.close();
    }
    assert.ok(whole > 0, 'the last runs saw no crash, so every step had one');
  });

  for (const state of ['failed', 'delivered'] as const) {
    test(`a crash at any step of telling that a ${kind} mail is ${state} leaves exactly one notice`, (t) =>
      oneNotice(t, body, state));
  }

  test(`a database that fails to commit a ${kind} mail means no acceptance and leaves nothing behind`, async (t) => {
    const bench = new Bench(t);
    await bench.queue.start();
    let error: Error | undefined = systemError('EIO');
    failCommits(bench.db, (when) => (when === 'before' ? error : undefined));
    await assert.rejects(bench.put(body, A), { code: 'EIO' });
    assert.deepEqual([bench.queue.list(), bench.kept()], [[], []]);
    error = undefined;
    await bench.put(body, A);
    assert.deepEqual([bench.states(), bench.kept()], [['waiting'], [body]]);
  });
}

for (const operation of ['open', 'write', 'sync', 'syncFolder'] as const) {
  test(`a disk that fails at ${operation} means no acceptance of a large mail and leaves nothing behind`, async (t) => {
    const bench = new Bench(t);
    const files = new FailingFiles(realFiles);
    bench.files = files;
    bench.restart();
    await bench.queue.start();
    files.fail = (name) => (name === operation ? systemError('EIO') : undefined);
    await assert.rejects(bench.put(BODIES.large, A), { code: 'EIO' });
    assert.deepEqual([bench.queue.list(), bench.kept()], [[], []]);
    files.fail = () => undefined;
    await bench.put(BODIES.large, A);
    assert.deepEqual(bench.states(), ['waiting']);
  });
}

test('a spool file that cannot be removed is no reason to send again', async (t) => {
  const bench = new Bench(t);
  const files = new FailingFiles(realFiles);
  bench.files = files;
  bench.restart();
  await bench.queue.start();
  files.fail = (name) => (name === 'unlink' ? systemError('EIO') : undefined);
  bench.tox.answer = () => ({ kind: 'delivered' });
  bench.queue.peerOnline('mum', KEY_A);
  await bench.put(BODIES.large, A);
  await bench.calm();
  assert.deepEqual([bench.states(), bench.spoolFiles().length], [['delivered'], 1]);
  files.fail = () => undefined;
  bench.restart();
  await bench.queue.start();
  assert.deepEqual(bench.spoolFiles(), []);
});
