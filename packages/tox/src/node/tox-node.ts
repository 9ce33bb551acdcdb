import { lookup } from 'node:dns/promises';
import { EventEmitter } from 'node:events';
import { type Env, type Mono, randomInt } from '../core/env.ts';
import { ToxError } from '../core/errors.ts';
import { fromHex, KEY_SIZE, type PublicKey, type SecretKey, toHex } from '../crypto/keys.ts';
import type { FileNumber, ToxConnection, ToxEvent, UserStatus } from '../messenger/events.ts';
import type { FileOffer } from '../messenger/file-transfer.ts';
import type { FriendInfo } from '../messenger/friend-state.ts';
import { formatToxId, makeToxId, type Nospam, parseToxId } from '../messenger/tox-id.ts';
import { parseProxy, type StreamProxy } from '../relay/proxy.ts';
import type { RelayAddress } from '../relay/relay-link.ts';
import type { RelayLimits, RelayStats } from '../relay/server.ts';
import { decryptSave, encryptSave, isEncryptedSave } from '../state/encrypted-save.ts';
import { readToxSave } from '../state/tox-save.ts';
import { newProfile as newToxProfile, Tox } from '../tox.ts';
import { type Endpoint, endpoint, hostPort } from '../wire/endpoint.ts';
import { Driver } from './drive.ts';
import { HostNames } from './host-names.ts';
import { hasNetwork, NetworkWatch } from './interfaces.ts';
import { systemEnv } from './system-env.ts';
import { TcpStreams } from './tcp.ts';
import { TcpListener } from './tcp-listener.ts';
import { type UdpOptions, UdpSocket } from './udp.ts';

/** A public key (32 bytes) as 64 upper-case hexadecimal digits. */
export type PublicKeyHex = string;

export interface BootstrapNode {
  readonly host: string;
  /** UDP port. */
  readonly port: number;
  /** Of the DHT; any case. */
  readonly publicKey: PublicKeyHex;
  /**
   * TCP ports at which it is a relay, if that is known: an empty list says that it is none. Absent: its
   * UDP port is tried.
   */
  readonly tcpPorts?: readonly number[] | undefined;
}

/** A TCP relay; `port` is that of TCP. */
export type RelayNode = Omit<BootstrapNode, 'tcpPorts'>;

export interface ToxNodeOptions {
  /** A profile in the standard save format; absent: a new identity. */
  readonly save?: Uint8Array | undefined;
  /** Opens an encrypted profile. */
  readonly passphrase?: string | undefined;
  /** False: no UDP at all; friends are found and reached through TCP relays. */
  readonly udp?: UdpOptions | false | undefined;
  /** Nodes to enter the network by; asked in random order, after those that the profile remembers. */
  readonly bootstrap?: readonly BootstrapNode[] | undefined;
  /**
   * `socks5://[user:password@]host:port` or `http://…`: everything goes through it, so there is no UDP,
   * and names of relays are resolved by it; only its own name is resolved here.
   */
  readonly proxy?: string | undefined;
  /** TCP relays to use. */
  readonly relays?: readonly RelayNode[] | undefined;
  /** Only for nodes that others bootstrap from: 32 bytes, kept over restarts. */
  readonly dhtSecretKey?: Uint8Array | undefined;
  /** Only for such nodes: what they answer to 0xf0. `motd` at most 256 bytes of UTF-8. */
  readonly bootstrapInfo?: { readonly version: number; readonly motd: string } | undefined;
  /** Serve others as a TCP relay; not together with a proxy. */
  readonly relay?: RelayOptions | undefined;
  /** Find nodes in the local network, and be found there, without any other node. Default false. */
  readonly lanDiscovery?: boolean | undefined;
  readonly log?: Env['log'] | undefined;
}

export interface RelayOptions extends RelayLimits {
  /**
   * TCP ports to listen on; 0 lets the system choose. Those that are not free are logged and left, if
   * at least one is. Address: as for UDP.
   */
  readonly ports: readonly number[];
}

type HexKeys<E> = { readonly [K in keyof E]: E[K] extends PublicKey ? PublicKeyHex : E[K] };
/** The events of `ToxEvent`, with keys in hexadecimal; the listener gets the event as its one argument. */
export type ToxNodeEvents = { [T in ToxEvent['type']]: [HexKeys<Extract<ToxEvent, { type: T }>>] };

