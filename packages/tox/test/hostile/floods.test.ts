import assert from 'node:assert/strict';
import { randomFillSync } from 'node:crypto';
import { test } from 'node:test';
import { generateKeyPair, type KeyPair, type Nonce, type SharedKey } from '../../src/crypto/keys.ts';
import { sharedKey } from '../../src/crypto/sodium.ts';
import { encodeCookieRequest } from '../../src/packet/crypto.ts';
import { testEnv } from '../../src/testing/index.ts';
import type { Endpoint } from '../../src/wire/endpoint.ts';
import { countDerivations, Stage } from './stage.ts';

const STEP_MS = 10;
const KEY = 32;

type Give = (from: Endpoint, data: Uint8Array) => void;

/**
 * Runs a flood of `perStep` datagrams each 10 ms while a friend is online and, after a second, another one who was
 * never heard of wants to come online. Returns the derivations of the victim alone.
 */
function underFlood(seed: number, ms: number, flood: (stage: Stage, give: Give) => void) {
  const stage = new Stage(seed, 8);
  const { network } = stage;
  const [, victim, friend, fresh] = network.people as [
    never,
    typeof stage.victim,
    typeof stage.victim,
    typeof stage.victim,
  ];
  stage.befriend(victim, friend);
  stage.talk(victim, friend);
  stage.events = [];
  stage.sentBytes = 0;
  let receivedBytes = 0;
  let derivations = 0;
  let freshAt: number | undefined;
  const start = stage.now;
  const run = (until: number) => {
    while (stage.now < until) {
      derivations += countDerivations(() =>
        stage.attack((give) =>
          flood(stage, (from, data) => {
            receivedBytes += data.length;
            give(from, data);
          }),
        ),
      ).derivations;
      network.world.runFor(STEP_MS);
      if (freshAt === undefined && network.areOnline([victim, fresh])) freshAt = stage.now - start;
    }
  };
  run(start + 1_000);
  network.command(victim, (tox, now) => tox.messenger.acceptFriend(now, fresh.tox.realKeys.publicKey));
  network.command(fresh, (tox, now) => tox.messenger.acceptFriend(now, victim.tox.realKeys.publicKey));
  run(start + ms);
  const offline = stage.events.some((e) => e.type === 'friend-connection' && !e.online);
  return { stage, victim, friend, fresh, derivations, receivedBytes, sentBytes: stage.sentBytes, freshAt, offline };
}

function assertServed(result: ReturnType<typeof underFlood>): void {
  assert.equal(result.offline, false, 'the friend stayed online');
  assert.notEqual(result.freshAt, undefined, 'a new friend came online');
  result.stage.talk(result.victim, result.friend);
  result.stage.talk(result.victim, result.fresh);
}

/** Random bytes of this size and kind: a sender key that nobody has, and a box that opens for nobody. */
function forged(kind: number, size: number): Uint8Array {
  const data = randomFillSync(new Uint8Array(size));
  data[0] = kind;
  return data;
}

const seconds = 4;
/** What all layers together may spend on strangers: DHT 2000 and 2000/s, cookies 200 and 400/s, relay 8192 and 1000/s, onion data 1536 and 800/s. */
const DERIVATIONS = 2_000 + 2_000 * seconds + 200 + 400 * seconds + 8_192 + 1_000 * seconds + 1_536 + 800 * seconds;

test('65,000 pings with different keys from different addresses cost bounded key derivations and cut nobody off', () => {
  const result = underFlood(21, seconds * 1_000, (stage, give) => {
    for (let i = 0; i < 170; i++) give(stage.stranger(), forged(0x00, 82));
  });
  assertServed(result);
  assert.ok(result.derivations <= 2_000 + 2_000 * seconds, String(result.derivations));
});

test('cookie requests from everywhere are answered within a bound and a new friend still gets in', () => {
  const env = testEnv(5);
  const pairs: KeyPair[] = Array.from({ length: 64 }, () => generateKeyPair(env));
  let shared: SharedKey[] | undefined;
  const result = underFlood(22, seconds * 1_000, (stage, give) => {
    const to = stage.victim.tox.dhtKeys.publicKey;
    shared ??= pairs.map((pair) => sharedKey(to, pair.secretKey)!);
    for (let i = 0; i < 50; i++) {
      give(stage.stranger(), forged(0x18, 145));
      const n = i % pairs.length;
      const nonce = stage.bytes(24) as Nonce;
      give(
        stage.stranger(),
        encodeCookieRequest(shared[n]!, nonce, pairs[n]!.publicKey, pairs[n]!.publicKey, nonce.slice(0, 8)),
      );
    }
  });
  assertServed(result);
  assert.ok(result.derivations <= 200 + 400 * seconds + 64 + 200, String(result.derivations));
});

test('handshakes with forged cookies cost no key derivation at all', () => {
  const result = underFlood(23, 4_000, (stage, give) => {
    for (let i = 0; i < 100; i++) give(stage.stranger(), forged(0x1a, 385));
  });
  assertServed(result);
  assert.equal(result.derivations, 0);
});

test('floods of onion packets from forged addresses cost bounded key derivations', () => {
  const result = underFlood(24, seconds * 1_000, (stage, give) => {
    for (const [kind, size] of [
      [0x80, 403],
      [0x81, 395],
      [0x82, 387],
      [0x83, 354],
      [0x87, 354],
      [0x85, 500],
      [0x86, 300],
      [0x8c, 400],
    ] as const) {
      for (let i = 0; i < 20; i++) give(stage.stranger(), forged(kind, size));
    }
  });
  assertServed(result);
  assert.ok(result.derivations <= DERIVATIONS, String(result.derivations));
});

test('DHT requests for others are not passed on to strangers, and those for us cost bounded key derivations', () => {
  const result = underFlood(25, seconds * 1_000, (stage, give) => {
    for (let i = 0; i < 50; i++) {
      give(stage.stranger(), forged(0x20, 600));
      const forUs = forged(0x20, 600);
      forUs.set(stage.victim.tox.dhtKeys.publicKey, 1);
      give(stage.stranger(), forUs);
    }
  });
  assertServed(result);
  assert.ok(result.derivations <= 2_000 + 2_000 * seconds, String(result.derivations));
});

test('friend requests with the right nospam from ever new keys reach the owner at a bounded rate', () => {
  const stage = new Stage(26, 2);
  const { victim } = stage;
  const nospam = victim.tox.messenger.toxId.slice(32, 36);
  stage.events = [];
  const env = testEnv(9);
  stage.attack(() => {
    for (let i = 0; i < 5_000; i++) {
      const from = env.random(KEY) as never;
      victim.tox.messenger.onFriendRequest(stage.now, from, nospam, Uint8Array.of(65));
    }
  });
  const shown = stage.events.filter((e) => e.type === 'friend-request').length;
  assert.ok(shown > 0 && shown <= 64, String(shown));
});
