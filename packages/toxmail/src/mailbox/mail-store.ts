import { join } from 'node:path';
import type { Scheduler } from '../base/clock.ts';
import { writeDurably } from '../base/durable.ts';
import { errorCode, type FileSystem } from '../base/files.ts';
import { errorField, type Logger } from '../base/log.ts';
import { Maildir, type MaildirMessage } from '../maildir/maildir.ts';
import { MailFolder } from './folder.ts';
import { checkedName, INBOX, nameOf, parentsOf, placeOf, SEPARATOR } from './folder-name.ts';
import type { MailIndex } from './index/mail-index.ts';
import { type Move, RenameJournal } from './rename-journal.ts';
import { readSubscriptions, readText, writeSubscriptions } from './subscriptions.ts';
import { Turns } from './turns.ts';
import {
  FLAG,
  type FolderInfo,
  type FolderStatus,
  MailboxError,
  type MailStore,
  type Quota,
  type SpecialUse,
  type Unsubscribe,
} from './types.ts';
import { Usage } from './usage.ts';

/** BOUNDED: folders of one account. */
const FOLDERS_MAX = 1_000;
/** A folder that nobody uses stays in memory so long. */
const UNUSED_MS = 60_000;
/** Which folder serves which use; its being there says that the folders were made once. */
const USES_FILE = 'toxmail-special-use';
const USES: readonly (readonly [use: SpecialUse, name: string])[] = [
  ['\\Archive', 'Archive'],
  ['\\Drafts', 'Drafts'],
  ['\\Junk', 'Junk'],
  ['\\Sent', 'Sent'],
  ['\\Trash', 'Trash'],
];

export interface MailStoreDeps {
  readonly files: FileSystem;
  readonly scheduler: Scheduler;
  readonly log: Logger;
  /** INBOX, and root of the others. */
  readonly inbox: Maildir;
  readonly index: MailIndex;
  readonly appendLimit: number;
  /** Bytes; undefined: no limit. Asked each time, as it may be changed. */
  quotaLimit(): number | undefined;
}

/** The folders of one Maildir++. Other programs may make and remove some at any time. */
export class MaildirStore implements MailStore {
  readonly appendLimit: number;
  readonly #deps: MailStoreDeps;
  readonly #turns = new Turns();
  readonly #listeners = new Set<() => void>();
  /** Folders in memory or on the way there, by name. BOUNDED: FOLDERS_MAX, and unloaded when unused. */
  readonly #loaded = new Map<string, Promise<MailFolder>>();
  readonly #usage: Usage;
  readonly #journal: RenameJournal;
  /** BOUNDED: five. */
  #uses = new Map<SpecialUse, string>();
  #subscribed: string[] = [];
  /** By path, of folders that were opened. BOUNDED by the folders that were made. */
  readonly #ids = new Map<string, string>();
  #lastModSeq = 0;
  #lastValidity = 0;
  #stopped = false;

