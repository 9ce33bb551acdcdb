import assert from 'node:assert/strict';
import { test } from 'node:test';
import { realFiles } from '../../src/base/files.ts';
import { FailingFiles, systemError } from '../../src/testing/failing-files.ts';
import { A, B, Bench, KEY_A, KEY_B } from './harness.ts';

/** More than a mail's whole life takes. */
const STEPS = 40;

test('a crash at any step loses no accepted mail, keeps no other, and repeats only under the same id', async (t) => {
  let whole = 0;
  for (let crashAt = 1; crashAt <= STEPS; crashAt++) {
    const bench = new Bench(t);
    const files = new FailingFiles(realFiles);
    files.crashAt = crashAt;
    bench.files = files;
    bench.restart();
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
      ids = await bench.put('content', A, B);
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
    bench.queue.peerOnline('mum', KEY_A);
    bench.queue.peerOnline('mum', KEY_B);
    await bench.calm();
    await bench.queue.stop();
    assert.deepEqual([...arrived].sort(), [...ids].sort(), `crash at step ${crashAt}`);
    assert.deepEqual(bench.spoolFiles(), [], `crash at step ${crashAt}`);
    assert.equal(bench.local.jobs.length, 0);
    bench.db.close();
  }
  assert.ok(whole > 0, 'the last runs saw no crash, so every step had one');
});

test('a crash at any step of giving a mail back leaves exactly one notice', async (t) => {
  let whole = 0;
  for (let crashAt = 1; crashAt <= STEPS; crashAt++) {
    const bench = new Bench(t);
    const [id] = await bench.put('Subject: x\r\n\r\n', A);
    const files = new FailingFiles(realFiles);
    files.crashAt = crashAt;
    bench.files = files;
    bench.restart();
    const notices = new Set<string>();
    const play = async (): Promise<void> => {
      bench.local.answer = (job) => {
        notices.add(job.id);
        return { kind: 'delivered' };
      };
      bench.tox.answer = () => ({ kind: 'failed', status: { reply: 550, enhanced: '5.7.1', text: 'no' } });
      await bench.queue.start();
      bench.queue.peerOnline('mum', KEY_A);
      await bench.calm();
    };
    await play().catch(() => {});
    if (!files.crashed) whole++;
    bench.files = realFiles;
    bench.restart();
    await play();
    assert.equal(bench.queue.get(id!)!.state, 'failed', `crash at step ${crashAt}`);
    assert.equal(notices.size, 1, `crash at step ${crashAt}`);
    assert.deepEqual(bench.spoolFiles(), []);
    bench.db.close();
  }
  assert.ok(whole > 0);
});

for (const operation of ['open', 'write', 'sync', 'syncFolder'] as const) {
  test(`a disk that fails at ${operation} means no acceptance and leaves nothing behind`, async (t) => {
    const bench = new Bench(t);
    const files = new FailingFiles(realFiles);
    bench.files = files;
    bench.restart();
    await bench.queue.start();
    files.fail = (name) => (name === operation ? systemError('EIO') : undefined);
    await assert.rejects(bench.put('x', A), { code: 'EIO' });
    assert.deepEqual([bench.queue.list(), bench.spoolFiles()], [[], []]);
    files.fail = () => undefined;
    await bench.put('x', A);
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
  await bench.put('x', A);
  await bench.calm();
  assert.deepEqual([bench.states(), bench.spoolFiles().length], [['delivered'], 1]);
  files.fail = () => undefined;
  bench.restart();
  await bench.queue.start();
  assert.deepEqual(bench.spoolFiles(), []);
});
