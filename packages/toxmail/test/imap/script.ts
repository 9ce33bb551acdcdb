import assert from 'node:assert/strict';
import type { ClientWire } from '../../src/base/client-server.ts';
import { silentLogger } from '../../src/base/log.ts';
import type { ImapDeps } from '../../src/imap/session/context.ts';
import { ImapSession } from '../../src/imap/session/session.ts';
import type { MailStore } from '../../src/mailbox/types.ts';
import { settle, until, VirtualScheduler } from '../../src/testing/virtual-scheduler.ts';
import { MemoryStore } from './memory-store.ts';

/** Sessions on one mailbox, without sockets. */
export class ImapBox<Store extends MailStore = MemoryStore> {
  readonly store: Store;
  readonly scheduler = new VirtualScheduler();
  readonly deps: ImapDeps = {
    authenticate: async (user, password) =>
      user === 'mrc' && password === 'secret word' ? { account: 'mrc', store: this.store } : undefined,
    scheduler: this.scheduler,
    log: silentLogger,
    version: '1.2.3',
  };

  constructor(store: Store = new MemoryStore() as never) {
    this.store = store;
  }

  async connect(
    given: { deps?: Partial<ImapDeps>; wire?: Partial<ClientWire>; local?: boolean } = {},
  ): Promise<Client> {
    const client = new Client({ ...this.deps, ...given.deps }, given.wire, given.local);
    await client.expect('* OK [CAPABILITY IMAP4rev1 *');
    return client;
  }

  async logIn(...enable: string[]): Promise<Client> {
    const client = await this.connect();
    await client.run('C: l LOGIN mrc "secret word"', 'S: l OK [CAPABILITY *');
    if (enable.length > 0) await client.run(`C: e ENABLE ${enable.join(' ')}`, 'S: * ENABLED *', 'S: e OK *');
    return client;
  }

  /** Logged in, with the inbox selected. */
  async select(...enable: string[]): Promise<Client> {
    const client = await this.logIn(...enable);
    client.send('s SELECT INBOX\r\n');
    while (!(await client.line()).startsWith('s OK [READ-WRITE]'));
    return client;
  }
}

/** Plays scripts of `C:` and `S:` lines; what the server says beyond them fails at the next step. */
export class Client {
  readonly session: ImapSession;
  readonly ended: Promise<void>;
  closed = false;
  paused = false;
  /** False: the client does not read; writes wait. */
  reading = true;
  #held: (() => void)[] = [];
  #out = '';

  constructor(deps: ImapDeps, wire: Partial<ClientWire> = {}, local = true) {
    this.session = new ImapSession(
      {
        secure: false,
        write: async (data) => {
          this.#out += Buffer.from(data).toString('latin1');
          if (!this.reading) await new Promise<void>((resolve) => this.#held.push(resolve));
        },
        close: () => {
          this.closed = true;
        },
        pause: () => {
          this.paused = true;
        },
        resume: () => {
          this.paused = false;
        },
        ...wire,
      },
      deps,
      '127.0.0.1',
      local,
    );
    this.ended = this.session.start();
  }

  send(text: string): void {
    this.session.receive(Buffer.from(text, 'latin1'));
  }

  read(): void {
    this.reading = true;
    for (const go of this.#held.splice(0)) go();
  }

  /** What the server has said and nobody looked at. */
  get said(): string {
    return this.#out;
  }

  /** `*` at the end of a line stands for anything. `C+:` sends a line without looking whether the server was quiet. */
  async run(...lines: string[]): Promise<void> {
    for (const line of lines) {
      if (line.startsWith('C: ') || line.startsWith('C+: ')) {
        if (line.startsWith('C: ')) assert.equal(this.#out, '', 'the server said more than expected');
        this.send(`${line.slice(line.indexOf(' ') + 1)}\r\n`);
      } else await this.expect(line.slice(3));
    }
    await settle(5);
    assert.equal(this.#out, '', 'the server said more than expected');
  }

  async expect(line: string): Promise<void> {
    const said = await this.line();
    const open = line.endsWith('*') && !line.endsWith('\\*');
    assert.equal(open ? said.slice(0, line.length - 1) : said, open ? line.slice(0, -1) : line);
  }

  async line(): Promise<string> {
    await until(() => this.#out.includes('\r\n') || this.closed);
    const end = this.#out.indexOf('\r\n');
    assert.notEqual(end, -1, `no line, but ${JSON.stringify(this.#out)}`);
    const line = this.#out.slice(0, end);
    this.#out = this.#out.slice(end + 2);
    return line;
  }

  /** All that is said until the tagged answer. */
  async reply(tag: string): Promise<string> {
    await until(() => new RegExp(`(^|\r\n)${tag} (OK|NO|BAD)[^\r\n]*\r\n$`).test(this.#out) || this.closed);
    return this.rest();
  }

  /** What is there already. */
  rest(): string {
    const out = this.#out;
    this.#out = '';
    return out;
  }
}
