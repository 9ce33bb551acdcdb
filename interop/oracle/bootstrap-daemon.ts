import { type ChildProcess, spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { freePort, stop, TemporaryFolder } from './tools.ts';

/** One fresh `tox-bootstrapd` on loopback: DHT bootstrap node, onion relay and announce store. */
export class BootstrapDaemon implements AsyncDisposable {
  readonly host = '127.0.0.1';
  readonly port: number;
  /** DHT public key, upper-case hex. */
  readonly key: string;
  readonly #child: ChildProcess;
  readonly #folder: TemporaryFolder;

  private constructor(port: number, key: string, child: ChildProcess, folder: TemporaryFolder) {
    this.port = port;
    this.key = key;
    this.#child = child;
    this.#folder = folder;
  }

  static async start(options: { ipv6?: boolean; motd?: string; tcpRelay?: boolean } = {}): Promise<BootstrapDaemon> {
    const folder = await TemporaryFolder.create();
    const port = await freePort();
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
      'bootstrap_nodes = ()',
    ];
    await writeFile(folder.join('config'), `${lines.join('\n')}\n`);
    const args = ['--config', folder.join('config'), '--foreground', '--log-backend', 'stdout'];
    const child = spawn('tox-bootstrapd', args, { stdio: ['ignore', 'pipe', 'ignore'] });
    const log: string[] = [];
    for await (const line of createInterface({ input: child.stdout })) {
      log.push(line);
      const key = /Public Key: *([0-9A-F]{64})/i.exec(line)?.[1];
      if (!key) continue;
      child.stdout.resume(); // it must never block on a full pipe
      return new BootstrapDaemon(port, key.toUpperCase(), child, folder);
    }
    throw new Error(`tox-bootstrapd did not start:\n${log.join('\n')}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await stop(this.#child, 'SIGKILL', 0);
    await this.#folder[Symbol.asyncDispose]();
  }
}
