import type { FlagBits } from './types.ts';

/** A size or content that is not known yet. */
export const UNKNOWN = 0;

export interface MailRow {
  readonly uid: number;
  readonly unique: string;
  /** `cur/NAME` or `new/NAME` as it is now. */
  readonly path: string;
  readonly bits: FlagBits;
  readonly modSeq: number;
  readonly savedMs: number;
  /** Key of the parsed mail in the index; UNKNOWN until it has been read. */
  readonly content: number;
  /** Octets with CRLF; UNKNOWN until it has been measured (no mail is empty: W=0 is measured like any other). */
  readonly size: number;
  /** INTERNALDATE, milliseconds since 1970; NaN until it is known. */
  readonly dateMs: number;
}

/**
 * The mails of a folder in memory, as columns by position; about 250 bytes each with their names. UIDs ascend.
 * UNBOUNDED in the number of mails, as that is what a folder is; folders that nobody uses are unloaded.
 */
export class MailTable {
  #count = 0;
  #uidColumn = new Uint32Array(64);
  #uids = this.#uidColumn.subarray(0, 0);
  bits = new Uint32Array(64);
  contents = new Uint32Array(64);
  sizes = new Float64Array(64);
  savedMs = new Float64Array(64);
  modSeqs = new Float64Array(64);
  dates = new Float64Array(64);
  paths: string[] = [];
  readonly #byUnique = new Map<string, number>();

  get count(): number {
    return this.#count;
  }

  /** Never changed in place: a new array after each `add` and `remove`. */
  get uids(): Uint32Array {
    if (this.#uids.length !== this.#count) this.#uids = this.#uidColumn.subarray(0, this.#count);
    return this.#uids;
  }

  /** The UID must be above all others. */
  add(row: MailRow): void {
    const at = this.#count;
    if (at === this.#uidColumn.length) this.#grow();
    this.#uidColumn[at] = row.uid;
    this.bits[at] = row.bits;
    this.contents[at] = row.content;
    this.sizes[at] = row.size;
    this.savedMs[at] = row.savedMs;
    this.modSeqs[at] = row.modSeq;
    this.dates[at] = row.dateMs;
    this.paths.push(row.path);
    this.#byUnique.set(row.unique, row.uid);
    this.#count++;
  }

  /** Position of a UID, or -1. */
  indexOf(uid: number): number {
    const { uids } = this;
    let low = 0;
    let high = uids.length - 1;
    // UIDs are often dense: try where it would be then.
    const guess = uid - (uids[0] ?? 0);
    if (guess >= 0 && guess <= high && uids[guess] === uid) return guess;
    while (low <= high) {
      const mid = (low + high) >>> 1;
      const found = uids[mid]!;
      if (found === uid) return mid;
      if (found < uid) low = mid + 1;
      else high = mid - 1;
    }
    return -1;
  }

  indexOfUnique(unique: string): number {
    const uid = this.#byUnique.get(unique);
    return uid === undefined ? -1 : this.indexOf(uid);
  }

  /** Positions ascend. */
  remove(indexes: readonly number[], uniques: readonly string[]): void {
    for (const unique of uniques) this.#byUnique.delete(unique);
    const gone = new Set(indexes);
    const kept: number[] = [];
    for (let i = 0; i < this.#count; i++) if (!gone.has(i)) kept.push(i);
    this.#count = kept.length;
    const capacity = Math.max(64, kept.length);
    this.#uidColumn = pick(this.#uidColumn, new Uint32Array(capacity), kept);
    this.bits = pick(this.bits, new Uint32Array(capacity), kept);
    this.contents = pick(this.contents, new Uint32Array(capacity), kept);
    this.sizes = pick(this.sizes, new Float64Array(capacity), kept);
    this.savedMs = pick(this.savedMs, new Float64Array(capacity), kept);
    this.modSeqs = pick(this.modSeqs, new Float64Array(capacity), kept);
    this.dates = pick(this.dates, new Float64Array(capacity), kept);
    this.paths = kept.map((i) => this.paths[i]!);
    this.#uids = this.#uidColumn.subarray(0, this.#count);
  }

  #grow(): void {
    const capacity = this.#uidColumn.length * 2;
    this.#uidColumn = grown(this.#uidColumn, new Uint32Array(capacity));
    this.bits = grown(this.bits, new Uint32Array(capacity));
    this.contents = grown(this.contents, new Uint32Array(capacity));
    this.sizes = grown(this.sizes, new Float64Array(capacity));
    this.savedMs = grown(this.savedMs, new Float64Array(capacity));
    this.modSeqs = grown(this.modSeqs, new Float64Array(capacity));
    this.dates = grown(this.dates, new Float64Array(capacity));
  }
}

function grown<T extends Uint32Array | Float64Array>(from: T, to: T): T {
  to.set(from);
  return to;
}

function pick<T extends Uint32Array | Float64Array>(from: T, to: T, indexes: readonly number[]): T {
  for (let i = 0; i < indexes.length; i++) to[i] = from[indexes[i]!]!;
  return to;
}
