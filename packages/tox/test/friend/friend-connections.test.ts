import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { generateKeyPair, keyId, type PublicKey, toHex } from '../../src/crypto/keys.ts';
import { FriendConnections } from '../../src/friend/friend-connections.ts';
import {
  ALIVE,
  encodeFriendRequest,
  encodeShareRelays,
  type FriendRequestBody,
  LIVE_FRIEND_REQUEST,
  type Nospam,
} from '../../src/packet/friend.ts';
import { noRelays, testEnv } from '../../src/testing/index.ts';
import { type Endpoint, endpoint } from '../../src/wire/endpoint.ts';

const env = testEnv(3);
const newKey = () => generateKeyPair(env).publicKey;
const HOME = endpoint('192.0.2.1', 33445)!;
const AWAY = endpoint('192.0.2.2', 33445)!;

/** Friend connections over layers that only write down what they are asked. */
class Rig {
  /** `verb argument…` lines since the last `take`. */
  #calls: string[] = [];
  readonly sent: Uint8Array[] = [];
  readonly upward: string[] = [];
  readonly names = new Map<string, string>();
  readonly addresses = new Map<string, Endpoint>();
  sessionEndpoint: Endpoint | undefined;
  full = false;
  /** When the session last heard something; undefined: all the time. */
  heardAt: number | undefined;
  now = 0;
  readonly friend = this.named('friend');
  readonly dhtKey = this.named('dht1');
  readonly connections: FriendConnections;

  constructor() {
    const note = (verb: string, ...args: unknown[]) => this.#calls.push([verb, ...args].join(' '));
    const name = (key: PublicKey) => this.names.get(keyId(key)) ?? toHex(key);
    const up = (verb: string, key: PublicKey, ...rest: unknown[]) =>
      this.upward.push([verb, name(key), ...rest].join(' '));
    this.connections = new FriendConnections(
      env,
      {
        dht: {
          search: (_now, key) => note('search', name(key)),
          stopSearch: (_now, key) => note('stopSearch', name(key)),
          endpointOf: (_now, key) => this.addresses.get(keyId(key)),
          probe: (_now, node) => note('probe', name(node.publicKey), node.endpoint),
        },
        onion: {
          addFriend: (_now, key) => note('addFriend', name(key)),
          removeFriend: (key) => note('removeFriend', name(key)),
          setFriendOnline: (_now, _key, online) => note('online', online),
          setFriendMissed: (_now, _key, missed) => note('missed', missed),
          setFriendDhtKey: (_key, dhtKey) => note('onionKey', dhtKey && name(dhtKey)),
          setFriendRequest: (_now, _key, request) => note('request', request !== undefined),
        },
        sessions: {
          connect: (_now, _key, dhtKey, at) => note('connect', name(dhtKey), at),
          setEndpoint: (_now, _key, at) => note('setEndpoint', at),
          relaysChanged: () => {},
          active: () => this.sessionEndpoint !== undefined,
          endpoint: () => this.sessionEndpoint,
          path: () => (this.sessionEndpoint ? 'direct' : undefined),
          heardAt: () => this.heardAt ?? this.now,
          close: () => note('close'),
          sendLossless: (_now, _key, data) => {
            if (this.full) return undefined;
            return this.sent.push(data.slice());
          },
          sendLossy: () => true,
          room: () => 0,
        },
        relays: noRelays,
      },
      {
        onConnected: (_now, key) => up('connected', key),
        onDisconnected: (_now, key) => up('disconnected', key),
        onLossless: (_now, key, data) => up('lossless', key, data),
        onLossy: (_now, key, data) => up('lossy', key, data),
        onAcknowledged: (_now, key, upTo) => up('acknowledged', key, upTo),
        onWritable: (_now, key) => up('writable', key),
        onRerouted: (_now, key) => up('rerouted', key),
        onFriendRequest: (_now, key, nospam, message) => up('request', key, nospam, message),
      },
    );
    this.connections.add(0, this.friend);
    this.take();
  }

  named(name: string): PublicKey {
    const key = newKey();
    this.names.set(keyId(key), name);
    return key;
  }

  take(): string[] {
    const calls = this.#calls;
    this.#calls = [];
    return calls;
  }

  /** Time passes; every deadline is met. */
  advance(ms: number): void {
    const end = this.now + ms;
    for (let turns = 0; turns < 10_000; turns++) {
      const at = this.connections.nextWake();
      if (at === undefined || at > end) {
        this.now = end;
        return;
      }
      this.now = Math.max(this.now, at);
      this.connections.wake(this.now);
    }
    throw new Error('a deadline is never met');
  }

  learn(dhtKey = this.dhtKey): void {
    this.connections.onFriendDhtKey(this.now, this.friend, dhtKey, []);
  }

