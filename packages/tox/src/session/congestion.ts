import type { Mono } from '../core/env.ts';

/** What one acknowledgement told. Packets are full-size or smaller; we count packets, not bytes. */
export interface AckSample {
  /** Packets newly known to have arrived. */
  readonly acked: number;
  /** Packets newly believed lost. */
  readonly lost: number;
  /** Arrived in all. */
  readonly delivered: number;
  /** `delivered` when the newest arrived packet was sent: a round trip is over once this passes the old total. */
  readonly deliveredAtSend: number;
  /**
   * Delivery rate over the flight of the newest arrived packet, packets per ms. 0 = unknown: after a
   * repair, what had arrived long ago is told all at once.
   */
  readonly rate: number;
  /** The source had nothing to send, so `rate` is only a lower bound. */
  readonly sourceLimited: boolean;
  /** Round trip of the newest arrived packet, ms. Undefined if it was sent more than once. */
  readonly roundTrip: number | undefined;
  /** Mean deviation of the round trip, ms (RFC 6298). */
  readonly variation: number;
  /** Time from the acknowledgement before to this one while packets were in flight, ms. */
  readonly ackGap: number;
  readonly inFlight: number;
}

/** Decides how much may be in flight and how fast it leaves. Replaceable. */
export interface Congestion {
  /** Packets that may be in flight. */
  readonly window: number;
  /** Packets per ms. */
  readonly pace: number;
  /** Smallest round trip lately, ms. Undefined before the first sample. */
  readonly minRoundTrip: number | undefined;
  onAck(now: Mono, sample: AckSample): void;
}

// Ours, all. The shape is BBR's (draft-cardwell-iccrg-bbr-congestion-control): model the path by its
// delivery rate and its smallest round trip, keep about two such products in flight. Loss alone
// never shrinks the window, so random loss costs only the lost packets, while the queue at a slow
// link stays below one round trip's worth.

/** Packets at the start: 88 KB, what a default socket buffer of 208 KiB still takes. */
export const INITIAL_WINDOW = 64;
/** Never below: two timely acknowledgements' worth. 16 packets are 180 ms of a 1 Mbit/s uplink. */
const MIN_WINDOW = 16;
const MAX_WINDOW = 32_000;
/** 2/ln 2: doubles the delivery rate each round. */
const STARTUP_GAIN = 2.89;
const WINDOW_GAIN = 2;
/** Of the part of the window that only bridges the time between two acknowledgements. */
const GAP_GAIN = 1.25;
/** One probe for more, one step to drain what it queued, then cruising. */
const PROBE_GAINS = [1.25, 0.75, 1, 1, 1, 1, 1, 1];
const PROBE_SUCCESS = 1.1;
/** Start-up ends after this many rounds without a quarter more. */
const STARTUP_ROUNDS = 3;
const STARTUP_GROWTH = 1.25;
/** Or when the round trip has risen beyond what its gain explains, and this many ms: a slow link with a long queue. */
const STARTUP_SLACK = 50;
/** Or when more than this share of a round was lost: a short queue overflows. */
const STARTUP_LOSS = 0.3;
/** What is left of the best rate after a round of which no rate is known but that very much was lost. */
const SLOW_DOWN = 0.5;
/** A round on a very short path is no measurement; ms. */
const MIN_ROUND = 5;
/** How long the best delivery rate counts: this many rounds, and at least so many ms. */
const RATE_ROUNDS = 10;
const RATE_AGE = 1_000;
/** A minimum older than this is measured anew with a nearly empty path for a moment; ms. */
const MIN_ROUND_TRIP_AGE = 10_000;
const PROBE_DURATION = 200;
/** The window fell by a quarter, and the round trip by less than a tenth: it is not our queue that makes it long. */
const WINDOW_FELL = 0.75;
const ROUND_TRIP_STAYED = 0.9;
/** Longer than the model explains by so much, a round trip is suspect. */
const SUSPECT = 2;
/** Longest spacing of acknowledgements that the window makes up for (c-toxcore under load: 50 ms). */
const MAX_ACK_GAP = 100;
/** Most that unevenness of the round trip adds: in ms, and as so many smallest round trips and ms. */
const MAX_JITTER = 200;
const JITTER_FACTOR = 2;
const JITTER_SLACK = 2;
/** Assumed before the first sample; ms. */
const DEFAULT_ROUND_TRIP = 100;

