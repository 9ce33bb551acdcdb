import type { EventEmitter } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { ToxEvent } from '../packages/tox/src/index.ts';
import { ToxNode, type ToxNodeEvents, type ToxNodeOptions } from '../packages/tox/src/index.ts';

// Our node as a test sees it: like the c-toxcore peer it remembers what happened and waits for more.

type Name = ToxEvent['type'];
type EventOf<N extends Name> = ToxNodeEvents[N][0];

// `satisfies` keeps the list complete: a new event of the node must be added here.
const NAMES = Object.keys({
  connection: 0,
  'friend-request': 0,
  'friend-connection': 0,
  'friend-path': 0,
  'friend-name': 0,
  'friend-status-message': 0,
  'friend-status': 0,
  'friend-typing': 0,
  message: 0,
  receipt: 0,
  lossless: 0,
  lossy: 0,
  writable: 0,
  'file-offer': 0,
  'file-control': 0,
  'file-writable': 0,
  'file-data': 0,
  'file-done': 0,
  'file-aborted': 0,
} satisfies Record<Name, 0>) as Name[];

const DEFAULT_WAIT_MS = 40_000;
const HOST = '127.0.0.1';

/** Where a node can be reached for bootstrapping. */
export interface Entry {
  readonly host: string;
  readonly port: number;
  /** DHT public key, hex. */
  readonly key: string;
}

export class OurNode implements AsyncDisposable {
  readonly host = HOST;
  readonly node: ToxNode;
  /** Everything so far except file data, in order. */
  readonly events: { event: Name; value: unknown }[] = [];
  readonly #waiters = new Set<(name: Name, value: unknown) => void>();

