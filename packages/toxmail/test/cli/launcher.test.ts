import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { BIN } from '../daemon/processes.ts';

/** A Node on this machine that is too old to run the program itself: then the launcher hands over to the pinned one. */
function olderNode(): string | undefined {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, 'node');
    const { stdout } = spawnSync(path, ['--version'], { encoding: 'utf8' });
    const major = Number(/^v(\d+)/.exec(stdout ?? '')?.[1] ?? Number.NaN);
    if (major >= 20 && major < 24) return path;
  }
  return undefined;
}

const older = olderNode();
const needsOlder = { skip: older ? false : 'no Node 20 to 23 on the PATH' };

async function daemon(t: TestContext): Promise<{ launcher: ReturnType<typeof spawn>; pid: number }> {
  const data = mkdtempSync(join(tmpdir(), 'toxmail-launcher-'));
  const launcher = spawn(older!, [BIN, 'bootstrap', '--data', data, '--udp-port', '0', '--bootstrap', 'none'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => {
    launcher.kill('SIGKILL');
    rmSync(data, { recursive: true, force: true });
  });
  await once(createInterface({ input: launcher.stdout! }), 'line');
  const { stdout } = spawnSync(process.execPath, [BIN, 'status', '--data', data, '--json'], { encoding: 'utf8' });
  return { launcher, pid: JSON.parse(stdout).pid };
}

test('under an older Node the program runs under the pinned one, its exit status kept', needsOlder, () => {
  const version = spawnSync(older!, [BIN, '--version'], { encoding: 'utf8' });
  assert.deepEqual([version.status, version.stderr], [0, '']);
  assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/);
  assert.equal(spawnSync(older!, [BIN, 'nonsense']).status, 2);
});

test('a signal to the launcher stops the daemon cleanly', needsOlder, async (t) => {
  const { launcher, pid } = await daemon(t);
  launcher.kill('SIGTERM');
  const [code] = await once(launcher, 'exit');
  assert.equal(code, 0);
  assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
});

test('a launcher that is killed takes the daemon with it', needsOlder, async (t) => {
  const { launcher, pid } = await daemon(t);
  const ended = once(launcher.stdout!, 'close'); // the daemon holds the other end of this pipe
  launcher.kill('SIGKILL');
  await ended;
  assert.notEqual(pid, launcher.pid);
});
