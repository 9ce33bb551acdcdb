import type { OraclePeer } from '../oracle/oracle.ts';
import type { Entry } from '../our-node.ts';
import { type Host, Lab, NAT_KINDS } from './lab.ts';
import { type Program, startPeer } from './peers.ts';
import { PublicNetwork } from './public-network.ts';

// One experiment: two friends, each in a place of its own, who know each other's public keys and how to enter the
// network. Do they meet, how fast, and over what?

/**
 * `double` is a home router behind a carrier's, both port-restricted. `same-router` is for pairs: both are behind one
 * port-restricted router that does not hairpin.
 */
export const PLACES = ['open', ...NAT_KINDS, 'double', 'same-router'] as const;
export type Place = (typeof PLACES)[number];

export interface Side {
  readonly program: Program;
  readonly place: Place;
}

export interface Meeting {
  /** Seconds from the start of both until both say that the friend is online; undefined: never. */
  readonly online: number | undefined;
  /** Seconds until both say that they reach each other directly. */
  readonly direct: number | undefined;
  /** Over what data went at the end, as seen on the wire. */
  readonly wire: 'direct' | 'relay' | undefined;
}

/** How long c-toxcore may take to be online at all on a busy machine. */
const ONLINE_LIMIT_MS = 45_000;
/** What is sent to see which way data takes: far more than the pings of a minute. */
const PROBE_PACKETS = 40;
const PROBE_BYTES = 1_000;
/** Nodes that a program is told to enter by; it finds the others. */
const ENTRIES = 4;

/**
 * Tries for `limitMs` to get a direct connection. Each meeting has an internet of its own: the dead nodes
 * that others leave behind would be most of a shared one. `network`: whose public nodes it has.
 */
export async function meet(
  sides: readonly [Side, Side],
  limitMs: number,
  network: Program = 'c-toxcore',
): Promise<Meeting> {
  await using stack = new AsyncDisposableStack();
  const lab = stack.use(await Lab.create());
  const { entries } = stack.use(await PublicNetwork.start(lab, network));
  const hosts = await settle(lab, [sides[0].place, sides[1].place], stack);
  const [a, b] = (await Promise.all(hosts.map((host, i) => startPeer(host, sides[i]!.program)))) as [
    OraclePeer,
    OraclePeer,
  ];
  stack.use(a);
  stack.use(b);
  const pairs = [
    [a, b],
    [b, a],
  ] as const;
  for (const [peer, other] of pairs) await peer.acceptFriend(other.publicKey);
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1000;
  const both = async (reached: (connection: string) => boolean, timeoutMs: number) => {
    const waits = pairs.map(([peer, other]) =>
      peer.waitFor('friend-connection', (e) => e.friend === other.publicKey && reached(e.connection), { timeoutMs }),
    );
    return Promise.all(waits).then(seconds, () => undefined);
  };
  for (const [i, peer] of [a, b].entries())
    for (const { host, port, key } of entries.slice(i, i + ENTRIES)) {
      await peer.bootstrap(host, port, key);
      await peer.relay(host, port, key);
    }
  const directly = both((connection) => connection === 'udp', limitMs);
  const online = await both((connection) => connection !== 'none', Math.max(limitMs, ONLINE_LIMIT_MS));
  const direct = await directly;
  if (online === undefined) return { online, direct, wire: undefined };
  return { online, direct, wire: await probe(lab, entries, hosts, a, b) };
}

async function settle(lab: Lab, places: readonly [Place, Place], stack: AsyncDisposableStack): Promise<Host[]> {
  if (places.includes('same-router')) {
    if (places[0] !== places[1]) throw new Error('a router is shared by both or by none');
    const router = stack.use(await lab.router('port-restricted'));
    return [stack.use(await router.host()), stack.use(await router.host())];
  }
  return Promise.all(places.map((place) => settleOne(lab, place as Exclude<Place, 'same-router'>, stack)));
}

async function settleOne(lab: Lab, place: Exclude<Place, 'same-router'>, stack: AsyncDisposableStack): Promise<Host> {
  if (place === 'open') return stack.use(await lab.host());
  if (place !== 'double') return stack.use(await stack.use(await lab.router(place)).host());
  const carrier = stack.use(await lab.router('port-restricted', { lan: '100.64.0' }));
  return stack.use(await stack.use(await carrier.router('port-restricted')).host());
}

/** Sends some data, and looks whether the public nodes carried it. */
async function probe(
  lab: Lab,
  entries: readonly Entry[],
  hosts: readonly Host[],
  a: OraclePeer,
  b: OraclePeer,
): Promise<'direct' | 'relay' | undefined> {
  const relays = new Set(entries.map(({ host }) => host));
  const ours = new Set(hosts.map((host) => host.publicAddress));
  const carried = async () =>
    (await lab.flows())
      .filter(({ protocol, from, to }) => protocol === 'tcp' && ours.has(from) && relays.has(to))
      .reduce((sum, { bytes }) => sum + bytes, 0);
  const before = await carried();
  const packet = new Uint8Array(PROBE_BYTES).fill(160, 0, 1);
  try {
    for (let i = 0; i < PROBE_PACKETS; i++) await a.sendLossless(b.publicKey, packet.fill(i, 1, 2));
    await b.waitFor('lossless', (e) => e.data[1] === PROBE_PACKETS - 1, { timeoutMs: 10_000 });
  } catch {
    return undefined;
  }
  return (await carried()) - before > (PROBE_PACKETS * PROBE_BYTES) / 2 ? 'relay' : 'direct';
}