  /** Connected to `HOME` with nothing noted. */
  connect(): void {
    this.addresses.set(keyId(this.dhtKey), HOME);
    this.learn();
    this.sessionEndpoint = HOME;
    this.connections.onEstablished(this.now, this.friend);
    this.take();
    this.upward.length = 0;
  }

  lose(): void {
    this.sessionEndpoint = undefined;
    this.connections.onClosed(this.now, this.friend);
  }

  alive(): void {
    this.connections.onLossless(this.now, this.friend, Uint8Array.of(ALIVE));
  }

  alivesSent(): number {
    return this.sent.filter((data) => data[0] === ALIVE).length;
  }
}

test('a DHT key starts a search and probes; the attempt starts in the moment an address is found', () => {
  const rig = new Rig();
  const nearby = rig.named('nearby');
  const relay = rig.named('relay');
  rig.connections.onFriendDhtKey(0, rig.friend, rig.dhtKey, [
    { publicKey: rig.dhtKey, endpoint: HOME, transport: 'udp' },
    { publicKey: nearby, endpoint: AWAY, transport: 'udp' },
    { publicKey: relay, endpoint: AWAY, transport: 'tcp' },
  ]);
  assert.deepEqual(rig.take(), ['onionKey dht1', 'search dht1', `probe dht1 ${HOME}`, `probe nearby ${AWAY}`]);
  rig.connections.onFound(5, rig.dhtKey, HOME);
  assert.deepEqual(rig.take(), [`connect dht1 ${HOME}`]);
  rig.connections.onFound(6, rig.dhtKey, HOME);
  assert.deepEqual(rig.take(), []);
  rig.connections.onFound(7, rig.dhtKey, AWAY);
  assert.deepEqual(rig.take(), [`setEndpoint ${AWAY}`]);
});

test('the attempt starts at once if the DHT knows the address already', () => {
  const rig = new Rig();
  rig.addresses.set(keyId(rig.dhtKey), HOME);
  rig.learn();
  assert.deepEqual(rig.take(), ['onionKey dht1', 'search dht1', `connect dht1 ${HOME}`]);
});

test('attempts are repeated while the DHT key is younger than 122 s, then everything about it is forgotten', () => {
  const rig = new Rig();
  rig.addresses.set(keyId(rig.dhtKey), HOME);
  rig.learn();
  let attempts = 0;
  for (; rig.now < 110_000; rig.advance(1_000)) {
    attempts += rig.take().filter((call) => call.startsWith('connect')).length;
    rig.advance(8_000);
    rig.lose();
  }
  assert.ok(attempts >= 13, `${attempts} attempts`);
  rig.take();
  rig.lose();
  rig.advance(10_000);
  assert.deepEqual(rig.take(), [`connect dht1 ${HOME}`]);
  rig.lose();
  rig.advance(1_000);
  assert.deepEqual(rig.take(), ['stopSearch dht1', 'onionKey ']);
  assert.equal(rig.connections.nextWake(), undefined, 'nothing left to do');
  rig.connections.onFound(rig.now, rig.dhtKey, HOME);
  assert.deepEqual(rig.take(), []);
  rig.learn();
  assert.deepEqual(rig.take(), ['onionKey dht1', 'search dht1', `connect dht1 ${HOME}`]);
});

test('a friend lost for long is called where he was last met when he may be back there, by one attempt', () => {
  const rig = new Rig();
  rig.connect();
  rig.lose();
  rig.advance(200_000);
  rig.lose(); // the attempt fails
  rig.take();
  rig.addresses.clear();
  rig.connections.recall(rig.now);
  assert.deepEqual(rig.take(), ['onionKey dht1', 'search dht1', `connect dht1 ${HOME}`]);
  rig.connections.recall(rig.now);
  assert.deepEqual(rig.take(), [], 'he is being called');
  rig.advance(8_000);
  rig.lose();
  rig.advance(1_000);
  assert.deepEqual(rig.take(), ['stopSearch dht1', 'onionKey ']);
  assert.equal(rig.connections.nextWake(), undefined, 'nothing left to do');
});

test('a DHT key that grows old while an attempt runs is kept until the attempt ends, and for its connection', () => {
  const rig = new Rig();
  rig.connect();
  rig.lose();
  rig.advance(200_000);
  rig.connections.recall(rig.now);
  rig.advance(9_000);
  rig.take();
  rig.sessionEndpoint = HOME;
  rig.connections.onEstablished(rig.now, rig.friend);
  rig.advance(20_000);
  assert.ok(!rig.take().includes('stopSearch dht1'));
});

