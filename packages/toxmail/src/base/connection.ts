import type { Socket } from 'node:net';

/** What a server does with what comes from its client. */
export interface ConnectionUser {
  receive(data: Uint8Array): void;
  /** The client sends no more, but may still read. */
  clientEnded(): void;
  /** The connection is gone. */
  disconnected(): void;
}

/** Makes TLS of a socket without `data` listeners; rejects if the peer cannot. */
export type TlsAccept = (socket: Socket) => Promise<Socket>;

/** How long a client has to take our last words, milliseconds. */
const LAST_WORDS_MS = 1_000;

/** The server's side of one TCP connection, which may become a TLS connection under way (STARTTLS). */
export class Connection {
  #socket: Socket;
  readonly #user: ConnectionUser;

  /** The socket must allow half-open connections, so that a client that has sent all still gets its answers. */
  constructor(socket: Socket, user: ConnectionUser) {
    this.#socket = socket;
    this.#user = user;
    socket.on('error', () => {}); // 'close' follows
    socket.on('close', this.#onClose);
    this.#listen();
  }

  /** Resolves when the socket takes more: at once, or with 'drain'. Rejects when the connection is gone. */
  write(data: Uint8Array): Promise<void> {
    const socket = this.#socket;
    return new Promise((resolve, reject) => {
      if (socket.destroyed || !socket.writable) return reject(new Error('the connection is gone'));
      if (socket.write(data)) return resolve();
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

  /** After what was written; a client that does not take it in time is cut off. */
  close(): void {
    const socket = this.#socket;
    socket.destroySoon();
    if (!socket.destroyed) setTimeout(() => socket.destroy(), LAST_WORDS_MS).unref();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Hands the socket to TLS. Nothing may be written meanwhile. */
  async startTls(accept: TlsAccept): Promise<void> {
    const plain = this.#socket;
    plain.off('data', this.#onData);
    plain.off('end', this.#onEnd);
    const secure = await accept(plain);
    this.#socket = secure;
    secure.on('error', () => {});
    this.#listen();
  }

  #listen(): void {
    this.#socket.on('data', this.#onData);
    this.#socket.on('end', this.#onEnd);
  }

  readonly #onData = (data: Uint8Array): void => this.#user.receive(data);
  readonly #onEnd = (): void => this.#user.clientEnded();
  readonly #onClose = (): void => this.#user.disconnected();
}
