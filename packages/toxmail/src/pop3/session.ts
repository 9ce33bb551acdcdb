import type { ClientSession, ClientWire } from '../base/client-server.ts';
import type { Cancel, Scheduler } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import { errorField } from '../base/log.ts';
import { Slices } from '../base/slices.ts';
import type { Maildir } from '../maildir/maildir.ts';
import { type Pop3Command, parseCommand, parseNumber } from './command.ts';
import {
  AUTH_LINE_MAX,
  BAD_COMMANDS_MAX,
  CHUNK,
  CHUNK_MIN,
  COMMAND_MAX,
  FAILURES_PER_CONNECTION,
  IDLE_TIMEOUT_MS,
  PIPELINE_MAX,
} from './limits.ts';
import type { MailLists } from './mail-list.ts';
import { MailText } from './mail-text.ts';
import { Maildrop } from './maildrop.ts';

export interface Pop3Login {
  readonly account: string;
  readonly maildir: Maildir;
}

/** What a session needs of the rest; one object for all sessions. */
export interface Pop3Deps {
  authenticate(user: string, password: string): Promise<Pop3Login | undefined>;
  readonly scheduler: Scheduler;
  readonly log: Logger;
  /** True: this peer has failed too often lately and is turned away without a look at its password. */
  throttled?(remote: string, user: string): boolean;
  /** Told of each log-in, for the throttle. */
  onLogin?(remote: string, ok: boolean, user: string): void;
  /** Accounts in use: the maildrop is one session's at a time (RFC 1939 §4). */
  readonly locks: Set<string>;
  readonly lists: MailLists;
}

type State = 'authorization' | 'transaction' | 'closed';

/** What an authentication line answers to. */
const CANCEL_AUTH = '*';
/** RFC 3206 §4: the person must do something about the log-in. */
const NEEDS_TLS = '-ERR [AUTH] Log in over TLS only: set the connection security to STARTTLS or SSL/TLS';

/**
 * One POP3 connection: RFC 1939 (all of it but APOP, which needs the password in clear), RFC 2449 (CAPA, response codes),
 * RFC 3206 ([AUTH], [SYS/…]), RFC 5034 (AUTH PLAIN), RFC 2595 (STLS), RFC 6856 (UTF8, LANG). Commands may be sent ahead
 * (PIPELINING); they are worked on one after another.
 */
export class Pop3Session implements ClientSession {
  readonly #wire: ClientWire;
  readonly #deps: Pop3Deps;
  readonly #remote: string;
  /** Nobody can listen in between: log-in needs no TLS. */
  readonly #local: boolean;
  #state: State = 'authorization';
  #user: string | undefined;
  #account: string | undefined;
  #drop: Maildrop | undefined;
  /** Bytes of commands that wait. Bounded: reading stops above PIPELINE_MAX, and one chunk of the socket may follow. */
  #input: Buffer = Buffer.alloc(0);
  #working = false;
  /** The rest of a line that was too long is thrown away. */
  #skipping = false;
  #inputEnded = false;
  #awaitsAuthLine = false;
  #failures = 0;
  #bad = 0;
  #idle: Cancel | undefined;

  constructor(wire: ClientWire, deps: Pop3Deps, remote: string, local: boolean) {
    this.#wire = wire;
    this.#deps = deps;
    this.#remote = remote;
    this.#local = local;
  }

  /** True once the log-in was right. */
  get authenticated(): boolean {
    return this.#account !== undefined;
  }

  /** Whose mailbox this session holds. */
  get account(): string | undefined {
    return this.#account;
  }

  async start(): Promise<void> {
    this.#touch();
    await this.#send('+OK Toxmail POP3 server ready');
  }

