// Our node against c-toxcore on loopback, every pair of them in the same run:
//   node bench/tox.ts [files|online|text|idle]... [--mb 64] [--runs 5]
// Each peer is a process of its own. Needs libtoxcore-dev, gcc and tox-bootstrapd. Compare ratios,
// not absolutes: the machine's other work shows in all figures.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import {
  BootstrapDaemon,
  disposeOracle,
  OraclePeer,
  oracleMissing,
  TemporaryFolder,
} from '../interop/oracle/oracle.ts';
import type { Command, Report } from './our-peer.ts';

type Kind = 'us' | 'them';

/** What both kinds can do. Times are of the parent's clock. */
interface Peer extends AsyncDisposable {
  readonly publicKey: string;
  readonly pid: number;
  bootstrap(port: number, key: string): Promise<void> | void;
  befriend(key: string): Promise<void> | void;
  online(friend: string): Promise<void>;
  /** Offers `size` bytes; the peer accepts by itself. */
  sendFile(friend: string, size: number): Promise<void> | void;
  received(size: number): Promise<void>;
  message(friend: string, text: string): Promise<unknown> | undefined;
  heard(text: string): Promise<void>;
}

class OurPeer implements Peer {
  readonly publicKey: string;
  readonly #child: ChildProcess;
  readonly #seen: Report[];
  readonly #checks = new Set<() => void>();

  private constructor(child: ChildProcess, started: Extract<Report, { is: 'started' }>, seen: Report[]) {
    this.#child = child;
    this.#seen = seen;
    this.publicKey = started.publicKey;
    child.on('message', (report: Report) => {
      this.#seen.push(report);
      for (const check of this.#checks) check();
    });
  }

  static async start(): Promise<OurPeer> {
    const child = fork(new URL('our-peer.ts', import.meta.url), { stdio: 'inherit' });
    await once(child, 'spawn');
    child.send({ do: 'start', port: 0 } satisfies Command);
    const [started] = (await once(child, 'message')) as [Extract<Report, { is: 'started' }>];
    return new OurPeer(child, started, []);
  }

  get pid(): number {
    return this.#child.pid!;
  }

  bootstrap(port: number, key: string): void {
    this.#tell({ do: 'bootstrap', port, key });
  }

  befriend(key: string): void {
    this.#tell({ do: 'befriend', key });
  }

  online(friend: string): Promise<void> {
    return this.#wait((r) => r.is === 'online' && r.key === friend);
  }

  sendFile(friend: string, size: number): void {
    this.#tell({ do: 'send-file', key: friend, size });
  }

  received(size: number): Promise<void> {
    return this.#wait((r) => r.is === 'received' && r.size === size);
  }

  message(friend: string, text: string): undefined {
    this.#tell({ do: 'message', key: friend, text });
  }

  heard(text: string): Promise<void> {
    return this.#wait((r) => r.is === 'message' && r.text === text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill();
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'exit');
  }

  #tell(command: Command): void {
    this.#child.send(command);
  }

  #wait(where: (report: Report) => boolean): Promise<void> {
    return new Promise((resolve) => {
      const check = () => {
        if (!this.#seen.some(where)) return;
        this.#checks.delete(check);
        resolve();
      };
      this.#checks.add(check);
      check();
    });
  }
}

class TheirPeer implements Peer {
  readonly #peer: OraclePeer;
  readonly #folder: TemporaryFolder;

  constructor(peer: OraclePeer, folder: TemporaryFolder) {
    this.#peer = peer;
    this.#folder = folder;
    void this.#acceptAll();
  }

  get publicKey(): string {
    return this.#peer.publicKey;
  }

  get pid(): number {
    return this.#peer.pid;
  }

  async bootstrap(port: number, key: string): Promise<void> {
    await this.#peer.bootstrap('127.0.0.1', port, key);
  }

  async befriend(key: string): Promise<void> {
    await this.#peer.acceptFriend(key);
  }

  online(friend: string): Promise<void> {
    return this.#peer.friendOnline(friend, { timeoutMs: 60_000 });
  }

  async sendFile(friend: string, size: number): Promise<void> {
    const path = this.#folder.join(`${size}`);
    const file = await open(path, 'w');
    await file.truncate(size);
    await file.close();
    await this.#peer.sendFile(friend, path, 'bench');
  }

  async received(size: number): Promise<void> {
    await this.#peer.waitFor('file-received', (e) => e.moved === size, { timeoutMs: 300_000 });
  }

  message(friend: string, text: string): Promise<unknown> {
    return this.#peer.sendMessage(friend, text);
  }

  async heard(text: string): Promise<void> {
    await this.#peer.waitFor('message', (e) => e.text === text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#peer[Symbol.asyncDispose]();
  }

  async #acceptAll(): Promise<void> {
    for (let seen = 0; ; seen = this.#peer.events.length) {
      const offer = await this.#peer.waitFor('file-offer', () => true, { timeoutMs: 1e9, after: seen }).catch(() => {});
      if (!offer) return;
      await this.#peer.acceptFile(offer.friend, offer.file, undefined);
    }
  }
}

