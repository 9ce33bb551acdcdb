import { earlier } from './core/deadline.ts';
import type { Env, Mono } from './core/env.ts';
import { Fifo } from './core/fifo.ts';
import type { Machine } from './core/machine.ts';
import { Streams } from './core/streams.ts';
import { generateKeyPair, type KeyPair, keyPairFromSecret, type PublicKey, type SecretKey } from './crypto/keys.ts';
import { SharedKeys } from './crypto/shared-keys.ts';
import type { FriendConnections, FriendDht, FriendOnion } from './friend/friend-connections.ts';
import type { FriendRelays } from './friend/friend-relays.ts';
import { friendsOverSessions } from './friend/over-sessions.ts';
import type { ToxEvent } from './messenger/events.ts';
import { Messenger } from './messenger/messenger.ts';
import type { Nospam } from './messenger/tox-id.ts';
import { RelayConnections } from './relay/connections.ts';
import { openThroughProxy, type StreamProxy } from './relay/proxy.ts';
import type { RelayInfo } from './relay/relay-link.ts';
import type { NetCrypto } from './session/net-crypto.ts';

export interface GuestOptions {
  /** The guest's identity; the host must have its public key among his friends. Absent: a new one. */
  readonly secretKey?: SecretKey | undefined;
  /** The one friend: his long-term key, and the DHT key that his node has now. */
  readonly host: PublicKey;
  readonly hostDhtKey: PublicKey;
  /** Where the host's node is logged in. */
  readonly relay: RelayInfo;
  readonly proxy?: StreamProxy | undefined;
}

/** Keys that it shares with others: the host's alone. */
const SHARED_KEYS = 4;

/**
 * A node for one conversation with one friend whose place is known: over one TCP relay, without DHT,
 * onion or UDP, and without a trace in any of them. Costs a connection and some kilobytes, and ends with
 * `close`. If the host is not met within two minutes it gives up.
 */
export class Guest implements Machine<ToxEvent> {
  readonly messenger: Messenger;
  readonly realKeys: KeyPair;
  readonly streams = new Streams();
  readonly #sessions: NetCrypto;
  readonly #relays: RelayConnections;
  readonly #friends: FriendConnections;
  readonly #events = new Fifo<ToxEvent>();

  constructor(env: Env, now: Mono, options: GuestOptions) {
    const { secretKey, host, hostDhtKey, proxy } = options;
    this.realKeys = secretKey ? keyPairFromSecret(secretKey) : generateKeyPair(env);
    const dhtKeys = generateKeyPair(env);
    const { realKeys, streams } = this;
    this.#relays = new RelayConnections(
      env,
      {
        dhtKeys,
        open: (to, handler) => (proxy ? openThroughProxy(env, streams, proxy, to, handler) : streams.open(to, handler)),
      },
      {
        onPacket: (at, peer, data) => this.#sessions.handleRelayed(at, peer, data),
        onWay: (at, peer) => this.#friends.onRelayWay(at, peer),
        onOnionResponse: () => {},
        onRelays: () => {},
      },
    );
    const { sessions, friends } = friendsOverSessions(
      env,
      {
        realKeys,
        dhtKeys,
        dhtSharedKeys: new SharedKeys(dhtKeys.secretKey, SHARED_KEYS),
        send: () => {},
        relays: this.#relays,
      },
      { dht: NO_DHT, onion: NO_ONION, relays: this.#friendRelays() },
      () => this.messenger,
    );
    this.#sessions = sessions;
    this.#friends = friends;
    const none = new Uint8Array(0);
    this.messenger = new Messenger(env, {
      now,
      ownKey: realKeys.publicKey,
      profile: { nospam: env.random(4) as Nospam, name: none, statusMessage: none, status: 'none', friends: [] },
      links: this.#friends,
      emit: (event) => this.#events.push(event),
    });
    const friend = this.messenger.acceptFriend(now, host);
    this.#friends.meet(now, friend, hostDhtKey);
    this.#relays.addRelay(now, options.relay);
  }

  /** Says goodbye; the streams are still to be drained. */
  close(now: Mono): void {
    this.#sessions.closeAll(now);
    this.#relays.close();
  }

  receive(): void {}

  wake(now: Mono): void {
    this.#sessions.wake(now);
    this.#friends.wake(now);
    this.#relays.wake(now);
  }

  nextWake(): Mono | undefined {
    return earlier(earlier(this.#sessions.nextWake(), this.#friends.nextWake()), this.#relays.nextWake());
  }

  takeDatagram(): undefined {}

  takeEvent(): ToxEvent | undefined {
    return this.#events.shift();
  }

  /** Whatever relays the host names, the guest stays at its own, and tells of none. */
  #friendRelays(): FriendRelays {
    const relays = this.#relays;
    return {
      addPeer: (now, dhtKey) => relays.addPeer(now, dhtKey),
      removePeer: (now, dhtKey) => relays.removePeer(now, dhtKey),
      addPeerRelay: () => {},
      setPeerAsleep: () => {},
      wayTo: (id) => relays.wayTo(id),
      meetingPlace: () => undefined,
      shared: () => [],
    };
  }
}

const NO_DHT: FriendDht = {
  search() {},
  stopSearch() {},
  endpointOf: () => undefined,
  probe() {},
};

const NO_ONION: FriendOnion = {
  addFriend() {},
  removeFriend() {},
  setFriendOnline() {},
  setFriendMissed() {},
  setFriendDhtKey() {},
  setFriendRequest() {},
};
