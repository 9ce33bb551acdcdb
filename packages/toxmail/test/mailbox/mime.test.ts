import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseAddresses } from '../../src/mailbox/mime/addresses.ts';
import { decodeWords } from '../../src/mailbox/mime/charset.ts';
import { htmlText } from '../../src/mailbox/mime/html-text.ts';
import { type ParsedContent, parseMail } from '../../src/mailbox/mime/parse-mail.ts';
import { folded } from '../../src/mailbox/mime/search-text.ts';
import { type Part, StructureParser } from '../../src/mailbox/mime/structure.ts';
import { baseSubject, sentDate } from '../../src/mailbox/mime/threading.ts';
import { decodeTransfer } from '../../src/mailbox/mime/transfer-encoding.ts';

function parsed(text: string | Uint8Array): ParsedContent {
  const bytes = Buffer.from(text);
  return parseMail((into, position) => bytes.copy(into, 0, position));
}

function structure(bytes: Buffer, cut = bytes.length): Part {
  const parser = new StructureParser();
  const block = Buffer.alloc(cut); // filled anew each time, as a file is read
  for (let at = 0; at < bytes.length; at += cut) parser.push(block.subarray(0, bytes.copy(block, 0, at, at + cut)));
  return parser.end();
}

const MULTIPART = [
  'From: "Fred (x) Foobar" <foobar@Blurdybloop.example>',
  'Subject: =?utf-8?B?w7xiZXI=?= "things"',
  'Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)',
  'Message-Id: <B27397-0100000@cac.washington.edu>',
  'To: imap@cac.washington.edu, Group: a@b.c, "d e"@f;',
  'MIME-Version: 1.0',
  'Content-Type: multipart/mixed; boundary="outer"',
  '',
  'preamble',
  '--outer',
  'Content-Type: text/plain; charset=us-ascii',
  '',
  'one',
  'two',
  '--outer',
  'Content-Type: message/rfc822',
  '',
  'Subject: inner',
  'Content-Type: multipart/alternative; boundary=inner',
  '',
  '--inner',
  '',
  'plain',
  '--inner',
  'Content-Type: text/html',
  'Content-Transfer-Encoding: quoted-printable',
  "Content-Disposition: attachment; filename*=utf-8''caf%C3%A9.html",
  '',
  '<p>=48ello</p>',
  '--inner--',
  'epilogue',
  '--outer--',
  '',
].join('\r\n');

test('ENVELOPE and BODYSTRUCTURE are as RFC 9051 writes them', () => {
  const { envelope, body, bodyStructure } = parsed(MULTIPART);
  assert.equal(
    envelope,
    '("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "=?utf-8?B?w7xiZXI=?= \\"things\\"" ' +
      '(("Fred (x) Foobar" NIL "foobar" "Blurdybloop.example")) (("Fred (x) Foobar" NIL "foobar" "Blurdybloop.example")) ' +
      '(("Fred (x) Foobar" NIL "foobar" "Blurdybloop.example")) ' +
      '((NIL NIL "imap" "cac.washington.edu")(NIL NIL "Group" NIL)(NIL NIL "a" "b.c")(NIL NIL "d e" "f")(NIL NIL NIL NIL)) ' +
      'NIL NIL NIL "<B27397-0100000@cac.washington.edu>")',
  );
  const inner =
    '(("text" "plain" NIL NIL NIL "7bit" 5 0)("text" "html" NIL NIL NIL "quoted-printable" 14 0) "alternative")';
  assert.ok(
    body.startsWith(
      '(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 8 1)("message" "rfc822" NIL NIL NIL "7bit" ',
    ),
  );
  assert.ok(body.includes(`(NIL "inner" NIL NIL NIL NIL NIL NIL NIL NIL) ${inner} 13)`), body);
  assert.ok(bodyStructure.includes('("attachment" ("filename*" "utf-8\'\'caf%C3%A9.html")) NIL NIL)'), bodyStructure);
});

