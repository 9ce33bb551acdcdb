import { join } from 'node:path';
import { errorCode, unlinkIfThere } from '../base/files.ts';
import { Slices } from '../base/slices.ts';
import type { Maildir, MaildirWriter } from '../maildir/maildir.ts';
import { INFO_SEPARATOR, uniqueOf } from '../maildir/name.ts';
import { copyFile } from './copy-file.ts';
import { FolderReader } from './folder-reader.ts';
import { type FolderDeps, FolderState, type Found, foundOf } from './folder-state.ts';
import { lettersOf } from './keywords.ts';
import { UNKNOWN } from './mail-table.ts';
import {
  type Append,
  type AppendOptions,
  FLAG,
  type FlagBits,
  type Folder,
  type FolderChange,
  MailboxError,
  type MessageReader,
  type MessageRecord,
  type SearchKey,
  type SortKey,
  type StoreFlags,
  type StoreResult,
  type Thread,
  type UidPairs,
  type UidRange,
  type Unsubscribe,
  type Wanted,
} from './types.ts';

/** Removing waits for the disk's journal: so many wait together. */
const UNLINK_AT_ONCE = 64;

/** A folder of a Maildir++. */
export class MailFolder implements Folder {
  readonly state: FolderState;
  #name: string;
  readonly #reader: FolderReader;
  /** The mails among which none is in new/ any more. */
  #taken: Uint32Array | undefined;
  readonly #room: (bytes: number) => Promise<void>;

  /** `room` rejects with `over-quota` if so many bytes more do not fit. */
  constructor(name: string, maildir: Maildir, deps: FolderDeps, room: (bytes: number) => Promise<void>) {
    this.#name = name;
    this.state = new FolderState(maildir, deps);
    this.#reader = new FolderReader(this.state);
    this.#room = room;
  }

  get name(): string {
    return this.#name;
  }

  /** Sessions that have it open keep it. `move` renames it on the disk. */
  rename(name: string, path: string, move: () => Promise<void>): Promise<void> {
    return this.state.relocate(path, async () => {
      await move();
      this.#name = name;
    });
  }

  get mailboxId(): string {
    return this.state.key.mailboxId;
  }

  get uidValidity(): number {
    return this.state.key.uidValidity;
  }

  get uidNext(): number {
    return this.state.uidNext;
  }

  get highestModSeq(): number {
    return this.state.highestModSeq;
  }

  get uids(): Uint32Array {
    return this.state.table.uids;
  }

  get keywords(): readonly string[] {
    return this.state.keywords.names;
  }

  get canAddKeywords(): boolean {
    return !this.state.keywords.full;
  }

  indexOf(uid: number): number {
    return this.state.table.indexOf(uid);
  }

  flagsAt(index: number): FlagBits {
    return this.state.table.bits[index] ?? 0;
  }

  modSeqAt(index: number): number {
    return this.state.table.modSeqs[index] ?? 0;
  }

  savedAtAt(index: number): number {
    return this.state.table.savedMs[index] ?? 0;
  }

  /** The part of the file name that stays while the mail exists. */
  uniqueAt(index: number): string {
    return uniqueOf(this.state.table.paths[index] ?? '');
  }

  flagNames(bits: FlagBits): readonly string[] {
    return this.state.keywords.flagNames(bits);
  }

  flagBit(name: string): FlagBits | undefined {
    return this.state.keywords.bit(name);
  }

  changes(listener: (change: FolderChange) => void): Unsubscribe {
    return this.state.listen(listener);
  }

  sync(): Promise<void> {
    return this.state.sync();
  }

