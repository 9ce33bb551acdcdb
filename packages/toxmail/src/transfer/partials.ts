import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import type { FileSystem, OpenFile } from '../base/files.ts';
import { errorCode, unlinkIfThere } from '../base/files.ts';
import { PARTIAL_AGE_MS, PARTIALS_PER_PEER } from './limits.ts';

const SUFFIX = '.part';

/**
 * Large mails that are not whole yet, as they came over the wire: `SENDER-TOKEN.part` in one folder per account. They
 * are not synced: the digest tells after a power cut, and then the mail is sent from the beginning.
 */
export class Partials {
  readonly #files: FileSystem;
  readonly #folder: string;
  readonly #clock: Clock;

  constructor(files: FileSystem, folder: string, clock: Clock) {
    this.#files = files;
    this.#folder = folder;
    this.#clock = clock;
  }

  /** Creates the folder and removes what no one went on with for a week, as each new file does. */
  async prepare(): Promise<void> {
    await this.#files.mkdir(this.#folder);
    await this.#removeOld();
  }

  /** Opens what there is of a mail, or a new file. */
  async open(peer: string, token: string): Promise<OpenFile> {
    const name = fileName(peer, token);
    try {
      return await this.#files.open(join(this.#folder, name), 'update');
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error;
    }
    await this.#makeRoom(peer);
    return this.#files.open(join(this.#folder, name), 'create');
  }

  async remove(peer: string, token: string): Promise<void> {
    await this.#remove(fileName(peer, token));
  }

  async #removeOld(): Promise<void> {
    const oldest = this.#clock.unixMs() - PARTIAL_AGE_MS;
    for (const { name, mtimeMs } of await this.#list('')) if (mtimeMs < oldest) await this.#remove(name);
  }

  /** At most PARTIALS_PER_PEER: the one that waited longest goes. */
  async #makeRoom(peer: string): Promise<void> {
    await this.#removeOld();
    const own = (await this.#list(prefix(peer))).sort((a, b) => a.mtimeMs - b.mtimeMs);
    for (const { name } of own.slice(0, Math.max(0, own.length - PARTIALS_PER_PEER + 1))) await this.#remove(name);
  }

  async #list(start: string): Promise<{ name: string; mtimeMs: number }[]> {
    const found: { name: string; mtimeMs: number }[] = [];
    for (const name of await this.#files.readdir(this.#folder)) {
      if (!name.startsWith(start) || !name.endsWith(SUFFIX)) continue;
      const stat = await this.#files.stat(join(this.#folder, name));
      if (stat && !stat.folder) found.push({ name, mtimeMs: stat.mtimeMs });
    }
    return found;
  }

  #remove(name: string): Promise<void> {
    return unlinkIfThere(this.#files, join(this.#folder, name));
  }
}

function fileName(peer: string, token: string): string {
  return `${prefix(peer)}${token}${SUFFIX}`;
}

function prefix(peer: string): string {
  return `${peer.slice(0, 16)}-`;
}
