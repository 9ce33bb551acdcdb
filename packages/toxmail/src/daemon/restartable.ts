import type { Config } from './config.ts';
import { type Daemon, type DaemonParts, startDaemon } from './wire-up.ts';

/** A daemon that can be stopped and started again within its process, for what cannot be changed while it runs. */
export class RestartableDaemon {
  readonly #parts: Omit<DaemonParts, 'whileStopped'>;
  #daemon!: Daemon;
  #fail!: (error: unknown) => void;
  /** Rejects if it could not be started again. */
  readonly failure: Promise<never>;
  /** Commands wait for it. */
  #restart: Promise<void> = Promise.resolve();

  private constructor(parts: Omit<DaemonParts, 'whileStopped'>) {
    this.#parts = parts;
    this.failure = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.failure.catch(() => {}); // whoever runs us looks at it later
  }

  static async start(parts: Omit<DaemonParts, 'whileStopped'>): Promise<RestartableDaemon> {
    const daemon = new RestartableDaemon(parts);
    await daemon.#start(parts.config);
    return daemon;
  }

  get listeners(): Daemon['listeners'] {
    return this.#daemon.listeners;
  }

  get mailHost(): string {
    return this.#daemon.mailHost;
  }

  get page(): string {
    return this.#daemon.page;
  }

  async run(command: string, args: Readonly<Record<string, unknown>>): Promise<unknown> {
    await this.#restart.catch(() => {}); // `failure` tells
    return this.#daemon.commands.run(command, args);
  }

  /** Made when all else runs: what was only seen if the start succeeds must not be there if it does not. */
  addAccount(name: string): Promise<{ name: string; password: string }> {
    return this.#daemon.commands.addAccount({ name });
  }

  stop(): Promise<void> {
    return this.#daemon.stop();
  }

  async #start(config: Config): Promise<void> {
    const whileStopped = async (work: () => Promise<void>): Promise<void> => {
      const again = this.#again(work);
      this.#restart = again;
      await again;
    };
    this.#daemon = await startDaemon({ ...this.#parts, config, whileStopped });
  }

  async #again(work: () => Promise<void>): Promise<void> {
    const { listeners } = this.#daemon;
    await this.#daemon.stop();
    try {
      await work();
    } finally {
      // Programs that are set up find it where it was, also where any free port was asked for.
      const ports = Object.entries(listeners).map(([name, { port }]) => [`${name}Port`, port]);
      const config = { ...this.#parts.config, ...Object.fromEntries(ports) };
      await this.#start(config).catch((error) => {
        this.#fail(error);
        throw error;
      });
    }
  }
}
