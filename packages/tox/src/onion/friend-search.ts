import { earlier } from '../core/deadline.ts';
import type { Mono } from '../core/env.ts';
import { generateKeyPair, KEY_SIZE, type KeyId, type PublicKey } from '../crypto/keys.ts';
import { ANNOUNCED, type AnnounceResponsePlain, STORED } from '../packet/onion.ts';
import type { NodeInfo } from '../wire/packed-node.ts';
import { Lookup, type LookupDeps } from './lookup.ts';
import { MAX_UNANSWERED, type NearNode, NODE_TIMEOUT } from './near-nodes.ts';
import type { OnionPaths } from './paths.ts';

// c-toxcore.
/** MAX_ONION_CLIENTS: nodes watched for a friend's announce. */
const SEARCH_NODES = 8;
/** ANNOUNCE_FRIEND_MAX_INTERVAL: longest back-off; ms. */
const MAX_INTERVAL = 3_600_000;
/** ONION_DHTPK_SEND_INTERVAL; ms. */
const TELL_INTERVAL = 30_000;
/** A node forgets an announce after this; ms. */
const STORED_LIFETIME = 300_000;
/** FRIENDREQUEST_TIMEOUT, doubled each time; ms. */
const REQUEST_INTERVAL = 5_000;

// Ours.
/** What the friend may have missed is repeated after 0.7, 1.4, 2.8 s and so on; ms. */
const FIRST_TELL_INTERVAL = 700;
const MAX_REQUEST_INTERVAL = 600_000;
/** Repeats of a lookup that got no answer: after 1, then 2 s. */
const FIRST_RETRY = 1_000;
/**
 * A node is asked again after 0.3 s, and then after half of the time that the search has lasted, so
 * that two friends who start together meet within a second. For ten seconds all nodes together are
 * asked at least every 0.3 s, as c-toxcore announces itself only some seconds after its start.
 * Then the intervals are as long as the search has lasted: c-toxcore's doubling.
 */
const FIRST_INTERVAL = 300;
const EARLY_PHASE = 10_000;
/** With more friends searched at once each waits in proportion. */
const FEW_FRIENDS = 8;
/** Bounds of the same while some node keeps the friend's announce: he is there, but not connected; ms. */
const MIN_FOUND_INTERVAL = 10_000;
const MAX_FOUND_INTERVAL = 120_000;
/** With more nodes to reach him through, repeats are rarer in proportion. */
const FEW_MAILBOXES = 2;
/** More haste than this is ignored; ms. */
const HURRY_INTERVAL = 3_000;

/** A node that says the friend announced himself to it, and what we sent him through it. */
interface Mailbox {
  readonly near: NearNode;
  dataKey: PublicKey;
  storedAt: Mono;
  told: number;
  toldAt: Mono;
  requests: number;
  requestedAt: Mono;
}

export interface FriendSearchHooks {
  /** How many friends are searched now. */
  searched(): number;
  /** Send our DHT key to the friend through this node. */
  tell(now: Mono, near: NearNode, dataKey: PublicKey): void;
  /** Send the pending friend request. */
  request(now: Mono, near: NearNode, dataKey: PublicKey): void;
}

/** Looks for one friend's announce while he is offline and reaches him through it. */
export class FriendSearch {
  readonly lookup: Lookup;
  readonly #hooks: FriendSearchHooks;
  /** BOUNDED: a subset of the lookup's nodes. */
  readonly #mailboxes = new Map<KeyId, Mailbox>();
  /** Whether there is a friend request to send. */
  #requestPending = false;
  #started: Mono = Number.NEGATIVE_INFINITY;
  /** When the search is to begin anew. */
  #beginAt: Mono = Number.POSITIVE_INFINITY;
  #lastAsked: Mono = Number.NEGATIVE_INFINITY;

  constructor(deps: LookupDeps, friend: PublicKey, paths: OnionPaths, hooks: FriendSearchHooks) {
    this.#hooks = hooks;
    this.lookup = new Lookup(deps, {
      target: friend,
      keys: generateKeyPair(deps.env),
      dataKey: new Uint8Array(KEY_SIZE) as PublicKey,
      capacity: SEARCH_NODES,
      paths,
      onAnswer: (now, near, answer) => this.#onAnswer(now, near, answer),
    });
  }

  offer(now: Mono, node: NodeInfo): boolean {
    return this.lookup.offer(now, node);
  }