  /** Bytes from the client, as they come. */
  receive(data: Uint8Array): void {
    if (this.#state === 'closed') return;
    this.#touch();
    this.#input = this.#input.length === 0 ? Buffer.from(data) : Buffer.concat([this.#input, data]);
    if (this.#input.length > PIPELINE_MAX) this.#wire.pause();
    if (!this.#working) void this.#work();
  }

  /** The client sends no more, but may still read: what it sent is worked on. */
  clientEnded(): void {
    this.#inputEnded = true;
    if (!this.#working) this.shutDown();
  }

  /** The connection is gone. RFC 1939 §6: without QUIT nothing is deleted. */
  disconnected(): void {
    this.#end();
  }

  /** We stop: no reply is due. */
  shutDown(): void {
    if (this.#state === 'closed') return;
    this.#end();
    this.#wire.close();
  }

  async #work(): Promise<void> {
    this.#working = true;
    const slices = new Slices(1);
    try {
      for (;;) {
        if (slices.over) await slices.pause(); // commands sent ahead are not worked on without a break
        const line = this.#nextLine();
        if (line === undefined || this.#state === 'closed') break;
        await (line === 'too-long' ? this.#badCommand('Line too long') : this.#line(line));
        this.#touch();
      }
      if (this.#inputEnded) this.shutDown();
      if (this.#state !== 'closed') this.#wire.resume();
    } catch (error) {
      // The connection broke while we wrote, or a bug of ours: in both cases nothing may be deleted.
      this.#deps.log.debug('pop3.aborted', { error: errorField(error) });
      this.shutDown();
    } finally {
      this.#working = false;
    }
  }

  /** Lines end in CRLF; a lone LF is borne. */
  #nextLine(): Buffer | 'too-long' | undefined {
    const max = this.#awaitsAuthLine ? AUTH_LINE_MAX : COMMAND_MAX;
    for (;;) {
      const end = this.#input.indexOf(0x0a);
      if (end < 0) {
        if (this.#input.length > max || this.#skipping) {
          this.#skipping = true;
          this.#input = Buffer.alloc(0);
        }
        return undefined;
      }
      const line = this.#input.subarray(0, end > 0 && this.#input[end - 1] === 0x0d ? end - 1 : end);
      this.#input = this.#input.subarray(end + 1);
      if (this.#skipping || end + 1 > max) {
        this.#skipping = false;
        return 'too-long';
      }
      return line;
    }
  }

  async #line(line: Buffer): Promise<void> {
    if (this.#awaitsAuthLine) {
      this.#awaitsAuthLine = false;
      return this.#authPlain(line.toString('latin1'));
    }
    const command = parseCommand(line);
    if (!command) return this.#badCommand('No such command');
    const handler = (this.#state === 'transaction' ? TRANSACTION : AUTHORIZATION)[command.keyword];
    if (handler) {
      this.#bad = 0;
      return handler(this, command);
    }
    const elsewhere = command.keyword in TRANSACTION || command.keyword in AUTHORIZATION;
    return this.#badCommand(elsewhere ? 'Not in this state' : 'No such command');
  }

  async #badCommand(text: string): Promise<void> {
    if (++this.#bad < BAD_COMMANDS_MAX) return this.#send(`-ERR ${text}`);
    await this.#send('-ERR Too many bad commands');
    this.shutDown();
  }

  // Authorization (RFC 1939 §4 and §7, RFC 5034)

  /** RFC 2595 §4. */
  async stls(command: Pop3Command): Promise<void> {
    const { startTls, secure } = this.#wire;
    if (!startTls) return this.#send('-ERR There is no TLS here');
    if (secure) return this.#send('-ERR TLS is on already');
    if (command.rest !== '') return this.#send('-ERR STLS takes no argument');
    if (this.#input.length > 0) {
      // Somebody between could have put commands here that would then seem to come from within TLS.
      await this.#send('-ERR Nothing may be sent ahead of the TLS handshake');
      return this.shutDown();
    }
    this.#user = undefined;
    await startTls(Buffer.from('+OK Begin TLS now\r\n'));
  }

  /** RFC 6856 §2: mails go out as they are in any case. */
  async utf8(command: Pop3Command): Promise<void> {
    await this.#send(command.rest === '' ? '+OK UTF-8' : '-ERR UTF8 takes no argument');
  }

  async user(command: Pop3Command): Promise<void> {
    if (!this.#mayLogIn()) return this.#send(NEEDS_TLS);
    if (command.rest.trim() === '') return this.#send('-ERR USER needs a name');
    this.#user = command.rest.trim();
    await this.#send('+OK'); // whether the name exists shows with PASS only
  }

  async pass(command: Pop3Command): Promise<void> {
    if (!this.#mayLogIn()) return this.#send(NEEDS_TLS);
    const user = this.#user;
    this.#user = undefined;
    if (user === undefined) return this.#send('-ERR USER first');
    await this.#logIn(user, command.rest);
  }

  async auth(command: Pop3Command): Promise<void> {
    if (!this.#mayLogIn()) return this.#send(NEEDS_TLS);
    const [mechanism, initial, ...more] = command.args;
    if (mechanism === undefined) return this.#sendLines('+OK', ['PLAIN']);
    if (mechanism.toUpperCase() !== 'PLAIN' || more.length > 0) return this.#send('-ERR Only AUTH PLAIN');
    if (initial !== undefined) return this.#authPlain(initial);
    this.#awaitsAuthLine = true;
    await this.#send('+ ');
  }

  /** RFC 4616: [authzid] NUL authcid NUL password. */
  async #authPlain(response: string): Promise<void> {
    if (response === CANCEL_AUTH) return this.#send('-ERR Cancelled');
    if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(response)) {
      return this.#send('-ERR Not base64');
    }
    const [authorization, user, password, ...more] = Buffer.from(response, 'base64').toString('utf8').split('\0');
    if (!user || password === undefined || more.length > 0) return this.#send('-ERR Not a PLAIN response');
    if (authorization && authorization !== user) return this.#send('-ERR [AUTH] You can log in as yourself only');
    await this.#logIn(user, password);
  }

  async #logIn(user: string, password: string): Promise<void> {
    const { authenticate, throttled, onLogin, locks, lists, log } = this.#deps;
    if (throttled?.(this.#remote, user)) {
      await this.#send('-ERR [SYS/TEMP] Too many failed log-ins; try again later');
      return this.shutDown();
    }
    let login: Pop3Login | undefined;
    try {
      login = await authenticate(user, password);
    } catch (error) {
      log.error('pop3.login-failed', { error: errorField(error) });
      return this.#send('-ERR [SYS/TEMP] Something went wrong here; try again later');
    }
    onLogin?.(this.#remote, login !== undefined, user); // who leaves before the answer has guessed all the same
    if (this.#closed()) return;
    if (!login) return this.#wrongLogin();
    if (locks.has(login.account)) return this.#send('-ERR [IN-USE] Another program is reading this mailbox');
    locks.add(login.account);
    try {
      const drop = new Maildrop(login.maildir, await lists.of(login.maildir));
      if (this.#closed()) {
        locks.delete(login.account);
        return;
      }
      this.#account = login.account;
      this.#drop = drop;
      this.#state = 'transaction';
    } catch (error) {
      locks.delete(login.account);
      log.error('pop3.open-failed', { error: errorField(error) });
      return this.#send('-ERR [SYS/TEMP] The mailbox cannot be read now; try again later');
    }
    const { mails, octets } = this.#drop.count();
    await this.#send(`+OK ${mails} mails (${octets} octets)`);
  }

  async #wrongLogin(): Promise<void> {
    await this.#send('-ERR [AUTH] User name or password is wrong');
    if (++this.#failures >= FAILURES_PER_CONNECTION) this.shutDown();
  }

  // Both states

  /** RFC 2449 §5; what cannot be used now is not listed. */
  async capa(): Promise<void> {
    const { secure, startTls } = this.#wire;
    const tls = startTls && !secure && this.#state === 'authorization' ? ['STLS'] : [];
    const logIn = this.#mayLogIn() ? ['USER', 'SASL PLAIN'] : [];
    await this.#sendLines('+OK', [...tls, ...logIn, ...CAPABILITIES]);
  }

  /** RFC 6856 §3: one language, that of the texts here. */
  async lang(command: Pop3Command): Promise<void> {
    const [wanted, ...more] = command.args;
    if (wanted === undefined) return this.#sendLines('+OK', ['en English', 'i-default Default']);
    if (more.length > 0 || !/^(?:\*|en|i-default)$/i.test(wanted)) return this.#send('-ERR Only LANG en');
    await this.#send('+OK en');
  }

  /** RFC 1939 §6: deletions happen here and nowhere else. */
  async quit(): Promise<void> {
    let failed = 0;
    try {
      failed = (await this.#drop?.commit()) ?? 0;
    } catch (error) {
      this.#deps.log.error('pop3.delete-failed', { error: errorField(error) });
      failed = 1;
    }
    const bye = failed > 0 ? '-ERR [SYS/TEMP] Some deleted mails were not removed' : '+OK Bye';
    this.#releaseLock(); // a program that reconnects at once finds it free
    await this.#send(bye);
    this.shutDown();
  }

  // Transaction (RFC 1939 §5 and §7)

  async stat(): Promise<void> {
    const { mails, octets } = this.#drop!.count();
    await this.#send(`+OK ${mails} ${octets}`);
  }

  async list(command: Pop3Command): Promise<void> {
    await this.#listing(command, (drop, n) => String(drop.size(n)));
  }

  async uidl(command: Pop3Command): Promise<void> {
    await this.#listing(command, (drop, n) => drop.uid(n));
  }

  async retr(command: Pop3Command): Promise<void> {
    if (command.args.length > 1) return this.#send('-ERR RETR takes one number');
    const n = this.#number(command.args[0]);
    if (typeof n === 'string') return this.#send(n);
    await this.#sendMail(n, `+OK ${this.#drop!.size(n)} octets`);
  }

  async top(command: Pop3Command): Promise<void> {
    const n = this.#number(command.args[0]);
    if (typeof n === 'string') return this.#send(n);
    const lines = parseNumber(command.args[1]);
    if (lines === undefined || command.args.length > 2) return this.#send('-ERR TOP takes a mail and a line count');
    await this.#sendMail(n, '+OK', lines);
  }

  async dele(command: Pop3Command): Promise<void> {
    if (command.args.length > 1) return this.#send('-ERR DELE takes one number');
    const n = this.#number(command.args[0]);
    if (typeof n === 'string') return this.#send(n);
    this.#drop!.delete(n);
    await this.#send(`+OK Mail ${n} deleted`);
  }

  async rset(): Promise<void> {
    this.#drop!.reset();
    const { mails, octets } = this.#drop!.count();
    await this.#send(`+OK ${mails} mails (${octets} octets)`);
  }

  async noop(): Promise<void> {
    await this.#send('+OK');
  }

  async #listing(command: Pop3Command, show: (drop: Maildrop, n: number) => string): Promise<void> {
    const drop = this.#drop!;
    if (command.args.length > 1) return this.#send(`-ERR ${command.keyword} takes one number`);
    if (command.args.length > 0) {
      const n = this.#number(command.args[0]);
      return this.#send(typeof n === 'string' ? n : `+OK ${n} ${show(drop, n)}`);
    }
    const { mails, octets } = drop.count();
    const rows = function* (): Generator<string> {
      for (const n of drop.numbers()) yield `${n} ${show(drop, n)}`;
    };
    await this.#sendLines(`+OK ${mails} mails (${octets} octets)`, rows());
  }

  /** The number, or the reply that refuses it. */
  #number(text: string | undefined): number | string {
    const n = parseNumber(text);
    if (n === undefined) return '-ERR A mail number is needed';
    if (this.#drop!.wasDeleted(n)) return `-ERR Mail ${n} is already deleted`;
    return this.#drop!.has(n) ? n : '-ERR No such mail';
  }

  async #sendMail(n: number, reply: string, headLines?: number): Promise<void> {
    const file = await this.#drop!.open(n);
    if (!file) return this.#send('-ERR [SYS/PERM] Another program has removed this mail');
    try {
      const text = new MailText(headLines);
      const chunk = Buffer.allocUnsafe(Math.min(CHUNK, Math.max(CHUNK_MIN, this.#drop!.size(n) + 1)));
      // A mail of one chunk goes out in one write, with its reply.
      const pieces: Uint8Array[] = [Buffer.from(`${reply}\r\n`)];
      for (let position = 0, more = true; more && !text.done; ) {
        const size = await file.read(chunk, position);
        position += size;
        more = size === chunk.length;
        pieces.push(text.push(chunk.subarray(0, size)));
        if (more) await this.#write(Buffer.concat(pieces.splice(0)));
      }
      await this.#write(Buffer.concat([...pieces, text.end(), Buffer.from('.\r\n')]));
    } finally {
      await file.close();
    }
  }

  async #send(line: string): Promise<void> {
    await this.#write(Buffer.from(`${line}\r\n`));
  }

  /** A multi-line reply whose lines need no byte-stuffing, in pieces. */
  async #sendLines(first: string, lines: Iterable<string>): Promise<void> {
    let piece = `${first}\r\n`;
    const slices = new Slices();
    for (const line of lines) {
      if (slices.over) await slices.pause();
      piece += `${line}\r\n`;
      if (piece.length < CHUNK) continue;
      await this.#write(Buffer.from(piece));
      piece = '';
    }
    await this.#write(Buffer.from(`${piece}.\r\n`));
  }

  async #write(data: Uint8Array): Promise<void> {
    if (this.#state === 'closed') throw new Error('the connection is closed');
    await this.#wire.write(data);
    this.#touch();
  }

  #mayLogIn(): boolean {
    return this.#local || this.#wire.secure;
  }

  #closed(): boolean {
    return this.#state === 'closed';
  }

  #touch(): void {
    if (this.#idle && !this.authenticated) return; // a stranger has its time from the greeting on, however it is spent
    this.#idle?.();
    this.#idle = undefined;
    if (this.#state === 'closed') return;
    const { scheduler, log } = this.#deps;
    this.#idle = scheduler.at(scheduler.mono() + IDLE_TIMEOUT_MS, () => {
      log.debug('pop3.idle');
      this.shutDown(); // RFC 1939 §3: without a reply, and nothing is deleted
    });
  }

  #end(): void {
    this.#state = 'closed';
    this.#idle?.();
    this.#idle = undefined;
    this.#input = Buffer.alloc(0);
    this.#releaseLock();
  }

  #releaseLock(): void {
    if (this.#account !== undefined) this.#deps.locks.delete(this.#account);
    this.#account = undefined;
  }
}

type Handler = (session: Pop3Session, command: Pop3Command) => Promise<void>;

const COMMON: Record<string, Handler> = {
  CAPA: (s) => s.capa(),
  QUIT: (s) => s.quit(),
  LANG: (s, c) => s.lang(c),
};

const AUTHORIZATION: Record<string, Handler> = {
  ...COMMON,
  USER: (s, c) => s.user(c),
  PASS: (s, c) => s.pass(c),
  AUTH: (s, c) => s.auth(c),
  STLS: (s, c) => s.stls(c),
  UTF8: (s, c) => s.utf8(c),
};

const TRANSACTION: Record<string, Handler> = {
  ...COMMON,
  STAT: (s) => s.stat(),
  LIST: (s, c) => s.list(c),
  UIDL: (s, c) => s.uidl(c),
  RETR: (s, c) => s.retr(c),
  TOP: (s, c) => s.top(c),
  DELE: (s, c) => s.dele(c),
  RSET: (s) => s.rset(),
  NOOP: (s) => s.noop(),
};

const CAPABILITIES: readonly string[] = [
  'TOP',
  'UIDL',
  'RESP-CODES',
  'AUTH-RESP-CODE',
  'PIPELINING',
  'EXPIRE NEVER',
  'LANG',
  'UTF8 USER',
  'IMPLEMENTATION Toxmail',
];