const missing = await oracleMissing();
if (missing) throw new Error(missing);
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { mb: { type: 'string', default: '64' }, runs: { type: 'string', default: '5' } },
});
const runs = Number(values.runs);
const wanted = (name: string) => positionals.length === 0 || positionals.includes(name);
const ALL: [Kind, Kind][] = [
  ['us', 'us'],
  ['us', 'them'],
  ['them', 'us'],
  ['them', 'them'],
];

await using folder = await TemporaryFolder.create();
const begin = (kind: Kind): Promise<Peer> =>
  kind === 'us' ? OurPeer.start() : OraclePeer.start().then((peer) => new TheirPeer(peer, folder));

/** A bootstrap node and two friends that just met; `first` may run before `second` is started. */
async function meet(kinds: [Kind, Kind], stack: AsyncDisposableStack, headStart = 0) {
  const daemon = stack.use(await BootstrapDaemon.start());
  const a = stack.use(await begin(kinds[0]));
  const b = stack.use(await begin(kinds[1]));
  await b.befriend(a.publicKey);
  await a.befriend(b.publicKey);
  await b.bootstrap(daemon.port, daemon.key);
  if (headStart > 0) await new Promise((resolve) => setTimeout(resolve, headStart));
  const start = performance.now();
  await a.bootstrap(daemon.port, daemon.key);
  await Promise.all([a.online(b.publicKey), b.online(a.publicKey)]);
  return { a, b, seconds: (performance.now() - start) / 1000 };
}

function summary(values: number[], digits = 1): string {
  const sorted = [...values].sort((x, y) => x - y);
  const median = sorted[Math.floor(sorted.length / 2)]!;
  return `${median.toFixed(digits)} [${sorted[0]!.toFixed(digits)}-${sorted.at(-1)!.toFixed(digits)}]`;
}

const clockTicks = 100; // USER_HZ of every Linux
async function usage(pid: number): Promise<{ cpu: number; rss: number }> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]!.split(' ');
  return { cpu: (Number(fields[11]) + Number(fields[12])) / clockTicks, rss: (Number(fields[21]) * 4096) / 2 ** 20 };
}

if (wanted('files')) {
  const size = Math.round(Number(values.mb) * 2 ** 20);
  for (const kinds of ALL) {
    const rates: number[] = [];
    for (let run = 0; run < runs; run++) {
      await using stack = new AsyncDisposableStack();
      const { a, b } = await meet(kinds, stack);
      const start = performance.now();
      await a.sendFile(b.publicKey, size);
      await b.received(size);
      rates.push(size / 2 ** 20 / ((performance.now() - start) / 1000));
    }
    console.log(`file ${values.mb} MiB ${kinds.join('→')}: ${summary(rates)} MiB/s`);
  }
}

if (wanted('online')) {
  for (const headStart of [0, 12_000]) {
    for (const kinds of ALL) {
      const times: number[] = [];
      for (let run = 0; run < runs; run++) {
        await using stack = new AsyncDisposableStack();
        times.push((await meet(kinds, stack, headStart)).seconds);
      }
      const how = headStart > 0 ? 'the other running for 12 s' : 'both started now';
      console.log(`online ${kinds.join('↔')}, ${how}: ${summary(times, 2)} s`);
    }
  }
}

if (wanted('text')) {
  for (const kinds of ALL) {
    await using stack = new AsyncDisposableStack();
    const { a, b } = await meet(kinds, stack);
    const times: number[] = [];
    for (let i = 0; i < 300; i++) {
      const start = performance.now();
      await a.message(b.publicKey, `ping ${i}`);
      await b.heard(`ping ${i}`);
      await b.message(a.publicKey, `pong ${i}`);
      await a.heard(`pong ${i}`);
      times.push(performance.now() - start);
    }
    times.sort((x, y) => x - y);
    console.log(
      `text and answer ${kinds.join('↔')}: p50 ${times[150]!.toFixed(2)} ms, p99 ${times[296]!.toFixed(2)} ms`,
    );
  }
}

if (wanted('idle')) {
  await using stack = new AsyncDisposableStack();
  const pairs = [await meet(['us', 'us'], stack), await meet(['them', 'them'], stack)];
  await new Promise((resolve) => setTimeout(resolve, 10_000));
  const before = await Promise.all(pairs.map(({ a }) => usage(a.pid)));
  await new Promise((resolve) => setTimeout(resolve, 60_000));
  for (const [i, { a }] of pairs.entries()) {
    const now = await usage(a.pid);
    const cpu = now.cpu - before[i]!.cpu;
    console.log(
      `idle minute ${i === 0 ? 'us' : 'them'}: ${cpu.toFixed(2)} CPU-seconds, ${now.rss.toFixed(1)} MiB resident`,
    );
  }
}
await disposeOracle();