export class PathModel implements Congestion {
  window = INITIAL_WINDOW;
  pace: number;
  minRoundTrip: number | undefined;
  #minRoundTripAt: Mono;
  #probing: { until: Mono; min: number | undefined } | undefined;
  /** Smallest round trip of this round; and that of the round in which it became suspect, with the window of then. */
  #roundMin: number | undefined;
  #suspect: { readonly window: number; readonly roundTrip: number } | undefined;
  /** The window at the end of the round before, and of the one before that: with it the packets of this round left. */
  #windows: [number, number] = [INITIAL_WINDOW, INITIAL_WINDOW];
  #state: 'startup' | 'drain' | 'probe' = 'startup';
  readonly #rates = new WindowedMax();
  #ackGap = 0;
  #jitter = 0;
  #roundEnd = 0;
  #roundAt: Mono;
  #plateau = 0;
  #plateauRate = 0;
  #roundAcked = 0;
  #roundLost = 0;
  #fed = false; // in this round a delivery rate was known
  #phase = 2;
  #phaseAt: Mono = 0;
  #probedRate = Number.POSITIVE_INFINITY;

  /** `roundTrip`: measured by the handshake, if it was. */
  constructor(now: Mono, roundTrip: number | undefined) {
    this.minRoundTrip = roundTrip;
    this.#minRoundTripAt = now;
    this.#roundAt = now;
    this.pace = INITIAL_WINDOW / Math.max(1, roundTrip ?? DEFAULT_ROUND_TRIP / 10);
  }

  onAck(now: Mono, s: AckSample): void {
    this.#measureRoundTrip(now, s);
    this.#ackGap = Math.min(MAX_ACK_GAP, Math.max(s.ackGap, this.#ackGap + (s.ackGap - this.#ackGap) / 16));
    this.#jitter = Math.min(s.variation, MAX_JITTER, JITTER_FACTOR * (this.minRoundTrip ?? 0) + JITTER_SLACK);
    this.#roundAcked += s.acked;
    this.#roundLost += s.lost;
    const round = s.deliveredAtSend >= this.#roundEnd && now - this.#roundAt >= MIN_ROUND;
    if (s.rate > 0 && (!s.sourceLimited || s.rate >= this.#rates.best)) {
      this.#fed = true;
      this.#rates.add(now, s.rate, Math.max(RATE_AGE, RATE_ROUNDS * this.#path()));
    }
    const lossy = this.#roundLost > Math.max(INITIAL_WINDOW, STARTUP_LOSS * (this.#roundAcked + this.#roundLost));
    if (this.#state === 'startup' && lossy) this.#state = 'drain';
    if (round) {
      if (lossy && !this.#fed) this.#slowDown(now);
      this.#checkLonger(now);
      this.#roundEnd = s.delivered;
      this.#roundAt = now;
      if (this.#state === 'startup' && !s.sourceLimited) this.#checkPlateau(s.roundTrip);
      this.#roundAcked = 0;
      this.#roundLost = 0;
      this.#fed = false;
    }
    const target = this.#rates.best * this.#path();
    if (this.#state === 'drain' && s.inFlight <= target) this.#enterProbe(now);
    if (this.#state === 'probe' && now - this.#phaseAt >= this.#path()) this.#nextPhase(now);
    this.#control(s, target);
  }

  /**
   * The round trip as acknowledgements show it: the path, how seldom the peer acknowledges, and how
   * uneven the path is; that only within limits, because our own queue makes it uneven as well.
   */
  #path(): number {
    return (this.minRoundTrip ?? DEFAULT_ROUND_TRIP) + this.#ackGap + this.#jitter;
  }

  #measureRoundTrip(now: Mono, s: AckSample): void {
    const sample = s.roundTrip;
    if (sample !== undefined) this.#roundMin = Math.min(sample, this.#roundMin ?? sample);
    if (sample !== undefined && (this.minRoundTrip === undefined || sample <= this.minRoundTrip)) {
      this.minRoundTrip = sample;
      this.#minRoundTripAt = now;
    }
    const probe = this.#probing;
    if (probe) {
      if (sample !== undefined && (probe.min === undefined || sample < probe.min)) probe.min = sample;
      if (now < probe.until) return;
      this.#probing = undefined;
      if (probe.min !== undefined) this.minRoundTrip = probe.min;
      this.#minRoundTripAt = now;
    } else if (now - this.#minRoundTripAt > MIN_ROUND_TRIP_AGE && !s.sourceLimited) {
      this.#probing = { until: now + PROBE_DURATION + this.#path(), min: undefined };
    }
  }

  /** The way itself has become longer: else the window would shrink until the smallest round trip is measured anew. */
  #checkLonger(now: Mono): void {
    const roundTrip = this.#roundMin;
    const window = this.#windows[1];
    this.#windows = [this.window, this.#windows[0]];
    this.#roundMin = undefined;
    if (roundTrip === undefined) return;
    const before = this.#suspect;
    if (roundTrip < SUSPECT * this.#path()) {
      this.#suspect = undefined;
    } else if (!before || window > before.window) {
      this.#suspect = { window, roundTrip };
    } else if (window <= WINDOW_FELL * before.window) {
      this.#suspect = { window, roundTrip };
      if (roundTrip < ROUND_TRIP_STAYED * before.roundTrip) return;
      this.#suspect = undefined;
      this.#probing ??= { until: now + PROBE_DURATION + 2 * roundTrip, min: undefined };
    }
  }

  /**
   * The line has become so much slower that all that arrives are repairs, from which no rate is known: the old one
   * would stay for ever.
   */
  #slowDown(now: Mono): void {
    const arrived = this.#roundAcked / (now - this.#roundAt);
    this.#rates.restart(now, Math.max(arrived, this.#rates.best * SLOW_DOWN));
  }

  #checkPlateau(roundTrip: number | undefined): void {
    if (roundTrip !== undefined && roundTrip > STARTUP_GAIN * this.#path() + STARTUP_SLACK) {
      this.#state = 'drain';
    } else if (this.#rates.best >= this.#plateauRate * STARTUP_GROWTH) {
      this.#plateauRate = this.#rates.best;
      this.#plateau = 0;
    } else if (++this.#plateau >= STARTUP_ROUNDS) {
      this.#state = 'drain';
    }
  }

  #enterProbe(now: Mono): void {
    this.#state = 'probe';
    this.#phase = 2;
    this.#phaseAt = now;
  }

