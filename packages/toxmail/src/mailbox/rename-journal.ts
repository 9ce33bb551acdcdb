import { join } from 'node:path';
import { writeDurably } from '../base/durable.ts';
import { type FileSystem, unlinkIfThere } from '../base/files.ts';
import { INBOX, nameOf, placeOf } from './folder-name.ts';
import { readText } from './subscriptions.ts';

const FILE = 'toxmail-rename';

/** Names of folders. */
export interface Move {
  readonly from: string;
  readonly to: string;
}

/** Folders that are renamed together: written down before, so that a start finishes what a crash cut short. */
export class RenameJournal {
  readonly #files: FileSystem;
  readonly #root: string;
  readonly #pathOf: (name: string) => string;

  constructor(files: FileSystem, root: string, pathOf: (name: string) => string) {
    this.#files = files;
    this.#root = root;
    this.#pathOf = pathOf;
  }

  /** Does all or none, and leaves the journal for `done`. If even taking back fails, the next start finishes it. */
  async run(moves: readonly Move[], act: (move: Move) => Promise<void>): Promise<void> {
    const lines = moves.map(({ from, to }) => `${from}\t${to}\n`);
    await writeDurably(this.#files, this.#path, Buffer.from(lines.join('')));
    const acted: Move[] = [];
    try {
      for (const move of moves) {
        await act(move);
        acted.push(move);
      }
      await this.#files.syncFolder(this.#root);
    } catch (error) {
      for (const { from, to } of acted.reverse()) await act({ from: to, to: from });
      await this.done();
      throw error;
    }
  }

  /** All that depends on the new names is on the disk. */
  async done(): Promise<void> {
    await unlinkIfThere(this.#files, this.#path);
    await this.#files.syncFolder(this.#root);
  }

  /** At the start: finishes what a crash cut short. `done` is to be called. */
  async finish(): Promise<readonly Move[]> {
    const text = await readText(this.#files, this.#path);
    if (text === undefined) return [];
    const moves: Move[] = [];
    for (const line of text.split('\n')) {
      const [from = '', to = ''] = line.split('\t');
      if (!isPlain(from) || !isPlain(to)) continue;
      moves.push({ from, to });
      const [there, taken] = [await this.#isThere(from), await this.#isThere(to)];
      if (there && !taken) await this.#files.rename(this.#pathOf(from), this.#pathOf(to));
    }
    await this.#files.syncFolder(this.#root);
    return moves;
  }

  get #path(): string {
    return join(this.#root, FILE);
  }

  async #isThere(name: string): Promise<boolean> {
    return (await this.#files.stat(this.#pathOf(name)))?.folder === true;
  }
}

/** A name of the one form that folders have; INBOX is renamed in another way. */
function isPlain(name: string): boolean {
  return name !== INBOX && name !== '' && nameOf(placeOf(name)) === name;
}
