import { BootstrapDaemon } from '../oracle/oracle.ts';
import type { Entry } from '../our-node.ts';
import type { Host, Lab } from './lab.ts';

/** The port that everybody's router lets out. */
export const PORT = 33_445;
/** c-toxcore punches only for a friend whose address at least four nodes near it report. */
const NODES = 8;

/** Public Tox nodes that know each other, each a DHT node, onion relay and TCP relay: `tox-bootstrapd`. */
export class PublicNetwork implements AsyncDisposable {
  readonly entries: readonly Entry[];
  readonly #stack: AsyncDisposableStack;

  private constructor(entries: readonly Entry[], stack: AsyncDisposableStack) {
    this.entries = entries;
    this.#stack = stack;
  }

  static async start(lab: Lab): Promise<PublicNetwork> {
    const stack = new AsyncDisposableStack();
    const entries: Entry[] = [];
    for (let i = 0; i < NODES; i++) {
      const host: Host = await lab.host();
      const { address, prefix } = host;
      const options = { host: address, port: PORT, tcpRelay: true, bootstrap: [...entries], prefix };
      entries.push(stack.use(await BootstrapDaemon.start(options)));
    }
    return new PublicNetwork(entries, stack);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}
