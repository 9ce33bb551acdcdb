import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { compile, freePort, stop } from './tools.ts';

export { BootstrapDaemon } from './bootstrap-daemon.ts';
export { disposePrograms as disposeOracle, freePort, oracleMissing, TemporaryFolder } from './tools.ts';

export type Connection = 'none' | 'tcp' | 'udp';
export type FileControl = 'resume' | 'pause' | 'cancel';

/** What a c-toxcore peer reports. Friends are public keys in upper-case hex, data is bytes. */
export interface PeerEvents {
  'self-connection': { connection: Connection };
  'friend-connection': { friend: string; connection: Connection };
  'friend-request': { friend: string; message: string };
  message: { friend: string; action: boolean; text: string };
  receipt: { friend: string; message: number };
  name: { friend: string; text: string };
  'status-message': { friend: string; text: string };
  /** 0 none, 1 away, 2 busy. */
  status: { friend: string; status: number };
  typing: { friend: string; typing: boolean };
  /** `data` starts with the packet id. */
  lossless: { friend: string; data: Uint8Array };
  lossy: { friend: string; data: Uint8Array };
  'file-offer': { friend: string; file: number; kind: number; size: bigint; name: string; id: string };
  'file-control': { friend: string; file: number; control: FileControl };
  /** At most one per 128 KiB. */
  'file-progress': { friend: string; file: number; sending: boolean; moved: number };
  'file-received': { friend: string; file: number; moved: number };
  'file-sent': { friend: string; file: number; moved: number };
  /** Cancelled by either side, or the friend went offline. */
  'file-broken': { friend: string; file: number; sending: boolean; moved: number };
  error: { text: string };
}

export type PeerEvent = { [N in keyof PeerEvents]: { event: N } & PeerEvents[N] }[keyof PeerEvents];

export interface PeerInfo {
  /** 76 hex digits. */
  toxId: string;
  dhtKey: string;
  secretKey: string;
  udpPort: number;
  connection: Connection;
  name: string;
  statusMessage: string;
  /** 0 none, 1 away, 2 busy. */
  status: number;
}

export interface PeerFriend {
  key: string;
  name: string;
  statusMessage: string;
  status: number;
  connection: Connection;
  /** Unix seconds. */
  lastOnline: number;
}

export interface PeerOptions {
  udp?: boolean;
  ipv6?: boolean;
  /** Default: a free one never used before. */
  port?: number;
  /** Path of a save file to start from, and its passphrase if it is encrypted. */
  save?: string;
  passphrase?: string;
  /** Hex; the long-term secret key, with a random nospam. */
  secretKey?: string;
  /** TCP port on which it serves others as a relay; default none. */
  relayPort?: number;
  /** Both are off by default: most tests run many strangers on one machine. */
  holePunching?: boolean;
  lanDiscovery?: boolean;
  /** Runs it elsewhere: what to put in front of its command. */
  prefix?: readonly string[];
  /** Another program that speaks the protocol of `peer.c`, and its arguments. */
  program?: readonly string[];
}

const DEFAULT_WAIT_MS = 40_000; // c-toxcore needs about 10 s to a friend; the machine may be busy

interface Waiter {
  check(event: PeerEvent): boolean;
}

/** A running c-toxcore node in its own process. Disposing it is a clean `tox_kill`. */
export class OraclePeer implements AsyncDisposable {
  readonly host = '127.0.0.1';
  readonly toxId: string;
  readonly publicKey: string;
  readonly dhtKey: string;
  readonly port: number;
  /** Everything reported so far, in order. */
  readonly events: readonly PeerEvent[];
  readonly #link: PeerLink;

  private constructor(link: PeerLink, info: PeerInfo) {
    this.#link = link;
    this.events = link.events;
    this.toxId = info.toxId;
    this.publicKey = info.toxId.slice(0, 64);
    this.dhtKey = info.dhtKey;
    this.port = info.udpPort;
  }

  static async start(options: PeerOptions = {}): Promise<OraclePeer> {
    const program = options.program ?? [await compile(new URL('peer.c', import.meta.url))];
    const link = new PeerLink([...(options.prefix ?? []), ...program]);
    const flags = [
      `udp=${options.udp === false ? 0 : 1}`,
      `ipv6=${options.ipv6 ? 1 : 0}`,
      `port=${options.port ?? (await freePort())}`,
      `tcp=${options.relayPort ?? 0}`,
      `hole=${options.holePunching ? 1 : 0}`,
      `lan=${options.lanDiscovery ? 1 : 0}`,
    ];
    if (options.save) flags.push(`save=${options.save}`);
    if (options.passphrase !== undefined) flags.push(`pass=${hex(options.passphrase)}`);
    if (options.secretKey) flags.push(`secret=${options.secretKey}`);
    try {
      await link.ask('new', ...flags);
      return new OraclePeer(link, (await link.ask('info')) as unknown as PeerInfo);
    } catch (error) {
      await link.close();
      throw error;
    }
  }

