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
import { openMetrics } from './metrics.ts';
import { reachableHost } from './own-address.ts';
import { relayPortTaken } from './tox-factory.ts';
import { VERSION } from './version.ts';

const KEY_BYTES = 32;
const DEFAULT_PORT = 33445;
/** Where Tox programs expect relays; the last two are open in most networks. */
const DEFAULT_RELAY_PORTS = [33445, 3389, 443];
/** What the node answers to the question for its version (0xf0): year, month, day and a running number. */
const INFO_VERSION = 2026112501;
const MEBIBYTE = 1_048_576;
/** Bytes per second of one client, unless all together have less. */
const CLIENT_RATE = 32 * MEBIBYTE;

export interface BootstrapRunner {
  /** `HOST:PORT:KEY`. */
  readonly line: string;
  /** Answers `status` and `node`. */
  readonly run: CommandHandler;
  close(): Promise<void>;
}

/** A node that helps others to find each other and has no mail: `toxmail bootstrap`. Its DHT key stays the same. */
export async function startBootstrapNode(dataDir: string, config: Config, log: Logger): Promise<BootstrapRunner> {
  const node = await openWithRelay(await dhtKey(dataDir), config, log);
  const metrics = await openMetrics(node, config.bootstrapNode.metricsPort).catch(async (error: unknown) => {
    await node.close();
    throw error;
  });
  log.info('bootstrap.started', { udpPort: node.udpPort, relayPorts: node.relayPorts.join(',') || 'none' });
  const here = { host: reachableHost(), port: node.udpPort, publicKey: node.dhtPublicKey };
  const answers: Readonly<Record<string, () => unknown>> = {
    status: () => ({
      version: VERSION,
      pid: process.pid,
      dataDir,
      listeners: {},
      accounts: [],
      queue: { waiting: 0, sending: 0, failed: 0 },
      bootstrap: {
        udpPort: node.udpPort,
        dhtKey: node.dhtPublicKey,
        nodes: node.nodes,
        relay: node.relayStats ? { ports: node.relayPorts, ...node.relayStats } : null,
        metricsPort: metrics?.port ?? null,
      },
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
    async close() {
      await metrics?.close();
      await node.close();
    },
  };
}

/** Ports that nobody chose are no reason not to start. */
async function openWithRelay(key: Uint8Array, config: Config, log: Logger): Promise<ToxNode> {
  const usual = config.udpPort === undefined ? DEFAULT_RELAY_PORTS : [config.udpPort];
  try {
    return await open(key, config.tcpRelayPorts ?? usual, config, log);
  } catch (error) {
    if (!(error instanceof ToxError && error.kind === 'relay-port-in-use')) throw error;
    if (config.tcpRelayPorts) throw relayPortTaken(config.tcpRelayPorts);
    log.warn('bootstrap.no-relay', { ports: usual.join(',') });
    return await open(key, [], config, log);
  }
}

async function open(
  dhtSecretKey: Uint8Array,
  relayPorts: readonly number[],
  config: Config,
  log: Logger,
): Promise<ToxNode> {
  const port = config.udpPort ?? DEFAULT_PORT;
  const { motd, relayClients, relayRate } = config.bootstrapNode;
  const totalRate = relayRate * MEBIBYTE;
  const relay = {
    ports: relayPorts,
    maxClients: relayClients,
    totalRate,
    clientRate: Math.min(CLIENT_RATE, totalRate),
  };
  try {
    return await ToxNode.create({
      dhtSecretKey,
      udp: { port },
      bootstrap: config.bootstrap,
      lanDiscovery: config.lanDiscovery,
      bootstrapInfo: { version: INFO_VERSION, motd },
      relay: relayPorts.length > 0 ? relay : undefined,
      log: (id, fields) => {
        if (id === 'relay.port-unavailable') log.warn(`tox.${id}`, fields);
        else log.debug(`tox.${id}`, fields);
      },
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
