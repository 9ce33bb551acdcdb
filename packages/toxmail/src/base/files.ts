import { link, mkdir, open as nodeOpen, readdir, rename, stat, unlink } from 'node:fs/promises';

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
  /** With all missing parents; no error if it exists. */
  mkdir(path: string): Promise<void>;
  /** Returns when the names in that folder (new, renamed, removed) are on the disk. */
  syncFolder(path: string): Promise<void>;
}

/** Only the owner may read what we write. */
export const FILE_MODE = 0o600;
export const FOLDER_MODE = 0o700;

const FLAGS: Record<OpenMode, string> = { read: 'r', create: 'wx+', update: 'r+' };

export const realFiles: FileSystem = {
  async open(path, mode) {
    const handle = await nodeOpen(path, FLAGS[mode], FILE_MODE);
    return {
      async read(into, position) {
        let done = 0;
        while (done < into.length) {
          const { bytesRead } = await handle.read(into, done, into.length - done, position + done);
          if (bytesRead === 0) break;
          done += bytesRead;
        }
        return done;
      },
      async write(data, position) {
        let done = 0;
        while (done < data.length) {
          const { bytesWritten } = await handle.write(data, done, data.length - done, position + done);
          done += bytesWritten;
        }
      },
      truncate: (size) => handle.truncate(size),
      size: async () => (await handle.stat()).size,
      sync: () => handle.datasync(),
      close: () => handle.close(),
    };
  },
  rename,
  link,
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
  async mkdir(path) {
    await mkdir(path, { recursive: true, mode: FOLDER_MODE });
  },
  async syncFolder(path) {
    const handle = await nodeOpen(path, 'r');
    try {
      await handle.sync();
    } catch (error) {
      // Windows cannot sync a folder and needs no such call.
      if (process.platform !== 'win32') throw error;
    } finally {
      await handle.close();
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

/** Chunk in which files are read as a stream. */
const READ_CHUNK = 64 * 1024;

/** The file's bytes from `offset` on. A chunk may be kept by the reader: it is not written to again. */
export async function* readStream(files: FileSystem, path: string, offset = 0): AsyncGenerator<Uint8Array> {
  const file = await files.open(path, 'read');
  try {
    let position = offset;
    for (;;) {
      const chunk = new Uint8Array(READ_CHUNK);
      const size = await file.read(chunk, position);
      if (size === 0) return;
      position += size;
      yield chunk.subarray(0, size);
    }
  } finally {
    await file.close();
  }
}