  constructor(deps: MailStoreDeps) {
    this.#deps = deps;
    this.appendLimit = deps.appendLimit;
    this.#usage = new Usage(deps.files);
    this.#journal = new RenameJournal(deps.files, this.#root, (name) => this.#pathOf(name));
    deps.index.onLost(() => this.#indexLost());
    deps.inbox.onDelivered = (mail) => this.#delivered(mail);
  }

  /** Makes the folders that every account has, once. */
  async prepare(): Promise<void> {
    const { files, inbox } = this.#deps;
    await inbox.prepare();
    await this.#sweep();
    const uses = await readText(files, join(this.#root, USES_FILE));
    for (const line of uses?.split('\n') ?? []) {
      const [use, name] = line.split('\t');
      if (USES.some(([known]) => known === use) && name) this.#uses.set(use as SpecialUse, name);
    }
    this.#subscribed = (await readSubscriptions(files, this.#root)) ?? [];
    const unfinished = await this.#journal.finish();
    if (unfinished.length > 0) {
      await this.#moveUses(unfinished);
      await this.#journal.done();
    }
    if (uses !== undefined) return;
    for (const [use, name] of USES) {
      if (!(await this.#exists(name))) await this.#make(name);
      this.#uses.set(use, name);
      if (!this.#subscribed.includes(name)) this.#subscribed.push(name);
    }
    if (!this.#subscribed.includes(INBOX)) this.#subscribed.unshift(INBOX);
    await writeSubscriptions(files, this.#root, this.#subscribed);
    await this.#saveUses();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const folder of this.#loaded.values()) await (await folder.catch(() => undefined))?.state.unload();
    this.#loaded.clear();
  }

  async folders(): Promise<readonly FolderInfo[]> {
    const names = await this.#names();
    const all = new Set(names);
    for (const name of names) for (const parent of parentsOf(name)) all.add(parent);
    const list = [...all].sort((a, b) => (a === INBOX ? -1 : b === INBOX ? 1 : a < b ? -1 : 1));
    const withChildren = new Set(list.flatMap(parentsOf));
    return list.map((name) => this.#info(name, names.has(name), withChildren.has(name)));
  }

  subscriptions(): readonly string[] {
    return this.#subscribed;
  }

  async folder(name: string): Promise<MailFolder | undefined> {
    const checked = checkedOrUndefined(name);
    if (checked === undefined || this.#stopped) return undefined;
    const loaded = await this.#loaded.get(checked);
    if (loaded?.state.gone) this.#loaded.delete(checked);
    else if (loaded) {
      loaded.state.touch();
      return loaded;
    }
    if (!(await this.#exists(checked))) return undefined;
    try {
      return await (this.#loaded.get(checked) ?? this.#load(checked));
    } catch (error) {
      if (errorCode(error) !== 'ENOENT' || (await this.#exists(checked))) throw error;
      return undefined; // it was removed meanwhile
    }
  }

  async status(name: string): Promise<FolderStatus | undefined> {
    const folder = await this.folder(name);
    if (!folder) return undefined;
    const release = folder.changes(() => {});
    try {
      await folder.sync();
      const { bits, sizes, count } = folder.state.table;
      let unseen = 0;
      let deleted = 0;
      let size = 0;
      for (let i = 0; i < count; i++) {
        if (!(bits[i]! & FLAG.seen)) unseen++;
        if (bits[i]! & FLAG.deleted) deleted++;
        size += sizes[i]!;
      }
      const { uidNext, uidValidity, highestModSeq, mailboxId } = folder;
      return { messages: count, unseen, deleted, size, uidNext, uidValidity, highestModSeq, mailboxId };
    } finally {
      release();
    }
  }

  create(name: string, specialUse?: SpecialUse): Promise<FolderInfo> {
    return this.#turns.take(async () => {
      // RFC 9051 §6.3.4: a separator at the end says that folders are to be made below.
      const checked = checkedName(name.endsWith(SEPARATOR) ? name.slice(0, -1) : name);
      if (await this.#exists(checked)) throw new MailboxError('already-exists', 'There is such a folder already');
      if (specialUse !== undefined && (await this.#usedBy(specialUse)) !== undefined)
        throw new MailboxError('cannot', 'Another folder serves this use');
      if ((await this.#names()).size >= FOLDERS_MAX)
        throw new MailboxError('limit', `More than ${FOLDERS_MAX} folders`);
      for (const parent of parentsOf(checked)) if (!(await this.#exists(parent))) await this.#make(parent);
      await this.#make(checked);
      if (specialUse !== undefined) {
        this.#uses.set(specialUse, checked);
        await this.#saveUses();
      }
      await this.folder(checked); // gives it its id
      this.#changed();
      return this.#info(checked, true, false);
    });
  }

  delete(name: string): Promise<void> {
    return this.#turns.take(async () => {
      const checked = await this.#existing(name);
      if (checked === INBOX) throw new MailboxError('cannot', 'INBOX cannot be deleted');
      const { files } = this.#deps;
      await this.#close(checked);
      this.#ids.delete(this.#pathOf(checked));
      const waste = join(this.#root, 'tmp', `${WASTE}${this.#deps.inbox.uniqueName()}`);
      await files.rename(this.#pathOf(checked), waste);
      await files.syncFolder(this.#root);
      const use = this.#useOf(checked);
      if (use) {
        this.#uses.delete(use);
        await this.#saveUses();
      }
      this.#changed();
      await files.removeFolder(waste);
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.#turns.take(async () => {
      const source = await this.#existing(from);
      const target = checkedName(to);
      if (target.startsWith(`${source}${SEPARATOR}`))
        throw new MailboxError('cannot', 'A folder cannot be below itself');
      const names = [...(await this.#names())];
      if (names.includes(target)) throw new MailboxError('already-exists', 'There is such a folder already');
      const moved = names.filter((name) => name === source || name.startsWith(`${source}${SEPARATOR}`));
      for (const name of source === INBOX ? [] : moved) {
        if (names.includes(checkedName(target + name.slice(source.length))))
          throw new MailboxError('already-exists', 'A folder below has a name that is taken already');
      }
      for (const parent of parentsOf(target)) if (!names.includes(parent)) await this.#make(parent);
      if (source === INBOX) return this.#renameInbox(target);
      const moves = moved.map((name) => ({ from: name, to: target + name.slice(source.length) }));
      await this.#journal.run(moves, (move) => this.#move(move));
      await this.#moveUses(moves);
      await this.#journal.done();
      this.#changed();
    });
  }

  subscribe(name: string, on: boolean): Promise<void> {
    return this.#turns.take(async () => {
      const checked = checkedName(name);
      const others = this.#subscribed.filter((each) => each !== checked);
      if (on && others.length >= FOLDERS_MAX * 2) throw new MailboxError('limit', 'Too many subscriptions');
      this.#subscribed = on ? [...others, checked].sort() : others;
      await writeSubscriptions(this.#deps.files, this.#root, this.#subscribed);
      this.#changed();
    });
  }

  async quota(): Promise<Quota> {
    const paths = [...(await this.#names())].map((name) => this.#pathOf(name));
    return { ...(await this.#usage.of(paths)), limitBytes: this.#deps.quotaLimit() };
  }

  /** False if so many bytes more do not fit. */
  async hasRoom(bytes: number): Promise<boolean> {
    const limit = this.#deps.quotaLimit();
    return limit === undefined || (await this.quota()).usedBytes + bytes <= limit;
  }

  onFoldersChanged(listener: () => void): Unsubscribe {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get #root(): string {
    return this.#deps.inbox.path;
  }

  #pathOf(name: string): string {
    return join(this.#root, placeOf(name));
  }

  async #exists(name: string): Promise<boolean> {
    return name === INBOX || (await this.#deps.files.stat(join(this.#pathOf(name), 'cur')))?.folder === true;
  }

  async #existing(name: string): Promise<string> {
    const checked = checkedOrUndefined(name);
    if (checked === undefined || !(await this.#exists(checked)))
      throw new MailboxError('nonexistent', 'There is no such folder');
    return checked;
  }

  /** Of the folders on the disk. */
  async #names(): Promise<Set<string>> {
    const names = new Set([INBOX]);
    for (const place of await this.#deps.files.readdir(this.#root)) {
      const name = nameOf(place);
      if (name !== undefined && placeOf(name) === place && (await this.#exists(name))) names.add(name);
    }
    return names;
  }

  async #make(name: string): Promise<void> {
    const { files, scheduler } = this.#deps;
    await new Maildir(files, this.#pathOf(name), scheduler).prepare();
    // The mark by which Maildir++ programs know that this is a folder of another Maildir.
    const mark = await files.open(join(this.#pathOf(name), 'maildirfolder'), 'create').catch(() => undefined);
    await mark?.close();
    await files.syncFolder(this.#root);
  }

  #load(name: string): Promise<MailFolder> {
    const { files, scheduler, log, index, inbox } = this.#deps;
    const maildir = name === INBOX ? inbox : new Maildir(files, this.#pathOf(name), scheduler);
    const folder = new MailFolder(
      name,
      maildir,
      {
        files,
        scheduler,
        log,
        index,
        nextModSeq: (least) => {
          // Made of the time, so that a new index does not give out what an old one did.
          this.#lastModSeq = Math.max(this.#lastModSeq + 1, least, Math.floor(scheduler.unixMs() * 1000));
          return this.#lastModSeq;
        },
        uidValidity: () => {
          this.#lastValidity = Math.max(this.#lastValidity + 1, Math.floor(scheduler.unixMs() / 1000));
          return this.#lastValidity;
        },
        fresh: (path) => !this.#ids.has(path),
      },
      async (bytes) => {
        if (!(await this.hasRoom(bytes))) throw new MailboxError('over-quota', 'The mailbox is full');
      },
    );
    const loading = folder.state.load().then(() => {
      this.#ids.set(maildir.path, folder.mailboxId);
      return folder;
    });
    this.#loaded.set(name, loading);
    loading.then(
      () => this.#unloadLater(folder),
      () => this.#loaded.delete(name),
    );
    return loading;
  }

  #unloadLater(folder: MailFolder): void {
    const { scheduler, log } = this.#deps;
    scheduler.at(scheduler.mono() + UNUSED_MS, async () => {
      if (this.#stopped || folder.state.gone) return;
      if (folder.state.usedSince(scheduler.mono() - UNUSED_MS)) return this.#unloadLater(folder);
      this.#loaded.delete(folder.name);
      await folder.state.unload().catch((error) => log.error('mailbox.folder-failed', { error: errorField(error) }));
    });
  }

  async #close(name: string): Promise<void> {
    const loaded = await this.#loaded.get(name)?.catch(() => undefined);
    this.#loaded.delete(name);
    await loaded?.state.end();
  }

  /** Folders take what they know of the index with them; they are loaded anew when they are used. */
  #indexLost(): void {
    const { log } = this.#deps;
    log.error('mailbox.index-made-anew');
    this.#turns
      .take(async () => {
        for (const name of [...this.#loaded.keys()]) await this.#close(name);
      })
      .catch((error) => log.error('mailbox.folder-failed', { error: errorField(error) }));
  }

  /** Sessions that have the folder open keep it. */
  async #move({ from, to }: Move): Promise<void> {
    const paths = [this.#pathOf(from), this.#pathOf(to)] as const;
    const move = (): Promise<void> => this.#deps.files.rename(...paths);
    const loading = this.#loaded.get(from);
    const folder = await loading?.catch(() => undefined);
    if (!loading || !folder || folder.state.gone) await move();
    else {
      await folder.rename(to, paths[1], move);
      this.#loaded.set(to, loading);
    }
    this.#loaded.delete(from);
    const id = this.#ids.get(paths[0]);
    if (id !== undefined) this.#ids.set(paths[1], id);
    this.#ids.delete(paths[0]);
  }

  async #moveUses(moves: readonly Move[]): Promise<void> {
    for (const { from, to } of moves) {
      const use = this.#useOf(from);
      if (use) this.#uses.set(use, to);
    }
    await this.#saveUses();
  }

  async #renameInbox(target: string): Promise<void> {
    await this.#make(target);
    const inbox = await this.folder(INBOX);
    const folder = await this.folder(target);
    if (inbox && folder) await inbox.move(inbox.uids, folder);
    this.#changed();
  }

  #delivered(mail: MaildirMessage): void {
    const loaded = this.#loaded.get(INBOX);
    // Else the folder finds it when it is opened.
    loaded?.then(
      (folder) => folder.state.delivered(mail),
      () => {},
    );
  }

  /** Folders that were deleted when a crash came. */
  async #sweep(): Promise<void> {
    const tmp = join(this.#root, 'tmp');
    for (const name of await this.#deps.files.readdir(tmp)) {
      if (name.startsWith(WASTE)) await this.#deps.files.removeFolder(join(tmp, name));
    }
  }

  #info(name: string, selectable: boolean, hasChildren: boolean): FolderInfo {
    return {
      name,
      specialUse: this.#useOf(name),
      subscribed: this.#subscribed.includes(name),
      mailboxId: selectable ? (this.#ids.get(this.#pathOf(name)) ?? '') : '',
      noSelect: !selectable,
      hasChildren,
    };
  }

  #useOf(name: string): SpecialUse | undefined {
    for (const [use, used] of this.#uses) if (used === name) return use;
    return undefined;
  }

  async #usedBy(use: SpecialUse): Promise<string | undefined> {
    const name = this.#uses.get(use);
    return name !== undefined && (await this.#exists(name)) ? name : undefined;
  }

  async #saveUses(): Promise<void> {
    const lines = [...this.#uses].map(([use, name]) => `${use}\t${name}\n`);
    await writeDurably(this.#deps.files, join(this.#root, USES_FILE), Buffer.from(lines.join('')));
  }

  #changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

const WASTE = 'deleted-';

function checkedOrUndefined(name: string): string | undefined {
  try {
    return checkedName(name);
  } catch (error) {
    if (error instanceof MailboxError) return undefined;
    throw error;
  }
}
