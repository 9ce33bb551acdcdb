import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmodSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { createTransport, type SendMailOptions } from 'nodemailer';
import { until } from '../packages/toxmail/test/daemon/processes.ts';
import { Dovecot } from './mail-server/dovecot.ts';
import { Postfix } from './mail-server/postfix.ts';
import { serversMissing } from './mail-server/programs.ts';
import { bootstrapNode, Toxmail } from './mail-server/toxmail.ts';
import { freePort, TemporaryFolder } from './oracle/tools.ts';

/** On a busy machine. */
const LIMIT_MS = 20_000;
const skip = await serversMissing('postfix', 'dovecot');

interface House {
  readonly toxmail: Toxmail;
  readonly postfix: Postfix;
}

/** Alice has Postfix with a transport map. So has Bob, and Bea next to him gets her mail by Dovecot's LMTP. */
describe('Toxmail between two mail servers', { skip, timeout: 180_000 }, () => {
  let folder: TemporaryFolder;
  let here: House;
  let there: House;
  let dovecot: Dovecot;
  /** What a hook starts must live longer than the hook, so it cannot be its scope. */
  const ends: (() => void)[] = [];
  const scope = { after: (end: () => void) => void ends.push(end) };

  before(async () => {
    folder = await TemporaryFolder.create();
    chmodSync(folder.path, 0o755); // the mail servers' programs work as other users
    const bootstrap = await bootstrapNode(scope, folder.path);
    const lmtp = await freePort();
    dovecot = new Dovecot(folder.join('dovecot'), { lmtp });
    await dovecot.start();
    [here, there] = await Promise.all([
      house('a.test', bootstrap, ['alice'], ['alice'], ['bob@b.test']),
      house(
        'b.test',
        bootstrap,
        ['bob', 'bea', 'ghost'],
        ['bob'],
        [],
        `[accounts.bea]\ndeliver = "lmtp://127.0.0.1:${lmtp}"`,
      ),
    ]);
    for (const [name, ...emails] of [['bob', 'bob@b.test'], ['bea'], ['ghost']] as const) {
      await here.toxmail.contact('alice', name, there.toxmail.addresses.get(name)!, ...emails);
      await there.toxmail.contact(name, 'alice', here.toxmail.addresses.get('alice')!);
    }
    await Promise.all([here.toxmail.online(), there.toxmail.online()]);
  });

  after(async () => {
    await Promise.all([here, there].map((each) => each?.toxmail.stop()));
    await Promise.all([here, there].map((each) => each?.postfix[Symbol.asyncDispose]()));
    await dovecot?.stop();
    for (const end of ends) end();
    await folder?.[Symbol.asyncDispose]();
  });

  /** `over`: addresses beside `@tox` that Postfix sends to Toxmail. */
  async function house(
    domain: string,
    bootstrap: string,
    accounts: string[],
    users: string[],
    over: string[],
    ...more: string[]
  ): Promise<House> {
    const toxmail = await Toxmail.prepare(scope, folder.join(`toxmail-${domain}`), bootstrap, accounts);
    const transport = Object.fromEntries(['tox', 'tox.alt', ...over].map((to) => [to, toxmail.smtpPort]));
    const postfix = await Postfix.start(folder.join(`postfix-${domain}`), domain, users, transport);
    toxmail.configure(
      'relay-from = "127.0.0.1"',
      `deliver = "smtp://127.0.0.1:${postfix.port}"`,
      `deliver-to = "@${domain}"`,
      ...more,
      '[senders]',
      ...accounts.map((name) => `"${name}@${domain}" = "${name}"`),
    );
    await toxmail.start();
    return { toxmail, postfix };
  }

  async function send(house: House, mail: SendMailOptions): Promise<void> {
    const smtp = createTransport({ host: '127.0.0.1', port: house.postfix.port, ignoreTLS: true });
    await smtp.sendMail({ text: 'hello\n', ...mail });
    smtp.close();
  }

  /** The one mail among `mails` with this subject. */
  function arrived(mails: () => Buffer[], subject: string): Promise<string> {
    return until(
      `"${subject}" arrives`,
      async () => {
        const found = mails().filter((mail) => mail.includes(`\nSubject: ${subject}\n`));
        assert.ok(found.length <= 1, 'it came twice');
        return found[0]?.toString('latin1');
      },
      LIMIT_MS,
    );
  }

  const aliceGets = (subject: string): Promise<string> => arrived(() => here.postfix.mails('alice'), subject);
  const bobGets = (subject: string): Promise<string> => arrived(() => there.postfix.mails('bob'), subject);

  test('a mail with an attachment arrives byte for byte, and its answer finds the way back', async () => {
    const content = randomBytes(2_000_000);
    await send(here, {
      from: 'Alice <alice@a.test>',
      to: 'bob@b.test', // listed for the contact: goes over Tox
      subject: 'with attachment',
      attachments: [{ filename: 'photo.bin', content }],
    });
    const mail = await bobGets('with attachment');
    assert.ok(mail.replaceAll('\n', '').includes(content.toString('base64')));
    assert.match(mail, /^From: alice <alice@tox>$/im);
    assert.match(mail, /^To: bob <bob@b\.test>$/im);
    assert.match(mail, /^Return-Path: <[a-z2-7]{61}@tox>$/m);
    const [header] = mail.split('\n\n', 1);
    assert.doesNotMatch(header!, /mx\.a\.test/); // nothing of the way inside her network
    assert.equal(header!.match(/^Received: /gm)?.length, 3);
    await send(there, { from: 'bob@b.test', to: 'alice@tox', subject: 'Re: with attachment' });
    assert.match(await aliceGets('Re: with attachment'), /^From: bob <bob@tox>$/m);
    assert.deepEqual([await here.postfix.waiting(), await there.postfix.waiting()], [[], []]);
  });

  test('whoever is down, the mail waits, and arrives when all are up', async () => {
    await there.toxmail.stop();
    await send(here, { from: 'alice@a.test', to: 'bob@tox', subject: 'far side down' });
    await until('Toxmail has it', async () => (await here.toxmail.queue()).some((each) => each.state === 'waiting'));
    assert.deepEqual(await here.postfix.waiting(), []);
    await here.toxmail.stop('SIGKILL');
    await send(here, { from: 'alice@a.test', to: 'bob@tox', subject: 'near side down' });
    await until('Postfix keeps it', async () => (await here.postfix.waiting()).length === 1);
    await Promise.all([here.toxmail.start(), there.toxmail.start()]);
    await bobGets('far side down');
    await bobGets('near side down');
    await until('all queues are empty', async () => (await here.postfix.waiting()).length === 0);
  });

  test('an unknown recipient on either side comes back to the sender as an ordinary bounce', async () => {
    await send(here, { from: 'alice@a.test', to: 'nobody@tox', subject: 'to nobody' });
    const nearby = await aliceGets('Undelivered Mail Returned to Sender'); // of Postfix: we refused at RCPT
    assert.match(nearby, /^Status: 5\.1\.1$/m);
    await send(here, { from: 'alice@a.test', to: 'ghost@tox', subject: 'to ghost' });
    const far = await aliceGets('Not delivered: your mail to ghost@tox');
    assert.match(far, /^Final-Recipient: rfc822; ghost@tox$/m);
    assert.match(far, /^Action: failed\nStatus: 5\.1\.1$/m);
    assert.match(far, /User unknown/);
  });

  test('a notice of the far mail server, without a sender, comes back as well', async () => {
    await send(there, { envelope: { from: '', to: 'alice@tox' }, from: 'bob@b.test', subject: 'out of office' });
    assert.match(await aliceGets('out of office'), /^Return-Path: <>$/m);
  });

  test('who asks for it is told of the delivery, with the marks that Postfix passed on', async () => {
    await send(here, {
      ...{ from: 'alice@a.test', to: 'bob@tox', subject: 'tell me' },
      dsn: { id: 'mark-1', return: 'headers', notify: ['success'], recipient: 'alice@a.test' },
    });
    await bobGets('tell me');
    const notice = await aliceGets('Delivered: your mail to bob@tox');
    assert.match(notice, /^Original-Envelope-Id: mark-1$/m);
    assert.match(notice, /^Action: delivered\nStatus: 2\.0\.0$/m);
  });

  test('while the LMTP server is down nothing is lost, and when it is back nothing comes twice', async () => {
    await dovecot.stop();
    const subjects = Array.from({ length: 20 }, (_, i) => `for Bea ${i}`);
    const large = randomBytes(3_000_000);
    for (const subject of subjects) await send(here, { from: 'alice@a.test', to: 'bea@tox', subject });
    await send(here, {
      ...{ from: 'alice@a.test', to: 'bea@tox', subject: 'for Bea, large' },
      attachments: [{ filename: 'l.bin', content: large }],
    });
    await until('all were refused for now', async () => {
      const waiting = (await here.toxmail.queue()).filter(
        ({ reason }) => reason?.code === '4.4.1' && /mail server/.test(reason.text),
      );
      return waiting.length === 21;
    });
    await there.toxmail.stop('SIGKILL');
    await there.toxmail.start();
    await dovecot.start();
    await here.toxmail.retryAll();
    await arrived(() => dovecot.mails('bea'), 'for Bea 3');
    await there.toxmail.stop(); // in the middle of it
    await there.toxmail.start();
    await until('all are delivered', async () => {
      await here.toxmail.retryAll();
      return (await here.toxmail.queue()).every(({ state }) => state !== 'waiting' && state !== 'sending');
    });
    const mails = dovecot.mails('bea').map(String);
    const found = mails.map((mail) => /^Subject: (.*?)\r?$/m.exec(mail)![1]);
    assert.deepEqual(found.toSorted(), [...subjects, 'for Bea, large'].toSorted());
    assert.ok(mails.some((mail) => mail.replaceAll(/[\r\n]/g, '').includes(large.toString('base64'))));
  });
});
