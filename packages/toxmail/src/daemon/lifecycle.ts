import { chmodSync, mkdirSync, statSync } from 'node:fs';
import { systemScheduler } from '../base/clock.ts';
import { errorCode, FOLDER_MODE } from '../base/files.ts';
import { createLogger, errorField, type Logger } from '../base/log.ts';
import { UserError } from '../base/user-error.ts';
import { startBootstrapNode } from './bootstrap-node.ts';
import type { Config } from './config.ts';
import { startControlServer } from './control-server.ts';
import { firstAccountName, openDataFolder } from './data-folder.ts';
import { firstScreen, laterScreen } from './first-screen.ts';
import { lockFolder } from './folder-lock.ts';
import { RestartableDaemon } from './restartable.ts';
import { toxFactory } from './tox-factory.ts';

/** A predecessor that was just killed or stopped may need so long to vanish. */
const PREDECESSOR_WAIT_MS = 2_000;
/** Stopping says goodbye to friends and closes connections; nothing in it takes long. */
const STOP_LIMIT_MS = 10_000;
/** A second Ctrl-C in the same moment is the same wish (npm passes the terminal's signal on, too). */
const SAME_SIGNAL_MS = 1_000;

/** `toxmail run`. Resolves to the exit status when the daemon has stopped. */
export async function runDaemon(dataDir: string, config: Config): Promise<number> {
  return withFolder(dataDir, async () => {
    const log = logger(config);
    const tox = toxFactory(log);
    const folder = await openDataFolder(dataDir, tox, systemScheduler);
    try {
      const daemon = await RestartableDaemon.start({ folder, config, tox, scheduler: systemScheduler, log });
      try {
        const first = folder.accounts.list().length === 0 ? await daemon.addAccount(firstAccountName()) : undefined;
        const control = await startControlServer(dataDir, (name, args) => daemon.run(name, args), log);
        const accounts = folder.accounts.list();
        const { listeners, mailHost, page } = daemon;
        const screen = { dataDir, listeners, mailHost, page, accounts, config };
        process.stdout.write(first ? firstScreen(screen, first) : laterScreen(screen));
        const reason = await Promise.race([stopWish(), daemon.failure]);
        log.info('daemon.stopping', { reason });
        await control.close();
      } finally {
        await daemon.stop();
      }
    } finally {
      folder.close();
    }
  });
}

/** `toxmail bootstrap`. */
export async function runBootstrap(dataDir: string, config: Config): Promise<number> {
  return withFolder(dataDir, async () => {
    const log = logger(config);
    const node = await startBootstrapNode(dataDir, config, log);
    try {
      const control = await startControlServer(dataDir, node.run, log);
      process.stdout.write(`${node.line}\n`);
      log.info('daemon.stopping', { reason: await stopWish() });
      await control.close();
    } finally {
      await node.close();
    }
  });
}

async function withFolder(dataDir: string, work: () => Promise<void>): Promise<number> {
  makeFolder(dataDir);
  const lock = await lockFolder(dataDir, PREDECESSOR_WAIT_MS);
  if (!lock)
    throw new UserError(`Toxmail is running on ${dataDir} already. Stop it first, or choose another folder by --data.`);
  endWithLauncher();
  try {
    await work();
  } finally {
    lock.release();
  }
  return 0;
}

function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: FOLDER_MODE });
    if ((statSync(path).mode & 0o077) !== 0) chmodSync(path, FOLDER_MODE);
  } catch (error) {
    const code = errorCode(error);
    const why = code === 'EEXIST' || code === 'ENOTDIR' ? 'it is a file' : code;
    throw new UserError(`Cannot use ${path} as data folder (${why}). Choose another one with --data.`);
  }
}

function logger(config: Config): Logger {
  return createLogger({
    level: config.logLevel,
    json: config.logJson,
    unixMs: () => systemScheduler.unixMs(),
    write: (line) => process.stderr.write(`${line}\n`),
  });
}

/** Resolves when somebody wants us to stop. From then on we have STOP_LIMIT_MS; another signal ends us at once. */
function stopWish(): Promise<string> {
  return new Promise((resolve) => {
    let since: number | undefined;
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        const now = performance.now();
        if (since !== undefined && now - since > SAME_SIGNAL_MS) process.exit(130);
        since ??= now;
        setTimeout(() => process.exit(1), STOP_LIMIT_MS).unref();
        resolve(signal);
      });
    }
  });
}

/** A launcher (an older Node, npm) holds our IPC channel only so that its end, even by SIGKILL, is ours. */
function endWithLauncher(): void {
  if (!process.channel) return;
  process.on('disconnect', () => process.exit(1));
  process.channel.unref();
}

/** Errors that nobody awaited: log and stop, since the state is unknown. The data on the disk is safe at any moment. */
process.on('uncaughtException', (error) => {
  process.stderr.write(`toxmail: internal error: ${errorField(error)}\n${error.stack ?? ''}\n`);
  process.exit(1);
});
