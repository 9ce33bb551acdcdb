import dgram from 'node:dgram';
import { BoundedMap } from '../core/bounded-map.ts';
import { ToxError } from '../core/errors.ts';
import { type Endpoint, endpoint, endpointAddress, endpointPort, isIp6 } from '../wire/endpoint.ts';
import { localAddresses } from './interfaces.ts';
import { UdpFan } from './udp-fan.ts';

export interface UdpOptions {
  /**
   * Port to bind; 0 lets the system choose. Default: the first free one of 33445..33545, the range
   * in which Tox nodes look for each other.
   */
  readonly port?: number | undefined;
  /** Address to bind; default all addresses of this machine. */
  readonly host?: string | undefined;
  /** Whether to speak IPv6 beside IPv4 (one dual-stack socket). Default true, if the machine can. */
  readonly ipv6?: boolean | undefined;
}

const FIRST_PORT = 33_445;
const LAST_PORT = 33_545;
/** What c-toxcore asks for too; the kernel may grant less (net.core.rmem_max). Bytes. */
const SOCKET_BUFFER = 2 * 1024 * 1024;

/** Link-local neighbours of IPv6 whose interface is remembered. */
const ZONES = 256;

/** The one UDP socket of a node: datagrams in and out by `Endpoint`. */
export class UdpSocket {
  onDatagram: (from: Endpoint, data: Uint8Array) => void = () => {};

  readonly #socket: dgram.Socket;
  readonly #dual: boolean;
  // The peer heard last: a stream of datagrams comes from one source, and parsing an address
  // costs more than comparing it.
  #lastAddress = '';
  #lastPort = 0;
  #last: Endpoint | undefined;
  #lastTo: Endpoint | undefined;
  #lastToAddress = '';
  #lastToPort = 0;
  /** BOUNDED. By which interface a link-local address is to be reached. */
  readonly #zones = new BoundedMap<string, string>(ZONES);
  readonly #fan: UdpFan;

  private constructor(socket: dgram.Socket, dual: boolean, host: string | undefined) {
    this.#socket = socket;
    this.#dual = dual;
    this.#fan = new UdpFan(host === '::' ? undefined : host, (from, data) => this.onDatagram(from, data));
    socket.on('error', () => {}); // a datagram that cannot be sent is a lost datagram
    socket.on('message', (data, from) => {
      const source = this.#source(from.address, from.port);
      if (source && !this.#fan.isEmpty) this.#fan.heardElsewhere(source);
      // A plain array over the same bytes: what `slice` of a Buffer gives is no copy.
      if (source) this.onDatagram(source, new Uint8Array(data.buffer, data.byteOffset, data.length));
    });
  }

  /** Throws `ToxError` port-in-use if no wanted port is free. */
  static async open(options: UdpOptions): Promise<UdpSocket> {
    const wantsIp6 = options.ipv6 !== false && (options.host === undefined || options.host.includes(':'));
    if (wantsIp6) {
      try {
        return await UdpSocket.#openFamily('udp6', options);
      } catch (error) {
        if (options.host !== undefined || error instanceof ToxError) throw error;
      }
    }
    return await UdpSocket.#openFamily('udp4', options);
  }

  static async #openFamily(type: 'udp4' | 'udp6', options: UdpOptions): Promise<UdpSocket> {
    const first = options.port ?? FIRST_PORT;
    const last = options.port ?? LAST_PORT;
    for (let port = first; port <= last; port++) {
      const socket = dgram.createSocket({
        type,
        ipv6Only: false,
        // Addresses are numeric already; the default look-up would cost a tick per datagram.
        lookup: (address, _options, callback) => callback(null, address, type === 'udp6' ? 6 : 4),
      });
      try {
        await bound(socket, port, options.host);
      } catch (error) {
        socket.close();
        if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
        continue;
      }
      growBuffers(socket);
      socket.setBroadcast(true);
      return new UdpSocket(socket, type === 'udp6', options.host);
    }
    const range = first === last ? `UDP port ${first} is` : `UDP ports ${first} to ${last} are all`;
    throw new ToxError('port-in-use', `${range} in use`);
  }

  get port(): number {
    return this.#socket.address().port;
  }

  /**
   * To `255.255.255.255` and `ff02::1` means: to everybody in each local network. With `spread`, from
   * so many further ports, too.
   */
  send(to: Endpoint, data: Uint8Array, spread?: number): void {
    if (spread) this.#fan.spread(to, data, spread);
    const way = this.#fan.isEmpty ? undefined : this.#fan.route(to);
    if (way) {
      way.send(data, endpointPort(to), endpointAddress(to));
      return;
    }
    if (to !== this.#lastTo) {
      if (to.startsWith('255.255.255.255:') || to.startsWith('[ff02::1]:')) {
        this.#sendToAll(to, data);
        return;
      }
      const ip6 = isIp6(to);
      if (ip6 && !this.#dual) return;
      this.#lastTo = to;
      this.#lastToAddress = this.#systemAddress(endpointAddress(to), ip6);
      this.#lastToPort = endpointPort(to);
    }
    this.#socket.send(data, this.#lastToPort, this.#lastToAddress);
  }

  #sendToAll(to: Endpoint, data: Uint8Array): void {
    const port = endpointPort(to);
    if (!isIp6(to)) {
      const networks = localAddresses().flatMap((each) => each.broadcast ?? []);
      for (const address of new Set(networks)) this.#socket.send(data, port, this.#systemAddress(address, false));
    } else if (this.#dual) {
      const linkLocal = localAddresses().filter((each) => each.family === 'IPv6' && each.address.startsWith('fe80:'));
      for (const each of linkLocal) this.#socket.send(data, port, `ff02::1%${each.interface}`);
    }
  }

  #systemAddress(address: string, ip6: boolean): string {
    if (!ip6) return this.#dual ? `::ffff:${address}` : address;
    const zone = address.startsWith('fe80:') && this.#zones.peek(address);
    return zone ? address + zone : address;
  }

  async close(): Promise<void> {
    this.#fan.close();
    await new Promise<void>((done) => this.#socket.close(done));
  }

  #source(address: string, port: number): Endpoint | undefined {
    if (address !== this.#lastAddress || port !== this.#lastPort) {
      this.#lastAddress = address;
      this.#lastPort = port;
      const zone = address.indexOf('%'); // link-local: the zone is the host's own business
      this.#last = endpoint(zone < 0 ? address : address.slice(0, zone), port);
      if (zone >= 0 && this.#last) this.#zones.set(endpointAddress(this.#last), address.slice(zone));
    }
    return this.#last;
  }
}

function bound(socket: dgram.Socket, port: number, address: string | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({ port, address, exclusive: true }, () => {
      socket.off('error', reject);
      resolve();
    });
  });
}

function growBuffers(socket: dgram.Socket): void {
  try {
    socket.setRecvBufferSize(SOCKET_BUFFER);
    socket.setSendBufferSize(SOCKET_BUFFER);
  } catch {
    // Some systems refuse instead of granting less; the default then has to do.
  }
}
