import type { ClientSession, ClientWire } from '../../base/client-server.ts';
import type { Cancel } from '../../base/clock.ts';
import { errorField } from '../../base/log.ts';
import { Slices } from '../../base/slices.ts';
import { readAppendStart } from '../command/append.ts';
import { type Command, parseCommand } from '../command/parse.ts';
import {
  BAD_COMMANDS_MAX,
  COMMAND_MAX,
  DISCARD_MAX,
  FAILURES_PER_CONNECTION,
  IDLE_TIMEOUT_MS,
  LOGIN_COMMAND_MAX,
  LOGIN_DISCARD_MAX,
  LOGIN_TIMEOUT_MS,
  PIPELINE_MAX,
} from '../limits.ts';
import { respText } from '../syntax/encoder.ts';
import { type Fragment, type FragmentRules, nextFragment } from '../syntax/fragments.ts';
import { Input } from '../syntax/input.ts';
import { capabilities } from './capabilities.ts';
import { Context, type ImapDeps } from './context.ts';
import { dispatch } from './dispatch.ts';
import { ConnectionLost, refusalOf } from './errors.ts';
import { handleAppend } from './handle-append.ts';
import { handleStartTls } from './handle-authenticate.ts';
import { writeUpdates } from './updates.ts';

/**
 * One IMAP connection (RFC 9051, RFC 3501): commands are cut out of the bytes, parsed and worked on one after another,
 * however many were sent ahead. Before each tagged answer the client is told what others did to its folder.
 */
export class ImapSession implements ClientSession {
  readonly #context: Context;
  readonly #input = new Input(() => this.#room());
  #paused = false;
  /** Between two commands, or in IDLE: a word of ours may stand here. */
  #atRest = false;
  #failures = 0;
  #bad = 0;
  #lastActivity = 0;
  #timer: Cancel | undefined;

