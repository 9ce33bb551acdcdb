import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allocate } from '../../src/core/allocate.ts';

test('arrays of any size are zeroed, and what is written into one shows in no other', () => {
  const sizes = Array.from({ length: 600 }, (_, i) => (i * 37) % 2_500);
  const arrays = sizes.map((size, i) => {
    const bytes = allocate(size);
    assert.equal(bytes.length, size);
    assert.ok(bytes.every((byte) => byte === 0));
    return bytes.fill(1 + (i % 255));
  });
  for (const [i, bytes] of arrays.entries()) assert.ok(bytes.every((byte) => byte === 1 + (i % 255)));
});
