import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { lockFolder } from '../../src/daemon/folder-lock.ts';

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'toxmail-lock-'));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

test('a folder is locked once, and free again after release', async (t) => {
  const path = folder(t);
  const first = await lockFolder(path, 0);
  assert.ok(first);
  assert.equal(await lockFolder(path, 0), undefined);
  first.release();
  const second = await lockFolder(path, 0);
  assert.ok(second);
  second.release();
});

test('waiting gets the folder as soon as the predecessor leaves', async (t) => {
  const path = folder(t);
  const first = await lockFolder(path, 0);
  const waiting = lockFolder(path, 60_000);
  first?.release();
  const second = await waiting;
  assert.ok(second);
  second.release();
});

test('a process that is killed leaves no lock behind', async (t) => {
  const path = folder(t);
  const module = new URL('../../src/daemon/folder-lock.ts', import.meta.url).href;
  const program = `const { lockFolder } = await import(${JSON.stringify(module)});
    const lock = await lockFolder(${JSON.stringify(path)}, 0);
    console.log(lock ? 'locked' : 'taken');
    process.stdin.resume();`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['pipe', 'pipe', 'inherit'] });
  const [said] = await once(child.stdout, 'data');
  assert.equal(String(said).trim(), 'locked');
  assert.equal(await lockFolder(path, 0), undefined);
  child.kill('SIGKILL');
  await once(child, 'exit');
  const lock = await lockFolder(path, 0);
  assert.ok(lock);
  lock.release();
});
