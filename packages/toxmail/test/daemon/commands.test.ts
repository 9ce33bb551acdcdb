import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { systemScheduler } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { UserError } from '../../src/base/user-error.ts';
import { COMMANDS } from '../../src/cli/commands.ts';
import { render } from '../../src/cli/render.ts';
import { AccountNode } from '../../src/daemon/account-node.ts';
import { Commands, type QueueCommands, type RunningParts } from '../../src/daemon/commands.ts';
import { type DataFolder, openDataFolder } from '../../src/daemon/data-folder.ts';
import { type FakePeer, FakeTox, newToxId } from './fake-tox.ts';

type Row = Record<string, unknown>;

const emptyQueue: QueueCommands = {
  list: () => [],
  counts: () => ({ waiting: 0, sending: 0, failed: 0 }),
  retry: () => assert.fail(),
  cancel: () => assert.fail(),
  contactRemoved: async () => {},
  accountRemoved: async () => {},
};

interface House {
  folder: DataFolder;
  tox: FakeTox;
  run: (command: string, args?: Row) => Promise<Row>;
}

async function stopped(t: TestContext, accounts: string[] = ['me']): Promise<House> {
  const path = mkdtempSync(join(tmpdir(), 'toxmail-commands-'));
  const tox = new FakeTox();
  const folder = await openDataFolder(path, tox, systemScheduler);
  t.after(() => {
    folder.close();
    rmSync(path, { recursive: true });
  });
  const commands = new Commands(folder, emptyQueue);
  const run = async (command: string, args: Row = {}) => (await commands.run(command, args)) as Row;
  for (const name of accounts) await run('account add', { name, password: 'correct horse' });
  return { folder, tox, run };
}

/** The same with one account whose node runs. */
async function running(
  t: TestContext,
): Promise<House & { node: AccountNode; peer: FakePeer; heard: string[]; parts: RunningParts }> {
  const house = await stopped(t);
  const heard: string[] = [];
  const node = new AccountNode('me', house.folder, silentLogger, {
    peerOnline: (_account, key) => heard.push(`online ${key}`),
    peerOffline: (_account, key) => heard.push(`offline ${key}`),
  });
  await node.start(house.tox.startWith);
  t.after(() => node.close());
  const parts: RunningParts = {
    listeners: {
      smtp: { host: '127.0.0.1', port: 2525 },
      smtps: { host: '127.0.0.1', port: 2465 },
      pop3s: { host: '127.0.0.1', port: 2995 },
    },
    toxState: () => ({ connection: 'udp', udpPort: 1, dhtKey: 'K', nodes: 2, relayPorts: [] }),
    hasNetwork: () => true,
    isOnline: (_account, key) => node.isOnline(key),
    startAccount: async () => {},
    stopAccount: async () => {},
    passwordChanged: (account) => void heard.push(`password of ${account}`),
    whileStopped: (work) => work(),
    befriend: (contact) => node.befriend(contact),
    unfriend: (_account, key) => node.unfriend(key),
    mailHost: 'pi.example.org',
    page: 'https://pi.example.org:2580/',
    certifies: () => true,
    authority: async () => ({ certificate: 'PEM', fingerprint: 'AB:CD', path: '/tls/ca.pem' }),
    nodeLine: () => ({ host: '192.0.2.1', port: 33_445, publicKey: 'AB'.repeat(32) }),
  };
  const commands = new Commands(house.folder, emptyQueue, parts);
  const run = async (command: string, args: Row = {}) => (await commands.run(command, args)) as Row;
  return { ...house, run, node, peer: house.tox.peers[0]!, heard, parts };
}

const refused = (promise: Promise<unknown>, text: RegExp): Promise<void> =>
  assert.rejects(promise, (error: Error) => {
    assert.ok(error instanceof UserError, String(error));
    assert.match(error.message, text);
    assert.doesNotMatch(error.message, /\n/);
    return true;
  });

