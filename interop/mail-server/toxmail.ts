import type { ChildProcess } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { RUN_OPTIONS } from '../../packages/toxmail/src/daemon/options.ts';
import { ask, json, launch, type Scope, stop, until } from '../../packages/toxmail/test/daemon/processes.ts';
import { freePort } from '../oracle/tools.ts';

/** A daemon with its own config.toml and accounts, on ports that stay the same when it is started again. */
export class Toxmail {
  readonly data: string;
  readonly smtpPort: number;
  readonly passwords = new Map<string, string>();
  readonly addresses = new Map<string, string>();
  readonly #scope: Scope;
  readonly #bootstrap: string;
  #daemon: ChildProcess | undefined;

  private constructor(scope: Scope, data: string, bootstrap: string, smtpPort: number) {
    this.#scope = scope;
    this.data = data;
    this.#bootstrap = bootstrap;
    this.smtpPort = smtpPort;
  }

  /** Not started yet. */
  static async prepare(scope: Scope, data: string, bootstrap: string, accounts: readonly string[]): Promise<Toxmail> {
    const toxmail = new Toxmail(scope, data, bootstrap, await freePort());
    mkdirSync(data, { recursive: true });
    for (const name of accounts) {
      const { password, address } = await json(data, 'account', 'add', name, '--no-welcome');
      toxmail.passwords.set(name, password);
      toxmail.addresses.set(name, address);
    }
    return toxmail;
  }

  /** Its config.toml; read at the next start. */
  configure(...lines: string[]): void {
    writeFileSync(join(this.data, 'config.toml'), lines.join('\n'));
  }

  async start(): Promise<void> {
    const ports = RUN_OPTIONS.filter((option) => option.kind === 'port' && !('only' in option)).flatMap(({ name }) => [
      `--${name}`,
      name === 'smtp-port' ? String(this.smtpPort) : '0',
    ]);
    const own = ['--bootstrap', this.#bootstrap, '--no-lan'];
    const { child } = await launch(this.#scope, 'run', '--data', this.data, ...ports, ...own);
    this.#daemon = child;
    await until('the daemon answers', () => ask(this.data, 'status'));
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.#daemon) await stop(this.#daemon, signal);
    this.#daemon = undefined;
  }

  /** Process id, while it runs. */
  get pid(): number {
    return this.#daemon!.pid!;
  }

  async listeners(): Promise<Record<string, { host: string; port: number }>> {
    return (await ask(this.data, 'status')).listeners;
  }

  // biome-ignore lint/suspicious/noExplicitAny: the queue as JSON
  queue(): Promise<any[]> {
    return ask(this.data, 'queue list');
  }

  /** As `toxmail queue retry` does, for all that waits. */
  async retryAll(): Promise<void> {
    for (const { id, state } of await this.queue())
      if (state === 'waiting') await ask(this.data, 'queue retry', { id });
  }

  contact(account: string, name: string, address: string, ...emails: string[]): Promise<unknown> {
    return json(
      this.data,
      'contact',
      'add',
      name,
      address,
      '--account',
      account,
      ...emails.flatMap((e) => ['--email', e]),
    );
  }

  /** Every contact is online. */
  async online(): Promise<void> {
    await until('the contacts are online', async () => {
      const contacts = (await ask(this.data, 'contact list')) ?? [];
      return contacts.length > 0 && contacts.every((each: { online: boolean }) => each.online);
    });
  }
}

/** A bootstrap node for a network of its own; resolves with the word for `--bootstrap`. */
export async function bootstrapNode(scope: Scope, folder: string): Promise<string> {
  const alone = ['--udp-port', '0', '--bootstrap', 'none'];
  const { line } = await launch(scope, 'bootstrap', '--data', join(folder, 'bootstrap'), ...alone);
  return line.replace(/^.*(:\d+:[0-9A-F]{64})$/, '127.0.0.1$1');
}
