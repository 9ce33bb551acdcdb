import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { findMailboxes, replaceMailboxes } from '../../src/message/address-list.ts';
import { formatDate } from '../../src/message/date-time.ts';
import { type DsnFacts, deliveryReport } from '../../src/message/dsn.ts';
import { formatHeader, parseHeader } from '../../src/message/header.ts';
import { HeaderCutter } from '../../src/message/header-cutter.ts';
import { outgoingHeader } from '../../src/message/outgoing.ts';

/** Cuts `mail` fed in pieces of `size` bytes. */
function cut(mail: string, size = mail.length || 1, limit = 1_000) {
  const bytes = Buffer.from(mail, 'latin1');
  const cutter = new HeaderCutter(limit);
  for (let at = 0; at < bytes.length; at += size) {
    const found = cutter.push(bytes.subarray(at, at + size));
    if (found === 'too-long') return found;
    if (found) {
      const rest = bytes.subarray(Math.min(bytes.length, at + size));
      return [Buffer.from(found.header).toString('latin1'), Buffer.concat([found.body, rest]).toString('latin1')];
    }
  }
  const { header, body } = cutter.end();
  return [Buffer.from(header).toString('latin1'), Buffer.from(body).toString('latin1')];
}

test('the header ends at the first empty line, or before a line that cannot belong to it', () => {
  const cases: [string, string, string][] = [
    ['A: 1\r\n b\r\n\r\nbody\r\n\r\n', 'A: 1\r\n b\r\n', 'body\r\n\r\n'],
    ['A: 1\n\nbody', 'A: 1\n', 'body'],
    ['\r\nbody', '', 'body'],
    ['A: 1\r\nno field\r\nB: 2\r\n\r\n', 'A: 1\r\n', 'no field\r\nB: 2\r\n\r\n'],
    ['just text\r\n', '', 'just text\r\n'],
    [' starts with a blank: x\r\n\r\n', '', ' starts with a blank: x\r\n\r\n'],
    ['A: 1\r\nB: 2', 'A: 1\r\nB: 2', ''],
    ['A: 1\r\ntext', 'A: 1\r\n', 'text'],
    ['', '', ''],
  ];
  for (const [mail, header, body] of cases) {
    for (let size = 1; size <= mail.length + 1; size++) assert.deepEqual(cut(mail, size), [header, body], mail);
  }
});

test('a header without end is given up at its limit, wherever the chunks end', () => {
  for (const size of [1, 7, 5_000]) assert.equal(cut(`A: ${'x'.repeat(2_000)}\r\n\r\n`, size), 'too-long');
  assert.notEqual(cut(`A: 1\r\n\r\n${'x'.repeat(5_000)}`), 'too-long');
});

test('a header comes out as it went in, byte for byte', () => {
  const text = 'Subject: Gr\xc3\xbc\xdfe\r\n\tfolded \r\nX:\r\nY:   spaces \r\n\r\n';
  assert.equal(formatHeader(parseHeader(Buffer.from(text, 'latin1'))).toString('latin1'), text);
  const mended = formatHeader(parseHeader(Buffer.from('From mum Thu Jan 1 12:00\r\n lost\r\nA : 1\n b\n'))).toString();
  assert.equal(mended, 'A: 1\r\n b\r\n\r\n');
});

test('addresses are found among names, comments, quotes, groups and routes', () => {
  const addresses = (value: string): string[] => findMailboxes(value).map((m) => m.address);
  const cases: [string, string[]][] = [
    [' a@b', ['a@b']],
    ['A B <a@b>, c@d', ['a@b', 'c@d']],
    ['"x, <no@no>; \\" y" <a@b>', ['a@b']],
    ['a@b (c@d, (e@f) \\) <g@h>), i@j', ['a@b', 'i@j']],
    ['Friends: a@b, C <c@d>;, e@f', ['a@b', 'c@d', 'e@f']],
    ['<@x,@y:a@b>', ['a@b']],
    ['"a b"@c', ['"a b"@c']],
    ['a\r\n @ b', ['a@b']],
    ['undisclosed-recipients:;', []],
    ['<>, name only, <', []],
    ['=?utf-8?Q?a=40b?= <c@d>', ['c@d']],
  ];
  for (const [value, expected] of cases) {
    assert.deepEqual(addresses(value), expected, value);
  }
});

