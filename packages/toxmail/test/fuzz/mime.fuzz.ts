import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseAddresses } from '../../src/mailbox/mime/addresses.ts';
import { decodeWords } from '../../src/mailbox/mime/charset.ts';
import { htmlText } from '../../src/mailbox/mime/html-text.ts';
import { parseMail } from '../../src/mailbox/mime/parse-mail.ts';
import { type Part, StructureParser } from '../../src/mailbox/mime/structure.ts';
import { decodeTransfer, transferDecoder } from '../../src/mailbox/mime/transfer-encoding.ts';

/** Pieces of mails, and rubbish. */
const piece = fc.oneof(
  fc.constantFrom(
    '--a',
    '--a--',
    '--b',
    '\n',
    '\r\n',
    '\r',
    '\0',
    ' ',
    '\t',
    ': ',
    ';',
    '"',
    '\\',
    '(',
    ')',
    '<',
    '>',
    '@',
    ',',
    '[',
    ']',
    'Content-Type: multipart/mixed; boundary=a\n',
    'Content-Type: multipart/alternative; boundary="b"\r\n',
    'Content-Type: message/rfc822\n',
    'Content-Type: text/html; charset=utf-16\n',
    'Content-Transfer-Encoding: base64\n',
    'Content-Transfer-Encoding: quoted-printable\n',
    "Content-Disposition: attachment; filename*0*=utf-8''%e2%; filename*1=x\n",
    'From: ',
    'Subject: ',
    'Re: [x] ',
    '=?utf-8?B?4pyT?=',
    '=?x?q?=zz?=',
    'References: <a@b> <',
    'Date: 1 Jan 99 ',
    '<script>',
    '&amp',
    '<!--',
  ),
  fc.string({ unit: 'binary', maxLength: 8 }),
);
const text = fc.array(piece, { maxLength: 80 }).map((pieces) => pieces.join(''));
const mail = text.map((each) => Buffer.from(each, 'latin1'));

test('any bytes are a mail: parsed without an error, the same in any pieces', () => {
  fc.assert(
    fc.property(mail, fc.integer({ min: 1, max: 40 }), (bytes, cut) => {
      const content = parseMail((into, position) => bytes.copy(into, 0, position));
      for (const wire of [content.envelope, content.body, content.bodyStructure]) assertBalanced(wire);
      const structure = (step: number): Part => {
        const parser = new StructureParser();
        for (let at = 0; at < bytes.length; at += step) parser.push(bytes.subarray(at, at + step));
        return parser.end();
      };
      assert.deepEqual(structure(cut), structure(Math.max(1, bytes.length)));
    }),
  );
});

test('decoders and readers of fields take anything', () => {
  fc.assert(
    fc.property(
      text,
      mail,
      fc.constantFrom('base64', 'quoted-printable', '8bit'),
      fc.integer({ min: 1, max: 9 }),
      (each, bytes, encoding, cut) => {
        parseAddresses(each);
        decodeWords(each);
        htmlText(each);
        const decoder = transferDecoder(encoding)!;
        const pieces = [];
        for (let at = 0; at < bytes.length; at += cut) pieces.push(decoder.push(bytes.subarray(at, at + cut)));
        assert.deepEqual(Buffer.concat([...pieces, decoder.end()]), Buffer.from(decodeTransfer(bytes, encoding)));
      },
    ),
  );
});

/** Parentheses outside of strings match, and literals have the length they announce. */
function assertBalanced(wire: string): void {
  const bytes = Buffer.from(wire);
  let depth = 0;
  for (let i = 0; i < bytes.length; i++) {
    const sign = String.fromCharCode(bytes[i]!);
    if (sign === '(') depth++;
    else if (sign === ')') depth--;
    else if (sign === '"') for (i++; bytes[i] !== 0x22; i++) if (bytes[i] === 0x5c) i++;
    if (sign === '{') {
      const head = /^\{(\d+)\}\r\n/.exec(bytes.toString('latin1', i, i + 20))!;
      i += head[0].length + Number(head[1]) - 1;
    }
    assert.ok(depth >= 0 && i < bytes.length, wire);
  }
  assert.equal(depth, 0, wire);
}
