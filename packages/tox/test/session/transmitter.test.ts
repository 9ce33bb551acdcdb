import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Transmitter } from '../../src/session/transmitter.ts';

test('a source that is refused because the window has shrunk is called again', () => {
  const congestion = { window: 100, pace: 1_000, minRoundTrip: 10, onAck() {} };
  const sink = { transmit() {}, transmitRequest() {}, holdUp: () => 0 };
  const transmitter = new Transmitter(0, 0, congestion, () => congestion, sink);
  while (transmitter.room() > 10) transmitter.queue(0, Uint8Array.of(160));
  assert.equal(transmitter.takeWritable(), false);
  congestion.window = 50;
  assert.equal(transmitter.room(), 0);
  congestion.window = 200;
  assert.equal(transmitter.takeWritable(), true);
  assert.equal(transmitter.takeWritable(), false);
});
