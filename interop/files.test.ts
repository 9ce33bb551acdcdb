import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { BootstrapDaemon, disposeOracle, OraclePeer, oracleMissing, TemporaryFolder } from './oracle/oracle.ts';
import { OurNode, sameFile } from './our-node.ts';

const skip = await oracleMissing();

const MEBIBYTE = 1024 * 1024;
const LARGE = 10_000_000;
/** Around the chunk of 1371 bytes, at which a transfer may end too early. */
const SIZES = [0, 1, 1370, 1371, 1372, 2742, 100_000];

describe('files between our node and a c-toxcore peer', { skip, timeout: 180_000 }, () => {
  const stack = new AsyncDisposableStack();
  let folder: TemporaryFolder;
  let ours: OurNode;
  let peer: OraclePeer;
  let us: string;
  let them: string;

  before(async () => {
    folder = stack.use(await TemporaryFolder.create());
    const daemon = stack.use(await BootstrapDaemon.start());
    peer = stack.use(await OraclePeer.start());
    ours = stack.use(await OurNode.start([daemon]));
    [us, them] = [ours.publicKey, peer.publicKey];
    await peer.bootstrap(daemon.host, daemon.port, daemon.key);
    await peer.acceptFriend(us);
    ours.node.acceptFriend(them);
    await Promise.all([ours.friendOnline(them), peer.friendOnline(us)]);
  });

  after(async () => {
    await stack.disposeAsync();
    await disposeOracle();
  });

  /** We offer, the peer takes it into `path`. */
  async function offerOurs(name: string, content: Uint8Array, hold?: number) {
    const path = folder.join(name);
    const sent = ours.sendFile(them, content, name, hold === undefined ? {} : { hold });
    const offer = await peer.waitFor('file-offer', (e) => e.name === name);
    assert.equal(offer.size, BigInt(content.length));
    await peer.acceptFile(us, offer.file, path);
    return { path, file: offer.file, sent };
  }

  /** The peer offers, we take it. */
  async function offerTheirs(name: string, content: Uint8Array) {
    const path = folder.join(`from-${name}`);
    await writeFile(path, content);
    const { file, id } = await peer.sendFile(us, path, name);
    const offer = await ours.waitFor('file-offer', (e) => e.name === name);
    assert.equal(offer.size, content.length);
    assert.equal(Buffer.from(offer.fileId).toString('hex').toUpperCase(), id);
    return { file, offer, received: ours.receiveFile(offer) };
  }

  /** That nothing moves for a while: what was on its way when the pause was set may still arrive. */
  async function stands(moved: () => number): Promise<void> {
    for (let before = -1; moved() !== before; ) {
      before = moved();
      await new Promise((resolve) => setTimeout(resolve, 700));
    }
  }

  for (const size of SIZES) {
    test(`${size} bytes, both ways`, async () => {
      const content = randomBytes(size);
      const out = await offerOurs(`out-${size}`, content);
      await peer.waitFor('file-received', (e) => e.file === out.file && e.moved === size);
      assert.equal(await out.sent.done, 'done');
      assert.ok(await sameFile(out.path, content));
      const back = await offerTheirs(`back-${size}`, content);
      assert.equal(await back.received.done, 'done');
      await peer.waitFor('file-sent', (e) => e.file === back.file);
      assert.ok(back.received.content.equals(content));
    });
  }

  test('10 MB to c-toxcore arrive byte-identical', async (t) => {
    const content = randomBytes(LARGE);
    const began = performance.now();
    const { path, file, sent } = await offerOurs('large-out', content);
    await peer.waitFor('file-received', (e) => e.file === file && e.moved === LARGE);
    t.diagnostic(`${(LARGE / MEBIBYTE / ((performance.now() - began) / 1000)).toFixed(1)} MiB/s`);
    assert.equal(await sent.done, 'done');
    assert.ok(await sameFile(path, content));
  });

  test('10 MB from c-toxcore arrive byte-identical', async (t) => {
    const content = randomBytes(LARGE);
    const began = performance.now();
    const { received } = await offerTheirs('large-back', content);
    assert.equal(await received.done, 'done');
    t.diagnostic(`${(LARGE / MEBIBYTE / ((performance.now() - began) / 1000)).toFixed(1)} MiB/s`);
    assert.ok(received.content.equals(content));
  });

  test('10 MB to c-toxcore, paused and resumed by either side', async () => {
    const content = randomBytes(LARGE);
    const controls = peer.events.length;
    const control = (name: string, since = controls) =>
      peer.waitFor('file-control', (e) => e.control === name, { after: since });
    const { path, file, sent } = await offerOurs('paused-out', content, 5 * MEBIBYTE);
    await peer.waitFor('file-progress', (e) => e.file === file, { after: controls });
    await peer.controlFile(us, file, 'pause');
    await ours.waitFor('file-control', (e) => e.file === sent.file && e.control === 'pause');
    sent.release();
    await stands(() => lastProgress(file));
    assert.ok(lastProgress(file) < LARGE, 'their pause holds us');
    ours.node.fileControl(them, sent.file, 'pause');
    await control('pause');
    await peer.controlFile(us, file, 'resume');
    await stands(() => lastProgress(file));
    assert.ok(lastProgress(file) < LARGE, 'our own pause holds still');
    ours.node.fileControl(them, sent.file, 'resume');
    await control('resume');
    await peer.waitFor('file-received', (e) => e.file === file && e.moved === LARGE, { after: controls });
    assert.equal(await sent.done, 'done');
    assert.ok(await sameFile(path, content));
  });

  test('10 MB from c-toxcore, paused and resumed by either side', async () => {
    const content = randomBytes(LARGE);
    const { file, offer, received } = await offerTheirs('paused-back', content);
    await received.reached(MEBIBYTE);
    ours.node.fileControl(them, offer.file, 'pause');
    await peer.waitFor('file-control', (e) => e.file === file && e.control === 'pause');
    await stands(() => received.moved);
    assert.ok(received.moved < LARGE);
    ours.node.fileControl(them, offer.file, 'resume');
    await received.reached(3 * MEBIBYTE);
    await peer.controlFile(us, file, 'pause');
    await ours.waitFor('file-control', (e) => e.file === offer.file && e.control === 'pause');
    await stands(() => received.moved);
    assert.ok(received.moved < LARGE);
    await peer.controlFile(us, file, 'resume');
    await ours.waitFor('file-control', (e) => e.file === offer.file && e.control === 'resume');
    assert.equal(await received.done, 'done');
    assert.ok(received.content.equals(content));
  });

  test('a file is taken up in the middle, both ways', async () => {
    const content = randomBytes(500_000);
    const path = folder.join('seek-out');
    await writeFile(path, content.subarray(0, 200_000)); // what an earlier attempt left
    const sent = ours.sendFile(them, content, 'seek-out');
    const offer = await peer.waitFor('file-offer', (e) => e.name === 'seek-out');
    await peer.acceptFile(us, offer.file, path, 200_000);
    await peer.waitFor('file-received', (e) => e.file === offer.file && e.moved === content.length);
    assert.equal(await sent.done, 'done');
    assert.ok(await sameFile(path, content));

    await writeFile(folder.join('seek-back'), content);
    await peer.sendFile(us, folder.join('seek-back'), 'seek-back', { id: 'AB'.repeat(32) });
    const back = await ours.waitFor('file-offer', (e) => e.name === 'seek-back');
    assert.deepEqual(Buffer.from(back.fileId), Buffer.alloc(32, 0xab));
    const received = ours.receiveFile(back, 300_000);
    assert.equal(await received.done, 'done');
    assert.ok(received.content.subarray(300_000).equals(content.subarray(300_000)));
    assert.ok(
      received.content.subarray(0, 300_000).every((x) => x === 0),
      'only what was asked for came',
    );
  });

  test('offers are refused and transfers cancelled, by either side', async () => {
    const content = randomBytes(LARGE);
    const refused = ours.sendFile(them, content, 'refused-out');
    const offer = await peer.waitFor('file-offer', (e) => e.name === 'refused-out');
    await peer.controlFile(us, offer.file, 'cancel');
    assert.equal(await refused.done, 'aborted');

    const cancelled = await offerOurs('cancelled-out', content, MEBIBYTE);
    cancelled.sent.cancel();
    await peer.waitFor('file-broken', (e) => e.file === cancelled.file);

    const back = await offerTheirs('cancelled-back', content);
    await back.received.reached(1);
    await peer.controlFile(us, back.file, 'cancel');
    assert.equal(await back.received.done, 'aborted');
  });

  test('twenty files at once, both ways', async () => {
    const contents = Array.from({ length: 20 }, (_, i) => randomBytes(20_000 + i));
    await Promise.all(
      contents.map(async (content, i) => {
        const { path, sent } = await offerOurs(`many-out-${i}`, content);
        assert.equal(await sent.done, 'done');
        await peer.waitFor('file-received', (e) => e.moved === content.length);
        assert.ok(await sameFile(path, content));
        const { received } = await offerTheirs(`many-back-${i}`, content);
        assert.equal(await received.done, 'done');
        assert.ok(received.content.equals(content));
      }),
    );
  });

  /** How far the peer has come with a file that it receives. */
  function lastProgress(file: number): number {
    const last = peer.events.findLast((e) => e.event === 'file-progress' && e.file === file && !e.sending);
    return last?.event === 'file-progress' ? last.moved : 0;
  }
});
