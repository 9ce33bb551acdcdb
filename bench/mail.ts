// Mail from one daemon to another on loopback, each a process of its own, with the real disk:
//   node bench/mail.ts [latency|rate|large|idle]... [--mails 1000] [--connections 8] [--mb 25] [--cpu-prof DIR]
// Times run to the moment at which the file appears in the other Maildir's new/. The SMTP client and the watcher
// share the machine with both daemons. --cpu-prof writes a profile of each daemon.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { askDaemon } from '../packages/toxmail/src/cli/control-client.ts';
import { Arrivals, SmtpClient } from './mail-client.ts';

const BIN = fileURLToPath(new URL('../packages/toxmail/bin/toxmail.mjs', import.meta.url));
/** Ticks of /proc/PID/stat. */
const HERTZ = 100;
const NOBODY = `127.0.0.1:9:${'AB'.repeat(32)}`;

const { values: options, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: {
    mails: { type: 'string', default: '1000' },
    connections: { type: 'string', default: '8' },
    mb: { type: 'string', default: '25' },
    runs: { type: 'string', default: '3' },
    'cpu-prof': { type: 'string' },
  },
});
const does = (what: string): boolean => wanted.length === 0 || wanted.includes(what);

interface Daemon {
  readonly name: string;
  readonly data: string;
  readonly child: ChildProcess;
  readonly password: string;
  readonly address: string;
  readonly smtp: { host: string; port: number };
}

const folder = mkdtempSync(join(tmpdir(), 'toxmail-bench-'));
const daemons: Daemon[] = [];
try {
  const ann = await start('ann', NOBODY);
  const [node] = (await ask(ann, 'node')) as { port: number; publicKey: string }[];
  const bob = await start('bob', `127.0.0.1:${node!.port}:${node!.publicKey}`);
  const from = performance.now();
  await ask(ann, 'contact add', { name: 'bob', address: bob.address });
  await ask(bob, 'contact add', { name: 'ann', address: ann.address });
  for (const each of [ann, bob]) await online(each);
  console.log(`contacts online after ${(performance.now() - from).toFixed(0)} ms`);
  const inbox = new Arrivals(join(bob.data, 'accounts', 'bob', 'Maildir', 'new'));
  if (does('latency')) await latency(ann, inbox);
  if (does('rate')) for (let i = 0; i < Number(options.runs); i++) await rate(ann, bob, inbox);
  if (does('large')) for (let i = 0; i < Number(options.runs); i++) await large(ann, inbox);
  for (const each of [ann, bob]) console.log(`${each.name}: ${memory(each)}`);
  if (does('idle')) await idle([ann, bob]);
  inbox.close();
} finally {
  for (const { child } of daemons) {
    if (child.exitCode === null && child.kill('SIGTERM')) await once(child, 'exit');
  }
  rmSync(folder, { recursive: true, force: true });
}

/** 3 KB mails, one at a time. */
async function latency(ann: Daemon, inbox: Arrivals): Promise<void> {
  const smtp = await SmtpClient.logIn(ann.smtp, ann.name, ann.password);
  const sinceData: number[] = [];
  const since250: number[] = [];
  for (let i = 0; i < 300; i++) {
    const arrival = inbox.next(1);
    const from = performance.now();
    const accepted = await smtp.send(mail(3_000));
    const at = await arrival;
    sinceData.push(at - from);
    since250.push(Math.max(0, at - accepted));
  }
  smtp.close();
  console.log(`3 KB, one at a time: MAIL → new/ ${percentiles(sinceData)}; 250 → new/ ${percentiles(since250)}`);
}

/** Many mails over several connections. */
async function rate(ann: Daemon, bob: Daemon, inbox: Arrivals): Promise<void> {
  const count = Number(options.mails);
  const clients = await Promise.all(
    Array.from({ length: Number(options.connections) }, () => SmtpClient.logIn(ann.smtp, ann.name, ann.password)),
  );
  const mails = Array.from({ length: count }, () => mail(3_000));
  const before = [cpu(ann), cpu(bob)];
  const arrival = inbox.next(count);
  const from = performance.now();
  let accepted = 0;
  await Promise.all(
    clients.map(async (client) => {
      for (let next = mails.pop(); next; next = mails.pop()) accepted = Math.max(accepted, await client.send(next));
    }),
  );
  const last = await arrival;
  for (const client of clients) client.close();
  const per = (end: number): string => `${(count / ((end - from) / 1000)).toFixed(0)}/s`;
  const used = [ann, bob].map((each, i) => `${each.name} ${(cpu(each) - before[i]!).toFixed(2)}`);
  console.log(
    `${count} mails of 3 KB over ${clients.length} connections: in new/ ${per(last)}, accepted ${per(accepted)}; ` +
      `CPU-seconds ${used.join(', ')}`,
  );
}

