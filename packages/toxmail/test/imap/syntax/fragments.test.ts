import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Fragment, type FragmentRules, nextFragment } from '../../../src/imap/syntax/fragments.ts';
import { Input } from '../../../src/imap/syntax/input.ts';

const rules = (goneOn: string[] = []): FragmentRules => ({
  max: 200,
  discardMax: 1_000,
  streams: (head) => head.toString('latin1').startsWith('A APPEND'),
  goOn: async () => void goneOn.push('+'),
});

async function cut(text: string, step = text.length || 1): Promise<{ fragments: Fragment[]; rest: number }> {
  const input = new Input();
  const bytes = Buffer.from(text, 'latin1');
  for (let at = 0; at < bytes.length; at += step) input.receive(bytes.subarray(at, at + step));
  input.end();
  const fragments: Fragment[] = [];
  for (;;) {
    const next = await nextFragment(input, rules());
    if (next.kind === 'ended') return { fragments, rest: input.size };
    fragments.push(next);
    if (next.kind === 'too-big' && !next.boundaryKept) return { fragments, rest: input.size };
    if (next.kind === 'stream') await input.exactly(next.literal.size);
  }
}

test('commands are cut at line ends and literals stay inside, however the bytes come', async () => {
  const text = 'a NOOP\r\nb LOGIN {4}\r\nj\r\nn {3+}\r\na b\r\nc NOOP\nd X "{3}"\r\n';
  for (let step = 1; step < text.length; step++) {
    const { fragments } = await cut(text, step);
    assert.deepEqual(
      fragments.map((each) => each.kind === 'command' && each.bytes.toString('latin1')),
      ['a NOOP', 'b LOGIN {4}\r\nj\r\nn {3+}\r\na b', 'c NOOP', 'd X "{3}"'],
    );
  }
});

test('only a client that waits is told to go on', async () => {
  const goneOn: string[] = [];
  const input = new Input();
  input.receive(Buffer.from('a X {1}\r\n1 {1+}\r\n2\r\n'));
  await nextFragment(input, rules(goneOn));
  assert.deepEqual(goneOn, ['+']);
});

test('a literal that is too big never runs as a command', async () => {
  const { fragments } = await cut(
    `a X {300+}\r\n${'z NOOP\r\n'.repeat(37)}1234 {2+}\r\nhe\r\nb NOOP\r\nc X {900}\r\nd NOOP\r\n`,
  );
  assert.deepEqual(
    fragments.map((each) => [each.kind, each.kind === 'too-big' ? each.head.toString() : '']),
    [
      ['too-big', 'a X {300+}'],
      ['command', ''],
      ['too-big', 'c X {900}'],
      ['command', ''],
    ],
  );
});

test('what cannot be eaten in measure loses the boundary, and says so', async () => {
  for (const text of ['a X {2000+}\r\n', `a ${'x'.repeat(300)}\r\nb NOOP\r\n`, `a ${'x'.repeat(300)}`]) {
    const { fragments } = await cut(text);
    assert.equal(fragments.length, 1);
    assert.ok(fragments[0]!.kind === 'too-big' && !fragments[0]!.boundaryKept);
  }
});

test('the text of an APPEND is handed over as it comes', async () => {
  const { fragments } = await cut('A APPEND x {5}\r\nhello\r\nb NOOP\r\n');
  assert.deepEqual(fragments[0], {
    kind: 'stream',
    bytes: Buffer.from('A APPEND x {5}'),
    literal: { size: 5, waits: true },
  });
});

test('any bytes in any pieces are cut the same way', async () => {
  const piece = fc.constantFrom('a X', ' {3}', '{2+}', '\r\n', '\n', 'abc', '{', '}', '{0}', '{9999+}', ' ', '\0');
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 30 }), fc.integer({ min: 1, max: 7 }), async (pieces, step) => {
      assert.deepEqual(await cut(pieces.join(''), step), await cut(pieces.join('')));
    }),
    { numRuns: 300 },
  );
});
