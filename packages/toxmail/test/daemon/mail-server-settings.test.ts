import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parse } from 'smol-toml';
import { UserError } from '../../src/base/user-error.ts';
import { mailServerSettings } from '../../src/daemon/mail-server-settings.ts';

const settings = (toml: string) => mailServerSettings(parse(toml));

test('without settings nobody sends without log-in, and all mail stays here', () => {
  const { relayFrom, senders, deliver } = settings('');
  assert.deepEqual([relayFrom, senders.size, deliver('mum')], [undefined, 0, undefined]);
});

test('mail of all accounts goes to one server, but for those that say otherwise', () => {
  const { deliver, senders, named } = settings(`
    deliver = "lmtp+unix:/run/lmtp"
    deliver-to = "@home.example"
    [accounts.Anna]
    deliver-to = "Anna.Smith@home.example"
    [accounts.office]
    deliver = "smtp://mx.example:2525"
    [accounts.dad]
    deliver = "maildir"
    [senders]
    "@Shop.example" = "Office"
    "dad@home.example" = "dad"`);
  const server = { protocol: 'lmtp', path: '/run/lmtp' };
  assert.deepEqual(deliver('mum'), { server, recipient: 'mum@home.example' });
  assert.deepEqual(deliver('anna'), { server, recipient: 'Anna.Smith@home.example' });
  assert.deepEqual(deliver('office'), {
    server: { protocol: 'smtp', host: 'mx.example', port: 2525 },
    recipient: 'office@home.example',
  });
  assert.equal(deliver('dad'), undefined);
  const expected = { 'anna.smith@home.example': 'anna', '@shop.example': 'office', 'dad@home.example': 'dad' };
  assert.deepEqual(Object.fromEntries(senders), expected);
  assert.deepEqual([...named], ['anna', 'office', 'dad']);
});

test('one account alone may be handed over', () => {
  const { deliver } = settings('[accounts.anna]\ndeliver = "lmtp://[::1]:24"\ndeliver-to = "a@b"');
  assert.deepEqual(deliver('anna')?.server, { protocol: 'lmtp', host: '::1', port: 24 });
  assert.equal(deliver('mum'), undefined);
});

test('clients are let in by address and network, IPv4 and IPv6', () => {
  const { relayFrom } = settings('relay-from = ["127.0.0.1", "10.1.0.0/16", "fd00::/8"]');
  for (const [address, family, allowed] of [
    ['127.0.0.1', 'ipv4', true],
    ['127.0.0.2', 'ipv4', false],
    ['10.1.255.255', 'ipv4', true],
    ['10.2.0.0', 'ipv4', false],
    ['fd12::1', 'ipv6', true],
    ['fe80::1', 'ipv6', false],
  ] as const)
    assert.equal(relayFrom!.check(address, family), allowed, address);
});

test('a setting that cannot be meant is refused by its name', () => {
  for (const [toml, named] of [
    ['relay-from = "localhost"', /^relay-from .*"localhost"$/],
    ['relay-from = "10.0.0.0/33"', /^relay-from /],
    ['relay-from = "10.0.0.0/"', /^relay-from /],
    ['deliver = "lmtp://host"', /^deliver must be lmtp:/],
    ['deliver = "smtp://mx"', /^deliver .*deliver-to/],
    ['deliver-to = "home.example"', /^deliver-to .*@your\.domain/],
    ['[accounts.anna]\ndeliver = "smtp://mx"', /^accounts\.anna\.deliver .*deliver-to/],
    ['[accounts.anna]\ndeliver-to = "anna"', /^accounts\.anna\.deliver-to /],
    ['[accounts.anna]\nquota = 1', /^accounts\.anna: unknown setting "quota"/],
    ['accounts = 1', /^accounts must be a table/],
    ['[senders]\n"anna" = "anna"', /^senders /],
    ['[senders]\n"a@b" = 1', /^senders /],
  ] as const)
    assert.throws(
      () => settings(toml),
      (error: Error) => error instanceof UserError && named.test(error.message),
      toml,
    );
});

test('whatever stands in the file, it is read or refused in words', () => {
  const names = fc.constantFrom('relay-from', 'deliver', 'deliver-to', 'senders', 'accounts');
  fc.assert(
    fc.property(fc.dictionary(names, fc.anything({ maxDepth: 3 })), (given) => {
      try {
        mailServerSettings(given).deliver('anna');
      } catch (error) {
        assert.ok(error instanceof UserError, String(error));
        assert.doesNotMatch(error.message, /\n/);
      }
    }),
  );
});
