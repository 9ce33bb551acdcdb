import assert from 'node:assert/strict';
import { openSync, statSync, writeSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Worker } from 'node:worker_threads';
import { createLogger } from '../../src/base/log.ts';
import { IndexThread } from '../../src/mailbox/index/index-client.ts';
import { startWorker } from '../../src/mailbox/index/lasting-thread.ts';
import { VirtualScheduler } from '../../src/testing/virtual-scheduler.ts';
import { append, Box, flags, inbox, listen, mail, read, record, search, unsynced } from './harness.ts';

const DYING = new URL('./dying-thread.ts', import.meta.url);
const subject = (text: string) => ({ key: 'header', name: 'subject', text }) as const;

/** A mailbox whose index thread can be ended, and is started again when the test says so. */
class Fragile {
  readonly scheduler = new VirtualScheduler();
  readonly log: string[] = [];
  readonly workers: Worker[] = [];
  readonly thread: IndexThread;
  #onLine = (): void => {};

  constructor(t: TestContext, options?: Parameters<typeof startWorker>[1]) {
    const log = createLogger({
      level: 'info',
      json: false,
      unixMs: () => 0,
      write: (line) => {
        this.log.push(line);
        this.#onLine();
      },
    });
    this.thread = new IndexThread(this.scheduler, log, (progress) => {
      const worker = startWorker(progress, options);
      this.workers.push(worker);
      return worker;
    });
    t.after(() => this.thread.close());
  }

  /** Ends the thread; resolves when that is known. */
  async end(): Promise<void> {
    await this.workers.at(-1)!.terminate();
    await this.died(this.workers.length);
  }

  async died(times: number): Promise<void> {
    while (this.count('mailbox.index-thread-died') < times) {
      await new Promise<void>((resolve) => {
        this.#onLine = resolve;
      });
    }
  }

  count(line: string): number {
    return this.log.filter((each) => each.includes(line)).length;
  }
}

test('when the thread of the index dies, the next one knows and does all that was asked of it', async (t) => {
  const fragile = new Fragile(t);
  const box = await Box.make();
  const folder = await inbox(await box.open({ indexThread: fragile.thread }));
  const uids = [];
  for (let i = 0; i < 50; i++) uids.push(await append(folder, mail(`first ${i}`)));
  assert.equal((await search(folder, subject('first'))).length, 50);
  await fragile.end();
  await folder.storeFlags([uids[1]!], { mode: 'add', flags: ['\\Flagged'] });
  await folder.storeFlags([uids[2]!], { mode: 'add', flags: ['\\Deleted'] });
  await folder.expunge();
  const later = await append(folder, mail('later'));
  assert.match((await record(folder, uids[0]!, { envelope: true }))!.envelope!, /first 0/, 'what is known is there');
  const searching = search(folder, subject('later'));
  await fragile.scheduler.advance(100);
  assert.deepEqual(await searching, [later]);
  assert.equal(fragile.workers.length, 2);
  assert.equal(fragile.count('mailbox.index-thread-died'), 1);
  const { highestModSeq } = folder;
  const again = await inbox(await box.restart());
  assert.equal(again.highestModSeq, highestModSeq, 'the index had noted everything');
  assert.deepEqual(await search(again, subject('first 2')), uids.slice(20, 30), 'all but the one that was removed');
  assert.deepEqual(flags(again, uids[1]!), ['\\Flagged']);
});

test('a folder that was never opened is read without waiting for the thread, which may have died', async (t) => {
  const fragile = new Fragile(t);
  const box = await Box.make();
  const store = await box.open({ indexThread: fragile.thread });
  await append(await inbox(store), mail('before'));
  await fragile.end();
  await rm(box.indexFile, { force: true });
  for (const sub of ['cur', 'new', 'tmp']) await mkdir(join(box.maildir, '.Fresh', sub), { recursive: true });
  await writeFile(join(box.maildir, '.Fresh', 'cur', '1700000000.one:2,S'), mail('fresh'));
  const folder = (await store.folder('Fresh'))!;
  assert.deepEqual([...folder.uids], [1]);
  assert.ok(folder.highestModSeq > 0);
  assert.match((await record(folder, 1, { envelope: true }))!.envelope!, /fresh/);
  assert.match(await read(folder, 1), /Hello/);
  const found = search(folder, subject('fresh'));
  await fragile.scheduler.advance(100);
  assert.deepEqual(await found, [1]);
  assert.equal(fragile.workers.length, 2);
});

