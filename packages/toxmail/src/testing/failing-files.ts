import type { FileSystem, OpenFile } from '../base/files.ts';

/** What every operation throws after the crash. */
export class Crash extends Error {
  override readonly name = 'Crash';
}

/**
 * A file system in which a test makes one operation fail, or everything from one operation on. Each call of FileSystem
 * and OpenFile counts as one step.
 */
export class FailingFiles implements FileSystem {
  /** Steps so far. */
  step = 0;
  /** At this step (from 1) and ever after every operation throws Crash without doing anything. */
  crashAt = Number.POSITIVE_INFINITY;
  /** Throws what this returns; undefined: the operation is done. */
  fail: (operation: keyof FileSystem | keyof OpenFile, path: string) => Error | undefined = () => undefined;
  readonly #inner: FileSystem;

  constructor(inner: FileSystem) {
    this.#inner = inner;
  }

  get crashed(): boolean {
    return this.step >= this.crashAt;
  }

  open: FileSystem['open'] = async (path, mode) => {
    this.#count('open', path);
    const file = await this.#inner.open(path, mode);
    const step = <Args extends unknown[], R>(name: keyof OpenFile, run: (...args: Args) => Promise<R>) => {
      return async (...args: Args): Promise<R> => {
        // A crash closes the file too: the process that runs the test must not leak the handle.
        const closed = name === 'close' ? await run(...args) : undefined;
        this.#count(name, path);
        return closed === undefined && name !== 'close' ? run(...args) : (closed as R);
      };
    };
    return {
      read: step('read', (into: Uint8Array, position: number) => file.read(into, position)),
      write: step('write', (data: Uint8Array, position: number) => file.write(data, position)),
      truncate: step('truncate', (size: number) => file.truncate(size)),
      size: step('size', () => file.size()),
      sync: step('sync', () => file.sync()),
      close: step('close', () => file.close()),
    };
  };

  rename: FileSystem['rename'] = async (from, to) => {
    this.#count('rename', from);
    return this.#inner.rename(from, to);
  };

  link: FileSystem['link'] = async (from, to) => {
    this.#count('link', from);
    return this.#inner.link(from, to);
  };

  unlink: FileSystem['unlink'] = async (path) => {
    this.#count('unlink', path);
    return this.#inner.unlink(path);
  };

  readdir: FileSystem['readdir'] = async (path) => {
    this.#count('readdir', path);
    return this.#inner.readdir(path);
  };

  stat: FileSystem['stat'] = async (path) => {
    this.#count('stat', path);
    return this.#inner.stat(path);
  };

  setMtime: FileSystem['setMtime'] = async (path, unixMs) => {
    this.#count('setMtime', path);
    return this.#inner.setMtime(path, unixMs);
  };

  mkdir: FileSystem['mkdir'] = async (path) => {
    this.#count('mkdir', path);
    return this.#inner.mkdir(path);
  };

  removeFolder: FileSystem['removeFolder'] = async (path) => {
    this.#count('removeFolder', path);
    return this.#inner.removeFolder(path);
  };

  syncFolder: FileSystem['syncFolder'] = async (path) => {
    this.#count('syncFolder', path);
    return this.#inner.syncFolder(path);
  };

  #count(operation: keyof FileSystem | keyof OpenFile, path: string): void {
    this.step++;
    if (this.crashed) throw new Crash(`step ${this.step}`);
    const error = this.fail(operation, path);
    if (error) throw error;
  }
}

/** As Node throws it. */
export function systemError(code: string): Error {
  return Object.assign(new Error(code), { code });
}