  takeNew(): Promise<void> {
    return this.state.turn(async () => {
      if (this.#taken === this.uids) return; // another session was first
      const { paths } = this.state.table;
      const fresh: number[] = [];
      for (let i = 0; i < paths.length; i++) if (paths[i]!.startsWith('new/')) fresh.push(i);
      // Not synced: a mail that is in new/ again after a power cut is as good.
      await this.#rename(fresh, (i) => this.flagsAt(i));
      this.#taken = this.uids;
    });
  }

  async storeFlags(uids: Iterable<number>, change: StoreFlags): Promise<StoreResult> {
    return this.state.turn(async () => {
      const wished = await this.#bits(change.flags, change.mode !== 'remove');
      const modified: number[] = [];
      const mayChange = (i: number): boolean => {
        if (change.unchangedSince === undefined || this.modSeqAt(i) <= change.unchangedSince) return true;
        modified.push(this.uids[i]!);
        return false;
      };
      const bitsAt = (i: number): FlagBits => newBits(this.flagsAt(i), change.mode, wished);
      const plan = this.#indexes(uids).filter((i) => mayChange(i) && bitsAt(i) !== this.flagsAt(i));
      const { uids: changed, modSeq } = await this.#rename(plan, bitsAt, mayChange, change.by);
      return { changed, modified: Uint32Array.from(modified).sort(), modSeq };
    });
  }

  async append({ flags, internalDateMs, size }: AppendOptions): Promise<Append> {
    const release = this.state.hold();
    try {
      await this.#room(size);
      return new MailAppend(await this.state.maildir.create(), flags, internalDateMs, release);
    } catch (error) {
      release();
      throw error;
    }
  }

  async commit(appends: readonly Append[]): Promise<Uint32Array> {
    const { state } = this;
    const mails = appends as readonly MailAppend[];
    for (const mail of mails) await mail.writer.seal(mail.internalDateMs);
    const stored = state.turn(async () => {
      const found: Found[] = [];
      try {
        for (const mail of mails) {
          const placed = await mail.writer.placeInCur(lettersOf(await this.#bits(mail.flags, true)));
          state.own(placed.path);
          found.push(foundOf(placed.path)!);
        }
        await state.maildir.syncCur();
        await state.adopt(found);
        return state.uidsOf(found);
      } catch (error) {
        for (const { path } of found) await unlinkIfThere(state.deps.files, this.#path(path)).catch(() => {});
        throw error;
      }
    });
    return stored.finally(() => {
      for (const mail of mails) mail.release();
    });
  }

  copy(uids: Iterable<number>, target: Folder): Promise<UidPairs> {
    const to = target as MailFolder;
    return this.#copy(uids, to).finally(to.state.hold());
  }

  move(uids: Iterable<number>, target: Folder, by?: unknown): Promise<UidPairs> {
    const to = target as MailFolder;
    return this.#move(uids, to, by).finally(to.state.hold());
  }

  async #copy(uids: Iterable<number>, to: MailFolder): Promise<UidPairs> {
    const { files } = this.state.deps;
    const sent = await this.state.turn(async () => {
      const indexes = this.#indexes(uids);
      await this.#room(indexes.reduce((sum, i) => sum + this.state.table.sizes[i]!, 0));
      const sent: Sent[] = [];
      const known = new Map<FlagBits, FlagBits>();
      let gone: number[] = [];
      try {
        gone = await this.#eachFile(indexes, async (i, path) => {
          const found = await to.#foundFrom(this, i, known);
          await copyFile(files, this.#path(path), to.#path(found.path), to.state.maildir);
          sent.push({ uid: this.uids[i]!, found });
        });
        await to.state.maildir.syncCur();
      } catch (error) {
        for (const { found } of sent) await unlinkIfThere(files, to.#path(found.path)).catch(() => {});
        throw error;
      }
      this.state.vanish(ascending(gone), undefined);
      return sent;
    });
    try {
      return await to.#arrived(sent);
    } catch (error) {
      for (const { found } of sent) await unlinkIfThere(files, to.#path(found.path)).catch(() => {});
      throw error;
    }
  }

  async #move(uids: Iterable<number>, to: MailFolder, by: unknown): Promise<UidPairs> {
    const { files, log } = this.state.deps;
    const sent: Sent[] = [];
    const known = new Map<FlagBits, FlagBits>();
    let failure: unknown;
    await this.state.turn(async () => {
      const moved: number[] = [];
      try {
        const gone = await this.#eachFile(this.#indexes(uids), async (i, path) => {
          const found = await to.#foundFrom(this, i, known);
          this.state.own(path);
          await files.rename(this.#path(path), to.#path(found.path));
          sent.push({ uid: this.uids[i]!, found });
          moved.push(i);
        });
        moved.push(...gone);
      } catch (error) {
        failure = error; // those that moved have moved, and everybody must hear of it
      }
      try {
        await to.state.maildir.syncCur();
        await this.state.maildir.syncRemovals();
      } catch (error) {
        failure ??= error;
      }
      this.state.vanish(ascending(moved), by);
    });
    const pairs = await to.#arrived(sent);
    if (failure === undefined) return pairs;
    log.warn('mailbox.move-failed', { moved: sent.length });
    throw failure;
  }

  async expunge(uids?: Iterable<number>, by?: unknown): Promise<Uint32Array> {
    return this.state.turn(() => {
      const indexes = uids ? this.#indexes(uids) : Array.from(this.uids.keys());
      const deleted = (i: number): boolean => (this.flagsAt(i) & FLAG.deleted) !== 0;
      return this.#unlink(indexes.filter(deleted), deleted, by);
    });
  }

  /** Removes mails whatever their flags are, as POP3 does. The UIDs removed. */
  async remove(uids: Iterable<number>, by?: unknown): Promise<Uint32Array> {
    return this.state.turn(() => this.#unlink(this.#indexes(uids), () => true, by));
  }

  async expungedSince(modSeq: number): Promise<readonly UidRange[]> {
    const known = await this.state.deps.index.expungedSince(this.state.key, modSeq);
    return known ?? missing(this.uids, this.uidNext);
  }

  records(uids: Iterable<number>, want: Wanted): AsyncIterable<readonly MessageRecord[]> {
    return this.#reader.records(uids, want);
  }

  open(uid: number): Promise<MessageReader | undefined> {
    return this.#reader.open(uid);
  }

  search(query: SearchKey): Promise<Uint32Array> {
    return this.#reader.search(query);
  }

  sort(uids: Iterable<number>, by: readonly SortKey[]): Promise<Uint32Array> {
    return this.#reader.sort(uids, by);
  }

  thread(uids: Iterable<number>, algorithm: 'REFERENCES' | 'ORDEREDSUBJECT'): Promise<readonly Thread[]> {
    return this.#reader.thread(uids, algorithm);
  }

  #path(path: string): string {
    return join(this.state.maildir.path, path);
  }

  /** Positions of the UIDs that are there, ascending, each once. */
  #indexes(uids: Iterable<number>): number[] {
    const indexes: number[] = [];
    for (const uid of uids) {
      const i = this.indexOf(uid);
      if (i >= 0) indexes.push(i);
    }
    return ascending(indexes);
  }

  async #bits(flags: readonly string[], make: boolean): Promise<FlagBits> {
    const { keywords, table } = this.state;
    if (!make) {
      await keywords.refresh();
      return flags.reduce((bits, name) => bits | (keywords.bit(name) ?? 0), 0) >>> 0;
    }
    const bits = await keywords.bitsFor(flags, () => {
      let used = 0;
      for (let i = 0; i < table.count; i++) used |= table.bits[i]!;
      return used;
    });
    if (bits === undefined) throw new MailboxError('limit', 'This folder has no room for more keywords');
    return bits;
  }

