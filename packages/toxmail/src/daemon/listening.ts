import { createServer } from 'node:net';
import { errorCode } from '../base/files.ts';
import type { Logger } from '../base/log.ts';
import { UserError } from '../base/user-error.ts';
import type { Config } from './config.ts';

interface Address {
  readonly host: string;
  readonly port: number;
}

/** Throws UserError if nothing can listen at this address, before anything is changed for its sake. */
export async function mustBeOurs(host: string): Promise<void> {
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host, port: 0 }, resolve);
    });
  } catch (error) {
    throw cannotListen(host, error);
  }
  await new Promise<void>((resolve) => server.close(() => resolve()));
}

/** Opens one port after the other. One that nobody chose and another program has is replaced by a free one. */
export function listening(
  { listen: host, unchosenPorts }: Config,
  log: Logger,
): (name: string, port: number, listen: (at: Address) => Promise<Address>) => Promise<Address> {
  return async (name, port, listen) => {
    try {
      return await listen({ host, port });
    } catch (error) {
      const code = errorCode(error);
      if (code === 'EADDRINUSE' && unchosenPorts.includes(name)) {
        const instead = await listen({ host, port: 0 });
        log.warn('daemon.port-taken', { name, port, instead: instead.port });
        return instead;
      }
      if (code === 'EADDRINUSE')
        throw new UserError(`Port ${port} is in use by another program. Choose another one with --${name}-port.`);
      if (code === 'EACCES')
        throw new UserError(`Port ${port} needs more rights. Choose one above 1023 with --${name}-port.`);
      throw cannotListen(host, error);
    }
  };
}

function cannotListen(host: string, error: unknown): unknown {
  const code = errorCode(error);
  return code === undefined
    ? error
    : new UserError(
        `Cannot listen on ${host}: this machine has no such address (${code}). Choose 127.0.0.1, 0.0.0.0 or one of its ` +
          'own with --listen.',
      );
}
