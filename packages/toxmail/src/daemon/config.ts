import { readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { isProxyUrl } from '@toxmail/tox';
import { PUBLIC_NODES } from '@toxmail/tox/public-nodes';
import { parse, TomlError } from 'smol-toml';
import { errorCode } from '../base/files.ts';
import { LOG_LEVELS, type LogLevel } from '../base/log.ts';
import { nearest } from '../base/nearest.ts';
import { UserError } from '../base/user-error.ts';
import { isCertifiable } from '../tls/names.ts';
import { type MailServerSettings, mailServerSettings } from './mail-server-settings.ts';
import { FILE_TABLES, RUN_OPTIONS, type RunOption, type RunOptionName, type RunOptionValues } from './options.ts';

/** A Tox node that others can start from. */
export interface BootstrapNode {
  readonly host: string;
  readonly port: number;
  /** 64 hexadecimal digits, upper case. */
  readonly publicKey: string;
  /** Where it is a TCP relay, if that is known. */
  readonly tcpPorts?: readonly number[];
}

/** What a daemon runs by. A port of 0 means any free one. */
export interface Config {
  readonly smtpPort: number;
  readonly smtpsPort: number;
  readonly pop3Port: number;
  readonly pop3sPort: number;
  readonly imapPort: number;
  readonly imapsPort: number;
  readonly webPort: number;
  /** Names of ports that nobody chose: if one is taken, any free one will do. */
  readonly unchosenPorts: readonly string[];
  readonly listen: string;
  /** Further names and addresses of this machine for its certificate. */
  readonly tlsNames: readonly string[];
  /** Absolute paths of the person's own certificate and key. */
  readonly ownCertificate: { readonly cert: string; readonly key: string } | undefined;
  /** Undefined: 33445 or the next free one, for each account. */
  readonly udpPort: number | undefined;
  readonly bootstrap: readonly BootstrapNode[];
  /** Whether Tox speaks UDP; else everything goes over TCP relays. */
  readonly udp: boolean;
  /** A proxy for all that Tox sends. */
  readonly proxy: string | undefined;
  readonly mailServer: MailServerSettings;
  /** Whether nodes of the local network find each other by themselves. */
  readonly lanDiscovery: boolean;
  readonly logLevel: LogLevel;
  readonly logJson: boolean;
  /** Where a TCP relay is to listen; undefined if nobody said. */
  readonly tcpRelayPorts: readonly number[] | undefined;
  /** For `toxmail bootstrap` alone. */
  readonly bootstrapNode: BootstrapNodeConfig;
}

export interface BootstrapNodeConfig {
  readonly motd: string;
  readonly relayClients: number;
  /** MiB per second. */
  readonly relayRate: number;
  readonly metricsPort: number | undefined;
}

/** A message of the day is cut to so many bytes by every node. */
const MAX_MOTD_SIZE = 256;

/** Ports beside those that mail programs are set up with at first; a second daemon should not fail for them. */
const SECOND_PORTS = ['smtps', 'pop3s', 'imaps', 'web'] as const;

/** The folder that `--data`, TOXMAIL_DATA or the platform's custom names, in this order; absolute. */
export function dataFolder(flag: string | undefined, env: NodeJS.ProcessEnv = process.env): string {
  const named = flag ?? env.TOXMAIL_DATA;
  if (named) return resolve(named);
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Application Support', 'Toxmail');
  if (process.platform === 'win32') return join(env.LOCALAPPDATA ?? join(homedir(), 'AppData', 'Local'), 'Toxmail');
  return join(env.XDG_DATA_HOME || join(homedir(), '.local', 'share'), 'toxmail');
}

/** Reads `config.toml` of the data folder, if there is one. Throws UserError that names file and key. */
export function readConfigFile(dataDir: string): RunOptionValues {
  const path = join(dataDir, 'config.toml');
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return {};
    throw new UserError(
      `Cannot read ${path} (${code}). Make it readable for the user who runs Toxmail, or choose another folder with --data.`,
    );
  }
  let table: Record<string, unknown>;
  try {
    table = parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const [reason = ''] = error.message.replace(/^Invalid TOML document: /, '').split('\n');
    throw new UserError(
      `${path}, line ${error.line}: ${reason}. Write settings as: smtp-port = 2525; texts in quotes: listen = "0.0.0.0"`,
    );
  }
  const known = new Set<string>([...RUN_OPTIONS.map((option) => option.name), ...FILE_TABLES]);
  for (const key of Object.keys(table))
    if (!known.has(key)) {
      const meant = nearest(key, known);
      const hint = meant ? `Did you mean ${meant}?` : `Known are: ${[...known].join(', ')}`;
      throw new UserError(`${path}: unknown setting "${key}". ${hint}`);
    }
  return table;
}

