/**
 * Monotonic time in milliseconds since an arbitrary start; may have a fraction.
 * Handed into every entry point, never read by core code. Calendar time is `Env.unixSeconds`.
 */
export type Mono = number;

/** What a machine may ask of the world besides the datagrams and the time that it is handed. */
export interface Env {
  /** `size` fresh random bytes from a CSPRNG (seeded in tests). The caller owns the array. */
  random(size: number): Uint8Array;
  /** Calendar time, whole seconds since 1970 (only `no_replay` and save files need it). */
  unixSeconds(): bigint;
  /**
   * One diagnostic line: a stable id (`dht.bootstrap`, `session.established`) and public fields.
   * Never a key, an address of a friend or content.
   */
  log(id: string, fields?: Record<string, string | number | boolean>): void;
}

/** A uniformly distributed integer, 0 <= n < bound; bound at most 2^32. */
export function randomInt(env: Env, bound: number): number {
  if (bound <= 1) return 0;
  const limit = 2 ** 32 - (2 ** 32 % bound); // rejects the biased tail
  for (;;) {
    const b = env.random(4);
    const n = (b[0]! * 2 ** 24 + b[1]! * 2 ** 16 + b[2]! * 2 ** 8 + b[3]!) >>> 0;
    if (n < limit) return n % bound;
  }
}
