import fs from 'node:fs';
import { mkdir, readdir, rm, stat, unlink } from 'node:fs/promises';
import { promisify } from 'node:util';

/** An open file. Positions and sizes are in bytes. */
export interface OpenFile {
  /** Fills `into` from `position` as far as the file goes; the number of bytes read, 0 at the end. */
  read(into: Uint8Array, position: number): Promise<number>;
  /** Writes all of `data` at `position`. */
  write(data: Uint8Array, position: number): Promise<void>;
  truncate(size: number): Promise<void>;
  size(): Promise<number>;
  /** Returns when the bytes and the size are on the disk. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

export interface FileStat {
  readonly size: number;
  readonly mtimeMs: number;
  readonly folder: boolean;
}

/** Bytes that do not change, wherever they are kept. */
export interface Content {
  open(): Promise<ContentReader>;
}

export type ContentReader = Pick<OpenFile, 'read' | 'close'>;

/** `read`: must exist. `create`: must not exist. `update`: must exist, read and write. */
export type OpenMode = 'read' | 'create' | 'update';

/**
 * The few file operations that durable code is written in, so that tests can make each of them fail or be the last one
 * before a crash. Errors are Node's, with `code` (ENOENT, EEXIST, ENOSPC, …).
 */
export interface FileSystem {
  open(path: string, mode: OpenMode): Promise<OpenFile>;
  /** Atomic; replaces `to`. */
  rename(from: string, to: string): Promise<void>;
  /** Fails with EEXIST if `to` exists. */
  link(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  readdir(path: string): Promise<string[]>;
  /** Undefined if there is nothing of that name. */
  stat(path: string): Promise<FileStat | undefined>;
  /** Sets the time of the last change. */
  setMtime(path: string, unixMs: number): Promise<void>;
  /** With all missing parents; no error if it exists. */
  mkdir(path: string): Promise<void>;
  /** With all that is in it; no error if it is not there. */
  removeFolder(path: string): Promise<void>;
  /** Returns when the names in that folder (new, renamed, removed) are on the disk. */
  syncFolder(path: string): Promise<void>;
}

/** Only the owner may read what we write. */
export const FILE_MODE = 0o600;
export const FOLDER_MODE = 0o700;

const FLAGS: Record<OpenMode, string> = { read: 'r', create: 'wx+', update: 'r+' };

/**
 * Bytes up to which reads and writes are done on the spot, as is opening and renaming. They end in the system's
 * cache within microseconds; a trip through the thread pool costs ten times as much, and a mail needs a dozen of them.
 * What has to wait for the disk (syncs, large pieces, new and removed files, long folders) goes through the pool.
 */
const ON_THE_SPOT = 32 * 1024;

const COPY_BLOCK = 128 * 1024;

const openLater = promisify<string, string, number, number>(fs.open);
const readLater = promisify(fs.read);
const writeLater = promisify(fs.write);
const syncLater = promisify(fs.fdatasync);
const syncFolderLater = promisify(fs.fsync);

export const realFiles: FileSystem = {
  async open(path, mode) {
    // A new file waits for the journal while others are being synced.
    const fd = mode === 'create' ? await openLater(path, FLAGS.create, FILE_MODE) : fs.openSync(path, FLAGS[mode]);
    return {
      async read(into, position) {
        let done = 0;
        while (done < into.length) {
          const left = into.length - done;
          const read =
            left <= ON_THE_SPOT
              ? fs.readSync(fd, into, done, left, position + done)
              : (await readLater(fd, into, done, left, position + done)).bytesRead;
          if (read === 0) break;
          done += read;
        }
        return done;
      },
      async write(data, position) {
        let done = 0;
        while (done < data.length) {
          const left = data.length - done;
          done +=
            left <= ON_THE_SPOT
              ? fs.writeSync(fd, data, done, left, position + done)
              : (await writeLater(fd, data, done, left, position + done)).bytesWritten;
        }
      },
      async truncate(size) {
        fs.ftruncateSync(fd, size);
      },
      size: async () => fs.fstatSync(fd).size,
      sync: () => syncLater(fd),
      async close() {
        fs.closeSync(fd);
      },
    };
  },
  async rename(from, to) {
    fs.renameSync(from, to);
  },
  async link(from, to) {
    fs.linkSync(from, to);
  },
  unlink,
  readdir: (path) => readdir(path),
  async stat(path) {
    try {
      const s = await stat(path);
      return { size: s.size, mtimeMs: s.mtimeMs, folder: s.isDirectory() };
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw error;
    }
  },
  async setMtime(path, unixMs) {
    fs.utimesSync(path, unixMs / 1000, unixMs / 1000);
  },
  async mkdir(path) {
    await mkdir(path, { recursive: true, mode: FOLDER_MODE });
  },
  removeFolder: (path) => rm(path, { recursive: true, force: true }),
  async syncFolder(path) {
    const fd = fs.openSync(path, 'r');
    try {
      await syncFolderLater(fd);
    } catch (error) {
      // Windows cannot sync a folder and needs no such call.
      if (process.platform !== 'win32') throw error;
    } finally {
      fs.closeSync(fd);
    }
  },
};

/** The `code` of a system error, else undefined. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** Removes a file; no error if it is not there. */
export async function unlinkIfThere(files: FileSystem, path: string): Promise<void> {
  try {
    await files.unlink(path);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
  }
}

/** A small file; undefined if it is not there. */
export async function readWhole(files: FileSystem, path: string): Promise<Uint8Array | undefined> {
  const stat = await files.stat(path);
  if (!stat) return undefined;
  const file = await files.open(path, 'read');
  try {
    const bytes = new Uint8Array(stat.size);
    return bytes.subarray(0, await file.read(bytes, 0));
  } finally {
    await file.close();
  }
}

export function fileContent(files: FileSystem, path: string): Content {
  return { open: () => files.open(path, 'read') };
}

/** `load` is asked at each opening; what it throws, the opening rejects with. */
export function bytesContent(load: () => Uint8Array): Content {
  return {
    async open() {
      const bytes = load();
      return {
        async read(into, position) {
          const part = bytes.subarray(position, position + into.length);
          into.set(part);
          return part.length;
        },
        async close() {},
      };
    },
  };
}

/** From the beginning to the end, a block at a time; `to` must be done with a block when its `append` resolves. */
export async function copyContent(content: Content, to: { append(data: Uint8Array): Promise<unknown> }): Promise<void> {
  const reader = await content.open();
  try {
    await copyFrom(reader, 0, to);
  } finally {
    await reader.close();
  }
}

/** The same from `position` on. */
export async function copyFrom(
  reader: ContentReader,
  position: number,
  to: { append(data: Uint8Array): Promise<unknown> },
): Promise<void> {
  const block = new Uint8Array(COPY_BLOCK);
  for (let at = position; ; ) {
    const read = await reader.read(block, at);
    if (read === 0) return;
    await to.append(block.subarray(0, read));
    at += read;
  }
}

/** Up to `size` bytes of the beginning. */
export async function readHead(content: Content, size: number): Promise<Uint8Array> {
  const reader = await content.open();
  try {
    const bytes = new Uint8Array(size);
    return bytes.subarray(0, await reader.read(bytes, 0));
  } finally {
    await reader.close();
  }
}
