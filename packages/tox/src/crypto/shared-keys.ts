import { BoundedMap } from '../core/bounded-map.ts';
import { type KeyId, keyId, type PublicKey, type SecretKey, type SharedKey } from './keys.ts';
import { sharedKey } from './sodium.ts';

/**
 * Shared keys of one secret key with many public ones. A derivation costs about 50 µs, which is
 * what a flood of new keys would make us pay, so callers charge misses to the source.
 * BOUNDED: `capacity`, least recently used goes first.
 */
export class SharedKeys {
  readonly #cache: BoundedMap<KeyId, SharedKey>;
  readonly #secretKey: SecretKey;

  constructor(secretKey: SecretKey, capacity: number) {
    this.#secretKey = secretKey;
    this.#cache = new BoundedMap(capacity);
  }

  /** Undefined for a low-order public key. */
  get(publicKey: PublicKey): SharedKey | undefined {
    const id = keyId(publicKey);
    const known = this.#cache.get(id);
    if (known) return known;
    const key = sharedKey(publicKey, this.#secretKey);
    if (key) this.#cache.set(id, key);
    return key;
  }

  /** Whether `get` would answer without a derivation. */
  has(publicKey: PublicKey): boolean {
    return this.#cache.has(keyId(publicKey));
  }
}
