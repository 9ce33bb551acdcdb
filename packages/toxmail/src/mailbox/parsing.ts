import { join } from 'node:path';
import type { FolderState } from './folder-state.ts';
import type { ParsedMail, ParsingListener } from './index/mail-index.ts';
import { UNKNOWN } from './mail-table.ts';
import { MailboxError } from './types.ts';

/** BOUNDED: mails that the index is asked to read ahead, besides those that somebody waits for. */
const AHEAD_MAX = 1_000;
/** Progress is told for folders with at least so many mails to read, at every tenth. */
const TELL_ABOVE = 5_000;

/** Has a folder's mails read into the index: all, in the background, and at once those that somebody waits for. */
export class Parsing implements ParsingListener {
  readonly #state: FolderState;
  /** Looks where the mails' files are now. */
  readonly #look: () => Promise<void>;
  /** UIDs that the index was asked to read, and in which files. */
  readonly #asked = new Map<number, string>();
  /** BOUNDED by the sessions that wait. */
  #waiters: { go(): void; fail(error: Error): void }[] = [];
  /** Mails that are not parsed, as far as we count. */
  #left = 0;
  #total = 0;
  #told = 0;
  /** All below are parsed or asked for. */
  #from = 0;

  constructor(state: FolderState, look: () => Promise<void>) {
    this.#state = state;
    this.#look = look;
  }

  get awaited(): boolean {
    return this.#waiters.length > 0;
  }

  /** So many unparsed mails were added, from this UID on. */
  added(uid: number, count: number): void {
    if (this.#left <= 0) this.#total = 0;
    this.#left += count;
    this.#total += count;
    this.#told = 0;
    this.#from = Math.min(this.#from, uid);
    this.#ahead();
  }

  parsed(mails: readonly ParsedMail[]): void {
    const { table } = this.#state;
    let lost = false;
    for (const { uid, content, size, dateMs } of mails) {
      const path = this.#asked.get(uid);
      this.#asked.delete(uid);
      const i = table.indexOf(uid);
      if (i < 0) continue;
      if (content === undefined) {
        // A mail that we renamed ourselves meanwhile, as each new one that a program sees, is found without a look.
        lost ||= table.paths[i] === path;
        this.#from = Math.min(this.#from, uid);
        continue;
      }
      table.contents[i] = content;
      table.sizes[i] = size;
      table.dates[i] = dateMs;
    }
    this.#left -= mails.length;
    this.#progress();
    for (const { go } of this.#waiters.splice(0)) go();
    if (lost) void this.#look().then(() => this.#ahead());
    else this.#ahead();
  }

  /** The index tries again later; who waits is told that it may take long. */
  stalled(): void {
    const error = new MailboxError('unavailable', 'The search index cannot be written; the disk may be full');
    for (const { fail } of this.#waiters.splice(0)) fail(error);
  }

  /** The folder is no more. */
  end(): void {
    for (const { go } of this.#waiters.splice(0)) go();
  }

  /** Rejects if the index cannot go on now. */
  async until(uids?: Iterable<number>): Promise<void> {
    const { table } = this.#state;
    const unknown = (uid: number): boolean => table.contents[table.indexOf(uid)] === UNKNOWN;
    let missing = [...(uids ?? table.uids)].filter(unknown);
    if (uids) this.#ask(missing, true);
    while (missing.length > 0 && !this.#state.gone) {
      await new Promise<void>((go, fail) => this.#waiters.push({ go, fail }));
      missing = missing.filter(unknown);
      this.#ahead();
    }
  }

  #ahead(): void {
    const { uids, contents } = this.#state.table;
    const next: number[] = [];
    let i = lowerBound(uids, this.#from);
    for (; i < uids.length && this.#asked.size + next.length < AHEAD_MAX; i++) {
      if (contents[i] === UNKNOWN && !this.#asked.has(uids[i]!)) next.push(uids[i]!);
    }
    this.#from = uids[i] ?? (uids.at(-1) ?? 0) + 1;
    this.#ask(next, false);
  }

  #ask(uids: readonly number[], hurry: boolean): void {
    const { table, maildir, deps, key } = this.#state;
    if (uids.length === 0) return;
    const mails = uids.map((uid) => {
      const path = table.paths[table.indexOf(uid)]!;
      this.#asked.set(uid, path);
      return { uid, path: join(maildir.path, path) };
    });
    deps.index.parse(key, mails, hurry);
  }

  #progress(): void {
    const done = this.#total - Math.max(0, this.#left);
    const tenth = Math.floor((done * 10) / this.#total);
    if (this.#total < TELL_ABOVE || tenth <= this.#told) return;
    this.#told = tenth;
    this.#state.deps.log.info('mailbox.indexing', { folder: this.#state.key.mailboxId, done, of: this.#total });
  }
}

/** Position of the first UID that is not below. */
export function lowerBound(uids: Uint32Array, uid: number): number {
  let low = 0;
  let high = uids.length;
  while (low < high) {
    const mid = (low + high) >>> 1;
    if (uids[mid]! < uid) low = mid + 1;
    else high = mid;
  }
  return low;
}
