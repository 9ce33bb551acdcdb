/**
 * Our IMAP and POP3 servers and Debian's Dovecot on copies of the same Maildir, in turn: `node bench/imap.ts [MAILS]`
 * (100,000). Needs root (Dovecot works as another user) and dovecot-imapd, dovecot-pop3d. Then 200 idle sessions, and how
 * soon an idle program hears of a mail that another account hands in.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createTransport } from 'nodemailer';
import { Dovecot } from '../interop/mail-server/dovecot.ts';
import { Toxmail } from '../interop/mail-server/toxmail.ts';
import { freePort, TemporaryFolder } from '../interop/oracle/tools.ts';
import { ImapClient, readMaildrop } from './imap-client.ts';
import { fillMaildir, RARE } from './imap-mails.ts';

const MAILS = Number(process.argv[2] ?? 100_000);
const SESSIONS = 200;
const PUSHES = 200;
const STORES = 200;
const LOGINS = 50;
const HEADERS =
  'From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups In-Reply-To Content-Type Reply-To';
const some = Math.min(MAILS, 10_000);

interface Server {
  readonly imap: number;
  readonly pop3: number;
  readonly user: string;
  readonly password: string;
}

await using folder = await TemporaryFolder.create();
const ends: (() => void)[] = [];
chmodSync(folder.path, 0o755);
const ports = { imap: await freePort(), pop3: await freePort() };
await using dovecot = new Dovecot(folder.join('dovecot'), ports);
const bytes = fillMaildir(folder.join('mails'), MAILS);
const scope = { after: (end: () => void) => void ends.push(end) };
const toxmail = await Toxmail.prepare(scope, folder.join('toxmail'), 'none', ['me', 'you']);
try {
  console.log(`${MAILS} mails, ${Math.round(bytes / 1e6)} MB`);
  const ourMaildir = join(toxmail.data, 'accounts', 'me', 'Maildir');
  copy(folder.join('mails'), dovecot.maildir('me'));
  copy(folder.join('mails'), ourMaildir);
  execFileSync('chown', ['-R', 'mail:mail', folder.join('dovecot/home')]);
  execFileSync('sync'); // else the first sync of a server, ours of the UIDs, waits for all these copies
  await dovecot.start();
  await toxmail.start();
  const listeners = await toxmail.listeners();
  const servers: [string, Server][] = [
    ['Dovecot', { ...ports, user: 'me', password: 'pw' }],
    [
      'us',
      { imap: listeners.imap!.port, pop3: listeners.pop3!.port, user: 'me', password: toxmail.passwords.get('me')! },
    ],
  ];
  await compare(servers);
  const { imap } = servers[1]![1];
  await idleSessions(imap);
  await pushes(imap, listeners.smtp!.port);
} finally {
  await toxmail.stop();
  for (const end of ends) end();
}

/** Step by step, one server after the other: what else the machine has to do meanwhile hits both. */
async function compare(servers: readonly [string, Server][]): Promise<void> {
  const clients = new Map<Server, ImapClient>();
  console.log(`\n| what | ${servers.map(([name]) => name).join(' | ')} |\n|---|${servers.map(() => '---|').join('')}`);
  const step = async (what: string, act: (server: Server, client: ImapClient) => Promise<string>): Promise<void> => {
    const figures: string[] = [];
    for (const [, server] of servers) {
      const client = clients.get(server) ?? (await ImapClient.logIn(server.imap, server.user, server.password));
      clients.set(server, client);
      figures.push(await act(server, client));
    }
    console.log(`| ${what} | ${figures.join(' | ')} |`);
  };
  const said = (what: string, command: string): Promise<void> =>
    step(what, (_, client) => timed(() => client.say(command)));
  const fetched = (what: string, command: string, expected = MAILS): Promise<void> =>
    step(what, (_, client) =>
      timed(
        () => client.say(command),
        (answer) => {
          const count = answer.toString('latin1').match(/\* \d+ FETCH \(/g)?.length;
          if (count !== expected) throw new Error(`${what}: ${count} instead of ${expected}`);
        },
      ),
    );
  const began = performance.now();
  await said('SELECT, never seen before', 'SELECT INBOX');
  await fetched('FETCH 1:* (UID FLAGS), first', 'FETCH 1:* (UID FLAGS)');
  await fetched('FETCH 1:* (ENVELOPE), first', 'FETCH 1:* (ENVELOPE)');
  await fetched('FETCH 1:* (BODYSTRUCTURE), first', 'FETCH 1:* (BODYSTRUCTURE)');
  // "Again" is with what each server keeps: ours reads mails into its index in the background, and searches wait for it.
  for (const client of clients.values()) await client.say('SEARCH SUBJECT "nobody wrote of this"');
  console.log(`| the index is made, since the first SELECT | | ${seconds((performance.now() - began) / 1e3)} |`);
  for (const client of clients.values()) await client.say('UNSELECT');
  await said('SELECT', 'SELECT INBOX');
  await fetched('FETCH 1:* (UID FLAGS)', 'FETCH 1:* (UID FLAGS)');
  await fetched('FETCH 1:* (ENVELOPE)', 'FETCH 1:* (ENVELOPE)');
  await fetched('FETCH 1:* (BODYSTRUCTURE)', 'FETCH 1:* (BODYSTRUCTURE)');
  await fetched(
    "Thunderbird's header set",
    `UID FETCH 1:* (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (${HEADERS})])`,
  );
  await fetched(`download of ${some}`, `FETCH 1:${some} (BODY.PEEK[])`, some);
  for (const [what, key, hits] of [
    ['SEARCH UNSEEN', 'UNSEEN', MAILS / 5],
    ['SEARCH FROM', `FROM "${RARE.sender}"`, MAILS / 1_000],
    ['SEARCH SUBJECT', 'SUBJECT "garden"', undefined],
    ['SEARCH BODY', `BODY "${RARE.word}"`, MAILS / 1_000],
    ['SEARCH BODY, again', `BODY "${RARE.word}"`, MAILS / 1_000],
    ['SEARCH TEXT', `TEXT "${RARE.word}"`, MAILS / 1_000],
  ] as const) {
    await step(what, (_, client) =>
      timed(
        () => client.say(`SEARCH ${key}`),
        (answer) => {
          const found = /\* SEARCH([ \d]*)/.exec(answer.toString('latin1'))?.[1]?.trim().split(' ').length;
          if (hits !== undefined && found !== hits) throw new Error(`${what}: ${found} hits instead of ${hits}`);
        },
      ),
    );
  }
  await said('STORE, 1,000 in one command', 'STORE 1:1000 +FLAGS.SILENT (\\Flagged)');
  await step('STORE one by one', (_, client) => rate(STORES, (i) => client.say(`STORE ${i + 1} +FLAGS (\\Answered)`)));
  for (const client of clients.values()) await client.say('CREATE bench');
  const mail = Buffer.from(`Subject: appended\r\n\r\n${'0123456789\r\n'.repeat(240)}`);
  await step('APPEND one by one', (_, client) => rate(STORES, () => client.append('bench', mail)));
  for (const client of clients.values()) await client.say('DELETE bench');
  await step('log-in and out', ({ imap, user, password }) =>
    rate(LOGINS, async () => (await ImapClient.logIn(imap, user, password)).end()),
  );
  for (const client of clients.values()) await client.end();
  const drops = new Map<Server, Awaited<ReturnType<typeof readMaildrop>>>();
  await step('POP3: log-in and STAT, first', async ({ pop3, user, password }) =>
    seconds((await readMaildrop(pop3, user, password, 0)).stat),
  );
  await step('POP3: log-in and STAT', async (server) => {
    drops.set(server, await readMaildrop(server.pop3, server.user, server.password, some));
    return seconds(drops.get(server)!.stat);
  });
  await step('POP3: UIDL', async (server) => seconds(drops.get(server)!.uidl));
  await step('POP3: RETR', async (server) => `${Math.round(drops.get(server)!.perSecond)}/s`);
  console.log('');
}

async function timed<T>(act: () => Promise<T>, check: (answer: T) => void = () => {}): Promise<string> {
  const began = performance.now();
  const answer = await act();
  const took = performance.now() - began;
  check(answer);
  return seconds(took / 1e3);
}

async function rate(count: number, act: (i: number) => Promise<unknown>): Promise<string> {
  const began = performance.now();
  for (let i = 0; i < count; i++) await act(i);
  return `${Math.round((count * 1e3) / (performance.now() - began))}/s`;
}

async function idleSessions(port: number): Promise<void> {
  const before = resident();
  const clients: ImapClient[] = [];
  for (let i = 0; i < SESSIONS; i++) {
    const client = await ImapClient.logIn(port, 'me', toxmail.passwords.get('me')!);
    await client.say('SELECT INBOX');
    await client.idle();
    clients.push(client);
  }
  console.log(`${SESSIONS} idle sessions in ${MAILS} mails: ${resident()} MiB resident, ${before} MiB before`);
  for (const client of clients) client.cut();
}

/** From the first byte of the hand-over by SMTP to the EXISTS: what the notification alone takes is less. */
async function pushes(imap: number, smtp: number): Promise<void> {
  const client = await ImapClient.logIn(imap, 'me', toxmail.passwords.get('me')!);
  await client.say('SELECT INBOX');
  const auth = { user: 'you', pass: toxmail.passwords.get('you')! };
  const program = createTransport({
    host: '127.0.0.1',
    port: smtp,
    ignoreTLS: true,
    auth,
    pool: true,
    maxConnections: 1,
  });
  const times: number[] = [];
  const after250: number[] = [];
  for (let i = 0; i < PUSHES; i++) {
    const { pushed, done } = await client.idle();
    const began = performance.now();
    const arrival = pushed();
    await program.sendMail({ from: 'you@tox', to: 'me@tox', subject: `push ${i}`, text: 'hello' });
    const accepted = performance.now();
    const at = await arrival;
    times.push(at - began);
    after250.push(Math.max(0, at - accepted));
    await done();
  }
  program.close();
  await client.end();
  console.log(`from SMTP's first byte to EXISTS: ${percentiles(times)}; from its 250: ${percentiles(after250)}`);
}

function percentiles(values: number[]): string {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (part: number): string =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]!.toFixed(1);
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`;
}

function seconds(value: number): string {
  return `${value.toFixed(value < 1 ? 3 : 2)} s`;
}

function copy(from: string, to: string): void {
  execFileSync('mkdir', ['-p', to]);
  execFileSync('cp', ['-a', `${from}/.`, to]);
}

/** MiB of the daemon. */
function resident(): number {
  const rss = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${toxmail.pid}/status`, 'utf8'));
  return Math.round(Number(rss![1]) / 1024);
}