test('places in a file with bare line feeds are those of the same octets on the wire', () => {
  const crlf = Buffer.from(MULTIPART);
  const lf = Buffer.from(MULTIPART.replaceAll('\r\n', '\n'));
  const wire = (part: Part): unknown => [part.wire, part.lines, part.parts.map(wire)];
  assert.deepEqual(wire(structure(lf)), wire(structure(crlf)));
  const visit = (part: Part): void => {
    assert.deepEqual(part.file, part.wire);
    part.parts.forEach(visit);
  };
  visit(structure(crlf));
  for (const cut of [1, 2, 7, 100]) assert.deepEqual(structure(lf, cut), structure(lf), `in pieces of ${cut}`);
});

/** A digest with a mail whose header ends with its part. */
const UNFINISHED = 'Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n--b\n';

test('whatever comes, the parser ends with places inside the mail, each part within its parent', () => {
  const pieces = fc.constantFrom(
    '--a\n',
    '--a--\n',
    '--b\r\n',
    '\n',
    '\r\n',
    'x',
    '--',
    'Content-Type: multipart/mixed; boundary=a\n',
    'Content-Type: multipart/digest; boundary="b"\r\n',
    'Content-Type: message/rfc822\n',
    'Subject: x\n',
    ' y\n',
    '\0\xff',
  );
  const mails = fc.array(pieces, { maxLength: 60 }).map((all) => Buffer.from(all.join(''), 'latin1'));
  fc.assert(
    fc.property(mails, fc.integer({ min: 1, max: 50 }), (bytes, cut) => {
      const visit = (part: Part, from: number, to: number): void => {
        const { start, body, end } = part.file;
        assert.ok(from <= start && start <= body && body <= end && end <= to);
        assert.ok(part.lines >= 0);
        for (const each of part.parts) visit(each, body, end);
      };
      const root = structure(bytes, cut);
      visit(root, 0, bytes.length);
      assert.equal(root.file.end, bytes.length);
      parsed(bytes);
    }),
    { numRuns: 300, examples: [[Buffer.from(UNFINISHED), 1]] },
  );
});

test('a mail of many levels or parts is cut off, quickly', () => {
  const deep = Array.from({ length: 5_000 }, (_, n) => `Content-Type: multipart/mixed; boundary=b${n}\n\n--b${n}\n`);
  const wide = `Content-Type: multipart/mixed; boundary=b\n\n${'--b\n\nx\n'.repeat(50_000)}`;
  const quotes = `Content-Type: text/html\n\n${'<script><!--<p "'.repeat(60_000)}`;
  const header = `From: ${'(<"a:'.repeat(40_000)}\nReferences: ${'<a@b'.repeat(40_000)}\nSubject: ${'re: [fwd: '.repeat(20_000)}\n\n`;
  const from = performance.now();
  for (const text of [deep.join(''), wide, quotes, header]) {
    const { bodyStructure, preview } = parsed(text);
    assert.ok(bodyStructure.length < 200_000 && preview.length <= 200);
  }
  assert.ok(performance.now() - from < 10_000);
});

test('address fields are understood as people and programs write them', () => {
  const found = (value: string): (string | undefined)[][] =>
    parseAddresses(value).map(({ name, mailbox, host }) => [name, mailbox, host]);
  assert.deepEqual(found('Ann B. <ann@x.y>, bob@x (Bob "B")'), [
    ['Ann B.', 'ann', 'x.y'],
    ['Bob "B"', 'bob', 'x'],
  ]);
  assert.deepEqual(found('<@a,@b:c@d>'), [[undefined, 'c', 'd']]);
  assert.deepEqual(found('undisclosed-recipients:;'), [
    [undefined, 'undisclosed-recipients', undefined],
    [undefined, undefined, undefined],
  ]);
  assert.deepEqual(found('"Doe, J." <j@[IPv6:::1]>'), [['Doe, J.', 'j', '[IPv6:::1]']]);
  assert.deepEqual(found('just a name'), [[undefined, 'just a name', '']]);
  assert.deepEqual(found(', ,'), []);
});