test('every command of the table is known to the daemon', async (t) => {
  const { run } = await stopped(t);
  for (const { name, kind } of COMMANDS)
    if (kind === 'control')
      await run(name).catch((error: Error) => assert.doesNotMatch(error.message, /does not know/, name));
  await refused(run('toString'), /does not know/);
  await refused(run('__proto__'), /does not know/);
});

test('status has the documented shape, running and stopped', async (t) => {
  const { run } = await running(t);
  const shape = await run('status');
  assert.deepEqual(Object.keys(shape), ['version', 'pid', 'dataDir', 'listeners', 'network', 'accounts', 'queue']);
  assert.equal(shape.pid, process.pid);
  assert.deepEqual((shape.listeners as Row).smtp, { host: '127.0.0.1', port: 2525 });
  const [account] = shape.accounts as Row[];
  assert.deepEqual(Object.keys(account!), ['name', 'toxId', 'address', 'tox', 'contacts']);
  assert.deepEqual(account!.tox, { connection: 'udp', udpPort: 1, dhtKey: 'K', nodes: 2, relayPorts: [] });
  assert.deepEqual(account!.contacts, { online: 0, total: 0 });
  assert.deepEqual(shape.queue, { waiting: 0, sending: 0, failed: 0 });
  const off = await (await stopped(t)).run('status');
  assert.equal(off.pid, null);
  assert.deepEqual((off.accounts as Row[])[0]!.tox, {
    connection: 'none',
    udpPort: 0,
    dhtKey: '',
    nodes: 0,
    relayPorts: [],
  });
});

test('address has the documented shape, canonical form first', async (t) => {
  const { run } = await stopped(t);
  const shape = await run('address');
  assert.deepEqual(Object.keys(shape), ['account', 'toxId', 'publicKey', 'addresses']);
  assert.match(String(shape.toxId), /^[0-9A-F]{76}$/);
  assert.equal(shape.publicKey, String(shape.toxId).slice(0, 64));
  assert.match((shape.addresses as string[])[0]!, /^[a-z2-7]{61}@tox$/);
});

test('contact list and request list have the documented shapes', async (t) => {
  const { run, folder } = await stopped(t);
  await run('contact add', { name: 'ann', address: newToxId(), email: ['Ann@example.org'] });
  folder.requests.add('me', newToxId().slice(0, 64), 'hello');
  const [contact] = (await run('contact list')) as unknown as Row[];
  assert.deepEqual(Object.keys(contact!), [
    'account',
    'name',
    'publicKey',
    'address',
    'emails',
    'state',
    'online',
    'lastSeen',
  ]);
  assert.deepEqual(
    [contact!.state, contact!.online, contact!.lastSeen, contact!.emails],
    ['requested', false, null, ['ann@example.org']],
  );
  const [request] = (await run('request list')) as unknown as Row[];
  assert.deepEqual(Object.keys(request!), ['account', 'publicKey', 'message', 'receivedAt']);
});

test('what is added while stopped is asked at the next start', async (t) => {
  const { run, folder, tox } = await stopped(t);
  const toxId = newToxId();
  const key = newToxId().slice(0, 64);
  await run('contact add', { name: 'ann', address: toxId });
  await run('contact add', { name: 'bob', address: `${key}@tox` });
  const node = new AccountNode('me', folder, silentLogger, { peerOnline() {}, peerOffline() {} });
  await node.start(tox.startWith);
  assert.deepEqual(tox.peers[0]!.requested, [toxId]);
  assert.deepEqual(tox.peers[0]!.accepted, [key]);
  await node.close();
  assert.equal(tox.peers[0]!.closed, true);
});

test('adding sends the request, and the answer makes a contact', async (t) => {
  const { run, peer, heard } = await running(t);
  const toxId = newToxId();
  const key = toxId.slice(0, 64);
  await run('contact add', { name: 'ann', address: toxId });
  assert.deepEqual(peer.requested, [toxId]);
  peer.events.friendConnection(key, true);
  peer.events.friendConnection(key, true);
  const ann = await run('contact show', { name: 'ANN' });
  assert.deepEqual([ann.state, ann.online], ['contact', true]);
  peer.events.friendConnection(key, false);
  assert.deepEqual(heard, [`online ${key}`, `offline ${key}`]);
  assert.equal((await run('contact show', { name: 'ann' })).online, false);
});

