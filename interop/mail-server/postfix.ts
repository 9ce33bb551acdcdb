import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { chown } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../oracle/tools.ts';
import { startServer } from './programs.ts';

const run = promisify(execFile);
const SBIN = '/usr/lib/postfix/sbin';

/** Every service that a relaying and delivering instance needs, none of them in a chroot. */
const SERVICES: readonly [
  name: string,
  type: string,
  isPrivate: string,
  wakeUp: string,
  max: string,
  command: string,
][] = [
  ['pickup', 'unix', 'n', '60', '1', 'pickup'],
  ['cleanup', 'unix', 'n', '-', '0', 'cleanup'],
  ['qmgr', 'unix', 'n', '300', '1', 'qmgr'],
  ['tlsmgr', 'unix', '-', '1000?', '1', 'tlsmgr'],
  ['rewrite', 'unix', '-', '-', '-', 'trivial-rewrite'],
  ['bounce', 'unix', '-', '-', '0', 'bounce'],
  ['defer', 'unix', '-', '-', '0', 'bounce'],
  ['trace', 'unix', '-', '-', '0', 'bounce'],
  ['verify', 'unix', '-', '-', '1', 'verify'],
  ['flush', 'unix', 'n', '1000?', '0', 'flush'],
  ['proxymap', 'unix', '-', '-', '-', 'proxymap'],
  ['smtp', 'unix', '-', '-', '-', 'smtp'],
  ['showq', 'unix', 'n', '-', '-', 'showq'],
  ['error', 'unix', '-', '-', '-', 'error'],
  ['retry', 'unix', '-', '-', '-', 'error'],
  ['virtual', 'unix', '-', '-', '-', 'virtual'],
  ['anvil', 'unix', '-', '-', '1', 'anvil'],
  ['scache', 'unix', '-', '-', '1', 'scache'],
  ['postlog', 'unix-dgram', 'n', '-', '1', 'postlogd'],
];

/**
 * A private instance of Debian's Postfix on loopback, as an administrator would have it: one domain with mailboxes, and a
 * transport map that sends other domains to Toxmail. What is not named here is Postfix's default.
 */
export class Postfix implements AsyncDisposable {
  readonly port: number;
  readonly #folder: string;
  readonly #domain: string;

  private constructor(folder: string, domain: string, port: number) {
    this.#folder = folder;
    this.#domain = domain;
    this.port = port;
  }

  /** `transport`: port of the next hop by domain. */
  static async start(
    folder: string,
    domain: string,
    users: readonly string[],
    transport: Record<string, number>,
  ): Promise<Postfix> {
    const postfix = new Postfix(folder, domain, await freePort());
    await postfix.#configure(users, transport);
    await startServer('postfix', '-c', postfix.#etc, 'start');
    return postfix;
  }

  get #etc(): string {
    return join(this.#folder, 'etc');
  }

  async #configure(users: readonly string[], transport: Record<string, number>): Promise<void> {
    for (const name of ['etc', 'queue', 'data', 'mail']) mkdirSync(join(this.#folder, name), { recursive: true });
    const postfix = await run('id', ['-u', 'postfix']);
    await chown(join(this.#folder, 'data'), Number(postfix.stdout), 0);
    const owner = 65_534; // nobody
    await chown(join(this.#folder, 'mail'), owner, owner);
    const maps = (table: [string, string][]): string => table.map(([key, value]) => `{ ${key} = ${value} }`).join(', ');
    const settings = {
      compatibility_level: '3.6',
      queue_directory: join(this.#folder, 'queue'),
      data_directory: join(this.#folder, 'data'),
      daemon_directory: SBIN,
      mail_owner: 'postfix',
      setgid_group: 'postdrop',
      maillog_file: join(this.#folder, 'log'),
      maillog_file_prefixes: this.#folder,
      myhostname: `mx.${this.#domain}`,
      mydestination: '',
      inet_interfaces: '127.0.0.1',
      inet_protocols: 'ipv4',
      mynetworks: '127.0.0.0/8',
      smtpd_relay_restrictions: 'permit_mynetworks, reject',
      smtpd_peername_lookup: 'no',
      message_size_limit: '104857600',
      virtual_mailbox_limit: '0',
      alias_maps: '',
      virtual_mailbox_domains: this.#domain,
      virtual_mailbox_base: join(this.#folder, 'mail'),
      virtual_mailbox_maps: `inline:{ ${maps(users.map((user) => [`${user}@${this.#domain}`, `${user}/`]))} }`,
      virtual_uid_maps: `static:${owner}`,
      virtual_gid_maps: `static:${owner}`,
      transport_maps: `inline:{ ${maps(Object.entries(transport).map(([to, port]) => [to, `smtp:[127.0.0.1]:${port}`]))} }`,
      disable_dns_lookups: 'yes',
      minimal_backoff_time: '2s',
      maximal_backoff_time: '2s',
      queue_run_delay: '2s',
    };
    const main = Object.entries(settings).map(([name, value]) => `${name} = ${value}\n`);
    writeFileSync(join(this.#etc, 'main.cf'), main.join(''));
    const master = SERVICES.map(([name, type, isPrivate, wakeUp, max, command]) =>
      // virtual(8) works as the mailbox's owner
      [name, type, isPrivate, command === 'virtual' ? 'n' : '-', 'n', wakeUp, max, command].join(' '),
    );
    writeFileSync(
      join(this.#etc, 'master.cf'),
      [`127.0.0.1:${this.port} inet n - n - - smtpd`, ...master, ''].join('\n'),
    );
  }

  /** The mails of one user, in the order of arrival, with line ends as Postfix stores them (LF). */
  mails(user: string): Buffer[] {
    const folder = join(this.#folder, 'mail', user, 'new');
    try {
      return readdirSync(folder)
        .sort()
        .map((name) => readFileSync(join(folder, name)));
    } catch {
      return []; // made with the first mail
    }
  }

  /** Recipients that wait in its queue. */
  async waiting(): Promise<string[]> {
    const { stdout } = await run('postqueue', ['-c', this.#etc, '-j']);
    const mails = stdout
      .trim()
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));
    return mails.flatMap((mail) => mail.recipients.map(({ address }: { address: string }) => address));
  }

  log(): string {
    return readFileSync(join(this.#folder, 'log'), 'utf8');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await startServer('postfix', '-c', this.#etc, 'stop').catch(() => {});
  }
}
