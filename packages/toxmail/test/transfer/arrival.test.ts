import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AddressBook, arrivalHeader, displayAddress, type KnownAddress } from '../../src/transfer/arrival.ts';

const MUM: KnownAddress = { publicKey: 'A'.repeat(64), name: 'Mum', address: 'mum@tox' };
const ME: KnownAddress = { publicKey: 'B'.repeat(64), name: 'me', address: 'me@tox' };
const UNCLE: KnownAddress = { publicKey: 'C'.repeat(64), name: 'Onkel Jörg', address: 'joerg@tox' };

const book: AddressBook = {
  contact: () => MUM,
  lookUp: (address) => {
    const all: Record<string, KnownAddress> = { 'aaaa@tox': MUM, 'bbbb@tox': ME, 'cccc@tox': UNCLE };
    return all[address.toLowerCase()];
  },
};

function header(section: string, more: { nullSender?: boolean } = {}): string {
  const arrival = {
    sender: MUM,
    book,
    final: true,
    deliveredTo: 'me+x@tox',
    nullSender: false,
    transferId: '0'.repeat(32),
    unixMs: 0,
    ...more,
  };
  return arrivalHeader(Buffer.from(section, 'latin1'), arrival).toString('latin1');
}

const TRACE = `Return-Path: <mum@tox>\r
Delivered-To: me+x@tox\r
Received: from tox (key ${'A'.repeat(64)})\r
 by tox with Tox id ${'0'.repeat(32)};\r
 Thu, 1 Jan 1970 00:00:00 +0000\r
`;

test('known people appear under the recipient names, everything else stays as written', () => {
  assert.equal(
    header(
      'From: "My dear son\'s mother" <aaaa@tox>\r\nTo: <bbbb@tox>,\r\n "J" <CCCC@tox>\r\nCc: x@example.org\r\nsubject:  a\r\n b\r\n',
    ),
    `${TRACE}From: Mum <mum@tox>\r\nTo: me <me@tox>,\r\n =?UTF-8?B?T25rZWwgSsO2cmc=?= <joerg@tox>\r\nCc: x@example.org\r\nsubject:  a\r\n b\r\n\r\n`,
  );
});

for (const [what, from] of Object.entries({
  'another contact': 'Uncle <cccc@tox>',
  'the recipient': '<bbbb@tox>',
  'a foreign address': 'The Boss <boss@example.org>',
  'oneself and another': 'Mum <aaaa@tox>, Boss <boss@example.org>',
  'nobody at all': 'Mum',
})) {
  test(`a mail that claims to be from ${what} is shown as from the contact that sent it`, () => {
    const text = header(`From: ${from}\r\nSender: <cccc@tox>\r\nX: y\r\n`);
    assert.equal(text, `${TRACE}From: Mum <mum@tox>\r\nX: y\r\nX-Toxmail-Claimed-From: ${from}\r\n\r\n`);
  });
}

test('a second From, or one hidden behind a lone CR or in odd writing, is not shown', () => {
  assert.equal(
    header('fRoM : <aaaa@tox>\r\nFrom: <boss@example.org>\r\nSubject: x\rFrom: <cccc@tox>\r\n'),
    `${TRACE}fRoM: Mum <mum@tox>\r\nSubject: x From: <cccc@tox>\r\nX-Toxmail-Claimed-From: <boss@example.org>\r\n\r\n`,
  );
});

test('a mail without From gets one, and what only we may say is dropped', () => {
  assert.equal(
    header(
      'Return-Path: <x@y>\r\nDelivered-To: z@y\r\nAuthentication-Results: ok\r\nX-Toxmail-Claimed-From: q\r\nBcc: <bbbb@tox>\r\nA: b\r\n',
    ),
    `${TRACE}A: b\r\nFrom: Mum <mum@tox>\r\n\r\n`,
  );
});

test('a notice keeps its empty return path', () => {
  assert.ok(header('From: <aaaa@tox>\r\n', { nullSender: true }).startsWith('Return-Path: <>\r\n'));
});

test('names are quoted or encoded so that every mail program can read them', () => {
  const shown = (name: string): string => displayAddress({ name, address: 'a@tox' });
  assert.equal(shown('Mum 2'), 'Mum 2 <a@tox>');
  assert.equal(shown('J. "R" D\\oe'), '"J. \\"R\\" D\\\\oe" <a@tox>');
  const long = shown('ж'.repeat(64));
  assert.ok(
    long
      .replace(' <a@tox>', '')
      .split(' ')
      .every((word) => word.length <= 75 && /^=\?UTF-8\?B\?[A-Za-z0-9+/=]+\?=$/.test(word)),
  );
});
