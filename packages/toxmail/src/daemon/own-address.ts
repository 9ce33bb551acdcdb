import { outwardAddresses } from '../base/addresses.ts';

/** An address of this machine that others in its network reach; the loopback address if it has no network. */
export function reachableHost(): string {
  const outward = outwardAddresses();
  return (outward.find((each) => each.family === 'IPv4') ?? outward[0])?.address ?? '127.0.0.1';
}
