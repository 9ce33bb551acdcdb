import { fileURLToPath } from 'node:url';
import { OraclePeer, type PeerOptions } from '../oracle/oracle.ts';
import type { Host } from './lab.ts';

export const PROGRAMS = ['c-toxcore', 'toxmail'] as const;
export type Program = (typeof PROGRAMS)[number];

/** The port that everybody's router lets out. */
export const PORT = 33_445;

const OURS = [process.execPath, fileURLToPath(new URL('our-peer.ts', import.meta.url))];

/** A Tox node on a host of the laboratory, driven by the same lines whichever program it is. */
export function startPeer(host: Host, program: Program, options: PeerOptions = {}): Promise<OraclePeer> {
  const all = { prefix: host.prefix, port: PORT, holePunching: true, lanDiscovery: true, ...options };
  return OraclePeer.start(program === 'toxmail' ? { ...all, program: OURS } : all);
}