  private constructor(node: ToxNode) {
    this.node = node;
    node.setMaxListeners(100); // one per file in transfer
    for (const name of NAMES) {
      const seen = (value: unknown) => {
        if (name !== 'file-data' && name !== 'file-writable') this.events.push({ event: name, value });
        for (const waiter of this.#waiters) waiter(name, value);
      };
      (node as EventEmitter).on(name, seen);
    }
  }

  /** On loopback, on a free port; enters the network through `entries`. */
  static async start(entries: readonly Entry[] = [], options: ToxNodeOptions = {}): Promise<OurNode> {
    const bootstrap = entries.map(({ host, port, key }) => ({ host, port, publicKey: key }));
    return new OurNode(await ToxNode.create({ udp: { host: HOST, port: 0 }, bootstrap, ...options }));
  }

  get publicKey(): string {
    return this.node.publicKey;
  }

  get toxId(): string {
    return this.node.toxId;
  }

  get port(): number {
    return this.node.udpPort;
  }

  get key(): string {
    return this.node.dhtPublicKey;
  }

  /** The first event of that name, past or future, for which `where` holds; rejects with what was seen instead. */
  waitFor<N extends Name>(
    name: N,
    where: (event: EventOf<N>) => boolean = () => true,
    options: { timeoutMs?: number; after?: number } = {},
  ): Promise<EventOf<N>> {
    const past = this.events
      .slice(options.after ?? 0)
      .find(({ event, value }) => event === name && where(value as EventOf<N>));
    if (past) return Promise.resolve(past.value as EventOf<N>);
    return new Promise((resolve, reject) => {
      const timeoutMs = options.timeoutMs ?? DEFAULT_WAIT_MS;
      const waiter = (seen: Name, value: unknown) => {
        if (seen !== name || !where(value as EventOf<N>)) return;
        clearTimeout(timer);
        this.#waiters.delete(waiter);
        resolve(value as EventOf<N>);
      };
      const timer = setTimeout(() => {
        this.#waiters.delete(waiter);
        const seen = this.events.slice(-12).map(brief).join('\n  ');
        reject(new Error(`waiting for ${name} at our node: nothing within ${timeoutMs} ms; last seen:\n  ${seen}`));
      }, timeoutMs);
      this.#waiters.add(waiter);
    });
  }

  async friendOnline(friend: string, options: { timeoutMs?: number; after?: number } = {}): Promise<void> {
    await this.waitFor('friend-connection', (e) => e.friend === friend && e.online, options);
  }

  /** Sends one lossless packet, waiting for room. */
  async sendLossless(friend: string, data: Uint8Array): Promise<void> {
    while (!this.node.sendLossless(friend, data)) {
      await this.waitFor('writable', (e) => e.friend === friend, { after: this.events.length });
    }
  }

  /**
   * Offers `content`, and writes it as the friend takes it, until it is acknowledged or broken.
   * Writes no further than `hold`, if given, until `release` is called.
   */
  sendFile(friend: string, content: Uint8Array, name: string, options: { fileId?: Uint8Array; hold?: number } = {}) {
    const { fileId, hold } = options;
    const offer = { name, kind: 0, size: content.length };
    const file = this.node.fileSend(friend, fileId ? { ...offer, fileId } : offer);
    let end = hold ?? content.length;
    let at = 0;
    const write = (position: number) => {
      at = position;
      if (at < end) at += this.node.fileWrite(friend, file, content.subarray(at, end));
    };
    const onWritable = (e: EventOf<'file-writable'>) => {
      if (e.friend === friend && e.file === file) write(e.position);
    };
    this.node.on('file-writable', onWritable);
    const stop = () => this.node.off('file-writable', onWritable);
    return {
      file,
      done: this.#ended(friend, file).finally(stop),
      release: () => {
        end = content.length;
        write(at);
      },
      /** Our own cancelling is no event. */
      cancel: () => {
        stop();
        this.node.fileControl(friend, file, 'kill');
      },
    };
  }

  /** Accepts an offer from `position` on and gathers what comes. */
  receiveFile(offer: EventOf<'file-offer'>, position = 0): ReceivedFile {
    const { friend, file } = offer;
    const received = new ReceivedFile(Buffer.alloc(offer.size ?? 0));
    const keep = (e: EventOf<'file-data'>) => {
      if (e.friend === friend && e.file === file) received.add(e.position, e.data);
    };
    this.node.on('file-data', keep);
    received.done = this.#ended(friend, file).finally(() => this.node.off('file-data', keep));
    if (position > 0) this.node.fileSeek(friend, file, position);
    this.node.fileControl(friend, file, 'resume');
    return received;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.node.close();
  }

  /** How the transfer that has this number now ends. */
  #ended(friend: string, file: number): Promise<'done' | 'aborted'> {
    return new Promise((resolve) => {
      const waiter = (name: Name, value: unknown) => {
        if (name !== 'file-done' && name !== 'file-aborted') return;
        const e = value as EventOf<typeof name>;
        if (e.friend !== friend || e.file !== file) return;
        this.#waiters.delete(waiter);
        resolve(name === 'file-done' ? 'done' : 'aborted');
      };
      this.#waiters.add(waiter);
    });
  }
}

/** A file that comes in, for the size it was offered with. */
export class ReceivedFile {
  readonly content: Buffer;
  done: Promise<'done' | 'aborted'> = Promise.resolve('aborted');
  /** End of what came so far. */
  moved = 0;
  readonly #waiters = new Set<() => void>();

  constructor(content: Buffer) {
    this.content = content;
  }

  add(position: number, data: Uint8Array): void {
    this.content.set(data, position);
    this.moved = position + data.length;
    for (const check of this.#waiters) check();
  }

  /** Resolves once so many bytes have come. */
  reached(bytes: number): Promise<void> {
    return new Promise((resolve) => {
      const check = () => {
        if (this.moved < bytes) return;
        this.#waiters.delete(check);
        resolve();
      };
      this.#waiters.add(check);
      check();
    });
  }
}

export async function sameFile(path: string, content: Uint8Array): Promise<boolean> {
  return Buffer.from(content).equals(await readFile(path));
}

function brief({ event, value }: { event: Name; value: unknown }): string {
  const text = JSON.stringify(value, (_, v) => {
    if (v instanceof Uint8Array) return `${v.length} bytes`;
    return typeof v === 'string' && v.length > 80 ? `${v.slice(0, 80)}…` : v;
  });
  return `${event} ${text}`;
}