test('a request of somebody in the contact book is accepted by itself, one of a stranger waits', async (t) => {
  const { run, peer } = await running(t);
  const known = newToxId();
  const stranger = newToxId().slice(0, 64);
  await run('contact add', { name: 'ann', address: known });
  peer.events.friendRequest(known.slice(0, 64), 'it is me');
  peer.events.friendRequest(stranger, 'buy this');
  assert.deepEqual(peer.accepted, [known.slice(0, 64)]);
  const waiting = (await run('request list')) as unknown as Row[];
  assert.deepEqual(
    waiting.map((row) => row.publicKey),
    [stranger],
  );
});

test('a request is accepted by the first digits of its key, with or without a name', async (t) => {
  const { run, peer } = await running(t);
  const keys = [`11${newToxId().slice(2, 64)}`, `22${newToxId().slice(2, 64)}`, `23${newToxId().slice(2, 64)}`];
  for (const key of keys) peer.events.friendRequest(key, '');
  await refused(run('request accept', { key: '2' }), /more digits/);
  await refused(run('request accept', { key: '3' }), /no request/);
  assert.equal((await run('request accept', { key: '11', name: 'ann' })).name, 'ann');
  assert.equal((await run('request accept', { key: keys[1]!.toLowerCase() })).state, 'contact');
  await run('request reject', { key: '23' });
  assert.deepEqual(peer.accepted, keys.slice(0, 2));
  assert.deepEqual(await run('request list'), []);
});

test('adding somebody whose request waits accepts it; a bad name leaves it waiting', async (t) => {
  const { run, peer } = await running(t);
  const toxId = newToxId();
  peer.events.friendRequest(toxId.slice(0, 64), 'hi');
  await refused(run('contact add', { name: 'a b', address: toxId }), /name/);
  assert.equal(((await run('request list')) as unknown as Row[]).length, 1);
  assert.equal((await run('contact add', { name: 'ann', address: toxId })).state, 'contact');
  assert.deepEqual(peer.accepted, [toxId.slice(0, 64)]);
});

test('a removed contact is no friend any more', async (t) => {
  const { run, peer } = await running(t);
  const toxId = newToxId();
  await run('contact add', { name: 'ann', address: toxId });
  await run('contact remove', { name: 'ann' });
  assert.deepEqual(peer.removed, [toxId.slice(0, 64)]);
  await refused(run('contact show', { name: 'ann' }), /no contact "ann"/);
});

test('what cannot be an address is refused with what to do', async (t) => {
  const { run } = await stopped(t);
  const mistyped = newToxId().replace(/.$/, (digit) => (digit === '0' ? '1' : '0'));
  await refused(run('contact add', { name: 'ann', address: mistyped }), /mistyped/);
  await refused(run('contact add', { name: 'ann', address: 'ann@example.org' }), /Tox ID/);
  await refused(run('contact add', { name: 'ann' }), /ADDRESS/);
});

test('with several accounts one has to say which', async (t) => {
  const { run } = await stopped(t, ['me', 'you']);
  await refused(run('address'), /me, you.*--account/);
  assert.equal((await run('address', { account: 'you' })).account, 'you');
  await refused(run('address', { account: 'she' }), /no account "she"/);
});

test('passwords are stored as hashes, generated when absent, and never empty or endless', async (t) => {
  const { run, folder } = await stopped(t, []);
  const made = await run('account add', { name: 'me' });
  assert.match(String(made.password), /^[a-z2-9]{4}(-[a-z2-9]{4}){3}$/);
  assert.doesNotMatch(folder.accounts.get('me')!.passwordHash, new RegExp(String(made.password)));
  await refused(run('account add', { name: 'you', password: '' }), /PASSWORD is missing/);
  await refused(run('account add', { name: 'you', password: 'x'.repeat(257) }), /1 to 256/);
  assert.notEqual((await run('account password', { name: 'me' })).password, made.password);
});