test('hearing the same DHT key again renews it and changes nothing else', () => {
  const rig = new Rig();
  rig.learn();
  rig.take();
  rig.advance(121_000);
  rig.learn();
  rig.advance(121_000);
  assert.deepEqual(rig.take(), []);
  rig.advance(1_000);
  assert.deepEqual(rig.take(), ['stopSearch dht1', 'onionKey ']);
});

for (const door of ['onion', 'session'] as const) {
  test(`a new DHT key by way of the ${door} replaces the old one everywhere`, () => {
    const rig = new Rig();
    rig.connect();
    const next = rig.named('dht2');
    if (door === 'onion') rig.connections.onFriendDhtKey(0, rig.friend, next, []);
    else rig.connections.onSessionDhtKey(0, rig.friend, next);
    const calls = rig.take();
    assert.deepEqual(calls.slice(0, 3), ['stopSearch dht1', 'onionKey dht2', 'search dht2']);
    // From outside the session, it means that the session is dead; from inside, it changes over by itself.
    assert.equal(calls.includes('close'), door === 'onion');
    assert.deepEqual(rig.upward, door === 'onion' ? ['disconnected friend'] : []);
  });
}

test('a connection is told upward and to the onion, and an alive packet goes out at once', () => {
  const rig = new Rig();
  rig.addresses.set(keyId(rig.dhtKey), HOME);
  rig.learn();
  rig.take();
  rig.connections.onEstablished(0, rig.friend);
  assert.deepEqual(rig.take(), ['online true']);
  assert.deepEqual(rig.upward, ['connected friend']);
  assert.deepEqual(rig.sent, [Uint8Array.of(ALIVE)]);
});

test('an alive packet goes out each 8 s, and after 32 s without one from the friend the connection is dead', () => {
  const rig = new Rig();
  rig.connect();
  rig.advance(20_000);
  assert.equal(rig.alivesSent(), 3);
  rig.alive();
  rig.connections.onLossless(rig.now, rig.friend, Uint8Array.of(82, 1, 2));
  rig.advance(31_999);
  rig.connections.onLossless(rig.now, rig.friend, Uint8Array.of(82, 1, 2));
  assert.ok(!rig.upward.includes('disconnected friend'));
  rig.advance(1);
  assert.equal(rig.upward.at(-1), 'disconnected friend', 'data does not count');
  assert.deepEqual(rig.take().slice(0, 2), ['close', 'online false']);
});

test('an alive packet without room is tried again soon', () => {
  const rig = new Rig();
  rig.connect();
  rig.full = true;
  rig.advance(9_000);
  const before = rig.alivesSent();
  rig.full = false;
  rig.advance(1_000);
  assert.equal(rig.alivesSent(), before + 1);
});

test('after a loss the friend is offline at once, searched, and called again at once where it was', () => {
  const rig = new Rig();
  rig.connect();
  rig.advance(6_000);
  rig.lose();
  assert.deepEqual(rig.upward, ['disconnected friend']);
  assert.deepEqual(rig.take(), ['online false']);
  assert.equal(rig.connections.nextWake(), rig.now);
  rig.advance(0);
  assert.deepEqual(rig.take(), [`connect dht1 ${HOME}`]);
});

test('a friend that kills every session is not called in a tight loop', () => {
  const rig = new Rig();
  rig.connect();
  for (let i = 0; i < 100; i++) {
    rig.lose();
    rig.advance(100);
    if (rig.take().some((call) => call.startsWith('connect'))) {
      rig.sessionEndpoint = HOME;
      rig.connections.onEstablished(rig.now, rig.friend);
    }
  }
  assert.ok(rig.upward.filter((line) => line === 'connected friend').length <= 10);
});

test('a session that the friend opens anew is left alone', () => {
  const rig = new Rig();
  rig.connect();
  rig.advance(6_000);
  rig.sessionEndpoint = AWAY;
  rig.connections.onClosed(rig.now, rig.friend);
  rig.take();
  rig.advance(5_000);
  assert.deepEqual(rig.take(), []);
  rig.connections.onEstablished(rig.now, rig.friend);
  assert.deepEqual(rig.upward, ['disconnected friend', 'connected friend']);
});

test('an attempt that hangs is started anew', () => {
  const rig = new Rig();
  rig.addresses.set(keyId(rig.dhtKey), HOME);
  rig.learn();
  rig.take();
  rig.advance(19_999);
  assert.deepEqual(rig.take(), []);
  rig.advance(1);
  assert.deepEqual(rig.take(), ['close', `connect dht1 ${HOME}`]);
});

