import { KEY_SIZE, type KeyId, keyId, type PublicKey, type SecretKey, type SharedKey } from './keys.ts';
import { sharedKeyInto } from './sodium.ts';

/** Keys are cut from blocks of so many: an ArrayBuffer of its own takes ten times the memory of a key. */
const BLOCK = 32;

/**
 * Shared keys of one secret key with many public ones. A derivation costs about 50 µs, which is
 * what a flood of new keys would make us pay, so callers charge misses to the source.
 * BOUNDED: `capacity`; the oldest goes first, but one that was used since its last turn gets another
 * (as CLOCK does: hits are many, and need not reorder anything).
 */
export class SharedKeys {
  readonly #cache = new Map<KeyId, { readonly key: SharedKey; used: boolean }>();
  readonly #secretKey: SecretKey;
  readonly #capacity: number;
  #block = new Uint8Array(0);

  constructor(secretKey: SecretKey, capacity: number) {
    this.#secretKey = secretKey;
    this.#capacity = capacity;
  }

  /** Undefined for a low-order public key, or if it is not known and `mayDerive` refuses. */
  get(publicKey: PublicKey, mayDerive?: () => boolean): SharedKey | undefined {
    const id = keyId(publicKey);
    const known = this.#cache.get(id);
    if (known) {
      known.used = true;
      return known.key;
    }
    if (mayDerive && !mayDerive()) return undefined;
    const key = this.#derive(publicKey);
    if (!key) return undefined;
    if (this.#cache.size >= this.#capacity) this.#makeRoom();
    this.#cache.set(id, { key, used: false });
    return key;
  }

  #derive(publicKey: PublicKey): SharedKey | undefined {
    if (this.#block.length === 0) this.#block = new Uint8Array(BLOCK * KEY_SIZE);
    const key = this.#block.subarray(0, KEY_SIZE) as Uint8Array as SharedKey;
    if (!sharedKeyInto(key, publicKey, this.#secretKey)) return undefined;
    this.#block = this.#block.subarray(KEY_SIZE);
    return key;
  }

  #makeRoom(): void {
    for (const [id, entry] of this.#cache) {
      this.#cache.delete(id);
      if (!entry.used) return;
      entry.used = false;
      this.#cache.set(id, entry); // to the end of the line, where this loop finds it if all were used
    }
  }
}
