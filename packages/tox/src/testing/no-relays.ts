import type { FriendRelays } from '../friend/friend-relays.ts';
import type { OnionRelays } from '../onion/onion-client.ts';
import type { SessionRelays } from '../session/channel.ts';

/** For tests of one layer: there are no TCP relays. */
export const noRelays: FriendRelays & OnionRelays & SessionRelays = {
  addPeer() {},
  removePeer() {},
  addPeerRelay() {},
  setPeerAsleep() {},
  wayTo: () => 'none',
  meetingPlace: () => undefined,
  shared: () => [],
  onionRelay: () => undefined,
  isOnline: () => false,
  sendOnion: () => false,
  ready: () => false,
  send: () => false,
  doubt() {},
};