for (const [death, options] of [
  ['deadly', { entry: DYING }],
  ['hungry', { entry: DYING, oldMb: 64 }],
] as const) {
  test(`a ${death} mail is left out after the second death, and all others are read`, async (t) => {
    const fragile = new Fragile(t, options);
    const box = await Box.make();
    const store = await box.open({ indexThread: fragile.thread });
    const folder = await inbox(store);
    const before = await append(folder, mail('before'));
    // A small mail is read by whoever asks for it: this one is left to the thread.
    const large = mail('large', `${'x'.repeat(998)}\r\n`.repeat(100));
    await writeFile(join(box.maildir, 'new', `1700000000.${death}`), large);
    await folder.sync();
    const after = await append(folder, mail('after'));
    const found = search(folder, subject('after'));
    await fragile.died(1);
    await fragile.scheduler.advance(100);
    await fragile.died(2);
    await fragile.scheduler.advance(200);
    assert.deepEqual(await found, [after]);
    assert.equal(fragile.workers.length, 3);
    assert.equal(fragile.count('mailbox.unreadable'), 1);
    assert.equal(folder.uids.length, 3);
    assert.match((await record(folder, before, { envelope: true }))!.envelope!, /before/);
    if (death === 'hungry') assert.equal(fragile.count('memory limit'), 2);
  });
}

test('a thread that does not come to an end with a mail is ended', async (t) => {
  const fragile = new Fragile(t, { entry: DYING });
  const box = await Box.make();
  const folder = await inbox(await box.open({ indexThread: fragile.thread }));
  await append(folder, mail('before'));
  await search(folder, subject('before'));
  await writeFile(join(box.maildir, 'new', '1700000000.endless'), mail('x'));
  await folder.sync();
  const found = search(folder, subject('before'));
  for (const [death, wait] of [
    [1, 100],
    [2, 200],
  ] as const) {
    while (fragile.count('mailbox.index-thread-died') < death) await fragile.scheduler.advance(60_000);
    await fragile.scheduler.advance(wait);
  }
  assert.equal((await found).length, 1);
  assert.equal(fragile.count('does not end'), 2);
  assert.equal(fragile.count('mailbox.unreadable'), 1);
});

test('a question fails when the thread dies again and again, and stopping waits for none', async (t) => {
  const fragile = new Fragile(t);
  const box = await Box.make();
  const folder = await inbox(await box.open({ indexThread: fragile.thread }));
  const uid = await append(folder, mail('one'));
  assert.deepEqual(await search(folder, subject('one')), [uid]);
  const asked = search(folder, subject('one'));
  const failed = assert.rejects(asked, /the thread of the index died/);
  let wait = 100;
  for (let deaths = 1; deaths <= 3; deaths++) {
    await fragile.end();
    if (deaths < 3) await fragile.scheduler.advance(wait);
    wait *= 2;
  }
  await failed;
  await box.stop();
});

test('a search fails while the index cannot be written, and finds all when it can again', async (t) => {
  const fragile = new Fragile(t, { entry: DYING });
  const box = await Box.make();
  const folder = await inbox(await box.open({ indexThread: fragile.thread }));
  const before = await append(folder, mail('before'));
  await search(folder, subject('before'));
  await writeFile(`${box.indexFile}.full`, '');
  const after = await append(folder, mail('after'));
  await assert.rejects(search(folder, subject('after')), { code: 'unavailable' });
  assert.match((await record(folder, after, { envelope: true }))!.envelope!, /after/, 'it can be read');
  await folder.storeFlags([before], { mode: 'add', flags: ['\\Seen'] });
  await rm(`${box.indexFile}.full`);
  await folder.storeFlags([after], { mode: 'add', flags: ['\\Seen'] }); // any news for the thread makes it try again
  const found = async (): Promise<number[]> => search(folder, subject('after')).catch(found); // news of before
  assert.deepEqual(await found(), [after]);
  assert.equal(fragile.count('mailbox.index-failed'), 1, 'told once');
  const { highestModSeq } = folder;
  const again = await inbox(await box.restart());
  assert.equal(again.highestModSeq, highestModSeq, 'what could not be noted has been noted');
  assert.deepEqual(flags(again, before), ['\\Seen']);
});

test('a damaged index is made anew while the daemon runs, and no mail is taken for another', async (t) => {
  const fragile = new Fragile(t);
  const box = await Box.make();
  const store = await box.open({ indexThread: fragile.thread, files: unsynced });
  const folder = await inbox(store);
  for (let i = 0; i < 200; i++) await append(folder, mail(`mail ${i}`, 'y'.repeat(2_000)));
  const uids = [...folder.uids];
  assert.equal((await search(folder, subject('mail'))).length, 200);
  const { next } = listen(folder);
  const gone = next('gone');
  const file = openSync(box.indexFile, 'r+');
  writeSync(file, Buffer.alloc(statSync(box.indexFile).size - 16_384, 0xff), 0, undefined, 16_384);
  const write = openSync(`${box.indexFile}-wal`, 'r+');
  writeSync(write, Buffer.alloc(statSync(`${box.indexFile}-wal`).size, 0xff));
  await assert.rejects(record(folder, uids[0]!, { envelope: true }), /malformed|not a database/);
  await gone;
  const again = await inbox(store);
  assert.notEqual(again, folder);
  assert.deepEqual([...again.uids], uids);
  for (const n of [0, 99, 199]) {
    const { envelope } = (await record(again, uids[n]!, { envelope: true }))!;
    assert.match(envelope!, new RegExp(`mail ${n}"`));
  }
  assert.equal((await search(again, subject('mail'))).length, 200);
  assert.equal(fragile.workers.length, 1);
});
