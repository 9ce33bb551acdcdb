import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { FolderSync } from '../base/durable.ts';
import type { FileSystem, OpenFile } from '../base/files.ts';
import { errorCode, unlinkIfThere } from '../base/files.ts';
import { Slices } from '../base/slices.ts';
import { WireSize } from './line-ends.ts';
import type { NameParts } from './name.ts';
import { hostPart, INFO_SEPARATOR, parseName, uniqueName } from './name.ts';

/** The Maildir convention: nothing in tmp/ takes longer than this to write. */
const TMP_AGE_MS = 36 * 3_600_000;
/** Wire sizes of mails that other programs delivered, found by reading them once. The oldest goes. */
const KNOWN_SIZES_MAX = 100_000;
/** Read on the spot: a large folder of another program's mails has many that are small. */
const READ_CHUNK = 32 * 1024;
/** Read in this order: a mail that another program moves meanwhile is seen twice rather than never. */
const FOLDERS = ['new', 'cur'] as const;
/** Two changes within this time may leave a folder the same time of change: FAT has the coarsest ones. */
const COARSE_MS = 2_000;
/** The same where times have parts of a second: they are of a clock then that ticks every 16 ms at the least. */
const FINE_MS = 100;

export interface MailPlace {
  /** Identifies the mail as long as it exists, whatever its flags. */
  readonly unique: string;
  /** Where it was when listed: `new/NAME` or `cur/NAME`. */
  readonly path: string;
}

export interface MaildirMessage extends MailPlace {
  /** Bytes of the file; undefined if the name does not say so. */
  readonly size: number | undefined;
  /** Bytes with every line end as CRLF, if the name says so. */
  readonly wireSize: number | undefined;
  /** Arrival, milliseconds since 1970; 0 if the name does not say so. */
  readonly receivedMs: number;
  readonly flags: string;
  /** Given by the one who delivered it. */
  readonly token: string | undefined;
}

/**
 * One Maildir: mails are written in tmp/ and renamed into new/ when they are whole and on the disk. Any Maildir program
 * may read, move, flag and remove them at any time; a mail that has gone is not an error of ours but `undefined`.
 */
export class Maildir {
  readonly #files: FileSystem;
  readonly #clock: Clock;
  readonly #host: string;
  #path: string;
  #newFolder: FolderSync;
  #curFolder: FolderSync;
  readonly #sizes = new Map<string, number>();
  /** Told of each mail that was delivered here, when it is on the disk. */
  onDelivered: (mail: MaildirMessage) => void = () => {};

  constructor(files: FileSystem, path: string, clock: Clock, host = hostname()) {
    this.#files = files;
    this.#path = path;
    this.#clock = clock;
    this.#host = hostPart(host);
    this.#newFolder = new FolderSync(files, join(path, 'new'));
    this.#curFolder = new FolderSync(files, join(path, 'cur'));
  }

  get path(): string {
    return this.#path;
  }

  /** It was renamed. */
  movedTo(path: string): void {
    this.#path = path;
    this.#newFolder = new FolderSync(this.#files, join(path, 'new'));
    this.#curFolder = new FolderSync(this.#files, join(path, 'cur'));
  }

  /** Creates the folders and removes what crashes left in tmp/ more than 36 hours ago. */
  async prepare(): Promise<void> {
    for (const folder of ['tmp', 'new', 'cur']) await this.#files.mkdir(join(this.path, folder));
    await this.#sweep();
  }

  /** The same for one that was there a moment ago: if somebody removes it meanwhile, ENOENT instead of a new one. */
  async reopen(): Promise<void> {
    for (const folder of ['tmp', 'new']) {
      if (await this.#files.stat(join(this.path, folder))) continue;
      await this.#files.readdir(join(this.path, 'cur'));
      await this.#files.mkdir(join(this.path, folder));
    }
    await this.#sweep();
  }

  async #sweep(): Promise<void> {
    const tmp = join(this.path, 'tmp');
    const oldest = this.#clock.unixMs() - TMP_AGE_MS;
    for (const name of await this.#files.readdir(tmp)) {
      const stat = await this.#files.stat(join(tmp, name));
      if (stat && !stat.folder && stat.mtimeMs < oldest) await unlinkIfThere(this.#files, join(tmp, name));
    }
  }

  /** Starts a new mail. Finish it by `commit` or `abort`. */
  async create(token?: string): Promise<MaildirWriter> {
    const unique = this.uniqueName(token);
    const path = join(this.path, 'tmp', unique);
    const file = await this.#files.open(path, 'create');
    return new MaildirWriter(this.#files, this, unique, file, async (mail) => {
      await this.#newFolder.sync();
      this.onDelivered(mail);
    });
  }

