import { BlockList, isIP, isIPv6 } from 'node:net';
import { hostname } from 'node:os';
import { isLoopback, isWildcard, outwardAddresses } from '../base/addresses.ts';

/** Names and addresses under which mail programs reach this machine, most telling first. */
export interface MachineNames {
  /** What the person set: `listen`, `tls-name`. Always in the certificate. */
  readonly set: readonly string[];
  /** What the system says. In the certificate as far as the authority may vouch for it. */
  readonly found: readonly string[];
  /** IPv4 addresses that it has, also while it listens to itself only: a new authority may vouch for them later. */
  readonly possible: readonly string[];
}

/** Ours: addresses of one machine. */
const FOUND_MAX = 64;
const DNS_NAME = /^(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;

/** Names and networks that mean something only near this machine: harmless if an authority may vouch for all of them. */
const LOCAL_NAMES = ['localhost', 'local', 'home.arpa', 'lan', 'internal'];
const LOCAL_NETWORKS = [
  ...['127.0.0.0/8', '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '169.254.0.0/16', '100.64.0.0/10'],
  ...['::1/128', 'fc00::/7', 'fe80::/10'],
];

/** `listen`: the address that the servers listen on; `more`: what the person added. */
export function machineNames(listen: string, more: readonly string[]): MachineNames {
  const host = hostname().toLowerCase();
  const short = host.split('.')[0]!;
  const named = [host, `${short}.local`].filter((name) => DNS_NAME.test(name) && !isIP(name));
  const interfaces = outwardAddresses().map((each) => each.address);
  const set = [...more, listen].map((name) => name.toLowerCase()).filter((name) => !isLoopback(name));
  return {
    set: unique(set.filter((name) => !isWildcard(name) && isCertifiable(name))),
    possible: interfaces.filter((address) => !isIPv6(address)).slice(0, FOUND_MAX),
    found: unique([...named, 'localhost', '127.0.0.1', '::1', ...(isWildcard(listen) ? interfaces : [])]).slice(
      0,
      FOUND_MAX,
    ),
  };
}

/** True for what can be in a certificate: a host name in ASCII, or an address without a zone. */
export function isCertifiable(name: string): boolean {
  return (isIP(name) !== 0 && !name.includes('%')) || DNS_NAME.test(name.toLowerCase());
}

/**
 * What a new authority may vouch for: all that is near, what the person set, and what the machine has now. Of IPv6 only
 * what is near, since global addresses change by the day.
 */
export function permittedNames({ set, found, possible }: MachineNames, before: readonly string[] = []): string[] {
  const local = [...LOCAL_NAMES, ...LOCAL_NETWORKS];
  const names = [...found.filter((name) => !isIPv6(name)), ...possible, ...set].filter((name) => !covers(local, name));
  return unique([...local, ...names, ...before.filter((name) => !covers(local, name.replace(/\/(32|128)$/, '')))]);
}

/** RFC 5280 §4.2.1.10: a name is covered by itself and by what it ends in; an address by its network. */
export function covers(permitted: readonly string[], name: string): boolean {
  if (isIP(name) === 0) return permitted.some((each) => name === each || name.endsWith(`.${each}`));
  const networks = new BlockList();
  for (const each of permitted) {
    const [address = '', bits] = each.split('/');
    const family = isIPv6(address) ? 'ipv6' : 'ipv4';
    if (isIP(address) === 0) continue;
    if (bits === undefined) networks.addAddress(address, family);
    else networks.addSubnet(address, Number(bits), family);
  }
  return networks.check(name, isIPv6(name) ? 'ipv6' : 'ipv4');
}

function unique(names: readonly string[]): string[] {
  return [...new Set(names)];
}
