import type { Endpoint } from '../wire/endpoint.ts';
import type { Mono } from './env.ts';

/**
 * A protocol machine: owns no socket, no timer and no clock. After every call that may change it
 * (`receive`, `wake`, or a command of its own) the owner drains `takeDatagram` and `takeEvent`
 * until both are empty, then reads `nextWake`. Bad input is dropped, never thrown.
 */
export interface Machine<Event> {
  receive(now: Mono, from: Endpoint, data: Uint8Array): void;
  /** Some deadline at or before `now` may have passed. Harmless when called early. */
  wake(now: Mono): void;
  /** The earliest deadline, or undefined if nothing is pending. */
  nextWake(): Mono | undefined;
  takeDatagram(): Datagram | undefined;
  takeEvent(): Event | undefined;
}

export interface Datagram {
  readonly to: Endpoint;
  readonly data: Uint8Array;
}

/** Where a layer puts datagrams. `data` belongs to the callee from then on. */
export type SendDatagram = (to: Endpoint, data: Uint8Array) => void;
