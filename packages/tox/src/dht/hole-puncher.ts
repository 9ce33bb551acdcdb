import { type Env, type Mono, randomInt } from '../core/env.ts';
import { Budget } from '../core/source-limiter.ts';
import { type KeyId, type PublicKey, sameBytes } from '../crypto/keys.ts';
import { encodeNatPing, NAT_PING_REQUEST, NAT_PING_RESPONSE, type NatPing } from '../packet/dht-request.ts';
import { type Endpoint, endpoint, endpointAddress, endpointPort, isIp6 } from '../wire/endpoint.ts';
import { compareDistance } from './distance.ts';
import { PortGuesses } from './port-guesses.ts';
import type { SearchEntry, SearchList } from './search-list.ts';

export interface HolePuncherDeps {
  readonly own: PublicKey;
  /** The list around a searched key. */
  readonly wanted: (id: KeyId) => SearchList | undefined;
  /** Whether the searched node answers us directly. */
  readonly reached: (now: Mono, id: KeyId) => boolean;
  /** Whether our own router shows another port to each destination, if that is known. */
  readonly ownPortVaries: () => boolean | undefined;
  /** Sends a NAT ping through all nodes that know where the receiver is. */
  readonly sendNatPing: (now: Mono, receiver: PublicKey, data: Uint8Array) => void;
  /** A ping to the searched key at an endpoint where it may be, from so many further ports of ours, too. */
  readonly probe: (now: Mono, key: PublicKey, to: Endpoint, spread: number) => void;
}

// Of the spec (ms).
/** `PUNCH_INTERVAL`. */
const PING_INTERVAL = 3_000;
/** `PUNCH_RESET_TIME`: after a pause so long the guesses begin anew. */
const RESET_AFTER = 40_000;
/** `MAX_PUNCHING_PORTS`: guesses of one round. */
const ROUND = 48;
/** `MAX_NORMAL_PUNCHING_TRIES`: rounds near the reported ports before all ports are tried, too. */
const NEAR_ROUNDS = 5;
const PING_ID_SIZE = 8;

// Our own.
/** A node that can be reached without help answers sooner, ms. */
const FIRST_DELAY = 300;
/** Least time between two rounds for one key, ms: both sides' NAT pings may cause one. */
const ROUND_PAUSE = 1_000;
/** The first NAT pings come at this pace, ms, as many as `QUICK_PINGS`. */
const QUICK_INTERVAL = 1_000;
const QUICK_PINGS = 4;
/**
 * Guesses for all searched keys together. A friend who names the address of somebody else gets no
 * more than this sent there: 2.6 kB/s, as from one c-toxcore.
 */
const GUESS_RATE = { burst: 4 * ROUND, perSecond: 32 };

/**
 * Our own port varies, the friend's does not, and he was not reached in so many rounds: he cannot
 * guess our port unless we have many.
 */
const SPREAD_AFTER = 2;
/** Of 64,512 ports he tries 48 or 96 a round: with so many of ours, one round in three or five succeeds. */
const SPREAD_PORTS = 256;
/** Pause between two such bursts, ms: a router remembers for 30 s. After `QUICK_SPREADS` the longer one. */
const SPREAD_PAUSE = 10_000;
const SPREAD_LONG_PAUSE = 120_000;
/** For all searched keys together: there is one burst at a time, and one friend can name many keys at one victim. */
const SPREAD_RATE = { burst: 1, perSecond: 0.1 };
const QUICK_SPREADS = 6;

interface Target {
  readonly list: SearchList;
  pingId: Uint8Array;
  pingAt: Mono;
  quickLeft: number;
  punchedAt: Mono;
  rounds: number;
  guesses: PortGuesses;
  spreads: number;
  spreadAt: Mono;
}

/**
 * Reaches searched nodes behind routers (spec: Hole punching): both sides send at the same time to
 * where the nodes around them see the other, so that both routers take what comes for an answer.
 * A NAT ping through these nodes is the signal. As c-toxcore, but one reporter is enough, and the
 * signal is heeded when it comes instead of every three seconds.
 * BOUNDED by the searched keys.
 */
export class HolePuncher {
  readonly #env: Env;
  readonly #deps: HolePuncherDeps;
  readonly #targets = new Map<KeyId, Target>();
  readonly #guessBudget = new Budget(GUESS_RATE);
  readonly #spreadBudget = new Budget(SPREAD_RATE);
  #wakeAt: Mono | undefined;

  constructor(env: Env, deps: HolePuncherDeps) {
    this.#env = env;
    this.#deps = deps;
  }

  nextWake(): Mono | undefined {
    return this.#wakeAt;
  }

