import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { generateKeyPair, type KeyPair, type PublicKey, type SharedKey } from '../packages/tox/src/crypto/keys.ts';
import { sharedKey } from '../packages/tox/src/crypto/sodium.ts';
import { systemEnv } from '../packages/tox/src/node/system-env.ts';
import { type Endpoint, endpoint } from '../packages/tox/src/wire/endpoint.ts';

const DEFAULT_WAIT_MS = 10_000;

/** A UDP socket with a DHT key, for tests that speak single packets and do no more than told. */
export class RawNode implements AsyncDisposable {
  readonly env = systemEnv();
  readonly keys: KeyPair = generateKeyPair(this.env);
  readonly #socket: Socket;
  readonly #received: Buffer[] = [];
  readonly #waiters = new Set<(data: Buffer) => void>();
  /** Called for each datagram, before anyone who waits. */
  onDatagram: (data: Buffer) => void = () => {};

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('message', (data) => {
      this.onDatagram(data);
      this.#received.push(data);
      for (const waiter of this.#waiters) waiter(data);
    });
  }

  static async open(): Promise<RawNode> {
    const socket = createSocket('udp4').bind(0, '127.0.0.1');
    await once(socket, 'listening');
    return new RawNode(socket);
  }

  get endpoint(): Endpoint {
    return endpoint('127.0.0.1', this.#socket.address().port)!;
  }

  /** The key of boxes between our DHT key and that one. */
  shared(publicKey: PublicKey): SharedKey {
    return sharedKey(publicKey, this.keys.secretKey)!;
  }

  send(port: number, data: Uint8Array): void {
    this.#socket.send(data, port, '127.0.0.1');
  }

  /** The first datagram, past or future, that `read` makes something of. */
  receive<T>(what: string, read: (data: Uint8Array) => T | undefined, timeoutMs = DEFAULT_WAIT_MS): Promise<T> {
    for (const data of this.#received) {
      const value = read(data);
      if (value !== undefined) return Promise.resolve(value);
    }
    return new Promise((resolve, reject) => {
      const waiter = (data: Buffer) => {
        const value = read(data);
        if (value === undefined) return;
        clearTimeout(timer);
        this.#waiters.delete(waiter);
        resolve(value);
      };
      const timer = setTimeout(() => {
        this.#waiters.delete(waiter);
        const seen = this.#received.slice(-12).map((d) => `${d.subarray(0, 1).toString('hex')} (${d.length} bytes)`);
        reject(new Error(`no ${what} within ${timeoutMs} ms; received: ${seen.join(', ') || 'nothing'}`));
      }, timeoutMs);
      this.#waiters.add(waiter);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    await once(this.#socket, 'close');
  }
}
