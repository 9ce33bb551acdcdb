import { connect, type Socket } from 'node:net';

/** Talks SMTP line by line; `read` gives one whole reply, `C:` side is written as is. */
export class SmtpClient {
  readonly socket: Socket;
  #text = '';
  #wake: () => void = () => {};
  ended = false;

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1');
    this.socket.setEncoding('latin1');
    this.socket.on('data', (text: string) => {
      this.#text += text;
      this.#wake();
    });
    this.socket.on('close', () => {
      this.ended = true;
      this.#wake();
    });
    this.socket.on('error', () => {});
  }

  /** The next reply, its lines joined by \n; empty if the connection has ended. */
  async read(): Promise<string> {
    for (;;) {
      const found = /^(?:\d{3}-.*\r\n)*\d{3}(?: .*)?\r\n/.exec(this.#text);
      if (found) {
        this.#text = this.#text.slice(found[0].length);
        return found[0].trimEnd().replaceAll('\r\n', '\n');
      }
      if (this.ended) return '';
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  write(text: string | Uint8Array): void {
    this.socket.write(typeof text === 'string' ? Buffer.from(text, 'utf8') : text);
  }

  /** Sends a line, reads the reply. */
  say(line: string): Promise<string> {
    this.write(`${line}\r\n`);
    return this.read();
  }

  async logIn(user: string, password: string): Promise<string> {
    await this.read();
    await this.say('EHLO client');
    return this.say(`AUTH PLAIN ${Buffer.from(`\0${user}\0${password}`).toString('base64')}`);
  }

  close(): void {
    this.socket.destroy();
  }
}
