import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { missing } from '../oracle/tools.ts';

const run = promisify(execFile);

/** The reason why these programs cannot be used here, for the `skip` option of a test; false if they can. */
export async function programsMissing(...programs: readonly string[]): Promise<string | false> {
  for (const program of programs) {
    try {
      await run('sh', ['-c', `PATH="$PATH:/usr/sbin:/sbin" command -v ${program}`]);
    } catch {
      return missing(`${program} is missing`);
    }
  }
  return false;
}

/** Runs a program that leaves others behind, which would keep a pipe of ours open. */
export async function startServer(command: string, ...args: string[]): Promise<void> {
  const [status] = await once(spawn(command, args, { stdio: 'ignore' }), 'exit');
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}`);
}

/** The same for servers of other users: they need root too. */
export async function serversMissing(...programs: readonly string[]): Promise<string | false> {
  if (process.getuid?.() !== 0) return missing(`${programs.join(', ')}: needs root`);
  return programsMissing(...programs);
}