  /** A name that no mail has. */
  uniqueName(token?: string): string {
    return uniqueName(
      {
        unixMs: () => this.#clock.unixMs(),
        pid: process.pid,
        host: this.#host,
        count: nextCount(),
        random: randomBytes(8).toString('hex'),
      },
      token,
    );
  }

  /** Makes names in cur/ last that were made, changed or removed. */
  syncCur(): Promise<void> {
    return this.#curFolder.sync();
  }

  /**
   * What stays the same while no name in new/ and cur/ changes: the times of their last change. Undefined when one is
   * not there, or so young that a change after this look may leave the same time. `unixMs`: before this call.
   */
  async stamp(unixMs: number): Promise<string | undefined> {
    const times = [];
    for (const folder of FOLDERS) {
      const time = (await this.#files.stat(join(this.path, folder)))?.mtimeMs;
      if (time === undefined || time >= unixMs - (time % 1_000 === 0 ? COARSE_MS : FINE_MS)) return undefined;
      times.push(time);
    }
    return times.join(' ');
  }

  /** All names, also those that are no mails. */
  async eachName(see: (folder: string, name: string) => void): Promise<void> {
    const slices = new Slices();
    for (const folder of FOLDERS) {
      for (const name of await this.#files.readdir(join(this.path, folder))) {
        if (slices.over) await slices.pause();
        see(folder, name);
      }
    }
  }

  /** All mails, oldest first. One directory read per folder: 100,000 mails take well under a second. */
  async list(): Promise<MaildirMessage[]> {
    const found: MaildirMessage[] = [];
    await this.eachName((folder, name) => {
      const parts = parseName(name);
      if (parts) found.push(message(folder, name, parts));
    });
    found.sort(byArrival);
    // The same mail stands beside itself then; where it was seen last it is.
    return found.filter(({ unique }, i) => found[i + 1]?.unique !== unique);
  }

  /** Opens a mail for reading, also if its flags or folder changed since it was listed. */
  async open(mail: MailPlace): Promise<OpenFile | undefined> {
    return this.#withPath(mail, (path) => this.#files.open(path, 'read'));
  }

  /** True if it was there. Not synced: after a power cut a removed mail may be back. */
  async remove(mail: MailPlace): Promise<boolean> {
    const done = await this.#withPath(mail, async (path) => {
      await this.#files.unlink(path);
      return true;
    });
    return done ?? false;
  }

  /** Makes removals last. */
  async syncRemovals(): Promise<void> {
    await this.#newFolder.sync();
    await this.#curFolder.sync();
  }

  /** The size with every line end as CRLF; reads the mail if its name does not tell. Undefined if it has gone. */
  async wireSizeOf(mail: MaildirMessage): Promise<number | undefined> {
    const known = mail.wireSize ?? this.#sizes.get(mail.unique);
    if (known !== undefined) return known;
    const file = await this.open(mail);
    if (!file) return undefined;
    const size = new WireSize();
    try {
      const chunk = new Uint8Array(READ_CHUNK);
      let position = 0;
      for (;;) {
        const read = await file.read(chunk, position);
        if (read === 0) break;
        size.add(chunk.subarray(0, read));
        position += read;
      }
    } finally {
      await file.close();
    }
    const oldest = this.#sizes.keys().next();
    if (this.#sizes.size >= KNOWN_SIZES_MAX && !oldest.done) this.#sizes.delete(oldest.value);
    this.#sizes.set(mail.unique, size.total);
    return size.total;
  }

  async #withPath<T>(mail: MailPlace, use: (path: string) => Promise<T>): Promise<T | undefined> {
    try {
      return await use(join(this.path, mail.path));
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error;
    }
    const moved = await this.#find(mail.unique);
    if (!moved) return undefined;
    try {
      return await use(join(this.path, moved));
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  async #find(unique: string): Promise<string | undefined> {
    for (const folder of FOLDERS) {
      const name = (await this.#files.readdir(join(this.path, folder))).find((n) => parseName(n)?.unique === unique);
      if (name !== undefined) return `${folder}/${name}`;
    }
    return undefined;
  }
}

/** A mail on its way into a Maildir. One call at a time. */
export class MaildirWriter {
  readonly #files: FileSystem;
  /** May be renamed meanwhile. */
  readonly #maildir: Maildir;
  readonly #unique: string;
  readonly #file: OpenFile;
  readonly #delivered: (mail: MaildirMessage) => Promise<void>;
  readonly #wireSize = new WireSize();
  #size = 0;
  #open = true;

  constructor(
    files: FileSystem,
    maildir: Maildir,
    unique: string,
    file: OpenFile,
    delivered: (mail: MaildirMessage) => Promise<void>,
  ) {
    this.#files = files;
    this.#maildir = maildir;
    this.#unique = unique;
    this.#file = file;
    this.#delivered = delivered;
  }

  /** Bytes so far. */
  get size(): number {
    return this.#size;
  }

  get #tmpPath(): string {
    return join(this.#maildir.path, 'tmp', this.#unique);
  }

  async append(data: Uint8Array): Promise<void> {
    await this.#file.write(data, this.#size);
    this.#size += data.length;
    this.#wireSize.add(data);
  }

  /**
   * Returns when the mail would survive a power cut; others can read it from a moment before. If it fails the mail is
   * not in new/ (as far as the failing disk lets us remove it); call `abort`.
   */
  async commit(): Promise<MaildirMessage> {
    await this.seal();
    const mail = await this.#place('new', this.#name());
    try {
      await this.#delivered(mail);
    } catch (error) {
      await this.#maildir.remove(mail).catch(() => {}); // else it would come twice when it is sent again
      throw error;
    }
    return mail;
  }

  /** Ends the writing: all bytes are on the disk, under a name that nobody reads. `mtimeMs`: the mail's INTERNALDATE. */
  async seal(mtimeMs?: number): Promise<void> {
    if (mtimeMs !== undefined) await this.#files.setMtime(this.#tmpPath, mtimeMs);
    await this.#file.sync();
    await this.#close();
  }

  /** After `seal`: puts the mail into cur/ with these flags, where everybody sees it. The caller syncs that folder. */
  placeInCur(flags: string): Promise<MaildirMessage> {
    return this.#place('cur', `${this.#name()}${INFO_SEPARATOR}2,${flags}`);
  }

  /** The same under a name that the caller made up. */
  placeAs(path: string): Promise<void> {
    return this.#files.rename(this.#tmpPath, path);
  }

  /** Removes what was written. Harmless after `commit`; never throws: what stays is cleaned by age. */
  async abort(): Promise<void> {
    try {
      await this.#close();
      await unlinkIfThere(this.#files, this.#tmpPath);
    } catch {
      // the disk has failed already, and the caller knows
    }
  }

  #name(): string {
    return `${this.#unique},S=${this.#size},W=${this.#wireSize.total}`;
  }

  async #place(folder: 'new' | 'cur', name: string): Promise<MaildirMessage> {
    await this.#files.rename(this.#tmpPath, join(this.#maildir.path, folder, name));
    return message(folder, name, parseName(name)!);
  }

  async #close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await this.#file.close();
  }
}

let count = 0;

function nextCount(): number {
  count = (count + 1) % 1_000_000;
  return count;
}

function message(folder: string, name: string, parts: NameParts): MaildirMessage {
  return {
    unique: parts.unique,
    path: `${folder}/${name}`,
    size: parts.size,
    wireSize: parts.wireSize,
    receivedMs: (parts.unixSeconds ?? 0) * 1000,
    flags: parts.flags,
    token: parts.token,
  };
}

/** By the second of arrival, then by name, in which our own names count on. */
function byArrival(a: MaildirMessage, b: MaildirMessage): number {
  if (a.receivedMs !== b.receivedMs) return a.receivedMs - b.receivedMs;
  return a.unique < b.unique ? -1 : a.unique > b.unique ? 1 : 0;
}
