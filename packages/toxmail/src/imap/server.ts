import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { isLoopback } from '../base/addresses.ts';
import { Connection, type TlsAccept } from '../base/connection.ts';
import { CONNECTIONS_MAX, CONNECTIONS_UNKNOWN_MAX } from './limits.ts';
import type { ImapDeps, ImapWire } from './session/context.ts';
import { ImapSession } from './session/session.ts';

export interface ImapServerDeps extends ImapDeps {
  /** Makes TLS of a connection: STARTTLS, and the port of `listenTls`. */
  readonly tls?: { readonly accept: TlsAccept };
}

/** IMAP on TCP ports, in clear with STARTTLS and under TLS from the start. */
export class ImapServer {
  readonly #deps: ImapServerDeps;
  readonly #servers: Server[] = []; // two at most
  /** Bounded by CONNECTIONS_MAX. */
  readonly #sessions = new Map<Socket, ImapSession | undefined>();

  constructor(deps: ImapServerDeps) {
    this.#deps = deps;
  }

  /** Port 0: any free one. Rejects with Node's error (EADDRINUSE, EACCES). */
  listen(port: number, host: string): Promise<{ host: string; port: number }> {
    return this.#listen(port, host, (socket) => void this.#serve(socket, false));
  }

  /** The same, with TLS from the first byte (RFC 8314). */
  listenTls(port: number, host: string): Promise<{ host: string; port: number }> {
    return this.#listen(port, host, (socket) => void this.#serve(socket, true));
  }

  /** Ends the sessions of an account that was removed or has another password now. */
  endSessions(account: string, reason: string): void {
    for (const session of this.#sessions.values()) if (session?.account === account) session.shutDown(reason);
  }

  /** Says goodbye and closes all connections. */
  async close(): Promise<void> {
    const closed = this.#servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
    for (const [socket, session] of this.#sessions) {
      if (session) session.shutDown('Toxmail stops');
      else socket.destroy();
    }
    await Promise.all(closed);
  }

  #listen(port: number, host: string, accept: (socket: Socket) => void): Promise<{ host: string; port: number }> {
    const server = createServer({ noDelay: true, allowHalfOpen: true, keepAlive: true }, accept);
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen({ port, host }, () => {
        server.off('error', reject);
        server.on('error', (error) => this.#deps.log.error('imap.server-error', { error: error.message }));
        this.#servers.push(server);
        const address = server.address() as AddressInfo;
        resolve({ host: address.address, port: address.port });
      });
    });
  }

  async #serve(raw: Socket, tlsFirst: boolean): Promise<void> {
    raw.on('error', () => {}); // 'close' follows
    const unknown = [...this.#sessions.values()].filter((session) => session?.account === undefined).length;
    if (this.#sessions.size >= CONNECTIONS_MAX || unknown >= CONNECTIONS_UNKNOWN_MAX) {
      if (tlsFirst) raw.destroy();
      else raw.end('* BYE Too many connections; try again later\r\n', () => raw.destroy());
      return;
    }
    this.#sessions.set(raw, undefined);
    raw.on('close', () => this.#sessions.delete(raw));
    const remote = raw.remoteAddress ?? '';
    const { tls } = this.#deps;
    try {
      const socket = tlsFirst ? await tls!.accept(raw) : raw;
      const session: ImapSession = this.#session(socket, remote, tlsFirst);
      this.#sessions.set(raw, session);
      await session.run();
    } catch {
      raw.destroy(); // no TLS came about
    }
  }

  #session(socket: Socket, remote: string, secure: boolean): ImapSession {
    const { tls } = this.#deps;
    let isSecure = secure;
    const connection = new Connection(socket, {
      receive: (data) => session.receive(data),
      clientEnded: () => session.clientEnded(),
      disconnected: () => session.disconnected(),
    });
    const wire: ImapWire = {
      write: (data) => connection.write(data),
      close: () => connection.close(),
      pause: () => connection.pause(),
      resume: () => connection.resume(),
      get private() {
        return isSecure || isLoopback(remote);
      },
      get startTls() {
        if (isSecure || !tls) return undefined;
        return async () => {
          await connection.startTls(tls.accept);
          isSecure = true;
        };
      },
    };
    const session = new ImapSession(wire, this.#deps, remote);
    return session;
  }
}
