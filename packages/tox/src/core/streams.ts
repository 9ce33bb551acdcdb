import type { Endpoint } from '../wire/endpoint.ts';
import type { Mono } from './env.ts';
import { Fifo } from './fifo.ts';
import type { HostPort, StreamCommand, StreamId, StreamMachine } from './machine.ts';

/** What one stream tells whoever uses it; the methods of `StreamMachine`, for this stream. */
export interface StreamHandler {
  opened?(now: Mono): void;
  received(now: Mono, bytes: Uint8Array): void;
  written(now: Mono, queued: number): void;
  closed(now: Mono): void;
}

/** One open stream. After `close`, or once its handler heard `closed`, `write` does nothing. */
export interface Stream {
  /** `data` belongs to the callee from then on. */
  write(data: Uint8Array): void;
  /** Its handler hears nothing any more. */
  close(): void;
  /** Until it is resumed no bytes are received, and the peer has to wait. */
  pause(): void;
  resume(): void;
}

/** Who takes streams that peers open; undefined refuses. The handler may write from then on. */
export type AcceptStream = (now: Mono, from: Endpoint, stream: Stream) => StreamHandler | undefined;

/**
 * All byte streams of one machine: numbers them and tells each handler what happens to its own.
 * BOUNDED by whoever opens and accepts them.
 */
export class Streams implements StreamMachine {
  onAccept: AcceptStream = () => undefined;
  readonly #handlers = new Map<StreamId, StreamHandler>();
  readonly #commands = new Fifo<StreamCommand>();
  #next = 0;

  /** Opens a stream; the handler hears `opened`, or `closed` if that fails. */
  open(to: Endpoint | HostPort, handler: StreamHandler): Stream {
    const id = this.#number();
    this.#handlers.set(id, handler);
    this.#commands.push({ type: 'open', stream: id, to });
    return this.#stream(id);
  }

  accept(now: Mono, from: Endpoint): StreamId | undefined {
    const id = this.#number();
    const handler = this.onAccept(now, from, this.#stream(id));
    if (!handler) return undefined;
    this.#handlers.set(id, handler);
    return id;
  }

  opened(now: Mono, stream: StreamId): void {
    this.#handlers.get(stream)?.opened?.(now);
  }

  received(now: Mono, stream: StreamId, bytes: Uint8Array): void {
    this.#handlers.get(stream)?.received(now, bytes);
  }

  written(now: Mono, stream: StreamId, queued: number): void {
    this.#handlers.get(stream)?.written(now, queued);
  }

  closed(now: Mono, stream: StreamId): void {
    const handler = this.#handlers.get(stream);
    this.#handlers.delete(stream);
    handler?.closed(now);
  }

  takeCommand(): StreamCommand | undefined {
    return this.#commands.shift();
  }

  #number(): StreamId {
    return this.#next++ as StreamId;
  }

  #stream(id: StreamId): Stream {
    return {
      write: (data) => {
        if (this.#handlers.has(id)) this.#commands.push({ type: 'write', stream: id, data });
      },
      close: () => {
        if (this.#handlers.delete(id)) this.#commands.push({ type: 'close', stream: id });
      },
      pause: () => this.#commands.push({ type: 'pause', stream: id }),
      resume: () => this.#commands.push({ type: 'resume', stream: id }),
    };
  }
}
