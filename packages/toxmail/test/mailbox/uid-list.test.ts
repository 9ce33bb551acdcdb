import assert from 'node:assert/strict';
import { appendFile, cp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { MailFolder } from '../../src/mailbox/folder.ts';
import { Crash, FailingFiles } from '../../src/testing/failing-files.ts';
import { VirtualScheduler } from '../../src/testing/virtual-scheduler.ts';
import { append, Box, flags, inbox, mail, read, unsynced } from './harness.ts';

const LIST = 'toxmail-uidlist';

async function subjects(folder: MailFolder): Promise<Map<number, string>> {
  const found = new Map<number, string>();
  for (const uid of folder.uids) found.set(uid, /Subject: (.*)\r/.exec(await read(folder, uid))![1]!);
  return found;
}

test('after a backup was restored no UID that may have been given out names another mail', async () => {
  const box = await Box.make();
  const scheduler = new VirtualScheduler();
  let folder = await inbox(await box.open({ scheduler }));
  await append(folder, mail('before the backup'));
  await box.stop();
  const backup = join(box.root, 'backup');
  await cp(box.maildir, backup, { recursive: true, preserveTimestamps: true });
  await cp(box.indexFile, join(box.root, 'index.backup'));

  folder = await inbox(await box.open({ scheduler }));
  await scheduler.advance(3_600_000);
  for (let n = 0; n < 100; n++) await append(folder, mail(`lost ${n}`));
  const { uidNext, uidValidity, highestModSeq } = folder;
  await box.stop();
  await rm(box.maildir, { recursive: true });
  await rm(box.indexFile);
  await cp(backup, box.maildir, { recursive: true, preserveTimestamps: true });
  await cp(join(box.root, 'index.backup'), box.indexFile);

  await scheduler.advance(60_000);
  folder = await inbox(await box.open({ scheduler }));
  assert.equal(folder.uidValidity, uidValidity);
  assert.deepEqual([...folder.uids], [1]);
  assert.ok(folder.modSeqAt(0) > highestModSeq, 'clients look at all flags again');
  assert.ok((await append(folder, mail('after'))) >= uidNext);
});

test('UIDNEXT stays what it is while no mail comes, also over restarts', async () => {
  const box = await Box.make();
  const scheduler = new VirtualScheduler();
  let folder = await inbox(await box.open({ scheduler }));
  await append(folder, mail('one'));
  await scheduler.advance(86_400_000);
  folder = await inbox(await box.restart({ scheduler }));
  assert.equal(folder.uidNext, 2);
});

test('a line that a crash cut short, and zeros of a power cut, are dropped; what was told before stays', async () => {
  const box = await Box.make();
  let folder = await inbox(await box.open());
  await append(folder, mail('one'));
  await box.stop();
  await appendFile(join(box.maildir, LIST), `\0\0\0\0\0\0\n2 T17000`);
  folder = await inbox(await box.open());
  assert.deepEqual([...folder.uids], [1]);
  await append(folder, mail('two'));
  const before = await subjects(folder);
  folder = await inbox(await box.restart());
  assert.deepEqual(await subjects(folder), before);
});

test('a list that is lost or cannot be read gives new UIDs under a new UIDVALIDITY', async () => {
  const box = await Box.make();
  const scheduler = new VirtualScheduler();
  let folder = await inbox(await box.open({ scheduler }));
  await append(folder, mail('one'));
  const { uidValidity, mailboxId } = folder;
  for (const damage of [() => rm(join(box.maildir, LIST)), () => writeFile(join(box.maildir, LIST), 'rubbish\n')]) {
    await box.stop();
    await damage();
    await scheduler.advance(1_000);
    folder = await inbox(await box.open({ scheduler }));
    assert.deepEqual([...(await subjects(folder)).values()], ['one']);
    assert.ok(folder.uidValidity > uidValidity);
    assert.notEqual(folder.mailboxId, mailboxId);
  }
});

test('a Maildir that Dovecot kept keeps its UIDs and keywords', async () => {
  const box = await Box.make();
  await box.open();
  await box.stop();
  await rm(join(box.maildir, LIST), { force: true });
  await writeFile(join(box.maildir, 'cur', '1700000000.M1P2.host,S=10,W=11:2,Sa'), mail('seventh'));
  await writeFile(join(box.maildir, 'cur', '1700000001.M1P2.host:2,'), mail('ninth'));
  await writeFile(join(box.maildir, 'dovecot-keywords'), '0 $Label3\n');
  const lines = [
    '3 V1234567 N11 Gaabbccddeeff00112233445566778899',
    '7 :1700000000.M1P2.host,S=10,W=11:2,S',
    '9 :1700000001.M1P2.host',
  ];
  await writeFile(join(box.maildir, 'dovecot-uidlist'), `${lines.join('\n')}\n`);
  const folder = await inbox(await box.open());
  assert.equal(folder.uidValidity, 1_234_567);
  assert.deepEqual(
    [...(await subjects(folder))],
    [
      [7, 'seventh'],
      [9, 'ninth'],
    ],
  );
  assert.deepEqual(flags(folder, 7), ['\\Seen', '$Label3']);
  assert.ok((await append(folder, mail('new'))) >= 11);
  assert.equal((await readFile(join(box.maildir, 'dovecot-uidlist'), 'utf8')).split('\n').length, 4, 'its file is its');
});

test('a crash at any step of a day loses no mail, and no UID ever names two mails', async () => {
  // What a client was told: UID to subject. It must hold after every crash.
  for (let crashAt = 1; ; crashAt++) {
    const box = await Box.make();
    const told = new Map<string, string>();
    const accepted: string[] = [];
    const files = new FailingFiles(unsynced);
    const note = async (folder: MailFolder): Promise<void> => {
      for (const [uid, subject] of await subjects(folder)) {
        const key = `${folder.name} ${folder.uidValidity} ${uid}`;
        assert.equal(told.get(key) ?? subject, subject, `crash at ${crashAt}: ${key}`);
        told.set(key, subject);
      }
    };
    let crashed = false;
    try {
      const store = await box.open({ files });
      const folder = await inbox(store);
      files.crashAt = files.step + crashAt;
      for (const subject of ['one', 'two', 'three']) {
        const uid = await append(folder, mail(subject), ['\\Seen']);
        accepted.push(subject);
        told.set(`INBOX ${folder.uidValidity} ${uid}`, subject);
      }
      await folder.storeFlags([1], { mode: 'add', flags: ['Work'] });
      const archive = (await store.folder('Archive'))!;
      await folder.copy([2], archive);
      await folder.move([1], archive);
      await store.rename('Archive', 'Old/Archive');
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
      crashed = true;
    }
    await box.stop();
    const store = await box.open({ files: unsynced });
    const there: string[] = [];
    for (const { name, noSelect } of await store.folders()) {
      const folder = noSelect ? undefined : await store.folder(name);
      if (!folder) continue;
      await note(folder);
      there.push(...(await subjects(folder)).values());
    }
    for (const subject of accepted) assert.ok(there.includes(subject), `crash at ${crashAt}: ${subject} is lost`);
    await box.stop();
    if (!crashed) {
      assert.ok(crashAt > 20);
      break;
    }
  }
});

test('a mail that another program takes away and brings back is the newest, also after a restart', async () => {
  const box = await Box.make();
  let folder = await inbox(await box.open());
  await append(folder, mail('away and back'));
  await append(folder, mail('stays'));
  const [name] = (await box.names()).filter((each) => each.startsWith('cur/'));
  const place = join(box.maildir, name!);
  const away = join(box.root, 'away');
  await rename(place, away);
  await folder.sync();
  assert.deepEqual([...folder.uids], [2]);
  await rename(away, place);
  await folder.sync();
  assert.deepEqual([...folder.uids], [2, 3]);
  const before = await subjects(folder);
  folder = await inbox(await box.restart({}));
  assert.deepEqual([...folder.uids], [2, 3], 'UIDs ascend');
  assert.deepEqual(await subjects(folder), before);
});

test('a Dovecot mailbox of a long time ago, or one begun under a wrong clock, does not run out of UIDs', async () => {
  const box = await Box.make();
  await box.open();
  await box.stop();
  await rm(join(box.maildir, LIST), { force: true });
  await writeFile(join(box.maildir, 'cur', '1000000000.M1P2.host:2,S'), mail('old'));
  const lines = ['3 V1000000000 N8 Gaabbccddeeff00112233445566778899', '7 :1000000000.M1P2.host', ''];
  await writeFile(join(box.maildir, 'dovecot-uidlist'), lines.join('\n'));
  let folder = await inbox(await box.open());
  assert.deepEqual([folder.uidValidity, ...folder.uids], [1_000_000_000, 7]);
  for (const subject of ['new', 'newer']) assert.ok((await append(folder, mail(subject))) < 2 ** 31, subject);

  await box.stop();
  const old = (await readFile(join(box.maildir, LIST), 'utf8')).replaceAll(/ T\d+/g, ' T1');
  await writeFile(join(box.maildir, LIST), old.replace('V1000000000', 'V5'));
  folder = await inbox(await box.open());
  assert.ok(folder.uidValidity > 1_000_000_000, 'what UIDs were given out cannot be told: it begins anew');
  await append(folder, mail('newest'));
  assert.deepEqual([...folder.uids], [1, 2, 3, 4]);
});
