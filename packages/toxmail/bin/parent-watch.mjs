import { readFileSync } from 'node:fs';

const POLL_MS = 250;

/**
 * Under npm (npm start, npx), npm is the one whom people and service managers stop. It passes some signals on, but the
 * shell between us may swallow them, and a killed npm passes on nothing: when npm or that shell is gone, this process
 * gets a SIGTERM. Does nothing when npm is not the parent: a daemon in the background outlives its shell. Linux only.
 */
export function stopWithNpm() {
  const parent = process.ppid;
  const npm = [parent, parentOf(parent)].find((pid) => pid !== undefined && isNpm(pid));
  if (npm === undefined) return;
  const timer = setInterval(() => {
    if (process.ppid === parent && isNpm(npm)) return;
    clearInterval(timer);
    process.kill(process.pid, 'SIGTERM');
  }, POLL_MS);
  timer.unref();
}

function isNpm(pid) {
  return /^npm\b/.test(read(`/proc/${pid}/cmdline`));
}

function parentOf(pid) {
  const id = Number(/^PPid:\s*(\d+)/m.exec(read(`/proc/${pid}/status`))?.[1] ?? 0);
  return id > 1 ? id : undefined;
}

function read(path) {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
