import type { Mono } from '../core/env.ts';
import { type Endpoint, endpointAddress, isLan } from '../wire/endpoint.ts';
import { BAD_AFTER, type Peer } from './peer.ts';

export interface OwnAddress {
  /** Where most nodes see us of late; a LAN address only if none sees us elsewhere. */
  readonly endpoint: Endpoint | undefined;
  /**
   * Whether nodes see us at different ports of that address, so that our router maps by destination;
   * undefined if only one told.
   */
  readonly portVaries: boolean | undefined;
}

/** Our address by what nodes told in their last answers about our key: one vote each. */
export function ownAddress(peers: Iterable<Peer>): OwnAddress {
  const votes: Peer[] = [];
  let latest: Mono = 0;
  for (const peer of peers) {
    if (!peer.seesUs) continue;
    votes.push(peer);
    latest = Math.max(latest, peer.seesUsAt);
  }
  const counts = new Map<Endpoint, number>(); // at most one per node
  for (const { seesUs, seesUsAt } of votes) {
    if (seesUsAt > latest - BAD_AFTER) counts.set(seesUs!, (counts.get(seesUs!) ?? 0) + 1);
  }
  let best: Endpoint | undefined;
  let bestScore = 0;
  for (const [endpoint, count] of counts) {
    const score = isLan(endpoint) ? count : count + votes.length;
    if (score <= bestScore) continue;
    best = endpoint;
    bestScore = score;
  }
  if (!best) return { endpoint: undefined, portVaries: undefined };
  const address = endpointAddress(best);
  let ports = 0;
  let tellers = 0;
  for (const [endpoint, count] of counts) {
    if (endpointAddress(endpoint) !== address) continue;
    ports++;
    tellers += count;
  }
  return { endpoint: best, portVaries: tellers > 1 ? ports > 1 : undefined };
}
