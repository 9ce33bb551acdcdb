import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Scheduler } from '../../src/base/clock.ts';
import { realFiles } from '../../src/base/files.ts';
import { silentLogger } from '../../src/base/log.ts';
import { Maildir } from '../../src/maildir/maildir.ts';
import { MailLists } from '../../src/pop3/mail-list.ts';
import { type Pop3Deps, Pop3Session } from '../../src/pop3/session.ts';
import { FailingFiles } from '../../src/testing/failing-files.ts';
import { settle, VirtualScheduler } from '../../src/testing/virtual-scheduler.ts';

/** A mailbox on the disk with mails of given content, and sessions on it without a socket. */
export class Mailbox {
  readonly path = mkdtempSync(join(tmpdir(), 'toxmail-pop3-'));
  readonly files = new FailingFiles(realFiles);
  readonly maildir: Maildir;
  readonly scheduler: Scheduler & VirtualScheduler = new VirtualScheduler();
  readonly deps: Pop3Deps;

  constructor(mails: readonly string[] = []) {
    for (const folder of ['tmp', 'new', 'cur']) mkdirSync(join(this.path, folder));
    for (const [i, mail] of mails.entries()) this.put(`new/${1_700_000_000 + i}.M1P1Q1.other`, mail);
    this.maildir = new Maildir(this.files, this.path, this.scheduler, 'test');
    this.deps = {
      authenticate: async (user, password) =>
        user === 'mrose' && password === 'secret word' ? { account: 'mrose', maildir: this.maildir } : undefined,
      scheduler: this.scheduler,
      log: silentLogger,
      locks: new Set(),
      lists: new MailLists(this.scheduler),
    };
  }

  put(name: string, mail: string): void {
    writeFileSync(join(this.path, name), mail, 'latin1');
  }

  async connect(deps: Partial<Pop3Deps> = {}): Promise<Client> {
    const client = new Client({ ...this.deps, ...deps });
    await client.session.start();
    await client.expect('+OK Toxmail POP3 server ready');
    return client;
  }

  async logIn(): Promise<Client> {
    const client = await this.connect();
    await client.run('C: USER mrose', 'S: +OK', 'C: PASS secret word', 'S: +OK*');
    return client;
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** Plays scripts of `C:` and `S:` lines; what the server says beyond them fails at the next step. */
export class Client {
  readonly session: Pop3Session;
  closed = false;
  paused = false;
  #out = '';
  #wake: () => void = () => {};

  constructor(deps: Pop3Deps) {
    this.session = new Pop3Session(
      {
        write: async (data) => {
          this.#out += Buffer.from(data).toString('latin1');
          this.#wake();
        },
        close: () => {
          this.closed = true;
          this.#wake();
        },
        pause: () => {
          this.paused = true;
        },
        resume: () => {
          this.paused = false;
        },
        secure: false,
      },
      deps,
      '127.0.0.1',
      true,
    );
  }

  send(text: string): void {
    this.session.receive(Buffer.from(text, 'latin1'));
  }

  /** `*` at the end of a line stands for anything. */
  async run(...lines: string[]): Promise<void> {
    for (const line of lines) {
      if (line.startsWith('C: ')) {
        assert.equal(this.#out, '', 'the server said more than expected');
        this.send(`${line.slice(3)}\r\n`);
      } else await this.expect(line.slice(3));
    }
    await settle();
    assert.equal(this.#out, '', 'the server said more than expected');
  }

  async expect(line: string): Promise<void> {
    assert.equal(
      (await this.line()).slice(0, line.endsWith('*') ? line.length - 1 : undefined),
      line.replace(/\*$/, ''),
    );
  }

  async line(): Promise<string> {
    await this.#until(() => this.#out.includes('\r\n'));
    const end = this.#out.indexOf('\r\n');
    assert.notEqual(end, -1, `no line, but ${JSON.stringify(this.#out)}`);
    const line = this.#out.slice(0, end);
    this.#out = this.#out.slice(end + 2);
    return line;
  }

  /** All up to the end of a multi-line reply, or up to the end of the connection. */
  async reply(): Promise<string> {
    await this.#until(() => this.#out.endsWith('\r\n.\r\n'));
    return this.rest();
  }

  /** What is there already. */
  async rest(): Promise<string> {
    await settle();
    const out = this.#out;
    this.#out = '';
    return out;
  }

  async #until(done: () => boolean): Promise<void> {
    while (!done() && !this.closed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