test('encoded words are read in their charsets, also when a character was cut in two', () => {
  assert.equal(decodeWords('=?iso-8859-1?q?caf=E9_au?= =?utf-8?B?bGFpdA==?= x'), 'café aulait x');
  assert.equal(decodeWords('=?utf-8?B?5pel5pw=?= =?utf-8?B?rOiqng==?='), '日本語');
  assert.equal(decodeWords('=?iso-2022-jp?B?GyRCRnxLXDhsGyhC?='), '日本語');
  assert.equal(decodeWords('a =?bad b'), 'a =?bad b');
  assert.equal(decodeWords('caf\xc3\xa9 caf\xe9'), 'cafÃ© café');
  assert.equal(decodeWords('caf\xc3\xa9'), 'café');
});

test('transfer encodings are undone, whatever is wrong with them', () => {
  const decoded = (text: string, encoding: string): string =>
    Buffer.from(decodeTransfer(Buffer.from(text), encoding)).toString();
  assert.equal(decoded('aGVs\r\nbG8=\r\n', 'BASE64'), 'hello');
  assert.equal(decoded('aGVsbG8', 'base64'), 'hello');
  assert.equal(decoded('a=3Db=\r\nc =zz=', 'quoted-printable'), 'a=bc =zz');
  assert.equal(decoded('x=y', 'x-unknown'), 'x=y');
});

test('text of pages is what a person sees', () => {
  assert.equal(
    htmlText('<head><title>no</title></head><p>caf&eacute; <b>f</b>oo<br>bar<!-- <p> --> &lt;x&gt;<script>1</script>')
      .replace(/\s+/g, ' ')
      .trim(),
    'café foo bar <x>',
  );
  assert.equal(htmlText('a <b'), 'a ');
});

test('dates are read as old and careless programs write them', () => {
  assert.deepEqual(sentDate('Fri, 21 Nov 1997 09:55:06 -0600'), { day: 10_186, ms: Date.UTC(1997, 10, 21, 15, 55, 6) });
  assert.equal(sentDate('21 Nov 97 09:55 EST')?.ms, Date.UTC(1997, 10, 21, 14, 55));
  assert.equal(sentDate('Fri, 21-Nov-2003')?.ms, Date.UTC(2003, 10, 21));
  assert.equal(sentDate('yesterday'), undefined);
});

test('base subjects are those of RFC 5256', () => {
  const base = (text: string): string => baseSubject(text).base;
  for (const text of ['Re: Test', 'RE [7]: [list] re: test (fwd)', '[Fwd: Test]', 'Fw: test', ' tést '])
    assert.equal(base(text), 'test', text);
  assert.equal(base('[list]'), '[list]');
  assert.equal(baseSubject('Re: x').reply, true);
  assert.equal(baseSubject('x').reply, false);
});

test('folding makes one of what people take for the same', () => {
  assert.equal(folded('Ärger  STRASSE\n'), 'arger strasse ');
  assert.equal(folded('Straße'), 'strasse');
  assert.equal(folded('ＡＢＣ'), 'abc');
  assert.equal(folded('が'), 'が');
  assert.equal(folded('한국어'), '한국어');
});

test('a mail of many parts with headers of many short lines takes no more memory than one', () => {
  const part = `--b\n${'a:\n'.repeat(20_000)}\nx\n`;
  const mail = Buffer.from(`Content-Type: multipart/mixed; boundary=b\n\n${part.repeat(10)}`);
  const { parts } = structure(mail, 64 * 1024);
  assert.equal(parts.length, 10);
  const fields = parts.reduce((sum, { header }) => sum + header.length, 0);
  assert.ok(fields > 20_000 && fields < 60_000, String(fields));
  assert.ok(
    parts.every(({ file }) => file.end - file.body <= 2),
    'what is beyond is still no content',
  );
});
