import type { Cancel } from '../base/clock.ts';
import type { MailStatus } from '../smtp/mail-error.ts';
import { LONGEST_MS } from './backoff.ts';
import type { QueueRow, QueueStore } from './queue-store.ts';

/** Ours: deliveries of one peer under way at once; many small mails fill the pipe, none waits for another's answer. */
export const LANE_JOBS_MAX = 64;
/** Rows read ahead. */
const READ_AHEAD = 128;

/** A delivery under way. */
export interface Job {
  readonly row: QueueRow;
  /** The lane's generation when it began: tells a stale `offline` from a fresh one. */
  readonly generation: number;
  readonly abort: AbortController;
  /** Bytes that the other side has. */
  sent: number;
  /** Its outcome is being written down; too late to cancel. */
  settling: boolean;
}

/** What waits for one recipient of one account, in the order of acceptance. Rows are read as they are needed. */
export class Lane {
  readonly account: string;
  readonly name: string;
  online = false;
  /** Why it takes nothing although its node is there; until it comes online anew. */
  reason: MailStatus | undefined;
  /** Counts how often the peer came online. */
  generation = 0;
  /** By transfer id. At most LANE_JOBS_MAX. */
  readonly jobs = new Map<string, Job>();
  /** Transfer ids whose end is being written down without a job. At most those of one pass that gives up mails. */
  readonly ending = new Set<string>();
  /** When the earliest of the postponed is due. */
  timer: Cancel | undefined;
  readonly #store: QueueStore;
  /** Read and not begun. At most READ_AHEAD. */
  #ahead: QueueRow[] = [];
  #cursor = 0;
  #more = true;
  #earliest = Number.POSITIVE_INFINITY;

  constructor(store: QueueStore, account: string, name: string) {
    this.#store = store;
    this.account = account;
    this.name = name;
  }

  /** There are new rows up to `seq`; they may have been read already, with others of their commit. */
  grown(seq: number): void {
    if (seq > this.#cursor) this.#more = true;
  }

  /** Look at everything again: something became due, or was removed. */
  rewind(): void {
    this.#ahead = [];
    this.#cursor = 0;
    this.#more = true;
    this.#earliest = Number.POSITIVE_INFINITY;
  }

  /** The next one that is due (`now`: calendar time) and not under way. */
  next(now: number): QueueRow | undefined {
    for (;;) {
      const row = this.#ahead.shift() ?? this.#read();
      if (!row) return undefined;
      // Nothing waits longer: a later time is of a clock that went wrong.
      if (row.nextAttempt > now && row.nextAttempt <= now + LONGEST_MS)
        this.#earliest = Math.min(this.#earliest, row.nextAttempt);
      else if (!this.jobs.has(row.id) && !this.ending.has(row.id)) return row;
    }
  }

  /** A job is over: it leaves the lane, and so does a copy of its row that was read meanwhile. */
  settled(id: string): void {
    this.jobs.delete(id);
    this.#ahead = this.#ahead.filter((row) => row.id !== id);
  }

  /** Calendar time at which a row that `next` passed over is due. */
  get earliest(): number | undefined {
    return this.#earliest === Number.POSITIVE_INFINITY ? undefined : this.#earliest;
  }

  postponed(until: number): void {
    this.#earliest = Math.min(this.#earliest, until);
  }

  #read(): QueueRow | undefined {
    if (!this.#more) return undefined;
    this.#ahead = this.#store.waiting(this.account, this.name, this.#cursor, READ_AHEAD);
    this.#more = this.#ahead.length === READ_AHEAD;
    this.#cursor = this.#ahead.at(-1)?.seq ?? this.#cursor;
    return this.#ahead.shift();
  }
}
