import { readFile } from 'node:fs/promises';

/** The kernel's unit of CPU time (USER_HZ) is the same on every machine that Debian supports. */
const TICKS_PER_SECOND = 100;

/** Seconds of CPU that a process has used so far, in user and kernel. */
export async function cpuSeconds(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).replace(/^.*\) /, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Memory that a process has in RAM now. */
export async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s*(\d+) kB/m.exec(status)![1]) * 1024;
}
