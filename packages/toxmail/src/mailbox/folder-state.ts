import { join } from 'node:path';
import type { Scheduler } from '../base/clock.ts';
import { errorCode, type FileSystem } from '../base/files.ts';
import { errorField, type Logger } from '../base/log.ts';
import { Slices } from '../base/slices.ts';
import type { Maildir, MaildirMessage } from '../maildir/maildir.ts';
import { parseName, uniqueOf } from '../maildir/name.ts';
import { FolderWatch } from './folder-watch.ts';
import type { FolderKey, IndexedMails, KnownMail, MailIndex } from './index/mail-index.ts';
import { bitsOf, Keywords } from './keywords.ts';
import { MailTable, UNKNOWN } from './mail-table.ts';
import { Parsing } from './parsing.ts';
import { Turns } from './turns.ts';
import { type FlagBits, type FolderChange, MailboxError, type Unsubscribe } from './types.ts';
import { type UidEntry, UidList } from './uid-list.ts';

/** Without news of the system a folder's times are looked at so often at most; a look at all names costs more. */
const LOOK_EVERY_MS = 5_000;
/** … at this while the system tells news and the times are known to have changed: they say nothing then. */
const LOOK_AGAIN_MS = 60_000;
/** … and takes at most this part of the time. */
const LOOK_SHARE = 20;

export interface FolderDeps {
  readonly files: FileSystem;
  readonly scheduler: Scheduler;
  readonly log: Logger;
  readonly index: MailIndex;
  /** A mod-sequence above all before; in the whole account. */
  nextModSeq(least: number): number;
  /** A UIDVALIDITY that the account never had. */
  uidValidity(): number;
  /** True the first time that this process opens this folder. */
  fresh(mailboxPath: string): boolean;
}

/** A mail's file as it was found. */
export interface Found {
  readonly unique: string;
  /** `cur/NAME` or `new/NAME`. */
  readonly path: string;
  readonly wireSize: number | undefined;
  /** Of arrival, since 1970; 0 if the name does not tell. */
  readonly seconds: number;
  readonly bits: FlagBits;
  /** Of a mail that is parsed already. */
  readonly known?: { readonly content: number; readonly size: number; readonly dateMs: number };
}

/**
 * What we know of a folder, kept in step with the disk. All changes go through `turn`, one at a time: first the files,
 * then the UID list, both synced; then columns, index, listeners.
 */
export class FolderState {
  readonly maildir: Maildir;
  readonly keywords: Keywords;
  readonly table = new MailTable();
  readonly deps: FolderDeps;
  readonly #turns = new Turns();
  readonly #listeners = new Set<(change: FolderChange) => void>();
  /** From `load` on. */
  #list!: UidList;
  #watch: FolderWatch | undefined;
  #highestModSeq = 0;
  #gone = false;
  /** Times of new/ and cur/ when all names were last looked at. */
  #stamp: string | undefined;
  #lookedAt = 0;
  /** What changed since then, by us or as the system told, changed those times. */
  #timesExplained = false;
  #mustLook = false;
  #lookTook = 0;
  readonly #parsing: Parsing;
  #usedAt = 0;

  constructor(maildir: Maildir, deps: FolderDeps) {
    this.maildir = maildir;
    this.deps = deps;
    this.keywords = new Keywords(deps.files, maildir);
    this.#parsing = new Parsing(this, () => this.turn(() => this.look()).catch((error) => this.#failed(error)));
  }

