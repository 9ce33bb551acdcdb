import { chmodSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { errorField, type Logger } from '../base/log.ts';
import { UserError } from '../base/user-error.ts';
import { makeControlAddress, removeControlAddress } from './control-address.ts';
import { type ControlAnswer, LineSplitter, parseRequest, REQUEST_MAX_BYTES } from './control-protocol.ts';

/** Runs one command; throws UserError for what the person can put right. */
export type CommandHandler = (command: string, args: Readonly<Record<string, unknown>>) => Promise<unknown>;

/** Programs and people at the keyboard, not a service for many. */
const CONNECTIONS_MAX = 32;
/** Requests of one connection that wait for their turn. */
const WAITING_MAX = 64;
const IDLE_MS = 60_000;

export interface ControlServer {
  close(): Promise<void>;
}

export async function startControlServer(dataDir: string, run: CommandHandler, log: Logger): Promise<ControlServer> {
  const address = makeControlAddress(dataDir);
  const sockets = new Set<Socket>(); // at most CONNECTIONS_MAX
  // A client may say its last word and still wait for the answer.
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    serve(socket, run, log);
  });
  server.maxConnections = CONNECTIONS_MAX;
  await listen(server, address);
  return {
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
      removeControlAddress(dataDir);
    },
  };
}

async function listen(server: Server, address: string): Promise<void> {
  // The socket is made with these modes; chmod covers systems that ignore the mask.
  const before = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(address, resolve);
    });
  } finally {
    process.umask(before);
  }
  if (process.platform !== 'win32') chmodSync(address, 0o600);
}

function serve(socket: Socket, run: CommandHandler, log: Logger): void {
  const lines = new LineSplitter(REQUEST_MAX_BYTES);
  let waiting = 0;
  let turn = Promise.resolve();
  const answer = (value: ControlAnswer): void => {
    if (socket.writable) socket.write(`${JSON.stringify(value)}\n`);
  };
  const refuse = (error: string): void => {
    socket.end(`${JSON.stringify({ error })}\n`);
    socket.removeAllListeners('data');
    socket.resume();
  };
  socket.setTimeout(IDLE_MS, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  socket.on('end', () => void turn.then(() => socket.end()));
  socket.on('data', (chunk: Buffer) => {
    const whole = lines.push(chunk, (line) => {
      if (++waiting > WAITING_MAX) return;
      turn = turn.then(async () => {
        answer(await execute(line, run, log));
        waiting--;
      });
    });
    if (!whole) refuse('The request is too long.');
    else if (waiting > WAITING_MAX) refuse('Too many requests at once.');
  });
}

async function execute(line: string, run: CommandHandler, log: Logger): Promise<ControlAnswer> {
  const request = parseRequest(line);
  if (!request) return { error: 'This is not a request. Expected a line like {"command":"status","args":{}}' };
  try {
    return { result: (await run(request.command, request.args)) ?? null };
  } catch (error) {
    if (error instanceof UserError) return { error: error.message };
    log.error('control.failed', { command: request.command.slice(0, 40), error: errorField(error) });
    return { error: 'The daemon could not do this because of an internal error. Its log says more.' };
  }
}
