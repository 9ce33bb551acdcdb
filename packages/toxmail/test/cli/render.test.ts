import assert from 'node:assert/strict';
import { test } from 'node:test';
import { render } from '../../src/cli/render.ts';

const mail = (state: string, to: string) => ({
  id: '0123456789abcdef',
  account: 'ann',
  to,
  state,
  size: 10,
  sent: state === 'delivered' ? 10 : 0,
  attempts: 1,
  reason: state === 'waiting' ? { code: '4.4.1', text: 'The recipient is offline' } : null,
});

test('the queue shows what waits and why, and only counts what arrived', () => {
  const text = render('queue list', [
    mail('delivered', 'eve@tox'),
    mail('waiting', 'bob@tox'),
    mail('delivered', 'x@tox'),
  ]);
  assert.match(text, /bob@tox +waiting +0 % of 10 bytes +1 +4\.4\.1 The recipient is offline\n/);
  assert.doesNotMatch(text, /eve@tox/);
  assert.match(text, /Delivered in the last days: 2 /);
});

test('a queue in which all is delivered says that nothing waits', () => {
  assert.match(
    render('queue list', [mail('delivered', 'eve@tox')]),
    /^No mail is waiting\.\nDelivered in the last days: 1 /,
  );
  assert.equal(render('queue list', []), 'No mail is waiting.\n');
});

test('what others wrote cannot move the cursor or change colours', () => {
  assert.ok(!render('queue list', [mail('waiting', 'bob\u001b[31m@tox')]).includes('\u001b'));
});

test('columns stand under each other, whatever the script of the names', () => {
  const row = (name: string) => ({ account: 'me', name, state: 'contact', online: true, address: `${name}@tox` });
  const lines = render('contact list', ['ann', '王小明', 'Zoe\u0308', 'ゆき-𠮷'].map(row)).split('\n');
  const wide: Record<string, number> = { 王小明: 3, 'ゆき-𠮷': 3 };
  const columns = lines.slice(1, 5).map((line) => {
    const before = line.slice(0, line.indexOf('contact'));
    return (
      [...before.normalize('NFC')].length + (Object.entries(wide).find(([name]) => before.includes(name))?.[1] ?? 0)
    );
  });
  assert.deepEqual(new Set(columns).size, 1, lines.join('\n'));
});

test('who asks for another try is told if there is nobody to try it with', () => {
  assert.equal(render('queue retry', mail('sending', 'bob@tox')), 'Trying bob@tox again.\n');
  assert.equal(
    render('queue retry', mail('waiting', 'bob@tox')),
    'The mail to bob@tox still waits: 4.4.1 The recipient is offline\n',
  );
});

test('an address that is a key does not push the reason off the screen', () => {
  const text = render('queue list', [mail('waiting', `${'a'.repeat(76)}@tox`)]);
  assert.match(text, / a{27}…a{4}@tox +waiting/);
  assert.ok(text.split('\n').every((line) => line.length < 150));
});

test('times are those of the clock on the wall', () => {
  const receivedAt = new Date(2026, 1, 3, 4, 5).getTime();
  assert.match(
    render('request list', [{ account: 'me', publicKey: 'AB', message: 'hi', receivedAt }]),
    /2026-02-03 04:05/,
  );
});

test('the status of a bootstrap node tells of its relay instead of accounts', () => {
  const status = { version: '1', pid: 1, dataDir: '/d', listeners: {}, accounts: [], queue: { waiting: 0 } };
  const bootstrap = { udpPort: 5, nodes: 3, metricsPort: null };
  const relay = { ports: [6, 7], clients: 2, forwardedBytes: 3 * 1_048_576 };
  assert.match(
    render('status', { ...status, bootstrap: { ...bootstrap, relay } }),
    /UDP port 5, knows 3 nodes\n.*TCP relay at 6, 7: 2 clients, 3 MiB passed on/,
  );
  assert.match(render('status', { ...status, bootstrap: { ...bootstrap, relay: null } }), /no TCP relay/);
});

test('the status says so if the machine has no network', () => {
  const status = { version: '1', pid: 1, dataDir: '/d', listeners: {}, accounts: [], queue: {} };
  assert.match(render('status', { ...status, network: false }), /no network/);
  assert.doesNotMatch(render('status', { ...status, network: true }), /no network/);
});
