import assert from 'node:assert/strict';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { realFiles } from '../../src/base/files.ts';
import { Maildir } from '../../src/maildir/maildir.ts';
import { hostPart, parseName } from '../../src/maildir/name.ts';
import { FailingFiles } from '../../src/testing/failing-files.ts';
import { VirtualScheduler } from '../../src/testing/virtual-scheduler.ts';

const clock = new VirtualScheduler();
let path = '';
let maildir: Maildir;

beforeEach(async () => {
  path = mkdtempSync(join(tmpdir(), 'toxmail-maildir-'));
  maildir = new Maildir(realFiles, path, clock, 'my/host');
  await maildir.prepare();
});

afterEach(() => rmSync(path, { recursive: true, force: true }));

const files = (folder: string): string[] => readdirSync(join(path, folder));

async function deliver(to: Maildir, text: string, token?: string): Promise<void> {
  const writer = await to.create(token);
  try {
    for (let i = 0; i < text.length; i += 10) await writer.append(Buffer.from(text.slice(i, i + 10)));
    await writer.commit();
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

const MAIL = 'Subject: x\r\n\r\nfirst\nsecond\r\nend';

test('a mail appears in new/ whole, readable for its owner only, with size and token in its name', async () => {
  await deliver(maildir, MAIL, 'ab12');
  assert.deepEqual(files('tmp'), []);
  const [name] = files('new');
  assert.match(name!, /^\d+\.M\d{6}P\d+Q\d{6}R[0-9a-f]{16}Tab12\.my\\057host,S=31,W=34$/);
  assert.equal(readFileSync(join(path, 'new', name!), 'latin1'), MAIL);
  assert.equal(statSync(join(path, 'new', name!)).mode & 0o777, 0o600);
  assert.equal(statSync(join(path, 'new')).mode & 0o777, 0o700);
  const [mail] = await maildir.list();
  assert.deepEqual([mail!.size, mail!.wireSize, mail!.token, mail!.flags], [31, 34, 'ab12', '']);
  assert.equal(mail!.receivedMs, Math.floor(clock.unixMs() / 1000) * 1000);
});

test('a crash at any step leaves either no mail or the whole one, and a restart cleans up', async () => {
  for (let at = 1; ; at++) {
    for (const name of files('new')) rmSync(join(path, 'new', name));
    const failing = new FailingFiles(realFiles);
    const crashing = new Maildir(failing, path, clock, 'h');
    failing.crashAt = at;
    let done = true;
    await deliver(crashing, MAIL).catch(() => {
      done = false;
    });
    const there = files('new').map((name) => readFileSync(join(path, 'new', name), 'latin1'));
    assert.ok(there.length <= 1 && there.every((text) => text === MAIL), `step ${at}`);
    if (done) {
      assert.equal(there.length, 1);
      assert.ok(at > 6);
      break;
    }
  }
  for (const name of files('tmp')) utimesSync(join(path, 'tmp', name), 0, 0);
  writeFileSync(join(path, 'tmp', 'young'), '');
  utimesSync(join(path, 'tmp', 'young'), clock.unixMs() / 1000, clock.unixMs() / 1000);
  await maildir.prepare();
  assert.deepEqual(files('tmp'), ['young']);
});

test('an operation that fails (not a crash) leaves nothing behind', async () => {
  for (const operation of ['write', 'sync', 'close', 'rename', 'syncFolder'] as const) {
    const failing = new FailingFiles(realFiles);
    failing.fail = (name) => (name === operation ? new Error(operation) : undefined);
    await assert.rejects(deliver(new Maildir(failing, path, clock, 'h'), MAIL), { message: operation });
    assert.deepEqual([files('tmp'), files('new')], [[], []], operation);
  }
});

test('a mail that cannot be made to last is taken back also from a program that has moved it already', async () => {
  const failing = new FailingFiles(realFiles);
  failing.fail = (name) => {
    if (name !== 'syncFolder') return undefined;
    for (const each of files('new')) renameSync(join(path, 'new', each), join(path, 'cur', `${each}:2,S`));
    return new Error(name);
  };
  await assert.rejects(deliver(new Maildir(failing, path, clock, 'h'), MAIL), { message: 'syncFolder' });
  assert.deepEqual([files('new'), files('cur')], [[], []], 'else it is there twice when it is sent again');
});

test('mails of other programs are listed with what their names tell, oldest first', async () => {
  writeFileSync(join(path, 'cur', '1700000002.V1I2M3.host,S=5,W=6:2,FS'), 'a\r\nbc');
  writeFileSync(join(path, 'new', '1700000001.12_3.host'), 'x\ny\n');
  writeFileSync(join(path, 'new', 'strange name'), 'z');
  writeFileSync(join(path, 'new', '.hidden'), '');
  const list = await maildir.list();
  assert.deepEqual(
    list.map((m) => [m.unique, m.size, m.wireSize, m.flags, m.receivedMs]),
    [
      ['strange name', undefined, undefined, '', 0],
      ['1700000001.12_3.host', undefined, undefined, '', 1_700_000_001_000],
      ['1700000002.V1I2M3.host,S=5,W=6', 5, 6, 'FS', 1_700_000_002_000],
    ],
  );
  assert.deepEqual(await Promise.all(list.map((mail) => maildir.wireSizeOf(mail))), [3, 6, 6]);
});

test('a mail that another program moved is found, and one that is gone is no error', async () => {
  await deliver(maildir, MAIL);
  const [mail] = await maildir.list();
  renameSync(join(path, mail!.path), join(path, 'cur', `${mail!.unique}:2,S`));
  const file = await maildir.open(mail!);
  assert.equal(await file!.size(), MAIL.length);
  await file!.close();
  assert.equal(await maildir.remove(mail!), true);
  assert.equal(await maildir.remove(mail!), false);
  assert.equal(await maildir.open(mail!), undefined);
  assert.equal(await maildir.wireSizeOf({ ...mail!, wireSize: undefined }), undefined);
});

test('mails of one moment are listed in the order in which they came', async () => {
  for (let i = 0; i < 20; i++) await deliver(maildir, `Subject: ${i}\r\n\r\n`);
  const order = (await maildir.list()).map((mail) => readFileSync(join(path, mail.path), 'latin1').trim());
  assert.deepEqual(
    order,
    Array.from({ length: 20 }, (_, i) => `Subject: ${i}`),
  );
});

test('names: any text is parsed, and host names cannot leave the folder', () => {
  assert.equal(parseName(''), undefined);
  assert.equal(parseName('.x'), undefined);
  assert.deepEqual(parseName('1.M2P3Q4R5Tff.h,S=x,W=99999999999999999:1,exp'), {
    unique: '1.M2P3Q4R5Tff.h,S=x,W=99999999999999999',
    size: undefined,
    wireSize: undefined,
    unixSeconds: 1,
    flags: '',
    token: 'ff',
  });
  assert.equal(hostPart('../a:b,c'), '..\\057a\\072b\\054c');
  assert.equal(hostPart(''), 'localhost');
});

test('a mail that another program moves while the folders are read is listed once, where it went', async () => {
  const names = ['2.a', '1.b', '1.c'];
  for (const name of names) writeFileSync(join(path, 'new', name), MAIL);
  for (const name of ['1.b:2,S', '0.d:2,']) writeFileSync(join(path, 'cur', name), MAIL);
  const listed = (await maildir.list()).map((mail) => mail.path);
  assert.deepEqual(listed, ['cur/0.d:2,', 'cur/1.b:2,S', 'new/1.c', 'new/2.a']);
});

test('the stamp of a folder tells its changes, and is none while another change may leave the same', async () => {
  const now = Math.floor(Date.now() / 1_000) * 1_000;
  const changedAt = (folder: string, ago: number): void =>
    utimesSync(join(path, folder), (now - ago) / 1_000, (now - ago) / 1_000);
  changedAt('new', 60_000);
  changedAt('cur', 1_000);
  assert.equal(await maildir.stamp(now), undefined);
  changedAt('cur', 150.25);
  assert.ok(await maildir.stamp(now), 'times with parts of a second tell sooner');
  changedAt('cur', 50.25);
  assert.equal(await maildir.stamp(now), undefined);
  changedAt('cur', 50_000);
  const before = await maildir.stamp(now);
  assert.ok(before);
  assert.equal(await maildir.stamp(now), before);
  changedAt('new', 40_000);
  assert.notEqual(await maildir.stamp(now), before);
  rmSync(join(path, 'new'), { recursive: true });
  assert.equal(await maildir.stamp(now), undefined);
});
