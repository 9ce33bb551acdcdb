import type { Mono } from '../core/env.ts';
import type { Datagram, Machine } from '../core/machine.ts';
import { type Endpoint, endpoint, endpointAddress } from '../wire/endpoint.ts';
import { type PipeLink, StreamNet } from './byte-pipe.ts';
import { Heap } from './heap.ts';
import { seededRandom } from './random.ts';

/** What the way from one endpoint to another does to datagrams. */
export interface Link {
  /** One way, milliseconds. */
  readonly latencyMs: number;
  /** Added to the latency, uniform in 0..jitterMs: larger than the packet spacing, it reorders. */
  readonly jitterMs?: number;
  /** Fraction of datagrams lost, 0..1. */
  readonly loss?: number;
  /** Fraction of datagrams delivered twice, 0..1. */
  readonly duplicate?: number;
  /** Larger datagrams vanish; bytes. */
  readonly mtu?: number;
}

/** What stands between the machines' own networks: see `Nats`. */
export interface Routers {
  /** The source that the other side sees, decided when a datagram is sent; undefined drops it. */
  leave(now: Mono, from: Endpoint, to: Endpoint): Endpoint | undefined;
  /** The machine a datagram is for, decided when it arrives; undefined drops it. */
  enter(now: Mono, from: Endpoint, to: Endpoint): Endpoint | undefined;
}

export interface WorldEvent<E> {
  readonly at: Mono;
  readonly who: Endpoint;
  readonly event: E;
}

/** Wakes in a row that may leave the machine's deadline in the past. */
const MAX_SPINS = 100;

/** The first further port of a machine. */
const FURTHER_PORTS = 50_000;

interface Arrival {
  readonly at: Mono;
  /** A datagram, something that happens to a stream, or undefined: a deadline of the machine at `to`. */
  readonly what: Uint8Array | (() => void) | undefined;
  readonly from: Endpoint;
  readonly to: Endpoint;
}

/**
 * A whole network in virtual time: time jumps to the next datagram or deadline, so hours pass in
 * milliseconds, and one seed gives one history. All commands to a machine go through `poke`, so
 * its outputs are always drained.
 */
export class World<E> {
  now: Mono = 0;
  /** The way between two endpoints, the sender's own and the one it sends to; undefined cuts it. */
  link: (from: Endpoint, to: Endpoint) => Link | undefined = () => ({ latencyMs: 20, mtu: 2_048 });
  /** The way of byte streams from one machine to another; undefined stalls them, as a cut cable does. */
  pipe: (from: Endpoint, to: Endpoint) => PipeLink | undefined = () => ({ latencyMs: 20 });
  /** Routers that translate addresses; without any, all machines are on one network. */
  routers: Routers | undefined;
  /** Sees every event in order. */
  onEvent: (event: WorldEvent<E>) => void = () => {};
  /** Sees every datagram as it is sent, before loss. */
  tap: ((from: Endpoint, to: Endpoint, data: Uint8Array) => void) | undefined;
  /** Datagrams handed over so far. */
  delivered = 0;

  readonly #machines = new Map<Endpoint, Machine<E>>();
  /** Machines by their further ports, and by which of them a machine reaches a peer: see `Datagram.spread`. */
  readonly #further = new Map<Endpoint, Endpoint>();
  readonly #ways = new Map<string, Endpoint>();
  readonly #wakes = new Map<Endpoint, Mono>();
  readonly #agenda = new Heap<Arrival>();
  readonly #streams: StreamNet;
  readonly #random: () => number;
  readonly #seed: number;
  #events = 0;
  #spins = 0;

