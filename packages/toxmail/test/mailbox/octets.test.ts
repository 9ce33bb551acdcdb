import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { OpenFile } from '../../src/base/files.ts';
import { FileMessageReader } from '../../src/mailbox/message-reader.ts';
import { type PartPlaces, parseParts, places } from '../../src/mailbox/mime/parse-mail.ts';
import type { Section } from '../../src/mailbox/types.ts';
import { WireSize } from '../../src/maildir/line-ends.ts';
import { MailText } from '../../src/pop3/mail-text.ts';

const piece = fc.constantFrom(
  ...[
    '--a\n',
    '--a--\r\n',
    '--b\r\n',
    '--b--\n',
    '\n',
    '\r\n',
    '\r',
    '\n\r',
    '\r\r\n',
    '\0',
    'x',
    '.',
    '..',
    '--',
    '=\n',
  ],
  'Content-Type: multipart/mixed; boundary=a\n',
  'Content-Type: multipart/digest; boundary="b"\r\n',
  'Content-Type: message/rfc822\n',
  'Content-Transfer-Encoding: base64\r\n',
  'Subject: x\n y\r\n',
  '\xff\xfe',
);
const short = fc.array(piece, { maxLength: 60 }).map((all) => all.join(''));
/** Beyond what is read at once. */
const long = fc
  .tuple(
    short,
    fc.constantFrom('line\n', 'line\r\n', 'x', '\r', '\n', '\r\r\n'),
    fc.integer({ min: 32_700, max: 32_800 }),
    short,
  )
  .map(([before, filling, size, after]) => before + filling.repeat(size / filling.length) + after);
const mails = fc
  .oneof({ weight: 4, arbitrary: short }, { weight: 1, arbitrary: long })
  .map((text) => Buffer.from(text, 'latin1'));

test('sizes are those of what is sent, and pieces of a mail, of any part, make up the whole', async () => {
  await fc.assert(
    fc.asyncProperty(mails, fc.integer({ min: 1, max: 30 }), async (bytes, parts) => {
      const wire = Buffer.from(bytes.toString('latin1').replace(/(?<!\r)\n/g, '\r\n'), 'latin1');
      const root = places(parseParts((into, position) => bytes.copy(into, 0, position)).root);
      const reader = new FileMessageReader(fileOf(bytes), root[5], 0, () => root);
      assert.equal(reader.size, wire.length);
      const check = async (section: Section | 'unknown-cte' | undefined, expected?: Buffer): Promise<Buffer> => {
        assert.ok(section && section !== 'unknown-cte');
        const whole = await read(section, 0, section.size);
        assert.equal(whole.length, section.size);
        if (expected) assert.ok(whole.equals(expected));
        const step = Math.max(1, Math.ceil(section.size / parts));
        const some = [];
        for (let at = 0; at < section.size; at += step)
          some.push(await read(section, at, Math.min(at + step, section.size)));
        assert.ok(Buffer.concat(some).equals(whole));
        return whole;
      };
      await check(await reader.section([], 'all'), wire);
      const [header, text] = [await reader.section([], 'header'), await reader.section([], 'text')];
      assert.ok(Buffer.concat([await check(header), await check(text)]).equals(wire));
      const visit = async (at: PartPlaces, path: readonly number[]): Promise<void> => {
        for (const [n, part] of at[8].entries()) {
          const here = [...path, n + 1];
          await check(await reader.section(here, 'all'), wire.subarray(part[4], part[5]));
          await check(await reader.section(here, 'mime'), wire.subarray(part[3], part[4]));
          const binary = await reader.binary(here);
          if (binary !== 'unknown-cte') await check(binary);
          await visit(part[7] === 'message' ? part[8][0]! : part, here);
        }
      };
      if (root[7] === 'multipart') await visit(root, []);

      const finished = bytes.length === 0 || bytes.at(-1) === 0x0a ? wire : Buffer.concat([wire, Buffer.from('\r\n')]);
      const size = new WireSize();
      size.add(bytes);
      assert.equal(size.total, finished.length);
      const pop3 = new MailText();
      const sent = [];
      const step = Math.max(1, Math.ceil(bytes.length / parts));
      for (let at = 0; at < bytes.length; at += step) sent.push(Buffer.from(pop3.push(bytes.subarray(at, at + step))));
      const stuffed = Buffer.concat([...sent, pop3.end()]).toString('latin1');
      assert.equal(stuffed.replace(/(^|\n)\./g, '$1'), finished.toString('latin1'));
    }),
    { numRuns: 200 },
  );
});

async function read(section: Section, from: number, to: number): Promise<Buffer> {
  const pieces = [];
  for await (const each of section.read(from, to)) pieces.push(Buffer.from(each));
  return Buffer.concat(pieces);
}

function fileOf(bytes: Buffer): OpenFile {
  const file: Partial<OpenFile> = {
    read: async (into, position) => bytes.copy(into, 0, position),
    close: async () => {},
  };
  return file as OpenFile;
}
