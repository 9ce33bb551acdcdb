import { readFileSync } from 'node:fs';

const POLL_MS = 500;

/**
 * Calls `gone` when the npm that started this process has died without passing on a signal (SIGKILL). Does nothing when
 * the parent is no npm: a daemon that was put into the background outlives its shell. Linux only.
 */
export function watchNpmParent(gone) {
  const parent = process.ppid;
  try {
    if (!/^npm\b/.test(readFileSync(`/proc/${parent}/cmdline`, 'latin1'))) return;
  } catch {
    return;
  }
  setInterval(() => {
    if (process.ppid !== parent) gone();
  }, POLL_MS).unref();
}
