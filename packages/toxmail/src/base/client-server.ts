import type { AddressInfo, Server, Socket } from 'node:net';
import { createServer } from 'node:net';
import { isLoopback, networkOf } from './addresses.ts';
import type { Scheduler } from './clock.ts';
import type { Logger } from './log.ts';

/** The server's side of one client's connection, without its socket. */
export interface ClientWire {
  /** Resolves when there is room for more; rejects when the connection is gone. */
  write(data: Uint8Array): Promise<void>;
  /** Ends the connection after what was written, if the client takes that within CLOSING_MS. */
  close(): void;
  /** Stop or go on reading: bounds what is kept of commands sent ahead. */
  pause(): void;
  resume(): void;
  /** TLS is on. */
  readonly secure: boolean;
  /**
   * Sends `reply` in clear and gives the connection over to TLS; what the client sends from then on is no command in
   * clear. Missing: TLS is not to be had.
   */
  startTls?(reply: Uint8Array): Promise<void>;
}

/** What talks with one client. */
export interface ClientSession {
  /** True once the log-in was right. */
  readonly authenticated: boolean;
  /** Begins; may run as long as the connection. */
  start(): Promise<void>;
  receive(data: Uint8Array): void;
  /** The client sends no more, but may still read. */
  clientEnded(): void;
  /** The connection is gone. */
  disconnected(): void;
  /** We stop: last words, then `close`. */
  shutDown(): void;
}

export interface ClientServerOptions<Session extends ClientSession> {
  /** Of the protocol, for the log. */
  readonly name: string;
  readonly log: Logger;
  readonly scheduler: Scheduler;
  /** Makes TLS of a socket; rejects, with the socket destroyed, if the peer cannot. */
  readonly tls?: { accept(socket: Socket): Promise<Socket> } | undefined;
  /** Connections at once, in all and before their log-in. */
  readonly connectionsMax: number;
  readonly unknownMax: number;
  /** What one too many is told. */
  readonly refusal: string;
  session(wire: ClientWire, remote: string): Session;
}

interface Address {
  readonly host: string;
  readonly port: number;
}

/** Connections of strangers from one place beyond this machine: nobody keeps all others from logging in. */
const UNKNOWN_PER_NETWORK_MAX = 10;
/** How long a client has to take our last words when we stop, and when only its session ends, milliseconds. */
const LAST_WORDS_MS = 1_000;
const CLOSING_MS = 30_000;

/** A protocol of lines for many clients: on a TCP port in clear, and on another one within TLS (RFC 8314). */
export class ClientServer<Session extends ClientSession> {
  readonly #options: ClientServerOptions<Session>;
  readonly #plain: Server;
  readonly #overTls: Server;
  /** Undefined while the TLS handshake of a TLS port runs. Bounded by connectionsMax. */
  readonly #connections = new Map<Socket, Session | undefined>();

  constructor(options: ClientServerOptions<Session>) {
    this.#options = options;
    const settings = { noDelay: true, keepAlive: true };
    // A client that has sent all and closed its side still gets its answers.
    this.#plain = createServer({ ...settings, allowHalfOpen: true }, (socket) => this.#accept(socket));
    this.#overTls = createServer(settings, (socket) => this.#acceptTls(socket));
  }

  /** Port 0: any free one. Rejects with Node's error (EADDRINUSE, EACCES). */
  listen(at: Address): Promise<Address> {
    return this.#listen(this.#plain, at);
  }

  /** The same for TLS from the first byte; needs `tls`. */
  listenTls(at: Address): Promise<Address> {
    return this.#listen(this.#overTls, at);
  }

  *sessions(): Generator<Session> {
    for (const session of this.#connections.values()) if (session) yield session;
  }

  /** Ends all sessions; a client that does not take its last words in time is cut off. */
  async close(): Promise<void> {
    const closed = [this.#plain, this.#overTls].map(
      (server) => new Promise<void>((resolve) => server.close(() => resolve())),
    );
    for (const [socket, session] of this.#connections) {
      if (session) session.shutDown();
      else socket.destroy();
    }
    const { scheduler } = this.#options;
    const cancel = scheduler.at(scheduler.mono() + LAST_WORDS_MS, () => {
      for (const socket of this.#connections.keys()) socket.destroy();
    });
    await Promise.all(closed);
    cancel();
  }

  #listen(server: Server, at: Address): Promise<Address> {
    const { name, log } = this.#options;
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(at, () => {
        server.off('error', reject);
        server.on('error', (error) => log.error(`${name}.server-error`, { error: error.message }));
        const address = server.address() as AddressInfo;
        resolve({ host: address.address, port: address.port });
      });
    });
  }

  #accept(socket: Socket): void {
    socket.on('error', () => {}); // 'close' follows
    if (this.#isFull(socket)) socket.end(this.#options.refusal, () => socket.destroy());
    else this.#serve(socket, false);
  }

  #acceptTls(socket: Socket): void {
    socket.on('error', () => {});
    if (this.#isFull(socket)) {
      socket.destroy();
      return;
    }
    this.#connections.set(socket, undefined);
    socket.on('close', () => this.#connections.delete(socket));
    this.#options.tls!.accept(socket).then(
      (secure) => {
        this.#connections.delete(socket);
        this.#serve(secure, true);
      },
      () => this.#connections.delete(socket),
    );
  }

  #isFull({ remoteAddress = '' }: Socket): boolean {
    const { connectionsMax, unknownMax } = this.#options;
    const network = isLoopback(remoteAddress) ? undefined : networkOf(remoteAddress);
    let unknown = 0;
    let near = 0;
    for (const [socket, session] of this.#connections) {
      if (session?.authenticated) continue;
      unknown++;
      if (networkOf(socket.remoteAddress ?? '') === network) near++;
    }
    return this.#connections.size >= connectionsMax || unknown >= unknownMax || near >= UNKNOWN_PER_NETWORK_MAX;
  }

  #serve(first: Socket, isTls: boolean): void {
    const { tls, scheduler } = this.#options;
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
      socket = await tls!.accept(plain);
      this.#connections.delete(plain);
      attach();
      wire.secure = true;
    };
    const wire: ClientWire & { secure: boolean } = {
      write: (data) => writeTo(socket, data),
      close: () => {
        const mine = socket;
        mine.destroySoon();
        // Who reads nothing would keep its place for ever.
        if (!mine.destroyed)
          mine.once(
            'close',
            scheduler.at(scheduler.mono() + CLOSING_MS, () => mine.destroy()),
          );
      },
      pause: () => void socket.pause(),
      resume: () => void socket.resume(),
      secure: isTls,
      ...(tls ? { startTls } : {}),
    };
    const session = this.#options.session(wire, first.remoteAddress ?? '');
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
