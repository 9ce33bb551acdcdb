import { createConnection } from 'node:net';
import { errorCode } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';
import { findControlAddress } from '../daemon/control-address.ts';
import {
  ANSWER_MAX_BYTES,
  type ControlAnswer,
  type ControlRequest,
  LineSplitter,
  parseAnswer,
} from '../daemon/control-protocol.ts';

/** A daemon that does not answer a command within this time hangs. */
const ANSWER_TIMEOUT_MS = 30_000;
/** What connecting fails with when no daemon runs: no socket, or one whose owner was killed. */
const NOT_RUNNING = new Set(['ENOENT', 'ECONNREFUSED', 'ENOTDIR', 'ENOTSOCK']);

/** Asks the daemon of that data folder. Undefined if none is running; throws UserError if it refuses. */
export async function askDaemon(dataDir: string, request: ControlRequest): Promise<{ result: unknown } | undefined> {
  const address = findControlAddress(dataDir);
  const answer = address === undefined ? undefined : await exchange(address, request);
  if (answer && 'error' in answer) throw new UserError(answer.error);
  return answer;
}

function exchange(address: string, request: ControlRequest): Promise<ControlAnswer | undefined> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(address);
    const lines = new LineSplitter(ANSWER_MAX_BYTES);
    let connected = false;
    const fail = (message: string): void => {
      socket.destroy();
      reject(new UserError(message));
    };
    socket.setTimeout(ANSWER_TIMEOUT_MS, () => fail('The daemon does not answer. Stop it and start it again.'));
    socket.on('connect', () => {
      connected = true;
      socket.write(`${JSON.stringify(request)}\n`);
    });
    socket.on('error', (error) => {
      const code = errorCode(error) ?? '';
      if (NOT_RUNNING.has(code) || (connected && code === 'ECONNRESET')) resolve(undefined);
      else fail(`Cannot reach the daemon (${code}). Run this command as the user who runs the daemon.`);
    });
    socket.on('close', () => resolve(undefined)); // it is just stopping
    socket.on('data', (chunk: Buffer) => {
      const whole = lines.push(chunk, (line) => {
        const answer = parseAnswer(line);
        if (!answer) return fail('The daemon gave an answer of another version. Stop it and start it again.');
        resolve(answer);
        socket.destroy();
      });
      if (!whole) fail('The answer of the daemon is too long.');
    });
  });
}
