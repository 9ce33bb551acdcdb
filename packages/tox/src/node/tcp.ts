import net from 'node:net';
import type { HostPort, StreamCommand, StreamId } from '../core/machine.ts';
import { type Endpoint, endpoint, endpointAddress, endpointPort } from '../wire/endpoint.ts';

/** What happens to streams; the owner passes it on to the machine's `StreamMachine`. */
export interface StreamEvents {
  accept(from: Endpoint): StreamId | undefined;
  opened(stream: StreamId): void;
  received(stream: StreamId, bytes: Uint8Array): void;
  written(stream: StreamId, queued: number): void;
  closed(stream: StreamId): void;
}

/** What a driver needs of byte streams. */
export interface StreamSockets {
  events: StreamEvents;
  /** Of one machine, in its order. */
  run(command: StreamCommand): void;
  /** After a batch of commands: sends what they wrote. */
  flush(): void;
}

/** c-toxcore's TCP_CONNECTION_TIMEOUT; ms. */
const CONNECT_TIMEOUT = 10_000;
/** What was written before a close may take so long to leave; ms. */
const LINGER = 2_000;

interface TcpStream {
  readonly id: StreamId;
  readonly socket: net.Socket;
  /** As last told by `written`. */
  queued: number;
}

/**
 * The TCP sockets of one machine. Nothing is buffered here but what the machine wrote and the peer
 * does not take yet, which the machine is told, to bound it.
 */
export class TcpStreams implements StreamSockets {
  events: StreamEvents = NOBODY;
  readonly #streams = new Map<StreamId, TcpStream>();
  /** Written to since the last `flush`. */
  readonly #corked = new Set<TcpStream>();
  #flushing = false;
  /** Closed by the machine, but not gone yet. */
  readonly #leaving = new Set<net.Socket>();

  run(command: StreamCommand): void {
    if (command.type === 'open') {
      this.#open(command.stream, command.to);
      return;
    }
    const stream = this.#streams.get(command.stream);
    if (!stream) return;
    if (command.type === 'write') this.#write(stream, command.data);
    else if (command.type === 'close') this.#leave(stream);
    else if (command.type === 'pause') stream.socket.pause();
    else stream.socket.resume();
  }

  flush(): void {
    if (this.#flushing) return; // the machine wrote more as it was told: the loop below comes to it
    this.#flushing = true;
    for (const stream of this.#corked) {
      stream.socket.uncork();
      this.#corked.delete(stream);
      const queued = stream.socket.writableLength;
      if (queued === 0 && stream.queued === 0) continue;
      stream.queued = queued;
      if (this.#streams.has(stream.id)) this.events.written(stream.id, queued);
    }
    this.#flushing = false;
  }

  /** Takes over a socket that a peer opened. Destroys it if the machine does not want it. */
  adopt(socket: net.Socket): void {
    const from = endpoint(socket.remoteAddress ?? '', socket.remotePort ?? 0);
    const id = from && this.events.accept(from);
    if (id === undefined) {
      socket.on('error', () => {});
      socket.destroy();
    } else {
      this.#add(id, socket);
    }
  }

  /** Ends all streams; what was written leaves within the linger time or is lost. */
  async close(): Promise<void> {
    this.flush();
    for (const stream of [...this.#streams.values()]) this.#leave(stream);
    const gone = [...this.#leaving].map((socket) => new Promise<void>((done) => socket.once('close', () => done())));
    await Promise.all(gone);
  }

  #open(id: StreamId, to: Endpoint | HostPort): void {
    const host = endpointAddress(to as Endpoint);
    const socket = new net.Socket();
    const stream = this.#add(id, socket);
    if (net.isIP(host) === 0) {
      socket.destroy();
      return;
    }
    socket.connect({ host, port: endpointPort(to as Endpoint) });
    const timer = setTimeout(() => this.#over(stream), CONNECT_TIMEOUT);
    socket.once('close', () => clearTimeout(timer));
    socket.once('connect', () => {
      clearTimeout(timer);
      if (this.#streams.has(id)) this.events.opened(id);
    });
  }

  #add(id: StreamId, socket: net.Socket): TcpStream {
    const stream: TcpStream = { id, socket, queued: 0 };
    this.#streams.set(id, stream);
    socket.setNoDelay(true); // frames of one turn leave together anyway, by `flush`
    socket.on('error', () => {}); // 'close' follows
    socket.on('data', (data: Buffer) => {
      if (this.#streams.has(id)) this.events.received(id, new Uint8Array(data.buffer, data.byteOffset, data.length));
    });
    socket.on('end', () => this.#over(stream));
    socket.on('close', () => this.#over(stream));
    return stream;
  }

  #write(stream: TcpStream, data: Uint8Array): void {
    const { socket } = stream;
    if (!this.#corked.has(stream)) {
      this.#corked.add(stream);
      socket.cork();
    }
    socket.write(data, () => {
      const queued = socket.writableLength;
      if (queued >= stream.queued || !this.#streams.has(stream.id)) return;
      stream.queued = queued;
      this.events.written(stream.id, queued);
    });
  }

  /** The machine is done with it. */
  #leave(stream: TcpStream): void {
    const { socket } = stream;
    this.#forget(stream);
    if (socket.destroyed) return;
    if (socket.connecting) {
      socket.destroy();
      return;
    }
    this.#leaving.add(socket);
    const timer = setTimeout(() => socket.destroy(), LINGER);
    socket.once('close', () => {
      clearTimeout(timer);
      this.#leaving.delete(socket);
    });
    socket.destroySoon();
  }

  /** The peer is done with it, or the way to it. */
  #over(stream: TcpStream): void {
    stream.socket.destroy();
    if (!this.#streams.has(stream.id)) return;
    this.#forget(stream);
    this.events.closed(stream.id);
  }

  #forget(stream: TcpStream): void {
    this.#streams.delete(stream.id);
    if (this.#corked.delete(stream)) stream.socket.uncork();
  }
}

const NOBODY: StreamEvents = {
  accept: () => undefined,
  opened: () => {},
  received: () => {},
  written: () => {},
  closed: () => {},
};
