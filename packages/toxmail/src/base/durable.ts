import { dirname } from 'node:path';
import type { FileSystem } from './files.ts';
import { unlinkIfThere } from './files.ts';

/**
 * Replaces a file so that after a crash at any moment either the old or the new content is there, whole:
 * temporary file, sync, rename, sync of the folder.
 */
export async function writeDurably(files: FileSystem, path: string, data: Uint8Array): Promise<void> {
  const temporary = `${path}.new`;
  await unlinkIfThere(files, temporary); // of an earlier crash
  const file = await files.open(temporary, 'create');
  try {
    await file.write(data, 0);
    await file.sync();
  } finally {
    await file.close();
  }
  await files.rename(temporary, path);
  await files.syncFolder(dirname(path));
}

/** Turns many requests to sync one folder into few: those that come while one runs share the next. */
export class FolderSync {
  readonly #files: FileSystem;
  readonly #path: string;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(files: FileSystem, path: string) {
    this.#files = files;
    this.#path = path;
  }

  /** Returns when every name made before this call is on the disk. */
  sync(): Promise<void> {
    if (!this.#running) return this.#start();
    this.#next ??= this.#running.then(
      () => this.#start(),
      () => this.#start(),
    );
    return this.#next;
  }

  #start(): Promise<void> {
    this.#next = undefined;
    const run = this.#files.syncFolder(this.#path).finally(() => {
      if (this.#running === run) this.#running = undefined;
    });
    this.#running = run;
    return run;
  }
}
