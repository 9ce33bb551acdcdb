import assert from 'node:assert/strict';
import { existsSync, rmSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { realFiles } from '../../src/base/files.ts';
import { checkedName, nameOf, placeOf } from '../../src/mailbox/folder-name.ts';
import type { MaildirStore } from '../../src/mailbox/mail-store.ts';
import { MailboxError } from '../../src/mailbox/types.ts';
import { FailingFiles } from '../../src/testing/failing-files.ts';
import { VirtualScheduler } from '../../src/testing/virtual-scheduler.ts';
import { append, Box, flags, inbox, listen, mail, read, unsynced } from './harness.ts';

const rejects = (work: Promise<unknown>, code: string): Promise<void> =>
  assert.rejects(work, (error: unknown) => error instanceof MailboxError && error.code === code);

async function names(store: MaildirStore): Promise<string[]> {
  return (await store.folders()).map(({ name, noSelect }) => (noSelect ? `(${name})` : name));
}

test('Sent, Drafts, Trash, Junk and Archive are there from the start with their uses, once', async () => {
  const box = await Box.make();
  let store = await box.open();
  const uses = (await store.folders()).map(({ name, specialUse }) => [name, specialUse]);
  assert.deepEqual(uses, [
    ['INBOX', undefined],
    ['Archive', '\\Archive'],
    ['Drafts', '\\Drafts'],
    ['Junk', '\\Junk'],
    ['Sent', '\\Sent'],
    ['Trash', '\\Trash'],
  ]);
  await store.delete('Junk');
  store = await box.restart();
  assert.deepEqual(await names(store), ['INBOX', 'Archive', 'Drafts', 'Sent', 'Trash']);
  const made = await store.create('Spam', '\\Junk');
  assert.equal(made.specialUse, '\\Junk');
  await rejects(store.create('More', '\\Sent'), 'cannot');
});

test('folders are made with the levels above, renamed with what is below, and keep UIDs and id', async () => {
  const box = await Box.make();
  let store = await box.open();
  await store.create('Work/2026/März');
  const folder = (await store.folder('Work/2026/März'))!;
  await append(folder, mail('x'));
  const { mailboxId, uidValidity } = folder;
  await store.rename('Work/2026', 'Old/last.year');
  assert.deepEqual(
    (await names(store)).filter((name) => /Work|Old/.test(name)),
    ['Old', 'Old/last.year', 'Old/last.year/März', 'Work'],
  );
  store = await box.restart();
  const again = (await store.folder('Old/last.year/März'))!;
  assert.deepEqual([again.mailboxId, again.uidValidity, [...again.uids]], [mailboxId, uidValidity, [1]]);
  assert.ok((await readdir(box.maildir)).includes('.Old.last&AC4-year.M&AOQ-rz'));
  await rejects(store.rename('Old', 'Old/below'), 'cannot');
  await rejects(store.rename('Old', 'Sent'), 'already-exists');
  await rejects(store.rename('None', 'x'), 'nonexistent');
});

test('who has a folder open keeps it when another renames it, and what is under way there goes on', async () => {
  const box = await Box.make();
  let store = await box.open();
  await store.create('Work/2026');
  const folder = (await store.folder('Work/2026'))!;
  const heard = listen(folder);
  const first = await append(folder, mail('first'));
  const text = Buffer.from(mail('under way'));
  const underWay = await folder.append({ flags: ['Urgent'], internalDateMs: undefined, size: text.length });
  await underWay.write(text.subarray(0, 10));
  const reading = (await folder.open(first))!;
  await store.rename('Work', 'Old');
  assert.equal(folder.name, 'Old/2026');
  assert.equal(await store.folder('Old/2026'), folder);
  assert.equal(await store.folder('Work/2026'), undefined);
  await underWay.write(text.subarray(10));
  const [second] = await folder.commit([underWay]);
  assert.equal(reading.size, mail('first').length);
  await reading.close();
  assert.equal(await read(folder, first), mail('first'));
  await folder.storeFlags([first], { mode: 'add', flags: ['\\Flagged', 'Urgent'] });
  const added = heard.next('added');
  await writeFile(join(box.maildir, '.Old.2026', 'new', '1800000000.other'), mail('of another program'));
  const third = (await added) as { uids: Uint32Array };
  await append(folder, mail('fourth'));
  const uids = [first, second!, ...third.uids, ...folder.uids.slice(-1)];
  assert.deepEqual([...folder.uids], uids);
  assert.ok(heard.changes.every(({ kind }) => kind !== 'gone'));
  store = await box.restart();
  const again = (await store.folder('Old/2026'))!;
  assert.deepEqual([...again.uids], uids);
  assert.deepEqual(flags(again, first), ['\\Flagged', 'Urgent']);
});

test('a crash at any step of a rename leaves all folders under their old names or all under the new ones', async () => {
  for (let crashAt = 1, crashed = true; crashed; crashAt++) {
    const box = await Box.make();
    const files = new FailingFiles(unsynced);
    const store = await box.open({ files });
    await store.create('Archive/2025');
    await store.create('Archive/2025/March');
    await append((await store.folder('Archive/2025'))!, mail('kept'));
    files.crashAt = files.step + crashAt;
    crashed = await store.rename('Archive', 'Old/Papers').then(
      () => false,
      () => true,
    );
    await box.stop();
    const again = await box.open({ files: unsynced });
    const there = (await again.folders()).filter(({ name }) => /Archive|Papers/.test(name));
    const top = there[0]!.name;
    assert.ok(crashed ? /^(Archive|Old\/Papers)$/.test(top) : top === 'Old/Papers', `crash at ${crashAt}: ${top}`);
    assert.deepEqual(
      there.map(({ name, specialUse, noSelect }) => [name.slice(top.length), specialUse, noSelect]),
      [
        ['', '\\Archive', false],
        ['/2025', undefined, false],
        ['/2025/March', undefined, false],
      ],
      `crash at ${crashAt}`,
    );
    assert.equal((await again.folder(`${top}/2025`))!.uids.length, 1);
    assert.ok(!(await readdir(box.maildir)).includes('toxmail-rename'));
    await box.stop();
    assert.ok(crashed || crashAt > 12, 'steps');
  }
});

test('a rename that fails half-way is taken back', async () => {
  const box = await Box.make();
  const files = new FailingFiles(realFiles);
  const store = await box.open({ files });
  for (const name of ['a/b', 'a/c']) await store.create(name);
  const before = await names(store);
  let renames = 0;
  files.fail = (operation, path) =>
    operation === 'rename' && path.includes('/.a') && ++renames === 3 ? new Error('the disk fails') : undefined;
  await assert.rejects(store.rename('a', 'z'), /the disk fails/);
  assert.deepEqual(await names(store), before);
  await store.rename('a', 'z');
  assert.deepEqual(
    await names(await box.restart()),
    before
      .map((name) => name.replace(/^a/, 'z'))
      .toSorted((a, b) => (a === 'INBOX' ? -1 : b === 'INBOX' ? 1 : a < b ? -1 : 1)),
  );
});

test('a folder is not renamed to where one of those below it would meet another', async () => {
  const box = await Box.make();
  const store = await box.open();
  for (const name of ['a/c', 'a/d', 'b/d']) await store.create(name);
  await store.delete('b');
  const before = await names(store);
  await rejects(store.rename('a', 'b'), 'already-exists');
  await rejects(store.rename('a', 'new/../a'), 'bad-name');
  assert.deepEqual(await names(store), before);
});

test('a mail that takes minutes to come gets a UID of its own, however busy the folder is meanwhile', async () => {
  const box = await Box.make();
  const scheduler = new VirtualScheduler();
  let store = await box.open({ scheduler });
  const slow = (await store.folder('Sent'))!;
  const text = Buffer.from(mail('slow'));
  const pending = await slow.append({ flags: [], internalDateMs: undefined, size: text.length });
  await scheduler.advance(300_000);
  const told = new Map<number, string>();
  told.set(await append((await store.folder('Sent'))!, mail('quick')), 'quick');
  await pending.write(text);
  told.set((await slow.commit([pending]))[0]!, 'slow');
  assert.equal(told.size, 2);
  store = await box.restart({ scheduler });
  const folder = (await store.folder('Sent'))!;
  for (const [uid, subject] of told) assert.match(await read(folder, uid), new RegExp(`Subject: ${subject}`));
  await scheduler.advance(300_000);
  assert.notEqual(await store.folder('Sent'), folder, 'nobody uses it any more');
});

test('a deleted folder goes with its mails; what is below stays; made again it has another UIDVALIDITY', async () => {
  const box = await Box.make();
  const store = await box.open();
  await store.create('a/b');
  const folder = (await store.folder('a'))!;
  await append(folder, mail('x'));
  const { uidValidity, mailboxId } = folder;
  await store.delete('a');
  assert.deepEqual(
    (await names(store)).filter((name) => name.includes('a/b') || name.includes('(a)')),
    ['(a)', 'a/b'],
  );
  assert.equal(await store.folder('a'), undefined);
  assert.deepEqual(await readdir(join(box.maildir, 'tmp')), []);
  await store.create('a');
  const again = (await store.folder('a'))!;
  assert.equal(again.uids.length, 0);
  assert.ok(again.uidValidity > uidValidity);
  assert.notEqual(again.mailboxId, mailboxId);
  await rejects(store.delete('INBOX'), 'cannot');
});

test('a folder that is removed while a session opens it does not come back', async () => {
  const box = await Box.make();
  const files = new FailingFiles(unsynced);
  const work = join(box.maildir, '.Work');
  const steps: string[] = [];
  for (let at = 1; at === 1 || steps.length === at - 1; at++) {
    files.fail = () => undefined;
    await (await box.restart({ files })).create('Work');
    const store = await box.restart({ files });
    let step = 0;
    files.fail = (operation, path) => {
      if (!path.startsWith(work) || ++step !== at) return undefined;
      steps.push(operation);
      rmSync(work, { recursive: true });
      return undefined;
    };
    await store.folder('Work').then((folder) => folder?.sync());
    assert.equal(existsSync(work), steps.length < at, `step ${at}, ${steps[at - 1]}`);
  }
  assert.ok(steps.length > 5);
});

test('what was to go to a folder that was deleted does not end in one of the same name', async () => {
  const box = await Box.make();
  const store = await box.open({ files: unsynced });
  const source = await inbox(store);
  const uid = await append(source, mail('x'));
  await store.create('Work');
  const old = (await store.folder('Work'))!;
  for (let i = 0; i < 3; i++) await append(old, mail('old'));
  await store.delete('Work');
  await store.create('Work');
  const folder = (await store.folder('Work'))!;
  const first = await append(folder, mail('new'));
  const list = await readFile(join(box.maildir, '.Work', 'toxmail-uidlist'), 'utf8');
  await rejects(source.copy([uid], old), 'nonexistent');
  await rejects(source.move([uid], old), 'nonexistent');
  assert.deepEqual([...source.uids], [uid]);
  await rejects(append(old, mail('late')), 'nonexistent');
  assert.equal(await readFile(join(box.maildir, '.Work', 'toxmail-uidlist'), 'utf8'), list);
  await folder.sync();
  assert.deepEqual([...folder.uids], [first]);
  assert.deepEqual(await box.names('.Work'), [`cur/${folder.uniqueAt(0)}:2,`]);
});

test('INBOX is the one inbox in any case; renamed, its mails go and it stays', async () => {
  const box = await Box.make();
  const store = await box.open();
  assert.equal(await store.folder('inbox'), await store.folder('INBOX'));
  const folder = await inbox(store);
  await append(folder, mail('x'));
  await store.rename('Inbox', 'Saved');
  assert.equal(folder.uids.length, 0);
  assert.equal((await store.folder('Saved'))!.uids.length, 1);
});

test('folders that other programs make are there', async () => {
  const box = await Box.make();
  const store = await box.open();
  for (const sub of ['cur', 'new', 'tmp']) await mkdir(join(box.maildir, '.Lists.Tox', sub), { recursive: true });
  assert.deepEqual(
    (await names(store)).filter((name) => name.includes('Lists')),
    ['(Lists)', 'Lists/Tox'],
  );
  assert.equal((await store.folder('Lists/Tox'))!.uids.length, 0);
});

test('subscriptions survive a restart, also to folders that are no more', async () => {
  const box = await Box.make();
  let store = await box.open();
  await store.subscribe('Gone/ünd\ttab'.replace('\t', ' '), true);
  await store.subscribe('Junk', false);
  store = await box.restart();
  assert.ok(store.subscriptions().includes('Gone/ünd tab'));
  assert.ok(!store.subscriptions().includes('Junk'));
});

test('STATUS counts what is there', async () => {
  const box = await Box.make();
  const store = await box.open();
  const folder = await inbox(store);
  await append(folder, mail('x'), ['\\Seen', '\\Deleted']);
  await append(folder, mail('y'));
  const { messages, unseen, deleted, size, uidNext } = (await store.status('INBOX'))!;
  assert.deepEqual(
    { messages, unseen, deleted, size, uidNext },
    { messages: 2, unseen: 1, deleted: 1, size: 2 * mail('x').length, uidNext: 3 },
  );
  assert.equal(await store.status('None'), undefined);
});

test('names of folders go to the disk and back; bad ones are refused', () => {
  for (const name of ['INBOX', 'Sent', 'a/b.c/d', '日本語/&x', 'R&D', '~', 'ä.ö']) {
    assert.equal(name === 'INBOX' ? 'INBOX' : nameOf(placeOf(name)), name);
  }
  assert.equal(nameOf('.Entwürfe'), 'Entwürfe');
  assert.equal(nameOf('.&AMQ-.x'), 'Ä/x');
  for (const place of ['x', '.', '..', '.a..b', '.a.\n']) assert.equal(nameOf(place), undefined, place);
  for (const name of [
    '',
    '/',
    'a//b',
    'a/',
    ' a',
    'a\nb',
    'a\0',
    'x'.repeat(300),
    'a/'.repeat(30),
    '*',
    '.',
    '..',
    '\ud800',
  ])
    assert.throws(() => checkedName(name), MailboxError, JSON.stringify(name));
  assert.equal(checkedName('inbox/x'), 'INBOX/x');
  assert.equal(checkedName('A\u0308'), 'Ä');
});
