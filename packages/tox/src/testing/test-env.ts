import { allocate } from '../core/allocate.ts';
import type { Env } from '../core/env.ts';
import { seededRandom } from './random.ts';

/** Seconds since 1970 at the start of every simulation. */
export const TEST_EPOCH = 1_700_000_000n;

/**
 * An `Env` whose randomness follows from `seed` and whose calendar follows the given virtual
 * clock. Log lines go to `log`, if any.
 */
export function testEnv(seed: number, now: () => number = () => 0, log: Env['log'] = () => {}): Env {
  const next = seededRandom(seed);
  return {
    random(size) {
      const out = size < 32 ? allocate(size) : new Uint8Array(size);
      for (let i = 0; i < size; i++) out[i] = next() * 256;
      return out;
    },
    unixSeconds: () => TEST_EPOCH + BigInt(Math.floor(now() / 1000)),
    log,
  };
}
