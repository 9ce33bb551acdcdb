import type { Mono } from '../core/env.ts';
import type { StreamCommand, StreamId, StreamMachine } from '../core/machine.ts';
import { type Endpoint, endpoint, endpointAddress } from '../wire/endpoint.ts';

/** What the way from one machine to another does to byte streams: bytes come late, never lost or out of order. */
export interface PipeLink {
  /** One way, milliseconds. */
  readonly latencyMs: number;
  /** Bytes per ms; unlimited if absent. */
  readonly rate?: number;
}

/** What the streams need of the world. */
export interface StreamWorld {
  now(): Mono;
  pipe(from: Endpoint, to: Endpoint): PipeLink | undefined;
  machine(at: Endpoint): StreamMachine | undefined;
  /** Something happens to the machine at `to`, whose outputs are drained afterwards. */
  schedule(at: Mono, to: Endpoint, what: () => void): void;
}

/** As in `node/tcp.ts`; ms. */
const CONNECT_TIMEOUT = 10_000;
/** A stalled way is tried again after this; ms. */
const RETRY = 100;
/** The system takes so many bytes beyond what is on the way. */
const SOCKET_BUFFER = 65_536;
/** Bytes that travel together. */
const SEGMENT = 16_384;
const FIRST_EPHEMERAL_PORT = 49_152;

/** One end of a stream, and the way from it to the other end. */
interface End {
  readonly at: Endpoint;
  readonly id: StreamId;
  peer: End | undefined;
  /** The machine does not want to hear of it any more, or heard that it is over. */
  closed: boolean;
  waiting: Uint8Array[];
  waitingBytes: number;
  /** The end of what it sends is in line behind `waiting`. */
  ending: boolean;
  pumping: boolean;
  /** The way is busy until then. */
  busyUntil: Mono;
  /** What was sent last arrives then. */
  arrivesAt: Mono;
  paused: boolean;
  /** What was under way when it was paused, and arrived. */
  held: Uint8Array[];
}

/** All byte streams of a simulated world. */
export class StreamNet {
  readonly #world: StreamWorld;
  /** Machines by the TCP endpoints on which they listen. */
  readonly #listeners = new Map<Endpoint, Endpoint>();
  readonly #ends = new Map<Endpoint, Map<StreamId, End>>();
  #ports = 0;

  constructor(world: StreamWorld) {
    this.#world = world;
  }

  listen(at: Endpoint, machine: Endpoint): void {
    this.#listeners.set(at, machine);
  }

  run(at: Endpoint, command: StreamCommand): void {
    if (command.type === 'open') {
      this.#open(at, command.stream, command.to as Endpoint);
      return;
    }
    const end = this.#ends.get(at)?.get(command.stream);
    if (!end) return;
    if (command.type === 'write') {
      end.waiting.push(command.data);
      end.waitingBytes += command.data.length;
    } else if (command.type === 'close') {
      this.#forget(end);
      end.ending = true;
    } else {
      this.#pause(end, command.type === 'pause');
    }
    this.#pump(end);
  }

