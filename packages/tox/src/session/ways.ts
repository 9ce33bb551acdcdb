import type { Mono } from '../core/env.ts';
import { Budget } from '../core/source-limiter.ts';
import type { Endpoint } from '../wire/endpoint.ts';
import type { Channel, RelayChannel } from './channel.ts';

/** What the ways to a peer ask of their session and tell it. Called synchronously. */
export interface WaysHooks {
  relayWay(channel: RelayChannel): 'route' | 'oob' | 'none';
  /** Nothing comes over the relays, whatever they say. */
  relayDoubted(channel: RelayChannel): void;
  /** The session is open: data goes over `path`. */
  isOpen(): boolean;
  /** Data of an open session goes another way from now on; `before`: the one that it left. */
  changed(now: Mono, before: 'direct' | 'relay' | undefined): void;
  /** Send a small packet straight to the peer, to see whether it gets through. */
  probe(to: Endpoint): void;
}

// Ours; milliseconds.
/**
 * A direct path that is silent for so long gives way to a relay, if there is a route; every peer sends
 * something each second. c-toxcore waits 8 s (UDP_DIRECT_TIMEOUT); our switching early harms nothing.
 */
const DIRECT_TIMEOUT = 2_500;
/** Meanwhile the direct path is probed this often; as c-toxcore, half its time-out. */
const PROBE_INTERVAL = 4_000;
/** What comes over the direct path is answered there at once, but not more often than this. */
const PROBE_SPACING = 500;
/** What comes over it so soon after something that we sent there shows that it works both ways. */
const PROOF = 2_000;
/**
 * Changes of an open session between two ways that are there: each forgets what was measured, and a relay may say
 * at any rate that the peer came and went.
 */
const TURNS = { burst: 8, perSecond: 0.5 };
/** When to look again after a change that was too much, ms. */
const TURN_PAUSE = 1_000;

/** The two ways to the peer of one session, straight and through relays, and which of them data takes (docs/adr/0013). */
export class Ways {
  direct: Endpoint | undefined;
  relay: RelayChannel | undefined;
  /** Where data goes. Undefined while there is no way at all. */
  path: 'direct' | 'relay' | undefined;
  /** How the relays lead to the peer. */
  relayWay: 'route' | 'oob' | 'none' = 'none';
  /** When something valid last came straight from the peer, and over any way. */
  directHeardAt: Mono | undefined;
  heardAt: Mono | undefined;
  readonly #hooks: WaysHooks;
  /** The direct path works both ways; until when, if nothing more comes. */
  #live = false;
  #deadAt = Number.POSITIVE_INFINITY;
  #probeAt = Number.POSITIVE_INFINITY;
  #probedAt: Mono = Number.NEGATIVE_INFINITY;
  #relayHeardAt: Mono = Number.NEGATIVE_INFINITY;
  #doubtAt = Number.POSITIVE_INFINITY;
  readonly #turns = new Budget(TURNS);
  #turnAt = Number.POSITIVE_INFINITY;

  constructor(hooks: WaysHooks) {
    this.#hooks = hooks;
  }

  /** The earliest deadline. */
  get wakeAt(): Mono {
    return Math.min(this.#deadAt, this.#probeAt, this.#doubtAt, this.#turnAt);
  }

  get channel(): Channel | undefined {
    return this.path === 'direct' ? this.direct : this.relay;
  }

  /** Undefined: somebody else is there. */
  setDirect(now: Mono, endpoint: Endpoint | undefined): void {
    this.direct = endpoint;
    this.directHeardAt = undefined;
    this.#live = false;
    this.#deadAt = Number.POSITIVE_INFINITY;
    this.#choose(now);
    if (this.path !== 'direct') this.#probe(now);
  }

  /** True if the relays lead to the peer better than before. */
  setRelay(now: Mono, channel: RelayChannel | undefined): boolean {
    this.relay = channel;
    const before = this.relayWay;
    this.relayWay = channel ? this.#hooks.relayWay(channel) : 'none';
    this.#choose(now);
    return this.relayWay === 'route' ? before !== 'route' : this.relayWay === 'oob' && before === 'none';
  }

  /** The session is open from now on. */
  opened(now: Mono): void {
    if (this.path === 'relay' && this.direct !== undefined) this.#probeAt = now;
  }

  /** Something valid came. */
  heard(now: Mono, from: Channel): void {
    this.heardAt = now;
    if (from !== this.direct) {
      this.#relayHeardAt = now;
      this.#doubtAt = now + DIRECT_TIMEOUT;
      if (this.path === 'direct' && !this.#live) this.#choose(now);
      return;
    }
    this.directHeardAt = now;
    this.#deadAt = now + DIRECT_TIMEOUT;
    if (this.#live) return;
    // That the peer reaches us does not show that we reach it, but its answer does.
    if (!this.#hooks.isOpen() || this.path === 'direct' || now - this.#probedAt < PROOF) {
      this.#live = true;
      this.#choose(now);
    } else if (now - this.#probedAt >= PROBE_SPACING) {
      this.#probe(now);
    }
  }

  wake(now: Mono): void {
    if (now >= this.#deadAt) {
      this.#live = false;
      this.#deadAt = Number.POSITIVE_INFINITY;
      this.#choose(now);
    }
    if (now >= this.#turnAt) this.#choose(now);
    if (now >= this.#doubtAt) {
      this.#doubtAt = Number.POSITIVE_INFINITY;
      if (this.relay) this.#hooks.relayDoubted(this.relay);
    }
    if (now >= this.#probeAt) this.#probe(now);
  }

  #choose(now: Mono): void {
    const before = this.path;
    const heard = now - this.#relayHeardAt < DIRECT_TIMEOUT;
    const relayed = this.relayWay === 'route' || (this.relayWay === 'oob' && heard);
    const direct = this.direct !== undefined && (this.#live || !relayed);
    const path = direct ? 'direct' : this.relay !== undefined ? 'relay' : undefined;
    this.#turnAt = Number.POSITIVE_INFINITY;
    if (path !== before && this.#hooks.isOpen() && this.channel !== undefined && !this.#turns.take(now)) {
      this.#turnAt = now + TURN_PAUSE;
      return;
    }
    this.path = path;
    if (path === before || !this.#hooks.isOpen()) return;
    this.#probeAt = path === 'relay' && this.direct !== undefined ? now : Number.POSITIVE_INFINITY;
    this.#hooks.changed(now, before);
  }

  #probe(now: Mono): void {
    this.#probeAt = Number.POSITIVE_INFINITY;
    if (this.direct === undefined || this.path === 'direct' || !this.#hooks.isOpen()) return;
    this.#probedAt = now;
    this.#probeAt = now + PROBE_INTERVAL;
    this.#hooks.probe(this.direct);
  }
}