async function large(ann: Daemon, inbox: Arrivals): Promise<void> {
  const smtp = await SmtpClient.logIn(ann.smtp, ann.name, ann.password);
  const size = Number(options.mb) * 1e6;
  const content = mail(size);
  const arrival = inbox.next(1);
  const from = performance.now();
  const accepted = await smtp.send(content);
  const at = await arrival;
  smtp.close();
  const per = (ms: number): string => `${(size / 1e6 / (ms / 1000)).toFixed(1)} MB/s`;
  console.log(
    `${options.mb} MB: SMTP accepts it at ${per(accepted - from)}; 250 → new/ ${per(at - accepted)}; ` +
      `whole way ${per(at - from)} (${(at - from).toFixed(0)} ms)`,
  );
}

async function idle(both: Daemon[]): Promise<void> {
  await sleep(5_000);
  const before = both.map(cpu);
  await sleep(60_000);
  for (const [i, each] of both.entries()) {
    console.log(`${each.name}, one idle minute: ${(cpu(each) - before[i]!).toFixed(2)} CPU-seconds, ${memory(each)}`);
  }
}

function mail(size: number): Buffer {
  const header = 'From: <ann@tox>\r\nTo: <bob@tox>\r\nSubject: bench\r\n\r\n';
  const body = randomBytes(Math.ceil((size * 3) / 4))
    .toString('base64')
    .replace(/.{76}/g, '$&\r\n')
    .slice(0, size - header.length - 2);
  return Buffer.from(`${header}${body}\r\n`);
}

function percentiles(times: number[]): string {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (part: number): string =>
    `${sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]!.toFixed(1)}`;
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`;
}

async function start(name: string, bootstrap: string): Promise<Daemon> {
  const data = join(folder, name);
  const prof = options['cpu-prof'];
  const flags =
    prof === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${prof}`, `--cpu-prof-name=${name}.cpuprofile`];
  const ports = ['--smtp-port', '0', '--pop3-port', '0', '--udp-port', '0'];
  const made = spawn(process.execPath, [BIN, 'account', 'add', name, '--no-welcome', '--data', data, '--json']);
  let json = '';
  made.stdout.on('data', (chunk) => {
    json += chunk;
  });
  await once(made, 'close');
  const { password, address } = JSON.parse(json);
  const arguments_ = ['run', '--data', data, ...ports, '--bootstrap', bootstrap, '--no-lan', '--log-level', 'warn'];
  const child = spawn(process.execPath, [...flags, BIN, ...arguments_], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout!, 'data');
  child.stdout!.resume();
  const { listeners } = (await ask({ data }, 'status')) as { listeners: { smtp: Daemon['smtp'] } };
  const daemon = { name, data, child, password, address, smtp: listeners.smtp };
  daemons.push(daemon);
  return daemon;
}

async function ask({ data }: { data: string }, command: string, args: Record<string, unknown> = {}): Promise<unknown> {
  return (await askDaemon(data, { command, args }))?.result;
}

async function online(of: Daemon): Promise<void> {
  for (;;) {
    const [contact] = (await ask(of, 'contact list')) as { online: boolean }[];
    if (contact?.online) return;
    await sleep(5);
  }
}

/** CPU-seconds since the start. */
function cpu({ child }: Daemon): number {
  const fields = readFileSync(`/proc/${child.pid}/stat`, 'latin1').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) / HERTZ;
}

function memory({ child }: Daemon): string {
  const field = (name: string): string => {
    const found = new RegExp(`^${name}:\\s*(\\d+) kB`, 'm').exec(readFileSync(`/proc/${child.pid}/status`, 'latin1'));
    return `${(Number(found?.[1] ?? 0) / 1024).toFixed(0)} MiB`;
  };
  return `${field('VmRSS')} resident, ${field('VmHWM')} at most`;
}
