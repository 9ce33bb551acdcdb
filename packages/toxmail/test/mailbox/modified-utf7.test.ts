import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeModifiedUtf7, encodeModifiedUtf7 } from '../../src/mailbox/modified-utf7.ts';

test('modified UTF-7 as in RFC 3501 §5.1.3, both ways', () => {
  for (const [coded, name] of [
    ['~peter/mail/&U,BTFw-/&ZeVnLIqe-', '~peter/mail/台北/日本語'],
    ['R&-D', 'R&D'],
    ['Entw&APw-rfe', 'Entwürfe'],
    ['&2D3eAA-', '😀'],
    ['plain', 'plain'],
  ] as const) {
    assert.equal(decodeModifiedUtf7(coded), name);
    assert.equal(encodeModifiedUtf7(name), coded);
  }
  for (const bad of ['&', 'a&b', '&U-', '&?-', 'é']) assert.equal(decodeModifiedUtf7(bad), undefined, bad);
});

test('any name survives modified UTF-7', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (name) =>
      assert.equal(decodeModifiedUtf7(encodeModifiedUtf7(name)), name),
    ),
  );
});
