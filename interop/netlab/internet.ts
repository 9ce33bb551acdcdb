import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { compile, stop } from '../oracle/tools.ts';
import type { Namespace } from './namespace.ts';

/** How a line to the internet behaves, the same in both directions. */
export interface LineQuality {
  /** From here to the middle; a packet passes two lines. */
  delayMs?: number;
  /** 0..1; 1 is a cut line. */
  loss?: number;
  /** Absent: unlimited. */
  kbit?: number;
  /** 0..1: packets that are delivered twice, the second time 1.5 s later. */
  replay?: number;
}

/** Packets from one public address to another. */
export interface Flow {
  readonly from: string;
  readonly to: string;
  readonly protocol: 'tcp' | 'udp';
  readonly packets: number;
  /** IP headers included. */
  readonly bytes: number;
}

/** The running `internet.c`. */
export class Internet implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #waiting: { resolve(text: string): void; reject(error: Error): void }[] = [];

  private constructor(child: ChildProcess) {
    this.#child = child;
    createInterface({ input: child.stdout! }).on('line', (line) => {
      const { resolve, reject } = this.#waiting.shift()!;
      if (line.startsWith('ok')) resolve(line.slice(3));
      else reject(new Error(`the laboratory's internet: ${line}`));
    });
    child.on('exit', () => {
      for (const { reject } of this.#waiting.splice(0)) reject(new Error("the laboratory's internet is gone"));
    });
  }

  static async start(): Promise<Internet> {
    const program = await compile(new URL('internet.c', import.meta.url), 'plain');
    return new Internet(spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] }));
  }

  /** Puts a device into the namespace that leads here. */
  async line(namespace: Namespace, device: string): Promise<Line> {
    return new Line(Number(await this.#ask(`line ${namespace.name} ${device}`)), (command) => this.#ask(command));
  }

  /** All packets since the start. */
  async flows(): Promise<Flow[]> {
    const rows = (await this.#ask('flows')).split(';').filter(Boolean);
    return rows.map((row) => {
      const [from, to, protocol, packets, bytes] = row.split(' ');
      return {
        from: from!,
        to: to!,
        protocol: protocol as Flow['protocol'],
        packets: Number(packets),
        bytes: Number(bytes),
      };
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin!.end();
    await stop(this.#child, 'SIGKILL', 1_000);
  }

  #ask(command: string): Promise<string> {
    this.#child.stdin!.write(`${command}\n`);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }
}

/** What connects one namespace with the internet. */
export class Line {
  readonly #number: number;
  readonly #ask: (command: string) => Promise<string>;

  constructor(number: number, ask: (command: string) => Promise<string>) {
    this.#number = number;
    this.#ask = ask;
  }

  /** Packets to this address come here from now on. */
  async takeAddress(address: string): Promise<void> {
    await this.#ask(`address ${this.#number} ${address}`);
  }

  async set({ delayMs = 0, loss = 0, kbit = 0, replay = 0 }: LineQuality): Promise<void> {
    const numbers = [delayMs * 1000, loss * 1e6, kbit, replay * 1e6].map(Math.round);
    await this.#ask(`set ${this.#number} ${numbers.join(' ')}`);
  }
}
