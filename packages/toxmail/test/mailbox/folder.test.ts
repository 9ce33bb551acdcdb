import assert from 'node:assert/strict';
import { renameSync } from 'node:fs';
import { copyFile, rename, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { errorCode } from '../../src/base/files.ts';
import type { MailFolder } from '../../src/mailbox/folder.ts';
import type { MailIndex } from '../../src/mailbox/index/mail-index.ts';
import { MailboxError } from '../../src/mailbox/types.ts';
import { FailingFiles, systemError } from '../../src/testing/failing-files.ts';
import { VirtualScheduler } from '../../src/testing/virtual-scheduler.ts';
import { append, Box, flags, inbox, listen, mail, read, record, search, unsynced } from './harness.ts';

test('an appended mail has its UID, flags, date and bytes, and is a file that any Maildir program reads', async () => {
  const box = await Box.make();
  const folder = await inbox(await box.open());
  const date = Date.UTC(2020, 1, 2, 3, 4, 5);
  const uid = await append(folder, mail('one'), ['\\Seen', '$Label1'], date);
  assert.equal(uid, 1);
  assert.deepEqual(flags(folder, uid), ['\\Seen', '$Label1']);
  assert.equal(await read(folder, uid), mail('one'));
  const [name] = await box.names();
  assert.match(name!, /^cur\/\d+\.M\d+P\d+Q\d+R[0-9a-f]+\..*,S=\d+,W=\d+:2,Sa$/);
  assert.equal((await stat(join(box.maildir, name!))).mtimeMs, date);
  const { size, internalDateMs } = (await record(folder, uid, {}))!;
  assert.equal(size, mail('one').length);
  assert.equal(internalDateMs, date);
});

test('UIDs, UIDVALIDITY, flags, keywords, dates and mod-sequences are the same after a restart', async () => {
  const box = await Box.make();
  let folder = await inbox(await box.open());
  const seen = await append(folder, mail('one'), ['\\Seen'], 1_000_000_000_000);
  const forwarded = await append(folder, mail('two'), ['$Forwarded', 'Work']);
  const state = (): unknown => ({
    validity: folder.uidValidity,
    next: folder.uidNext,
    id: folder.mailboxId,
    highest: folder.highestModSeq,
    mails: [...folder.uids].map((uid, i) => [uid, flags(folder, uid), folder.modSeqAt(i), folder.savedAtAt(i)]),
  });
  await record(folder, seen, {});
  await record(folder, forwarded, {});
  const before = state();
  folder = await inbox(await box.restart());
  assert.deepEqual(state(), before);
  assert.equal((await record(folder, seen, {}))?.internalDateMs, 1_000_000_000_000);
});

test('without its index a mailbox has the same UIDs, and mod-sequences that no client has seen', async () => {
  const box = await Box.make();
  let folder = await inbox(await box.open());
  for (const subject of ['one', 'two', 'three']) await append(folder, mail(subject));
  await folder.remove([2]);
  const { uidValidity, mailboxId, highestModSeq } = folder;
  const { emailId, threadId } = (await record(folder, 3, { objectIds: true }))!;
  await box.stop();
  await rm(box.indexFile);
  folder = await inbox(await box.open());
  assert.deepEqual([...folder.uids], [1, 3]);
  assert.deepEqual([folder.uidValidity, folder.mailboxId], [uidValidity, mailboxId]);
  assert.ok(folder.modSeqAt(0) > highestModSeq);
  assert.deepEqual(await record(folder, 3, { objectIds: true }).then((r) => [r?.emailId, r?.threadId]), [
    emailId,
    threadId,
  ]);
  assert.deepEqual(
    await folder.expungedSince(highestModSeq),
    [
      [2, 2],
      [4, folder.uidNext - 1],
    ].filter(([from, to]) => from! <= to!),
  );
});

test('what another Maildir program adds, flags, moves and removes is told at once', async () => {
  const box = await Box.make();
  const folder = await inbox(await box.open());
  const heard = listen(folder);
  const added = heard.next('added');
  await writeFile(join(box.maildir, 'new', '1700000000.M1P2.other'), mail('from another'));
  assert.deepEqual([...((await added) as { uids: Uint32Array }).uids], [1]);

  const flagged = heard.next('flags');
  await rename(
    join(box.maildir, 'new', '1700000000.M1P2.other'),
    join(box.maildir, 'cur', '1700000000.M1P2.other:2,FS'),
  );
  await flagged;
  assert.deepEqual(flags(folder, 1), ['\\Seen', '\\Flagged']);
  assert.equal(await read(folder, 1), mail('from another'));

  const expunged = heard.next('expunged');
  await unlink(join(box.maildir, 'cur', '1700000000.M1P2.other:2,FS'));
  assert.deepEqual([...((await expunged) as { uids: Uint32Array }).uids], [1]);
  assert.deepEqual([...folder.uids], []);
});

test('what others did while nothing ran is found at the start', async () => {
  const box = await Box.make();
  let folder = await inbox(await box.open());
  for (const subject of ['one', 'two', 'three']) await append(folder, mail(subject));
  const before = folder.highestModSeq;
  await box.stop();
  const [one, two] = await box.names();
  await rename(join(box.maildir, one!), join(box.maildir, `${one}RS`));
  await unlink(join(box.maildir, two!));
  await writeFile(join(box.maildir, 'cur', '1600000000.other:2,'), mail('old'));
  folder = await inbox(await box.open());
  assert.equal(folder.uids.length, 3);
  assert.deepEqual(flags(folder, 1), ['\\Seen', '\\Answered']);
  assert.ok(folder.modSeqAt(0) > before);
  assert.ok(folder.uids[2]! > 3, 'the old mail is new here');
  assert.deepEqual(await folder.expungedSince(before), [[2, 2]]);
});

test('a mail of new/ is moved to cur/ when a client takes it, and keeps its UID', async () => {
  const box = await Box.make();
  await box.open();
  await writeFile(join(box.maildir, 'new', '1700000000.M1P2.other'), mail('x'));
  const folder = await inbox(await box.restart());
  assert.deepEqual([...folder.uids], [1]);
  await folder.takeNew();
  assert.deepEqual(await box.names(), ['cur/1700000000.M1P2.other:2,']);
  assert.deepEqual([...folder.uids], [1]);
  assert.equal(await read(folder, 1), mail('x'));
});

test('STORE changes what is asked, tells whom it concerns, and heeds UNCHANGEDSINCE', async () => {
  const box = await Box.make();
  const folder = await inbox(await box.open());
  for (const subject of ['one', 'two']) await append(folder, mail(subject), ['\\Draft']);
  const heard = listen(folder);
  const by = {};
  const first = await folder.storeFlags([1, 2, 99], { mode: 'add', flags: ['\\Seen', 'Later'], by });
  assert.deepEqual([...first.changed], [1, 2]);
  assert.deepEqual(flags(folder, 1), ['\\Seen', '\\Draft', 'Later']);
  assert.deepEqual(heard.changes, [{ kind: 'flags', uids: Uint32Array.of(1, 2), modSeq: first.modSeq, by }]);

  const same = await folder.storeFlags([1], { mode: 'add', flags: ['\\Seen'] });
  assert.equal(same.changed.length, 0);
  const late = await folder.storeFlags([1, 2], { mode: 'replace', flags: [], unchangedSince: first.modSeq - 1 });
  assert.deepEqual([[...late.changed], [...late.modified]], [[], [1, 2]]);
  await folder.storeFlags([2], { mode: 'remove', flags: ['later', 'unheard-of'] });
  assert.deepEqual(flags(folder, 2), ['\\Seen', '\\Draft']);
  await folder.storeFlags([2], { mode: 'replace', flags: [] });
  assert.deepEqual(flags(folder, 2), []);
});

test('keywords stand in the file that Dovecot knows; the 27th is refused, unless one is out of use', async () => {
  const box = await Box.make();
  const folder = await inbox(await box.open());
  await append(folder, mail('x'));
  const names = Array.from({ length: 26 }, (_, n) => `word${n}`);
  await folder.storeFlags([1], { mode: 'add', flags: names });
  assert.equal(folder.canAddKeywords, false);
  await assert.rejects(
    folder.storeFlags([1], { mode: 'add', flags: ['more'] }),
    (error: unknown) => error instanceof MailboxError && error.code === 'limit',
  );
  await folder.storeFlags([1], { mode: 'remove', flags: ['word3'] });
  await folder.storeFlags([1], { mode: 'add', flags: ['more'] });
  assert.ok(flags(folder, 1).includes('more') && !flags(folder, 1).includes('word3'));
  const again = await inbox(await box.restart());
  assert.deepEqual(new Set(flags(again, 1)), new Set([...names.filter((name) => name !== 'word3'), 'more']));
});

test('a copy is a mail of its own with the same flags, date and EMAILID', async () => {
  const box = await Box.make();
  const store = await box.open();
  const folder = await inbox(store);
  const sent = (await store.folder('Sent'))!;
  await append(sent, mail('before'), ['other-keyword']);
  await append(folder, mail('x'), ['\\Flagged', 'Work'], 1_500_000_000_000);
  const original = await record(folder, 1, { objectIds: true });
  const { source, target } = await folder.copy([1, 7], sent);
  assert.deepEqual([[...source], [...target]], [[1], [2]]);
  assert.deepEqual(flags(sent, 2), ['\\Flagged', 'Work']);
  assert.equal(await read(sent, 2), mail('x'));
  const copy = await record(sent, 2, { objectIds: true });
  assert.deepEqual({ ...copy, uid: 1 }, original);
  await folder.remove([1]);
  assert.equal(await read(sent, 2), mail('x'));
});

test('a moved mail leaves one folder and is in the other, and both tell so', async () => {
  const box = await Box.make();
  const store = await box.open();
  const folder = await inbox(store);
  const trash = (await store.folder('Trash'))!;
  for (const subject of ['one', 'two', 'three']) await append(folder, mail(subject), ['Work']);
  const here = listen(folder);
  const there = listen(trash);
  const pairs = await folder.move([1, 3], trash);
  assert.deepEqual(
    [[...pairs.source], [...pairs.target]],
    [
      [1, 3],
      [1, 2],
    ],
  );
  assert.deepEqual([...folder.uids], [2]);
  assert.deepEqual(
    here.changes.map(({ kind }) => kind),
    ['expunged'],
  );
  assert.deepEqual(
    there.changes.map(({ kind }) => kind),
    ['added'],
  );
  assert.deepEqual(flags(trash, 1), ['Work']);
  assert.equal(await read(trash, 2), mail('three'));
});

test('mails that cannot go where they should stay where they are, with their UIDs', async () => {
  const box = await Box.make();
  const store = await box.open();
  const folder = await inbox(store);
  const archive = (await store.folder('Archive'))!;
  await append(folder, mail('one'));
  await append(folder, mail('two'));
  const { changes } = listen(folder);
  await rm(join(box.maildir, '.Archive'), { recursive: true });
  for (const work of [() => folder.move([1, 2], archive), () => folder.copy([1], archive)]) {
    await assert.rejects(work());
    assert.deepEqual([...folder.uids], [1, 2]);
  }
  assert.deepEqual(changes, []);
});

test('keywords that come from several folders at once are each one keyword', async () => {
  const box = await Box.make();
  let store = await box.open();
  const archive = (await store.folder('Archive'))!;
  const sources: MailFolder[] = [];
  for (const name of ['INBOX', 'Sent', 'Drafts', 'Junk']) {
    const folder = (await store.folder(name))!;
    await append(folder, mail(name), [`Of${name}`]);
    sources.push(folder);
  }
  await Promise.all(sources.map((folder) => folder.copy([1], archive)));
  store = await box.restart();
  const folder = (await store.folder('Archive'))!;
  for (const uid of folder.uids) {
    const [, subject] = /Subject: (.*)\r/.exec(await read(folder, uid))!;
    assert.deepEqual(flags(folder, uid), [`Of${subject}`]);
  }
  assert.equal(folder.uids.length, 4);
});

test('two that move the same mail at the same time end with one mail in one place', async () => {
  const box = await Box.make();
  const store = await box.open();
  const other = await box.open(); // another program, as far as the files go
  const folder = await inbox(store);
  const foreign = await inbox(other);
  const uid = await append(folder, mail('x'));
  await foreign.sync();
  const archive = (await store.folder('Archive'))!;
  const junk = (await other.folder('Junk'))!;
  await Promise.all([folder.move([uid], archive), foreign.move([...foreign.uids], junk)]);
  await Promise.all([folder.sync(), foreign.sync()]);
  assert.equal(archive.uids.length + junk.uids.length, 1);
  assert.deepEqual([...folder.uids], []);
  assert.equal((await box.names('.Archive')).length + (await box.names('.Junk')).length, 1);
});

test('EXPUNGE removes what is marked, of the UIDs given, and QRESYNC clients hear of it later', async () => {
  const box = await Box.make();
  const folder = await inbox(await box.open());
  for (const subject of ['one', 'two', 'three', 'four']) await append(folder, mail(subject));
  await folder.storeFlags([1, 2, 4], { mode: 'add', flags: ['\\Deleted'] });
  const before = folder.highestModSeq;
  assert.deepEqual([...(await folder.expunge([2, 3]))], [2]);
  assert.deepEqual([...(await folder.expunge())], [1, 4]);
  assert.deepEqual([...folder.uids], [3]);
  assert.deepEqual(await folder.expungedSince(before), [
    [1, 2],
    [4, 4],
  ]);
  assert.equal((await box.names()).length, 1);
});

test('nobody hears that mails are gone before a power cut could not bring them back', async () => {
  const box = await Box.make();
  let synced = 0;
  const syncFolder = async (): Promise<void> => void synced++;
  const folder = await inbox(await box.open({ files: { ...unsynced, syncFolder } }));
  await append(folder, mail('one'), ['\\Deleted']);
  const before = synced;
  const heard: number[] = [];
  folder.changes(({ kind }) => kind === 'expunged' && heard.push(synced));
  assert.deepEqual([...(await folder.expunge())], [1]);
  assert.deepEqual(heard, [before + 1]);
});

test('a client that saw a mail hears that it has gone, also if a crash let the index never know of it', async () => {
  const box = await Box.make();
  const store = await box.open({
    onIndex: (index) => {
      index.add = () => {};
      index.expunged = () => {};
    },
  });
  let folder = await inbox(store);
  const uid = await append(folder, mail('x'));
  const seen = folder.highestModSeq;
  await folder.remove([uid]);
  folder = await inbox(await box.restart());
  assert.deepEqual(await folder.expungedSince(seen), [[uid, uid]]);
  const told = folder.highestModSeq;
  folder = await inbox(await box.restart());
  assert.deepEqual(await folder.expungedSince(told), [], 'once');
});

test('what another program does to a mail just before us is not undone', async () => {
  const box = await Box.make();
  const files = new FailingFiles(unsynced);
  const folder = await inbox(await box.open({ files }));
  const uids = [];
  for (const n of [1, 2]) uids.push(await append(folder, mail(String(n)), n === 1 ? [] : ['\\Deleted']));
  const others = async (operation: string, from: string, to: string): Promise<void> => {
    const name = (await box.names()).find((each) => each.endsWith(from))!;
    let done = false;
    files.fail = (each, path) => {
      if (each === operation && path.endsWith(name) && !done) {
        done = true;
        renameSync(join(box.maildir, name), join(box.maildir, name.slice(0, -from.length) + to));
      }
      return undefined;
    };
  };
  await others('rename', ':2,', ':2,F');
  await folder.storeFlags([uids[0]!], { mode: 'add', flags: ['\\Seen'] });
  assert.deepEqual(flags(folder, uids[0]!), ['\\Seen', '\\Flagged']);
  await others('unlink', ':2,T', ':2,');
  assert.deepEqual([...(await folder.expunge())], []);
  assert.deepEqual([...folder.uids], uids, 'a mail that is no longer to be deleted stays');
  assert.deepEqual(
    (await box.names()).map((name) => name.replace(/.*:2,/, '')),
    ['FS', ''],
  );
});

test('several mails of one APPEND come all or none', async () => {
  const box = await Box.make();
  const folder = await inbox(await box.open());
  const mails = [];
  for (const subject of ['one', 'two']) {
    const each = await folder.append({ flags: [], internalDateMs: undefined, size: 100 });
    await each.write(Buffer.from(mail(subject)));
    mails.push(each);
  }
  assert.deepEqual([...folder.uids], []);
  assert.deepEqual([...(await folder.commit(mails))], [1, 2]);
  assert.equal(await read(folder, 2), mail('two'));
});

test('a mailbox that is full takes no more, and the size of what is there is known', async () => {
  const box = await Box.make();
  const store = await box.open({ quota: () => 300 });
  const folder = await inbox(store);
  await append(folder, mail('x', 'a'.repeat(150)));
  assert.equal((await store.quota()).messages, 1);
  await assert.rejects(
    folder.append({ flags: [], internalDateMs: undefined, size: 150 }),
    (error: unknown) => error instanceof MailboxError && error.code === 'over-quota',
  );
  const [name] = await box.names();
  await copyFile(join(box.maildir, name!), join(box.maildir, 'cur', 'copy:2,'));
  assert.equal((await store.quota()).messages, 2);
});

test('a folder that another program removes is gone for its sessions, and can be made again', async () => {
  const box = await Box.make();
  const store = await box.open();
  const folder = (await store.folder('Junk'))!;
  await append(folder, mail('x'));
  const heard = listen(folder);
  const gone = heard.next('gone');
  const [name] = await box.names('.Junk');
  await rm(join(box.maildir, '.Junk', name!));
  await folder.sync(); // that the mail has gone is noted before the folder goes
  await rm(join(box.maildir, '.Junk'), { recursive: true });
  await gone;
  assert.equal(await store.folder('Junk'), undefined);
  await store.create('Junk');
  assert.equal((await store.folder('Junk'))!.uids.length, 0);
});

test('whatever operation fails, the folder then shows what is on the disk, and goes on', async () => {
  for (let step = 1; ; step++) {
    const box = await Box.make();
    const files = new FailingFiles(unsynced);
    const store = await box.open({ files });
    const folder = await inbox(store);
    const trash = (await store.folder('Trash'))!;
    for (const subject of ['one', 'two', 'three']) await append(folder, mail(subject));
    const failAt = files.step + step;
    files.fail = () => (files.step === failAt ? systemError('EIO') : undefined);
    let failed = false;
    for (const work of [
      () => append(folder, mail('four'), ['\\Seen']),
      () => folder.storeFlags([1, 2], { mode: 'add', flags: ['\\Deleted', 'Work'] }),
      () => folder.copy([1, 3], trash),
      () => folder.move([2], trash),
      () => folder.expunge(),
    ]) {
      try {
        await work();
      } catch (error) {
        assert.equal(errorCode(error), 'EIO');
        failed = true;
      }
    }
    files.fail = () => undefined;
    await append(folder, mail('five'));
    const shown = async (of: MailFolder): Promise<unknown[]> => {
      await of.sync();
      const mails = [];
      for (const uid of of.uids) mails.push([uid, flags(of, uid).toSorted(), await read(of, uid)]);
      return mails;
    };
    const before = [await shown(folder), await shown(trash)];
    const again = await box.restart({ files: unsynced });
    const after = [await shown(await inbox(again)), await shown((await again.folder('Trash'))!)];
    assert.deepEqual(before, after, `failure at step ${step}`);
    await box.stop();
    if (!failed) break;
  }
});

test('a delivery is heard of at once, by the listeners of an open folder', async () => {
  const box = await Box.make();
  const store = await box.open();
  const folder = await inbox(store);
  const heard = listen(folder);
  const writer = await folder.state.maildir.create('00ff');
  await writer.append(Buffer.from(mail('delivered')));
  const added = heard.next('added');
  await writer.commit();
  assert.deepEqual([...((await added) as { uids: Uint32Array }).uids], [1]);
  await folder.sync();
  assert.equal(heard.changes.length, 1, 'the news of the system are not a second mail');
});

test('what we do to a new mail ourselves costs no look at all names', async () => {
  const box = await Box.make();
  const looks: string[] = [];
  const files = {
    ...unsynced,
    readdir: (path: string) => {
      looks.push(path);
      return unsynced.readdir(path);
    },
  };
  let held: (() => void)[] | undefined = [];
  const onIndex = (index: MailIndex): void => {
    const parse = index.parse.bind(index);
    index.parse = (...what) => (held ? void held.push(() => parse(...what)) : parse(...what));
  };
  const scheduler = new VirtualScheduler();
  const folder = await inbox(await box.open({ files, scheduler, onIndex }));
  const heard = listen(folder);
  const writer = await folder.state.maildir.create('00ff');
  await writer.append(Buffer.from(mail('delivered')));
  const added = heard.next('added');
  await writer.commit();
  await added;
  await folder.takeNew();
  looks.length = 0;
  for (const parse of held.splice(0)) parse(); // of the file in new/, where it is no more
  held = undefined;
  assert.deepEqual(await search(folder, { key: 'header', name: 'subject', text: 'delivered' }), [1]);
  await scheduler.advance(10_000);
  await folder.sync();
  assert.deepEqual(looks, [], 'that the folder has other times is our own doing');
  await scheduler.advance(60_000);
  await folder.sync();
  assert.equal(looks.length, 2, 'all the same they are looked at now and then');
});
