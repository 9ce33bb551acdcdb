import type { Env, Mono } from '../core/env.ts';
import { Fifo } from '../core/fifo.ts';
import { sameBytes } from '../crypto/keys.ts';
import { encodeRelayPacket, PING_ID_SIZE, RELAY_PING } from '../packet/relay.ts';
import { FRAME_OVERHEAD, FrameSealer } from './frame.ts';
import type { RelaySession } from './handshake.ts';

// Ours. Bytes.
/**
 * What a peer may be sent that it has not read. c-toxcore reads a frame only once the system holds all of
 * it, and Linux frees received memory only in large pieces: a peer whose receive buffer (128 KiB at
 * first, half of it overhead) is flooded waits for the rest of a frame that there is no room for, for ever.
 */
const MIN_WINDOW = 48 * 1_024;
/**
 * On a long way more is under way at any time, and the buffers of both systems have grown with it. But a peer on the same
 * machine takes up to 50 ms, too, if it looks at its sockets no more often, as c-toxcore does (tox-bootstrapd: 30 ms).
 */
const WINDOW_PER_MS = 20 * 1_024;
const LOOK_INTERVAL = 50;
const MAX_WINDOW = 1_024 * 1_024;
/** After so much a ping follows, whose answer tells that all before it was read. */
const MARK_EVERY = 12 * 1_024;

interface Mark {
  readonly id: Uint8Array;
  /** Bytes up to and with it, of all that were ever sealed. */
  readonly upTo: number;
  left: boolean;
  /** When it left, if that is known. */
  at: Mono | undefined;
}

/** A ping id: never all zero. */
export function newPingId(env: Env): Uint8Array {
  const id = env.random(PING_ID_SIZE);
  id[0]! |= 1;
  return id;
}

/**
 * Packets on their way to one peer. Data is sealed as fast as the peer reads, control packets at once, so
 * that these never wait behind data. Its owner bounds what waits by the limits that it gives.
 */
export class Outbox {
  readonly #env: Env;
  readonly #sealer: FrameSealer;
  /** Data that the peer is to get later. BOUNDED by the owner's limits. */
  readonly #waiting = new Fifo<Uint8Array>();
  #waitingBytes = 0;
  /** Pings that went out among the frames, in order, until they are answered. BOUNDED: by the window. */
  readonly #marks: Mark[] = [];
  /** Of all bytes of frames ever: sealed, and read by the peer. */
  #sealed = 0;
  #read = 0;
  #marked = 0;
  #below = 0;
  #shortestTrip: number | undefined;

  constructor(env: Env, session: RelaySession) {
    this.#env = env;
    this.#sealer = new FrameSealer(session.key, session.sendNonce);
  }

  /** Bytes that wait here and in the stream. */
  get queued(): number {
    return this.#waitingBytes + this.#sealer.queued + this.#below;
  }

  /** Whether a packet of this size may be pushed with this limit. */
  fits(size: number, limit: number): boolean {
    return this.queued + size + FRAME_OVERHEAD <= limit;
  }

  /** A packet that goes before all data that waits. False: more than `limit` bytes would wait even so. */
  pushControl(packet: Uint8Array, limit: number): boolean {
    if (this.queued - this.#waitingBytes + packet.length + FRAME_OVERHEAD > limit) return false;
    this.#seal(packet);
    return true;
  }

  /** Data, in the order of the calls; copied if need be. False: more than `limit` bytes would wait then. */
  pushData(packet: Uint8Array, limit: number): boolean {
    if (!this.fits(packet.length, limit)) return false;
    if (this.#waiting.size === 0 && this.#isOpen(packet)) {
      this.#sealData(packet);
    } else {
      this.#waiting.push(packet.slice());
      this.#waitingBytes += packet.length + FRAME_OVERHEAD;
    }
    return true;
  }

  /** What is to be written to the stream now; the caller's. `now`: if it is known. */
  take(now: Mono | undefined): Uint8Array | undefined {
    for (let next = this.#waiting.peek(); next && this.#isOpen(next); next = this.#waiting.peek()) {
      this.#waiting.shift();
      this.#waitingBytes -= next.length + FRAME_OVERHEAD;
      this.#sealData(next);
    }
    for (let i = this.#marks.length - 1; i >= 0 && !this.#marks[i]!.left; i--) {
      this.#marks[i]!.left = true;
      this.#marks[i]!.at = now;
    }
    return this.#sealer.take();
  }

  /** The answer to a ping: all that left before it was read. Some answers may be missing. False: no ping of ours. */
  answered(now: Mono, id: Uint8Array): boolean {
    const found = this.#marks.findIndex((mark) => mark.left && sameBytes(mark.id, id));
    const mark = this.#marks[found];
    if (!mark) return false;
    this.#marks.splice(0, found + 1);
    this.#read = mark.upTo;
    if (mark.at !== undefined) this.#shortestTrip = Math.min(now - mark.at, this.#shortestTrip ?? now - mark.at);
    return true;
  }

  /** So much of what the stream was handed waits in it. */
  written(queued: number): void {
    this.#below = queued;
  }

  #isOpen(packet: Uint8Array): boolean {
    const window = Math.min(
      MAX_WINDOW,
      Math.max(MIN_WINDOW, ((this.#shortestTrip ?? 0) - LOOK_INTERVAL) * WINDOW_PER_MS),
    );
    return this.#sealed - this.#read + packet.length + FRAME_OVERHEAD <= window;
  }

  #sealData(packet: Uint8Array): void {
    this.#seal(packet);
    if (this.#sealed - this.#marked < MARK_EVERY) return;
    const id = newPingId(this.#env);
    this.#seal(encodeRelayPacket({ kind: RELAY_PING, pingId: id }));
    this.#marked = this.#sealed;
    this.#marks.push({ id, upTo: this.#sealed, left: false, at: undefined });
  }

  #seal(packet: Uint8Array): void {
    this.#sealer.push(packet);
    this.#sealed += packet.length + FRAME_OVERHEAD;
  }
}
