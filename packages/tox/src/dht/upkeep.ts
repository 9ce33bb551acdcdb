import { type Env, type Mono, randomInt } from '../core/env.ts';
import type { PublicKey } from '../crypto/keys.ts';
import type { Exchange } from './exchange.ts';
import { KILL_AFTER, type Peer } from './peer.ts';
import type { RoutingTable } from './routing-table.ts';
import { QUICK_REQUESTS, type SearchList } from './search-list.ts';

// Of the spec (ms).
/** `PING_INTERVAL`: each member of each list gets a nodes request so often. */
const ASK_INTERVAL = 60_000;
/** `NODES_REQUEST_INTERVAL`: one extra request to a random member of each list. */
const RANDOM_INTERVAL = 20_000;

// Our own.
/**
 * The nodes nearest to us are asked more often, ms: through them friends find us and reach us, and a
 * router forgets after 30 s whom it may let in.
 */
const NEAREST_INTERVAL = 25_000;
/** How many these are: as many as keep track of a searched key (`SEARCH_SIZE`). */
const NEAREST = 8;
/** So many requests in a row without any answer: the network may be away. */
const SILENCE = 3;
/** Then the extra requests to the close list come at this pace, ms, so that its return is noticed. */
const SILENT_INTERVAL = 3_000;
/** Pause between passes over the lists, ms; also the quick pace of a fresh list's extra requests. */
const PASS_PAUSE = 1_000;
/** Requests that one pass may send; the rest waits for the next. */
const PASS_REQUESTS = 64;

/**
 * Keeps the lists alive: asks every member in turn, and drops those that are silent for too long.
 * Works in passes, at most one per second, each when the first thing is due.
 */
export class Upkeep {
  readonly #env: Env;
  readonly #own: PublicKey;
  readonly #table: RoutingTable;
  readonly #exchange: Exchange;
  #nextPass: Mono | undefined;
  #lastPass: Mono = Number.NEGATIVE_INFINITY;
  #closeRandomAt: Mono = Number.NEGATIVE_INFINITY;
  #closeQuickLeft = QUICK_REQUESTS;
  #requestsLeft = 0;
  #unanswered = 0;

  constructor(env: Env, own: PublicKey, table: RoutingTable, exchange: Exchange) {
    this.#env = env;
    this.#own = own;
    this.#table = table;
    this.#exchange = exchange;
  }

  nextWake(): Mono | undefined {
    return this.#nextPass;
  }

  /** Something in the lists is due at `at`. */
  schedule(now: Mono, at: Mono): void {
    const pass = Math.max(at, now, this.#lastPass + PASS_PAUSE);
    if (this.#nextPass === undefined || pass < this.#nextPass) this.#nextPass = pass;
  }

  /** A node answered. */
  heard(): void {
    this.#unanswered = 0;
  }

  /** Every member is due, the nearest first. */
  askAllSoon(now: Mono): void {
    for (const peer of this.#table.close.members()) peer.closeAskedAt = Number.NEGATIVE_INFINITY;
    for (const list of this.#table.searches) for (const entry of list.entries) entry.askedAt = Number.NEGATIVE_INFINITY;
    this.schedule(now, now);
  }

  /** Does what is due. */
  wake(now: Mono): void {
    if (this.#nextPass === undefined || now < this.#nextPass) return;
    this.#nextPass = undefined;
    this.#lastPass = now;
    this.#requestsLeft = PASS_REQUESTS;
    // With nobody alive even the long silent are asked on, so that the network is found again.
    const connected = this.#table.anyLive(now);
    if (connected) this.#dropSilent(now);
    let next = this.#passClose(now, connected);
    for (const list of this.#table.searches) next = Math.min(next, this.#passSearch(now, list, connected));
    if (next < Number.POSITIVE_INFINITY) this.schedule(now, next);
  }

  /** A nodes request to each address of a node, except one that was silent long while the other was not. */
  askPeer(now: Mono, peer: Peer, target: PublicKey): void {
    const oldest = peer.lastAnswer() - KILL_AFTER;
    const { ip4, ip6 } = peer;
    this.#unanswered++;
    if (ip4 && ip4.answeredAt >= oldest) this.#exchange.ask(now, peer.publicKey, ip4.endpoint, target);
    if (ip6 && ip6.answeredAt >= oldest) this.#exchange.ask(now, peer.publicKey, ip6.endpoint, target);
  }

  #passClose(now: Mono, connected: boolean): Mono {
    const members = this.#table.close.members();
    let asked = false;
    let next = Number.POSITIVE_INFINITY;
    for (let i = 0; i < members.length; i++) {
      const peer = members[i]!;
      const interval = i < NEAREST ? NEAREST_INTERVAL : ASK_INTERVAL;
      if (peer.closeAskedAt + interval <= now && this.#requestsLeft > 0) {
        this.#requestsLeft--;
        peer.closeAskedAt = now;
        asked = true;
        this.askPeer(now, peer, this.#own);
      }
      next = Math.min(next, peer.closeAskedAt + interval);
    }
    if (!connected || members.length === 0) return next;
    if (asked) {
      this.#closeRandomAt = Math.max(this.#closeRandomAt, now + PASS_PAUSE); // an extra one would tell nothing new
    } else if (this.#closeRandomAt <= now && this.#requestsLeft > 0) {
      this.#askRandom(now, members.length, (i) => members[i]!, this.#own);
      const usual = this.#unanswered > SILENCE ? SILENT_INTERVAL : RANDOM_INTERVAL;
      this.#closeRandomAt = now + (this.#closeQuickLeft > 0 ? PASS_PAUSE : usual);
      this.#closeQuickLeft--;
    }
    return Math.min(next, this.#closeRandomAt);
  }

  #passSearch(now: Mono, list: SearchList, connected: boolean): Mono {
    const { entries } = list;
    let asked = false;
    let next = Number.POSITIVE_INFINITY;
    for (const entry of entries) {
      if (entry.askedAt + ASK_INTERVAL <= now && this.#requestsLeft > 0) {
        this.#requestsLeft--;
        entry.askedAt = now;
        asked = true;
        this.askPeer(now, entry.peer, list.key);
      }
      next = Math.min(next, entry.askedAt + ASK_INTERVAL);
    }
    if (!connected || entries.length === 0) return next;
    if (asked) {
      list.randomAt = Math.max(list.randomAt, now + PASS_PAUSE);
    } else if (list.randomAt <= now && this.#requestsLeft > 0) {
      this.#askRandom(now, entries.length, (i) => entries[i]!.peer, list.key);
      if (this.#table.get(list.id)?.live(now)) list.quickLeft = 0;
      list.randomAt = now + (list.quickLeft > 0 ? PASS_PAUSE : RANDOM_INTERVAL);
      list.quickLeft--;
    }
    return Math.min(next, list.randomAt);
  }

  #dropSilent(now: Mono): void {
    for (const peer of this.#table.peers()) {
      if (now - peer.lastAnswer() >= KILL_AFTER) this.#table.drop(now, peer);
    }
  }

  /** One extra request to a live member, more often to a near one: `at` orders them nearest first. */
  #askRandom(now: Mono, count: number, at: (index: number) => Peer, target: PublicKey): void {
    const pick = Math.min(randomInt(this.#env, count), randomInt(this.#env, count));
    for (let i = 0; i < count; i++) {
      const peer = at((pick + i) % count);
      if (!peer.live(now)) continue;
      this.#requestsLeft--;
      this.askPeer(now, peer, target);
      return;
    }
  }
}
