import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ToxError, ToxNode } from '@toxmail/tox';
import { writeDurably } from '../base/durable.ts';
import { errorCode, realFiles } from '../base/files.ts';
import type { Logger } from '../base/log.ts';
import { UserError } from '../base/user-error.ts';
import { type Config, formatBootstrapNode } from './config.ts';
import type { CommandHandler } from './control-server.ts';
import { reachableHost } from './own-address.ts';
import { VERSION } from './version.ts';

const KEY_BYTES = 32;
const DEFAULT_PORT = 33445;
/** What the node answers to the question for its version (0xf0): year, month, day and a running number. */
const INFO = { version: 2026112201, motd: 'Toxmail' };

export interface BootstrapRunner {
  /** `HOST:PORT:KEY`. */
  readonly line: string;
  /** Answers `status` and `node`. */
  readonly run: CommandHandler;
  close(): Promise<void>;
}

/** A node that helps others to find each other and has no mail: `toxmail bootstrap`. Its DHT key stays the same. */
export async function startBootstrapNode(dataDir: string, config: Config, log: Logger): Promise<BootstrapRunner> {
  const port = config.udpPort ?? DEFAULT_PORT;
  const node = await open(await dhtKey(dataDir), port, config, log);
  const here = { host: reachableHost(), port: node.udpPort, publicKey: node.dhtPublicKey };
  const answers: Readonly<Record<string, () => unknown>> = {
    status: () => ({
      version: VERSION,
      pid: process.pid,
      dataDir,
      listeners: {},
      accounts: [],
      queue: { waiting: 0, sending: 0, failed: 0 },
      bootstrap: { udpPort: node.udpPort, dhtKey: node.dhtPublicKey, nodes: node.nodes },
    }),
    node: () => [{ account: null, ...here }],
  };
  return {
    line: formatBootstrapNode(here),
    async run(command) {
      const answer = Object.hasOwn(answers, command) ? answers[command] : undefined;
      if (!answer) throw new UserError('This is a bootstrap node without mail. It knows only: status, node');
      return answer();
    },
    close: () => node.close(),
  };
}

async function open(dhtSecretKey: Uint8Array, port: number, config: Config, log: Logger): Promise<ToxNode> {
  try {
    return await ToxNode.create({
      dhtSecretKey,
      udp: { port },
      bootstrap: config.bootstrap,
      bootstrapInfo: INFO,
      log: (id, fields) => log.debug(`tox.${id}`, fields),
    });
  } catch (error) {
    if (!(error instanceof ToxError && error.kind === 'port-in-use')) throw error;
    throw new UserError(`UDP port ${port} is in use by another program. Choose another one with --udp-port.`);
  }
}

async function dhtKey(dataDir: string): Promise<Uint8Array> {
  const path = join(dataDir, 'bootstrap.key');
  try {
    const key = Buffer.from(readFileSync(path, 'utf8').trim(), 'hex');
    if (key.length === KEY_BYTES) return key;
    throw new UserError(`${path} holds no key of 64 hexadecimal digits. Restore it, or move it away to get a new one.`);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
  }
  const key = randomBytes(KEY_BYTES);
  await writeDurably(realFiles, path, Buffer.from(`${key.toString('hex')}\n`));
  return key;
}
