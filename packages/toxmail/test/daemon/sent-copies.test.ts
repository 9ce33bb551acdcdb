import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { systemScheduler } from '../../src/base/clock.ts';
import { realFiles } from '../../src/base/files.ts';
import { silentLogger } from '../../src/base/log.ts';
import { SentCopies } from '../../src/daemon/sent-copies.ts';
import { IndexThread } from '../../src/mailbox/index/index-client.ts';
import { MaildirStore } from '../../src/mailbox/mail-store.ts';
import type { Folder } from '../../src/mailbox/types.ts';
import { Maildir } from '../../src/maildir/maildir.ts';
import { Spool } from '../../src/queue/spool.ts';
import { openDatabase } from '../../src/store/database.ts';
import { type AcceptDeps, acceptMail } from '../../src/submission/accept.ts';
import { until } from '../../src/testing/virtual-scheduler.ts';

interface House {
  /** As from a program over SMTP; resolves when it would hear 250. */
  send(mail: string): Promise<void>;
  /** As from a program over IMAP. */
  append(mail: string): Promise<number>;
  readonly folder: Folder;
  /** Contents of the files in Sent. */
  files(): string[];
  refuse: boolean;
  full: boolean;
}

async function house(t: TestContext, { wanted = true } = {}): Promise<House> {
  const path = mkdtempSync(join(tmpdir(), 'toxmail-sent-'));
  const thread = new IndexThread(systemScheduler, silentLogger);
  const index = thread.open(join(path, 'index.db'));
  const self = { refuse: false, full: false };
  const store = new MaildirStore({
    files: realFiles,
    scheduler: systemScheduler,
    log: silentLogger,
    inbox: new Maildir(realFiles, join(path, 'Maildir'), systemScheduler),
    index,
    appendLimit: 1_000_000,
    quotaLimit: () => (self.full ? 0 : undefined),
  });
  await store.prepare();
  const folder = (await store.folder('Sent'))!;
  folder.changes(() => {});
  const db = openDatabase(':memory:');
  const spool = join(path, 'spool');
  await realFiles.mkdir(spool);
  t.after(async () => {
    await store.stop();
    await index.close();
    await thread.close();
    db.close();
    rmSync(path, { recursive: true, force: true });
  });
  const [mailbox, log] = [() => store, silentLogger];
  const sent = new SentCopies({ mailbox, wanted: () => wanted, scheduler: systemScheduler, log });
  const deps: AcceptDeps = {
    spool: new Spool(realFiles, spool),
    accept: async () => {
      if (self.refuse) throw new Error('the disk is full');
      return ['id'];
    },
    canonical: () => undefined,
    ownAddress: () => 'own@tox',
    sentCopy: (account) => sent.begin(account),
    unixMs: () => Date.UTC(2026, 0, 2),
    sizeLimit: 1_000_000,
  };
  const submission = {
    account: 'mum',
    sender: '',
    recipients: [],
    relayed: false,
    ret: undefined,
    envelopeId: undefined,
  };
  return Object.assign(self, {
    folder,
    async send(mail: string) {
      const content = (async function* () {
        for (let at = 0; at < mail.length; at += 1000) yield Buffer.from(mail.slice(at, at + 1000), 'latin1');
      })();
      await acceptMail(deps, () => submission, content);
    },
    async append(mail: string) {
      const append = await folder.append({ flags: ['\\Seen'], internalDateMs: undefined, size: mail.length });
      await append.write(Buffer.from(mail, 'latin1'));
      return (await folder.commit([append]))[0]!;
    },
    files: () =>
      ['new', 'cur'].flatMap((part) => {
        const at = join(path, 'Maildir', '.Sent', part);
        return readdirSync(at).map((name) => `${name}\n${readFileSync(join(at, name), 'latin1')}`);
      }),
  });
}

const MAIL =
  'Message-ID: <a@b>\r\nFrom: me\r\nTo: bob@tox\r\nBcc: carl@tox\r\nUser-Agent: x\r\nSubject: s\r\n\r\nbody\r\n';

test('what was sent is in Sent before the program hears of it: seen, as written, hidden recipients included', async (t) => {
  const { send, files } = await house(t);
  await send(MAIL + 'x'.repeat(5000));
  const [file, ...more] = files();
  assert.equal(more.length, 0);
  assert.match(file!, /^[^\n]*:2,S\n/);
  assert.match(file!, /Bcc: carl@tox\r\nUser-Agent: x\r\nSubject: s\r\n\r\nbody\r\nx{5000}/);
});

test('a mail without Message-ID and Date is stored with those that it was sent with', async (t) => {
  const { send, files } = await house(t);
  await send('Subject: s\r\n\r\nbody\r\n');
  assert.match(files()[0]!, /Message-ID: <[^>]+>\r\n(?:.*\r\n)*Subject: s/);
  assert.match(files()[0]!, /\nDate: Fri, 0?2 Jan 2026/);
});

test("a program's own copy takes the place of ours, whether it is stored after or before", async (t) => {
  const { send, append, folder, files } = await house(t);
  await send(MAIL);
  const uid = await append(MAIL);
  await until(() => folder.uids.length === 1);
  assert.deepEqual([...folder.uids], [uid]);
  await append('Message-ID: <other@b>\r\n\r\n');
  await append(MAIL.replace('<a@b>', '<c@d>'));
  await send(MAIL.replace('<a@b>', '<c@d>'));
  assert.equal(files().length, 3);
});

test('a mail that is sent again, since its 250 was lost, is there once', async (t) => {
  const { send, files } = await house(t);
  await send(MAIL);
  await send(MAIL);
  assert.equal(files().length, 1);
});

test('nothing is stored of a mail that was refused, nor for an account that wants none', async (t) => {
  const kept = await house(t);
  kept.refuse = true;
  await assert.rejects(kept.send(MAIL));
  assert.equal(kept.files().length, 0);
  const without = await house(t, { wanted: false });
  await without.send(MAIL);
  assert.equal(without.files().length, 0);
});

test('a mailbox that is full does not keep mail from being sent', async (t) => {
  const kept = await house(t);
  kept.full = true;
  await kept.send(MAIL);
  assert.equal(kept.files().length, 0);
});
