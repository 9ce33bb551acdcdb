import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { outwardAddresses } from '../../src/base/addresses.ts';
import { systemScheduler } from '../../src/base/clock.ts';
import { realFiles } from '../../src/base/files.ts';
import { silentLogger } from '../../src/base/log.ts';
import { machineNames } from '../../src/tls/names.ts';
import { TlsProvider } from '../../src/tls/provider.ts';

/** A provider in a temporary folder. `ca`: what clients must trust. */
export async function temporaryTls(): Promise<{ tls: TlsProvider; ca: string; remove(): void }> {
  const folder = mkdtempSync(join(tmpdir(), 'toxmail-tls-'));
  const tls = await TlsProvider.open({
    files: realFiles,
    scheduler: systemScheduler,
    log: silentLogger,
    folder,
    names: () => machineNames('0.0.0.0', []),
  });
  return {
    tls,
    ca: readFileSync(join(folder, 'ca.pem'), 'utf8'),
    remove() {
      tls.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** An IPv4 address of this machine that is not loopback; undefined where there is no network. */
export const outwardAddress = outwardAddresses().find(({ family }) => family === 'IPv4')?.address;

/** A client that writes text and reads until it has seen what it waits for; can turn to TLS at any time. */
export class TextClient {
  #socket: Socket;
  #seen = '';
  #wake: () => void = () => {};
  ended = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#listen();
  }

  static async open(port: number, host = '127.0.0.1'): Promise<TextClient> {
    const socket = connect(port, host);
    await once(socket, 'connect');
    return new TextClient(socket);
  }

  static async openTls(port: number, ca: string): Promise<TextClient> {
    const socket = connectTls({ port, host: '127.0.0.1', ca });
    await once(socket, 'secureConnect');
    return new TextClient(socket);
  }

  async upgrade(ca: string): Promise<void> {
    this.#socket.removeAllListeners('data').removeAllListeners('close');
    const secure = connectTls({ socket: this.#socket, host: '127.0.0.1', ca });
    await once(secure, 'secureConnect');
    this.#socket = secure;
    this.#listen();
  }

  write(text: string): void {
    this.#socket.write(text);
  }

  /** All up to and including what matches; what follows is kept. Also ends with the connection. */
  async until(pattern: RegExp): Promise<string> {
    for (;;) {
      const match = pattern.exec(this.#seen);
      if (!match && !this.ended) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      const end = match ? match.index + match[0].length : this.#seen.length;
      const text = this.#seen.slice(0, end);
      this.#seen = this.#seen.slice(end);
      return text;
    }
  }

  async ask(line: string, pattern: RegExp): Promise<string> {
    this.write(`${line}\r\n`);
    return this.until(pattern);
  }

  close(): void {
    this.#socket.destroy();
  }

  #listen(): void {
    this.#socket.on('error', () => {});
    this.#socket.on('data', (data) => {
      this.#seen += data.toString('latin1');
      this.#wake();
    });
    this.#socket.on('close', () => {
      this.ended = true;
      this.#wake();
    });
  }
}
