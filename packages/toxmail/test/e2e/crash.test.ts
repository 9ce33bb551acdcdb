import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { createTransport } from 'nodemailer';
import MailComposer from 'nodemailer/lib/mail-composer/index.js';
import {
  fetchMail,
  friends,
  isDelivered,
  isOnline,
  type Person,
  run,
  sendMail,
  stop,
  until,
} from '../daemon/processes.ts';

const MB = 1_000_000;
const LIMIT = { timeout: 60_000 };

/** A mail with an attachment as nodemailer writes it, and its body. */
async function compose(bytes: number): Promise<{ raw: Buffer; body: Buffer }> {
  const mail = new MailComposer({
    from: 'Ann <ann@tox>',
    to: 'bob@tox',
    subject: 'Fotos äöü',
    text: 'Hi,\r\n.\r\n.. dots\r\n',
    attachments: [{ filename: 'photo.bin', content: randomBytes(bytes) }],
  });
  const raw = await mail.compile().build();
  return { raw, body: bodyOf(raw) };
}

function bodyOf(mail: Buffer): Buffer {
  return mail.subarray(mail.indexOf('\r\n\r\n') + 4);
}

/** Most tests share them: each leaves nothing on its way. */
const shared = friends({ after });

const envelope = { from: 'ann@tox', to: 'bob@tox' };

function folderOf(of: Person, ...path: string[]): string {
  return join(of.data, 'accounts', of.name, ...path);
}

function filesIn(folder: string): string[] {
  return readdirSync(folder).map((name) => join(folder, name));
}

/** Looks again in each turn of the event loop; for what must be caught in the act. */
async function soon(what: string, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`never: ${what}`);
    await turn();
  }
}

test('a mail with an attachment arrives byte for byte in its body and is read by POP3', LIMIT, async () => {
  const { ann, bob } = await shared;
  const { raw, body } = await compose(200_000);
  assert.match(await sendMail(ann, { raw, envelope }), /^250 2\.6\.0 /);
  const [mail, ...more] = await until('the mail', async () => {
    const mails = await fetchMail(bob);
    return mails.length > 0 && mails;
  });
  assert.equal(more.length, 0);
  assert.ok(bodyOf(Buffer.from(mail!, 'latin1')).equals(body));
});

test('whoever is killed in the middle of a large mail: it goes on where it was and arrives once', LIMIT, async () => {
  const { ann, bob, bootstrap } = await shared;
  const before = mailsOf(bob).length;
  const incoming = folderOf(bob, 'incoming');
  const arrived = (): number => filesIn(incoming).reduce((sum, path) => sum + (sizeOf(path) ?? 0), 0);
  const { raw, body } = await compose(15 * MB);
  assert.match(await sendMail(ann, { raw, envelope }), /^250 /);

  for (const [victim, point] of [
    [bob, 1 * MB],
    [ann, 5 * MB],
    [bob, 10 * MB],
    [ann, 15 * MB],
  ] as const) {
    await soon(`${point} bytes there`, () => arrived() >= point);
    await stop(victim.daemon, 'SIGKILL');
    assert.equal(mailsOf(bob).length, before, 'killed too late to prove anything');
    const [part] = filesIn(incoming);
    const there = statSync(part!);
    Object.assign(victim, await run({ after }, victim.data, bootstrap));
    await until('both are online', async () => (await isOnline(ann)) && (await isOnline(bob)));
    await soon('more of it', () => arrived() > there.size);
    assert.equal(statSync(part!).ino, there.ino);
  }

  await until('delivered', () => isDelivered(ann));
  const mails = mailsOf(bob);
  assert.equal(mails.length, before + 1);
  assert.ok(bodyOf(readFileSync(mails.at(-1)!)).equals(body));
  await until('nothing is left over', async () => filesIn(incoming).length === 0);
  assert.deepEqual(filesIn(join(ann.data, 'spool')), []);
});

test('a recipient killed while the whole mail is being stored has it once', LIMIT, async () => {
  const { ann, bob, bootstrap } = await shared;
  const before = mailsOf(bob).length;
  const { raw, body } = await compose(4 * MB);
  const isStoring = (): boolean => filesIn(folderOf(bob, 'Maildir', 'tmp')).length > 0;
  for (const mails of [before + 1, before + 2]) {
    await sendMail(ann, { raw, envelope });
    await soon('the mail is being stored', () => isStoring() || mailsOf(bob).length === mails);
    await stop(bob.daemon, 'SIGKILL');
    Object.assign(bob, await run({ after }, bob.data, bootstrap));
    await until('delivered', () => isDelivered(ann));
    assert.equal(mailsOf(bob).length, mails);
    assert.ok(bodyOf(readFileSync(mailsOf(bob).at(-1)!)).equals(body));
  }
});

test('of many small mails none is lost or doubled when both sides are killed on the way', LIMIT, async () => {
  const { ann, bob, bootstrap } = await shared;
  const before = mailsOf(bob).length;
  const sent = sendMany(ann, 300);
  await soon('some have arrived', () => mailsOf(bob).length > before + 40);
  await stop(bob.daemon, 'SIGKILL');
  const accepted = await sent;
  Object.assign(bob, await run({ after }, bob.data, bootstrap));
  const there = mailsOf(bob).length;
  await soon('more have arrived', () => mailsOf(bob).length > there);
  await stop(ann.daemon, 'SIGKILL');
  Object.assign(ann, await run({ after }, ann.data, bootstrap));
  await until('delivered', () => isDelivered(ann));
  const subjects = mailsOf(bob).slice(before).map(subjectOf);
  assert.deepEqual(subjects.toSorted(), accepted.toSorted());
});

/** Over a few connections; resolves with the subjects. */
async function sendMany(from: Person, count: number): Promise<string[]> {
  const auth = { user: from.name, pass: from.password };
  const smtp = createTransport({ ...from.smtp, ignoreTLS: true, auth, pool: true, maxMessages: Infinity });
  const subjects = Array.from({ length: count }, (_, i) => `mail ${i}`);
  await Promise.all(subjects.map((subject) => smtp.sendMail({ ...envelope, subject, text: subject })));
  smtp.close();
  return subjects;
}

function subjectOf(path: string): string | undefined {
  return /^Subject: (.*)\r$/m.exec(readFileSync(path, 'latin1'))?.[1];
}

/** In the order of their arrival. */
function mailsOf(of: Person): string[] {
  return filesIn(folderOf(of, 'Maildir', 'new')).toSorted();
}

function sizeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.size;
}
