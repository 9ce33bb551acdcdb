import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
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
