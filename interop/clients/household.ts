import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createTransport, type SendMailOptions } from 'nodemailer';
import MailComposer from 'nodemailer/lib/mail-composer/index.js';
import { json, type Scope, scratch, until } from '../../packages/toxmail/test/daemon/processes.ts';
import { bootstrapNode, Toxmail } from '../mail-server/toxmail.ts';

/** Someone with a mail program: what the settings that were printed for them say. */
export interface MailUser {
  readonly name: string;
  readonly password: string;
  /** `name@tox`. */
  readonly address: string;
  readonly toxmail: Toxmail;
  readonly host: string;
  readonly ports: Record<'smtp' | 'smtps' | 'pop3' | 'pop3s' | 'imap' | 'imaps', number>;
  /** The certificate to trust, as `toxmail tls ca` gives it. */
  readonly ca: string;
}

/** What a script or settings file is given. */
export interface Login {
  readonly host: string;
  readonly imap: number;
  readonly imaps: number;
  readonly user: string;
  readonly password: string;
  readonly ca: string;
}

export function loginOf({ host, ports, name: user, password, ca }: MailUser): Login {
  return { host, imap: ports.imap, imaps: ports.imaps, user, password, ca };
}

export interface Household {
  readonly ann: MailUser;
  readonly bob: MailUser;
  /** Removed at the end. */
  readonly folder: string;
  end(): Promise<void>;
}

/** Two people who are each other's contacts, with a daemon each. To be ended by the caller. */
export async function household(): Promise<Household> {
  const ends: (() => void)[] = [];
  const scope: Scope = { after: (end) => void ends.unshift(end) };
  const folder = scratch(scope);
  const bootstrap = await bootstrapNode(scope, folder);
  const [ann, bob] = await Promise.all([user(scope, folder, 'ann', bootstrap), user(scope, folder, 'bob', bootstrap)]);
  await ann.toxmail.contact('ann', 'bob', bob.toxmail.addresses.get('bob')!);
  await bob.toxmail.contact('bob', 'ann', ann.toxmail.addresses.get('ann')!);
  await Promise.all([ann.toxmail.online(), bob.toxmail.online()]);
  const end = async (): Promise<void> => {
    await Promise.all([ann.toxmail.stop(), bob.toxmail.stop()]);
    for (const each of ends) each();
  };
  return { ann, bob, folder, end };
}

async function user(scope: Scope, folder: string, name: string, bootstrap: string): Promise<MailUser> {
  const toxmail = await Toxmail.prepare(scope, join(folder, name), bootstrap, [name]);
  await toxmail.start();
  const { password, address } = { password: toxmail.passwords.get(name)!, address: `${name}@tox` };
  return {
    name,
    password,
    address,
    toxmail,
    host: '127.0.0.1',
    ...(await portsOf(toxmail)),
    ca: await authority(toxmail),
  };
}

/** After a restart the ports are others. */
export async function portsOf(toxmail: Toxmail): Promise<Pick<MailUser, 'ports'>> {
  const listeners = Object.entries(await toxmail.listeners());
  return { ports: Object.fromEntries(listeners.map(([name, { port }]) => [name, port])) as MailUser['ports'] };
}

async function authority(toxmail: Toxmail): Promise<string> {
  const path = join(toxmail.data, 'ca-for-programs.pem');
  writeFileSync(path, (await json(toxmail.data, 'tls', 'ca')).certificate);
  return path;
}

/** A mail as it goes over the wire, every line ended by CRLF. */
export async function compose(mail: SendMailOptions): Promise<Buffer> {
  const built = await new MailComposer(mail).compile().build();
  return Buffer.from(built.toString('latin1').replaceAll(/\r?\n/g, '\r\n'), 'latin1');
}

/** From one to the other, over Tox. Resolves when it has arrived; with the mail's bytes as it was handed in. */
export async function sendOver(from: MailUser, to: MailUser, mail: SendMailOptions): Promise<Buffer> {
  const raw = await compose({ from: from.address, to: to.address, ...mail });
  const smtp = createTransport({
    ...{ host: from.host, port: from.ports.smtp, ignoreTLS: true },
    auth: { user: from.name, pass: from.password },
  });
  await smtp.sendMail({ raw, envelope: { from: from.address, to: to.address } });
  smtp.close();
  await until('the mail is delivered', async () =>
    (await from.toxmail.queue()).every(({ state }) => state === 'delivered'),
  );
  return raw;
}

/** The body, lines ended by LF: what a program on this system may make of it. */
export function bodyOf(mail: Buffer): string {
  const text = mail.toString('latin1').replaceAll('\r\n', '\n');
  return text.slice(text.indexOf('\n\n') + 2);
}

/** Instead of a text that would fill the screen if it is not the expected one. */
export function fingerprint(text: string): string {
  return `${text.length} ${text.slice(0, 40)} ${createHash('sha256').update(text).digest('hex').slice(0, 16)}`;
}

export function subjectOf(mail: Buffer): string | undefined {
  return /^Subject: (.*?)\r?$/m.exec(mail.toString('latin1'))?.[1];
}

/** All mails of a Maildir that a program made. */
export function readMaildir(path: string): Buffer[] {
  return ['new', 'cur']
    .map((name) => join(path, name))
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => readdirSync(folder).map((name) => readFileSync(join(folder, name))));
}

export function emptyMaildir(path: string): string {
  for (const name of ['new', 'cur', 'tmp']) mkdirSync(join(path, name), { recursive: true });
  return path;
}

/** None of them works for so long here; one that asks somebody something would wait for ever. */
const PROGRAM_TIMEOUT_MS = 30_000;

export interface ProgramResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a mail program to its end, with a home of its own. */
export async function program(
  home: string,
  command: string,
  args: readonly string[],
  {
    input,
    env = {},
    timeoutMs = PROGRAM_TIMEOUT_MS,
  }: { input?: string | Buffer; env?: Record<string, string>; timeoutMs?: number } = {},
): Promise<ProgramResult> {
  const child = spawn(command, args, {
    cwd: home,
    env: { PATH: `${process.env.PATH}:/usr/sbin`, HOME: home, LANG: 'C.UTF-8', TMPDIR: home, ...env },
    stdio: 'pipe',
    timeout: timeoutMs,
  });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('latin1');
    child[name].on('data', (text: string) => {
      output[name] += text;
    });
  }
  child.stdin.on('error', () => {}); // of a program that needs no more
  child.stdin.end(input);
  const [status] = await once(child, 'close');
  return { status, ...output };
}

/** The same, and it must succeed. */
export async function succeeds(...call: Parameters<typeof program>): Promise<string> {
  const { status, stdout, stderr } = await program(...call);
  if (status === 0) return stdout;
  throw new Error(`${call[1]} ${call[2].join(' ')} ended with ${status}:\n${stdout}\n${stderr}`.slice(0, 4_000));
}

/** A script of this folder that prints one JSON document. */
// biome-ignore lint/suspicious/noExplicitAny: each script has its own shape
export async function python(home: string, script: string, input: unknown, seconds = 30): Promise<any> {
  const path = fileURLToPath(new URL(script, import.meta.url));
  return JSON.parse(
    await succeeds(home, 'python3', [path], { input: JSON.stringify(input), timeoutMs: seconds * 1_000 }),
  );
}