/** Flags win over the file. Throws UserError that names the setting and says what it may be. */
export function configFrom(file: RunOptionValues, flags: RunOptionValues): Config {
  const given = { ...file, ...flags };
  const options: readonly RunOption[] = RUN_OPTIONS;
  for (const { kind, name } of options) if (kind === 'switch') flag(given[name as RunOptionName], name);
  const listen = text(given.listen, 'listen') ?? '127.0.0.1';
  const smtpPort = port(given['smtp-port'], 'smtp-port') ?? 2525;
  const pop3Port = port(given['pop3-port'], 'pop3-port') ?? 2110;
  const imapPort = port(given['imap-port'], 'imap-port') ?? (pop3Port === 0 ? 0 : 2143);
  return {
    smtpPort,
    smtpsPort: port(given['smtps-port'], 'smtps-port') ?? (smtpPort === 0 ? 0 : 2465),
    pop3Port,
    pop3sPort: port(given['pop3s-port'], 'pop3s-port') ?? (pop3Port === 0 ? 0 : 2995),
    imapPort,
    imapsPort: port(given['imaps-port'], 'imaps-port') ?? (imapPort === 0 ? 0 : 2993),
    webPort: port(given['web-port'], 'web-port') ?? (smtpPort === 0 ? 0 : 2580),
    unchosenPorts: SECOND_PORTS.filter((name) => given[`${name}-port`] === undefined),
    listen,
    tlsNames: tlsNames(given['tls-name']),
    ownCertificate: ownCertificate(given['tls-cert'], given['tls-key']),
    udpPort: port(given['udp-port'], 'udp-port'),
    mailServer: mailServerSettings(given),
    bootstrap: given.bootstrap === undefined ? publicNodes() : nodes(given.bootstrap),
    udp: !flag(given['no-udp'], 'no-udp'),
    proxy: proxy(given.proxy, given['tcp-relay-port']),
    lanDiscovery: !flag(given['no-lan'], 'no-lan'),
    logLevel: level(given['log-level']),
    logJson: flag(given['log-json'], 'log-json'),
    tcpRelayPorts: ports(given['tcp-relay-port'], 'tcp-relay-port'),
    bootstrapNode: {
      motd: motd(given.motd),
      relayClients: count(given['relay-clients'], 'relay-clients', 100_000) ?? 4_096,
      relayRate: count(given['relay-rate'], 'relay-rate', 10_000) ?? 64,
      metricsPort: port(given['metrics-port'], 'metrics-port'),
    },
  };
}

/** `HOST:PORT:KEY`; an IPv6 address in brackets. Undefined if it is not. */
export function parseBootstrapNode(line: string): BootstrapNode | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]]+)):(\d{1,5}):([0-9a-fA-F]{64})$/.exec(line.trim());
  if (!match) return undefined;
  const [, v6, name, portText, key] = match;
  const number = Number(portText);
  if (number < 1 || number > 65535 || (v6 !== undefined && !isIPv6(v6))) return undefined;
  return { host: (v6 ?? name)!, port: number, publicKey: key!.toUpperCase() };
}

export function formatBootstrapNode(node: BootstrapNode): string {
  return `${node.host.includes(':') ? `[${node.host}]` : node.host}:${node.port}:${node.publicKey}`;
}

/** A port from a flag (digits) or from TOML (integer). */
export function port(value: unknown, name: string): number | undefined {
  if (value === undefined) return undefined;
  const number = typeof value === 'string' && /^\d{1,5}$/.test(value) ? Number(value) : value;
  if (typeof number === 'number' && Number.isInteger(number) && number >= 0 && number <= 65535) return number;
  throw new UserError(`${name} must be a port number from 0 (any free one) to 65535, not ${shown(value)}`);
}

