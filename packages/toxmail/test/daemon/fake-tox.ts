import { randomBytes } from 'node:crypto';
import { parseToxId } from '@toxmail/tox/id';
import type { ToxFactory, ToxPeer, ToxPeerEvents, ToxPeerOptions } from '../../src/daemon/tox-peer.ts';

/** A Tox ID with a right checksum and an allowed key. */
export function newToxId(): string {
  const bytes = randomBytes(38);
  bytes[31]! &= 0x7f;
  bytes[36] = 0;
  bytes[37] = 0;
  for (let i = 0; i < 36; i++) bytes[36 + (i % 2)]! ^= bytes[i]!;
  const id = bytes.toString('hex').toUpperCase();
  if (!parseToxId(id).ok) throw new Error('the test makes bad IDs');
  return id;
}

/** Remembers what it was asked; `events` lets the test play the network. A profile is the Tox ID as text. */
export class FakePeer implements ToxPeer {
  readonly toxId: string;
  readonly udpPort: number;
  readonly relayPorts: readonly number[];
  events!: ToxPeerEvents;
  readonly requested: string[] = [];
  readonly accepted: string[] = [];
  readonly removed: string[] = [];
  connection = 'none' as const;
  nodes = 0;
  closed = false;

  constructor(options: ToxPeerOptions) {
    this.toxId = Buffer.from(options.profile ?? '').toString();
    this.udpPort = options.udpPort || 40_000;
    this.relayPorts = options.relayPorts;
  }

  get publicKey(): string {
    return this.toxId.slice(0, 64);
  }

  get dhtPublicKey(): string {
    return 'AB'.repeat(32);
  }

  addFriend(toxId: string): void {
    this.requested.push(toxId);
  }

  acceptFriend(publicKey: string): void {
    this.accepted.push(publicKey);
  }

  removeFriend(publicKey: string): void {
    this.removed.push(publicKey);
  }

  friends(): string[] {
    return [];
  }

  sendLossless(): boolean {
    return true;
  }

  listen(events: ToxPeerEvents): void {
    this.events = events;
  }

  save(): Uint8Array {
    return Buffer.from(this.toxId);
  }

  async close(): Promise<void> {
    this.closed = true;
  }
}

export class FakeTox implements ToxFactory {
  readonly peers: FakePeer[] = [];
  readonly taken = new Set<number>();

  hasNetwork(): boolean {
    return true;
  }

  newProfile(): { profile: Uint8Array; toxId: string } {
    const toxId = newToxId();
    return { profile: Buffer.from(toxId), toxId };
  }

  toxIdOf(profile: Uint8Array): string | undefined {
    const text = Buffer.from(profile).toString();
    return parseToxId(text).ok ? text : undefined;
  }

  /** As `start` does it, with nothing but the profile. */
  readonly startWith = async (profile: Uint8Array): Promise<FakePeer> =>
    (await this.start({
      profile,
      udpPort: 0,
      bootstrap: [],
      udp: true,
      proxy: undefined,
      lanDiscovery: false,
      relayPorts: [],
    }))!;

  async start(options: ToxPeerOptions): Promise<FakePeer | undefined> {
    if (this.taken.has(options.udpPort)) return undefined;
    const peer = new FakePeer(options);
    this.peers.push(peer);
    return peer;
  }
}