test('a name is an account whatever its case, and one that could not be started is not there', async (t) => {
  const house = await running(t);
  await house.run('account add', { name: 'Mum' });
  const broken = new UserError('no port');
  const parts = { ...house.parts, startAccount: () => Promise.reject(broken) };
  await assert.rejects(new Commands(house.folder, emptyQueue, parts).run('account add', { name: 'dad' }), broken);
  assert.deepEqual(
    house.folder.accounts.list().map(({ name }) => name),
    ['me', 'mum'],
  );
});

test('a removed account leaves its folder aside and its name free', async (t) => {
  const { run, folder } = await stopped(t);
  const { keptIn } = await run('account remove', { name: 'me' });
  assert.deepEqual(readdirSync(String(keptIn)), ['profile.tox']);
  assert.deepEqual(await run('account list'), []);
  await run('account add', { name: 'me' });
  assert.equal(folder.accounts.list().length, 1);
});

test('profile and folders are for the owner only', { skip: process.platform === 'win32' }, async (t) => {
  const { folder } = await stopped(t);
  assert.equal(statSync(folder.profileOf('me')).mode & 0o777, 0o600);
  assert.equal(statSync(join(folder.path, 'accounts')).mode & 0o777, 0o700);
  assert.equal(statSync(join(folder.path, 'toxmail.db')).mode & 0o777, 0o600);
});

test('a damaged profile is an error that says so, and is not overwritten', async (t) => {
  const { run, folder } = await stopped(t);
  writeFileSync(folder.profileOf('me'), 'garbage');
  await refused(run('address'), /profile\.tox/);
  assert.equal(statSync(folder.profileOf('me')).size, 'garbage'.length);
});

test('no arguments make a command fail with anything but a message for people', async (t) => {
  const { run } = await stopped(t);
  const names = COMMANDS.filter((each) => each.kind === 'control' && !each.name.startsWith('account'));
  const value = fc.oneof(fc.string(), fc.constant(null), fc.integer(), fc.array(fc.string()), fc.object());
  const args = fc.record(
    { name: value, address: value, account: value, key: value, id: value, email: value },
    { requiredKeys: [] },
  );
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...names), args, async ({ name }, given) => {
      if (name.startsWith('queue')) return;
      await run(name, given).catch((error: Error) => assert.ok(error instanceof UserError, String(error)));
    }),
    { numRuns: 200 },
  );
});

test('what others wrote cannot play tricks with the terminal', () => {
  const shown = render('request list', [
    { account: 'me', publicKey: 'AB', message: 'x\u001b[2J\u0007\r\nowned \u202e', receivedAt: 0 },
  ]);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
  assert.doesNotMatch(shown.replaceAll('\n', ''), /[\x00-\x1f\u202e]/);
});

test('mail-settings has the documented shape, and steps for the programs it knows', async (t) => {
  const { run } = await running(t);
  const shape = await run('mail-settings');
  assert.deepEqual(Object.keys(shape), ['account', 'address', 'user', 'incoming', 'outgoing', 'steps', 'isp', 'dns']);
  assert.equal(shape.address, 'me@tox.alt');
  assert.deepEqual(shape.incoming, [{ protocol: 'pop3', host: 'pi.example.org', port: 2995, security: 'tls' }]);
  assert.deepEqual(shape.outgoing, { protocol: 'smtp', host: 'pi.example.org', port: 2465, security: 'tls' });
  assert.deepEqual(Object.keys(shape.isp as Row), ['tox.alt.xml', 'tox.xml']);
  assert.match(String((shape.dns as string[])[0]), /^_submissions\._tcp {2}SRV {2}0 1 2465 pi\.example\.org\.$/);
  for (const program of ['thunderbird', 'apple', 'k9', 'outlook'])
    assert.ok(((await run('mail-settings', { for: program })).steps as string[]).length >= 2, program);
  await refused(run('mail-settings', { for: 'constructor' }), /thunderbird, apple, k9, outlook/);
  await refused((await stopped(t)).run('mail-settings'), /not running/);
});

