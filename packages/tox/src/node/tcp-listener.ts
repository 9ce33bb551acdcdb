import { once } from 'node:events';
import net from 'node:net';
import type { Env } from '../core/env.ts';
import { ToxError } from '../core/errors.ts';

/** The TCP ports of one relay. Connections are handed on as they come; only the relay knows how many it wants. */
export class TcpListener {
  onSocket: (socket: net.Socket) => void = (socket) => socket.destroy();
  readonly ports: readonly number[];
  readonly #servers: readonly net.Server[];

  private constructor(servers: readonly net.Server[]) {
    this.#servers = servers;
    this.ports = servers.map((server) => (server.address() as net.AddressInfo).port);
    for (const server of servers) {
      server.on('connection', (socket) => this.onSocket(socket));
      server.on('error', () => {}); // of one connection that could not be accepted
    }
  }

  /**
   * Listens on those of the ports that are free and permitted; the others are logged. Throws
   * `relay-port-in-use` if there is none. `host`: default all addresses of this machine.
   */
  static async open(ports: readonly number[], host: string | undefined, log: Env['log']): Promise<TcpListener> {
    const servers: net.Server[] = [];
    let failure: unknown;
    for (const port of ports) {
      try {
        servers.push(await listen(port, host));
      } catch (error) {
        failure = error;
        log('relay.port-unavailable', { port, reason: String((error as NodeJS.ErrnoException).code) });
      }
    }
    if (servers.length > 0) return new TcpListener(servers);
    throw new ToxError('relay-port-in-use', `no TCP port for the relay is free: ${ports.join(', ')}`, {
      cause: failure,
    });
  }

  /** Those who are connected stay so. */
  async close(): Promise<void> {
    await Promise.all(this.#servers.map((server) => new Promise<void>((done) => server.close(() => done()))));
  }
}

async function listen(port: number, host: string | undefined): Promise<net.Server> {
  const server = net.createServer();
  server.listen({ port, host, exclusive: true });
  await once(server, 'listening'); // an 'error' instead is thrown
  return server;
}
