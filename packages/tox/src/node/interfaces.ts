import { networkInterfaces } from 'node:os';

/** An address of this machine by which others can be reached. */
export interface LocalAddress {
  readonly interface: string;
  readonly address: string;
  readonly family: 'IPv4' | 'IPv6';
  /** Dotted; of IPv4 only. */
  readonly broadcast: string | undefined;
}

/** Node tells of no change, so we look; costs a tenth of a millisecond. */
const LOOK_INTERVAL = 2_000;
/** The calendar ran ahead of the monotonic clock, or a look came late, by so much: the machine slept. ms. */
const SLEPT = 10_000;

/** The addresses of this machine, without loopback. */
export function localAddresses(): LocalAddress[] {
  const found: LocalAddress[] = [];
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    for (const { address, netmask, family, internal } of addresses ?? []) {
      if (internal) continue;
      found.push({
        interface: name,
        address,
        family,
        broadcast: family === 'IPv4' ? broadcast(address, netmask) : undefined,
      });
    }
  }
  return found;
}

/** Whether this machine has an address besides loopback. */
export function hasNetwork(): boolean {
  return localAddresses().length > 0;
}

/** Calls back when the addresses of this machine have changed, and after it slept. Holds no process alive. */
export class NetworkWatch {
  readonly #onChange: (addresses: readonly LocalAddress[]) => void;
  readonly #timer: NodeJS.Timeout;
  #seen = '';
  #lookedAt = performance.now();
  #calendarAt = Date.now();

  constructor(onChange: (addresses: readonly LocalAddress[]) => void) {
    this.#onChange = onChange;
    this.#seen = fingerprint(localAddresses());
    this.#timer = setInterval(() => this.#look(), LOOK_INTERVAL).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const late = performance.now() - this.#lookedAt - LOOK_INTERVAL;
    const ahead = Date.now() - this.#calendarAt - LOOK_INTERVAL;
    this.#lookedAt = performance.now();
    this.#calendarAt = Date.now();
    const addresses = localAddresses();
    const seen = fingerprint(addresses);
    if (seen === this.#seen && Math.max(late, ahead) < SLEPT) return;
    this.#seen = seen;
    this.#onChange(addresses);
  }
}

function fingerprint(addresses: readonly LocalAddress[]): string {
  return addresses
    .map((each) => `${each.interface} ${each.address}`)
    .sort()
    .join('\n');
}

function broadcast(address: string, netmask: string): string {
  const mask = netmask.split('.').map(Number);
  return address
    .split('.')
    .map((part, i) => Number(part) | (~mask[i]! & 0xff))
    .join('.');
}