export interface Friend extends Omit<FriendInfo, 'publicKey'> {
  readonly publicKey: PublicKeyHex;
}

/**
 * One identity in the Tox network, on a UDP socket of its own. Many may live in one process; they
 * share nothing. All methods act at once; those that name a friend throw `ToxError` with kind
 * `unknown-friend` for a stranger and, where they send, `friend-offline`. After `close` everything
 * that would change something or send throws `closed`; reading and `save` go on.
 *
 * Events are told one at a time and may be answered from within a listener, also with `close`. A
 * listener that throws surfaces as an uncaught exception and harms neither node nor connection.
 */
export class ToxNode extends EventEmitter<ToxNodeEvents> implements AsyncDisposable {
  readonly publicKey: PublicKeyHex;
  /** Of this run, unless `dhtSecretKey` was given. */
  readonly dhtPublicKey: PublicKeyHex;
  /** 0 without UDP. */
  readonly udpPort: number;
  /** TCP ports on which this node is a relay for others, in the order asked for; those not free are missing. */
  readonly relayPorts: readonly number[];

  readonly #env: Env;
  readonly #tox: Tox;
  readonly #socket: UdpSocket | undefined;
  readonly #proxied: boolean;
  readonly #streams: TcpStreams;
  readonly #listener: TcpListener | undefined;
  readonly #driver: Driver<ToxEvent>;
  readonly #watch: NetworkWatch;
  readonly #names: HostNames;
  readonly #hex = new WeakMap<PublicKey, PublicKeyHex>();
  #closing: Promise<void> | undefined;

  private constructor(
    env: Env,
    tox: Tox,
    way: { socket: UdpSocket | undefined; listener: TcpListener | undefined; proxied: boolean },
  ) {
    super();
    const { socket, listener } = way;
    this.#proxied = way.proxied;
    this.#env = env;
    this.#tox = tox;
    this.#socket = socket;
    this.#streams = new TcpStreams();
    this.#listener = listener;
    this.relayPorts = listener?.ports ?? [];
    this.publicKey = toHex(tox.realKeys.publicKey);
    this.dhtPublicKey = toHex(tox.dhtKeys.publicKey);
    this.udpPort = socket?.port ?? 0;
    this.#driver = new Driver(tox, { datagrams: socket, streams: this.#streams }, (event) => this.#dispatch(event));
    if (listener) listener.onSocket = (incoming) => this.#streams.adopt(incoming);
    this.#names = new HostNames((host) => env.log('bootstrap.unknown-host', { host }));
    this.#watch = new NetworkWatch((addresses) => this.#onNetwork(addresses.length > 0));
    if (hasNetwork()) this.#driver.poke((now) => tox.networkChanged(now));
  }

  /**
   * Resolves once the socket is bound; the network is entered meanwhile (event `connection`). Throws
   * `bad-save`, `port-in-use`, `relay-port-in-use`, `bad-argument`, or the system's error for an address that is not ours.
   */
  static async create(options: ToxNodeOptions = {}): Promise<ToxNode> {
    const env = systemEnv(options.log);
    const save = options.save && plainSave(options.save, options.passphrase);
    const { bootstrapInfo, dhtSecretKey } = options;
    if (dhtSecretKey && dhtSecretKey.length !== KEY_SIZE) throw new ToxError('bad-argument', 'a DHT key has 32 bytes');
    const proxy = options.proxy === undefined ? undefined : await findProxy(options.proxy);
    if (proxy && options.relay) throw new ToxError('bad-argument', 'a relay is reached beside the proxy');
    const withUdp = options.udp !== false && !proxy;
    const tox = new Tox(env, performance.now(), {
      save,
      dhtSecretKey: dhtSecretKey as SecretKey | undefined,
      bootstrapInfo: bootstrapInfo && {
        version: bootstrapInfo.version,
        motd: new TextEncoder().encode(bootstrapInfo.motd),
      },
      udp: withUdp,
      proxy,
      relay: options.relay,
      lanDiscovery: options.lanDiscovery,
    });
    const socket = withUdp ? await UdpSocket.open(options.udp || {}) : undefined;
    let listener: TcpListener | undefined;
    try {
      listener = options.relay && (await TcpListener.open(options.relay.ports, relayHost(options.udp || {}), env.log));
    } catch (error) {
      await socket?.close();
      throw error;
    }
    const node = new ToxNode(env, tox, { socket, listener, proxied: proxy !== undefined });
    try {
      // A node that others bootstrap from has no friends to meet.
      const own = listener && !dhtSecretKey ? ownRelay(listener, options.udp || {}) : undefined;
      if (own) node.#driver.poke((now) => tox.addOwnRelay(now, own));
      for (const { host, port, publicKey, tcpPorts } of shuffled(env, options.bootstrap ?? [])) {
        node.bootstrap(host, port, publicKey, tcpPorts);
      }
      for (const { host, port, publicKey } of shuffled(env, options.relays ?? []))
        node.addTcpRelay(host, port, publicKey);
    } catch (error) {
      await node.close();
      throw error;
    }
    return node;
  }

