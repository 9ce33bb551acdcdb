import type { SMTPServer } from 'smtp-server';
import { SMTPConnection } from 'smtp-server/lib/smtp-connection.js';
import { isLoopback } from '../base/addresses.ts';
import { MailError, type MailStatus, replyText } from '../smtp/mail-error.ts';
import { status } from '../smtp/status.ts';

/** An error as smtp-server wants it: our own enhanced code stands at the beginning of the text. */
export function refusal(reason: MailStatus): Error & { responseCode: number } {
  return Object.assign(new Error(replyText(reason)), { responseCode: reason.reply });
}

/** Whatever was thrown, as a reply; only MailError's text is for the client. */
export function refusalOf(error: unknown): Error & { responseCode: number } {
  return refusal(error instanceof MailError ? error.status : status.localError());
}

/**
 * smtp-server derives enhanced codes (RFC 2034) from reply codes alone: every 550 would be a 5.1.1. A text that begins
 * with a code of its own keeps that one; the others, which are smtp-server's, get the derived one.
 */
export class Connection extends SMTPConnection {
  #greeting = false;
  #hidesAuth = false;
  /** A command that came before the greeting; the parser gives one at a time. */
  #early: (() => void) | undefined;

  /**
   * Greets at once. smtp-server waits 100 ms, and hangs up on who talks first, to catch senders of spam; here every
   * sender logs in, and each mail of a program that connects anew would pay for the wait.
   */
  override init(): void {
    super.init();
    const { maxClients } = this._server.options;
    if (!maxClients || this._server.connections.size <= maxClients) this.connectionReady();
  }

  override connectionReady(next?: () => void): void {
    if (this.#greeting) return;
    this.#greeting = true;
    super.connectionReady(next);
  }

  override _sendGreeting(): void {
    super._sendGreeting();
    this.#early?.();
    this.#early = undefined;
  }

  override _onCommand(command: Buffer, callback?: () => void): void {
    if (this._ready) super._onCommand(command, callback);
    else this.#early = () => super._onCommand(command, callback);
  }

  /** RFC 4954 §4: what may not be used is not offered, so that no program sends its password to be told afterwards. */
  override handler_EHLO(command: Buffer, callback: () => void): void {
    this.#hidesAuth = !this.#mayLogIn;
    super.handler_EHLO(command, callback);
    this.#hidesAuth = false;
  }

  override handler_AUTH(command: Buffer, callback: () => void): void {
    if (this.#mayLogIn) super.handler_AUTH(command, callback);
    else {
      this.send(538, replyText(status.needsTls()));
      callback();
    }
  }

  override _isSupported(command: string): boolean {
    return !(this.#hidesAuth && command === 'AUTH') && super._isSupported(command);
  }

  get #mayLogIn(): boolean {
    return this.secure || isLoopback(this.remoteAddress);
  }

  override send(code: number, data?: string | string[] | null, context?: string | false): void {
    const own = typeof data === 'string' && /^[245]\.\d{1,3}\.\d{1,3} /.test(data);
    // Replies to commands that came in one piece go in one piece.
    const socket = this._socket;
    if (socket && socket.writableCorked === 0) {
      socket.cork();
      process.nextTick(() => socket.uncork());
    }
    super.send(code, data, own ? false : context);
  }
}

/** What `SMTPServer.connect` does, with our kind of connection. */
export function connectWithOwnCodes(server: SMTPServer): void {
  server.connect = (socket, options) => {
    socket.setNoDelay();
    const connection = new Connection(server, socket, options);
    server.connections.add(connection);
    connection.on('error', (error: Error) => server.emit('error', error));
    connection.init();
  };
}
