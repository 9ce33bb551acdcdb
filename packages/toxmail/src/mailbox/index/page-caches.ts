import type { DatabaseSync } from 'node:sqlite';

/** BOUNDED: indexes whose pages stay in memory, up to 8 MB each in the index's thread and 2 MB in the daemon's. */
const WARM_MAX = 4;

/** What one thread keeps of the pages of its indexes: the one not used for longest gives its own up for the next. */
export class PageCaches {
  /** The one used last stands at the end. */
  readonly #warm = new Set<DatabaseSync>();

  used(sql: DatabaseSync): void {
    this.#warm.delete(sql);
    this.#warm.add(sql);
    if (this.#warm.size <= WARM_MAX) return;
    const [oldest] = this.#warm;
    this.#warm.delete(oldest!);
    try {
      if (oldest!.isOpen) oldest!.exec('PRAGMA shrink_memory');
    } catch {
      // it is for memory only, and not this account's trouble
    }
  }
}
