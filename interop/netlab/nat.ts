/**
 * What a router does to the packets of those behind it. The words are those of RFC 3489 §5, which everybody still uses;
 * `symmetric-sequential` gives each new destination the next port, as older routers do, `symmetric` a random one.
 * `tcp-only` is a port-restricted router of a company or hotel: no UDP, and TCP to ports 443 and 33445 only.
 */
export const NAT_KINDS = [
  'full-cone',
  'address-restricted',
  'port-restricted',
  'symmetric-sequential',
  'symmetric',
  'tcp-only',
] as const;
export type NatKind = (typeof NAT_KINDS)[number];

/** Seconds without a packet until a mapping of a cone is forgotten: the least that RFC 4787 §4.3 asks for. */
const MAPPING_SECONDS = 120;

/** The ruleset for `nft`: LAN on device `lan`, internet on device `wan`. */
export function natRules(kind: NatKind, hairpin: boolean): string {
  return `${filter(kind)}\n${translation(kind, hairpin)}`;
}

function filter(kind: NatKind): string {
  const blocked =
    kind === 'tcp-only'
      ? 'iifname "lan" meta l4proto udp drop\niifname "lan" tcp dport != { 443, 33445 } reject with tcp reset'
      : '';
  // An unsolicited packet must not reach the router itself: the kernel would keep an entry for it, and give the host
  // behind another port when it sends to that peer.
  return `table ip filter {
    chain forward {
      type filter hook forward priority filter; policy drop;
      ${blocked}
      ct state established,related accept
      iifname "lan" accept
      ct status dnat accept
    }
    chain input {
      type filter hook input priority filter; policy drop;
      ct state established,related accept
      iifname "lan" accept
    }
  }`;
}

/**
 * Linux itself is a port-restricted cone: it keeps the port where it can, and lets in replies only. The other cones
 * remember in `mapping` which host each outer port belongs to, and in `contacted` where it has sent to.
 */
function translation(kind: NatKind, hairpin: boolean): string {
  const admit = { 'full-cone': 'udp dport @known', 'address-restricted': 'ip saddr . udp dport @contacted' };
  const welcome =
    kind in admit ? `iifname "wan" ${admit[kind as keyof typeof admit]} dnat ip to udp dport map @mapping` : '';
  const source: Record<NatKind, string> = {
    'full-cone': 'masquerade',
    'address-restricted': 'masquerade',
    'port-restricted': 'masquerade',
    'symmetric-sequential': `meta l4proto udp masquerade to :${nextPort()}\noifname "wan" masquerade`,
    symmetric: 'masquerade fully-random',
    'tcp-only': 'masquerade',
  };
  return `table ip translation {
    map mapping {
      type inet_service : ipv4_addr . inet_service
      flags dynamic,timeout
      timeout ${MAPPING_SECONDS}s
      size 65535
    }
    set known {
      type inet_service
      flags dynamic,timeout
      timeout ${MAPPING_SECONDS}s
      size 65535
    }
    set contacted {
      type ipv4_addr . inet_service
      flags dynamic,timeout
      timeout ${MAPPING_SECONDS}s
      size 65535
    }
    chain arriving {
      type nat hook prerouting priority dstnat;
      ${welcome}
      ${hairpin ? 'iifname "lan" fib daddr type local udp dport @known dnat ip to udp dport map @mapping' : ''}
    }
    chain leaving {
      type nat hook postrouting priority srcnat;
      oifname "wan" ${source[kind]}
      ${hairpin ? 'iifname "lan" oifname "lan" ct status dnat masquerade' : ''}
    }
    chain note {
      type filter hook postrouting priority 110;
      oifname "wan" meta l4proto udp ct direction original jump remember
    }
    chain remember {
      update @mapping { udp sport : ct original ip saddr . ct original proto-src }
      update @known { udp sport }
      update @contacted { ip daddr . udp sport }
    }
  }`;
}

/** The ports 20000 to 21999 in turn. By a map, because nft takes the bytes of a plain number in the wrong order. */
function nextPort(): string {
  const elements = Array.from({ length: 2_000 }, (_, i) => `${i} : ${20_000 + i}`);
  return `numgen inc mod ${elements.length} map { ${elements.join(', ')} }`;
}
