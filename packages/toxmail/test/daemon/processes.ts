import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createTransport, type SendMailOptions } from 'nodemailer';
import { NODE_FLAGS } from '../../bin/node-flags.mjs';
import { askDaemon } from '../../src/cli/control-client.ts';

export const BIN = fileURLToPath(new URL('../../bin/toxmail.mjs', import.meta.url));

export interface Outcome {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** What is started is ended with it: a test, or with node:test's own `after` the whole file. */
export interface Scope {
  after(end: () => void): void;
}

/** A folder that is gone after the test. */
export function scratch(t: Scope): string {
  const path = mkdtempSync(join(tmpdir(), 'toxmail-process-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** One command as a process of its own. */
export async function toxmail(...args: string[]): Promise<Outcome> {
  const child = spawn(process.execPath, [BIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk) => {
    output.stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    output.stderr += chunk;
  });
  const [status] = await once(child, 'close');
  return { status, ...output };
}

/** The JSON of a command that succeeds. */
// biome-ignore lint/suspicious/noExplicitAny: tests look into many shapes
export async function json(dataDir: string, ...args: string[]): Promise<any> {
  const { status, stdout, stderr } = await toxmail(...args, '--data', dataDir, '--json');
  if (status !== 0) throw new Error(`toxmail ${args.join(' ')}: ${stderr}`);
  return JSON.parse(stdout);
}

/** The same by the control socket, without a process: for asking again and again. Undefined while none answers. */
// biome-ignore lint/suspicious/noExplicitAny: tests look into many shapes
export async function ask(dataDir: string, command: string, args: Record<string, unknown> = {}): Promise<any> {
  return (await askDaemon(dataDir, { command, args }))?.result;
}

/** Starts a command that keeps running; resolves with its first line of output. Killed after the test. */
export async function launch(t: Scope, ...args: string[]): Promise<{ child: ChildProcess; line: string }> {
  const child = spawn(process.execPath, [...NODE_FLAGS, BIN, ...args], { stdio: ['ignore', 'pipe', 'ignore'] });
  t.after(() => child.kill('SIGKILL'));
  const line = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', resolve);
    child.on('exit', (code) => reject(new Error(`toxmail ${args[0]} ended with ${code}`)));
  });
  return { child, line };
}

export async function stop(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill(signal);
  await once(child, 'exit');
}

/** Asks again until the answer is not undefined or false; what another process does can only be asked for. */
export async function until<T>(what: string, ask: () => Promise<T | undefined | false>, limitMs = 60_000): Promise<T> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const found = await ask();
    if (found) return found;
    if (performance.now() > deadline) throw new Error(`not within ${limitMs / 1000} s: ${what}`);
    await sleep(50);
  }
}

export interface Person {
  readonly name: string;
  readonly data: string;
  readonly password: string;
  readonly address: string;
  daemon: ChildProcess;
  smtp: { host: string; port: number };
  pop3: { host: string; port: number };
  imap: { host: string; port: number };
}

/** Two people whose daemons found each other by Tox ID alone, through a bootstrap node of their own. */
export async function friends(t: Scope): Promise<{ ann: Person; bob: Person; bootstrap: string }> {
  const folder = scratch(t);
  const { line } = await launch(
    t,
    'bootstrap',
    '--data',
    join(folder, 'bootstrap'),
    '--udp-port',
    '0',
    '--bootstrap',
    'none',
  );
  const bootstrap = line.replace(/^.*(:\d+:[0-9A-F]{64})$/, '127.0.0.1$1');
  const [ann, bob] = await Promise.all([person(t, folder, 'ann', bootstrap), person(t, folder, 'bob', bootstrap)]);
  await json(ann.data, 'contact', 'add', 'bob', bob.address);
  await json(bob.data, 'contact', 'add', 'ann', ann.address);
  await until('both are online', async () => (await isOnline(ann)) && (await isOnline(bob)));
  return { ann, bob, bootstrap };
}

export async function isOnline(of: Person): Promise<boolean> {
  const [contact] = (await ask(of.data, 'contact list')) ?? [];
  return contact?.online ?? false;
}

/** All that this person sent has arrived, as far as their daemon knows. */
export async function isDelivered(of: Person): Promise<boolean> {
  const queue: { state: string }[] | undefined = await ask(of.data, 'queue list');
  return queue?.every((each) => each.state === 'delivered') ?? false;
}

/** An account in a data folder of its own, and the daemon on it. */
export async function person(t: Scope, folder: string, name: string, bootstrap: string): Promise<Person> {
  const data = join(folder, name);
  const { password, address } = await json(data, 'account', 'add', name, '--no-welcome');
  const someone = { name, data, password, address };
  return { ...someone, ...(await run(t, data, bootstrap)) };
}

export async function run(
  t: Scope,
  data: string,
  bootstrap: string,
): Promise<Pick<Person, 'daemon' | 'smtp' | 'pop3' | 'imap'>> {
  const ports = ['--smtp-port', '0', '--pop3-port', '0', '--udp-port', '0'];
  const { child } = await launch(t, 'run', '--data', data, ...ports, '--bootstrap', bootstrap, '--no-lan');
  const { listeners } = await until('the daemon answers', () => ask(data, 'status'));
  return { daemon: child, smtp: listeners.smtp, pop3: listeners.pop3, imap: listeners.imap };
}

/** Hands in a mail; resolves with the server's last reply. */
export function send(from: Person, to: string, subject: string, content: Buffer): Promise<string> {
  const attachments = [{ filename: 'a.bin', content }];
  return sendMail(from, { from: `${from.name}@tox`, to, subject, text: 'see attachment', attachments });
}

export async function sendMail(from: Person, mail: SendMailOptions): Promise<string> {
  const auth = { user: from.name, pass: from.password };
  const smtp = createTransport({ ...from.smtp, ignoreTLS: true, auth });
  try {
    return (await smtp.sendMail(mail)).response;
  } finally {
    smtp.close();
  }
}

/** What the maildrop holds, as it comes over the wire, dot-unstuffed. */
export async function fetchMail(of: Pick<Person, 'name' | 'password' | 'pop3'>): Promise<string[]> {
  const socket = connect(of.pop3.port, of.pop3.host);
  socket.setEncoding('latin1');
  let said = '';
  socket.on('data', (chunk) => {
    said += chunk;
  });
  const closed = once(socket, 'close');
  socket.write(`USER ${of.name}\r\nPASS ${of.password}\r\nSTAT\r\n`);
  const stat = await until(
    'POP3 STAT',
    async () => /\+OK (\d+) \d+\r\n$/.exec(said) ?? (/^-ERR/m.test(said) ? ['', '0'] : undefined),
  );
  said = '';
  for (let number = 1; number <= Number(stat[1]); number++) socket.write(`RETR ${number}\r\n`);
  socket.write('QUIT\r\n');
  await closed;
  const answers = said.split('\r\n.\r\n').slice(0, -1);
  return answers.map((answer) => `${answer.slice(answer.indexOf('\r\n') + 2)}\r\n`.replace(/^\.\./gm, '.'));
}
