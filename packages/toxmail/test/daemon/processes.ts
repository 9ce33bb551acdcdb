import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createTransport } from 'nodemailer';

export const BIN = fileURLToPath(new URL('../../bin/toxmail.mjs', import.meta.url));

export interface Outcome {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** A folder that is gone after the test. */
export function scratch(t: TestContext): string {
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

/** Starts a command that keeps running; resolves with its first line of output. Killed after the test. */
export async function launch(t: TestContext, ...args: string[]): Promise<{ child: ChildProcess; line: string }> {
  const child = spawn(process.execPath, [BIN, ...args], { stdio: ['ignore', 'pipe', 'ignore'] });
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
}

/** An account in a data folder of its own, and the daemon on it. */
export async function person(t: TestContext, folder: string, name: string, bootstrap: string): Promise<Person> {
  const data = join(folder, name);
  const { password, address } = await json(data, 'account', 'add', name);
  const someone = { name, data, password, address };
  return { ...someone, ...(await run(t, data, bootstrap)) };
}

export async function run(
  t: TestContext,
  data: string,
  bootstrap: string,
): Promise<Pick<Person, 'daemon' | 'smtp' | 'pop3'>> {
  const ports = ['--smtp-port', '0', '--pop3-port', '0', '--udp-port', '0'];
  const { child } = await launch(t, 'run', '--data', data, ...ports, '--bootstrap', bootstrap);
  const { listeners } = await json(data, 'status');
  return { daemon: child, smtp: listeners.smtp, pop3: listeners.pop3 };
}

/** Hands in a mail; resolves with the server's last reply. */
export async function send(from: Person, to: string, subject: string, content: Buffer): Promise<string> {
  const smtp = createTransport({
    ...from.smtp,
    ignoreTLS: true,
    auth: { user: from.name, pass: from.password },
  });
  try {
    const { response } = await smtp.sendMail({
      from: `${from.name}@tox`,
      to,
      subject,
      text: 'see attachment',
      attachments: [{ filename: 'a.bin', content }],
    });
    return response;
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
