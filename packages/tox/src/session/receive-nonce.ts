import { NONCE_SIZE, type Nonce } from '../crypto/keys.ts';
import { incrementNonce, nonceLow16 } from '../crypto/nonce.ts';

/** spec: DATA_NUM_THRESHOLD. A third of the range of the 16 bits that are sent. */
const THRESHOLD = 21_845;
const RANGE = 65_536;

/**
 * Recovers the nonces of a peer's data packets from their low 16 bits, and remembers which were
 * used, so that a captured packet cannot be played back. `base` trails the newest by up to two
 * thirds of the range. BOUNDED: 8 KiB.
 */
export class ReceiveNonce {
  readonly #base: Nonce;
  readonly #candidate = new Uint8Array(NONCE_SIZE) as Nonce;
  /** One bit per low 16 bits: this nonce between base and base + 65535 was used. */
  readonly #used = new Uint32Array(RANGE / 32);

  constructor(base: Nonce) {
    this.#base = base.slice() as Uint8Array as Nonce;
  }

  seen(low16: number): boolean {
    return (this.#used[low16 >>> 5]! & (1 << (low16 & 31))) !== 0;
  }

  /** The nonce that these bits mean; valid until the next call. */
  candidate(low16: number): Nonce {
    this.#candidate.set(this.#base);
    incrementNonce(this.#candidate, this.#distance(low16));
    return this.#candidate;
  }

  /** The packet opened with the candidate. */
  accept(low16: number): void {
    this.#used[low16 >>> 5]! |= 1 << (low16 & 31);
    if (this.#distance(low16) <= 2 * THRESHOLD) return;
    const first = nonceLow16(this.#base);
    for (let i = 0; i < THRESHOLD; i++) {
      const old = (first + i) & (RANGE - 1);
      this.#used[old >>> 5]! &= ~(1 << (old & 31));
    }
    incrementNonce(this.#base, THRESHOLD);
  }

  #distance(low16: number): number {
    return (low16 - nonceLow16(this.#base)) & (RANGE - 1);
  }
}
