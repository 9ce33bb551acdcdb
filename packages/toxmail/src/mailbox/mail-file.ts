import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { ReadAt } from './mime/parse-mail.ts';

/** Opens a mail's file and waits for the disk, if it must. Throws what Node does. */
export function readMailFile<T>(
  path: string,
  use: (readAt: ReadAt, file: { readonly size: number; readonly mtimeMs: number }) => T,
): T {
  const fd = openSync(path, 'r');
  try {
    const { size, mtimeMs } = fstatSync(fd);
    return use((into, position) => readSync(fd, into, 0, into.length, position), {
      size,
      mtimeMs: Math.floor(mtimeMs),
    });
  } finally {
    closeSync(fd);
  }
}