  /** After a probe that found more there is probably more still: it follows without a pause. */
  #nextPhase(now: Mono): void {
    this.#phaseAt = now;
    const found = this.#phase === 1 && this.#rates.best >= this.#probedRate * PROBE_SUCCESS;
    this.#phase = found ? 0 : (this.#phase + 1) % PROBE_GAINS.length;
    if (this.#phase === 0) this.#probedRate = this.#rates.best;
  }

  #control(s: AckSample, target: number): void {
    const best = this.#rates.best;
    if (best === 0) {
      this.window = Math.min(MAX_WINDOW, this.window + s.acked);
      return;
    }
    const gain = this.#state === 'startup' ? STARTUP_GAIN : this.#state === 'drain' ? 1 : PROBE_GAINS[this.#phase]!;
    this.pace = best * (this.#state === 'drain' ? 1 / STARTUP_GAIN : gain);
    if (this.#probing) {
      this.window = Math.max(MIN_WINDOW, Math.min(this.window, target / 2));
      return;
    }
    const extra = this.#state === 'startup' ? 0 : (WINDOW_GAIN - GAP_GAIN) * best * this.#ackGap;
    const wanted = Math.min(MAX_WINDOW, Math.max(MIN_WINDOW, WINDOW_GAIN * target - extra));
    if (this.#state === 'startup') {
      if (this.window < wanted) this.window = Math.min(this.window + s.acked, MAX_WINDOW);
    } else {
      this.window = Math.min(this.window + s.acked, wanted);
    }
  }
}

/** The largest of the values of the last while; keeps three candidates, as Kathleen Nichols' filter. */
class WindowedMax {
  best = 0;
  #at: [Mono, Mono, Mono] = [0, 0, 0];
  #values: [number, number, number] = [0, 0, 0];

  /** Forgets all values but this one. */
  restart(now: Mono, value: number): void {
    this.#at = [now, now, now];
    this.#values = [value, value, value];
    this.best = value;
  }

  add(now: Mono, value: number, age: number): void {
    const at = this.#at;
    const v = this.#values;
    if (value >= v[0] || now - at[2] > age) {
      this.restart(now, value);
      return;
    }
    if (value >= v[1]) {
      v[1] = v[2] = value;
      at[1] = at[2] = now;
    } else if (value >= v[2]) {
      v[2] = value;
      at[2] = now;
    }
    if (now - at[0] > age) {
      v[0] = v[1];
      at[0] = at[1];
      v[1] = v[2] = value;
      at[1] = at[2] = now;
    } else if (at[1] === at[0] && now - at[1] > age / 4) {
      v[1] = v[2] = value;
      at[1] = at[2] = now;
    } else if (at[2] === at[1] && now - at[2] > age / 2) {
      v[2] = value;
      at[2] = now;
    }
    this.best = v[0];
  }
}
