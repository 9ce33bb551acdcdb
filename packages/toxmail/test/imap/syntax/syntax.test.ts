import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatDateTime, readDate, readDateTime } from '../../../src/imap/syntax/date-time.ts';
import { Decoder } from '../../../src/imap/syntax/decoder.ts';
import { astring, Encoder, quoted } from '../../../src/imap/syntax/encoder.ts';
import { canonicalName, matchesPattern } from '../../../src/imap/syntax/mailbox-name.ts';
import { formatSet, normalized, spansOfNumbers, spansOfUids } from '../../../src/imap/syntax/sequence-set.ts';

const decoder = (text: string): Decoder => new Decoder(Buffer.from(text));

test('list patterns: * takes all, % one level', () => {
  const names = ['INBOX', 'a', 'a/b', 'a/b/c', 'ab'];
  for (const [pattern, matching] of [
    ['*', names],
    ['%', ['INBOX', 'a', 'ab']],
    ['a*', ['a', 'a/b', 'a/b/c', 'ab']],
    ['a/%', ['a/b']],
    ['%/%', ['a/b']],
    ['*c', ['a/b/c']],
    ['a%c', []],
    ['', []],
  ] as const) {
    assert.deepEqual(
      names.filter((name) => matchesPattern(name, pattern)),
      matching,
      pattern,
    );
  }
});

test('a pattern of many wildcards takes no more than its length allows', () => {
  const started = performance.now();
  assert.equal(matchesPattern('a'.repeat(500), `${'*a'.repeat(490)}b`), false);
  assert.ok(performance.now() - started < 1_000);
});

test('INBOX has one name in any case, as a level too', () => {
  assert.equal(canonicalName('inBox'), 'INBOX');
  assert.equal(canonicalName('inbox/x'), 'INBOX/x');
  assert.equal(canonicalName('Inboxes'), 'Inboxes');
});

test('date-time is read with its zone, and written so that it reads the same', () => {
  assert.equal(readDateTime(decoder('"17-Jul-1996 02:44:25 -0700"')), Date.UTC(1996, 6, 17, 9, 44, 25));
  assert.equal(readDateTime(decoder('" 1-jan-2026 00:00:00 +0530"')), Date.UTC(2025, 11, 31, 18, 30));
  assert.equal(formatDateTime(Date.UTC(1996, 6, 7, 9, 44, 25)), '" 7-Jul-1996 09:44:25 +0000"');
  for (const bad of [
    '"31-Feb-2026 00:00:00 +0000"',
    '"1-Jan-2026 24:00:00 +0000"',
    '"x"',
    '"1-Foo-2026 00:00:00 +0000"',
  ]) {
    const d = decoder(bad);
    readDateTime(d);
    assert.ok(d.failure, bad);
  }
  assert.equal(readDate(decoder('1-Feb-1970')), 31);
  assert.equal(readDate(decoder('"01-Feb-1970"')), 31);
});

test('sequence sets: ranges in any order, star, overlaps', () => {
  const set = (text: string) => decoder(text).messageSet() as [number, number][];
  assert.deepEqual(normalized(set('5:3,4,7,*'), 9), [
    [3, 5],
    [7, 7],
    [9, 9],
  ]);
  assert.deepEqual(spansOfNumbers(set('2:*'), 4), [{ from: 1, to: 4 }]);
  assert.equal(spansOfNumbers(set('2:5'), 4), undefined);
  assert.equal(spansOfNumbers(set('1'), 0), undefined);
  const uids = Uint32Array.of(3, 5, 9, 20);
  assert.deepEqual(spansOfUids(set('4:9'), uids), [{ from: 1, to: 3 }]);
  assert.deepEqual(spansOfUids(set('1000:*'), uids), [{ from: 3, to: 4 }]);
  assert.deepEqual(spansOfUids(set('6:8,10:12'), uids), []);
  assert.deepEqual(spansOfUids(set('1:*'), new Uint32Array(0)), []);
  assert.equal(decoder('$').messageSet(), 'saved');
  for (const bad of ['0', '1,', '1:', ':1', 'a', '4294967296', '']) {
    const d = decoder(bad);
    d.messageSet();
    d.end();
    assert.ok(d.failure, bad);
  }
});

test('a set is written as short as it can be, and keeps its order', () => {
  assert.equal(formatSet([1, 2, 3, 5, 7, 8]), '1:3,5,7:8');
  assert.equal(formatSet([5, 3, 4, 1]), '5,3:4,1');
  assert.equal(formatSet([]), '');
});

test('what is written as a string is read back the same', () => {
  const text = fc.string({ unit: 'binary' }).map((each) => each.replaceAll('\0', ''));
  fc.assert(
    fc.property(text, fc.boolean(), (each, utf8) => {
      assert.equal(decoder(quoted(each, utf8)).string(), Buffer.from(each).toString());
      assert.equal(decoder(astring(each, utf8)).astring(), Buffer.from(each).toString());
    }),
  );
});

test('texts and bytes come out in the order they went in', () => {
  const out = new Encoder();
  assert.equal(out.empty, true);
  out.text('a');
  out.bytes(Buffer.from('b'));
  out.line('ü');
  assert.equal(out.take().toString(), 'abü\r\n');
  assert.equal(out.take().length, 0);
});
