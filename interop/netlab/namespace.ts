import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { missing } from '../oracle/tools.ts';

// Network namespaces of the kernel, by iproute2 and nftables.

const run = promisify(execFile);

/** Namespaces are named `NAME_PREFIX-PID-N`, so that what a killed run left behind can be told apart and removed. */
const NAME_PREFIX = 'toxlab';

/** The reason why the laboratory cannot run here, for `skip`; false if it can. */
export async function netlabMissing(): Promise<string | false> {
  if (process.getuid?.() !== 0) return missing('the network laboratory needs root');
  try {
    await run('nft', ['--version']);
    await run('gcc', ['--version']);
    await run('curl', ['--version']);
    await access('/dev/net/tun', constants.R_OK | constants.W_OK);
    await removeLeftBehind();
    await using probe = await Namespace.create();
    await probe.nft('add table ip probe');
  } catch (error) {
    return missing(`the network laboratory cannot run here: ${(error as Error).message.trim()}`);
  }
  return false;
}

/** One network stack: interfaces, routes, NAT, ports. Disposing it ends what still runs in it. */
export class Namespace implements AsyncDisposable {
  static #made = 0;
  readonly name: string;
  #removed: Promise<void> | undefined;

  private constructor(name: string) {
    this.name = name;
  }

  static async create(): Promise<Namespace> {
    const name = `${NAME_PREFIX}-${process.pid}-${Namespace.#made++}`;
    await run('ip', ['netns', 'add', name]);
    const namespace = new Namespace(name);
    await namespace.ip('link set lo up');
    return namespace;
  }

  /** What to put in front of a command so that it runs in here. */
  get prefix(): readonly string[] {
    return ['ip', 'netns', 'exec', this.name];
  }

  /** Commands of `ip`, one a line. */
  async ip(commands: string): Promise<void> {
    await feed(['ip', '-n', this.name, '-batch', '-'], commands);
  }

  /** A ruleset, as in `nft -f`. */
  async nft(rules: string): Promise<void> {
    await feed([...this.prefix, 'nft', '-f', '-'], rules);
  }

  /** Lines `KEY VALUE`, keys as paths under /proc/sys. */
  async sysctl(lines: string): Promise<void> {
    await feed([...this.prefix, 'sh', '-c', 'while read key value; do echo $value > /proc/sys/$key; done'], lines);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#removed ??= remove(this.name);
    return this.#removed;
  }
}

async function remove(name: string): Promise<void> {
  const { stdout } = await run('ip', ['netns', 'pids', name]);
  for (const pid of stdout.split('\n').filter(Boolean)) {
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {} // it went by itself
  }
  await run('ip', ['netns', 'del', name]);
}

async function removeLeftBehind(): Promise<void> {
  const { stdout } = await run('ip', ['netns', 'list']);
  for (const name of stdout.split('\n').map((line) => line.split(' ')[0]!)) {
    const pid = new RegExp(`^${NAME_PREFIX}-(\\d+)-\\d+$`).exec(name)?.[1];
    if (pid && !isAlive(Number(pid))) await remove(name).catch(() => {}); // another run may be at it, too
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function feed([program, ...args]: string[], input: string): Promise<void> {
  const child = spawn(program!, args, { stdio: ['pipe', 'ignore', 'pipe'] });
  child.stdin.on('error', () => {}); // the exit status tells
  child.stdin.end(`${input}\n`);
  const [errors, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
  if (code !== 0) throw new Error(`${program} ${args.join(' ')}: ${errors.trim()}\n${input}`);
}
