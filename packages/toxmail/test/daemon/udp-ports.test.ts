import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { UdpPorts } from '../../src/daemon/udp-ports.ts';

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'toxmail-ports-'));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

test('accounts take one port after the other from 33445 on', async (t) => {
  const ports = new UdpPorts(folder(t), undefined);
  assert.equal(ports.candidates()[0], 33_445);
  await ports.markUsed(33_445);
  assert.equal(ports.candidates()[0], 33_446);
  assert.equal(ports.candidates().length, 100);
});

test('after a stop without goodbye the ports of that run are left alone', async (t) => {
  const path = folder(t);
  const killed = new UdpPorts(path, undefined);
  await killed.markUsed(33_445);
  await killed.markUsed(33_446);
  const next = new UdpPorts(path, undefined);
  assert.equal(next.candidates()[0], 33_447);
  await next.markUsed(33_447);
  await next.markClean();
  assert.equal(new UdpPorts(path, undefined).candidates()[0], 33_445);
});

test('the port of a removed account is free for the next', async (t) => {
  const ports = new UdpPorts(folder(t), 40_000);
  await ports.markUsed(40_000);
  await ports.markUsed(40_001);
  await ports.markFree(40_000);
  assert.deepEqual(ports.candidates().slice(0, 2), [40_000, 40_002]);
});

test('a port that was asked for is used in any case, and 0 means any', async (t) => {
  const path = folder(t);
  await new UdpPorts(path, 40_000).markUsed(40_000);
  assert.equal(new UdpPorts(path, 40_000).candidates()[0], 40_000);
  assert.deepEqual(new UdpPorts(path, 0).candidates(), [0]);
  assert.deepEqual(new UdpPorts(path, 65_535).candidates(), [65_535]);
});

test('a damaged record is no obstacle', (t) => {
  const path = folder(t);
  for (const text of ['', '{}', '[1,"x",', 'null']) {
    writeFileSync(join(path, 'udp-ports.json'), text);
    assert.equal(new UdpPorts(path, undefined).candidates()[0], 33_445);
  }
});
