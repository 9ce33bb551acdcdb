import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { until } from '../../packages/toxmail/test/daemon/processes.ts';
import { programsMissing } from '../mail-server/programs.ts';
import {
  bodyOf,
  compose,
  fingerprint,
  type Household,
  household,
  program,
  python,
  readMaildir,
  subjectOf,
  succeeds,
} from './household.ts';

const skip = await programsMissing('python3', 'curl', 'msmtp', 'swaks');

describe('SMTP programs of Debian', { skip, timeout: 120_000 }, () => {
  let people: Household;
  let inbox: string;

  before(async () => {
    people = await household();
    inbox = join(people.bob.toxmail.data, 'accounts', 'bob', 'Maildir');
  });
  after(() => people?.end());

  const home = (name: string): string => {
    const path = join(people.folder, `home-${name}`);
    mkdirSync(path);
    return path;
  };

  /** The mail as it is in Bob's Maildir. */
  function arrived(subject: string): Promise<Buffer> {
    return until(`"${subject}" arrives`, async () => {
      const found = readMaildir(inbox).filter((mail) => subjectOf(mail) === subject);
      assert.ok(found.length <= 1, 'it came twice');
      return found[0];
    });
  }

  async function assertArrived(subject: string, sent: Buffer): Promise<void> {
    const mail = await arrived(subject);
    assert.equal(fingerprint(bodyOf(mail)), fingerprint(bodyOf(sent)));
    assert.match(mail.toString('latin1'), /^From: ann <ann@tox>\r$/m);
  }

  const mailOf = (subject: string): Promise<Buffer> =>
    compose({
      ...{ from: 'ann@tox', to: 'bob@tox', subject, text: '.\n..\nline\n' },
      attachments: [{ filename: 'f.bin', content: randomBytes(200_000) }],
    });

  for (const [what, port, startTls] of [
    ['STARTTLS', 'smtp', 'on'],
    ['TLS', 'smtps', 'off'],
  ] as const) {
    test(`msmtp sends under ${what}`, async () => {
      const { ann } = people;
      const path = home(`msmtp-${what}`);
      const settings = join(path, 'rc');
      const lines = [
        ...['account default', `host ${ann.host}`, `port ${ann.ports[port]}`, 'auth on', `user ${ann.name}`],
        ...[
          `password ${ann.password}`,
          'from ann@tox',
          'tls on',
          `tls_starttls ${startTls}`,
          `tls_trust_file ${ann.ca}`,
        ],
      ];
      writeFileSync(settings, `${lines.join('\n')}\n`, { mode: 0o600 });
      const mail = await mailOf(`by msmtp ${what}`);
      await succeeds(path, 'msmtp', ['-C', settings, 'bob@tox'], { input: mail });
      await assertArrived(`by msmtp ${what}`, mail);
      const refused = await program(path, 'msmtp', ['-C', settings, 'nobody@tox'], { input: mail });
      assert.notEqual(refused.status, 0);
      assert.match(refused.stderr, /550 5\.1\.1 There is no contact of this name/);
    });
  }

  test('swaks sends with an attachment under STARTTLS, and hears of a wrong password', async () => {
    const { ann } = people;
    const path = home('swaks');
    const content = randomBytes(50_000);
    writeFileSync(join(path, 'f.bin'), content);
    const args = (password: string): string[] => [
      ...['--server', ann.host, '--port', String(ann.ports.smtp), '--tls', '--tls-ca-path', ann.ca, '--tls-verify'],
      ...['--auth', 'PLAIN', '--auth-user', 'ann@tox', '--auth-password', password],
      ...['--from', 'ann@tox', '--to', 'bob@tox', '--header', 'Subject: by swaks', '--attach', '@f.bin'],
    ];
    await succeeds(path, 'swaks', args(ann.password));
    const text = (await arrived('by swaks')).toString('latin1').replaceAll('\r\n', '');
    assert.ok(text.includes(content.toString('base64')));
    const wrong = await program(path, 'swaks', args('wrong'));
    assert.match(wrong.stdout, /535 5\.7\.8/);
  });

  test('curl sends under TLS', async () => {
    const { ann } = people;
    const path = home('curl');
    const mail = await mailOf('by curl');
    writeFileSync(join(path, 'mail'), mail);
    const to = ['--mail-from', 'ann@tox', '--mail-rcpt', 'bob@tox', '-T', 'mail'];
    const url = `smtps://${ann.host}:${ann.ports.smtps}`;
    await succeeds(path, 'curl', ['-sS', '--cacert', ann.ca, '-u', `ann:${ann.password}`, ...to, url]);
    await assertArrived('by curl', mail);
  });

  test('smtplib sends beyond ASCII, asks to be told, and sees what is announced', async () => {
    const { ann } = people;
    const mail = await mailOf('by smtplib');
    const facts = await python(home('smtplib'), 'smtplib_send.py', {
      ...{ host: ann.host, smtp: ann.ports.smtp, user: ann.name, password: ann.password, ca: ann.ca },
      ...{ from: 'ann@tox', to: 'bob@tox', mail: mail.toString('latin1') },
    });
    assert.deepEqual(facts.announced, [
      '8bitmime',
      'auth',
      'dsn',
      'enhancedstatuscodes',
      'pipelining',
      'size',
      'smtputf8',
    ]);
    assert.deepEqual(facts.refused, [550, '5.1.1']);
    await assertArrived('by smtplib', mail);
    const notice = await until('the notice', async () =>
      readMaildir(join(ann.toxmail.data, 'accounts', 'ann', 'Maildir')).find((each) =>
        /^Action: delivered\r$/m.test(each.toString()),
      ),
    );
    assert.match(notice.toString(), /^Original-Envelope-Id: py-1\r$/m);
  });
});
