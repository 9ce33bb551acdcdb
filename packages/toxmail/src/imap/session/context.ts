import type { ClientWire } from '../../base/client-server.ts';
import type { Scheduler } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { decodeModifiedUtf7, encodeModifiedUtf7 } from '../../mailbox/modified-utf7.ts';
import type { Folder, MailStore } from '../../mailbox/types.ts';
import { Encoder } from '../syntax/encoder.ts';
import { canonicalName } from '../syntax/mailbox-name.ts';
import { bad, ConnectionLost, no } from './errors.ts';
import type { MailboxView } from './mailbox-view.ts';

export interface ImapLogin {
  readonly account: string;
  readonly store: MailStore;
}

/** What a session needs of the rest; one object for all sessions. */
export interface ImapDeps {
  authenticate(user: string, password: string): Promise<ImapLogin | undefined>;
  readonly scheduler: Scheduler;
  readonly log: Logger;
  readonly version: string;
  /** True: this peer has failed too often lately and is turned away without a look at its password. */
  throttled?(remote: string, user: string): boolean;
  /** Told of each log-in, for the throttle. */
  onLogin?(remote: string, ok: boolean, user: string): void;
}

/** What a session has in hand while it works on a command. Handlers write to `out` and hand it on when it is full. */
export class Context {
  readonly deps: ImapDeps;
  readonly wire: ClientWire;
  /** The peer's address. */
  readonly remote: string;
  /** The peer is on this machine. */
  readonly #local: boolean;
  readonly out = new Encoder();
  login: ImapLogin | undefined;
  view: MailboxView | undefined;
  /** RFC 7162: MODSEQ goes with each change of flags. */
  condstore = false;
  /** RFC 7162: VANISHED instead of EXPUNGE. */
  qresync = false;
  /** RFC 6855: mailbox names and strings in UTF-8. */
  utf8 = false;
  /** RFC 9051: the client speaks IMAP4rev2. */
  rev2 = false;
  closed = false;
  /** Told of each write and read, for the autologout timer. */
  onActivity: () => void = () => {};

  constructor(deps: ImapDeps, wire: ClientWire, remote: string, local: boolean) {
    this.#local = local;
    this.remote = remote;
    this.deps = deps;
    this.wire = wire;
  }

  /** True: nobody between can read what is said. */
  get private(): boolean {
    return this.wire.secure || this.#local;
  }

  /** RFC 7162 §3.1.2: with a folder open, the client is told where it stands. */
  enableCondstore(): void {
    if (!this.condstore && this.view)
      this.out.line(`* OK [HIGHESTMODSEQ ${this.view.folder.highestModSeq}] The latest change`);
    this.condstore = true;
  }

  get store(): MailStore {
    return this.login!.store;
  }

  /** The selected folder; commands that need one are refused before. */
  get selected(): MailboxView {
    return this.view!;
  }

  /** Throws NO if the folder was opened with EXAMINE. */
  get writable(): MailboxView {
    if (this.selected.readOnly) throw no('The folder was opened read-only');
    return this.selected;
  }

  deselect(): void {
    this.view?.close();
    this.view = undefined;
  }

  /** Hands the output on and waits until the client has room for more. */
  async flush(): Promise<void> {
    if (this.closed) throw new ConnectionLost('the connection is closed');
    if (this.out.empty) return;
    this.onActivity();
    await this.wire.write(this.out.take()).catch((cause: unknown) => {
      throw new ConnectionLost('the client is gone', { cause });
    });
    this.onActivity();
    if (this.closed) throw new ConnectionLost('the connection is closed');
  }

  /** The same, if there is enough for a write. */
  async flushIfFull(): Promise<void> {
    if (this.out.full) await this.flush();
  }

  /** A mailbox name as the client wrote it, in Unicode. Throws NO if it is not coded as it must be. */
  nameFrom(written: string): string {
    const name = this.utf8 ? written : (decodeModifiedUtf7(written) ?? (/[^ -~]/.test(written) ? written : undefined));
    if (name === undefined) throw no('The name is not modified UTF-7', 'CANNOT');
    return canonicalName(name);
  }

  /** A mailbox name as the client reads it; to be written as an astring. */
  nameTo(name: string): string {
    return this.utf8 ? name : encodeModifiedUtf7(name);
  }

  /** The folder where mails are to go. Throws NO [TRYCREATE]. */
  async target(written: string): Promise<Folder> {
    const folder = await this.store.folder(this.nameFrom(written));
    if (!folder) throw no('There is no such folder', 'TRYCREATE');
    return folder;
  }

  /** Texts in search are UTF-8. */
  checkCharset(charset: string | undefined): void {
    if (charset === undefined || charset === 'UTF-8' || charset === 'US-ASCII') return;
    throw no('Only US-ASCII and UTF-8 are known', 'BADCHARSET (US-ASCII UTF-8)');
  }

  /** Throws BAD where a command is not for this state. */
  requireState(state: 'any' | 'not-authenticated' | 'authenticated' | 'selected'): void {
    if (state === 'not-authenticated' && this.login) throw bad('You are logged in already');
    if ((state === 'authenticated' || state === 'selected') && !this.login) throw bad('Log in first');
    if (state === 'selected' && !this.view) throw bad('Select a folder first');
  }
}
