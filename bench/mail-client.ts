// The mail program and the watcher of bench/mail.ts.
import { type FSWatcher, readdirSync, watch } from 'node:fs';
import { connect, type Socket } from 'node:net';

/** Counts the files that appear in a folder. */
export class Arrivals {
  readonly #watcher: FSWatcher;
  #left = 0;
  #resolve: (at: number) => void = () => {};

  constructor(path: string) {
    const seen = new Set(readdirSync(path));
    this.#watcher = watch(path, (_event, name) => {
      if (name === null || seen.has(name)) return;
      seen.add(name);
      if (--this.#left === 0) this.#resolve(performance.now());
    });
  }

  /** The time at which the `count`th file from now on appeared. */
  next(count: number): Promise<number> {
    this.#left = count;
    return new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  close(): void {
    this.#watcher.close();
  }
}

/** One logged-in connection. */
export class SmtpClient {
  readonly #socket: Socket;
  #said = '';
  #wake = (): void => {};

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay();
    socket.setEncoding('latin1').on('data', (text) => {
      this.#said += text;
      this.#wake();
    });
    socket.on('close', () => this.#wake());
  }

  static async logIn(smtp: { host: string; port: number }, name: string, password: string): Promise<SmtpClient> {
    const client = new SmtpClient(connect(smtp.port, smtp.host));
    await client.#expect('220');
    client.#socket.write('EHLO bench\r\n');
    await client.#expect('250');
    client.#socket.write(`AUTH PLAIN ${Buffer.from(`\0${name}\0${password}`).toString('base64')}\r\n`);
    await client.#expect('235');
    return client;
  }

  /** One mail to bob; resolves with the time of its 250. */
  async send(content: Buffer): Promise<number> {
    this.#socket.write('MAIL FROM:<ann@tox>\r\nRCPT TO:<bob@tox>\r\nDATA\r\n');
    for (const code of ['250', '250', '354']) await this.#expect(code);
    this.#socket.write(content);
    this.#socket.write('.\r\n');
    await this.#expect('250');
    return performance.now();
  }

  close(): void {
    this.#socket.destroy();
  }

  async #expect(code: string): Promise<void> {
    for (;;) {
      const reply = /^(?:\d{3}-.*\r\n)*(\d{3}) .*\r\n/.exec(this.#said);
      if (reply) {
        this.#said = this.#said.slice(reply[0].length);
        if (reply[1] === code) return;
        throw new Error(`SMTP: ${reply[0]}`);
      }
      if (this.#socket.destroyed) throw new Error('SMTP closed the connection');
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
