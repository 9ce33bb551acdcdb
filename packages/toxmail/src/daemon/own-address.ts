import { networkInterfaces } from 'node:os';

/** An address of this machine that others in its network reach; the loopback address if it has no network. */
export function reachableHost(): string {
  const all = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  const outward = all.filter((each) => !each.internal && !each.address.toLowerCase().startsWith('fe80:'));
  return (outward.find((each) => each.family === 'IPv4') ?? outward[0])?.address ?? '127.0.0.1';
}
