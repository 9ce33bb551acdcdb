import type { Mono } from '../core/env.ts';
import type { AckSample, Congestion } from './congestion.ts';
import { type RequestReader, readRequest, SendWindow, type SentPacket, WINDOW_SIZE } from './packet-window.ts';

/** Where packets leave: the connection, which numbers, seals and sends them. */
export interface PacketSink {
  transmit(number: number, data: Uint8Array): void;
  /** A packet request, whose number tells the peer how far we have sent. */
  transmitRequest(now: Mono): void;
  /** 0: the way takes packets. Else after how many ms to ask again. */
  holdUp(): number;
}

// Ours.
/** Packets that bulk sources may queue ahead of the congestion window. */
const QUEUE_AHEAD = 256;
/** A refused source is called again when so many may be queued: a fraction, and at most this. */
const WRITABLE_STEP = 64;
/** Longest time worth of packets that leave in one go, ms; and limits of such a burst, packets. */
const BURST_TIME = 4;
const MIN_BURST = 16;
const MAX_BURST = 192;
/** The first burst of a session; half of what a default socket buffer takes. */
const INITIAL_BURST = 64;
/** Spacing of bursts while pacing, ms: what timers manage. */
const PACE_STEP = 1;
/**
 * Silence after which the tail is probed: lower and upper limit, ms. The wait grows fourfold, since
 * an idle c-toxcore acknowledges only each second.
 */
const MIN_PROBE_TIMEOUT = 50;
const MAX_PROBE_TIMEOUT = 2_000;
const DEFAULT_ROUND_TRIP = 200;
/** No answer for so long, although packets are under way: what answers then may be another path; ms. */
const OUTAGE = 2_000;

/**
 * The sending half of a session: window, pacing, loss detection and retransmission.
 *
 * Loss: a packet that the peer's request names as missing is lost once a packet sent clearly later
 * has arrived (as RFC 8985), or once it is older than the peer could need to name it; never before
 * the smallest round trip has passed. Without any answer the first packet goes out again, with a
 * request packet so that the peer learns what it lacks, at growing intervals.
 */
export class Transmitter implements RequestReader {
  congestion: Congestion;
  readonly #window: SendWindow;
  readonly #sink: PacketSink;
  readonly #newModel: (now: Mono) => Congestion;

  // Pacing
  #credit = INITIAL_BURST;
  #creditAt: Mono;
  #paceAt: Mono | undefined;
  #filled = false; // there was no room, and nobody was told that there is again

  // Flight and losses. #lost: numbers in the order of detection, taken from #lostHead on.
  #inFlight = 0;
  #lost: number[] = [];
  #lostHead = 0;
  #lostSince = 0; // the sample before
  #careful = false; // nothing is known of the path, and all that was under way is lost
  #named: number[] = []; // named as missing by the request that is being read
  #newestSentAt: Mono = -1; // of the packets that arrived
  #reorder = 0; // how much later sent packets may arrive earlier, ms
  #pathChangedAt: Mono = Number.NEGATIVE_INFINITY;
  #patientUntil: Mono = Number.NEGATIVE_INFINITY; // with what went the old way and may still arrive

  // Round trip (RFC 6298) and probing
  #smoothed: number | undefined;
  #variation = 0;
  #probeAt: Mono | undefined;
  #probes = 0;

  // Delivery rate
  #delivered = 0;
  #toldLate = 0; // of them; they arrived long before we heard, so they say nothing about the rate
  #deliveredAt: Mono;
  #firstSentAt: Mono;
  #sourceLimitedUntil = 1; // until so many were delivered; 0 = not limited
  #ackAt: Mono;

  // The acknowledgement that is being read
  #now: Mono = 0;
  #before = 0;
  #newest: SentPacket | undefined;

  /** `newModel`: for another path, of which nothing is known. */
  constructor(now: Mono, first: number, congestion: Congestion, newModel: (now: Mono) => Congestion, sink: PacketSink) {
    this.#window = new SendWindow(first);
    this.congestion = congestion;
    this.#newModel = newModel;
    this.#sink = sink;
    this.#creditAt = now;
    this.#deliveredAt = now;
    this.#firstSentAt = now;
    this.#ackAt = now;
    this.#smoothed = congestion.minRoundTrip;
    this.#variation = (congestion.minRoundTrip ?? 0) / 2;
  }

