import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { FolderSync, writeDurably } from '../../src/base/durable.ts';
import { bytesContent, fileContent, readHead, realFiles } from '../../src/base/files.ts';
import { createLogger } from '../../src/base/log.ts';
import { generatePassword, hashPassword, verifyPassword } from '../../src/base/password.ts';
import { Slices } from '../../src/base/slices.ts';
import { FailingFiles } from '../../src/testing/failing-files.ts';
import { VirtualScheduler } from '../../src/testing/virtual-scheduler.ts';

test('a password is right or wrong, also the second time, and no hash means no', async () => {
  const hash = await hashPassword('käse und brot');
  assert.doesNotMatch(hash, /brot/);
  for (let i = 0; i < 2; i++) {
    assert.equal(await verifyPassword('käse und brot', hash), true);
    assert.equal(await verifyPassword('käse und bro', hash), false);
  }
  assert.equal(await verifyPassword('ka\u0308se und brot', hash), true, 'composed or not');
  assert.equal(await verifyPassword('', undefined), false);
  assert.equal(await verifyPassword('x', 'scrypt$1$2'), false);
  assert.notEqual(await hashPassword('x'), await hashPassword('x'));
});

test('generated passwords can be read aloud and differ', () => {
  assert.match(generatePassword(), /^[a-hj-km-np-z2-9]{4}(-[a-hj-km-np-z2-9]{4}){3}$/);
  assert.notEqual(generatePassword(), generatePassword());
});

test('a file is replaced whole or not at all, at whatever step the crash comes', async (t) => {
  for (let crashAt = 1; ; crashAt++) {
    const folder = mkdtempSync(join(tmpdir(), 'toxmail-durable-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'f');
    await writeDurably(realFiles, path, Buffer.from('old'));
    const files = new FailingFiles(realFiles);
    files.crashAt = crashAt;
    await writeDurably(files, path, Buffer.from('new')).catch(() => {});
    assert.match(readFileSync(path, 'utf8'), files.crashed ? /^(old|new)$/ : /^new$/);
    await writeDurably(realFiles, path, Buffer.from('last'));
    assert.equal(readFileSync(path, 'utf8'), 'last');
    assert.deepEqual(readdirSync(folder), ['f']);
    if (!files.crashed) break;
  }
});

test('many requests to sync a folder share few syncs, and none returns before a sync that began after it', async () => {
  let begun = 0;
  const ends: (() => void)[] = [];
  const files = new FailingFiles(realFiles);
  files.syncFolder = () => {
    begun++;
    return new Promise((resolve) => ends.push(resolve));
  };
  const folder = new FolderSync(files, '/nowhere');
  const done: number[] = [];
  const all = [1, 2, 3].map((n) => folder.sync().then(() => done.push(n)));
  assert.equal(begun, 1);
  ends[0]!();
  await all[0];
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([begun, done], [2, [1]]);
  ends[1]!();
  await Promise.all(all);
  assert.deepEqual(done, [1, 2, 3]);
});

test('bytes in memory are read as those of a file are, at any position', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'toxmail-read-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const bytes = Buffer.from(Array.from({ length: 1_000 }, (_, i) => i % 251));
  await writeDurably(realFiles, join(folder, 'f'), bytes);
  for (const content of [fileContent(realFiles, join(folder, 'f')), bytesContent(() => bytes)]) {
    assert.ok(bytes.equals(await readHead(content, 2_000)));
    const reader = await content.open();
    for (const [position, expected] of [
      [0, 100],
      [950, 50],
      [1_000, 0],
      [2_000, 0],
    ] as const) {
      const into = new Uint8Array(100);
      assert.equal(await reader.read(into, position), expected);
      assert.ok(bytes.subarray(position, position + 100).equals(into.subarray(0, expected)));
    }
    await reader.close();
  }
});

test('log lines hold one event each, as text or as JSON', () => {
  const lines: string[] = [];
  const options = { level: 'info', unixMs: () => 0, write: (line: string) => lines.push(line) } as const;
  createLogger({ ...options, json: false }).warn('a.b', { x: 'two words\n', y: 1, z: undefined });
  createLogger({ ...options, json: true }).info('a.b', { x: '"' });
  createLogger({ ...options, json: true }).debug('a.b');
  assert.equal(lines[0], '1970-01-01T00:00:00.000Z WARN  a.b x="two words\\n" y=1');
  assert.deepEqual(JSON.parse(lines[1]!), { time: '1970-01-01T00:00:00.000Z', level: 'info', id: 'a.b', x: '"' });
  assert.equal(lines.length, 2);
});

test('virtual time fires timers in order and skips the cancelled', async () => {
  const time = new VirtualScheduler();
  const fired: number[] = [];
  time.at(20, () => fired.push(time.mono()));
  const cancel = time.at(15, () => fired.push(-1));
  time.at(10, () => time.at(12, () => fired.push(time.mono())));
  cancel();
  await time.advance(20);
  assert.deepEqual(fired, [12, 20]);
});

test('of long works that pause, one goes on in each turn of the event loop, the longest waiting first', async () => {
  let turn = 0;
  const count = (): void => {
    turn++;
    counting = setImmediate(count);
  };
  let counting = setImmediate(count);
  const resumed: { readonly work: number; readonly turn: number }[] = [];
  const work = async (n: number): Promise<void> => {
    const slices = new Slices(1);
    for (let i = 0; i < 3; i++) {
      await slices.pause();
      resumed.push({ work: n, turn });
    }
  };
  await Promise.all([1, 2, 3, 4].map(work));
  clearImmediate(counting);
  assert.equal(new Set(resumed.map((each) => each.turn)).size, 12, 'each in a turn of its own');
  assert.deepEqual(
    resumed.map((each) => each.work),
    [1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4],
  );
});