  /**
   * Gives mails the file names that their new flags ask for; those of new/ go to cur/. A failure tells of those that
   * were done before.
   */
  async #rename(
    indexes: readonly number[],
    bitsAt: (i: number) => FlagBits,
    mayChange: (i: number) => boolean = () => true,
    by?: unknown,
  ): Promise<{ uids: Uint32Array; modSeq: number }> {
    const { state } = this;
    const { table } = state;
    const done: number[] = [];
    let gone: number[] = [];
    let flagged = false;
    let fromNew = false;
    try {
      gone = await this.#eachFile(indexes, async (i, path) => {
        if (!mayChange(i)) return;
        const to = `cur/${uniqueOf(path)}${INFO_SEPARATOR}2,${lettersOf(bitsAt(i))}`;
        if (to !== path) {
          state.own(path);
          state.own(to);
          await state.deps.files.rename(this.#path(path), this.#path(to));
          table.paths[i] = to;
        }
        fromNew ||= path.startsWith('new/');
        flagged ||= bitsAt(i) !== table.bits[i];
        done.push(i);
      });
    } finally {
      done.sort((a, b) => a - b);
      try {
        if (flagged) await (fromNew ? state.maildir.syncRemovals() : state.maildir.syncCur());
      } finally {
        if (flagged) state.reflag(done, done.map(bitsAt), by);
      }
    }
    const uids = Uint32Array.from(done, (i) => this.uids[i]!);
    const modSeq = state.highestModSeq;
    state.vanish(ascending(gone), undefined);
    return { uids, modSeq };
  }

  async #unlink(indexes: readonly number[], mayGo: (i: number) => boolean, by: unknown): Promise<Uint32Array> {
    const { state } = this;
    const gone: number[] = [];
    let fromNew = false;
    let uids: Uint32Array;
    try {
      const before = await this.#eachFile(
        indexes,
        async (i, path) => {
          if (!mayGo(i)) return;
          state.own(path);
          await state.deps.files.unlink(this.#path(path));
          fromNew ||= path.startsWith('new/');
          gone.push(i);
        },
        UNLINK_AT_ONCE,
      );
      gone.push(...before);
    } finally {
      try {
        if (gone.length > 0) await (fromNew ? state.maildir.syncRemovals() : state.maildir.syncCur());
      } finally {
        uids = state.vanish(ascending(gone), by);
      }
    }
    return uids;
  }

  /**
   * Does something with the mails' files. Another program may have renamed one meanwhile, which has other flags then;
   * positions of those that have gone are returned.
   */
  async #eachFile(
    indexes: readonly number[],
    work: (i: number, path: string) => Promise<void>,
    atOnce = 1,
  ): Promise<number[]> {
    const { table } = this.state;
    const slices = new Slices();
    const attempt = async (i: number): Promise<boolean> => {
      try {
        await work(i, table.paths[i]!);
        return true;
      } catch (error) {
        if (errorCode(error) !== 'ENOENT') throw error;
        return false;
      }
    };
    const lost: number[] = [];
    for (let at = 0; at < indexes.length; at += atOnce) {
      if (slices.over) await slices.pause();
      const some = indexes.slice(at, at + atOnce);
      const done = await Promise.allSettled(some.map(attempt));
      for (const [n, each] of done.entries()) {
        if (each.status === 'rejected') throw each.reason;
        if (!each.value) lost.push(some[n]!);
      }
    }
    if (lost.length === 0) return lost;
    const now = await this.state.locate(new Set(lost.map((i) => uniqueOf(table.paths[i]!))));
    const gone: number[] = [];
    for (const i of lost) {
      const path = now.get(uniqueOf(table.paths[i]!));
      if (path !== undefined) this.state.moved(path);
      if (path === undefined || !(await attempt(i))) gone.push(i);
    }
    // What is there all the same lacks the folder that it was to go to, or another program has it in hand.
    const tried = gone.map((i) => uniqueOf(table.paths[i]!)).filter((unique) => now.has(unique));
    if (tried.length > 0 && (await this.state.locate(new Set(tried))).size > 0)
      throw new MailboxError('cannot', 'Another program changes these mails, or has removed the folder');
    return gone;
  }

  /** The name here of a mail of another folder, with the same flags. `known`: bits there to bits here, of this operation. */
  async #foundFrom(source: MailFolder, i: number, known: Map<FlagBits, FlagBits>): Promise<Found> {
    const { table } = source.state;
    const theirs = source.flagsAt(i);
    const bits = known.get(theirs) ?? (await this.#bits(source.flagNames(theirs), true));
    known.set(theirs, bits);
    this.state.mustBeThere();
    const attributes = /(?:,[SW]=\d+)*$/.exec(source.uniqueAt(i))?.[0] ?? '';
    const name = `${this.state.maildir.uniqueName()}${attributes}${INFO_SEPARATOR}2,${lettersOf(bits)}`;
    const found = foundOf(`cur/${name}`)!;
    this.state.own(found.path);
    const content = table.contents[i]!;
    if (content === UNKNOWN) return found;
    return { ...found, known: { content, size: table.sizes[i]!, dateMs: table.dates[i]! } };
  }

  async #arrived(sent: readonly Sent[]): Promise<UidPairs> {
    const found = sent.map((each) => each.found);
    const target = await this.state.turn(async () => {
      await this.state.adopt(found);
      return this.state.uidsOf(found);
    });
    return { source: Uint32Array.from(sent, ({ uid }) => uid), target };
  }
}