test('no address list makes the finder throw, and without replacements it stays as it was', () => {
  const signs = fc.constantFrom('"', '(', ')', '<', '>', ',', ';', ':', '\\', '@', 'a', ' ', '\r\n ');
  fc.assert(
    fc.property(fc.string({ unit: signs }), (value) => {
      for (const m of findMailboxes(value)) {
        assert.ok(m.start <= m.addressStart && m.addressStart <= m.addressEnd && m.addressEnd <= m.end);
      }
      const same = replaceMailboxes(value, () => undefined);
      assert.equal(same.replace(/\s+/g, ''), value.replace(/\s+/g, ''));
    }),
    { numRuns: 2_000 },
  );
});

test('long lists are folded between addresses, so that no line grows without end', () => {
  const value = ` ${Array.from({ length: 50 }, (_, i) => `u${i}@x`).join(', ')}`;
  const replaced = replaceMailboxes(value, (m) => `${'k'.repeat(61)}${m.address}`);
  for (const line of replaced.split('\r\n')) assert.ok(line.length < 160, String(line.length));
  assert.equal(findMailboxes(replaced).length, 50);
});

const OWN = 'own@tox';
function outgoing(header: string, relayed = false) {
  const { bytes, messageId } = outgoingHeader(parseHeader(Buffer.from(header)), {
    own: OWN,
    relayed,
    canonical: (address) =>
      (({ 'mum@tox': OWN, 'anna@tox': 'ANNA@tox', 'a@b.c': 'ANNA@tox' }) as Record<string, string>)[address],
    messageId: () => '<new@tox>',
    date: () => 'now',
  });
  return { text: bytes.toString('utf8'), messageId };
}

test('From is the sender’s own address, whatever identity the mail program wrote', () => {
  assert.match(outgoing('From: Mum <mum@gmail.example>\r\n').text, /^From: Mum <own@tox>\r$/m);
  assert.match(outgoing('From: mum@tox (Mum)\r\n').text, /^From: own@tox \(Mum\)\r$/m);
  assert.match(outgoing('From: "mum@gmail.example" <mum@gmail.example>\r\n').text, /^From: <own@tox>\r$/m);
  assert.match(outgoing('From: anna@tox\r\n').text, /^From: own@tox\r$/m);
  assert.match(outgoing('To: x@y\r\n').text, /^From: <own@tox>\r$/m);
});

test('a mail’s own date and Message-ID stay, missing or broken ones are made', () => {
  const given = outgoing('Date: then\r\nMessage-ID: <a@b>\r\nFrom: mum@tox\r\n');
  assert.equal(given.text, 'Date: then\r\nMessage-ID: <a@b>\r\nFrom: own@tox\r\n\r\n');
  assert.equal(given.messageId, '<a@b>');
  const made = outgoing('Message-ID: none\r\n');
  assert.equal(made.text.match(/^Message-ID:/gm)!.length, 1);
  assert.match(made.text, /^Date: now\r$/m);
  assert.equal(made.messageId, '<new@tox>');
});

test('contacts travel by canonical address in every field that a reply may use; strangers stay', () => {
  const { text } = outgoing(
    'Cc: Anna <a@b.c>, Z <z@z.z>\r\nReply-To: mum@tox\r\nResent-To: anna@tox\r\nSubject: a@b.c\r\n',
  );
  assert.match(text, /^Cc: Anna <ANNA@tox>, Z <z@z\.z>\r$/m);
  assert.match(text, /^Reply-To: own@tox\r$/m);
  assert.match(text, /^Resent-To: ANNA@tox\r$/m);
  assert.match(text, /^Subject: a@b\.c\r$/m);
});

test('what betrays machine, program or hidden recipients is gone, folded lines included', () => {
  const dropped = [
    'Received',
    'bcc',
    'User-Agent',
    'X-MAILER',
    'X-Originating-IP',
    'Return-Path',
    'Sender',
    'X-Mozilla-Keys',
  ];
  const { text } = outgoing(`${dropped.map((name) => `${name}: secret\r\n\tsecret\r\n`).join('')}X-Keep: me\r\n`);
  assert.doesNotMatch(text, /secret/);
  assert.match(text, /^X-Keep: me\r$/m);
});

test('dates are those of RFC 5322, in UTC', () => {
  assert.equal(formatDate(Date.UTC(2026, 1, 3, 4, 5, 6)), 'Tue, 3 Feb 2026 04:05:06 +0000');
});

const FACTS: DsnFacts = {
  action: 'failed',
  to: 'mum@tox',
  recipient: 'anna@tox',
  status: { reply: 550, enhanced: '5.1.1', text: 'no' },
  messageId: '<m@x>',
  envelopeId: undefined,
  originalRecipient: undefined,
  queuedAt: 0,
  now: 1_000,
  expiresAt: 86_400_000,
};

