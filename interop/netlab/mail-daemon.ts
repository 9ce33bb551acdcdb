import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { ask, json } from '../../packages/toxmail/test/daemon/processes.ts';
import { stop, TemporaryFolder } from '../oracle/tools.ts';
import type { Host } from './lab.ts';
import { PORT } from './peers.ts';

// Whole programs on a host of the laboratory. Their control socket is a file, so that tests can ask them from outside;
// mail goes in and out by curl, on the host.

const BIN = fileURLToPath(new URL('../../packages/toxmail/bin/toxmail.mjs', import.meta.url));
const SMTP_PORT = 2525;
const POP3_PORT = 2110;

class Program implements AsyncDisposable {
  readonly folder: TemporaryFolder;
  readonly child: ChildProcess;

  constructor(folder: TemporaryFolder, child: ChildProcess) {
    this.folder = folder;
    this.child = child;
  }

  /** Resolves when it has said that it runs, with the first thing it said. */
  static async start(host: Host, folder: TemporaryFolder, command: string, ...options: string[]) {
    const own = [process.execPath, BIN, command, '--data', folder.path, '--log-level', 'warn', ...options];
    const [program, ...args] = [...host.prefix, ...own];
    const child = spawn(program!, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let complaints = '';
    child.stderr.on('data', (chunk) => {
      complaints = `${complaints}${chunk}`.slice(-4_000);
    });
    const line = await new Promise<string>((resolve, reject) => {
      createInterface({ input: child.stdout }).on('line', resolve);
      child.on('exit', (code) => reject(new Error(`toxmail ${command} ended with ${code}: ${complaints}`)));
    });
    return { program: new Program(folder, child), line };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill('SIGTERM');
    await stop(this.child, 'SIGKILL', 5_000);
    await this.folder[Symbol.asyncDispose]();
  }
}

/** `toxmail bootstrap`, by which others enter the network. */
export class BootstrapNode implements AsyncDisposable {
  /** `HOST:PORT:KEY`. */
  readonly line: string;
  readonly #program: Program;

  private constructor(line: string, program: Program) {
    this.line = line;
    this.#program = program;
  }

  static async start(host: Host, ...options: string[]): Promise<BootstrapNode> {
    const folder = await TemporaryFolder.create();
    const own = ['--udp-port', String(PORT), '--bootstrap', 'none'];
    const { program, line } = await Program.start(host, folder, 'bootstrap', ...own, ...options);
    return new BootstrapNode(line.replace(/^.*(:\d+:[0-9A-F]{64})$/, `${host.publicAddress}$1`), program);
  }

  /** What `toxmail status --json` says. */
  status() {
    return ask(this.#program.folder.path, 'status');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program[Symbol.asyncDispose]();
  }
}

/** `toxmail run` with one account. */
export class MailDaemon implements AsyncDisposable {
  readonly host: Host;
  readonly name: string;
  /** The account's, in its canonical form. */
  readonly address: string;
  readonly #password: string;
  readonly #program: Program;

  private constructor(host: Host, name: string, address: string, password: string, program: Program) {
    this.host = host;
    this.name = name;
    this.address = address;
    this.#password = password;
    this.#program = program;
  }

  static async start(host: Host, name: string, bootstrap: readonly string[], ...options: string[]) {
    const folder = await TemporaryFolder.create();
    const { address, password } = await json(folder.path, 'account', 'add', name, '--no-welcome');
    const ports = ['--smtp-port', String(SMTP_PORT), '--pop3-port', String(POP3_PORT)];
    const entries = (bootstrap.length > 0 ? bootstrap : ['none']).flatMap((line) => ['--bootstrap', line]);
    const { program } = await Program.start(host, folder, 'run', ...ports, ...entries, ...options);
    return new MailDaemon(host, name, address, password, program);
  }

  get pid(): number {
    return this.#program.child.pid!;
  }

  /** A command of the command line, by the control socket; undefined while the daemon does not answer. */
  ask(command: string, args: Record<string, unknown> = {}) {
    return ask(this.#program.folder.path, command, args);
  }

  async addContact(name: string, address: string): Promise<void> {
    await json(this.#program.folder.path, 'contact', 'add', name, address);
  }

  /** How the contact is connected. */
  async isOnline(name: string): Promise<boolean> {
    const contacts: { name: string; online: boolean }[] = (await this.ask('contact list')) ?? [];
    return contacts.find((contact) => contact.name === name)?.online ?? false;
  }

  /** Hands in a mail (header, empty line, body, with CRLF) as a mail program does. */
  async send(to: string, mail: Buffer): Promise<void> {
    const envelope = ['--mail-from', `${this.name}@tox`, '--mail-rcpt', to];
    await this.#curl([...envelope, '--upload-file', '-', `smtp://127.0.0.1:${SMTP_PORT}`], mail);
  }

  /** How many mails are in the maildrop. */
  async mails(): Promise<number> {
    const list = await this.#curl([`pop3://127.0.0.1:${POP3_PORT}/`]);
    return list.toString().match(/^\d+ \d+/gm)?.length ?? 0;
  }

  /** The mail with this number, from 1 up. */
  read(number: number): Promise<Buffer> {
    return this.#curl([`pop3://127.0.0.1:${POP3_PORT}/${number}`]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program[Symbol.asyncDispose]();
  }

  async #curl(args: readonly string[], input?: Buffer): Promise<Buffer> {
    const login = ['--silent', '--show-error', '--user', `${this.name}:${this.#password}`];
    const [program, ...all] = [...this.host.prefix, 'curl', ...login, ...args];
    const child = execFile(program!, all, { encoding: 'buffer', maxBuffer: 1 << 28 });
    const chunks: Buffer[] = [];
    let errors = '';
    child.stdout!.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.stderr!.on('data', (chunk: Buffer) => {
      errors += chunk;
    });
    child.stdin!.on('error', () => {}); // the exit status tells
    child.stdin!.end(input);
    const [code] = await once(child, 'close');
    if (code !== 0) throw new Error(`curl: ${errors.trim()} (${code})`);
    return Buffer.concat(chunks);
  }
}

/** The two add each other by address, and nothing else. */
export async function introduce(one: MailDaemon, other: MailDaemon): Promise<void> {
  await one.addContact(other.name, other.address);
  await other.addContact(one.name, one.address);
}
