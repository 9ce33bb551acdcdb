import type { HostPort } from '../core/machine.ts';

/**
 * An IP address and a port as one comparable string: `192.0.2.1:33445`, `[2001:db8::1]:33445`.
 * Canonical (IPv6 compressed and lower case, IPv4-mapped written as IPv4), so equal strings are
 * equal endpoints.
 */
export type Endpoint = string & { readonly __endpoint: true };

/** Undefined for anything but a numeric address without zone and a port 1..65535. */
export function endpoint(address: string, port: number): Endpoint | undefined {
  if (!Number.isInteger(port) || port < 1 || port > 65535) return undefined;
  const ip = parseIp4(address) ?? parseIp6(address);
  return ip && endpointFromBytes(ip, port);
}

/**
 * A host name and a port, for a proxy to resolve; a numeric address gives an `Endpoint`, so that each
 * place has one form. Undefined for what is no host name (RFC 1123 §2.1, and `_`) or port.
 */
export function hostPort(host: string, port: number): Endpoint | HostPort | undefined {
  const numeric = endpoint(host, port);
  if (numeric || !Number.isInteger(port) || port < 1 || port > 65_535) return numeric;
  const name = host.toLowerCase();
  return /^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63}){0,126}$/.test(name) && name.length <= 253
    ? (`${name}:${port}` as HostPort)
    : undefined;
}

/** `address:port` in text as an endpoint. Undefined for a host name, or anything else that is none. */
export function parseEndpoint(text: string): Endpoint | undefined {
  return endpoint(endpointAddress(text as Endpoint), endpointPort(text as Endpoint));
}

/** 4 or 16 address bytes. Undefined for another length or port 0. */
export function endpointFromBytes(ip: Uint8Array, port: number): Endpoint | undefined {
  if (port < 1 || port > 65535) return undefined;
  if (ip.length === 4) return ip4Endpoint(((ip[0]! << 24) | (ip[1]! << 16) | (ip[2]! << 8) | ip[3]!) >>> 0, port);
  if (ip.length !== 16) return undefined;
  if (isMapped(ip)) return endpointFromBytes(ip.subarray(12), port);
  return `[${formatIp6(ip)}]:${port}` as Endpoint;
}

/** `ip`: the address as one number, as `endpointIp4` gives it. Undefined for port 0. */
export function ip4Endpoint(ip: number, port: number): Endpoint | undefined {
  if (port < 1 || port > 65535) return undefined;
  return `${ip >>> 24}.${(ip >>> 16) & 0xff}.${(ip >>> 8) & 0xff}.${ip & 0xff}:${port}` as Endpoint;
}

export function endpointAddress(e: Endpoint): string {
  return e.startsWith('[') ? e.slice(1, e.lastIndexOf(']')) : e.slice(0, e.lastIndexOf(':'));
}

export function endpointPort(e: Endpoint): number {
  return Number(e.slice(e.lastIndexOf(':') + 1));
}

export function isIp6(e: Endpoint): boolean {
  return e.startsWith('[');
}

/** The 4 or 16 bytes of the address. */
export function endpointIp(e: Endpoint): Uint8Array {
  const ip = endpointIp4(e);
  if (ip === undefined) return parseIp6(endpointAddress(e)) ?? new Uint8Array(16);
  return Uint8Array.of(ip >>> 24, ip >>> 16, ip >>> 8, ip);
}

/** The address as one number; undefined if it is IPv6. Allocates nothing, as each packet asks. */
export function endpointIp4(e: Endpoint): number | undefined {
  if (isIp6(e)) return undefined;
  let ip = 0;
  let part = 0;
  for (let i = 0; i < e.length; i++) {
    const digit = e.charCodeAt(i) - 48; // an endpoint is canonical: all else is '.' or ':'
    if (digit >= 0 && digit <= 9) {
      part = part * 10 + digit;
      continue;
    }
    ip = ((ip << 8) | part) >>> 0;
    part = 0;
    if (digit === COLON) break;
  }
  return ip;
}

const COLON = 58 - 48;

/**
 * Whom to charge for what arrives from `e`: an IPv4 address, or the /64 of an IPv6 one, which is
 * what one host usually controls. LAN sources are told apart by port, as one machine may run many nodes.
 */
export function sourceOf(e: Endpoint): string {
  if (isLan(e)) return e;
  if (!isIp6(e)) return endpointAddress(e);
  return Buffer.from(endpointIp(e).buffer, 0, 8).toString('hex');
}

