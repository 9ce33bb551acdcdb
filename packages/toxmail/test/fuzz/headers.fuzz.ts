import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { findMailboxes, replaceMailboxes } from '../../src/message/address-list.ts';
import { formatHeader, parseHeader } from '../../src/message/header.ts';
import { type CutMail, HeaderCutter } from '../../src/message/header-cutter.ts';
import { outgoingHeader } from '../../src/message/outgoing.ts';
import { type AddressBook, arrivalHeader, type KnownAddress } from '../../src/transfer/arrival.ts';

const LIMIT = 64 * 1024;
const MUM: KnownAddress = { publicKey: 'A'.repeat(64), name: 'Mum', address: 'mum@tox' };
const OTHER: KnownAddress = { publicKey: 'C'.repeat(64), name: 'Onkel "J" Jörg', address: 'joerg@tox' };
const book: AddressBook = {
  contact: () => MUM,
  lookUp: (address) => (address === 'aaaa@tox' ? MUM : address === 'cccc@tox' ? OTHER : undefined),
};

const part = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom('\r\n', '\n', '\r', '\0', ' ', '\t', ':', ',', ';', '<', '>', '(', ')', '"', '\\', '@'),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      'From',
      'from ',
      'To',
      'Cc',
      'Reply-To',
      'Sender',
      'Return-Path',
      'Received',
      'Message-ID',
      'Bcc',
    ),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      'aaaa@tox',
      '<cccc@tox>',
      'a@b',
      'x',
      '<a@b>',
      'Resent-From',
      'X-Toxmail-Claimed-From',
      'Date',
    ),
  },
  { weight: 1, arbitrary: fc.string({ maxLength: 20 }) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes).toString('latin1')) },
);
const line = fc
  .tuple(
    fc.constantFrom('From', 'To', 'Cc', 'Subject', 'Message-ID', 'Sender', 'X', 'Resent-From'),
    fc.array(part, { maxLength: 8 }),
  )
  .map(([name, parts]) => `${name}: ${parts.join('')}\r\n`);
const mail = fc
  .tuple(
    fc.array(fc.oneof(line, part), { maxLength: 20 }),
    fc.constantFrom('', '\r\n', '\n', '\r\n\r\n'),
    fc.uint8Array({ maxLength: 300 }),
  )
  .map(([parts, end, body]) => Buffer.concat([Buffer.from(parts.join('') + end, 'latin1'), body]));

function cut(pieces: readonly Uint8Array[]): CutMail {
  const cutter = new HeaderCutter(LIMIT);
  for (const [i, piece] of pieces.entries()) {
    const result = cutter.push(piece);
    assert.notEqual(result, 'too-long');
    if (result && result !== 'too-long') {
      return { header: result.header, body: Buffer.concat([result.body, ...pieces.slice(i + 1)]) };
    }
  }
  return cutter.end();
}

/** Names of the fields of a header that ends with its empty line. */
function names(header: Buffer): string[] {
  const text = header.toString('latin1');
  assert.ok(text.endsWith('\r\n\r\n'));
  assert.equal(text.indexOf('\r\n\r\n'), text.length - 4, 'the section ends once');
  return text
    .slice(0, -4)
    .split('\r\n')
    .filter((each) => !/^[ \t]/.test(each))
    .map((each) => each.slice(0, each.indexOf(':')).trim().toLowerCase());
}

test('header and body are told apart at the same place however the bytes come, and no byte of the body is lost', () => {
  fc.assert(
    fc.property(mail, fc.array(fc.nat(400), { maxLength: 6 }), (bytes, cuts) => {
      const at = [0, ...cuts.map((n) => Math.min(n, bytes.length)).sort((a, b) => a - b), bytes.length];
      const pieces = at.slice(1).map((end, i) => bytes.subarray(at[i]!, end));
      const whole = cut([bytes]);
      const inPieces = cut(pieces);
      assert.deepEqual(Buffer.from(inPieces.header), Buffer.from(whole.header));
      assert.deepEqual(Buffer.from(inPieces.body), Buffer.from(whole.body));
      assert.ok(bytes.subarray(bytes.length - whole.body.length).equals(whole.body), 'the body is the end of the mail');
      const between = bytes.length - whole.header.length - whole.body.length;
      assert.ok(between >= 0 && between <= 2);
    }),
  );
});

