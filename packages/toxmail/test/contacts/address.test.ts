import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  addressFailure,
  addressForms,
  canonicalAddress,
  keyAddress,
  parseAddress,
  parseToxAddress,
} from '../../src/contacts/address.ts';
import { ANNA_ID, toxIdOf } from './ids.ts';

const KEY = ANNA_ID.slice(0, 64);

test('every written form of a Tox ID or key means the same, whatever its case', () => {
  for (const form of addressForms(ANNA_ID)) {
    for (const text of [form, form.toUpperCase(), form.replace('@tox', '@Tox.Alt'), `"${form.replace('@', '"@')}`]) {
      const parsed = parseAddress(text);
      assert.ok(parsed && 'publicKey' in parsed.target, text);
      assert.equal(parsed.target.publicKey, KEY);
      assert.equal(parsed.tag, undefined);
    }
  }
});

test('the canonical form fits the 64 octets that SMTP allows, and a tag that would not is left out', () => {
  assert.match(canonicalAddress(ANNA_ID), /^[a-z2-7]{61}@tox$/);
  assert.match(canonicalAddress(ANNA_ID, 'ab'), /^[a-z2-7]{61}\+ab@tox$/);
  assert.equal(canonicalAddress(ANNA_ID, 'abc'), canonicalAddress(ANNA_ID));
  assert.equal(keyAddress(KEY, 'a'), `${KEY.toLowerCase()}@tox`);
});

test('a tag is cut off and keeps its case', () => {
  const parsed = parseAddress(`${ANNA_ID}+Garden+2@tox`);
  assert.deepEqual([parsed?.target.kind, parsed?.tag], ['tox-id', 'Garden+2']);
  assert.deepEqual(parseAddress('Anna+x@tox.alt'), { target: { kind: 'name', name: 'Anna' }, tag: 'x' });
  assert.deepEqual(parseAddress('Anna+x@Example.org')?.target, { kind: 'foreign', address: 'anna+x@example.org' });
});

test('a mistyped Tox ID is told apart from what is no address', () => {
  const last = ANNA_ID.endsWith('0') ? '1' : '0';
  assert.equal(addressFailure(`${ANNA_ID.slice(0, 75)}${last}@tox`), 'checksum');
  assert.equal(addressFailure(`${'F'.repeat(64)}@tox`), 'checksum');
  for (const text of [
    '',
    '@',
    'a',
    '@tox',
    'a@',
    'a b@tox',
    'a\r\n@tox',
    '<a@tox>',
    '+x@tox',
    `${'a'.repeat(300)}@tox`,
  ]) {
    assert.equal(addressFailure(text), 'syntax', JSON.stringify(text));
  }
});

test('people may hand out an ID with or without @tox and tox:', () => {
  for (const text of [ANNA_ID, ` ${ANNA_ID.toLowerCase()}\n`, `tox:${ANNA_ID}`, canonicalAddress(ANNA_ID), KEY]) {
    const parsed = parseToxAddress(text);
    assert.ok(typeof parsed === 'object', text);
    assert.equal(parsed.publicKey, KEY);
  }
  assert.equal(parseToxAddress('anna@tox'), 'syntax');
  assert.equal(parseToxAddress(toxIdOf(1).slice(1)), 'syntax');
});

test('no text makes the parser throw, and what it takes it takes again', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.string().map((s) => `${s}@tox`),
      ),
      (text) => {
        const parsed = parseAddress(text);
        assert.equal(parsed === undefined, addressFailure(text) !== undefined);
        if (parsed?.target.kind === 'foreign') assert.deepEqual(parseAddress(parsed.target.address), parsed);
      },
    ),
  );
});
