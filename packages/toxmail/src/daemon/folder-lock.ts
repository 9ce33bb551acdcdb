import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { FILE_MODE } from '../base/files.ts';

const POLL_MS = 50;
const SQLITE_BUSY = 5;

/** Exclusive use of a data folder, held by the operating system: it ends with the process, however that ends. */
export interface FolderLock {
  release(): void;
}

/**
 * Takes the folder, waiting up to `waitMs` for whoever has it (a predecessor that is just stopping). Undefined if it is
 * still taken then. SQLite's lock on an empty database file is the portable kernel lock that Node lacks.
 */
export async function lockFolder(dataDir: string, waitMs: number): Promise<FolderLock | undefined> {
  const deadline = performance.now() + waitMs;
  for (;;) {
    const lock = tryLock(join(dataDir, 'lock'));
    if (lock || performance.now() >= deadline) return lock;
    await sleep(POLL_MS);
  }
}

function tryLock(path: string): FolderLock | undefined {
  closeSync(openSync(path, 'a', FILE_MODE));
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    database.exec('BEGIN EXCLUSIVE');
    return { release: () => database.close() };
  } catch (error) {
    database.close();
    if (error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY) return undefined;
    throw error;
  }
}