  /**
   * Packets go another way from now on, of which nothing is known. `late`: those under way on the old
   * one may still arrive, however much earlier the new ones do.
   */
  pathChanged(now: Mono, late: boolean): void {
    this.#patientUntil = late ? now + this.#patience() : now;
    this.#pathChangedAt = now;
    this.congestion = this.#newModel(now);
    this.#careful = false;
    this.#smoothed = undefined;
    this.#variation = 0;
    this.#reorder = 0;
    this.#sourceLimitedUntil = this.#delivered + this.#inFlight || 1;
    this.#probes = 0;
    this.#setProbe(now);
  }

  /** The first number never sent: what lossy packets carry. */
  get nextNumber(): number {
    return this.#window.next;
  }

  /** All before it has arrived. */
  get firstUnacknowledged(): number {
    return this.#window.start;
  }

  /** Packets that a bulk source may queue now. When there are none, `takeWritable` tells once there are again. */
  room(): number {
    const room = this.#room();
    if (room === 0) this.#filled = true; // be it that the window has shrunk
    return room;
  }

  #room(): number {
    const numbers = WINDOW_SIZE - ((this.#window.end - this.#window.start) >>> 0);
    const queue = Math.floor(this.congestion.window) + QUEUE_AHEAD - this.#window.held;
    return Math.max(0, Math.min(numbers, queue));
  }

  /** Queues a copy and sends what may be sent. Undefined if all numbers are taken. */
  queue(now: Mono, data: Uint8Array): number | undefined {
    const number = this.#window.push(data);
    if (number !== undefined) this.flush(now);
    if (this.#room() === 0) this.#filled = true;
    return number;
  }

  /** Whether bulk sources should be told that there is room again. True once. */
  takeWritable(): boolean {
    if (!this.#filled) return false;
    if (this.#room() < Math.min(WRITABLE_STEP, this.congestion.window / 4)) return false;
    this.#filled = false;
    return true;
  }

  /** All numbers before `upTo` have arrived. False if that is impossible. Then `endAck`. */
  acknowledge(now: Mono, upTo: number): boolean {
    const w = this.#window;
    const count = (upTo - w.start) >>> 0;
    this.#now = now;
    if (count > (w.next - w.start) >>> 0) return (w.start - upTo) >>> 0 <= WINDOW_SIZE; // late, or nonsense
    for (let i = 0; i < count; i++) {
      this.arrived(w.start);
      w.start = (w.start + 1) >>> 0;
    }
    return true;
  }

  /** A packet request that came with buffer_start `origin`. Then `endAck`. */
  request(now: Mono, origin: number, body: Uint8Array): void {
    this.#now = now;
    readRequest(body, origin, this.#window.next, this);
  }

  arrived(number: number): void {
    const w = this.#window;
    if ((number - w.start) >>> 0 >= (w.next - w.start) >>> 0) return;
    const packet = w.get(number);
    if (!packet) return;
    w.remove(number);
    if (!packet.lost) this.#inFlight--;
    this.#delivered++;
    if (packet.sentAt < this.#firstSentAt - this.#patience()) this.#toldLate++;
    this.#deliveredAt = this.#now;
    const age = this.#now - packet.sentAt;
    const minimum = this.congestion.minRoundTrip ?? 0;
    if (packet.sends > 1 && age < minimum) {
      // The earlier transmission arrived, so the later one was needless: the path reorders more than we thought.
      this.#reorder = Math.min(2 * this.#reorder + 1, this.#smoothed ?? DEFAULT_ROUND_TRIP);
      return;
    }
    if (packet.sentAt > this.#newestSentAt) this.#newestSentAt = packet.sentAt;
    const newest = this.#newest;
    if (!newest || packet.delivered > newest.delivered || packet.sentAt > newest.sentAt) this.#newest = packet;
  }

  missing(number: number): void {
    const w = this.#window;
    if ((number - w.start) >>> 0 >= (w.next - w.start) >>> 0) return;
    const packet = w.get(number);
    if (packet && !packet.lost) this.#named.push(number);
  }

  /** Evaluates what was acknowledged and named, and sends what may be sent now. */
  endAck(now: Mono): void {
    const acked = this.#delivered - this.#before;
    if (acked > 0) {
      if (now - this.#ackAt >= OUTAGE) this.#beginAnew(now);
      this.#measure(now, acked);
      this.#probes = 0;
      this.#setProbe(now);
    }
    this.#before = this.#delivered;
    this.#newest = undefined;
    if (this.#named.length > 0) this.#markLost(now);
    if (acked > 0 || this.#lostHead < this.#lost.length) this.flush(now);
  }

  /**
   * Sends as much as window and pace allow. What is lost goes first and heeds the pace only: a
   * request names at most 1372 packets, so those lost beyond count as in flight for a while.
   */
  flush(now: Mono): void {
    const w = this.#window;
    const { window, pace } = this.congestion;
    const burst = Math.min(MAX_BURST, Math.max(MIN_BURST, pace * BURST_TIME));
    if (now > this.#creditAt) {
      if (this.#credit < burst) this.#credit = Math.min(burst, this.#credit + (now - this.#creditAt) * pace);
      this.#creditAt = now;
    }
    this.#paceAt = undefined;
    for (;;) {
      const lost = this.#firstLost();
      if (this.#inFlight >= window && (lost === undefined || this.#careful)) return;
      if (lost === undefined) {
        if (w.next === w.end) {
          this.#sourceLimitedUntil = this.#delivered + this.#inFlight || 1;
          return;
        }
      }
      const holdUp = this.#sink.holdUp();
      if (holdUp > 0) {
        this.#paceAt = now + holdUp;
        return;
      }
      if (this.#credit < 1) {
        const batch = Math.min(burst / 2, Math.max(1, pace * PACE_STEP));
        this.#paceAt = now + Math.max(PACE_STEP, (batch - this.#credit) / pace);
        return;
      }
      this.#credit--;
      if (lost !== undefined) {
        this.#lostHead++;
        const packet = w.get(lost)!;
        packet.lost = false;
        this.#inFlight++;
        this.#send(now, lost, packet);
      } else {
        const number = w.next;
        w.next = (number + 1) >>> 0;
        this.#inFlight++;
        this.#send(now, number, w.get(number)!);
      }
    }
  }

  wake(now: Mono): void {
    if (this.#paceAt !== undefined && now >= this.#paceAt) this.flush(now);
    if (this.#probeAt !== undefined && now >= this.#probeAt) this.#probe(now);
  }

  nextWake(): Mono {
    return Math.min(this.#paceAt ?? Number.POSITIVE_INFINITY, this.#probeAt ?? Number.POSITIVE_INFINITY);
  }

  #send(now: Mono, number: number, packet: SentPacket): void {
    if (this.#inFlight === 1) {
      this.#firstSentAt = now;
      this.#deliveredAt = now;
      this.#ackAt = now;
    }
    packet.sends++;
    packet.sentAt = now;
    packet.delivered = this.#delivered;
    packet.onTime = this.#delivered - this.#toldLate;
    packet.deliveredAt = this.#deliveredAt;
    packet.firstSentAt = this.#firstSentAt;
    packet.sourceLimited = this.#sourceLimitedUntil > 0;
    if (this.#probeAt === undefined) this.#setProbe(now);
    this.#sink.transmit(number, packet.data);
  }

  /** The number of the first packet waiting to be sent again; those that arrived meanwhile are skipped. */
  #firstLost(): number | undefined {
    const w = this.#window;
    while (this.#lostHead < this.#lost.length) {
      const number = this.#lost[this.#lostHead]!;
      const live = (number - w.start) >>> 0 < (w.next - w.start) >>> 0;
      if (live && w.get(number)?.lost) return number;
      this.#lostHead++;
    }
    if (this.#lostHead > 0) {
      this.#lost = [];
      this.#lostHead = 0;
    }
    return undefined;
  }

  #measure(now: Mono, acked: number): void {
    const newest = this.#newest;
    if (this.#sourceLimitedUntil > 0 && this.#delivered > this.#sourceLimitedUntil) this.#sourceLimitedUntil = 0;
    if (newest && newest.sentAt >= this.#pathChangedAt) {
      // Of a packet sent twice we cannot tell which one arrived; it is good enough for the mean, whose
      // error is bounded by `arrived`, and without it the mean would stand still during repairs.
      this.#smooth(now - newest.sentAt);
      const roundTrip = newest.sends === 1 ? now - newest.sentAt : undefined;
      if (roundTrip !== undefined) this.#careful = false;
      this.#firstSentAt = newest.sentAt;
      const elapsed = Math.max(newest.sentAt - newest.firstSentAt, now - newest.deliveredAt);
      const sample: AckSample = {
        acked,
        lost: this.#lostSince,
        delivered: this.#delivered,
        deliveredAtSend: newest.delivered,
        rate:
          newest.sends === 1 ? (this.#delivered - this.#toldLate - newest.onTime) / Math.max(elapsed, PACE_STEP) : 0,
        sourceLimited: newest.sourceLimited,
        roundTrip,
        variation: this.#variation,
        ackGap: now - this.#ackAt,
        inFlight: this.#inFlight,
      };
      this.#lostSince = 0;
      this.congestion.onAck(now, sample);
    }
    this.#ackAt = now;
  }

  #smooth(roundTrip: number): void {
    if (this.#smoothed === undefined) {
      this.#smoothed = roundTrip;
      this.#variation = roundTrip / 2;
      return;
    }
    this.#variation += (Math.abs(this.#smoothed - roundTrip) - this.#variation) / 4;
    this.#smoothed += (roundTrip - this.#smoothed) / 8;
  }

  /** No answer takes longer, as a rule; ms (RFC 6298). */
  #patience(): number {
    return (this.#smoothed ?? DEFAULT_ROUND_TRIP) + Math.max(10, 4 * this.#variation);
  }

  #markLost(now: Mono): void {
    const w = this.#window;
    const minimum = this.congestion.minRoundTrip ?? 0;
    const tolerance = Math.max(this.#reorder, minimum / 4, 2 * this.#variation);
    const oldAge = this.#patience();
    for (const number of this.#named) {
      const packet = w.get(number);
      if (!packet || packet.lost) continue;
      const age = now - packet.sentAt;
      if (packet.sentAt < this.#pathChangedAt && now < this.#patientUntil) continue;
      if (age < minimum || (packet.sentAt + tolerance >= this.#newestSentAt && age < oldAge)) continue;
      packet.lost = true;
      this.#inFlight--;
      if (packet.sentAt >= this.#pathChangedAt) this.#lostSince++;
      this.#lost.push(number);
    }
    this.#named.length = 0;
  }

  /** After an outage: as after a time-out in TCP (RFC 5681 §3.1), all that was under way goes out again, slowly at first. */
  #beginAnew(now: Mono): void {
    this.pathChanged(now, false);
    const w = this.#window;
    this.#lost = [];
    this.#lostHead = 0;
    this.#inFlight = 0;
    for (let number = w.start; number !== w.next; number = (number + 1) >>> 0) {
      const packet = w.get(number);
      if (!packet) continue;
      packet.lost = true;
      this.#lost.push(number);
    }
    this.#careful = this.#lost.length > 0;
  }

  #setProbe(now: Mono): void {
    if (this.#window.start === this.#window.next) {
      this.#probeAt = undefined;
      return;
    }
    const base = this.#patience();
    const timeout = Math.min(MAX_PROBE_TIMEOUT, Math.max(MIN_PROBE_TIMEOUT, base) * 4 ** Math.min(this.#probes, 4));
    this.#probeAt = now + timeout;
  }

  #probe(now: Mono): void {
    const w = this.#window;
    this.#probes++;
    this.#probeAt = undefined;
    for (let number = w.start; number !== w.next; number = (number + 1) >>> 0) {
      const packet = w.get(number);
      if (!packet) continue;
      if (packet.lost) {
        packet.lost = false;
        this.#inFlight++;
      }
      this.#send(now, number, packet);
      this.#sink.transmitRequest(now);
      break;
    }
    this.#setProbe(now);
  }
}
