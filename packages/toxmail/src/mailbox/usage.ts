import { join } from 'node:path';
import type { FileSystem } from '../base/files.ts';
import { Slices } from '../base/slices.ts';
import { parseName } from '../maildir/name.ts';

/** What a folder's mails take on the disk, as of its times. */
interface FolderUsage {
  readonly stamp: string;
  readonly bytes: number;
  readonly messages: number;
}

/** Bytes and numbers of mails, from the names of their files; folders that have not changed are not read again. */
export class Usage {
  readonly #files: FileSystem;
  /** BOUNDED: by the folders asked for last. */
  #known = new Map<string, FolderUsage>();

  constructor(files: FileSystem) {
    this.#files = files;
  }

  async of(folders: readonly string[]): Promise<{ usedBytes: number; messages: number }> {
    const now = new Map<string, FolderUsage>();
    let usedBytes = 0;
    let messages = 0;
    for (const folder of folders) {
      for (const sub of [join(folder, 'new'), join(folder, 'cur')]) {
        const usage = await this.#one(sub);
        now.set(sub, usage);
        usedBytes += usage.bytes;
        messages += usage.messages;
      }
    }
    this.#known = now;
    return { usedBytes, messages };
  }

  async #one(folder: string): Promise<FolderUsage> {
    const stamp = String((await this.#files.stat(folder))?.mtimeMs);
    const known = this.#known.get(folder);
    if (known?.stamp === stamp) return known;
    let bytes = 0;
    let messages = 0;
    const slices = new Slices();
    for (const name of await this.#files.readdir(folder)) {
      if (slices.over) await slices.pause();
      const parts = parseName(name);
      if (!parts) continue;
      messages++;
      bytes += parts.size ?? (await this.#files.stat(join(folder, name)))?.size ?? 0;
    }
    return { stamp, bytes, messages };
  }
}