  /** A node said where a searched one is. */
  reported(now: Mono, list: SearchList): void {
    if (!this.#targets.has(list.id) && !this.#deps.reached(now, list.id)) this.#begin(now, list, now + FIRST_DELAY);
  }

  /** A searched node signals: it is alive and about to send. The answer is the caller's. */
  onRequest(now: Mono, list: SearchList): void {
    if (this.#deps.reached(now, list.id)) return;
    const target = this.#targets.get(list.id) ?? this.#begin(now, list, now);
    this.#punch(now, target);
  }

  onResponse(now: Mono, list: SearchList, ping: NatPing): void {
    const target = this.#targets.get(list.id);
    if (!target || ping.type !== NAT_PING_RESPONSE || !sameBytes(target.pingId, ping.id)) return;
    target.pingId = this.#env.random(PING_ID_SIZE);
    if (!this.#deps.reached(now, list.id)) this.#punch(now, target);
  }

  wake(now: Mono): void {
    if (this.#wakeAt === undefined || now < this.#wakeAt) return;
    this.#wakeAt = undefined;
    for (const [id, target] of this.#targets) {
      const { list } = target;
      if (this.#deps.wanted(id) !== list || this.#deps.reached(now, id) || list.reporters(now).length === 0) {
        this.#targets.delete(id);
        continue;
      }
      if (target.pingAt <= now) {
        target.pingAt = now + (target.quickLeft > 0 ? QUICK_INTERVAL : PING_INTERVAL);
        target.quickLeft--;
        const data = encodeNatPing({ type: NAT_PING_REQUEST, id: target.pingId });
        this.#deps.sendNatPing(now, list.key, data);
      }
      this.#schedule(target.pingAt);
    }
  }

  #begin(now: Mono, list: SearchList, pingAt: Mono): Target {
    const target: Target = {
      list,
      pingId: this.#env.random(PING_ID_SIZE),
      pingAt,
      quickLeft: QUICK_PINGS,
      punchedAt: Number.NEGATIVE_INFINITY,
      rounds: 0,
      guesses: new PortGuesses(randomInt(this.#env, 65_536)),
      spreads: 0,
      spreadAt: now,
    };
    this.#targets.set(list.id, target);
    this.#schedule(Math.max(pingAt, now));
    return target;
  }

  #schedule(at: Mono): void {
    this.#wakeAt = this.#wakeAt === undefined ? at : Math.min(this.#wakeAt, at);
  }

  #punch(now: Mono, target: Target): void {
    if (now - target.punchedAt < ROUND_PAUSE) return;
    if (now - target.punchedAt > RESET_AFTER) {
      target.rounds = 0;
      target.guesses = new PortGuesses(randomInt(this.#env, 65_536));
    }
    target.punchedAt = now;
    const reports = target.list.reporters(now);
    this.#punchFamily(
      now,
      target,
      reports.filter((entry) => !isIp6(entry.says!)),
    );
    this.#punchFamily(
      now,
      target,
      reports.filter((entry) => isIp6(entry.says!)),
    );
    target.rounds++;
  }

  /** Tries the address that at least half of the reports name. */
  #punchFamily(now: Mono, target: Target, reports: readonly SearchEntry[]): void {
    const counts = new Map<string, number>(); // at most one entry per report, so 8
    for (const { says } of reports) {
      const address = endpointAddress(says!);
      counts.set(address, (counts.get(address) ?? 0) + 1);
    }
    const [address, count] = [...counts].sort((a, b) => b[1] - a[1])[0] ?? ['', 0];
    if (count === 0 || count * 2 < reports.length) return;
    const ports: number[] = [];
    for (const { says } of reports) {
      if (endpointAddress(says!) === address && !ports.includes(endpointPort(says!))) ports.push(endpointPort(says!));
    }
    // One reporter's port may be meant for that reporter alone; after the first round its neighbours are tried.
    const trusted = ports.length === 1 && (count > 1 || target.rounds === 0);
    if (!trusted) this.#guess(now, target, address, ports);
    else this.#probe(now, target, address, ports[0]!, this.#spread(now, target));
  }

  /** From how many further ports to send now. */
  #spread(now: Mono, target: Target): number {
    if (!this.#deps.ownPortVaries() || target.rounds < SPREAD_AFTER || now < target.spreadAt) return 0;
    if (!this.#spreadBudget.take(now)) return 0;
    target.spreadAt = now + (++target.spreads < QUICK_SPREADS ? SPREAD_PAUSE : SPREAD_LONG_PAUSE);
    return SPREAD_PORTS;
  }

  #guess(now: Mono, target: Target, address: string, ports: readonly number[]): void {
    const { own, ownPortVaries } = this.#deps;
    const { guesses, list, rounds } = target;
    const varies = ownPortVaries();
    // Two routers that count upwards: one side follows each step, the other every second one, so they cross.
    const step = compareDistance(ZERO, own, list.key) < 0 ? 1 : 2;
    const near = varies === false ? guesses.around(ports, ROUND) : guesses.climbing(ports, step, ROUND);
    for (const port of near) this.#tryPort(now, target, address, port);
    // From a varying port of ours each attempt is a new one: trying all of theirs is hopeless then.
    if (varies || rounds < NEAR_ROUNDS) return;
    for (const port of guesses.anywhere(ROUND)) this.#tryPort(now, target, address, port);
  }

  #tryPort(now: Mono, target: Target, address: string, port: number): void {
    if (this.#guessBudget.take(now)) this.#probe(now, target, address, port);
  }

  #probe(now: Mono, target: Target, address: string, port: number, spread = 0): void {
    const to = endpoint(address, port);
    if (to) this.#deps.probe(now, target.list.key, to, spread);
  }
}

const ZERO = new Uint8Array(32) as PublicKey;
