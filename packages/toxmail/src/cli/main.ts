import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorCode } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';
import { type Config, configFrom, dataFolder, readConfigFile } from '../daemon/config.ts';
import { VERSION } from '../daemon/version.ts';
import { type ParsedArguments, parseArguments } from './arguments.ts';
import { helpText } from './commands.ts';
import { askDaemon } from './control-client.ts';
import { installIspFiles } from './isp-folder.ts';
import { render } from './render.ts';
import { UsageError } from './usage-error.ts';

const STATUS_POLL_MS = 200;

/** The whole command line. Resolves to the exit status: 0, 1 it could not be done, 2 wrong usage. */
export async function main(argv: readonly string[]): Promise<number> {
  try {
    return await dispatch(parseArguments(argv));
  } catch (error) {
    if (!(error instanceof UserError || error instanceof UsageError)) throw error;
    process.stderr.write(`toxmail: ${error.message.replace(/\s*\n\s*/g, ' ')}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}

async function dispatch(parsed: ParsedArguments): Promise<number> {
  if (parsed.version) {
    process.stdout.write(`${VERSION}\n`);
    return 0;
  }
  if (parsed.help) {
    process.stdout.write(helpText(parsed.command.name === 'run' ? undefined : parsed.command));
    return 0;
  }
  const dataDir = dataFolder(parsed.data);
  try {
    return await execute(dataDir, parsed);
  } catch (error) {
    throw storageFailure(error, dataDir) ?? error;
  }
}

async function execute(dataDir: string, parsed: ParsedArguments): Promise<number> {
  const { command } = parsed;
  if (command.kind === 'process') {
    // Loaded only here: the commands below need neither the mail servers nor Tox, and start faster without.
    const { runDaemon, runBootstrap } = await import('../daemon/lifecycle.ts');
    checkFlags(parsed);
    const config = configOf(dataDir, parsed);
    return command.name === 'run' ? runDaemon(dataDir, config) : runBootstrap(dataDir, config);
  }
  const result =
    parsed.wait === undefined ? await ask(dataDir, parsed) : await waitForTox(dataDir, parsed, parsed.wait);
  if (parsed.args.install === true && isSettings(result)) result.installed = installIspFiles(result.isp);
  process.stdout.write(parsed.json ? `${JSON.stringify(result, null, 2)}\n` : render(command.name, result));
  return 0;
}

function isSettings(result: unknown): result is { isp: Record<string, string>; installed?: string[] } {
  return typeof result === 'object' && result !== null && 'isp' in result;
}

/** A folder that cannot be made, read or written, a full disk, a damaged database: nothing that a stack trace explains. */
function storageFailure(error: unknown, dataDir: string): UserError | undefined {
  const ofStorage = error instanceof Error && ('syscall' in error || errorCode(error) === 'ERR_SQLITE_ERROR');
  if (!ofStorage) return undefined;
  return new UserError(
    `Cannot use the data folder ${dataDir} (${error.message}). Check its owner, rights and free space, or choose ` +
      'another one with --data.',
  );
}

/** What is wrong on the command line is wrong usage; what is wrong in config.toml is not. */
function checkFlags({ flags }: ParsedArguments): void {
  try {
    configFrom({}, flags);
  } catch (error) {
    throw error instanceof UserError ? new UsageError(`--${error.message}`) : error;
  }
}

/** The flags by themselves are right: what is wrong is in the file, or between it and them. */
function configOf(dataDir: string, { flags }: ParsedArguments): Config {
  const file = readConfigFile(dataDir);
  try {
    return configFrom(file, flags);
  } catch (error) {
    throw error instanceof UserError ? new UserError(`${join(dataDir, 'config.toml')}: ${error.message}`) : error;
  }
}

/** Asks the daemon; without one, opens the data folder for the one command. */
async function ask(dataDir: string, { command, args }: ParsedArguments): Promise<unknown> {
  const request = { command: command.name, args };
  const answer = await askDaemon(dataDir, request);
  if (answer) return answer.result;
  const { runStopped } = await import('../daemon/stopped.ts');
  return runStopped(dataDir, request, () => askDaemon(dataDir, request));
}

interface StatusResult {
  accounts: { name: string; tox: { connection: string } }[];
}

async function waitForTox(dataDir: string, { command, args }: ParsedArguments, seconds: number): Promise<unknown> {
  const deadline = performance.now() + seconds * 1000;
  for (;;) {
    const answer = await askDaemon(dataDir, { command: command.name, args });
    const status = answer?.result as StatusResult | undefined;
    const apart = status?.accounts.filter((account) => account.tox.connection === 'none') ?? [];
    if (status && apart.length === 0) return status;
    if (performance.now() >= deadline) {
      if (!status) throw new UserError(`No daemon answered within ${seconds} s. Start it with: toxmail run`);
      const names = apart.map((account) => account.name).join(', ');
      throw new UserError(
        `The daemon runs, but is not connected to Tox after ${seconds} s (account ${names}). ` +
          'Give it a node to start from: toxmail run --bootstrap HOST:PORT:KEY',
      );
    }
    await sleep(Math.min(STATUS_POLL_MS, Math.max(1, deadline - performance.now())));
  }
}