test('two friends that name one DHT key do not take it from each other', () => {
  const rig = new Rig();
  const other = rig.named('other');
  rig.connections.add(0, other);
  rig.learn();
  rig.connections.onFriendDhtKey(0, other, rig.dhtKey, []);
  rig.take();
  rig.connections.onFound(0, rig.dhtKey, HOME);
  assert.deepEqual(rig.take(), [`connect dht1 ${HOME}`, `connect dht1 ${HOME}`]);
  rig.connections.remove(0, other);
  assert.ok(!rig.take().includes('stopSearch dht1'));
  rig.connections.remove(0, rig.friend);
  assert.ok(rig.take().includes('stopSearch dht1'));
});

test('a removed friend leaves nothing behind', () => {
  const rig = new Rig();
  rig.connect();
  rig.connections.remove(0, rig.friend);
  assert.deepEqual(rig.take(), ['stopSearch dht1', 'removeFriend friend', 'close']);
  assert.equal(rig.connections.nextWake(), undefined);
  assert.equal(rig.connections.isFriend(rig.friend), false);
  rig.alive();
  rig.learn();
  rig.connections.onEstablished(0, rig.friend);
  assert.deepEqual([rig.take(), rig.upward], [[], []]);
});

test('a friend request goes by the onion, and by the connection once there is one', () => {
  const rig = new Rig();
  const request: FriendRequestBody = { nospam: Uint8Array.of(1, 2, 3, 4) as Nospam, message: Uint8Array.of(65) };
  rig.connections.setRequest(0, rig.friend, request);
  assert.deepEqual(rig.take(), ['request true']);
  assert.equal(rig.sent.length, 0);
  rig.connect();
  assert.deepEqual(rig.sent.at(-1), Uint8Array.of(LIVE_FRIEND_REQUEST, 1, 2, 3, 4, 65));
  rig.connections.setRequest(0, rig.friend, undefined);
  assert.deepEqual(rig.take(), ['request false']);
});

test('a live friend request is handed up, its own packets are not, all else is', () => {
  const rig = new Rig();
  rig.connect();
  const request = encodeFriendRequest(LIVE_FRIEND_REQUEST, {
    nospam: Uint8Array.of(1, 2, 3, 4) as Nospam,
    message: Uint8Array.of(65),
  });
  const relays = encodeShareRelays([{ publicKey: newKey(), endpoint: HOME, transport: 'tcp' }]);
  for (const data of [request, request.subarray(0, 5), relays, Uint8Array.of(ALIVE), Uint8Array.of(64, 65)]) {
    rig.connections.onLossless(0, rig.friend, data);
  }
  rig.connections.onLossy(0, rig.friend, Uint8Array.of(200));
  rig.connections.onAcknowledged(0, rig.friend, 7);
  rig.connections.onWritable(0, rig.friend);
  assert.deepEqual(rig.upward, [
    'request friend 1,2,3,4 65',
    'lossless friend 64,65',
    'lossy friend 200',
    'acknowledged friend 7',
    'writable friend',
  ]);
});

test('in any order of happenings, connected and disconnected alternate and no deadline is missed', () => {
  const acts: ((rig: Rig) => void)[] = [
    (rig) => rig.learn(),
    (rig) => rig.learn(rig.named('dht2')),
    (rig) => rig.connections.onFound(rig.now, rig.dhtKey, HOME),
    (rig) => rig.connections.onSessionDhtKey(rig.now, rig.friend, rig.dhtKey),
    (rig) => rig.connections.onEstablished(rig.now, rig.friend),
    (rig) => rig.lose(),
    (rig) => rig.alive(),
    (rig) => rig.advance(1_000),
    (rig) => rig.advance(33_000),
    (rig) => {
      rig.full = !rig.full;
    },
  ];
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...acts), { maxLength: 60 }), (list) => {
      const rig = new Rig();
      for (const act of list) {
        act(rig);
        rig.advance(0);
        const at = rig.connections.nextWake();
        assert.ok(at === undefined || at > rig.now);
      }
      rig.upward.forEach((line, i) => {
        assert.equal(line, i % 2 === 0 ? 'connected friend' : 'disconnected friend');
      });
    }),
  );
});

test('a connected friend who falls silent is searched within 3.5 s while the connection is kept, until he is heard again', () => {
  const rig = new Rig();
  rig.connect();
  rig.advance(20_000);
  rig.alive();
  rig.take();
  rig.heardAt = rig.now;
  rig.advance(3_000);
  assert.deepEqual(rig.take(), [], 'packets get lost');
  rig.advance(500);
  assert.deepEqual(rig.take(), ['missed true']);
  rig.advance(5_000);
  assert.deepEqual(rig.take(), []);
  rig.heardAt = undefined;
  rig.advance(1_000);
  assert.deepEqual(rig.take(), ['missed false']);
  assert.deepEqual(rig.upward, []);
  rig.heardAt = rig.now;
  rig.advance(40_000);
  assert.deepEqual(rig.take(), ['missed true', 'close', 'online false']);
});
