import type { Env } from '../core/env.ts';
import { NetCrypto, type NetCryptoDeps } from '../session/net-crypto.ts';
import {
  type FriendConnectionHooks,
  FriendConnections,
  type FriendDht,
  type FriendOnion,
} from './friend-connections.ts';
import type { FriendRelays } from './friend-relays.ts';

/**
 * Sessions, and the connections of friends over them, each told of what the other has to know. `hooks` is
 * asked for whenever something is to be told upward: its owner is made after these.
 */
export function friendsOverSessions(
  env: Env,
  sessionDeps: NetCryptoDeps,
  deps: { dht: FriendDht; onion: FriendOnion; relays: FriendRelays },
  hooks: () => FriendConnectionHooks,
): { sessions: NetCrypto; friends: FriendConnections } {
  const sessions = new NetCrypto(env, sessionDeps, {
    isFriend: (key) => friends.isFriend(key),
    onDhtKey: (at, key, dhtKey) => friends.onSessionDhtKey(at, key, dhtKey),
    onEstablished: (at, key) => friends.onEstablished(at, key),
    onClosed: (at, key) => friends.onClosed(at, key),
    onLossless: (at, key, data) => friends.onLossless(at, key, data),
    onLossy: (at, key, data) => friends.onLossy(at, key, data),
    onAcknowledged: (at, key, upTo) => friends.onAcknowledged(at, key, upTo),
    onWritable: (at, key) => friends.onWritable(at, key),
    onRerouted: (at, key) => friends.onRerouted(at, key),
  });
  const friends = new FriendConnections(
    env,
    { ...deps, sessions },
    {
      onConnected: (at, key) => hooks().onConnected(at, key),
      onDisconnected: (at, key) => hooks().onDisconnected(at, key),
      onLossless: (at, key, data) => hooks().onLossless(at, key, data),
      onLossy: (at, key, data) => hooks().onLossy(at, key, data),
      onAcknowledged: (at, key, upTo) => hooks().onAcknowledged(at, key, upTo),
      onWritable: (at, key) => hooks().onWritable(at, key),
      onRerouted: (at, key) => hooks().onRerouted(at, key),
      onFriendRequest: (at, from, nospam, message) => hooks().onFriendRequest(at, from, nospam, message),
    },
  );
  return { sessions, friends };
}