  break(a: Endpoint, b: Endpoint | undefined): void {
    for (const end of [...(this.#ends.get(a)?.values() ?? [])]) {
      if (b !== undefined && end.peer?.at !== b) continue;
      this.#tellClosed(end, this.#world.now());
      if (end.peer) this.#tellClosed(end.peer, this.#world.now());
    }
  }

  remove(at: Endpoint): void {
    for (const [listener, machine] of this.#listeners) if (machine === at) this.#listeners.delete(listener);
    for (const end of this.#ends.get(at)?.values() ?? []) {
      end.closed = true; // another machine may use the endpoint, and the same numbers
      if (end.peer) this.#tellClosed(end.peer, this.#world.now());
    }
    this.#ends.delete(at);
  }

  #open(at: Endpoint, id: StreamId, to: Endpoint): void {
    const world = this.#world;
    const end = this.#add(at, id);
    const machine = this.#listeners.get(to);
    const way = machine === undefined ? { latencyMs: 0 } : world.pipe(at, machine);
    const back = machine === undefined ? way : world.pipe(machine, at);
    if (!way || !back) {
      this.#tellClosed(end, world.now() + CONNECT_TIMEOUT);
      return;
    }
    const arrival = world.now() + way.latencyMs;
    if (machine === undefined || !world.machine(machine)) {
      this.#tellClosed(end, arrival + back.latencyMs);
      return;
    }
    const from = endpoint(endpointAddress(at), FIRST_EPHEMERAL_PORT + (this.#ports++ % 16_384))!;
    world.schedule(arrival, machine, () => {
      if (end.closed) return;
      const accepted = world.machine(machine)?.accept(world.now(), from);
      if (accepted === undefined) {
        this.#tellClosed(end, arrival + back.latencyMs);
        return;
      }
      const other = this.#add(machine, accepted);
      other.peer = end;
      end.peer = other;
      world.schedule(arrival + back.latencyMs, at, () => {
        if (!end.closed) world.machine(at)?.opened(world.now(), id);
      });
      other.arrivesAt = arrival + back.latencyMs; // what it writes at once arrives after `opened`
      this.#pump(end);
    });
  }

  #add(at: Endpoint, id: StreamId): End {
    const end: End = {
      at,
      id,
      peer: undefined,
      closed: false,
      waiting: [],
      waitingBytes: 0,
      ending: false,
      pumping: false,
      busyUntil: 0,
      arrivesAt: 0,
      paused: false,
      held: [],
    };
    let ends = this.#ends.get(at);
    if (!ends) {
      ends = new Map();
      this.#ends.set(at, ends);
    }
    ends.set(id, end);
    return end;
  }

  /** Sends what the way takes, and comes back for the rest. */
  #pump(end: End): void {
    const world = this.#world;
    const { peer } = end;
    if (!peer || end.pumping) return;
    let again: Mono | undefined;
    while (end.waitingBytes > 0 || end.ending) {
      const way = world.pipe(end.at, peer.at);
      const now = world.now();
      const rate = way?.rate ?? Number.POSITIVE_INFINITY;
      const ready = end.busyUntil - SOCKET_BUFFER / rate;
      const stalled = !way || peer.paused;
      if (stalled || ready > now) {
        again = stalled ? now + RETRY : ready;
        break;
      }
      const segment = takeSegment(end);
      end.busyUntil = Math.max(now, end.busyUntil) + segment.length / rate;
      end.arrivesAt = Math.max(end.arrivesAt, end.busyUntil + way.latencyMs);
      if (segment.length > 0) {
        world.schedule(end.arrivesAt, peer.at, () => {
          if (peer.paused || peer.held.length > 0) peer.held.push(segment);
          else if (!peer.closed) world.machine(peer.at)?.received(world.now(), peer.id, segment);
        });
      } else {
        end.ending = false;
        this.#tellClosed(peer, end.arrivesAt);
      }
    }
    if (again !== undefined) {
      end.pumping = true;
      world.schedule(again, end.at, () => {
        end.pumping = false;
        this.#pump(end);
        if (end.waitingBytes === 0) this.#tellQueued(end);
      });
    }
    if (end.waitingBytes > 0) world.schedule(world.now(), end.at, () => this.#tellQueued(end));
  }

  #pause(end: End, paused: boolean): void {
    end.paused = paused;
    if (!paused && end.held.length > 0) this.#world.schedule(this.#world.now(), end.at, () => this.#deliverHeld(end));
  }

  #deliverHeld(end: End): void {
    const world = this.#world;
    const segment = end.paused ? undefined : end.held.shift();
    if (!segment || end.closed) return;
    if (end.held.length > 0) world.schedule(world.now(), end.at, () => this.#deliverHeld(end));
    world.machine(end.at)?.received(world.now(), end.id, segment);
  }

  #tellQueued(end: End): void {
    if (!end.closed) this.#world.machine(end.at)?.written(this.#world.now(), end.id, end.waitingBytes);
  }

  #tellClosed(end: End, at: Mono): void {
    this.#world.schedule(at, end.at, () => {
      if (end.closed) return;
      if (end.held.length > 0) {
        this.#tellClosed(end, this.#world.now() + RETRY);
        return;
      }
      this.#forget(end);
      this.#world.machine(end.at)?.closed(this.#world.now(), end.id);
    });
  }

  #forget(end: End): void {
    end.closed = true;
    this.#ends.get(end.at)?.delete(end.id);
  }
}

/** Up to `SEGMENT` bytes of what waits; none if only the end is left. */
function takeSegment(end: End): Uint8Array {
  const parts: Uint8Array[] = [];
  let size = 0;
  while (size < SEGMENT && end.waiting.length > 0) {
    const first = end.waiting[0]!;
    const part = first.subarray(0, SEGMENT - size);
    size += part.length;
    parts.push(part);
    if (part.length === first.length) end.waiting.shift();
    else end.waiting[0] = first.subarray(part.length);
  }
  end.waitingBytes -= size;
  return Buffer.concat(parts);
}
