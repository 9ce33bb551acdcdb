import type { AddressInfo, Server, Socket } from 'node:net';
import { createServer } from 'node:net';
import { CONNECTIONS_MAX, CONNECTIONS_UNKNOWN_MAX } from './limits.ts';
import { type Pop3Deps, Pop3Session } from './session.ts';

export type Pop3ServerDeps = Omit<Pop3Deps, 'locks'>;

/** POP3 on a TCP port. */
export class Pop3Server {
  readonly #deps: Pop3Deps;
  readonly #server: Server;
  /** Bounded by CONNECTIONS_MAX. */
  readonly #connections = new Map<Socket, Pop3Session>();

  constructor(deps: Pop3ServerDeps) {
    this.#deps = { ...deps, locks: new Set() };
    this.#server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => this.#accept(socket));
  }

  /** Port 0: any free one. Rejects with Node's error (EADDRINUSE, EACCES). */
  listen(port: number, host: string): Promise<{ host: string; port: number }> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ port, host }, () => {
        this.#server.off('error', reject);
        this.#server.on('error', (error) => this.#deps.log.error('pop3.server-error', { error: error.message }));
        const address = this.#server.address() as AddressInfo;
        resolve({ host: address.address, port: address.port });
      });
    });
  }

  /** Closes all connections; deletions without QUIT are forgotten. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const [socket, session] of this.#connections) {
      session.shutDown();
      socket.destroy();
    }
    await closed;
  }

  #accept(socket: Socket): void {
    socket.on('error', () => {}); // 'close' follows
    const unknown = [...this.#connections.values()].filter((session) => !session.authenticated).length;
    if (this.#connections.size >= CONNECTIONS_MAX || unknown >= CONNECTIONS_UNKNOWN_MAX) {
      socket.end('-ERR [SYS/TEMP] Too many connections; try again later\r\n');
      return;
    }
    const wire = {
      write: (data: Uint8Array): Promise<void> => writeTo(socket, data),
      close: (): void => void socket.destroySoon(),
      pause: (): void => void socket.pause(),
      resume: (): void => void socket.resume(),
    };
    const session = new Pop3Session(wire, this.#deps, socket.remoteAddress ?? '');
    this.#connections.set(socket, session);
    socket.on('data', (data) => session.receive(data));
    socket.on('end', () => session.clientEnded());
    socket.on('close', () => {
      this.#connections.delete(socket);
      session.disconnected();
    });
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