function ports(value: unknown, name: string): number[] | undefined {
  if (value === undefined) return undefined;
  return (Array.isArray(value) ? value : [value]).map((each) => port(each, name)!);
}

/** A whole number from 1 to `max`. */
function count(value: unknown, name: string, max: number): number | undefined {
  if (value === undefined) return undefined;
  const number = typeof value === 'string' && /^\d{1,9}$/.test(value) ? Number(value) : value;
  if (typeof number === 'number' && Number.isInteger(number) && number >= 1 && number <= max) return number;
  throw new UserError(`${name} must be a whole number from 1 to ${max}, not ${shown(value)}`);
}

function motd(value: unknown): string {
  const words = text(value, 'motd') ?? 'Toxmail';
  if (Buffer.byteLength(words) <= MAX_MOTD_SIZE) return words;
  throw new UserError(`motd may have at most ${MAX_MOTD_SIZE} bytes`);
}

/** A list of `HOST:PORT:KEY`, or `none`. */
export function nodes(value: unknown): BootstrapNode[] {
  const lines = Array.isArray(value) ? value : [value];
  if (lines.length === 1 && lines[0] === 'none') return [];
  return lines.map((line) => {
    const node = typeof line === 'string' ? parseBootstrapNode(line) : undefined;
    if (node) return node;
    throw new UserError(`bootstrap must be HOST:PORT:KEY with a key of 64 hexadecimal digits, not ${shown(line)}`);
  });
}

function publicNodes(): BootstrapNode[] {
  return PUBLIC_NODES.flatMap(({ hosts, ...node }) => hosts.map((host) => ({ host, ...node })));
}

function proxy(value: unknown, relay: unknown): string | undefined {
  const url = text(value, 'proxy');
  if (url === undefined) return undefined;
  if (relay !== undefined)
    throw new UserError('proxy and tcp-relay-port exclude each other: a relay is reached beside the proxy.');
  if (isProxyUrl(url)) return url;
  throw new UserError(
    'proxy must be socks5://HOST:PORT or http://HOST:PORT, with USER:PASSWORD@ before the host if it asks.',
  );
}

function tlsNames(value: unknown): string[] {
  const names = value === undefined ? [] : Array.isArray(value) ? value : [value];
  return names.map((name) => {
    if (typeof name === 'string' && isCertifiable(name)) return name.toLowerCase();
    throw new UserError(`tls-name must be a host name or an address, not ${shown(name)}`);
  });
}

function ownCertificate(cert: unknown, key: unknown): Config['ownCertificate'] {
  const [certPath, keyPath] = [text(cert, 'tls-cert'), text(key, 'tls-key')];
  if (certPath === undefined && keyPath === undefined) return undefined;
  if (certPath === undefined || keyPath === undefined)
    throw new UserError('tls-cert and tls-key belong together: give both or neither.');
  for (const [name, path] of [
    ['tls-cert', certPath],
    ['tls-key', keyPath],
  ] as const)
    if (!isAbsolute(path)) throw new UserError(`${name} must be an absolute path, not ${shown(path)}`);
  return { cert: certPath, key: keyPath };
}

function text(value: unknown, name: string): string | undefined {
  if (value === undefined || (typeof value === 'string' && value !== '')) return value;
  throw new UserError(`${name} must be a text, not ${shown(value)}`);
}

function flag(value: unknown, name: string): boolean {
  if (value === undefined || typeof value === 'boolean') return value ?? false;
  throw new UserError(`${name} must be true or false, not ${shown(value)}`);
}

function level(value: unknown): LogLevel {
  const found = LOG_LEVELS.find((each) => each === (value ?? 'info'));
  if (found) return found;
  throw new UserError(`log-level must be one of ${LOG_LEVELS.join(', ')}, not ${shown(value)}`);
}

function shown(value: unknown): string {
  const written = JSON.stringify(value) ?? String(value);
  return written.length > 80 ? `${written.slice(0, 80)}…` : written;
}
