import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { ToxNode, type ToxNodeOptions } from '../../src/index.ts';

const LOCAL = { udp: { host: '127.0.0.1', port: 0 } };
const OTHER_KEY = `${'0'.repeat(63)}9`;

function local(options: ToxNodeOptions = {}): Promise<ToxNode> {
  return ToxNode.create({ ...LOCAL, ...options });
}

/** Both add each other by key; resolves when both see the other online. */
async function befriend(a: ToxNode, b: ToxNode): Promise<void> {
  const online = [a, b].map((node, i) => {
    const other = (i === 0 ? b : a).publicKey;
    const { promise, resolve } = Promise.withResolvers<void>();
    node.on('friend-connection', (event) => event.friend === other && event.online && resolve());
    return promise;
  });
  a.acceptFriend(b.publicKey);
  b.acceptFriend(a.publicKey);
  a.bootstrap('127.0.0.1', b.udpPort, b.dhtPublicKey);
  await Promise.all(online);
}

test('nodes of one process share nothing: closing one leaves the others and their friends alone', async () => {
  await using alice = await local();
  await using bob = await local();
  const carol = await local();
  await befriend(alice, bob);
  await befriend(carol, bob);
  const left = once(bob, 'friend-connection');
  await carol.close();
  assert.deepEqual(await left, [
    { type: 'friend-connection', friend: carol.publicKey, online: false, connection: 'none' },
  ]);
  const heard = once(bob, 'message');
  alice.sendMessage(bob.publicKey, 'still here');
  assert.equal((await heard)[0].text, 'still here');
  assert.equal(alice.friends.length, 1);
  assert.equal(alice.friend(carol.publicKey), undefined);
});

test('after close whatever would change or send throws "closed"; reading and saving go on', async () => {
  const node = await local();
  node.setName('Alice');
  await node.close();
  await node.close(); // a second time changes nothing
  const changes = [
    () => node.setName('Bob'),
    () => node.setNospam(new Uint8Array(4)),
    () => node.addFriend(ToxNode.newProfile().toxId, 'hello'),
    () => node.acceptFriend(OTHER_KEY),
    () => node.sendMessage(OTHER_KEY, 'hello'),
    () => node.bootstrap('127.0.0.1', 33445, OTHER_KEY),
    () => node.bootstrap('localhost', 33445, OTHER_KEY),
  ];
  for (const change of changes) assert.throws(change, { name: 'ToxError', kind: 'closed' });
  assert.equal(node.name, 'Alice');
  assert.equal(ToxNode.toxIdOf(node.save()), node.toxId);
});

test('a node may be closed from within one of its own events', async () => {
  await using alice = await local();
  const bob = await local();
  await befriend(alice, bob);
  const seen: string[] = [];
  const { promise: closed, resolve } = Promise.withResolvers<Promise<void>>();
  bob.on('message', ({ text }) => {
    seen.push(text);
    resolve(bob.close());
  });
  const left = once(alice, 'friend-connection');
  for (const text of ['one', 'two', 'three']) alice.sendMessage(bob.publicKey, text);
  await await closed;
  assert.equal((await left)[0].online, false);
  assert.equal(seen[0], 'one');
  assert.throws(() => bob.setName('x'), { kind: 'closed' });
});

test('a profile opens again with its passphrase only, and keeps identity and friends', async () => {
  const first = await local();
  first.setName('Alice');
  first.acceptFriend(OTHER_KEY);
  const save = first.save('a secret');
  await first.close();
  await assert.rejects(local({ save }), { kind: 'bad-save' });
  await assert.rejects(local({ save, passphrase: 'another' }), { kind: 'bad-save' });
  await using again = await local({ save, passphrase: 'a secret' });
  assert.equal(again.toxId, first.toxId);
  assert.equal(again.name, 'Alice');
  assert.deepEqual(
    again.friends.map((f) => f.publicKey),
    first.friends.map((f) => f.publicKey),
  );
  assert.notEqual(again.dhtPublicKey, first.dhtPublicKey); // it would tell who moved where
});

test('wrong arguments are refused with their kind, and leave no socket behind', async () => {
  await using node = await local();
  await assert.rejects(local({ udp: { host: '127.0.0.1', port: node.udpPort } }), { kind: 'port-in-use' });
  await assert.rejects(local({ dhtSecretKey: new Uint8Array(31) }), { kind: 'bad-argument' });
  await assert.rejects(local({ save: new Uint8Array(100) }), { kind: 'bad-save' });
  await assert.rejects(local({ bootstrap: [{ host: '127.0.0.1', port: 0, publicKey: OTHER_KEY }] }), {
    kind: 'bad-argument',
  });
  await assert.rejects(ToxNode.create({ udp: { host: '192.0.2.1', port: 0 } }), { code: 'EADDRNOTAVAIL' });
  assert.throws(() => node.addFriend('not an id', 'hello'), { kind: 'bad-argument' });
  assert.throws(() => node.addFriend(node.toxId, 'hello'), { kind: 'own-id' });
  assert.throws(() => node.acceptFriend('12'), { kind: 'bad-argument' });
  assert.throws(() => node.sendMessage(OTHER_KEY, 'hello'), { kind: 'unknown-friend' });
  assert.throws(() => node.bootstrap('127.0.0.1', 65_536, OTHER_KEY), { kind: 'bad-argument' });
});

test('a bootstrap node whose name cannot be resolved is logged and left', async () => {
  const { promise, resolve } = Promise.withResolvers<string>();
  await using node = await local({ log: (id) => id === 'bootstrap.unknown-host' && resolve(id) });
  node.bootstrap('no-such-host.invalid', 33_445, OTHER_KEY);
  assert.equal(await promise, 'bootstrap.unknown-host');
});

test('behind a proxy no resolver is asked, not even for names that the proxy cannot be asked for', async () => {
  const refused: unknown[] = [];
  await using node = await ToxNode.create({
    proxy: 'socks5://127.0.0.1:9',
    log: (id, details) => id === 'bootstrap.unknown-host' && refused.push(details?.host),
  });
  const hosts = ['localhost.', 'knoten.müller.example'];
  node.bootstrap(hosts[0]!, 33_445, OTHER_KEY, [443]);
  node.addTcpRelay(hosts[1]!, 443, OTHER_KEY);
  assert.deepEqual(refused, hosts, 'told at once');
});
