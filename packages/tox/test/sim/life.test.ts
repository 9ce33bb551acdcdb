import assert from 'node:assert/strict';
import { test } from 'node:test';
import { live } from './life.ts';

test('24 nodes: through churn, a partition of ten minutes and moves all friends find each other again', (t) => {
  const { datagramsPerMinute } = live(t, 24, 2, 2);
  assert.ok(datagramsPerMinute < 600, `${datagramsPerMinute} datagrams a minute`);
});
