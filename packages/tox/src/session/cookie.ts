import type { Env, Mono } from '../core/env.ts';
import type { Nonce } from '../crypto/keys.ts';
import { KEY_SIZE, NONCE_SIZE, type PublicKey, randomNonce, type SharedKey } from '../crypto/keys.ts';
import { open, seal } from '../crypto/sodium.ts';
import { COOKIE_SIZE } from '../packet/crypto.ts';

/** spec: Cookie Request (COOKIE_TIMEOUT). Milliseconds. */
const COOKIE_LIFETIME = 15_000;

const TIME_SIZE = 8;

export interface Cookie {
  readonly issued: Mono;
  readonly realKey: PublicKey;
  readonly dhtKey: PublicKey;
}

/**
 * Issues cookies and knows its own again, without keeping any: `nonce E(own key){ time u64,
 * peer_real_pk, peer_dht_pk }`, 112 bytes. The key lives as long as the object; a peer cannot read
 * a cookie, so the time is in a form of our own (milliseconds of the monotonic clock).
 */
export class CookieJar {
  readonly #env: Env;
  readonly #key: SharedKey;

  constructor(env: Env) {
    this.#env = env;
    this.#key = env.random(KEY_SIZE) as SharedKey;
  }

  issue(now: Mono, realKey: PublicKey, dhtKey: PublicKey): Uint8Array {
    const plain = new Uint8Array(TIME_SIZE + 2 * KEY_SIZE);
    new DataView(plain.buffer).setFloat64(0, now);
    plain.set(realKey, TIME_SIZE);
    plain.set(dhtKey, TIME_SIZE + KEY_SIZE);
    const nonce = randomNonce(this.#env);
    const out = new Uint8Array(COOKIE_SIZE);
    out.set(nonce, 0);
    out.set(seal(this.#key, nonce, plain), NONCE_SIZE);
    return out;
  }

  /** Undefined unless the cookie is ours and at most 15 s old. */
  open(now: Mono, cookie: Uint8Array): Cookie | undefined {
    if (cookie.length !== COOKIE_SIZE) return undefined;
    const nonce = cookie.subarray(0, NONCE_SIZE) as Uint8Array as Nonce;
    const plain = open(this.#key, nonce, cookie.subarray(NONCE_SIZE));
    if (!plain) return undefined;
    const issued = new DataView(plain.buffer, plain.byteOffset).getFloat64(0);
    if (issued > now || now - issued > COOKIE_LIFETIME) return undefined;
    return {
      issued,
      realKey: plain.slice(TIME_SIZE, TIME_SIZE + KEY_SIZE) as Uint8Array as PublicKey,
      dhtKey: plain.slice(TIME_SIZE + KEY_SIZE) as Uint8Array as PublicKey,
    };
  }
}