  get pid(): number {
    return this.#link.pid;
  }

  async info(): Promise<PeerInfo> {
    const info = (await this.#link.ask('info')) as unknown as PeerInfo;
    return { ...info, name: text(info.name), statusMessage: text(info.statusMessage) };
  }

  async friends(): Promise<PeerFriend[]> {
    const { friends } = (await this.#link.ask('friends')) as { friends: PeerFriend[] };
    return friends.map((f) => ({ ...f, name: text(f.name), statusMessage: text(f.statusMessage) }));
  }

  async bootstrap(host: string, port: number, dhtKey: string): Promise<void> {
    await this.#link.ask('bootstrap', host, port, dhtKey);
  }

  /** A TCP relay to use. */
  async relay(host: string, port: number, dhtKey: string): Promise<void> {
    await this.#link.ask('relay', host, port, dhtKey);
  }

  async setName(name: string): Promise<void> {
    await this.#link.ask('name', hex(name));
  }

  async setStatusMessage(message: string): Promise<void> {
    await this.#link.ask('status-message', hex(message));
  }

  async setStatus(status: number): Promise<void> {
    await this.#link.ask('status', status);
  }

  async setTyping(friend: string, typing: boolean): Promise<void> {
    await this.#link.ask('typing', friend, typing ? 1 : 0);
  }

  /** Sends a friend request to a Tox ID (76 hex digits). */
  async addFriend(toxId: string, message: string): Promise<void> {
    await this.#link.ask('friend-add', toxId, hex(message));
  }

  /** Adds a friend by public key, without a request. */
  async acceptFriend(publicKey: string): Promise<void> {
    await this.#link.ask('friend-accept', publicKey);
  }

  async deleteFriend(publicKey: string): Promise<void> {
    await this.#link.ask('friend-delete', publicKey);
  }

  /** Gives the id that the `receipt` event will name. */
  async sendMessage(friend: string, message: string): Promise<number> {
    return (await this.#link.ask('message', friend, hex(message))).message as number;
  }

  async sendAction(friend: string, message: string): Promise<number> {
    return (await this.#link.ask('action', friend, hex(message))).message as number;
  }

  /** `data` starts with an id of 160..191. Waits while the send window is full. */
  async sendLossless(friend: string, data: Uint8Array): Promise<void> {
    await this.#link.ask('lossless', friend, hex(data));
  }

  /** `data` starts with an id of 200..254. */
  async sendLossy(friend: string, data: Uint8Array): Promise<void> {
    await this.#link.ask('lossy', friend, hex(data));
  }

  /** Offers the file at `path`; `id` (64 hex digits) makes it resumable. */
  async sendFile(
    friend: string,
    path: string,
    name: string,
    options: { id?: string; kind?: number } = {},
  ): Promise<{ file: number; id: string }> {
    const args = [friend, options.kind ?? 0, path, hex(name), ...(options.id ? [options.id] : [])];
    const { file, id } = await this.#link.ask('file-send', ...args);
    return { file: file as number, id: id as string };
  }

  /** Writes what comes to `path` (undefined: nowhere), from `position` on. */
  async acceptFile(friend: string, file: number, path: string | undefined, position = 0): Promise<void> {
    await this.#link.ask('file-accept', friend, file, path ?? '-', position);
  }

  async controlFile(friend: string, file: number, control: FileControl): Promise<void> {
    await this.#link.ask('file-control', friend, file, control);
  }

  /** Writes the save file, encrypted if there is a passphrase. */
  async save(path: string, passphrase?: string): Promise<void> {
    await this.#link.ask('save', path, ...(passphrase === undefined ? [] : [hex(passphrase)]));
  }

  /**
   * The first event of that name, past or future, for which `where` holds. Rejects after
   * `timeoutMs` or when `signal` aborts or the peer dies, with what was seen instead.
   */
  waitFor<N extends keyof PeerEvents>(
    name: N,
    where: (event: PeerEvents[N]) => boolean = () => true,
    options: { timeoutMs?: number; signal?: AbortSignal; after?: number } = {},
  ): Promise<PeerEvents[N]> {
    return this.#link.waitFor(name, where, options);
  }

  /** Resolves once the friend is online. */
  async friendOnline(friend: string, options: { timeoutMs?: number; after?: number } = {}): Promise<void> {
    await this.waitFor('friend-connection', (e) => e.friend === friend && e.connection !== 'none', options);
  }

  /** Ends without `tox_kill`: friends are not told. */
  async crash(): Promise<void> {
    await this.#link.kill();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#link.close();
  }
}

/** The process and its two line protocols. */
class PeerLink {
  readonly events: PeerEvent[] = [];
  readonly #child: ChildProcess;
  readonly #answers = new Map<number, { resolve(a: Record<string, unknown>): void; reject(e: Error): void }>();
  readonly #waiters = new Set<Waiter>();
  #lastId = 0;
  readonly #dead = new AbortController();

  constructor([program, ...args]: readonly string[]) {
    const child = spawn(program!, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child = child;
    child.stdin.on('error', () => {}); // the exit event tells
    createInterface({ input: child.stdout }).on('line', (line) => this.#line(line));
    child.on('exit', (code, signal) => {
      const error = new Error(`the c-toxcore peer is gone (${signal ?? code})`);
      for (const { reject } of this.#answers.values()) reject(error);
      this.#answers.clear();
      this.#dead.abort(error);
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  ask(command: string, ...args: (string | number)[]): Promise<Record<string, unknown>> {
    if (this.#dead.signal.aborted) return Promise.reject(this.#dead.signal.reason);
    const id = ++this.#lastId;
    this.#child.stdin!.write(`${[id, command, ...args].join(' ')}\n`);
    return new Promise((resolve, reject) => {
      this.#answers.set(id, {
        resolve,
        reject: (error) => reject(new Error(`${command}: ${error.message}`)),
      });
    });
  }

  waitFor<N extends keyof PeerEvents>(
    name: N,
    where: (event: PeerEvents[N]) => boolean,
    options: { timeoutMs?: number; signal?: AbortSignal; after?: number },
  ): Promise<PeerEvents[N]> {
    const fits = (event: PeerEvent) => event.event === name && where(event as unknown as PeerEvents[N]);
    const past = this.events.slice(options.after ?? 0).find(fits);
    if (past) return Promise.resolve(past as unknown as PeerEvents[N]);
    return new Promise((resolve, reject) => {
      const timeoutMs = options.timeoutMs ?? DEFAULT_WAIT_MS;
      const timer = setTimeout(() => abort(new Error(`nothing within ${timeoutMs} ms`)), timeoutMs);
      const signals = [this.#dead.signal, ...(options.signal ? [options.signal] : [])];
      const signal = AbortSignal.any(signals);
      const onAbort = () => abort(signal.reason);
      const waiter: Waiter = {
        check: (event) => {
          if (!fits(event)) return false;
          end();
          resolve(event as unknown as PeerEvents[N]);
          return true;
        },
      };
      const end = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
        this.#waiters.delete(waiter);
      };
      const abort = (cause: unknown) => {
        end();
        const seen = this.events.slice(-12).map(brief).join('\n  ');
        const why = cause instanceof Error ? cause.message : String(cause);
        reject(new Error(`waiting for ${name} at a c-toxcore peer: ${why}; last seen:\n  ${seen}`));
      };
      this.#waiters.add(waiter);
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort);
    });
  }

  async close(): Promise<void> {
    this.#child.stdin!.end();
    await stop(this.#child, 'SIGKILL', 5_000);
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await stop(this.#child, 'SIGKILL', 0);
  }

  #line(line: string): void {
    const message = JSON.parse(line) as Record<string, unknown>;
    if (typeof message.re === 'number') {
      const answer = this.#answers.get(message.re);
      this.#answers.delete(message.re);
      if (typeof message.error === 'string') answer?.reject(new Error(message.error));
      else answer?.resolve(message);
      return;
    }
    const event = decoded(message);
    this.events.push(event);
    for (const waiter of this.#waiters) waiter.check(event);
  }
}

/** Hex of the line protocol → text and bytes of the typed events. */
function decoded(message: Record<string, unknown>): PeerEvent {
  const event = { ...message };
  if (typeof event.data === 'string') event.data = new Uint8Array(Buffer.from(event.data, 'hex'));
  for (const name of ['text', 'name'] as const) {
    if (typeof event[name] === 'string' && event.event !== 'error') event[name] = text(event[name]);
  }
  if (event.event === 'friend-request') event.message = text(event.message as string);
  if (event.event === 'file-offer') event.size = BigInt(event.size as string);
  return event as unknown as PeerEvent;
}

/** "-" stands for nothing, so that every argument has at least one character. */
function hex(value: string | Uint8Array): string {
  return Buffer.from(value as string).toString('hex') || '-';
}

function text(value: string): string {
  return Buffer.from(value, 'hex').toString('utf8');
}

function brief(event: PeerEvent): string {
  return JSON.stringify(event, (_, v) => {
    if (typeof v === 'bigint') return String(v);
    if (v instanceof Uint8Array) return `${v.length} bytes`;
    return typeof v === 'string' && v.length > 80 ? `${v.slice(0, 80)}…` : v;
  });
}
