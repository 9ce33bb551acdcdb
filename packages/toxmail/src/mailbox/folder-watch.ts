import { type FSWatcher, watch } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as immediate } from 'node:timers/promises';
import type { Cancel, Scheduler } from '../base/clock.ts';

/** Changes of one moment (a program that moves many mails) are looked at together. */
const GATHER_MS = 5;
/** BOUNDED: above this the names are forgotten and the whole folder is looked at. */
const NAMES_MAX = 512;

const SUBS = ['new', 'cur'] as const;

/** Names in cur/ and new/ at which something happened; undefined: too many to tell. */
export type TouchedNames = ReadonlySet<string> | undefined;

/**
 * Tells which mails of a folder other programs touch, as the system reports it. Where it cannot (network file systems,
 * too many watches), nothing is told, and the folder looks by itself now and then.
 */
export class FolderWatch {
  readonly #scheduler: Scheduler;
  readonly #onTouched: () => void;
  readonly #watchers: FSWatcher[] = [];
  #names = new Set<string>();
  #tooMany = false;
  /** Names that we changed ourselves and whose news is still to come. BOUNDED: NAMES_MAX * 4, then forgotten. */
  readonly #own = new Set<string>();
  #timer: Cancel | undefined;

  constructor(folder: string, scheduler: Scheduler, onTouched: () => void) {
    this.#scheduler = scheduler;
    this.#onTouched = onTouched;
    for (const sub of SUBS) {
      try {
        const watcher = watch(join(folder, sub), { persistent: false }, (_, name) => this.#touched(sub, name));
        watcher.on('error', () => {
          watcher.close();
          this.#watchers.splice(this.#watchers.indexOf(watcher), 1);
        });
        this.#watchers.push(watcher);
      } catch {
        // no watches left, or a file system without them
      }
    }
  }

  /** False: the folder must look by itself. A network file system may tell nothing all the same. */
  get works(): boolean {
    return this.#watchers.length === SUBS.length;
  }

  /** We are about to change this name ourselves. */
  own(path: string): void {
    if (this.#watchers.length === 0) return;
    if (this.#own.size >= NAMES_MAX * 4) this.#own.clear();
    this.#own.add(path);
  }

  /** What was touched since the last call, by what the system has told until now. */
  async take(): Promise<TouchedNames> {
    await immediate(); // news that wait in the kernel come with the next round of the event loop
    this.#timer?.();
    this.#timer = undefined;
    const names = this.#tooMany ? undefined : this.#names;
    this.#names = new Set();
    this.#tooMany = false;
    return names;
  }

  close(): void {
    this.#timer?.();
    for (const watcher of this.#watchers.splice(0)) watcher.close();
  }

  #touched(sub: string, name: string | null): void {
    const path = `${sub}/${name}`;
    if (name !== null && this.#own.delete(path)) return;
    // Its own name: cur/ or new/ itself has gone.
    if (name === null || name === sub || this.#names.size >= NAMES_MAX) this.#tooMany = true;
    else this.#names.add(path);
    this.#timer ??= this.#scheduler.at(this.#scheduler.mono() + GATHER_MS, () => {
      this.#timer = undefined;
      this.#onTouched();
    });
  }
}
