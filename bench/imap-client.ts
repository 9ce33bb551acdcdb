// The IMAP and POP3 clients of bench/imap.ts: they read bytes and parse nothing, so that they are not the limit.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export class ImapClient {
  readonly #socket: Socket;
  #chunks: Buffer[] = [];
  #tail = '';
  #wake = (): void => {};
  #tag = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay();
    socket.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#tail = (this.#tail + chunk.toString('latin1')).slice(-4_000);
      this.#wake();
    });
    socket.on('close', () => this.#wake());
  }

  static async logIn(port: number, user: string, password: string): Promise<ImapClient> {
    const client = new ImapClient(connect(port, '127.0.0.1'));
    await client.until(/\r\n$/);
    await client.say(`LOGIN ${user} "${password}"`);
    return client;
  }

  /** Sends a command, resolves with all that came up to its OK. */
  async say(command: string): Promise<Buffer> {
    const tag = `T${++this.#tag}`;
    this.#take();
    this.#socket.write(`${tag} ${command}\r\n`);
    await this.until(new RegExp(`(?:^|\\r\\n)${tag} .*\\r\\n$`));
    const said = this.#take();
    if (!new RegExp(`(?:^|\\n)${tag} OK`).test(said.subarray(-4_000).toString('latin1')))
      throw new Error(`${command}: ${said.subarray(-300)}`);
    return said;
  }

  async append(mailbox: string, mail: Buffer): Promise<void> {
    const tag = `T${++this.#tag}`;
    this.#take();
    this.#socket.write(`${tag} APPEND ${mailbox} {${mail.length}}\r\n`);
    await this.until(/(?:^|\n)\+.*\r\n$/);
    this.#take();
    this.#socket.write(Buffer.concat([mail, Buffer.from('\r\n')]));
    await this.until(new RegExp(`(?:^|\\r\\n)${tag} OK.*\\r\\n$`));
  }

  /** Begins to idle; `pushed` then resolves with the time at which EXISTS came. */
  async idle(): Promise<{ pushed(): Promise<number>; done(): Promise<void> }> {
    const tag = `T${++this.#tag}`;
    this.#take();
    this.#socket.write(`${tag} IDLE\r\n`);
    await this.until(/(?:^|\n)\+.*\r\n/);
    this.#take();
    return {
      pushed: async () => {
        await this.until(/\* \d+ EXISTS\r\n/);
        return performance.now();
      },
      done: async () => {
        this.#socket.write('DONE\r\n');
        await this.until(new RegExp(`(?:^|\\r\\n)${tag} OK.*\\r\\n$`));
      },
    };
  }

  async until(end: RegExp): Promise<void> {
    while (!end.test(this.#tail)) {
      if (this.#socket.destroyed) throw new Error(`the server hung up: ${this.#tail.slice(-300)}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async end(): Promise<void> {
    await this.say('LOGOUT').catch(() => {});
    this.#socket.destroy();
  }

  /** Drops the line. */
  cut(): void {
    this.#socket.destroy();
  }

  #take(): Buffer {
    const all = Buffer.concat(this.#chunks);
    this.#chunks = [];
    this.#tail = '';
    return all;
  }
}

/** Reads a maildrop: seconds for the log-in with STAT, for UIDL, and mails per second of RETR, of the first `count`. */
export async function readMaildrop(
  port: number,
  user: string,
  password: string,
  count: number,
): Promise<{ stat: number; uidl: number; perSecond: number }> {
  const socket = connect(port, '127.0.0.1');
  socket.setNoDelay();
  let tail = '';
  let wake = (): void => {};
  socket.on('data', (chunk: Buffer) => {
    tail = (tail + chunk.toString('latin1')).slice(-2_000);
    wake();
  });
  const until = async (end: RegExp): Promise<void> => {
    while (!end.test(tail)) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    tail = '';
  };
  const say = async (line: string, end: RegExp): Promise<void> => {
    socket.write(`${line}\r\n`);
    await until(end);
  };
  await until(/\r\n$/);
  const began = performance.now();
  await say(`USER ${user}`, /^\+OK.*\r\n$/);
  await say(`PASS ${password}`, /^\+OK.*\r\n$/);
  await say('STAT', /^\+OK \d+ \d+\r\n$/);
  const stat = performance.now();
  await say('UIDL', /\r\n\.\r\n$/);
  const uidl = performance.now();
  for (let i = 1; i <= count; i++) await say(`RETR ${i}`, /\r\n\.\r\n$/);
  const read = performance.now();
  socket.write('QUIT\r\n');
  await once(socket, 'close');
  return { stat: (stat - began) / 1e3, uidl: (uidl - stat) / 1e3, perSecond: (count * 1e3) / (read - uidl) };
}
