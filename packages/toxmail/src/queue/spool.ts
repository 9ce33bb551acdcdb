import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { FolderSync } from '../base/durable.ts';
import { type Content, type FileSystem, fileContent, type OpenFile, unlinkIfThere } from '../base/files.ts';

/** Ours: mails up to this size travel into the queue's database and have no file. Also what is gathered for a write. */
const INLINE_MAX = 64 * 1024;

/**
 * The bodies of queued mails, each shared by the mail's recipients. A small one stays in memory until the queue writes it
 * down with its rows; a larger one is a file, which counts only once a row names it: what a crash leaves without one is
 * removed at the next start.
 */
export class Spool {
  readonly #files: FileSystem;
  readonly #folder: string;
  readonly #folderSync: FolderSync;
  /** Files being written now, which no row names yet. Bounded by the SMTP connections. */
  readonly #writing = new Set<string>();

  constructor(files: FileSystem, folder: string) {
    this.#files = files;
    this.#folder = folder;
    this.#folderSync = new FolderSync(files, folder);
  }

  /** Starts a new body. Finish it with `commit` or `abort`. */
  create(): SpoolWriter {
    const name = randomBytes(16).toString('hex');
    return new SpoolWriter(name, {
      open: () => {
        this.#writing.add(name);
        return this.#files.open(this.#path(name), 'create');
      },
      sync: () => this.#folderSync.sync(),
      remove: () => this.remove(name),
      forget: () => this.#writing.delete(name),
    });
  }

  content(name: string): Content {
    return fileContent(this.#files, this.#path(name));
  }

  /** Its size, undefined if it is not there. */
  async size(name: string): Promise<number | undefined> {
    return (await this.#files.stat(this.#path(name)))?.size;
  }

  remove(name: string): Promise<void> {
    return unlinkIfThere(this.#files, this.#path(name));
  }

  /** Removes every file that is neither being written nor named in `wanted`; tells how many. */
  async sweep(wanted: ReadonlySet<string>): Promise<number> {
    let removed = 0;
    for (const name of await this.#files.readdir(this.#folder)) {
      if (wanted.has(name) || this.#writing.has(name)) continue;
      await this.remove(name);
      removed++;
    }
    return removed;
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }
}

/** A committed body: what the queue's row needs to know. */
export interface SpoolBody {
  readonly name: string;
  /** All of it if it is small; undefined: it is in the file of that name. */
  readonly inline: Uint8Array | undefined;
  /** Bytes. */
  readonly size: number;
  /** SHA-256. */
  readonly digest: Uint8Array;
}

interface SpoolPlace {
  open(): Promise<OpenFile>;
  sync(): Promise<void>;
  remove(): Promise<void>;
  forget(): void;
}

/** Gathers small pieces; makes a file for what grows beyond INLINE_MAX. One call at a time. */
export class SpoolWriter {
  readonly name: string;
  readonly #place: SpoolPlace;
  readonly #hash = createHash('sha256');
  #gathered: Uint8Array[] = [];
  #gatheredSize = 0;
  #written = 0;
  #file: OpenFile | undefined;
  /** There may be a file to be removed. */
  #begun = false;

  constructor(name: string, place: SpoolPlace) {
    this.name = name;
    this.#place = place;
  }

  /** `data` must not change afterwards. */
  async write(data: Uint8Array): Promise<void> {
    this.#hash.update(data);
    this.#gathered.push(data);
    this.#gatheredSize += data.length;
    if (this.#gatheredSize > INLINE_MAX) await this.#flush();
  }

  /** Returns when the file, if it has one, is on the disk with its name. The caller then makes the row, or calls `abort`. */
  async commit(): Promise<SpoolBody> {
    const { name } = this;
    if (!this.#begun) {
      return { name, inline: this.#gather(), size: this.#gatheredSize, digest: this.#hash.digest() };
    }
    await this.#flush();
    const done = await Promise.allSettled([this.#file!.sync(), this.#place.sync()]);
    for (const each of done) if (each.status === 'rejected') throw each.reason;
    await this.#close();
    return { name, inline: undefined, size: this.#written, digest: this.#hash.digest() };
  }

  /** The row is there (or never will be, and the file has gone). */
  release(): void {
    this.#place.forget();
  }

  /** Never throws: what cannot be removed now is removed at the next start. */
  async abort(): Promise<void> {
    if (!this.#begun) return;
    try {
      await this.#close();
      await this.#place.remove();
    } catch {
      // the disk has failed already, and the caller knows
    }
    this.release();
  }

  async #flush(): Promise<void> {
    if (this.#gatheredSize === 0) return;
    const data = this.#gather();
    this.#gathered = [];
    this.#gatheredSize = 0;
    this.#begun = true;
    this.#file ??= await this.#place.open();
    await this.#file.write(data, this.#written);
    this.#written += data.length;
  }

  #gather(): Uint8Array {
    return this.#gathered.length === 1 ? this.#gathered[0]! : Buffer.concat(this.#gathered);
  }

  async #close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }
}