  /** A profile of a new identity, made without a network. */
  static newProfile(): { save: Uint8Array; toxId: string } {
    const save = newToxProfile(systemEnv());
    return { save, toxId: ToxNode.toxIdOf(save) };
  }

  /** The Tox ID in a profile. Throws `bad-save`. */
  static toxIdOf(save: Uint8Array, passphrase?: string): string {
    const { keys, profile } = readToxSave(plainSave(save, passphrase));
    return formatToxId(makeToxId(keys.publicKey, profile.nospam));
  }

  // The network.

  /**
   * A node to enter the network by. `host` may be a name; one that cannot be resolved is logged and
   * tried again later. `tcpPorts` as in `BootstrapNode`. Throws `bad-argument` for a wrong key or port.
   */
  bootstrap(host: string, port: number, publicKey: PublicKeyHex, tcpPorts?: readonly number[]): void {
    const key = parseKey(publicKey);
    for (const each of [port, ...(tcpPorts ?? [])]) checkPort(each);
    if (this.#proxied && !endpoint(host, port)) {
      for (const tcpPort of tcpPorts ?? [port]) this.addTcpRelay(host, tcpPort, publicKey);
      return;
    }
    this.#withAddresses(host, port, (now, at) => this.#tox.bootstrap(now, { publicKey: key, endpoint: at }, tcpPorts));
  }

  /** A TCP relay to use. `host` and failures as with `bootstrap`. */
  addTcpRelay(host: string, port: number, publicKey: PublicKeyHex): void {
    const key = parseKey(publicKey);
    checkPort(port);
    const use = (now: Mono, at: RelayAddress) => this.#tox.addRelay(now, { publicKey: key, at });
    if (!this.#proxied) {
      this.#withAddresses(host, port, use);
      return;
    }
    const at = hostPort(host, port);
    if (at) this.#do((now) => use(now, at));
    else this.#env.log('bootstrap.unknown-host', { host }); // our resolver is not asked even for odd names
  }

  /** `udp`: DHT nodes answer us. `tcp`: we are logged in at a relay. */
  get connection(): ToxConnection {
    return this.#tox.connection;
  }

  /** Live DHT nodes that we know. */
  get nodes(): number {
    return this.#tox.liveNodes(performance.now());
  }

  /** What this node serves as a relay; undefined if it is none. */
  get relayStats(): RelayStats | undefined {
    return this.#tox.relayStats;
  }

  // Ourselves.