  constructor(seed: number) {
    this.#seed = seed;
    this.#random = seededRandom(seed);
    this.#streams = new StreamNet({
      now: () => this.now,
      pipe: (from, to) => this.pipe(from, to),
      machine: (at) => this.#machines.get(at)?.streams,
      schedule: (at, to, what) => this.#agenda.push({ at, what, from: to, to }),
    });
  }

  /** Uniform in 0..1, from the world's seed. */
  random(): number {
    return this.#random();
  }

  add(at: Endpoint, machine: Machine<E>): void {
    this.#machines.set(at, machine);
    this.#drain(at, machine);
  }

  /** From now on the machine at `machine` accepts streams at this TCP endpoint. */
  listen(at: Endpoint, machine: Endpoint): void {
    this.#streams.listen(at, machine);
  }

  /** Breaks the streams between two machines, or all of one: both ends hear of it at once. */
  breakStreams(a: Endpoint, b?: Endpoint): void {
    this.#streams.break(a, b);
  }

  /**
   * The machine vanishes as in a crash: what is on its way to the endpoint is lost, its streams break
   * and its TCP endpoints refuse.
   */
  remove(at: Endpoint): void {
    this.#streams.remove(at);
    this.#machines.delete(at);
    this.#wakes.delete(at);
  }

  /** Runs a command on the machine at `at` and drains its outputs. */
  poke<R>(at: Endpoint, command: () => R): R {
    const machine = this.#machines.get(at);
    if (!machine) throw new Error(`no machine at ${at}`);
    const result = command();
    this.#drain(at, machine);
    return result;
  }

  /** Handles the next arrival or deadline. False if nothing will ever happen again. */
  step(): boolean {
    const next = this.#agenda.pop();
    if (!next) return false;
    this.now = Math.max(this.now, next.at);
    const passes = this.routers && next.what instanceof Uint8Array;
    const local = passes ? this.routers?.enter(this.now, next.from, next.to) : next.to;
    if (!local) return true;
    const at = this.#further.get(local) ?? local;
    if (at !== local) this.#ways.set(`${at} ${next.from}`, local);
    const machine = this.#machines.get(at);
    if (!machine) return true;
    if (typeof next.what === 'function') {
      next.what();
    } else if (next.what) {
      this.delivered++;
      machine.receive(this.now, next.from, next.what);
    } else {
      if (this.#wakes.get(next.to) !== next.at) return true; // superseded
      this.#wakes.delete(next.to);
      machine.wake(this.now);
    }
    this.#drain(at, machine);
    if (!next.what) this.#checkProgress(at);
    return true;
  }

  /**
   * Runs until `done`, at most `limitMs` of virtual time; throws with what is known otherwise. `done`
   * is asked after each event, and otherwise once a millisecond in which something happened.
   */
  runUntil(done: () => boolean, limitMs: number, goal = 'goal'): void {
    const end = this.now + limitMs;
    let asked = Number.NEGATIVE_INFINITY;
    let events = this.#events;
    for (;;) {
      const next = this.#agenda.peek();
      const over = !next || next.at > end;
      if (over || this.#events !== events || next.at - asked >= 1) {
        if (done()) return;
        events = this.#events;
        asked = next?.at ?? end;
      }
      if (over) {
        const state = `t=${Math.round(this.now)} ms, ${this.delivered} datagrams delivered`;
        throw new Error(`${goal} not reached: seed ${this.#seed}, ${state}`);
      }
      this.step();
    }
  }

  runFor(ms: number): void {
    const end = this.now + ms;
    for (let next = this.#agenda.peek(); next && next.at <= end; next = this.#agenda.peek()) this.step();
    this.now = end;
  }

  /** A machine whose deadline stays in the past after `wake` would stop time here, and spin a real processor. */
  #checkProgress(at: Endpoint): void {
    const wake = this.#wakes.get(at);
    if (wake === undefined || wake > this.now) this.#spins = 0;
    else if (++this.#spins > MAX_SPINS)
      throw new Error(`${at} never reaches its deadline: seed ${this.#seed}, t=${wake}`);
  }

  #drain(at: Endpoint, machine: Machine<E>): void {
    for (let d = machine.takeDatagram(); d; d = machine.takeDatagram()) this.#sendAll(at, d);
    const { streams } = machine;
    for (let c = streams?.takeCommand(); c; c = streams?.takeCommand()) this.#streams.run(at, c);
    for (let event = machine.takeEvent(); event !== undefined; event = machine.takeEvent()) {
      this.#events++;
      this.onEvent({ at: this.now, who: at, event });
    }
    const wake = machine.nextWake();
    if (wake === undefined) {
      this.#wakes.delete(at);
    } else if (this.#wakes.get(at) !== wake) {
      this.#wakes.set(at, wake);
      this.#agenda.push({ at: wake, what: undefined, from: at, to: at });
    }
  }

  #sendAll(from: Endpoint, { to, data, spread = 0 }: Datagram): void {
    for (let i = 0; i < spread; i++) {
      const further = endpoint(endpointAddress(from), FURTHER_PORTS + i)!;
      this.#further.set(further, from);
      this.#send(further, to, data);
    }
    const way = this.#ways.size > 0 ? this.#ways.get(`${from} ${to}`) : undefined;
    this.#send(way ?? from, to, data);
  }

  #send(from: Endpoint, to: Endpoint, data: Uint8Array): void {
    this.tap?.(from, to, data);
    if (to.startsWith('255.255.255.255:')) {
      for (const neighbour of this.#neighbours(from, to)) this.#pass(from, from, neighbour, data);
      return;
    }
    const seen = this.routers ? this.routers.leave(this.now, from, to) : from;
    if (seen) this.#pass(from, seen, to, data);
  }

  /** The other machines in the /24 of `from` that listen at the port of `to`. */
  #neighbours(from: Endpoint, to: Endpoint): Endpoint[] {
    const network = from.slice(0, from.lastIndexOf('.') + 1);
    const port = to.slice(to.indexOf(':'));
    return [...this.#machines.keys()].filter((at) => at !== from && at.startsWith(network) && at.endsWith(port));
  }

  #pass(from: Endpoint, seen: Endpoint, to: Endpoint, data: Uint8Array): void {
    const link = this.link(from, to);
    if (!link || data.length > (link.mtu ?? 2_048)) return;
    const copies = this.#random() < (link.duplicate ?? 0) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      if (this.#random() < (link.loss ?? 0)) continue;
      const at = this.now + link.latencyMs + this.#random() * (link.jitterMs ?? 0);
      this.#agenda.push({ at, what: i === 0 ? data : data.slice(), from: seen, to });
    }
  }
}