/**
 * Loopback, private, link-local and carrier-grade NAT addresses, by c-toxcore's list
 * (`ip_is_lan`): such addresses are told only to askers that are on the LAN themselves.
 */
export function isLan(e: Endpoint): boolean {
  const ip4 = endpointIp4(e);
  if (ip4 !== undefined) {
    const [a, b, c] = [ip4 >>> 24, (ip4 >>> 16) & 0xff, (ip4 >>> 8) & 0xff];
    return (
      a === 127 ||
      a === 10 ||
      (a === 172 && b >= 16 && b <= 31) ||
      (a === 192 && b === 168) ||
      (a === 169 && b === 254 && c !== 0 && c !== 255) ||
      (a === 100 && b >= 64 && b <= 127)
    );
  }
  const ip = endpointIp(e);
  const first = ip[0]!;
  const second = ip[1]!;
  if (first === 0xff && second < 3 && ip[15] === 1 && ip.subarray(2, 15).every((x) => x === 0)) return true;
  if (first === 0xfe && (second & 0xc0) === 0x80) return true;
  return ip[15] === 1 && ip.subarray(0, 15).every((x) => x === 0);
}

/** 127/8 and ::1. */
export function isLoopback(e: Endpoint): boolean {
  return e.startsWith('127.') || e.startsWith('[::1]');
}

/**
 * As `isLan`, and the unique local addresses of IPv6 (RFC 4193), which c-toxcore's list lacks: nobody
 * outside may make us send there.
 */
export function isInternal(e: Endpoint): boolean {
  if (isLan(e)) return true;
  return isIp6(e) && (endpointIp(e)[0]! & 0xfe) === 0xfc;
}

/** False for addresses that no peer can have: unspecified, multicast, IPv4 broadcast and 0/8. */
export function isUnicast(e: Endpoint): boolean {
  const ip4 = endpointIp4(e);
  if (ip4 !== undefined) return ip4 >>> 24 !== 0 && ip4 >>> 24 < 224;
  const ip = endpointIp(e);
  return ip[0] !== 0xff && ip.some((x) => x !== 0);
}

function isMapped(ip: Uint8Array): boolean {
  for (let i = 0; i < 10; i++) if (ip[i] !== 0) return false;
  return ip[10] === 0xff && ip[11] === 0xff;
}

/** Dotted decimal without leading zeros; undefined for anything else. */
function parseIp4(text: string): Uint8Array | undefined {
  if (!/^(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}$/.test(text)) return undefined;
  const parts = text.split('.').map(Number);
  return parts.every((n) => n < 256) ? Uint8Array.from(parts) : undefined;
}

/** RFC 4291 §2.2 text without a zone; undefined for anything else. */
function parseIp6(text: string): Uint8Array | undefined {
  if (!/^[0-9a-fA-F:.]{2,45}$/.test(text)) return undefined;
  let head = text;
  if (text.includes('.')) {
    const tail = parseIp4(text.slice(text.lastIndexOf(':') + 1));
    if (!tail) return undefined;
    const hex = (at: number) => ((tail[at]! << 8) | tail[at + 1]!).toString(16);
    head = `${text.slice(0, text.lastIndexOf(':') + 1)}${hex(0)}:${hex(2)}`;
  }
  const sides = head.split('::');
  const groups = sides.map((side) => (side ? side.split(':') : []));
  const count = groups.reduce((n, side) => n + side.length, 0);
  if (sides.length > 2 || (sides.length === 2 ? count > 7 : count !== 8)) return undefined;
  if (!groups.flat().every((g) => /^[0-9a-fA-F]{1,4}$/.test(g))) return undefined;
  const all = [...groups[0]!, ...new Array<string>(8 - count).fill('0'), ...(groups[1] ?? [])];
  const out = new Uint8Array(16);
  all.forEach((g, i) => {
    const n = Number.parseInt(g, 16);
    out[i * 2] = n >>> 8;
    out[i * 2 + 1] = n & 0xff;
  });
  return out;
}

/** RFC 5952: the longest run of zero groups (two or more, the first of equals) becomes `::`. */
function formatIp6(ip: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, i) => (ip[i * 2]! << 8) | ip[i * 2 + 1]!);
  let start = -1;
  let length = 1;
  for (let i = 0; i < 8; i++) {
    let run = 0;
    while (i + run < 8 && groups[i + run] === 0) run++;
    if (run > length) {
      start = i;
      length = run;
    }
  }
  const text = groups.map((g) => g.toString(16));
  if (start < 0) return text.join(':');
  return `${text.slice(0, start).join(':')}::${text.slice(start + length).join(':')}`;
}
