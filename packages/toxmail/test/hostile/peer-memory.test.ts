import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type FileSystem, realFiles } from '../../src/base/files.ts';
import { settle } from '../../src/testing/virtual-scheduler.ts';
import { encode } from '../../src/transfer/packets.ts';
import { ALICE, Station, Wire } from '../transfer/pair.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function used(): number {
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

test('mails that come byte by byte and never end cost no more memory than their credit', async () => {
  const wire = new Wire();
  const bob = new Station(wire.ends.bob);
  await bob.start();
  try {
    wire.ends.alice.handlers = { online() {}, offline() {}, writable() {}, packet() {} };
    wire.connect();
    const say = (packet: Parameters<typeof encode>[0]) => bob.end.handlers.packet(ALICE, encode(packet));
    const limits = { openTransfers: 64, credit: 1_000_000, eagerLimit: 65_536, maxSize: 1_000_000 };
    say({ kind: 'hello', version: 1, answer: false, ...limits });
    const data = new Uint8Array(0);
    for (let stream = 0; stream < 60; stream++) {
      const offer = { eager: true, nullSender: false, tag: '', data };
      say({ kind: 'offer', stream, id: randomBytes(16), size: 65_000, digest: randomBytes(32), ...offer });
    }
    const before = used();
    const byte = new Uint8Array(1);
    for (let i = 0; i < 400_000; i++) say({ kind: 'data', stream: i % 60, data: byte });
    const grown = used() - before;
    assert.ok(grown < 24 * 2 ** 20, `${grown} bytes for 400000`);
  } finally {
    await bob.stop();
    bob.remove();
  }
});

test('a contact that begins session after session has no more files open than one session may', async () => {
  const wire = new Wire();
  let open = 0;
  let most = 0;
  const files: FileSystem = {
    ...realFiles,
    open: async (path, mode) => {
      const file = await realFiles.open(path, mode);
      if (!path.endsWith('.part')) return file;
      most = Math.max(most, ++open);
      const close = file.close.bind(file);
      return Object.assign(file, {
        close: async () => {
          await settle(3);
          await close();
          open--;
        },
      });
    },
  };
  const bob = new Station(wire.ends.bob, undefined, files);
  await bob.start();
  try {
    wire.ends.alice.handlers = { online() {}, offline() {}, writable() {}, packet() {} };
    wire.connect();
    const say = (packet: Parameters<typeof encode>[0]) => bob.end.handlers.packet(ALICE, encode(packet));
    const limits = { openTransfers: 64, credit: 1_000_000, eagerLimit: 65_536, maxSize: 1_000_000 };
    for (let round = 0; round < 60; round++) {
      say({ kind: 'hello', version: 1, answer: false, ...limits });
      for (let stream = 0; stream < 10; stream++) {
        const offer = { eager: false, nullSender: false, tag: '', data: new Uint8Array(0) };
        say({ kind: 'offer', stream, id: randomBytes(16), size: 1_000_000, digest: randomBytes(32), ...offer });
      }
      await settle(1);
    }
    await settle(50);
    assert.ok(most > 0 && most <= 8, `${most} files`);
  } finally {
    await bob.stop();
    bob.remove();
  }
});
