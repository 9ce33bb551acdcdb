import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { FolderSync } from '../base/durable.ts';
import { type FileSystem, type OpenFile, unlinkIfThere } from '../base/files.ts';

/**
 * The bodies of queued mails: one file each, shared by the mail's recipients. A file counts only once a row of the queue
 * names it; what a crash leaves without one is removed at the next start.
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

  path(name: string): string {
    return join(this.#folder, name);
  }

  /** Starts a new file. Finish it with `commit` or `abort`. */
  async create(): Promise<SpoolWriter> {
    const name = randomBytes(16).toString('hex');
    this.#writing.add(name);
    try {
      const file = await this.#files.open(this.path(name), 'create');
      return new SpoolWriter(name, file, {
        sync: () => this.#folderSync.sync(),
        remove: () => this.remove(name),
        forget: () => this.#writing.delete(name),
      });
    } catch (error) {
      this.#writing.delete(name);
      throw error;
    }
  }

  /** Its size, undefined if it is not there. */
  async size(name: string): Promise<number | undefined> {
    return (await this.#files.stat(this.path(name)))?.size;
  }

  /** Up to `size` bytes of the beginning. */
  async head(name: string, size: number): Promise<Uint8Array> {
    const file = await this.#files.open(this.path(name), 'read');
    try {
      const bytes = new Uint8Array(Math.min(size, await file.size()));
      return bytes.subarray(0, await file.read(bytes, 0));
    } finally {
      await file.close();
    }
  }

  remove(name: string): Promise<void> {
    return unlinkIfThere(this.#files, this.path(name));
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
}

/** A committed file: what the queue's row needs to know. */
export interface SpoolFile {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** SHA-256. */
  readonly digest: Uint8Array;
}

/** Small pieces are gathered up to this many bytes before they are written. */
const GATHER = 64 * 1024;

/** One call at a time. */
export class SpoolWriter {
  readonly name: string;
  readonly #file: OpenFile;
  readonly #folder: { sync(): Promise<void>; remove(): Promise<void>; forget(): void };
  readonly #hash = createHash('sha256');
  #gathered: Uint8Array[] = [];
  #gatheredSize = 0;
  #written = 0;
  #open = true;

  constructor(
    name: string,
    file: OpenFile,
    folder: { sync(): Promise<void>; remove(): Promise<void>; forget(): void },
  ) {
    this.name = name;
    this.#file = file;
    this.#folder = folder;
  }

  /** `data` must not change afterwards. */
  async write(data: Uint8Array): Promise<void> {
    this.#hash.update(data);
    this.#gathered.push(data);
    this.#gatheredSize += data.length;
    if (this.#gatheredSize >= GATHER) await this.#flush();
  }

  /** Returns when content and name are on the disk. The caller then makes the row, or calls `abort`. */
  async commit(): Promise<SpoolFile> {
    await this.#flush();
    const done = await Promise.allSettled([this.#file.sync(), this.#folder.sync()]);
    for (const each of done) if (each.status === 'rejected') throw each.reason;
    await this.#close();
    return { name: this.name, size: this.#written, digest: this.#hash.digest() };
  }

  /** The row is there (or never will be, and the file has gone). */
  release(): void {
    this.#folder.forget();
  }

  /** Never throws: what cannot be removed now is removed at the next start. */
  async abort(): Promise<void> {
    try {
      await this.#close();
      await this.#folder.remove();
    } catch {
      // the disk has failed already, and the caller knows
    }
    this.release();
  }

  async #flush(): Promise<void> {
    if (this.#gatheredSize === 0) return;
    const data = this.#gathered.length === 1 ? this.#gathered[0]! : Buffer.concat(this.#gathered);
    this.#gathered = [];
    this.#gatheredSize = 0;
    await this.#file.write(data, this.#written);
    this.#written += data.length;
  }

  async #close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await this.#file.close();
  }
}
