import type { Clock } from '../base/clock.ts';
import { errorField, type Logger } from '../base/log.ts';
import type { Append, Folder, FolderChange, MailStore, Unsubscribe } from '../mailbox/types.ts';
import type { SentCopy } from '../submission/accept.ts';

/** A program that keeps a copy itself does so within this time before or after it sends. */
const SAME_MAIL_MS = 60_000;
/** BOUNDED: mails sent within that time, for each folder; the oldest is not looked after any more. */
const WATCHED_MAX = 500;
/** Mails of that time that are looked at for one that is there already. */
const LOOK_BACK_MAX = 50;

export interface SentCopiesDeps {
  /** Undefined for an account that is not there. */
  mailbox(account: string): MailStore | undefined;
  wanted(account: string): boolean;
  readonly scheduler: Clock;
  readonly log: Logger;
}

/**
 * Copies of sent mail in the folder that serves as \Sent, for accounts that want them. One mail is there once: if the
 * program stores its own copy, before or after, that one stays.
 */
export class SentCopies {
  readonly #deps: SentCopiesDeps;
  /** BOUNDED by the accounts. */
  readonly #watches = new Map<string, Watch>();

  constructor(deps: SentCopiesDeps) {
    this.#deps = deps;
  }

  /** Undefined if the account wants none, or it cannot be stored (its folder is full or missing). Never rejects. */
  async begin(account: string): Promise<SentCopy | undefined> {
    const { mailbox, wanted, log } = this.#deps;
    if (!wanted(account)) return undefined;
    try {
      const store = mailbox(account);
      const name = (await store?.folders())?.find((each) => each.specialUse === '\\Sent')?.name;
      const folder = name === undefined ? undefined : await store?.folder(name);
      if (!folder) throw new Error('no folder serves as \\Sent');
      const watch = this.#watch(account, folder);
      // How long it will be is not known; the last one may go beyond the quota.
      const append = await folder.append({ flags: ['\\Seen'], internalDateMs: undefined, size: 1 });
      return new Copy(append, watch, log, account);
    } catch (error) {
      log.warn('smtp.sent-not-saved', { account, error: errorField(error) });
      return undefined;
    }
  }

  #watch(account: string, folder: Folder): Watch {
    const present = this.#watches.get(account);
    if (present?.folder === folder && present.alive) return present;
    present?.stop();
    const watch = new Watch(folder, this.#deps.scheduler, this.#deps.log);
    this.#watches.set(account, watch);
    return watch;
  }
}

class Copy implements SentCopy {
  readonly #append: Append;
  readonly #watch: Watch;
  readonly #log: Logger;
  readonly #account: string;
  #failed = false;

  constructor(append: Append, watch: Watch, log: Logger, account: string) {
    this.#append = append;
    this.#watch = watch;
    this.#log = log;
    this.#account = account;
  }

  write(chunk: Uint8Array): Promise<void> {
    return this.#attempt(() => this.#append.write(chunk));
  }

  keep(messageId: string): Promise<void> {
    return this.#attempt(async () => {
      if (await this.#watch.has(messageId)) await this.#append.abort();
      else await this.#watch.commit(this.#append, messageId);
    });
  }

  async abort(): Promise<void> {
    await this.#append.abort();
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    if (this.#failed) return;
    try {
      await work();
    } catch (error) {
      this.#failed = true;
      this.#log.warn('smtp.sent-not-saved', { account: this.#account, error: errorField(error) });
      await this.#append.abort();
    }
  }
}

/** Looks after the copies of the last minute in one folder. */
class Watch {
  readonly folder: Folder;
  alive = true;
  readonly #clock: Clock;
  readonly #log: Logger;
  /** Message-ID to our copy. BOUNDED by WATCHED_MAX. */
  readonly #ours = new Map<string, { uid: number; until: number }>();
  readonly #release: Unsubscribe;

  constructor(folder: Folder, clock: Clock, log: Logger) {
    this.folder = folder;
    this.#clock = clock;
    this.#log = log;
    this.#release = folder.changes((change) => this.#changed(change));
  }

  /** True if a mail of that Message-ID has come into the folder within the last minute. */
  async has(messageId: string): Promise<boolean> {
    const { folder } = this;
    const since = this.#clock.unixMs() - SAME_MAIL_MS;
    const recent: number[] = [];
    for (let i = folder.uids.length - 1; i >= 0 && recent.length < LOOK_BACK_MAX; i--) {
      if (folder.savedAtAt(i) < since) break;
      recent.unshift(folder.uids[i]!);
    }
    for await (const found of this.#messageIds(recent)) if (found.messageId === messageId) return true;
    return false;
  }

  async commit(append: Append, messageId: string): Promise<void> {
    const [uid] = await this.folder.commit([append]);
    const oldest = this.#ours.keys().next();
    if (this.#ours.size >= WATCHED_MAX && !oldest.done) this.#ours.delete(oldest.value);
    this.#ours.set(messageId, { uid: uid!, until: this.#clock.mono() + SAME_MAIL_MS });
  }

  stop(): void {
    this.alive = false;
    this.#release();
  }

  #changed(change: FolderChange): void {
    if (change.kind === 'gone') this.stop();
    if (change.kind !== 'added' || this.#ours.size === 0) return;
    this.#removeDoubles(change.uids).catch((error) =>
      this.#log.warn('smtp.sent-double-stays', { error: errorField(error) }),
    );
  }

  async #removeDoubles(added: Uint32Array): Promise<void> {
    const now = this.#clock.mono();
    for (const [messageId, { until }] of this.#ours) if (until < now) this.#ours.delete(messageId);
    for await (const { uid, messageId } of this.#messageIds(added)) {
      const ours = this.#ours.get(messageId);
      if (!ours || ours.uid === uid) continue;
      this.#ours.delete(messageId);
      await this.folder.storeFlags([ours.uid], { mode: 'add', flags: ['\\Deleted'] });
      await this.folder.expunge([ours.uid]);
    }
  }

  async *#messageIds(uids: Iterable<number>): AsyncGenerator<{ uid: number; messageId: string }> {
    for await (const records of this.folder.records(uids, { headerFields: { names: ['Message-ID'], not: false } }))
      for (const { uid, headerFields } of records) {
        const messageId = /<[^<>\s]{1,250}>/.exec(Buffer.from(headerFields ?? []).toString('latin1'))?.[0];
        if (messageId !== undefined) yield { uid, messageId };
      }
  }
}
