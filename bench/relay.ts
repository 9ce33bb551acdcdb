// Our relay against tox-bootstrapd's on loopback, both in the same run:
//   node bench/relay.ts [--mb 20] [--pairs 10] [--idle 200]
// Each relay is a process of its own, all clients are ours and live here. CPU is the relay's alone. Needs
// toxcore-utils. Compare ratios, not absolutes: the machine's other work shows in all figures.
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { BootstrapDaemon } from '../interop/oracle/bootstrap-daemon.ts';
import { stop, TemporaryFolder } from '../interop/oracle/tools.ts';
import { SocketGuest } from '../packages/tox/test/relay/socket-guest.ts';
import { ask } from '../packages/toxmail/test/daemon/processes.ts';

interface Relay {
  readonly name: string;
  readonly port: number;
  readonly key: string;
  readonly pid: number;
}

const BIN = new URL('../packages/toxmail/bin/toxmail.mjs', import.meta.url).pathname;
/** As large as a session's packets. */
const PACKET = new Uint8Array(1_400);
const MEBIBYTE = 1_048_576;

const { values } = parseArgs({
  options: {
    mb: { type: 'string', default: '20' },
    pairs: { type: 'string', default: '10' },
    idle: { type: 'string', default: '200' },
  },
});
const [megabytes, pairCount, idleCount] = [Number(values.mb), Number(values.pairs), Number(values.idle)];

async function ours(stack: AsyncDisposableStack): Promise<Relay> {
  const folder = stack.use(await TemporaryFolder.create());
  const options = ['--udp-port', '0', '--bootstrap', 'none', '--no-lan', '--log-level', 'error'];
  const child = spawn(process.execPath, [BIN, 'bootstrap', '--data', folder.path, ...options], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  stack.defer(() => stop(child, 'SIGTERM', 0));
  await new Promise<void>((resolve) => createInterface({ input: child.stdout }).once('line', () => resolve()));
  const { bootstrap } = await ask(folder.path, 'status');
  return { name: 'toxmail bootstrap', port: bootstrap.relay.ports[0], key: bootstrap.dhtKey, pid: child.pid! };
}

async function theirs(stack: AsyncDisposableStack): Promise<Relay> {
  const { port, key, pid } = stack.use(await BootstrapDaemon.start({ tcpRelay: true }));
  return { name: 'tox-bootstrapd', port, key, pid };
}

/** Processor seconds and resident MiB of a process. */
async function cost(pid: number): Promise<{ cpu: number; resident: number }> {
  const stat = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]!.split(' ');
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const ticks = Number(stat[11]) + Number(stat[12]);
  return { cpu: ticks / 100, resident: Number(/VmRSS:\s+(\d+)/.exec(status)![1]) / 1_024 };
}

/** Sends so many bytes from one to the other as fast as the relay takes them. */
async function transfer(from: SocketGuest, to: SocketGuest, bytes: number): Promise<void> {
  const id = await from.route(to);
  let got = 0;
  let sent = 0;
  const done = Promise.withResolvers<void>();
  // What arrives is counted, not kept.
  to.told.push = (...told) => {
    if (told[0]![0] === 'data') got += PACKET.length;
    if (got >= bytes) done.resolve();
    return 0;
  };
  const pump = () => {
    from.do((client) => {
      client.written(performance.now(), from.socket.writableLength);
      while (sent < bytes && client.sendData(id, PACKET)) sent += PACKET.length;
    });
  };
  from.socket.on('data', pump); // the relay's answers make room
  from.socket.on('drain', pump);
  pump();
  await done.promise;
}

async function measure(relay: Relay): Promise<void> {
  const guest = () => SocketGuest.login(relay.port, relay.key);
  const empty = await cost(relay.pid);
  let began = performance.now();
  const idle = await Promise.all(Array.from({ length: idleCount }, guest));
  const login = performance.now() - began;
  await new Promise((done) => setTimeout(done, 1_000));
  const full = await cost(relay.pid);
  const report = [`${idleCount} clients in ${Math.round(login)} ms`];
  report.push(`${empty.resident.toFixed(0)} → ${full.resident.toFixed(0)} MiB`);
  for (const count of [1, pairCount]) {
    const pairs = await Promise.all(Array.from({ length: count }, async () => [await guest(), await guest()] as const));
    const each = (megabytes * 1e6) / count;
    const before = await cost(relay.pid);
    began = performance.now();
    await Promise.all(pairs.map(([from, to]) => transfer(from, to, each)));
    const seconds = (performance.now() - began) / 1_000;
    const { cpu } = await cost(relay.pid);
    const mebibytes = (megabytes * 1e6) / MEBIBYTE;
    const per100 = ((cpu - before.cpu) / mebibytes) * 100;
    report.push(`${count} pairs ${(mebibytes / seconds).toFixed(1)} MiB/s, ${per100.toFixed(2)} CPU-s per 100 MiB`);
    for (const pair of pairs) for (const one of pair) one[Symbol.dispose]();
  }
  for (const one of idle) one[Symbol.dispose]();
  console.log(`${relay.name}: ${report.join(' · ')}`);
}

for (const start of [theirs, ours]) {
  await using stack = new AsyncDisposableStack();
  await measure(await start(stack));
}
process.exit(0);
