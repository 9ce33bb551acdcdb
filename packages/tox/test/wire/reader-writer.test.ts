import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Reader } from '../../src/wire/reader.ts';
import { Writer } from '../../src/wire/writer.ts';

test('after the first failure every read is empty or zero, and the reason stays', () => {
  const r = new Reader(Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8, 9]));
  assert.equal(r.u8(), 1);
  assert.equal(r.take(9).length, 0);
  assert.equal(r.failure, 'truncated');
  assert.equal(r.u8(), 0);
  assert.equal(r.u16(), 0);
  assert.equal(r.u32(), 0);
  assert.equal(r.u64(), 0n);
  assert.equal(r.rest().length, 0);
  assert.equal(r.left, 0);
  r.fail('bad-value');
  assert.equal(r.failure, 'truncated');
  assert.equal(r.done(), false);
});

test('bytes left over are a failure only when the reader is asked to be done', () => {
  const r = new Reader(Uint8Array.from([1, 2]));
  r.u8();
  assert.equal(r.failure, undefined);
  assert.equal(r.done(), false);
  assert.equal(r.failure, 'trailing');
});

test('the rest obeys its bounds', () => {
  const three = Uint8Array.from([1, 2, 3]);
  assert.equal(new Reader(three).rest(3, 3).length, 3);
  const short = new Reader(three);
  assert.equal(short.rest(4).length, 0);
  assert.equal(short.failure, 'truncated');
  const long = new Reader(three);
  assert.equal(long.rest(0, 2).length, 0);
  assert.equal(long.failure, 'trailing');
});

test('a wrong kind byte fails, as does an empty packet', () => {
  for (const bytes of [[5], []]) {
    const r = new Reader(Uint8Array.from(bytes));
    r.kind(4);
    assert.notEqual(r.failure, undefined);
  }
});

test('slices are views: no bytes of a peer are copied by reading', () => {
  const source = Uint8Array.from([1, 2, 3]);
  assert.equal(new Reader(source).take(2).buffer, source.buffer);
});

test('numbers are big endian and read back as written, at every size', () => {
  const w = new Writer(1).u8(0x12).u16(0x3456).u32(0x89abcdef).u64(0xfedcba9876543210n).zeros(2);
  assert.equal(Buffer.from(w.finish()).toString('hex'), '12345689abcdeffedcba98765432100000');
  fc.assert(
    fc.property(
      fc.nat(255),
      fc.nat(65_535),
      fc.nat(2 ** 32 - 1),
      fc.bigInt(0n, 2n ** 64n - 1n),
      fc.uint8Array(),
      (a, b, c, d, e) => {
        const r = new Reader(new Writer(1).u8(a).u16(b).u32(c).u64(d).bytes(e).finish());
        assert.deepEqual([r.u8(), r.u16(), r.u32(), r.u64(), new Uint8Array(r.rest())], [a, b, c, d, e]);
        assert.ok(r.done());
      },
    ),
  );
});

test('a writer knows its length while it grows', () => {
  const w = new Writer(2).zeros(3);
  assert.equal(w.length, 3);
  assert.equal(w.bytes(new Uint8Array(100)).length, 103);
});
