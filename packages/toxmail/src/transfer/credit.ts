import { BASE_CREDIT, CREDIT_POOL, FULL_CREDIT } from './limits.ts';

/** Bytes that all peers share beyond their base credit. */
export class CreditPool {
  #free: number;

  constructor(size = CREDIT_POOL) {
    this.#free = size;
  }

  /** At most `want`; what there is. */
  take(want: number): number {
    const given = Math.min(want, this.#free);
    this.#free -= given;
    return given;
  }

  giveBack(bytes: number): void {
    this.#free += bytes;
  }
}

/**
 * What one peer may send us. Invariant: granted - freed <= BASE_CREDIT + reserved, so the bytes of this peer in our
 * memory are bounded by it, and those of all peers by the pool.
 */
export class IncomingCredit {
  readonly #pool: CreditPool;
  #granted = BASE_CREDIT;
  #arrived = 0;
  #freed = 0;
  #reserved = 0;
  #ended = false;

  constructor(pool: CreditPool) {
    this.#pool = pool;
  }

  /** Bytes in memory. */
  get held(): number {
    return this.#arrived - this.#freed;
  }

  /** With more than this in memory, unfinished blocks are written too: credit must not hang on them. */
  get flushAt(): number {
    return (BASE_CREDIT + this.#reserved) / 4;
  }

  /** False if the peer sent more than it may. */
  arrive(bytes: number): boolean {
    this.#arrived += bytes;
    return this.#arrived <= this.#granted;
  }

  /**
   * `bytes` have left memory. Returns the new total to tell the peer, or undefined while it is not worth a packet.
   * `flowing`: a large mail is under way, which deserves the full credit.
   */
  free(bytes: number, flowing: boolean): number | undefined {
    if (this.#ended) return undefined;
    this.#freed += bytes;
    const outstanding = this.#granted - this.#freed;
    const want = Math.max(outstanding, flowing ? FULL_CREDIT : BASE_CREDIT) - BASE_CREDIT;
    if (want > this.#reserved) this.#reserved += this.#pool.take(want - this.#reserved);
    else this.#release(this.#reserved - want);
    const limit = BASE_CREDIT + this.#reserved;
    if (outstanding > (limit * 3) / 4) return undefined;
    this.#granted = this.#freed + limit;
    return this.#granted;
  }

  /** The session is over. */
  end(): void {
    this.#ended = true;
    this.#release(this.#reserved);
  }

  #release(bytes: number): void {
    this.#reserved -= bytes;
    this.#pool.giveBack(bytes);
  }
}
