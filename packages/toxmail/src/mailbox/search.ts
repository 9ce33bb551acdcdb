import type { FolderState } from './folder-state.ts';
import { lowerBound } from './parsing.ts';
import type { SearchKey } from './types.ts';

/** Keys nest as the client writes them. */
const DEPTH_MAX = 100;
const DAY_MS = 86_400_000;

/**
 * The UIDs of the mails that match, ascending. Flags, UIDs, dates and sizes are looked up in the folder's columns, the
 * rest by the index. `parsed` resolves when the index knows all mails.
 */
export async function evaluate(
  query: SearchKey,
  state: FolderState,
  parsed: () => Promise<void>,
): Promise<Uint32Array> {
  if (needsIndex(query)) await parsed();
  // The mails as they are now; those that come while the index is asked are left out.
  const uids = state.table.uids;
  const search = new Search(uids, state);
  const matches = await search.matches(query, 0);
  const found = new Uint32Array(uids.length);
  let count = 0;
  for (let i = 0; i < uids.length; i++) if (matches[i] === 1) found[count++] = uids[i]!;
  return found.slice(0, count);
}

function needsIndex(key: SearchKey): boolean {
  switch (key.key) {
    case 'and':
    case 'or':
      return key.of.some(needsIndex);
    case 'not':
      return needsIndex(key.of);
    case 'all':
    case 'uid':
    case 'flag':
    case 'modseq':
      return false;
    case 'before':
    case 'on':
    case 'since':
      return key.date !== 'saved';
    default:
      return true;
  }
}

/** Marks, one for each mail: 1 if it matches. */
type Marks = Uint8Array;

class Search {
  readonly #uids: Uint32Array;
  readonly #state: FolderState;

  constructor(uids: Uint32Array, state: FolderState) {
    this.#uids = uids;
    this.#state = state;
  }

  async matches(key: SearchKey, depth: number): Promise<Marks> {
    if (depth > DEPTH_MAX) return new Uint8Array(this.#uids.length);
    switch (key.key) {
      case 'and':
      case 'or': {
        const and = key.key === 'and';
        const all = new Uint8Array(this.#uids.length).fill(and ? 1 : 0);
        for (const each of key.of) {
          const marks = await this.matches(each, depth + 1);
          for (let i = 0; i < all.length; i++) all[i] = and ? all[i]! & marks[i]! : all[i]! | marks[i]!;
        }
        return all;
      }
      case 'not': {
        const marks = await this.matches(key.of, depth + 1);
        for (let i = 0; i < marks.length; i++) marks[i] = marks[i]! ^ 1;
        return marks;
      }
      case 'all':
        return new Uint8Array(this.#uids.length).fill(1);
      case 'uid':
        return this.#ranges(key.ranges);
      case 'flag': {
        const bit = this.#state.keywords.bit(key.flag) ?? 0;
        const { bits } = this.#state.table;
        return this.#where((i) => (bits[i]! & bit) !== 0);
      }
      case 'modseq':
        return this.#where((i) => this.#state.table.modSeqs[i]! >= key.from);
      case 'larger':
        return this.#where((i) => this.#state.table.sizes[i]! > key.octets);
      case 'smaller':
        return this.#where((i) => this.#state.table.sizes[i]! < key.octets);
      case 'younger':
      case 'older': {
        const border = this.#state.deps.scheduler.unixMs() - key.seconds * 1000;
        const younger = key.key === 'younger';
        return this.#where((i) => this.#state.table.dates[i]! >= border === younger);
      }
      case 'before':
      case 'on':
      case 'since':
        if (key.date !== 'sent') return this.#byDay(key.key, key.date, key.day);
        return this.#found(await this.#state.deps.index.search(this.#state.key, { ...key, date: 'sent' }));
      default:
        return this.#found(await this.#state.deps.index.search(this.#state.key, key));
    }
  }

  /** Mails that went meanwhile match nothing. */
  #where(test: (i: number) => boolean): Marks {
    const marks = new Uint8Array(this.#uids.length);
    const { table } = this.#state;
    const uids = this.#uids;
    const now = table.uids;
    for (let n = 0; n < marks.length; n++) {
      const i = now[n] === uids[n] ? n : table.indexOf(uids[n]!);
      if (i >= 0 && test(i)) marks[n] = 1;
    }
    return marks;
  }

  #byDay(key: 'before' | 'on' | 'since', date: 'internal' | 'saved', day: number): Marks {
    const { dates, savedMs } = this.#state.table;
    const column = date === 'internal' ? dates : savedMs;
    return this.#where((i) => {
      const at = Math.floor(column[i]! / DAY_MS);
      return key === 'before' ? at < day : key === 'on' ? at === day : at >= day;
    });
  }

  #ranges(ranges: readonly (readonly [number, number])[]): Marks {
    const marks = new Uint8Array(this.#uids.length);
    for (const [first, last] of ranges) {
      for (let i = lowerBound(this.#uids, first); i < marks.length && this.#uids[i]! <= last; i++) marks[i] = 1;
    }
    return marks;
  }

  /** `uids` ascend. */
  #found(uids: Uint32Array): Marks {
    const marks = new Uint8Array(this.#uids.length);
    let i = 0;
    for (const uid of uids) {
      while (i < this.#uids.length && this.#uids[i]! < uid) i++;
      if (this.#uids[i] === uid) marks[i] = 1;
    }
    return marks;
  }
}
