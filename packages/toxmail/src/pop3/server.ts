import type { AddressInfo, Server, Socket } from 'node:net';
import { createServer } from 'node:net';
import { isLoopback } from '../base/addresses.ts';
import type { ServerTls } from '../tls/provider.ts';
import { CONNECTIONS_MAX, CONNECTIONS_UNKNOWN_MAX } from './limits.ts';
import { type Pop3Deps, Pop3Session, type Pop3Wire } from './session.ts';

export interface Pop3ServerDeps extends Omit<Pop3Deps, 'locks'> {
  /** Without: no STLS, and no port that begins with TLS. */
  readonly tls?: ServerTls;
}

interface Address {
  readonly host: string;
  readonly port: number;
}

/** POP3 on a TCP port, and on another one within TLS. */
export class Pop3Server {
  readonly #deps: Pop3Deps;
  readonly #tls: ServerTls | undefined;
  readonly #plain: Server;
  readonly #overTls: Server;
  /** Undefined while the TLS handshake of a TLS port runs. Bounded by CONNECTIONS_MAX. */
  readonly #connections = new Map<Socket, Pop3Session | undefined>();

  constructor({ tls, ...deps }: Pop3ServerDeps) {
    this.#deps = { ...deps, locks: new Set() };
    this.#tls = tls;
    this.#plain = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => this.#accept(socket));
    this.#overTls = createServer({ noDelay: true }, (socket) => this.#acceptTls(socket));
  }

  /** Port 0: any free one. Rejects with Node's error (EADDRINUSE, EACCES). */
  listen(at: Address): Promise<Address> {
    return this.#listen(this.#plain, at);
  }

  /** The same for TLS from the first byte; needs `tls`. */
  listenTls(at: Address): Promise<Address> {
    return this.#listen(this.#overTls, at);
  }

  /** Closes all connections; deletions without QUIT are forgotten. */
  async close(): Promise<void> {
    const closed = [this.#plain, this.#overTls].map(
      (server) => new Promise<void>((resolve) => server.close(() => resolve())),
    );
    for (const [socket, session] of this.#connections) {
      session?.shutDown();
      socket.destroy();
    }
    await Promise.all(closed);
  }

  #listen(server: Server, at: Address): Promise<Address> {
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(at, () => {
        server.off('error', reject);
        server.on('error', (error) => this.#deps.log.error('pop3.server-error', { error: error.message }));
        const address = server.address() as AddressInfo;
        resolve({ host: address.address, port: address.port });
      });
    });
  }

  #accept(socket: Socket): void {
    socket.on('error', () => {}); // 'close' follows
    if (this.#isFull()) socket.end('-ERR [SYS/TEMP] Too many connections; try again later\r\n');
    else this.#serve(socket, false);
  }

  #acceptTls(socket: Socket): void {
    socket.on('error', () => {});
    if (this.#isFull()) {
      socket.destroy();
      return;
    }
    this.#connections.set(socket, undefined);
    socket.on('close', () => this.#connections.delete(socket));
    this.#tls!.accept(socket).then(
      (secure) => {
        this.#connections.delete(socket);
        this.#serve(secure, true);
      },
      () => this.#connections.delete(socket),
    );
  }

  #isFull(): boolean {
    const unknown = [...this.#connections.values()].filter((session) => !session?.authenticated).length;
    return this.#connections.size >= CONNECTIONS_MAX || unknown >= CONNECTIONS_UNKNOWN_MAX;
  }

  #serve(first: Socket, secure: boolean): void {
    let socket = first;
    const attach = (): void => {
      this.#connections.set(socket, session);
      const mine = socket;
      socket.on('data', (data) => session.receive(data));
      socket.on('end', () => session.clientEnded());
      socket.on('close', () => {
        this.#connections.delete(mine);
        session.disconnected();
      });
    };
    const startTls = async (reply: Uint8Array): Promise<void> => {
      const plain = socket;
      plain.pause();
      plain.removeAllListeners('data').removeAllListeners('end');
      await writeTo(plain, reply);
      socket = await this.#tls!.accept(plain);
      this.#connections.delete(plain);
      attach();
      wire.secure = true;
    };
    const wire: Pop3Wire & { secure: boolean } = {
      write: (data) => writeTo(socket, data),
      close: () => void socket.destroySoon(),
      pause: () => void socket.pause(),
      resume: () => void socket.resume(),
      secure,
      ...(this.#tls ? { startTls } : {}),
    };
    const remote = first.remoteAddress ?? '';
    const session = new Pop3Session(wire, this.#deps, remote, isLoopback(remote));
    attach();
    session.start().catch(() => socket.destroy());
  }
}

/** Resolves when the socket takes more: at once, or with 'drain'. */
function writeTo(socket: Socket, data: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    if (socket.destroyed || !socket.writable) {
      reject(new Error('the connection is gone'));
      return;
    }
    if (socket.write(data)) {
      resolve();
      return;
    }
    const done = (act: () => void) => (): void => {
      socket.off('drain', drained);
      socket.off('close', gone);
      act();
    };
    const drained = done(resolve);
    const gone = done(() => reject(new Error('the connection is gone')));
    socket.on('drain', drained);
    socket.on('close', gone);
  });
}
