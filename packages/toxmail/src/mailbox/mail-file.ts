import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import type { ReadAt } from './mime/parse-mail.ts';

/** A pipe under a mail's name would have us wait for who writes into it. Windows has neither the pipe nor the flag. */
const READ = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

/** Opens a mail's file and waits for the disk, if it must. Throws what Node does, and at what is no file. */
export function readMailFile<T>(
  path: string,
  use: (readAt: ReadAt, file: { readonly size: number; readonly mtimeMs: number }) => T,
): T {
  const fd = openSync(path, READ);
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw new Error('not a file');
    return use((into, position) => readSync(fd, into, 0, into.length, position), {
      size: stat.size,
      mtimeMs: Math.floor(stat.mtimeMs),
    });
  } finally {
    closeSync(fd);
  }
}
