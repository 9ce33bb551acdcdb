import { type ChildProcess, spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { freePort, stop, TemporaryFolder } from './tools.ts';

export interface BootstrapOptions {
  ipv6?: boolean;
  motd?: string;
  tcpRelay?: boolean;
  /** Default: loopback and a free port. */
  host?: string;
  port?: number;
  /** Where it enters the network itself. */
  bootstrap?: readonly { readonly host: string; readonly port: number; readonly key: string }[];
  /** Runs it elsewhere: what to put in front of its command. */
  prefix?: readonly string[];
}

/** One fresh `tox-bootstrapd`: DHT bootstrap node, onion relay, announce store, and TCP relay on the same port. */
export class BootstrapDaemon implements AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** DHT public key, upper-case hex. */
  readonly key: string;
  readonly #child: ChildProcess;
  readonly #folder: TemporaryFolder;

  private constructor(host: string, port: number, key: string, child: ChildProcess, folder: TemporaryFolder) {
    this.host = host;
    this.port = port;
    this.key = key;
    this.#child = child;
    this.#folder = folder;
  }

  static async start(options: BootstrapOptions = {}): Promise<BootstrapDaemon> {
    const folder = await TemporaryFolder.create();
    const port = options.port ?? (await freePort());
    const nodes = (options.bootstrap ?? []).map(
      ({ host, port, key }) => `{ address = "${host}", port = ${port}, public_key = "${key}" }`,
    );
    const lines = [
      `port = ${port}`,
      `keys_file_path = "${folder.join('keys')}"`,
      `pid_file_path = "${folder.join('pid')}"`,
      `enable_ipv6 = ${options.ipv6 ?? false}`,
      'enable_ipv4_fallback = true',
      'enable_lan_discovery = false',
      `enable_tcp_relay = ${options.tcpRelay ?? false}`,
      `tcp_relay_ports = [${port}]`,
      'enable_motd = true',
      `motd = "${options.motd ?? 'interop'}"`,
      `bootstrap_nodes = (${nodes.join(', ')})`,
    ];
    await writeFile(folder.join('config'), `${lines.join('\n')}\n`);
    const command = ['tox-bootstrapd', '--config', folder.join('config'), '--foreground', '--log-backend', 'stdout'];
    const [program, ...args] = [...(options.prefix ?? []), ...command];
    const child = spawn(program!, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    const log: string[] = [];
    for await (const line of createInterface({ input: child.stdout })) {
      log.push(line);
      const key = /Public Key: *([0-9A-F]{64})/i.exec(line)?.[1];
      if (!key) continue;
      child.stdout.resume(); // it must never block on a full pipe
      return new BootstrapDaemon(options.host ?? '127.0.0.1', port, key.toUpperCase(), child, folder);
    }
    throw new Error(`tox-bootstrapd did not start:\n${log.join('\n')}`);
  }

  get pid(): number {
    return this.#child.pid!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await stop(this.#child, 'SIGKILL', 0);
    await this.#folder[Symbol.asyncDispose]();
  }
}
