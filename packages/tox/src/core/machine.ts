import type { Endpoint } from '../wire/endpoint.ts';
import type { Mono } from './env.ts';

/**
 * A protocol machine: owns no socket, no timer and no clock. After every call that may change it
 * (`receive`, `wake`, one of its streams, or a command of its own) the owner drains `takeDatagram`,
 * the commands of `streams` and `takeEvent` until all are empty, then reads `nextWake`. Bad input is
 * dropped, never thrown.
 */
export interface Machine<Event> {
  receive(now: Mono, from: Endpoint, data: Uint8Array): void;
  /** Some deadline at or before `now` may have passed. Harmless when called early. */
  wake(now: Mono): void;
  /** The earliest deadline, or undefined if nothing is pending. */
  nextWake(): Mono | undefined;
  takeDatagram(): Datagram | undefined;
  takeEvent(): Event | undefined;
  /** Its byte streams (TCP), if it speaks over such. */
  readonly streams?: StreamMachine | undefined;
}

export interface Datagram {
  readonly to: Endpoint;
  readonly data: Uint8Array;
  /**
   * To be sent from so many further local ports as well; the port that an answer comes to is then
   * the way to that endpoint. Only as far as the owner can and likes.
   */
  readonly spread?: number | undefined;
}

/** Where a layer puts datagrams. `data` belongs to the callee from then on. */
export type SendDatagram = (to: Endpoint, data: Uint8Array, spread?: number) => void;

/** One byte stream of one machine, numbered by it; a number is never used again. */
export type StreamId = number & { readonly __stream: true };

/** `host:port` with a host name, which only a proxy may resolve. */
export type HostPort = string & { readonly __hostPort: true };

export type StreamCommand =
  | { readonly type: 'open'; readonly stream: StreamId; readonly to: Endpoint | HostPort }
  /** `data` belongs to the owner of the machine from then on. */
  | { readonly type: 'write'; readonly stream: StreamId; readonly data: Uint8Array }
  /** Sends what was written, as far as the peer takes it soon, and forgets the stream. */
  | { readonly type: 'close'; readonly stream: StreamId }
  /** Nothing more is read from the peer, who so has to wait, until it is resumed. */
  | { readonly type: 'pause' | 'resume'; readonly stream: StreamId };

/** The part of a machine that speaks over byte streams: bytes in order, none lost while a stream lives. */
export interface StreamMachine {
  /** A peer opened a stream to a port on which we listen. Undefined refuses it. */
  accept(now: Mono, from: Endpoint): StreamId | undefined;
  /** A stream that we opened is up. */
  opened(now: Mono, stream: StreamId): void;
  /** The next bytes, in any split; a view, valid during the call only. */
  received(now: Mono, stream: StreamId, bytes: Uint8Array): void;
  /** `queued` of the bytes written wait for the peer: told after a write, if any, and as they get fewer. */
  written(now: Mono, stream: StreamId, queued: number): void;
  /** It broke, ended or could not be opened. Not told for a stream that the machine closed. */
  closed(now: Mono, stream: StreamId): void;
  takeCommand(): StreamCommand | undefined;
}