test('mail-settings tells of a certificate that is for another name, and how TLS is had on this machine itself', async (t) => {
  const { folder, parts } = await running(t);
  const stepsOf = async (more: Partial<RunningParts>, args: Row = {}): Promise<string> =>
    (
      (await new Commands(folder, emptyQueue, { ...parts, ...more }).run('mail-settings', args)) as Row
    ).steps!.toString();
  for (const args of [{}, { for: 'k9' }])
    assert.match(
      await stepsOf({ certifies: () => false }, args),
      /not for pi\.example\.org.*--tls-name pi\.example\.org/,
    );
  const own = await stepsOf({ certifies: () => false, authority: async () => undefined });
  assert.match(own, /Your certificate is not for pi\.example\.org/);
  assert.match(await stepsOf({}, { for: 'apple' }), /Open https:\/\/pi\.example\.org:2580\/ in Safari/);
  const here = await stepsOf({ mailHost: '127.0.0.1', certifies: () => false });
  assert.match(here, /server localhost, SSL\/TLS at POP3 2995, SMTP 2465, .*\/tls\/ca\.pem/);
  assert.doesNotMatch(here, /certificate is not/);
});

test('tls ca shows the authority, or says where one comes from', async (t) => {
  const { run } = await running(t);
  assert.deepEqual(await run('tls ca'), { certificate: 'PEM', fingerprint: 'AB:CD', path: '/tls/ca.pem' });
  await refused((await stopped(t)).run('tls ca'), /first start/);
});

test('a limit for a mailbox is set in bytes, as people write them, and taken away', async (t) => {
  const { run, folder } = await stopped(t);
  for (const [size, bytes] of [
    ['500M', 524_288_000],
    ['2gb', 2_147_483_648],
    ['1000', 1000],
  ] as const) {
    assert.deepEqual(await run('account quota', { name: 'me', size }), { name: 'me', quota: bytes });
    assert.equal(folder.accounts.get('me')?.quota, bytes);
  }
  await assert.rejects(run('account quota', { name: 'me', size: 'much' }), UserError);
  await assert.rejects(run('account quota', { name: 'me', size: '0' }), UserError);
  assert.deepEqual(await run('account quota', { name: 'me', size: 'none' }), { name: 'me', quota: null });
  assert.equal(folder.accounts.get('me')?.quota, undefined);
});

test('a new password ends the sessions that logged in with the old one', async (t) => {
  const { run, heard } = await running(t);
  await run('account password', { name: 'me' });
  assert.deepEqual(heard, ['password of me']);
});

test('an account that is renamed keeps its identity, contacts and mail; only its name is another', async (t) => {
  const { folder, run } = await stopped(t, ['mum', 'tom']);
  const before = await run('address', { account: 'mum' });
  await run('contact add', { account: 'mum', name: 'bob', address: newToxId(), email: ['bob@example.org'] });
  const file = join(folder.maildirOf('mum'), 'new', 'x');
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, 'mail');
  assert.deepEqual(await run('account rename', { name: 'mum', new: 'Mama' }), { name: 'mama', before: 'mum' });
  assert.deepEqual({ ...(await run('address', { account: 'mama' })), account: 'mum' }, before);
  assert.equal(readFileSync(join(folder.maildirOf('mama'), 'new', 'x'), 'utf8'), 'mail');
  assert.deepEqual((await run('contact show', { account: 'mama', name: 'bob' })).emails, ['bob@example.org']);
  assert.equal(folder.accounts.get('mum'), undefined);
  await refused(run('account rename', { name: 'mama', new: 'tom' }), /already/);
  await refused(run('account rename', { name: 'mama', new: '../x' }), /cannot be/);
  await run('account rename', { name: 'tom', new: 'mum' }); // a name that became free
});

test('killed between the new name and its folder, the next start finishes the renaming', async (t) => {
  const { folder, run } = await stopped(t, ['mum']);
  const { toxId } = await run('address', { account: 'mum' });
  folder.accounts.rename('mum', 'mama');
  await folder.finishRenames();
  assert.equal((await run('address', { account: 'mama' })).toxId, toxId);
  assert.deepEqual(folder.accounts.renames(), []);
});
