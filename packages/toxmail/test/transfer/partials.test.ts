import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { realFiles } from '../../src/base/files.ts';
import { Partials } from '../../src/transfer/partials.ts';

test('what no one goes on with for a week is removed also while the daemon runs', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'toxmail-partials-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const clock = { now: Date.now(), mono: () => 0, unixMs: () => clock.now };
  const partials = new Partials(realFiles, folder, clock);
  await partials.prepare();
  const begin = async (peer: string): Promise<void> => {
    await (await partials.open(peer.repeat(64), 'aa')).close();
    for (const name of readdirSync(folder))
      if (name.startsWith(peer)) await realFiles.setMtime(join(folder, name), clock.now);
  };
  const there = (): string[] => readdirSync(folder).map((name) => name.slice(0, 1));
  await begin('A');
  clock.now += 6 * 86_400_000;
  await begin('B');
  assert.deepEqual(there().sort(), ['A', 'B']);
  clock.now += 2 * 86_400_000;
  await begin('C');
  assert.deepEqual(there().sort(), ['B', 'C']);
});