  /** Forgets the back-off: searches and repeats our DHT key as if the friend were new, from `delay` ms on. */
  hurry(now: Mono, delay = 0): void {
    if (now - this.#started < HURRY_INTERVAL) return;
    this.#beginAt = Math.min(this.#beginAt, now + delay);
    if (delay === 0) this.#begin(now);
  }

  #begin(now: Mono): void {
    this.#beginAt = Number.POSITIVE_INFINITY;
    this.#started = now;
    this.#lastAsked = now;
    for (const near of this.lookup.near.values()) {
      if (now - near.heardAt > STORED_LIFETIME) this.#drop(near);
    }
    for (const box of this.#mailboxes.values()) box.told = Math.min(box.told, 1);
    this.lookup.restart(now);
    this.#work(now);
  }

  /** A new friend request goes to all places where the friend may find it, with the next `wake`. */
  requestChanged(pending: boolean): void {
    this.#requestPending = pending;
    for (const box of this.#mailboxes.values()) box.requests = 0;
  }

  wake(now: Mono): void {
    if (this.#beginAt <= now) this.#begin(now);
    else this.#work(now);
  }

  #work(now: Mono): void {
    this.lookup.near.dropDead(now);
    for (const near of this.lookup.near.values()) {
      if (this.#askDue(near) <= now) this.#ask(now, near);
    }
    const refill = this.lookup.refillDue();
    if (refill !== undefined && refill <= now) this.lookup.refill(now);
    for (const box of this.#mailboxes.values()) this.#deliver(now, box);
  }

  nextWake(): Mono | undefined {
    let next = earlier(this.lookup.refillDue(), this.#beginAt < Number.POSITIVE_INFINITY ? this.#beginAt : undefined);
    for (const near of this.lookup.near.values()) {
      const due = this.#askDue(near);
      if (due < Number.POSITIVE_INFINITY) next = earlier(next, due);
      if (near.unanswered >= MAX_UNANSWERED) next = earlier(next, near.askedAt + NODE_TIMEOUT);
    }
    for (const box of this.#mailboxes.values()) {
      next = earlier(next, box.storedAt + STORED_LIFETIME);
      next = earlier(next, this.#tellDue(box));
      if (this.#requestPending) next = earlier(next, requestDue(box));
    }
    return next;
  }

  /** How long to wait after a request sent at `at`. */
  #interval(at: Mono): number {
    const age = at - this.#started;
    if (age < EARLY_PHASE) {
      const crowd = Math.max(1, this.#hooks.searched() / FEW_FRIENDS);
      return FIRST_INTERVAL + crowd * Math.min(age / 2, FIRST_INTERVAL * (this.lookup.near.size - 1));
    }
    if (this.#mailboxes.size > 0) return Math.min(MAX_FOUND_INTERVAL, Math.max(MIN_FOUND_INTERVAL, age));
    return Math.min(MAX_INTERVAL, age);
  }

  #askDue(near: NearNode): Mono {
    if (near.unanswered >= MAX_UNANSWERED && !this.#deaf()) return Number.POSITIVE_INFINITY;
    if (near.unanswered > 0) return near.askedAt + FIRST_RETRY * 2 ** (Math.min(near.unanswered, MAX_UNANSWERED) - 1);
    const due = near.askedAt + this.#interval(near.askedAt);
    if (this.#lastAsked - this.#started < EARLY_PHASE) return due;
    return Math.max(due, this.#lastAsked + this.#interval(this.#lastAsked) / SEARCH_NODES); // not all at once
  }

  /** Nobody has answered since the search began anew, so the paths may be at fault rather than the nodes. */
  #deaf(): boolean {
    if (this.#lastAsked - this.#started >= EARLY_PHASE) return false;
    for (const near of this.lookup.near.values()) if (near.heardAt > this.#started) return false;
    return true;
  }

  #ask(now: Mono, near: NearNode): void {
    this.lookup.ask(now, near.node);
    near.askedAt = now;
    near.unanswered++;
    this.#lastAsked = now;
  }

  #onAnswer(now: Mono, near: NearNode, answer: AnnounceResponsePlain): void {
    if (answer.status === ANNOUNCED) return; // our temporary key was never announced
    near.status = answer.status;
    if (answer.status !== STORED) {
      this.#mailboxes.delete(near.id);
      return;
    }
    let box = this.#mailboxes.get(near.id);
    if (!box || box.near !== near || Buffer.compare(box.dataKey, answer.value) !== 0) {
      const dataKey = answer.value as PublicKey;
      box = { near, dataKey, storedAt: now, told: 0, toldAt: now, requests: 0, requestedAt: now };
      this.#mailboxes.set(near.id, box);
    }
    box.storedAt = now;
    this.#deliver(now, box);
  }

  #deliver(now: Mono, box: Mailbox): void {
    const { near, dataKey } = box;
    if (this.lookup.near.get(near.id) !== near || box.storedAt + STORED_LIFETIME <= now) {
      this.#mailboxes.delete(near.id);
      return;
    }
    if (this.#requestPending && requestDue(box) <= now) {
      box.requests++;
      box.requestedAt = now;
      this.#hooks.request(now, near, dataKey);
    }
    if (this.#tellDue(box) <= now) {
      box.told++;
      box.toldAt = now;
      this.#hooks.tell(now, near, dataKey);
    }
  }

  #tellDue(box: Mailbox): Mono {
    if (box.told === 0) return box.toldAt;
    const scarcity = Math.max(1, this.#mailboxes.size / FEW_MAILBOXES);
    return box.toldAt + Math.min(TELL_INTERVAL, scarcity * FIRST_TELL_INTERVAL * 2 ** (box.told - 1));
  }

  #drop(near: NearNode): void {
    this.lookup.near.delete(near.id);
    this.#mailboxes.delete(near.id);
  }
}

function requestDue(box: Mailbox): Mono {
  if (box.requests === 0) return box.requestedAt;
  return box.requestedAt + Math.min(MAX_REQUEST_INTERVAL, REQUEST_INTERVAL * 2 ** (box.requests - 1));
}
