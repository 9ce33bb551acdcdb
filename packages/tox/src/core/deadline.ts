import type { Mono } from './env.ts';

/** Whether a deadline has come. */
export function isDue(at: Mono | undefined, now: Mono): boolean {
  return at !== undefined && at <= now;
}

/** The earlier of two optional deadlines. */
export function earlier(a: Mono | undefined, b: Mono | undefined): Mono | undefined {
  if (a === undefined) return b;
  if (b === undefined) return a;
  return Math.min(a, b);
}