  get key(): FolderKey {
    return { mailboxId: this.#list.mailboxId, uidValidity: this.#list.uidValidity };
  }

  get uidNext(): number {
    return this.#list.next;
  }

  get highestModSeq(): number {
    return this.#highestModSeq;
  }

  /** True if somebody used the folder after `mono`, or does. */
  usedSince(mono: number): boolean {
    const inUse = this.#listeners.size > 0 || this.#turns.busy || this.#parsing.awaited;
    if (inUse) this.touch();
    return this.#usedAt > mono;
  }

  touch(): void {
    this.#usedAt = this.deps.scheduler.mono();
  }

  get gone(): boolean {
    return this.#gone;
  }

  /** Throws MailboxError if it was deleted: the path may be another folder's by now, and so its UID list. */
  mustBeThere(): void {
    if (this.#gone) throw new MailboxError('nonexistent', 'The folder was deleted');
  }

  listen(listener: (change: FolderChange) => void): Unsubscribe {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
      this.touch();
    };
  }

  /** The folder stays in memory until the result is called: two states of one folder would give the same UIDs. */
  hold(): Unsubscribe {
    return this.listen(() => {});
  }

  /** Runs alone among all that change this folder. */
  turn<T>(work: () => Promise<T>): Promise<T> {
    return this.#turns.take(work);
  }

  /** What is open of it is closed if it rejects. */
  async load(): Promise<void> {
    try {
      await this.#load();
    } catch (error) {
      this.#watch?.close();
      if (this.#list) await this.unload().catch(() => {}); // the first error tells more
      throw error;
    }
  }

  async #load(): Promise<void> {
    const { files, scheduler, index } = this.deps;
    const path = this.maildir.path;
    await this.maildir.reopen();
    await this.keywords.refresh();
    this.#watch = this.#watched();
    const options = { fresh: this.deps.fresh(path), validity: this.deps.uidValidity };
    const { list, entries, begun } = await UidList.open(files, scheduler, this.maildir, options);
    this.#list = list;
    index.onParsed(this.key, this.#parsing);
    await this.turn(async () => {
      this.#stamp = await this.#stampNow();
      // Of those with a UID the paths only, not what they say: most of this is garbage a moment later.
      const listed = new Map<string, string>();
      const fresh: Found[] = [];
      const see = (path: string): void => {
        const unique = entries.size > 0 ? uniqueOf(path) : undefined;
        if (unique !== undefined && entries.has(unique)) listed.set(unique, path);
        else take(fresh, foundOf(path));
      };
      // The thread takes a moment to start: a new UIDVALIDITY, of which it knows nothing, does not wait for it.
      const [indexed] = await Promise.all([begun ? NOT_INDEXED : index.load(this.key), this.#read(see)]);
      await this.#merge(listed, entries, indexed);
      await this.adopt(inOrder(fresh));
    });
  }

  /** The folder goes to another place on the disk; `move` brings it there. */
  relocate(path: string, move: () => Promise<void>): Promise<void> {
    return this.turn(async () => {
      await move();
      this.maildir.movedTo(path);
      this.#watch?.close();
      this.#watch = this.#watched();
      this.#mustLook = true; // nobody watched meanwhile
    });
  }

  async unload(): Promise<void> {
    this.#watch?.close();
    this.deps.index.onParsed(this.key, undefined);
    await this.turn(() => this.#list.close());
  }

  /** The folder is no more. */
  async end(): Promise<void> {
    if (this.#gone) return;
    this.#gone = true;
    this.#tell({ kind: 'gone' });
    await this.unload();
    this.#parsing.end();
  }

  /** Takes in what other programs did. */
  async sync(): Promise<void> {
    try {
      await this.#sync();
    } catch (error) {
      const { files } = this.deps;
      if (errorCode(error) !== 'ENOENT' || (await files.stat(join(this.maildir.path, 'cur')))) throw error;
      await this.end(); // another program removed the folder
    }
  }

  async #sync(): Promise<void> {
    const touched = await this.#watch?.take();
    await this.turn(async () => {
      if (this.#gone) return;
      if (this.#mustLook || (this.#watch && touched === undefined)) return this.look();
      if (touched && touched.size > 0) {
        if (!(await this.#takeIn(touched))) return this.look();
        this.#timesExplained = true;
      }
      const { scheduler } = this.deps;
      const least = this.#timesExplained && this.#watch?.works ? LOOK_AGAIN_MS : LOOK_EVERY_MS;
      const wait = Math.max(least, this.#lookTook * LOOK_SHARE);
      if (scheduler.mono() - this.#lookedAt < wait) return;
      this.#lookedAt = scheduler.mono();
      const stamp = await this.#stampNow();
      if (stamp === undefined || stamp !== this.#stamp) await this.look();
    });
  }

  /** Compares all names with what we know. In a turn. */
  async look(): Promise<void> {
    this.#mustLook = true; // until it is done: whoever syncs behind a look that failed looks, too
    await this.#look();
    this.#mustLook = false;
  }

  async #look(): Promise<void> {
    const { table } = this;
    this.#timesExplained = false;
    await this.keywords.refresh();
    this.#stamp = await this.#stampNow();
    const seen = new Uint8Array(table.count);
    let unseen = table.count;
    const other = new Map<string, Found>();
    const see = (path: string): void => {
      const i = table.indexOfUnique(uniqueOf(path));
      if (i >= 0 && !seen[i]) {
        seen[i] = 1;
        unseen--;
      }
      if (i >= 0 && table.paths[i] === path) return;
      const mail = foundOf(path);
      if (mail) other.set(mail.unique, mail);
    };
    await this.#read(see);
    // A name that another program changes while we read may be in neither place; a second look sees it.
    if (unseen > 0) await this.#read(see);
    this.#moved([...other.values()].filter(({ unique }) => table.indexOfUnique(unique) >= 0));
    const fresh = [...other.values()].filter(({ unique }) => table.indexOfUnique(unique) < 0);
    const gone: number[] = [];
    if (unseen > 0) for (let i = 0; i < seen.length; i++) if (!seen[i]) gone.push(i);
    this.vanish(gone, undefined);
    if (fresh.length > 0) await this.adopt(inOrder(fresh));
  }

  /** We are about to change this name (`cur/NAME`). */
  own(path: string): void {
    this.#timesExplained = true;
    this.#watch?.own(path);
  }

  /** Gives UIDs to mails whose files are on the disk, and tells of them. Mails that have one keep it. In a turn. */
  async adopt(found: readonly Found[]): Promise<void> {
    this.mustBeThere();
    const { table } = this;
    const fresh = found.filter(({ unique }) => table.indexOfUnique(unique) < 0);
    if (fresh.length === 0) return;
    const { uid, savedMs } = await this.#list.assign(fresh.map(({ unique }) => unique)).catch((error) => {
      this.#mustLook = true; // the mails are there nonetheless
      throw error;
    });
    const modSeq = this.#nextModSeq();
    const from = table.count;
    const known: KnownMail[] = [];
    const unparsed: number[] = [];
    for (const [i, mail] of fresh.entries()) {
      if (mail.known) known.push({ ...mail.known, uid: uid + i, bits: mail.bits, modSeq });
      else unparsed.push(from + i);
      const { content, size, dateMs } = mail.known ?? { content: UNKNOWN, size: mail.wireSize ?? UNKNOWN, dateMs: NaN };
      table.add({
        uid: uid + i,
        unique: mail.unique,
        path: mail.path,
        bits: mail.bits,
        modSeq,
        savedMs,
        content,
        size,
        dateMs,
      });
    }
    if (known.length > 0) this.deps.index.known(this.key, known);
    this.#toIndex(unparsed);
    this.#tell({ kind: 'added', uids: table.uids.slice(from), modSeq });
  }

  /** Of mails that were adopted. */
  uidsOf(found: readonly Found[]): Uint32Array {
    return Uint32Array.from(found, ({ unique }) => this.table.uids[this.table.indexOfUnique(unique)]!);
  }

  /** A mail that was delivered into new/ by us. */
  delivered(mail: MaildirMessage): void {
    this.own(mail.path);
    const found = foundOf(mail.path);
    if (!found) return;
    this.turn(async () => void (this.#gone || (await this.adopt([found])))).catch((error) => this.#failed(error));
  }

  /** The files of these mails have gone; positions ascend. In a turn. Returns their UIDs. */
  vanish(indexes: readonly number[], by: unknown): Uint32Array {
    const uids = Uint32Array.from(indexes, (i) => this.table.uids[i]!);
    if (uids.length === 0) return uids;
    const uniques = indexes.map((i) => uniqueOf(this.table.paths[i]!));
    this.table.remove(indexes, uniques);
    const modSeq = this.#nextModSeq();
    this.deps.index.expunged(this.key, uids, modSeq);
    this.#tell({ kind: 'expunged', uids, modSeq, by });
    return uids;
  }

  /** These mails have new flags: in `paths` of the table already. In a turn. */
  reflag(indexes: readonly number[], bits: readonly FlagBits[], by: unknown): number {
    if (indexes.length === 0) return this.#highestModSeq;
    const modSeq = this.#nextModSeq();
    for (const [n, i] of indexes.entries()) {
      this.table.bits[i] = bits[n]!;
      this.table.modSeqs[i] = modSeq;
    }
    const uids = Uint32Array.from(indexes, (i) => this.table.uids[i]!);
    this.deps.index.flags(this.key, uids, Uint32Array.from(bits), modSeq);
    this.#tell({ kind: 'flags', uids, modSeq, by });
    return modSeq;
  }

  /** Where these mails are now, as `cur/NAME` or `new/NAME`, by the unique part of their names. */
  async locate(uniques: ReadonlySet<string>): Promise<Map<string, string>> {
    const at = new Map<string, string>();
    const see = (path: string): void => {
      const unique = uniqueOf(path);
      if (uniques.has(unique)) at.set(unique, path);
    };
    await this.#read(see);
    if (at.size < uniques.size) await this.#read(see); // renamed while we read
    return at;
  }

  /** Resolves when the index knows these mails, as far as they are there then; all without `uids`. */
  parsed(uids?: Iterable<number>): Promise<void> {
    return this.#parsing.until(uids);
  }

  /** Mails that we know have these names now. */
  #moved(found: readonly Found[]): void {
    const { table } = this;
    const changed: number[] = [];
    const bits: FlagBits[] = [];
    for (const mail of found) {
      const i = table.indexOfUnique(mail.unique);
      table.paths[i] = mail.path;
      if (table.bits[i] === mail.bits) continue;
      changed.push(i);
      bits.push(mail.bits);
    }
    this.reflag(changed, bits, undefined);
  }

  /** False: a mail seems to be gone, and only a look at all can tell. */
  async #takeIn(touched: ReadonlySet<string>): Promise<boolean> {
    const there: Found[] = [];
    const absent: Found[] = [];
    for (const path of touched) {
      const mail = foundOf(path);
      if (!mail) continue;
      const stat = await this.deps.files.stat(join(this.maildir.path, path));
      (stat ? there : absent).push(mail);
    }
    const isThere = new Set(there.map(({ unique }) => unique));
    const { table } = this;
    if (absent.some(({ unique, path }) => !isThere.has(unique) && table.paths[table.indexOfUnique(unique)] === path))
      return false;
    await this.keywords.refresh();
    this.#moved(there.filter(({ unique }) => table.indexOfUnique(unique) >= 0));
    const fresh = there.filter(({ unique }) => table.indexOfUnique(unique) < 0);
    if (fresh.length > 0) await this.adopt(inOrder(fresh));
    return true;
  }

  /** All names of the folder, as `cur/NAME` or `new/NAME`. */
  async #read(each: (path: string) => void): Promise<void> {
    const { scheduler } = this.deps;
    const from = scheduler.mono();
    await this.maildir.eachName((sub, name) => each(`${sub}/${name}`));
    this.#lookedAt = scheduler.mono();
    this.#lookTook = this.#lookedAt - from;
  }

  /** A mail was found under another name. In a turn. */
  moved(path: string): void {
    const mail = foundOf(path);
    if (mail) this.#moved([mail]);
  }

  #stampNow(): Promise<string | undefined> {
    return this.maildir.stamp(this.deps.scheduler.unixMs());
  }

  /** At the start: files, UID list and index make the table. `found`: paths of listed mails by their unique part. */
  async #merge(found: Map<string, string>, entries: Map<string, UidEntry>, indexed: IndexedMails): Promise<void> {
    this.#highestModSeq = indexed.highestModSeq;
    const slices = new Slices();
    const fresh = indexed.highestModSeq === 0 ? this.#nextModSeq() : 0;
    const listed = entries.size;
    const changed: number[] = [];
    const unparsed: number[] = [];
    const gone: number[] = [];
    let row = 0; // of the index; both lists ascend
    for (const [unique, entry] of entries) {
      if (slices.over) await slices.pause();
      const path = found.get(unique);
      const mail = path === undefined ? undefined : foundOf(path);
      if (!mail) {
        entries.delete(unique);
        // Came and went before a crash, and the index heard of neither.
        if (entry.uid > indexed.lastUid) gone.push(entry.uid);
        continue;
      }
      // What the index has and the disk has not went while we were away.
      while (indexed.uids[row]! < entry.uid) gone.push(indexed.uids[row++]!);
      const known = indexed.uids[row] === entry.uid ? row++ : -1;
      const content = known < 0 ? UNKNOWN : indexed.contents[known]!;
      const modSeq = known < 0 ? fresh : indexed.modSeqs[known]!;
      const size = content === UNKNOWN ? (mail.wireSize ?? UNKNOWN) : indexed.sizes[known]!;
      const dateMs = content === UNKNOWN ? Number.NaN : indexed.dates[known]!;
      this.table.add({ ...mail, ...entry, content, modSeq, size, dateMs });
      if (known < 0 ? fresh === 0 : indexed.bits[known] !== mail.bits) changed.push(this.table.count - 1);
      if (content === UNKNOWN) unparsed.push(this.table.count - 1);
    }
    while (row < indexed.uids.length) gone.push(indexed.uids[row++]!);
    if (gone.length > 0) this.deps.index.expunged(this.key, Uint32Array.from(gone), this.#nextModSeq());
    this.#toIndex(unparsed);
    this.reflag(
      changed,
      changed.map((i) => this.table.bits[i]!),
      undefined,
    );
    await this.#list.thin(entries, listed);
  }

  #toIndex(indexes: readonly number[]): void {
    if (indexes.length === 0) return;
    const { uids, bits, modSeqs } = this.table;
    const count = indexes.length;
    const added = { uids: new Uint32Array(count), bits: new Uint32Array(count), modSeqs: new Float64Array(count) };
    for (let n = 0; n < count; n++) {
      const i = indexes[n]!;
      added.uids[n] = uids[i]!;
      added.bits[n] = bits[i]!;
      added.modSeqs[n] = modSeqs[i]!;
    }
    this.deps.index.add(this.key, added.uids, added.bits, added.modSeqs);
    this.#parsing.added(added.uids[0]!, count);
  }

  #watched(): FolderWatch {
    const look = (): void => void this.sync().catch((error) => this.#failed(error));
    return new FolderWatch(this.maildir.path, this.deps.scheduler, look);
  }

  #nextModSeq(): number {
    this.#highestModSeq = this.deps.nextModSeq(this.#highestModSeq + 1);
    return this.#highestModSeq;
  }

  #tell(change: FolderChange): void {
    for (const listener of [...this.#listeners]) listener(change);
  }

  #failed(error: unknown): void {
    this.deps.log.error('mailbox.folder-failed', { error: errorField(error) });
  }
}

/** Undefined for what is no mail. A line end would end a line of the UID list. */
export function foundOf(path: string): Found | undefined {
  const name = path.slice(4);
  if (name.includes('\n') || name.includes(NOT_UTF8)) return undefined;
  const parts = parseName(name);
  if (!parts) return undefined;
  const { unique, wireSize, unixSeconds: seconds = 0, flags } = parts;
  return { unique, path, wireSize, seconds, bits: bitsOf(flags) };
}

const NOT_INDEXED: IndexedMails = {
  uids: new Uint32Array(0),
  contents: new Uint32Array(0),
  bits: new Uint32Array(0),
  modSeqs: new Float64Array(0),
  sizes: new Float64Array(0),
  dates: new Float64Array(0),
  lastUid: 0,
  highestModSeq: 0,
};

/** What Node makes of bytes that are not UTF-8. */
const NOT_UTF8 = '\ufffd';

/** Mails found together get UIDs in the order of arrival. One that was seen in two places counts where it was last. */
function inOrder(found: Found[]): Found[] {
  found.sort((a, b) => a.seconds - b.seconds || (a.unique < b.unique ? -1 : a.unique === b.unique ? 0 : 1));
  return found.filter(({ unique }, i) => unique !== found[i + 1]?.unique);
}

function take<T>(list: T[], one: T | undefined): void {
  if (one !== undefined) list.push(one);
}