test('a mail that arrives is from the one whom the session proved, whatever its header says', () => {
  const arrival = { sender: MUM, book, final: true, deliveredTo: 'me@tox', transferId: '0', unixMs: 0 };
  fc.assert(
    fc.property(mail, fc.boolean(), (bytes, nullSender) => {
      const header = arrivalHeader(cut([bytes]).header, { ...arrival, nullSender });
      const found = names(header);
      assert.equal(found.filter((name) => name === 'from').length, 1);
      assert.equal(found.filter((name) => name === 'return-path').length, 1);
      assert.equal(found.filter((name) => name === 'delivered-to').length, 1);
      assert.ok(found.filter((name) => name === 'x-toxmail-claimed-from').length <= 1);
      for (const name of ['sender', 'bcc', 'authentication-results', '']) assert.ok(!found.includes(name), name);
      const text = header.toString('latin1');
      assert.match(text, /^from *: Mum <mum@tox>\r$/im);
      assert.ok(!text.replaceAll('\r\n', '').match(/[\r\n\0]/), 'no lone line ends, no NUL');
      // It stays so when a mail program or a server reads it again.
      assert.deepEqual(
        parseHeader(header.subarray(0, -2)).map((f) => f.name.toLowerCase()),
        found,
      );
    }),
  );
});

test('a mail that leaves has one identity, one Message-ID, and no hidden recipients', () => {
  const context = {
    own: 'aaaa@tox',
    relayed: false,
    canonical: (address: string) => (address === 'a@b' ? 'bbbb@tox' : undefined),
    messageId: () => '<new@tox>',
    date: () => 'today',
  };
  fc.assert(
    fc.property(mail, (bytes) => {
      const { bytes: header, messageId } = outgoingHeader(parseHeader(cut([bytes]).header), context);
      const fields = parseHeader(header.subarray(0, -2));
      const found = fields.map((f) => f.name.toLowerCase());
      assert.ok(found.includes('from') && found.includes('date') && found.includes('message-id'));
      for (const name of ['bcc', 'sender', 'received', 'return-path', 'x-mailer']) assert.ok(!found.includes(name));
      assert.match(messageId, /^<[^<>\s]+>$/);
      for (const f of fields) {
        if (!/^(?:resent-)?from$/i.test(f.name)) continue;
        for (const { address } of findMailboxes(f.value)) assert.equal(address, 'aaaa@tox', f.value);
      }
    }),
  );
});

test('addresses in any text: ranges are in order and inside, and replacing nothing changes nothing', () => {
  fc.assert(
    fc.property(fc.array(part, { maxLength: 40 }), (parts) => {
      const value = parts.join('').replace(/[\r\n]/g, '');
      let last = 0;
      for (const { start, end, addressStart, addressEnd, address } of findMailboxes(value)) {
        assert.ok(last <= start && start <= addressStart && addressStart <= addressEnd && addressEnd <= end);
        assert.ok(end <= value.length && address.includes('@'));
        last = end;
      }
      const same = replaceMailboxes(value, () => undefined);
      assert.equal(same.replace(/\s/g, ''), value.replace(/\s/g, ''));
    }),
  );
});

test('a header that is read and written is the same, but for lines that belong to no field', () => {
  fc.assert(
    fc.property(mail, (bytes) => {
      const fields = parseHeader(cut([bytes]).header);
      const again = formatHeader(fields);
      assert.deepEqual(parseHeader(again.subarray(0, -2)), fields);
    }),
  );
});
