import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ToxNode } from '@toxmail/tox';
import { errorCode } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';

/** Connections of whoever reads the figures; further ones are closed. */
const MAX_CONNECTIONS = 8;
const REQUEST_TIMEOUT_MS = 5_000;

export interface Metrics {
  readonly port: number;
  close(): Promise<void>;
}

/** Serves figures on loopback in Prometheus' text form (exposition format 0.0.4), if a port is given. */
export async function openMetrics(node: ToxNode, port: number | undefined): Promise<Metrics | undefined> {
  if (port === undefined) return undefined;
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
    const found = request.method === 'GET' && request.url === '/metrics';
    response.writeHead(found ? 200 : 404, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' });
    response.end(found ? metricsText(node) : 'The figures are at /metrics\n');
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.listen({ host: '127.0.0.1', port, exclusive: true });
  try {
    await once(server, 'listening');
  } catch (error) {
    throw new UserError(`Cannot serve figures at port ${port} (${errorCode(error)}). Choose another --metrics-port.`);
  }
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      server.closeAllConnections();
      await new Promise<void>((done) => server.close(() => done()));
    },
  };
}

type Figure = readonly [name: string, kind: 'gauge' | 'counter', help: string, value: number];

function metricsText(node: ToxNode): string {
  const { user, system } = process.cpuUsage();
  const figures: Figure[] = [
    ['dht_nodes', 'gauge', 'DHT nodes that answer', node.nodes],
    ['resident_bytes', 'gauge', 'Memory of the process', process.memoryUsage.rss()],
    ['cpu_seconds_total', 'counter', 'Processor time of the process', (user + system) / 1e6],
    ['uptime_seconds', 'gauge', 'Time since the start', process.uptime()],
  ];
  const relay = node.relayStats;
  if (relay) {
    figures.push(
      ['relay_clients', 'gauge', 'Clients logged in', relay.clients],
      ['relay_half_open', 'gauge', 'Connections that have not logged in', relay.halfOpen],
      ['relay_queued_bytes', 'gauge', 'Bytes that wait for clients', relay.queuedBytes],
      ['relay_received_bytes_total', 'counter', 'Bytes from clients', relay.receivedBytes],
      ['relay_forwarded_total', 'counter', 'Packets passed on', relay.forwarded],
      ['relay_forwarded_bytes_total', 'counter', 'Bytes of packets passed on', relay.forwardedBytes],
      ['relay_dropped_total', 'counter', 'Packets for which there was no room or rate', relay.dropped],
      ['relay_onion_requests_total', 'counter', 'Onion requests of clients', relay.onionRequests],
      ['relay_accepted_total', 'counter', 'Connections', relay.accepted],
      ['relay_refused_total', 'counter', 'Connections without a place or over a rate', relay.refused],
      ['relay_kicked_total', 'counter', 'Clients that broke the protocol or did not read', relay.kicked],
      ['relay_timed_out_total', 'counter', 'Clients that did not log in or answer in time', relay.timedOut],
    );
  }
  const lines = figures.map(
    ([name, kind, help, value]) =>
      `# HELP toxmail_${name} ${help}\n# TYPE toxmail_${name} ${kind}\ntoxmail_${name} ${value}\n`,
  );
  return lines.join('');
}
