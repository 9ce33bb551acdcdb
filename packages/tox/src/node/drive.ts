import type { Mono } from '../core/env.ts';
import type { Machine, SendDatagram, StreamMachine } from '../core/machine.ts';
import type { Endpoint } from '../wire/endpoint.ts';
import type { StreamSockets } from './tcp.ts';

/** setTimeout counts whole milliseconds and fires immediately beyond this many. */
const LONGEST_SLEEP = 2 ** 31 - 1;

/** What a driver needs of a socket. A datagram that cannot be sent is lost, silently. */
export interface DatagramSocket {
  onDatagram: (from: Endpoint, data: Uint8Array) => void;
  readonly send: SendDatagram;
}

export interface Sockets {
  readonly datagrams?: DatagramSocket | undefined;
  readonly streams?: StreamSockets | undefined;
}

/**
 * Binds one machine to its sockets, the real clock and one timer. The only code besides the
 * simulated world that may call a machine; all commands go through `poke`, those of event listeners
 * too. Events are told one at a time: what a listener causes is told after it has returned.
 */
export class Driver<Event> {
  readonly #machine: Machine<Event>;
  readonly #datagrams: DatagramSocket | undefined;
  readonly #streams: StreamSockets | undefined;
  readonly #onEvent: (event: Event) => void;
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #settling: NodeJS.Immediate | undefined;
  #dispatching = false;
  #stopped = false;

  constructor(machine: Machine<Event>, sockets: Sockets, onEvent: (event: Event) => void) {
    this.#machine = machine;
    this.#datagrams = sockets.datagrams;
    this.#streams = sockets.streams;
    this.#onEvent = onEvent;
    if (sockets.datagrams) {
      sockets.datagrams.onDatagram = (from, data) => {
        if (this.#stopped) return;
        machine.receive(performance.now(), from, data);
        this.#drain();
      };
    }
    if (sockets.streams && machine.streams) this.#listen(sockets.streams, machine.streams);
    this.#drain();
  }

  /** Runs a command with the present time and sends what came of it. */
  poke<R>(command: (now: Mono) => R): R {
    try {
      return command(performance.now());
    } finally {
      this.#drain();
    }
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    clearImmediate(this.#settling);
  }

  #listen(sockets: StreamSockets, machine: StreamMachine): void {
    const tell = <R>(event: (now: Mono) => R): R | undefined => (this.#stopped ? undefined : this.poke(event));
    sockets.events = {
      accept: (from) => tell((now) => machine.accept(now, from)),
      opened: (stream) => tell((now) => machine.opened(now, stream)),
      received: (stream, bytes) => tell((now) => machine.received(now, stream, bytes)),
      written: (stream, queued) => tell((now) => machine.written(now, stream, queued)),
      closed: (stream) => tell((now) => machine.closed(now, stream)),
    };
  }

  #drain(): void {
    const machine = this.#machine;
    for (let d = machine.takeDatagram(); d; d = machine.takeDatagram()) this.#datagrams?.send(d.to, d.data, d.spread);
    if (machine.streams && this.#streams) this.#drainStreams(machine.streams, this.#streams);
    // One repaired gap gives thousands of events; a listener that answers each of them must not nest as deep.
    if (!this.#dispatching) this.#dispatch();
    // Many datagrams arrive in one turn of the event loop; the timer is set once, after them.
    if (!this.#settling && !this.#stopped) this.#settling = setImmediate(() => this.#settle());
  }

  #drainStreams(machine: StreamMachine, sockets: StreamSockets): void {
    let command = machine.takeCommand();
    if (!command) return;
    for (; command; command = machine.takeCommand()) sockets.run(command);
    sockets.flush();
  }

  #dispatch(): void {
    const machine = this.#machine;
    this.#dispatching = true;
    for (let event = machine.takeEvent(); event !== undefined; event = machine.takeEvent()) {
      try {
        this.#onEvent(event);
      } catch (error) {
        // A listener's mistake must not leave the machine half drained; it surfaces as uncaught.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
    this.#dispatching = false;
  }

  #settle(): void {
    this.#settling = undefined;
    const at = this.#machine.nextWake() ?? Number.POSITIVE_INFINITY;
    if (at === this.#timerAt && this.#timer) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#timerAt = at;
    if (at === Number.POSITIVE_INFINITY) return;
    const sleep = Math.min(Math.max(0, Math.ceil(at - performance.now())), LONGEST_SLEEP);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#machine.wake(performance.now());
      this.#drain();
    }, sleep);
  }
}
