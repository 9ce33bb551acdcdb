import { isIP, isIPv4, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';

/** `localhost`, 127.0.0.0/8 and ::1, also as IPv4 mapped into IPv6: nobody but this machine sees such traffic. */
export function isLoopback(address: string): boolean {
  const plain = unmapped(address);
  return plain === 'localhost' || plain === '::1' || (isIPv4(plain) && plain.startsWith('127.'));
}

/** `::ffff:192.0.2.1`, as a listener on :: sees IPv4 clients, without its prefix. */
export function unmapped(address: string): string {
  const match = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  return match ? match[1]! : address;
}

/** The source that counts: an IPv4 address, or of IPv6 the first 64 bits, as a home has so many that it can take another each time. */
export function networkOf(source: string): string {
  const address = unmapped(source);
  if (!isIPv6(address)) return address;
  const [head = '', tail = ''] = address.toLowerCase().split('%')[0]!.split('::');
  const [front, back] = [head, tail].map((half) => half.split(':').filter((group) => group !== '')) as [
    string[],
    string[],
  ];
  const zeros = Array<string>(Math.max(0, 8 - front.length - back.length)).fill('0');
  return [...front, ...zeros, ...back].slice(0, 4).join(':');
}

/** True for the addresses that mean all interfaces. */
export function isWildcard(address: string): boolean {
  return isIP(address) !== 0 && /^[0:.]+$/.test(address);
}

/** Of this machine's interfaces, those that others in its networks reach; link-local ones need a zone, so not these. */
export function outwardAddresses(): { address: string; family: string }[] {
  const all = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  return all.filter((each) => !each.internal && !each.address.toLowerCase().startsWith('fe80:'));
}