/** A mail on its way to another folder. */
interface Sent {
  readonly uid: number;
  readonly found: Found;
}

class MailAppend implements Append {
  readonly writer: MaildirWriter;
  readonly flags: readonly string[];
  readonly internalDateMs: number | undefined;
  /** Of the folder, which stays in memory until then. */
  readonly release: Unsubscribe;

  constructor(
    writer: MaildirWriter,
    flags: readonly string[],
    internalDateMs: number | undefined,
    release: Unsubscribe,
  ) {
    this.writer = writer;
    this.flags = flags;
    this.internalDateMs = internalDateMs;
    this.release = release;
  }

  write(chunk: Uint8Array): Promise<void> {
    return this.writer.append(chunk);
  }

  async abort(): Promise<void> {
    this.release();
    await this.writer.abort();
  }
}

function newBits(old: FlagBits, mode: StoreFlags['mode'], bits: FlagBits): FlagBits {
  if (mode === 'add') return (old | bits) >>> 0;
  return mode === 'remove' ? (old & ~bits) >>> 0 : bits;
}

function ascending(numbers: readonly number[]): number[] {
  return [...new Set(numbers)].sort((a, b) => a - b);
}

/** Ranges below `next` in which no UID is. */
function missing(uids: Uint32Array, next: number): UidRange[] {
  const ranges: UidRange[] = [];
  let from = 1;
  for (const uid of uids) {
    if (uid > from) ranges.push([from, uid - 1]);
    from = uid + 1;
  }
  if (next > from) ranges.push([from, next - 1]);
  return ranges;
}
