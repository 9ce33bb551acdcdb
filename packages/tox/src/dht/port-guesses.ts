/** Privileged ports are not given to mappings. */
const FIRST_PORT = 1_024;
const PORTS = 65_536 - FIRST_PORT;

/** Which ports a router may have given to a node, when the ports that others saw differ (spec: Hole punching). */
export class PortGuesses {
  #around = 0;
  #round = 0;
  #anywhere: number;

  /** `start`: where `anywhere` begins, 0..65535. */
  constructor(start: number) {
    this.#anywhere = start;
  }

  /** Close to the reported ports: in turn above and below each, ever farther away. Each call goes on. */
  around(reported: readonly number[], count: number): number[] {
    return Array.from({ length: count }, () => {
      const i = this.#around++;
      const distance = Math.floor(i / (2 * reported.length));
      const base = reported[Math.floor(i / 2) % reported.length]!;
      return wrap(base + (i % 2 === 0 ? distance : -distance));
    });
  }

  /**
   * For routers that count: above the highest reported port by equal steps; every second time as
   * `around`, in case they do not. The steps are the same each time, as datagrams get lost.
   */
  climbing(reported: readonly number[], step: number, count: number): number[] {
    if (this.#round++ % 2 === 1) return this.around(reported, count);
    const highest = Math.max(...reported);
    return Array.from({ length: count }, (_, i) => wrap(highest + 1 + step * i));
  }

  /** All ports one after the other. Each call goes on. */
  anywhere(count: number): number[] {
    return Array.from({ length: count }, () => FIRST_PORT + (this.#anywhere++ % PORTS));
  }
}

function wrap(port: number): number {
  if (port > 65_535) return port - PORTS;
  return port < FIRST_PORT ? port + PORTS : port;
}
