import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { SendMailOptions } from 'nodemailer';
import { programsMissing } from '../mail-server/programs.ts';
import {
  bodyOf,
  emptyMaildir,
  fingerprint,
  type Household,
  household,
  python,
  readMaildir,
  sendOver,
  succeeds,
} from './household.ts';

const skip = await programsMissing('python3', 'curl', 'fetchmail', 'mpop', 'getmail');

const MAILS: SendMailOptions[] = [
  { subject: 'dots', text: '.\n..\n.hidden\n\nend.\n' },
  { subject: 'Grüße', text: 'Äpfel und Öl, 漢字, €\n'.repeat(50) },
  { subject: 'attachment', text: 'see', attachments: [{ filename: 'f.bin', content: randomBytes(100_000) }] },
  { subject: 'nothing', text: '' },
];

describe('POP3 programs of Debian', { skip, timeout: 120_000 }, () => {
  let people: Household;
  /** A folder for each program. */
  const home = (name: string): string => {
    const path = join(people.folder, `home-${name}`);
    mkdirSync(path);
    return path;
  };
  const file = (path: string, lines: string[]): string => {
    writeFileSync(path, `${lines.join('\n')}\n`, { mode: 0o600 });
    return path;
  };

  /** A program that is given mails on its input, and what it was given. */
  const deliverer = (path: string): string => {
    const script = file(join(path, 'deliver'), ['#!/bin/sh', `cat > ${path}/mail-$$`]);
    chmodSync(script, 0o700);
    return script;
  };
  const delivered = (path: string): string[] =>
    readdirSync(path)
      .filter((name) => name.startsWith('mail-'))
      .map((name) => bodyOf(readFileSync(join(path, name))));

  before(async () => {
    people = await household();
  });
  after(() => people?.end());

  function of(who: 'ann' | 'bob') {
    const { host, ports, name: user, password, ca } = people[who];
    return { host, ...ports, user, password, ca };
  }

  /** These mails in Bob's box and no others; resolves with their bodies. */
  async function filled(): Promise<string[]> {
    await python(people.folder, 'pop3_empty.py', of('bob'));
    const bodies: string[] = [];
    for (const mail of MAILS) bodies.push(bodyOf(await sendOver(people.ann, people.bob, mail)));
    return bodies;
  }

  function assertSame(got: readonly string[], sent: readonly string[]): void {
    const shown = (bodies: readonly string[]): string[] => bodies.map((body) => fingerprint(body.trimEnd())).sort();
    assert.deepEqual(shown(got), shown(sent));
  }

  test('poplib: reads, looks, deletes; a lost connection deletes nothing; a second log-in waits its turn', async () => {
    const sent = await filled();
    const facts = await python(home('poplib'), 'poplib_day.py', of('bob'));
    assertSame(
      facts.mails.map((mail: string) => bodyOf(Buffer.from(mail, 'latin1'))),
      sent,
    );
    assert.match(facts.top, /^Subject: dots$/m);
    assert.match(facts.second, /IN-USE/);
    const { count, sizes, exact, uids, after_reset, after_loss, same_uids, after_delete } = facts;
    assert.deepEqual(
      { count, sizes, exact, uids, after_reset, after_loss, same_uids, after_delete },
      {
        count: 4,
        sizes: true,
        exact: true,
        uids: true,
        after_reset: 4,
        after_loss: 4,
        same_uids: true,
        after_delete: 0,
      },
    );
  });

  test('curl: reads a mail and its list, under STARTTLS and TLS', async () => {
    const sent = await filled();
    const { host, pop3, pop3s, user, password, ca } = of('bob');
    const curl = (url: string, ...more: string[]): Promise<string> =>
      succeeds(people.folder, 'curl', ['-sS', '--cacert', ca, '-u', `${user}:${password}`, ...more, url]);
    assert.match(await curl(`pop3s://${host}:${pop3s}/`), /^1 \d+\r\n2 \d+\r\n3 \d+\r\n4 \d+\r\n$/);
    const mail = await curl(`pop3://${host}:${pop3}/1`, '--ssl-reqd');
    assertSame([bodyOf(Buffer.from(mail, 'latin1'))], [sent[0]!]);
    for (let left = 4; left > 0; left--) await curl(`pop3s://${host}:${pop3s}/1`, '-X', 'DELE', '-I');
    assert.equal((await curl(`pop3s://${host}:${pop3s}/`)).trim(), '');
  });

  test('fetchmail: takes all away, and finds nothing more', async () => {
    const sent = await filled();
    const { pop3s, user, password, ca } = of('bob');
    const host = 'localhost'; // it looks for names in certificates, not for addresses
    const path = home('fetchmail');
    const deliver = deliverer(path);
    const settings = file(join(path, 'rc'), [
      `poll ${host} service ${pop3s} protocol pop3 uidl`,
      `  user "${user}" password "${password}" ssl sslcertck sslcertfile "${ca}"`,
      `  mda "${deliver}" fetchall`,
    ]);
    const args = ['-f', settings, '--nosyslog', '--pidfile', join(path, 'pid'), '--idfile', join(path, 'ids')];
    await succeeds(path, 'fetchmail', args);
    assertSame(delivered(path), sent);
    await assert.rejects(succeeds(path, 'fetchmail', args), /ended with 1/); // no mail
  });

  test('mpop: leaves mails on the server and knows them the next time', async () => {
    const sent = await filled();
    const { host, pop3, user, password, ca } = of('bob');
    const path = home('mpop');
    const box = emptyMaildir(join(path, 'box'));
    const settings = file(join(path, 'rc'), [
      ...['account default', `host ${host}`, `port ${pop3}`, `user ${user}`, `password ${password}`],
      ...[
        'tls on',
        'tls_starttls on',
        `tls_trust_file ${ca}`,
        'keep on',
        `delivery maildir ${box}`,
        `uidls_file ${path}/uidls`,
      ],
    ]);
    await succeeds(path, 'mpop', ['-C', settings, '-q']);
    assertSame(readMaildir(box).map(bodyOf), sent);
    await succeeds(path, 'mpop', ['-C', settings, '-q']);
    assert.equal(readMaildir(box).length, sent.length);
    await succeeds(path, 'mpop', ['-C', settings, '-q', '--keep=off', '--only-new=off']);
    assert.equal(readMaildir(box).length, 2 * sent.length);
  });

  test('getmail: takes all away', async () => {
    const sent = await filled();
    const { host, pop3s, user, password, ca } = of('bob');
    const path = home('getmail');
    file(join(path, 'getmailrc'), [
      ...['[retriever]', 'type = SimplePOP3SSLRetriever', `server = ${host}`, `port = ${pop3s}`],
      ...[`username = ${user}`, `password = ${password}`, `ca_certs = ${ca}`],
      ...['[destination]', 'type = MDA_external', `path = ${deliverer(path)}`, 'allow_root_commands = true'],
      ...['[options]', 'delete = true', 'delivered_to = false', 'received = false'],
    ]);
    await succeeds(path, 'getmail', ['--getmaildir', path, '--quiet']);
    assertSame(delivered(path), sent);
  });
});
