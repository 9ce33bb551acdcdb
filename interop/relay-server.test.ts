import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { after, describe, test } from 'node:test';
import { SocketGuest } from '../packages/tox/test/relay/socket-guest.ts';
import { BootstrapDaemon, disposeOracle, OraclePeer, oracleMissing, TemporaryFolder } from './oracle/oracle.ts';
import { type Entry, OurNode, sameFile } from './our-node.ts';

const skip = await oracleMissing();
after(disposeOracle);

const FILE_SIZE = 10_000_000;

/** Two c-toxcore peers without UDP, who know each other's keys, and one node as bootstrap node and relay. */
async function tcpOnlyPair(stack: AsyncDisposableStack, entry: Entry, relayPort: number): Promise<OraclePeer[]> {
  const peers = [stack.use(await OraclePeer.start({ udp: false })), stack.use(await OraclePeer.start({ udp: false }))];
  const [alice, bob] = peers as [OraclePeer, OraclePeer];
  await alice.acceptFriend(bob.publicKey);
  await bob.acceptFriend(alice.publicKey);
  for (const peer of peers) {
    await peer.bootstrap(entry.host, entry.port, entry.key);
    await peer.relay(entry.host, relayPort, entry.key);
  }
  await Promise.all([alice.friendOnline(bob.publicKey), bob.friendOnline(alice.publicKey)]);
  return peers;
}

/** Sends a file from one to the other; seconds from its acceptance to its last byte. */
async function sendFile(folder: TemporaryFolder, from: OraclePeer, to: OraclePeer, content: Buffer): Promise<number> {
  const path = folder.join('sent');
  await writeFile(path, content);
  await from.sendFile(to.publicKey, path, 'file');
  const offer = await to.waitFor('file-offer');
  const began = performance.now();
  await to.acceptFile(from.publicKey, offer.file, folder.join('received'));
  await to.waitFor('file-received', () => true, { timeoutMs: 90_000 });
  const seconds = (performance.now() - began) / 1_000;
  assert.ok(await sameFile(folder.join('received'), content));
  return seconds;
}

describe('relay', { skip, timeout: 180_000 }, () => {
  test('c-toxcore friends without UDP meet and talk through our node alone', async (t) => {
    await using stack = new AsyncDisposableStack();
    const folder = stack.use(await TemporaryFolder.create());
    const ours = stack.use(await OurNode.start([], { relay: { ports: [0] } }));
    const began = performance.now();
    const [alice, bob] = (await tcpOnlyPair(stack, ours, ours.node.relayPorts[0]!)) as [OraclePeer, OraclePeer];
    t.diagnostic(`friends after ${((performance.now() - began) / 1_000).toFixed(1)} s`);
    const tcp = await alice.waitFor('friend-connection', (e) => e.connection !== 'none');
    assert.equal(tcp.connection, 'tcp');
    await alice.sendMessage(bob.publicKey, 'over your relay');
    assert.equal((await bob.waitFor('message')).text, 'over your relay');
    const seconds = await sendFile(folder, alice, bob, randomBytes(FILE_SIZE));
    t.diagnostic(`10 MB in ${seconds.toFixed(1)} s`);
    const stats = ours.node.relayStats!;
    assert.equal(stats.clients, 3, 'they and we');
    assert.ok(stats.forwardedBytes > FILE_SIZE && stats.onionRequests > 0 && stats.kicked === 0, JSON.stringify(stats));
  });

  test('a friend request finds its way through the onion of our relay', async () => {
    await using stack = new AsyncDisposableStack();
    const ours = stack.use(await OurNode.start([], { relay: { ports: [0] } }));
    const alice = stack.use(await OraclePeer.start({ udp: false }));
    const bob = stack.use(await OraclePeer.start({ udp: false }));
    for (const peer of [alice, bob]) {
      await peer.bootstrap(ours.host, ours.port, ours.key);
      await peer.relay(ours.host, ours.node.relayPorts[0]!, ours.key);
    }
    await alice.addFriend(bob.toxId, 'let me in');
    const request = await bob.waitFor('friend-request');
    assert.deepEqual([request.friend, request.message], [alice.publicKey, 'let me in']);
    await bob.acceptFriend(alice.publicKey);
    await alice.friendOnline(bob.publicKey);
  });

  test('a friend with UDP and one without meet through our node', async () => {
    await using stack = new AsyncDisposableStack();
    const ours = stack.use(await OurNode.start([], { relay: { ports: [0] } }));
    const alice = stack.use(await OraclePeer.start({ udp: false }));
    const bob = stack.use(await OraclePeer.start());
    await alice.acceptFriend(bob.publicKey);
    await bob.acceptFriend(alice.publicKey);
    for (const peer of [alice, bob]) {
      await peer.bootstrap(ours.host, ours.port, ours.key);
      await peer.relay(ours.host, ours.node.relayPorts[0]!, ours.key);
    }
    await Promise.all([alice.friendOnline(bob.publicKey), bob.friendOnline(alice.publicKey)]);
  });

  test('a friend without UDP reaches us through the relay that we are ourselves', async () => {
    await using stack = new AsyncDisposableStack();
    const ours = stack.use(await OurNode.start([], { relay: { ports: [0] } }));
    const alice = stack.use(await OraclePeer.start({ udp: false }));
    await alice.acceptFriend(ours.publicKey);
    ours.node.acceptFriend(alice.publicKey);
    await alice.bootstrap(ours.host, ours.port, ours.key);
    await alice.relay(ours.host, ours.node.relayPorts[0]!, ours.key);
    await Promise.all([alice.friendOnline(ours.publicKey), ours.friendOnline(alice.publicKey)]);
    ours.node.sendMessage(alice.publicKey, 'over my relay');
    assert.equal((await alice.waitFor('message')).text, 'over my relay');
  });

  test('our clients log in at tox-bootstrapd and talk over it', async () => {
    await using daemon = await BootstrapDaemon.start({ tcpRelay: true });
    using a = await SocketGuest.login(daemon.port, daemon.key);
    using b = await SocketGuest.login(daemon.port, daemon.key);
    const id = await a.route(b);
    a.do((client) => client.sendData(id, Uint8Array.of(1, 2, 3)));
    assert.deepEqual((await b.heard('data'))[2], Uint8Array.of(1, 2, 3));
    b.do((client) => client.sendOob(a.keys.publicKey, Uint8Array.of(4)));
    assert.deepEqual((await a.heard('oob')).slice(1), [b.keys.publicKey, Uint8Array.of(4)]);
    b.do((client) => client.dropRoute(16));
    await a.heard('peer', (told) => told[2] === false);
    a.do((client) => client.requestRoute(a.keys.publicKey));
    await a.heard('refused');
  });
});
