import { mkdir } from 'node:fs/promises';
import { systemScheduler } from '../base/clock.ts';
import { FOLDER_MODE } from '../base/files.ts';
import { silentLogger } from '../base/log.ts';
import { UserError } from '../base/user-error.ts';
import { Commands } from './commands.ts';
import type { ControlRequest } from './control-protocol.ts';
import { isDataFolder, openDataFolder } from './data-folder.ts';
import { lockFolder } from './folder-lock.ts';
import { toxFactory } from './tox-factory.ts';
import { idleQueue } from './wire-up.ts';

/** How long a daemon may take from taking its folder to answering commands. */
const START_WAIT_MS = 10_000;
const TRY_MS = 200;

/**
 * Runs one command on the data folder while no daemon does. `ask` is tried again in between: a daemon may have just
 * been starting (it has the folder, but no ear yet) or another command may be at work.
 */
export async function runStopped(
  dataDir: string,
  { command, args }: ControlRequest,
  ask: () => Promise<{ result: unknown } | undefined>,
): Promise<unknown> {
  if (command === 'account add') await mkdir(dataDir, { recursive: true, mode: FOLDER_MODE });
  else if (!isDataFolder(dataDir))
    throw new UserError(`There is no Toxmail data in ${dataDir}. Start with: toxmail run (--data names the folder)`);
  const deadline = performance.now() + START_WAIT_MS;
  while (performance.now() < deadline) {
    const lock = await lockFolder(dataDir, TRY_MS);
    if (lock) {
      try {
        const folder = await openDataFolder(dataDir, toxFactory(silentLogger), systemScheduler);
        try {
          return await new Commands(folder, idleQueue(folder, systemScheduler)).run(command, args);
        } finally {
          folder.close();
        }
      } finally {
        lock.release();
      }
    }
    const answer = await ask();
    if (answer) return answer.result;
  }
  throw new UserError(`A daemon has the folder ${dataDir} but does not answer. Stop it and start it again.`);
}
