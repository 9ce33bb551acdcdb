import { type KeyId, keyId, type PublicKey } from '../crypto/keys.ts';
import { type Endpoint, sourceOf } from '../wire/endpoint.ts';

/** The way through TCP relays to the node with a DHT key, as one comparable string. */
export type RelayChannel = string & { readonly __relayChannel: true };

/** How a peer is reached: straight at an endpoint, or through relays. Equal strings are equal ways. */
export type Channel = Endpoint | RelayChannel;

const PREFIX = 'relay:';

export function relayChannel(peer: KeyId): RelayChannel {
  return (PREFIX + peer) as RelayChannel;
}

export function relayChannelTo(dhtKey: PublicKey): RelayChannel {
  return relayChannel(keyId(dhtKey));
}

/** No endpoint begins with a letter. */
export function isRelayed(channel: Channel): channel is RelayChannel {
  return channel.startsWith(PREFIX);
}

/** The DHT key at the other end. */
export function relayedPeer(channel: RelayChannel): KeyId {
  return channel.slice(PREFIX.length) as KeyId;
}

/** Whom to charge for what arrives over it. */
export function sourceOfChannel(channel: Channel): string {
  return isRelayed(channel) ? channel : sourceOf(channel);
}

/** What sessions need of the relays. */
export interface SessionRelays {
  /** `route`: both are there. `oob`: the peer may be where we are. `none`: nothing can be sent. */
  wayTo(peer: KeyId): 'route' | 'oob' | 'none';
  /** Whether a full packet would be taken now. */
  ready(peer: KeyId): boolean;
  /** The peer is silent, so what the relays say of it may be untrue. */
  doubt(peer: KeyId): void;
  /** False: not sent, for want of a way or of room. `data` belongs to the callee. */
  send(peer: KeyId, data: Uint8Array): boolean;
}