  /** 76 upper-case hexadecimal digits: what to hand out. */
  get toxId(): string {
    return formatToxId(this.#tox.messenger.toxId);
  }

  /** Four bytes, copied; a new one makes the old Tox ID useless for friend requests. Throws `bad-argument`. */
  setNospam(nospam: Uint8Array): void {
    this.#do(() => this.#tox.messenger.setNospam(nospam as Nospam));
  }

  get name(): string {
    return this.#tox.messenger.name;
  }

  /** At most 128 bytes of UTF-8, else `bad-argument`; friends online are told. */
  setName(name: string): void {
    this.#do((now) => this.#tox.messenger.setName(now, name));
  }

  get statusMessage(): string {
    return this.#tox.messenger.statusMessage;
  }

  /** At most 1007 bytes of UTF-8, else `bad-argument`; friends online are told. */
  setStatusMessage(text: string): void {
    this.#do((now) => this.#tox.messenger.setStatusMessage(now, text));
  }

  get status(): UserStatus {
    return this.#tox.messenger.status;
  }

  setStatus(status: UserStatus): void {
    this.#do((now) => this.#tox.messenger.setStatus(now, status));
  }

  /** The profile in the standard format, encrypted if there is a passphrase (that takes about 0.1 s). */
  save(passphrase?: string): Uint8Array {
    const save = this.#tox.save(performance.now());
    return passphrase === undefined ? save : encryptSave(this.#env, save, passphrase);
  }

  // Friends.

  /** At most 256. */
  get friends(): Friend[] {
    return this.#tox.messenger.friends().map((f) => ({ ...f, publicKey: toHex(f.publicKey) }));
  }

  friend(publicKey: PublicKeyHex): Friend | undefined {
    const info = this.#tox.messenger.friend(parseKey(publicKey));
    return info && { ...info, publicKey: toHex(info.publicKey) };
  }

  /**
   * Sends a friend request until it is answered. `message`: 1..921 bytes of UTF-8. Returns the
   * friend's public key. Throws `bad-argument`, `own-id`, `already-friend`, `limit`.
   */
  addFriend(toxId: string, message: string): PublicKeyHex {
    const parsed = parseToxId(toxId);
    if (!parsed.ok) throw new ToxError('bad-argument', `not a Tox ID: wrong ${parsed.reason}`);
    return toHex(this.#do((now) => this.#tox.messenger.addFriend(now, parsed.id, message)));
  }

  /** Makes the key a friend without a request: it asked us, or adds us as well. Throws as `addFriend`. */
  acceptFriend(publicKey: PublicKeyHex): PublicKeyHex {
    return toHex(this.#do((now) => this.#tox.messenger.acceptFriend(now, parseKey(publicKey))));
  }

  /** Tells the friend "offline" and forgets it; its transfers end with their events. */
  removeFriend(publicKey: PublicKeyHex): void {
    this.#do((now) => this.#tox.messenger.removeFriend(now, parseKey(publicKey)));
  }

  // Talking.

  /** Tells one friend whether we are writing to it. */
  setTyping(friend: PublicKeyHex, typing: boolean): void {
    this.#do((now) => this.#tox.messenger.setTyping(now, parseKey(friend), typing));
  }

  /**
   * 1..1372 bytes of UTF-8. Returns the id that the `receipt` event repeats; undefined if there is
   * no room, `writable` follows.
   */
  sendMessage(friend: PublicKeyHex, text: string, action = false): number | undefined {
    return this.#do((now) => this.#tox.messenger.sendMessage(now, parseKey(friend), text, action));
  }

  /** A custom packet, first byte 160..191, 1..1373 bytes. False if there is no room: `writable` follows. */
  sendLossless(friend: PublicKeyHex, data: Uint8Array): boolean {
    return this.#do((now) => this.#tox.messenger.sendLossless(now, parseKey(friend), data));
  }

  /** A custom packet, first byte 200..254, 1..1373 bytes; may get lost. */
  sendLossy(friend: PublicKeyHex, data: Uint8Array): boolean {
    return this.#do((now) => this.#tox.messenger.sendLossy(now, parseKey(friend), data));
  }

  // Files: offer, then write whenever `file-writable` says so; or answer `file-offer`.

  /** `kind` 0 data, 1 avatar; `size` undefined: not known. Throws `limit` with 256 files open. */
  fileSend(friend: PublicKeyHex, offer: Omit<FileOffer, 'fileId'> & { fileId?: Uint8Array }): FileNumber {
    return this.#do((now) => this.#tox.messenger.fileSend(now, parseKey(friend), offer));
  }

  /** How many of the next bytes were taken; if fewer than given, `file-writable` follows. */
  fileWrite(friend: PublicKeyHex, file: FileNumber, data: Uint8Array): number {
    return this.#do((now) => this.#tox.messenger.fileWrite(now, parseKey(friend), file, data));
  }

  /** Ends a stream of unknown size. False: repeat after `file-writable`. */
  fileEnd(friend: PublicKeyHex, file: FileNumber): boolean {
    return this.#do((now) => this.#tox.messenger.fileEnd(now, parseKey(friend), file));
  }

  /** `resume` accepts an offer or lifts our pause; `kill` ends the transfer for good, without an event. */
  fileControl(friend: PublicKeyHex, file: FileNumber, control: 'resume' | 'pause' | 'kill'): void {
    this.#do((now) => this.#tox.messenger.fileControl(now, parseKey(friend), file, control));
  }

  /** Before accepting an offer: start at this byte. */
  fileSeek(friend: PublicKeyHex, file: FileNumber, position: number): void {
    this.#do((now) => this.#tox.messenger.fileSeek(now, parseKey(friend), file, position));
  }

  // The end.

  /** Tells friends that we leave and frees the port. Events may still come until it resolves. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    this.#driver.poke((now) => this.#tox.close(now));
    this.#driver.stop();
    this.#watch.stop();
    this.#names.close();
    await Promise.all([this.#socket?.close(), this.#listener?.close(), this.#streams.close()]);
  }

  /** Calls `use` at once for an address, and for a name when it is resolved, once for each of its addresses. */
  #withAddresses(host: string, port: number, use: (now: Mono, at: Endpoint) => void): void {
    this.#check();
    const found = (addresses: readonly string[]) => {
      for (const address of addresses) {
        const at = endpoint(address, port);
        if (at) this.#driver.poke((now) => use(now, at));
      }
    };
    if (endpoint(host, port)) found([host]);
    else this.#names.resolve(host, found);
  }

  #onNetwork(up: boolean): void {
    this.#env.log('network.changed', { up });
    if (!up) return;
    this.#names.retry();
    this.#driver.poke((now) => this.#tox.networkChanged(now));
  }

  #check(): void {
    if (this.#closing) throw new ToxError('closed', 'this node is closed');
  }

  #do<R>(command: (now: Mono) => R): R {
    this.#check();
    return this.#driver.poke(command);
  }

  #dispatch(event: ToxEvent): void {
    const { type } = event;
    if (this.listenerCount(type) === 0) return;
    const seen =
      'friend' in event
        ? { ...event, friend: this.#hexOf(event.friend) }
        : 'publicKey' in event
          ? { ...event, publicKey: this.#hexOf(event.publicKey) }
          : event;
    // The type of each event's argument is tied to its name; the compiler cannot follow that here.
    (this as EventEmitter).emit(type, seen);
  }

  #hexOf(key: PublicKey): PublicKeyHex {
    let hex = this.#hex.get(key);
    if (hex === undefined) {
      hex = toHex(key);
      this.#hex.set(key, hex);
    }
    return hex;
  }
}

/** Where we reach our own relay. From a loopback address friends conclude that it is where we are (spec: TCP connections). */
function ownRelay(listener: TcpListener, udp: UdpOptions): Endpoint | undefined {
  const host = relayHost(udp);
  const anywhere = host === undefined || host === '::' || host === '0.0.0.0';
  return endpoint(anywhere ? '127.0.0.1' : host, listener.ports[0]!);
}

function relayHost(udp: UdpOptions = {}): string | undefined {
  return udp.host ?? (udp.ipv6 === false ? '0.0.0.0' : undefined);
}

function shuffled<T>(env: Env, items: readonly T[]): T[] {
  const out = [...items];
  for (let i = out.length - 1; i > 0; i--) {
    const j = randomInt(env, i + 1);
    [out[i], out[j]] = [out[j]!, out[i]!];
  }
  return out;
}

function plainSave(save: Uint8Array, passphrase: string | undefined): Uint8Array {
  if (!isEncryptedSave(save)) return save;
  if (passphrase === undefined) throw new ToxError('bad-save', 'this profile needs a passphrase');
  return decryptSave(save, passphrase);
}

/** Its own name is the only one that is resolved here. */
async function findProxy(text: string): Promise<StreamProxy> {
  const address = parseProxy(text);
  if (!address) throw new ToxError('bad-argument', 'a proxy is written socks5://host:port or http://host:port');
  let found = endpoint(address.host, address.port);
  if (!found) {
    const { address: ip } = await lookup(address.host).catch((cause: unknown) => {
      throw new ToxError('bad-argument', `the proxy's name ${address.host} cannot be resolved`, { cause });
    });
    found = endpoint(ip, address.port);
  }
  if (!found) throw new ToxError('bad-argument', `the proxy ${address.host} has no address`);
  return { type: address.type, endpoint: found, credentials: address.credentials };
}

function checkPort(port: number): void {
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new ToxError('bad-argument', `not a port: ${port}`);
}

function parseKey(hex: string): PublicKey {
  const key = fromHex(hex, KEY_SIZE);
  if (!key) throw new ToxError('bad-argument', 'a public key has 64 hexadecimal digits');
  return key as PublicKey;
}
