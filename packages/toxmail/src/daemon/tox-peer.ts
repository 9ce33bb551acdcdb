import type { BootstrapNode } from './config.ts';

export type ToxConnection = 'udp' | 'tcp' | 'none';

/** What the daemon asks of a Tox node: `ToxNode` of @toxmail/tox, or a small fake in tests. Keys are upper-case hex. */
export interface ToxPeer {
  readonly toxId: string;
  readonly publicKey: string;
  readonly dhtPublicKey: string;
  readonly udpPort: number;
  /** TCP ports on which it is a relay. */
  readonly relayPorts: readonly number[];
  readonly connection: ToxConnection;
  /** Live DHT nodes that it knows. */
  readonly nodes: number;
  /** Sends a friend request until it is answered. Throws ToxError `already-friend`, `bad-argument`, `own-id`. */
  addFriend(toxId: string, message: string): void;
  /** Makes the key a friend without a request. */
  acceptFriend(publicKey: string): void;
  removeFriend(publicKey: string): void;
  /** The keys of all friends. */
  friends(): string[];
  /** One custom lossless packet, first byte 160..191. False: no room (`writable` follows) or not online. */
  sendLossless(publicKey: string, packet: Uint8Array): boolean;
  /**
   * Tells what happens from now on. Called once, in the same turn of the event loop in which the node was made: what
   * happens before is not repeated.
   */
  listen(events: ToxPeerEvents): void;
  /** The standard save format. */
  save(): Uint8Array;
  close(): Promise<void>;
}

/** What a node tells while it runs. */
export interface ToxPeerEvents {
  friendRequest(publicKey: string, message: string): void;
  friendConnection(publicKey: string, online: boolean): void;
  /** A custom lossless packet; `data` may be a view that is only valid during the call. */
  packet(publicKey: string, data: Uint8Array): void;
  /** There is room again after a refused `sendLossless`. */
  writable(publicKey: string): void;
  /** It is, or is no longer, part of the network; or it is so in another way. */
  connection(connection: ToxConnection): void;
}

export interface ToxPeerOptions {
  /** Absent: a new identity. */
  readonly profile: Uint8Array | undefined;
  /** 0: any free one. */
  readonly udpPort: number;
  readonly bootstrap: readonly BootstrapNode[];
  readonly udp: boolean;
  readonly proxy: string | undefined;
  readonly lanDiscovery: boolean;
  /** TCP ports on which to be a relay; none if empty. */
  readonly relayPorts: readonly number[];
}

/** Makes identities and nodes: tox-factory.ts. */
export interface ToxFactory {
  /** A new identity as a save file, made without a network. */
  newProfile(): { profile: Uint8Array; toxId: string };
  /** The Tox ID in a save file; undefined if it is not one (or encrypted). */
  toxIdOf(profile: Uint8Array): string | undefined;
  /** Whether this machine has an address besides its own loopback. */
  hasNetwork(): boolean;
  /** Undefined if the UDP port is taken. Throws UserError if all TCP ports for the relay are. */
  start(options: ToxPeerOptions): Promise<ToxPeer | undefined>;
}
