import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Dovecot } from '../mail-server/dovecot.ts';
import { serversMissing } from '../mail-server/programs.ts';
import { freePort, TemporaryFolder } from '../oracle/tools.ts';
import { type Household, household, type Login, loginOf, python, subjectOf, succeeds } from './household.ts';
import { addMail, comparable, type MailFact, maildirState, moveMail, removeMail, setFlags } from './maildir-edits.ts';
import { mbsyncBox } from './mbsync.ts';

const skip = await serversMissing(
  'python3',
  'curl',
  'dovecot',
  'mbsync',
  'offlineimap',
  'neomutt',
  'fetchmail',
  'getmail',
);

type Mail = [subject: string, flags: string[], text: string];
type Folders = Record<string, Mail[]>;

/** Dovecot's, without TLS. */
type PlainLogin = Pick<Login, 'host' | 'imap' | 'user' | 'password'> & { plain: true };

const DAY: Folders = {
  INBOX: [
    ['one', [], 'a needle in the text'],
    ['two', ['\\Seen'], 'äpfel\r\n'.repeat(10)],
    ['three', ['\\Flagged', '$Label1'], 'long\r\n'.repeat(1_000)],
    ['four', [], '.\r\n..\r\n'],
  ],
};

describe('IMAP programs of Debian', { skip, timeout: 180_000 }, () => {
  let people: Household;
  let folder: TemporaryFolder;
  let dovecot: Dovecot;
  let theirs: PlainLogin;
  let ours: Login;

  before(async () => {
    folder = await TemporaryFolder.create();
    chmodSync(folder.path, 0o755); // Dovecot works as other users
    const port = await freePort();
    dovecot = new Dovecot(folder.join('dovecot'), { imap: port });
    [people] = await Promise.all([household(), dovecot.start()]);
    theirs = { host: '127.0.0.1', imap: port, user: 'bob', password: 'pw', plain: true };
    ours = loginOf(people.bob);
  });
  after(async () => {
    await people?.end();
    await dovecot?.stop();
    await folder?.[Symbol.asyncDispose]();
  });

  const home = (name: string): string => {
    const path = join(people.folder, `home-${name}`);
    mkdirSync(path);
    return path;
  };
  const fill = (login: Login | PlainLogin, folders: Folders): Promise<unknown> =>
    python(people.folder, 'imap_fill.py', {
      ...login,
      folders,
      kept: ['INBOX', 'Sent', 'Drafts', 'Trash', 'Junk', 'Archive'],
    });

  test('imaplib has the same day as with Dovecot, but for the folders that are there from the start', async () => {
    await Promise.all([fill(ours, DAY), fill(theirs, { ...DAY, Drafts: [] })]);
    const [mine, others] = await Promise.all([
      python(home('imaplib'), 'imaplib_day.py', ours),
      python(home('imaplib-dovecot'), 'imaplib_day.py', theirs),
    ]);
    assert.deepEqual(mine.special, ['\\Archive', '\\Drafts', '\\Junk', '\\Sent', '\\Trash']);
    assert.ok(mine.pushed_after_ms < 1_000, `${mine.pushed_after_ms} ms`);
    const plain = ({ special, pushed_after_ms, ...rest }: typeof mine): unknown => rest;
    assert.deepEqual(plain(mine), plain(others));
    assert.deepEqual(mine.work, ['one', 'three']); // so Dovecot's day was a good one too
  });

  const SYNCED: Folders = {
    INBOX: [
      ['one', [], '1'],
      ['two', ['\\Seen'], '2'],
      ['three', ['\\Flagged'], '3'],
      ['four', [], '4'],
      ['five', ['\\Answered', '\\Seen'], '5'],
    ],
    Work: [
      ['plan', ['\\Seen'], 'p'],
      ['report', [], 'r'],
    ],
  };

  /** Both ways between the server and Maildirs on the disk: `sync` runs the program, `local` says where the Maildirs are. */
  async function syncsBothWays(
    login: Login,
    local: (name: string) => string,
    sync: () => Promise<unknown>,
  ): Promise<void> {
    const assertSame = async (folders: string[]): Promise<void> => {
      const server = await python(people.folder, 'imap_state.py', login);
      const both = [
        Object.fromEntries(folders.map((name) => [name, server[name]])),
        maildirState(Object.fromEntries(folders.map((name) => [name, local(name)]))),
      ];
      assert.deepEqual(comparable(both[1]!), comparable(both[0]!));
    };
    await fill(login, SYNCED);
    await sync();
    await assertSame(['INBOX', 'Work']);

    setFlags(local('INBOX'), 'one', 'FRS');
    setFlags(local('INBOX'), 'three', '');
    removeMail(local('INBOX'), 'two');
    moveMail(local('INBOX'), local('Work'), 'four');
    addMail(local('INBOX'), 'from the disk');
    await sync();
    await assertSame(['INBOX', 'Work']);
    const server = await python(people.folder, 'imap_state.py', login);
    assert.deepEqual(comparable({ INBOX: server.INBOX, Work: server.Work }), {
      INBOX: ['five: \\Answered \\Seen', 'from the disk: ', 'one: \\Answered \\Flagged \\Seen', 'three: '],
      Work: ['four: ', 'plan: \\Seen', 'report: '],
    });

    await python(people.folder, 'imap_edit.py', {
      ...login,
      edits: [
        ['flags', 'INBOX', 'five', '(\\Flagged)'],
        ['move', 'INBOX', 'three', 'Work'],
        ['delete', 'Work', 'plan', ''],
        ['append', 'Work', 'from the server', '(\\Seen)'],
      ],
    });
    await sync();
    await assertSame(['INBOX', 'Work']);
    assert.deepEqual(comparable(maildirState({ Work: local('Work') })), {
      Work: ['four: ', 'from the server: \\Seen', 'report: ', 'three: '],
    });
  }

  test('mbsync keeps Maildirs and server the same, both ways', async () => {
    const { maildir, sync } = mbsyncBox(home('mbsync'), ours);
    await syncsBothWays(ours, maildir, sync);
  });

  test('offlineimap keeps Maildirs and server the same, both ways', async () => {
    const path = home('offlineimap');
    const login = ours;
    const lines = [
      ...['[general]', 'accounts = a', `metadata = ${path}/state`],
      ...['[Account a]', 'localrepository = near', 'remoterepository = far'],
      ...['[Repository near]', 'type = Maildir', `localfolders = ${path}/mail`],
      ...[
        '[Repository far]',
        'type = IMAP',
        'remotehost = localhost',
        `remoteuser = ${login.user}`,
        `remotepass = ${login.password}`,
      ],
      ...[`remoteport = ${login.imaps}`, 'ssl = yes', `sslcacertfile = ${login.ca}`],
      ...['folderfilter = lambda name: name in ("INBOX", "Work")'],
    ];
    mkdirSync(join(path, 'mail'));
    writeFileSync(join(path, 'rc'), `${lines.join('\n')}\n`, { mode: 0o600 });
    const sync = (): Promise<string> => succeeds(path, 'offlineimap', ['-o', '-c', 'rc', '-u', 'quiet']);
    await syncsBothWays(login, (name) => join(path, 'mail', name), sync);
  });

  test('neomutt searches on the server, flags, copies, moves and deletes', async () => {
    const path = home('neomutt');
    const login = ours;
    await fill(login, { ...DAY, Work: [] });
    const url = `imaps://localhost:${login.imaps}/`;
    const keys = [
      '<search>~s two<enter><flag-message>',
      '<search>~s one<enter><copy-message>=Work<enter>',
      '<search>~s three<enter><save-message>=Work<enter>',
      '<search>=b needle<enter><toggle-new>', // searched by the server: finds one
      '<search>~s four<enter><delete-message>',
      '<sync-mailbox><quit>',
    ];
    const lines = [
      ...[
        `set folder="${url}"`,
        'set spoolfile="+INBOX"',
        `set imap_user="${login.user}"`,
        `set imap_pass="${login.password}"`,
      ],
      ...[`set certificate_file="${login.ca}"`, 'set ssl_force_tls=yes'],
      ...[
        'set delete=yes',
        'set move=no',
        'set confirmappend=no',
        'set confirmcreate=no',
        'set wait_key=no',
        'set resolve=no',
      ],
      ...['set mark_old=no', 'set quit=yes', 'set wrap_search=yes', 'set header_cache=""', `push "${keys.join('')}"`],
    ];
    writeFileSync(join(path, 'rc'), `${lines.join('\n')}\n`, { mode: 0o600 });
    await succeeds(path, 'script', ['-qec', 'neomutt -n -F rc', '/dev/null'], { env: { TERM: 'xterm' } });
    const server = await python(people.folder, 'imap_state.py', login);
    assert.deepEqual(comparable({ INBOX: server.INBOX, Work: server.Work }), {
      INBOX: ['one: \\Seen', 'two: \\Flagged \\Seen'],
      Work: ['one: ', 'three: \\Flagged'],
    });
  });

  test('curl lists, reads, searches, appends and deletes', async () => {
    const path = home('curl');
    const login = ours;
    await fill(login, DAY);
    const base = `imaps://localhost:${login.imaps}`;
    const curl = (way: string, ...more: string[]): Promise<string> =>
      succeeds(path, 'curl', [
        ...['-sS', '--cacert', login.ca, '-u', `${login.user}:${login.password}`],
        ...[...more, `${base}${way}`],
      ]);
    assert.match(await curl('/'), /^\* LIST \(.*\) "." "?INBOX"?\r$/m);
    assert.match(await curl('/INBOX;MAILINDEX=1'), /^Subject: one\r$[\s\S]*a needle in the text/m);
    assert.match(await curl('/INBOX?SUBJECT%20two'), /^\* SEARCH 2\r$/m);
    writeFileSync(join(path, 'mail'), 'Subject: by curl\r\n\r\nhello\r\n');
    await curl('/INBOX', '-T', 'mail');
    await curl('/INBOX', '-X', 'STORE 1 +FLAGS (\\Deleted)');
    assert.match(await curl('/INBOX', '-X', 'EXPUNGE'), /^\* 1 EXPUNGE\r$/m);
    const { INBOX } = await python(people.folder, 'imap_state.py', login);
    assert.deepEqual(
      INBOX.map(({ subject }: MailFact) => subject),
      ['two', 'three', 'four', 'by curl'],
    );
  });

  test('fetchmail and getmail read over IMAP and leave what they shall leave', async () => {
    const path = home('fetching');
    const login = ours;
    const deliver = join(path, 'deliver');
    writeFileSync(deliver, `#!/bin/sh\ncat > ${path}/mail-$$\n`);
    chmodSync(deliver, 0o700);
    const got = (): (string | undefined)[] =>
      readdirSync(path)
        .filter((name) => name.startsWith('mail-'))
        .map((name) => subjectOf(readFileSync(join(path, name))))
        .toSorted();
    const secure = `ssl sslcertck sslcertfile "${login.ca}"`;
    const port = login.imaps;
    const rc = `poll localhost service ${port} protocol imap user "${login.user}" password "${login.password}" ${secure} mda "${deliver}" keep fetchall\n`;
    writeFileSync(join(path, 'fetchmailrc'), rc, { mode: 0o600 });
    await fill(login, DAY);
    await succeeds(path, 'fetchmail', ['-f', 'fetchmailrc', '--nosyslog', '--pidfile', 'pid', '--idfile', 'ids']);
    assert.deepEqual(got(), ['four', 'one', 'three', 'two']);
    for (const name of readdirSync(path).filter((each) => each.startsWith('mail-'))) rmSync(join(path, name));
    const lines = [
      ...['[retriever]', 'type = SimpleIMAPSSLRetriever', 'server = localhost', `port = ${port}`],
      ...[
        `username = ${login.user}`,
        `password = ${login.password}`,
        'mailboxes = ("INBOX",)',
        `ca_certs = ${login.ca}`,
      ],
      ...['[destination]', 'type = MDA_external', `path = ${deliver}`, 'allow_root_commands = true'],
      ...['[options]', 'delete = true', 'delivered_to = false', 'received = false'],
    ];
    writeFileSync(join(path, 'getmailrc'), `${lines.join('\n')}\n`, { mode: 0o600 });
    await succeeds(path, 'getmail', ['--getmaildir', path, '--quiet']);
    assert.deepEqual(got(), ['four', 'one', 'three', 'two']);
    assert.deepEqual((await python(people.folder, 'imap_state.py', login)).INBOX, []);
  });
});
