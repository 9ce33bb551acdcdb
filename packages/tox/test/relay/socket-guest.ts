import net from 'node:net';
import { fromHex, generateKeyPair, type KeyPair, type PublicKey } from '../../src/crypto/keys.ts';
import { systemEnv } from '../../src/node/system-env.ts';
import { RelayClient } from '../../src/relay/client.ts';
import { type Told, tellInto } from './told.ts';

/** A relay client on a real socket: remembers what it was told and waits for more. */
export class SocketGuest implements Disposable {
  readonly keys: KeyPair;
  readonly client: RelayClient;
  readonly told: Told[] = [];
  readonly socket: net.Socket;
  readonly #waiters = new Set<() => void>();

  private constructor(relay: net.TcpNetConnectOpts, relayKey: PublicKey, keys: KeyPair) {
    this.keys = keys;
    const hooks = tellInto(this.told, () => this.#heard());
    this.client = new RelayClient(systemEnv(), performance.now(), { dhtKeys: keys, relayKey }, hooks);
    this.socket = net.connect({ noDelay: true, ...relay });
    this.socket.on('error', () => {});
    this.socket.on('connect', () => this.do(() => this.client.connected(performance.now())));
    this.socket.on('data', (data) => this.do(() => this.client.receive(performance.now(), new Uint8Array(data))));
    this.socket.on('close', () => {
      this.told.push(['end']);
      this.#heard();
    });
  }

  /** Logged in at the relay with this key (hexadecimal), on loopback if only its port is given. */
  static async login(
    relay: number | net.TcpNetConnectOpts,
    relayKey: string,
    keys: KeyPair = generateKeyPair(systemEnv()),
  ): Promise<SocketGuest> {
    const guest = new SocketGuest(
      typeof relay === 'number' ? { host: '127.0.0.1', port: relay } : relay,
      fromHex(relayKey, 32) as PublicKey,
      keys,
    );
    await guest.heard('online');
    return guest;
  }

  do<R>(act: (client: RelayClient) => R): R {
    const result = act(this.client);
    for (let bytes = this.client.takeBytes(); bytes; bytes = this.client.takeBytes()) this.socket.write(bytes);
    return result;
  }

  /** What it was told under this name, once it was told. */
  async heard(name: string, matches: (told: Told) => boolean = () => true): Promise<Told> {
    for (;;) {
      const found = this.told.find((told) => told[0] === name && matches(told));
      if (found) return found;
      if (name !== 'end' && this.told.some(([told]) => told === 'end'))
        throw new Error(`the relay ended it before "${name}"`);
      await new Promise<void>((done) => {
        const waiter = () => {
          this.#waiters.delete(waiter);
          done();
        };
        this.#waiters.add(waiter);
      });
    }
  }

  /** Both are on one relay and ask for each other; the id of this one's route, once the peer is there. */
  async route(to: SocketGuest): Promise<number> {
    this.do((client) => client.requestRoute(to.keys.publicKey));
    to.do((client) => client.requestRoute(this.keys.publicKey));
    await to.heard('peer');
    return (await this.heard('peer'))[1] as number;
  }

  #heard(): void {
    for (const waiter of this.#waiters) waiter();
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}
