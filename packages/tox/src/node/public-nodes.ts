import list from './public-nodes.json' with { type: 'json' };

export interface PublicNode {
  /** One or two addresses or names of the same node. */
  readonly hosts: readonly string[];
  /** UDP port. */
  readonly port: number;
  /** Ports at which it is a TCP relay. */
  readonly tcpPorts: readonly number[];
  /** Of the DHT: 64 upper-case hexadecimal digits. */
  readonly publicKey: string;
}

/**
 * Nodes that people run for everybody, by the public list of the Tox project as of `PUBLIC_NODES_DATE`;
 * `scripts/refresh-nodes.mjs` renews it.
 */
export const PUBLIC_NODES: readonly PublicNode[] = list.nodes;
/** Year-month-day. */
export const PUBLIC_NODES_DATE: string = list.date;