/** The notice as text and its parts, the last of which is what follows the end. */
function notice(facts: Partial<DsnFacts>, returned?: string): { text: string; parts: string[]; messageId: string } {
  const given = returned === undefined ? undefined : ({ what: 'header', eightBit: false } as const);
  const { before, after, messageId } = deliveryReport({ ...FACTS, ...facts }, given);
  const text = before.toString() + (returned ?? '') + after.toString();
  const parts = text.split(`--${/boundary="(.+)"/.exec(text)![1]!}`).slice(1);
  return { text, parts, messageId };
}

test('a failure notice is a multipart/report with the reason, the recipient and the header', () => {
  const header = 'Subject: hi\r\nMessage-ID: <m@x>\r\n';
  const { text, parts, messageId } = notice(
    { recipient: 'anna@tox\r\nX-Bad: 1', status: { reply: 550, enhanced: '5.1.1', text: 'no\r\nX-Bad: 2' } },
    header,
  );
  assert.doesNotMatch(text, /^X-Bad/m);
  assert.doesNotMatch(text, /(?<!\r)\n/);
  assert.match(text, /^Content-Type: multipart\/report; report-type=delivery-status;\r\n\tboundary="(.+)"\r$/m);
  assert.equal(parts.length, 4);
  assert.match(parts[1]!, /^Content-Type: message\/delivery-status\r$/m);
  assert.match(parts[1]!, /\r\n\r\nReporting-MTA: .*\r\n(.*\r\n)*\r\nFinal-Recipient: rfc822; anna@tox/);
  assert.match(parts[1]!, /^Action: failed\r\nStatus: 5\.1\.1\r$/m);
  assert.ok(
    parts[2]!.endsWith(`\r\nContent-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: 7bit\r\n\r\n${header}\r\n`),
  );
  assert.equal(parts[3], '--\r\n');
  assert.match(text, new RegExp(`^Message-ID: ${messageId}\r$`, 'm'));
});

test('a notice repeats what the sender marked the mail with, decoded, and says until when it is tried', () => {
  const status = { reply: 450, enhanced: '4.4.1', text: 'offline' } as const;
  const { text, parts } = notice({
    ...{ action: 'delayed', status },
    envelopeId: 'QQ+2B314+0D+0AX-Bad:',
    originalRecipient: 'rfc822;anna+2Bx@example.org',
  });
  assert.equal(parts.length, 3);
  assert.match(parts[1]!, /\r\n\r\nOriginal-Envelope-Id: QQ\+314 X-Bad:\r\nReporting-MTA: /);
  assert.match(parts[1]!, /\r\n\r\nOriginal-Recipient: rfc822; anna\+x@example\.org\r\nFinal-Recipient: /);
  assert.match(parts[1]!, /^Action: delayed\r\nStatus: 4\.4\.1\r$/m);
  assert.match(parts[1]!, /^Will-Retry-Until: Fri, 2 Jan 1970 00:00:00 \+0000\r$/m);
  assert.match(text, /^Subject: Not delivered yet: /m);
});

test('a notice about an address beyond ASCII uses the forms of RFC 6533', () => {
  const { text } = notice({ recipient: 'änne@tox' });
  assert.match(text, /^Final-Recipient: utf-8; änne@tox\r$/m);
  assert.match(text, /message\/global-delivery-status/);
  assert.match(text, /^Subject: [\x20-\x7e]+\r$/m);
});

test('a reason beyond ASCII stands in a part that may hold it', () => {
  const { parts } = notice({ status: { reply: 550, enhanced: '5.1.1', text: 'Empfänger unbekannt' } });
  assert.match(parts[1]!, /^Content-Type: message\/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r$/m);
  assert.match(parts[1]!, /^Final-Recipient: rfc822; anna@tox\r$/m);
  assert.match(parts[1]!, /^Diagnostic-Code: smtp; 550 5\.1\.1 Empfänger unbekannt\r$/m);
});

test('mail of another mail server keeps the number of its hops, and nothing else of them', () => {
  const header = 'Received: from a (10.1.2.3)\r\n by b; x\r\nReceived: by c\r\nSubject: s\r\n';
  assert.equal(outgoing(header, true).text.match(/^Received: by tox; now\r$/gm)?.length, 2);
  assert.doesNotMatch(outgoing(header, true).text, /10\.1\.2\.3/);
  assert.doesNotMatch(outgoing(header).text, /Received/);
});
