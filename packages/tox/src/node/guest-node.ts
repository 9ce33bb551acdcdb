import type { Env, Mono } from '../core/env.ts';
import type { PublicKey } from '../crypto/keys.ts';
import { Guest, type GuestOptions } from '../guest.ts';
import type { ToxEvent } from '../messenger/events.ts';
import type { Messenger } from '../messenger/messenger.ts';
import { Driver } from './drive.ts';
import { systemEnv } from './system-env.ts';
import { TcpStreams } from './tcp.ts';

/** A `Guest` on a TCP connection of its own: see there. Events are told one at a time. */
export class GuestNode implements AsyncDisposable {
  readonly publicKey: PublicKey;
  readonly #guest: Guest;
  readonly #streams = new TcpStreams();
  readonly #driver: Driver<ToxEvent>;

  constructor(options: GuestOptions & { readonly log?: Env['log'] }, onEvent: (event: ToxEvent) => void) {
    this.#guest = new Guest(systemEnv(options.log), performance.now(), options);
    this.publicKey = this.#guest.realKeys.publicKey;
    this.#driver = new Driver(this.#guest, { streams: this.#streams }, onEvent);
  }

  /** Lets the messenger do something: `node.do((messenger, now) => messenger.sendLossless(now, host, data))`. */
  do<R>(command: (messenger: Messenger, now: Mono) => R): R {
    return this.#driver.poke((now) => command(this.#guest.messenger, now));
  }

  async close(): Promise<void> {
    this.#driver.poke((now) => this.#guest.close(now));
    this.#driver.stop();
    await this.#streams.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
