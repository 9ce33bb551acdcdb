import { lookup } from 'node:dns/promises';

/** After an install or a reboot the resolver may come up later than we, ms. */
const FIRST_RETRY = 5_000;
const LONGEST_RETRY = 300_000;

/**
 * Resolves host names of nodes, again and again while that fails.
 * BOUNDED by the names that the owner gives. Holds no process alive.
 */
export class HostNames {
  readonly #onFailure: (name: string) => void;
  readonly #addresses: (name: string) => Promise<string[]>;
  readonly #unresolved = new Map<string, Set<(addresses: string[]) => void>>();
  #pause = FIRST_RETRY;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  /** `onFailure` hears once of a name that could not be resolved. `addresses` rejects, or finds none, while that is so. */
  constructor(onFailure: (name: string) => void, addresses: (name: string) => Promise<string[]> = systemAddresses) {
    this.#onFailure = onFailure;
    this.#addresses = addresses;
  }

  /** Calls back with all addresses, once there are some. */
  resolve(name: string, use: (addresses: string[]) => void): void {
    void this.#try(name, new Set([use]), true);
  }

  /** The network is there: what failed is tried at once. */
  retry(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const waiting = [...this.#unresolved];
    this.#unresolved.clear();
    for (const [name, uses] of waiting) void this.#try(name, uses, false);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  async #try(name: string, uses: Set<(addresses: string[]) => void>, first: boolean): Promise<void> {
    let addresses: string[] = [];
    try {
      addresses = await this.#addresses(name);
    } catch {
      // Told below.
    }
    if (this.#closed) return;
    if (addresses.length > 0) {
      for (const use of uses) use(addresses);
      return;
    }
    if (first) this.#onFailure(name);
    for (const use of this.#unresolved.get(name) ?? []) uses.add(use);
    this.#unresolved.set(name, uses);
    if (this.#timer) return;
    this.#timer = setTimeout(() => this.retry(), this.#pause).unref();
    this.#pause = Math.min(this.#pause * 2, LONGEST_RETRY);
  }
}

async function systemAddresses(name: string): Promise<string[]> {
  return (await lookup(name, { all: true })).map(({ address }) => address);
}
