import type { Mono } from './env.ts';

/** The earlier of two optional deadlines. */
export function earlier(a: Mono | undefined, b: Mono | undefined): Mono | undefined {
  if (a === undefined) return b;
  if (b === undefined) return a;
  return Math.min(a, b);
}
