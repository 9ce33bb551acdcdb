import { errorCode, type FileSystem } from '../base/files.ts';
import type { Maildir } from '../maildir/maildir.ts';

const BLOCK = 256 * 1024;

/** `to` becomes a file with the same bytes and time: the same file by another name where the file system can do that. */
export async function copyFile(files: FileSystem, from: string, to: string, into: Maildir): Promise<void> {
  try {
    return await files.link(from, to);
  } catch (error) {
    if (!['EXDEV', 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK'].includes(errorCode(error) ?? '')) throw error;
  }
  const source = await files.open(from, 'read');
  const writer = await into.create();
  try {
    const block = new Uint8Array(BLOCK);
    for (;;) {
      const read = await source.read(block, writer.size);
      if (read === 0) break;
      await writer.append(block.subarray(0, read));
    }
    await writer.seal((await files.stat(from))?.mtimeMs);
    await writer.placeAs(to);
  } finally {
    await writer.abort();
    await source.close();
  }
}