  constructor(wire: ClientWire, deps: ImapDeps, remote: string, local: boolean) {
    this.#context = new Context(deps, wire, remote, local);
    this.#lastActivity = deps.scheduler.mono();
    this.#context.onActivity = () => {
      // A stranger has its time from the first byte on, however it is spent.
      if (this.authenticated) this.#lastActivity = deps.scheduler.mono();
    };
  }

  get authenticated(): boolean {
    return this.account !== undefined;
  }

  /** Undefined until the log-in was right. */
  get account(): string | undefined {
    return this.#context.login?.account;
  }

  /** Bytes from the client, as they come. */
  receive(data: Uint8Array): void {
    if (this.#context.closed) return;
    this.#context.onActivity();
    const wanted = this.#input.waiting;
    this.#input.receive(data);
    if (wanted || this.#paused || this.#input.size <= PIPELINE_MAX) return;
    this.#paused = true;
    this.#context.wire.pause();
  }

  /** The client sends no more, but may still read: what it sent is worked on. */
  clientEnded(): void {
    this.#input.end();
  }

  /** The connection is gone. */
  disconnected(): void {
    this.#end();
  }

  /** We end the connection: with a BYE where one can stand. */
  shutDown(reason = 'Toxmail stops'): void {
    const { closed, wire, out } = this.#context;
    if (closed) return;
    if (this.#atRest) {
      out.line(`* BYE ${respText(reason)}`);
      wire.write(out.take()).catch(() => {}); // it is gone already
    }
    this.#end();
    wire.close();
  }

  /** Runs until the connection ends; never rejects. */
  async start(): Promise<void> {
    const { out, deps, wire } = this.#context;
    const slices = new Slices(1);
    this.#armTimer();
    try {
      out.line(`* OK [CAPABILITY ${capabilities(this.#context)}] Toxmail IMAP server ready`);
      await this.#context.flush();
      while (!this.#context.closed) {
        const rules = this.#rules();
        this.#atRest = true;
        const fragment = await nextFragment(this.#input, rules);
        this.#atRest = false;
        await this.#work(fragment, rules);
        if (this.#input.size > 0 && slices.over) await slices.pause(); // a client that sends ahead is not alone here
        if (this.#context.view?.gone) this.#bye('The folder was deleted or has new UIDs');
      }
    } catch (error) {
      // The connection broke while we wrote, or a bug of ours: in both cases nothing more can be said.
      const lost = error instanceof ConnectionLost;
      if (!lost) deps.log.error('imap.session-failed', { error: errorField(error) });
      if (!this.#context.closed) {
        if (lost)
          deps.log.debug('imap.aborted', {
            error: error.message,
            cause: error.cause === undefined ? undefined : errorField(error.cause),
          });
        if (this.#context.view?.gone) this.#bye('The folder was deleted or has new UIDs');
      }
    }
    if (!this.#context.closed) {
      this.#end();
      wire.close();
    }
    this.#context.deselect(); // opened while the connection ended
  }

  #rules(): FragmentRules {
    const known = this.#context.login !== undefined;
    return {
      max: known ? COMMAND_MAX : LOGIN_COMMAND_MAX,
      discardMax: known ? DISCARD_MAX : LOGIN_DISCARD_MAX,
      streams: (head) => readAppendStart(head) !== undefined,
      goOn: async () => {
        this.#context.out.line('+ OK');
        await this.#context.flush();
      },
    };
  }

  async #work(fragment: Fragment, rules: FragmentRules): Promise<void> {
    switch (fragment.kind) {
      case 'ended':
        throw new ConnectionLost('the client has left');
      case 'too-big': {
        const tag = /^[^\s+(){%*"\\]{1,100}(?= )/.exec(fragment.head.toString('latin1'))?.[0] ?? '*';
        this.#context.out.line(`${tag} BAD [TOOBIG] The command is too long`);
        if (!fragment.boundaryKept) return this.#bye('What follows cannot be understood');
        return this.#countBad();
      }
      case 'stream': {
        const start = readAppendStart(fragment.bytes)!;
        return this.#answer(start.tag, 'APPEND', true, () =>
          handleAppend(this.#context, this.#input, rules, start, fragment.literal),
        );
      }
      case 'command':
        return this.#command(fragment.bytes);
    }
  }

  async #command(bytes: Buffer): Promise<void> {
    const parsed = parseCommand(bytes);
    if (parsed.kind === 'bad') {
      this.#context.out.line(`${parsed.tag ?? '*'} BAD ${respText(parsed.text)}`);
      return this.#countBad();
    }
    const { tag, command, state } = parsed;
    const { verb } = command;
    if (verb === 'LOGOUT') {
      this.#context.out.text(`* BYE Logging out\r\n${tag} OK Done\r\n`);
      await this.#context.flush();
      this.#end();
      return this.#context.wire.close();
    }
    await this.#answer(tag, verb, mayExpunge(command), async () => {
      this.#context.requireState(state);
      if (verb === 'IDLE') this.#atRest = true;
      if (verb !== 'STARTTLS') return dispatch(this.#context, this.#input, command, tag);
      await handleStartTls(this.#context, this.#input, tag);
      return undefined;
    });
  }

  /** `act` gives the text of the OK; undefined if the answer was given. */
  async #answer(tag: string, verb: string, expunges: boolean, act: () => Promise<string | undefined>): Promise<void> {
    const context = this.#context;
    let answer: string | undefined;
    try {
      const text = await act();
      this.#bad = 0;
      answer = text && `${tag} OK ${text}`;
    } catch (error) {
      if (context.closed || error instanceof ConnectionLost) throw error;
      const { refusal, code, message } = refusalOf(error, verb, context.deps.log);
      answer = `${tag} ${refusal} ${code ? `[${code}] ` : ''}${respText(message)}`;
      if (verb === 'LOGIN' || verb === 'AUTHENTICATE') this.#failures++;
      if (refusal === 'BAD') this.#bad++;
    } finally {
      this.#atRest = false;
    }
    await writeUpdates(context, expunges, verb === 'NOOP' || verb === 'CHECK' || verb === 'IDLE');
    if (answer) context.out.line(answer);
    await context.flush();
    if (!context.login && this.#failures >= FAILURES_PER_CONNECTION) return this.#bye('Too many failed log-ins');
    if (this.#bad >= BAD_COMMANDS_MAX) return this.#bye('Too many bad commands');
  }

  async #countBad(): Promise<void> {
    await this.#context.flush();
    if (++this.#bad >= BAD_COMMANDS_MAX) this.#bye('Too many bad commands');
  }

  #bye(text: string): void {
    this.#atRest = true;
    this.shutDown(text);
  }

  #room(): void {
    if (!this.#paused || (!this.#input.waiting && this.#input.size > PIPELINE_MAX)) return;
    this.#paused = false;
    this.#context.wire.resume();
  }

  /** One timer at a time, which looks how long it really was: a busy session sets none for each command. */
  #armTimer(): void {
    const { scheduler, log } = this.#context.deps;
    const limit = this.#context.login ? IDLE_TIMEOUT_MS : LOGIN_TIMEOUT_MS;
    this.#timer = scheduler.at(Math.max(scheduler.mono() + 1, this.#lastActivity + limit), () => {
      const allowed = this.#context.login ? IDLE_TIMEOUT_MS : LOGIN_TIMEOUT_MS;
      if (scheduler.mono() < this.#lastActivity + allowed) return this.#armTimer();
      log.debug('imap.idle');
      this.shutDown('Idle for too long');
    });
  }

  #end(): void {
    this.#context.closed = true;
    this.#context.deselect();
    this.#timer?.();
    this.#timer = undefined;
    this.#input.clear();
    this.#input.end();
  }
}

/** RFC 9051 §7.5.1: no EXPUNGE while these run with message numbers. */
function mayExpunge(command: Command): boolean {
  switch (command.verb) {
    case 'FETCH':
    case 'SEARCH':
    case 'SORT':
    case 'STORE':
    case 'THREAD':
      return command.uid;
  }
  return true;
}
