import { BootstrapDaemon } from '../oracle/oracle.ts';
import type { Entry } from '../our-node.ts';
import type { Host, Lab } from './lab.ts';
import { PORT, type Program, startPeer } from './peers.ts';

/** c-toxcore punches only for a friend whose address at least four nodes near it report. Ours take longer to start. */
const NODES = { 'c-toxcore': 8, toxmail: 5 };

/** Public Tox nodes that know each other, each a DHT node, onion relay and TCP relay: `tox-bootstrapd`, or ours. */
export class PublicNetwork implements AsyncDisposable {
  readonly entries: readonly Entry[];
  readonly #stack: AsyncDisposableStack;

  private constructor(entries: readonly Entry[], stack: AsyncDisposableStack) {
    this.entries = entries;
    this.#stack = stack;
  }

  static async start(lab: Lab, program: Program): Promise<PublicNetwork> {
    const stack = new AsyncDisposableStack();
    const entries: Entry[] = [];
    const startNode = program === 'toxmail' ? startOurs : startTheirs;
    for (let i = 0; i < NODES[program]; i++) entries.push(await startNode(await lab.host(), entries, stack));
    return new PublicNetwork(entries, stack);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

async function startTheirs(host: Host, others: readonly Entry[], stack: AsyncDisposableStack): Promise<Entry> {
  const { address, prefix } = host;
  const options = { host: address, port: PORT, tcpRelay: true, bootstrap: [...others], prefix };
  return stack.use(await BootstrapDaemon.start(options));
}

async function startOurs(host: Host, others: readonly Entry[], stack: AsyncDisposableStack): Promise<Entry> {
  const node = stack.use(await startPeer(host, 'toxmail', { relayPort: PORT, lanDiscovery: false }));
  for (const other of others) await node.bootstrap(other.host, other.port, other.key);
  return { host: host.address, port: PORT, key: node.dhtKey };
}
