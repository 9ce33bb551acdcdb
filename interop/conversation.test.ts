import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { BootstrapDaemon, disposeOracle, OraclePeer, oracleMissing } from './oracle/oracle.ts';
import { OurNode } from './our-node.ts';

const skip = await oracleMissing();

/** Every length that has a limit next to it, and characters of one to four bytes. */
const TEXTS = ['a', 'x'.repeat(1371), 'x'.repeat(1372), 'naïve 🐢 日本語 👩‍👩‍👧', '🐢'.repeat(343)];

describe('our node and a c-toxcore peer, once they are friends', { skip }, () => {
  const stack = new AsyncDisposableStack();
  let ours: OurNode;
  let peer: OraclePeer;
  let us: string;
  let them: string;

  before(async () => {
    const daemon = stack.use(await BootstrapDaemon.start());
    peer = stack.use(await OraclePeer.start());
    ours = stack.use(await OurNode.start([daemon]));
    [us, them] = [ours.publicKey, peer.publicKey];
    await peer.setName('Peer Ö');
    await peer.setStatusMessage('before we met');
    ours.node.setName('Ours 🐢');
    ours.node.setStatusMessage('here since then');
    await peer.bootstrap(daemon.host, daemon.port, daemon.key);
    await peer.acceptFriend(us);
    ours.node.acceptFriend(them);
    await Promise.all([ours.friendOnline(them), peer.friendOnline(us)]);
  });

  after(async () => {
    await stack.disposeAsync();
    await disposeOracle();
  });

  test('names and status messages set before are known on both sides', async () => {
    await peer.waitFor('name', (e) => e.text === 'Ours 🐢');
    await peer.waitFor('status-message', (e) => e.text === 'here since then');
    await ours.waitFor('friend-name', (e) => e.name === 'Peer Ö');
    await ours.waitFor('friend-status-message', (e) => e.statusMessage === 'before we met');
  });

  test('changes of name, status message, status and typing arrive on both sides', async () => {
    ours.node.setName('');
    ours.node.setStatusMessage('é'.repeat(503));
    ours.node.setStatus('busy');
    ours.node.setTyping(them, true);
    await peer.waitFor('name', (e) => e.text === '');
    await peer.waitFor('status-message', (e) => e.text === 'é'.repeat(503));
    await peer.waitFor('status', (e) => e.status === 2);
    await peer.waitFor('typing', (e) => e.typing);
    ours.node.setTyping(them, false);
    await peer.waitFor('typing', (e) => !e.typing);

    await peer.setName('n'.repeat(128));
    await peer.setStatusMessage('');
    await peer.setStatus(1);
    await peer.setTyping(us, true);
    await ours.waitFor('friend-name', (e) => e.name === 'n'.repeat(128));
    await ours.waitFor('friend-status-message', (e) => e.statusMessage === '');
    await ours.waitFor('friend-status', (e) => e.status === 'away');
    await ours.waitFor('friend-typing', (e) => e.typing);
  });

  test('texts of 1, 1371 and 1372 bytes and emoji reach c-toxcore, with receipts', async () => {
    for (const text of TEXTS) {
      const id = ours.node.sendMessage(them, text);
      await peer.waitFor('message', (e) => e.text === text && !e.action);
      await ours.waitFor('receipt', (e) => e.id === id);
    }
  });

  test('texts of 1, 1371 and 1372 bytes and emoji reach us, with receipts', async () => {
    for (const text of TEXTS) {
      const id = await peer.sendMessage(us, text);
      await ours.waitFor('message', (e) => e.text === text && !e.action);
      await peer.waitFor('receipt', (e) => e.message === id);
    }
  });

  test('a text of 1373 bytes is refused here as there', async () => {
    assert.throws(() => ours.node.sendMessage(them, 'x'.repeat(1373)), { kind: 'bad-argument' });
    await assert.rejects(peer.sendMessage(us, 'x'.repeat(1373)));
  });

  test('actions arrive as actions on both sides', async () => {
    ours.node.sendMessage(them, 'waves', true);
    await peer.waitFor('message', (e) => e.text === 'waves' && e.action);
    await peer.sendAction(us, 'waves back');
    await ours.waitFor('message', (e) => e.text === 'waves back' && e.action);
  });

  test('two thousand lossless packets of all sizes reach c-toxcore once and in order', async () => {
    const packets = custom(160, 2000);
    for (const packet of packets) await ours.sendLossless(them, packet);
    await peer.waitFor('lossless', (e) => Buffer.from(e.data).equals(packets.at(-1)!));
    assert.deepEqual(
      peer.events.filter((e) => e.event === 'lossless').map((e) => hash(e.data)),
      packets.map(hash),
    );
  });

  test('a thousand lossless packets of all sizes reach us once and in order', async () => {
    const packets = custom(191, 1000);
    const last = ours.waitFor('lossless', (e) => Buffer.from(e.data).equals(packets.at(-1)!));
    await Promise.all(packets.map((p) => peer.sendLossless(us, p)));
    await last;
    const got = ours.events.filter((e) => e.event === 'lossless').map((e) => (e.value as { data: Uint8Array }).data);
    assert.deepEqual(got.map(hash), packets.map(hash));
  });

  test('lossy packets arrive on both sides', async () => {
    for (const id of [200, 254]) {
      const data = Uint8Array.of(id, ...randomBytes(1372));
      ours.node.sendLossy(them, data);
      assert.deepEqual((await peer.waitFor('lossy', (e) => e.data[0] === id)).data, data);
      await peer.sendLossy(us, data);
      assert.deepEqual(new Uint8Array((await ours.waitFor('lossy', (e) => e.data[0] === id)).data), data);
    }
  });

  test('the round trip of a text is a few milliseconds', async (t) => {
    const times: number[] = [];
    for (let i = 0; i < 30; i++) {
      const began = performance.now();
      ours.node.sendMessage(them, `ping ${i}`);
      await peer.waitFor('message', (e) => e.text === `ping ${i}`);
      await peer.sendMessage(us, `pong ${i}`);
      await ours.waitFor('message', (e) => e.text === `pong ${i}`);
      times.push(performance.now() - began);
    }
    const median = times.sort((a, b) => a - b)[15]!;
    t.diagnostic(`median ${median.toFixed(1)} ms`);
    assert.ok(median < 200); // generous: the machine may be busy, and c-toxcore looks every 4 ms
  });

  test('a friend whom we delete sees us go offline', async () => {
    const seen = peer.events.length;
    ours.node.removeFriend(them);
    await peer.waitFor('friend-connection', (e) => e.connection === 'none', { after: seen });
  });
});

/** Packets with this id, of random content, whose sizes run over all from 1 to 1373. */
function custom(id: number, count: number): Buffer[] {
  return Array.from({ length: count }, (_, i) => {
    const packet = randomBytes(1 + ((i * 37) % 1373));
    packet[0] = id;
    return packet;
  });
}

function hash(data: Uint8Array): string {
  return Buffer.from(data).toString('base64');
}
