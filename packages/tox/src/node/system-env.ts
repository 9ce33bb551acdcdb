import type { Env } from '../core/env.ts';
import { systemRandom } from '../crypto/sodium.ts';

/** Real randomness and calendar. */
export function systemEnv(log: Env['log'] = () => {}): Env {
  return { random: systemRandom, unixSeconds: () => BigInt(Math.floor(Date.now() / 1000)), log };
}
