import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeDurably } from '../base/durable.ts';
import { realFiles, unlinkIfThere } from '../base/files.ts';

/** The range that Tox programs use (spec: UDP ports). */
const FIRST_PORT = 33445;
const PORT_COUNT = 101;
/** Present while a daemon runs; still there at the next start if the daemon was killed. */
const FILE = 'udp-ports.json';

/**
 * Which UDP ports a start may use. After a stop without goodbye (power cut, SIGKILL) the friends of c-toxcore still hold
 * the old session and drop handshakes from the same port for half a minute, so the ports of that run are avoided.
 */
export class UdpPorts {
  readonly #path: string;
  readonly #wanted: number | undefined;
  readonly #avoid: ReadonlySet<number>;
  readonly #used = new Set<number>();

  constructor(dataDir: string, wanted: number | undefined) {
    this.#path = join(dataDir, FILE);
    this.#wanted = wanted;
    this.#avoid = readPorts(this.#path);
  }

  /** In the order in which to try them. An explicitly wanted port is never avoided: somebody opened a firewall for it. */
  candidates(): number[] {
    if (this.#wanted === 0) return [0];
    const first = this.#wanted ?? FIRST_PORT;
    const range = Array.from({ length: PORT_COUNT }, (_, index) => first + index).filter((port) => port <= 65_535);
    return range.filter((port) => !this.#used.has(port) && (this.#wanted !== undefined || !this.#avoid.has(port)));
  }

  async markUsed(port: number): Promise<void> {
    this.#used.add(port);
    await this.#write();
  }

  /** The account's node has said goodbye: another may take its port. */
  async markFree(port: number): Promise<void> {
    this.#used.delete(port);
    await this.#write();
  }

  /** After goodbyes were said. */
  async markClean(): Promise<void> {
    await unlinkIfThere(realFiles, this.#path);
  }

  async #write(): Promise<void> {
    await writeDurably(realFiles, this.#path, Buffer.from(`${JSON.stringify([...this.#used])}\n`));
  }
}

function readPorts(path: string): Set<number> {
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
    return new Set(Array.isArray(value) ? value.filter((each) => typeof each === 'number') : []);
  } catch {
    return new Set();
  }
}
