import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findMailboxes, replaceMailboxes } from '../../src/message/address-list.ts';
import { HeaderCutter } from '../../src/message/header-cutter.ts';
import { type AddressBook, arrivalHeader, type KnownAddress } from '../../src/transfer/arrival.ts';
import { HEADER_LIMIT } from '../../src/transfer/limits.ts';

const MUM: KnownAddress = { publicKey: 'A'.repeat(64), name: 'Mum', address: 'mum@tox' };
const BOSS: KnownAddress = { publicKey: 'C'.repeat(64), name: 'Boss', address: 'boss@tox' };

let lookUps = 0;
const book: AddressBook = {
  contact: () => MUM,
  lookUp: (address) => {
    lookUps++;
    return address === 'aaaa@tox' ? MUM : address === 'cccc@tox' ? BOSS : undefined;
  },
};

function arrive(header: Uint8Array | string): string {
  const bytes = typeof header === 'string' ? Buffer.from(header, 'latin1') : header;
  const cutter = new HeaderCutter(HEADER_LIMIT);
  const cut = cutter.push(bytes) ?? cutter.end();
  assert.notEqual(cut, 'too-long');
  if (cut === 'too-long') return '';
  const arrival = {
    sender: MUM,
    book,
    final: true,
    deliveredTo: 'me@tox',
    nullSender: false,
    transferId: '0',
    unixMs: 0,
  };
  return arrivalHeader(cut.header, arrival).toString('latin1');
}

/** Names of the fields of a header section, as a strict reader finds them. */
function names(header: string): string[] {
  assert.ok(header.endsWith('\r\n\r\n'));
  assert.equal(header.indexOf('\r\n\r\n'), header.length - 4, 'the section ends once');
  const lines = header.slice(0, -4).split('\r\n');
  for (const line of lines) assert.ok(!/[\r\n\0]/.test(line), JSON.stringify(line));
  return lines.filter((line) => !/^[ \t]/.test(line)).map((line) => line.slice(0, line.indexOf(':')).toLowerCase());
}

const TRICKS = [
  'From: <cccc@tox>\r\n',
  'from : <cccc@tox>\r\n',
  'From\t: <cccc@tox>\r\n',
  'FROM:<cccc@tox>\r\n\t,<aaaa@tox>\r\n',
  'Subject: x\rFrom: <cccc@tox>\r\n',
  'Subject: x\0\r\n\0From: <cccc@tox>\r\n',
  'Subject: x\nFrom: <cccc@tox>\n',
  'Subject: x\r\r\nFrom: <cccc@tox>\r\r\n',
  'Subject: x\r\n \r\n \t\r\nFrom: <cccc@tox>\r\n',
  ' From: <cccc@tox>\r\nSubject: x\r\n',
  'Subject: =?utf-8?q?x=0D=0AFrom:_cccc@tox?=\r\n',
  'From: "Boss <cccc@tox>" <aaaa@tox>\r\n',
  'From: (<cccc@tox>\r\n',
  'From: "<cccc@tox>\r\n',
  'From: <cccc@tox\r\n',
  'From:\r\n',
  'From\r\n',
  ': x\r\n',
  'From: <@cccc,@tox:cccc@tox>\r\n',
  'Group: a;\r\nFrom: G: <cccc@tox>;\r\n',
  'X-Toxmail-Claimed-From: Boss <cccc@tox>\r\n',
  'Return-Path: <cccc@tox>\r\nReceived: from bank\r\n',
  'Message-ID: <a\r\n b@c>\r\nMessage-ID: two\r\n',
  'Resent-From: <cccc@tox>\r\nResent-Sender: <cccc@tox>\r\nSender: <cccc@tox>\r\n',
];

for (const trick of TRICKS) {
  test(`the sender is the one whom the session proved: ${JSON.stringify(trick)}`, () => {
    for (const header of [trick, `${trick}\r\nBody: x`, `A: b\r\n${trick}`, `${trick}A: b\r\n`]) {
      const text = arrive(header);
      const found = names(text);
      assert.equal(found.filter((name) => name.trim() === 'from').length, 1, text);
      assert.match(text, /^from *: *(?:"Mum"|Mum) <mum@tox>\r$/im);
      assert.equal(found.filter((name) => name === 'return-path').length, 1);
      assert.ok(found.filter((name) => name === 'x-toxmail-claimed-from').length <= 1);
      assert.ok(!/^(?:sender|resent-sender):/im.test(text));
      assert.ok(!/^(?:resent-)?from *:[^\r]*boss/im.test(text), text);
    }
  });
}

test('a header with tens of thousands of addresses costs a bounded number of look-ups', () => {
  lookUps = 0;
  const to = 'a@b,'.repeat(60_000);
  const text = arrive(`From: <aaaa@tox>\r\nTo: ${to}\r\nCc: ${'<aaaa@tox>,'.repeat(500)}\r\n`);
  assert.ok(lookUps <= 1_000, String(lookUps));
  assert.equal(text.match(/a@b/g)?.length, 60_000);
});

test('a list of any number of addresses is rewritten in time that grows with its length only', () => {
  let calls = 0;
  const value = '<a@b>,'.repeat(100_000);
  assert.equal(findMailboxes(value).length, 100_000);
  const out = replaceMailboxes(value, () => {
    calls++;
    return '<c@d>';
  });
  assert.equal(calls, 100_000);
  assert.equal(out.replaceAll('\r\n ', ''), '<c@d>,'.repeat(100_000));
  assert.ok(out.split('\r\n').every((line) => line.length <= 79));
});

test('a header section above the limit is refused, in one piece or in many, and never held beyond it', () => {
  for (const size of [1_000, HEADER_LIMIT + 1]) {
    const cutter = new HeaderCutter(HEADER_LIMIT);
    let given = 0;
    let result: unknown;
    while (result === undefined && given < 10 * HEADER_LIMIT) {
      result = cutter.push(Buffer.alloc(size, 'a: b\r\n'));
      given += size;
    }
    assert.equal(result, 'too-long');
    assert.ok(given <= HEADER_LIMIT + size);
  }
});
