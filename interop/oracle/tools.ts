import { type ChildProcess, execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

// What interop tests need from the machine: a C compiler, c-toxcore, free ports, temporary folders.

const run = promisify(execFile);

const NEEDED: [what: string, command: string, args: string[]][] = [
  ['gcc', 'gcc', ['--version']],
  ['pkg-config', 'pkg-config', ['--version']],
  ['libtoxcore-dev', 'pkg-config', ['--exists', 'toxcore']],
  ['tox-bootstrapd (toxcore-utils)', 'tox-bootstrapd', ['--version']],
];

/** Skips with this reason, unless TOXMAIL_INTEROP=required: then it throws. */
export function missing(reason: string): string {
  if (process.env.TOXMAIL_INTEROP === 'required') throw new Error(reason);
  return reason;
}

/**
 * The reason why nothing can be compared with c-toxcore here, for the `skip` option of a test;
 * false if everything is there. With TOXMAIL_INTEROP=required a missing oracle throws instead.
 */
export async function oracleMissing(): Promise<string | false> {
  for (const [what, command, args] of NEEDED) {
    try {
      await run(command, args);
    } catch {
      return missing(`c-toxcore cannot be driven here: ${what} is missing`);
    }
  }
  return false;
}

type Linkage = 'dynamic' | 'static' | 'plain';

const programs = new Map<string, Promise<string>>();
let programFolder: Promise<TemporaryFolder> | undefined;

/** Compiles one C file of ours, once per process, and gives the path of the program. `plain`: without c-toxcore. */
export function compile(source: URL, how: Linkage = 'dynamic'): Promise<string> {
  const known = programs.get(source.href);
  if (known) return known;
  programFolder ??= TemporaryFolder.create();
  const path = programFolder.then(async (folder) => {
    const out = folder.join(source.pathname.split('/').at(-1)!.replace(/\.c$/, ''));
    await run('gcc', ['-O2', '-Wall', '-o', out, source.pathname, ...(await libraries(how))]);
    return out;
  });
  programs.set(source.href, path);
  return path;
}

/** Removes what `compile` made; for `after()` of a test file that used it. */
export async function disposePrograms(): Promise<void> {
  programs.clear();
  await (await programFolder)?.[Symbol.asyncDispose]();
  programFolder = undefined;
}

async function libraries(how: Linkage): Promise<string[]> {
  if (how === 'plain') return [];
  // The static archive alone has c-toxcore's internal functions.
  if (how === 'static') return ['-l:libtoxcore.a', '-lsodium', '-lopus', '-lvpx', '-lm', '-lpthread', '-lrt'];
  return (await run('pkg-config', ['--cflags', '--libs', 'toxcore', 'libsodium'])).stdout.trim().split(/\s+/);
}

/** A folder that goes away with the test. */
export class TemporaryFolder implements AsyncDisposable {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static async create(): Promise<TemporaryFolder> {
    return new TemporaryFolder(await mkdtemp(join(tmpdir(), 'toxmail-interop-')));
  }

  join(name: string): string {
    return join(this.path, name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }
}

const handedOut = new Set<number>();

/** A port that is free for UDP and TCP, and that this process never got before (0.2.18 confuses reused ports). */
export async function freePort(): Promise<number> {
  for (;;) {
    const tcp = createServer().listen(0, '0.0.0.0');
    await once(tcp, 'listening');
    const { port } = tcp.address() as { port: number };
    const udp = createSocket('udp4');
    const bound = await new Promise<boolean>((resolve) => {
      udp.once('error', () => resolve(false)).bind(port, '0.0.0.0', () => resolve(true));
    });
    udp.close();
    tcp.close();
    await once(tcp, 'close');
    if (!bound || handedOut.has(port)) continue;
    handedOut.add(port);
    return port;
  }
}

/** Waits for the process to go by itself, then makes it. */
export async function stop(child: ChildProcess, signal: NodeJS.Signals, patienceMs: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  const timer = setTimeout(() => child.kill(signal), patienceMs);
  await gone;
  clearTimeout(timer);
}
