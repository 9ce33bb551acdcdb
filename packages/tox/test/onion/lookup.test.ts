import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  generateKeyPair,
  type KeyId,
  type KeyPair,
  keyId,
  type PublicKey,
  randomNonce,
} from '../../src/crypto/keys.ts';
import { SharedKeys } from '../../src/crypto/shared-keys.ts';
import { open, seal, sharedKey } from '../../src/crypto/sodium.ts';
import { compareDistance } from '../../src/dht/distance.ts';
import { Lookup } from '../../src/onion/lookup.ts';
import { NodePool } from '../../src/onion/node-pool.ts';
import { OnionPaths } from '../../src/onion/paths.ts';
import { PendingRequests } from '../../src/onion/pending-requests.ts';
import * as packet from '../../src/packet/onion.ts';
import { testEnv } from '../../src/testing/index.ts';
import { endpoint } from '../../src/wire/endpoint.ts';
import type { PackedNode } from '../../src/wire/packed-node.ts';

test('somebody with very many keys near the target, who names ever nearer ones, does not make us ask for ever', () => {
  const env = testEnv(7);
  const own = generateKeyPair(env);
  const at = endpoint('9.9.9.9', 33_445)!;
  const target = generateKeyPair(env).publicKey;
  const byDistance = (a: KeyPair, b: KeyPair) => compareDistance(target, b.publicKey, a.publicKey);
  const evil = Array.from({ length: 600 }, () => generateKeyPair(env)).sort(byDistance);
  const keys = new Map<KeyId, KeyPair>(evil.map((pair) => [keyId(pair.publicKey), pair]));
  const named = (i: number): PackedNode => ({ publicKey: evil[i]!.publicKey, endpoint: at, transport: 'udp' });
  const pool = new NodePool(env);
  pool.addDirect(0, named(0));
  const requests = new PendingRequests<Lookup>(env);
  const asked: Uint8Array[] = [];
  const lookup: Lookup = new Lookup(
    { env, pool, requests, sendOver: (_path, _to, payload) => void asked.push(payload) },
    {
      target,
      keys: generateKeyPair(env),
      dataKey: new Uint8Array(32) as PublicKey,
      capacity: 8,
      paths: new OnionPaths(env, pool, own.publicKey, new SharedKeys(own.secretKey, 64)),
      onAnswer() {},
    },
  );
  let next = 1;
  const answer = (now: number, payload: Uint8Array) => {
    const request = packet.readAnnounceRequest(payload)!;
    // The request does not say which of them it is for.
    for (const pair of keys.values()) {
      const key = sharedKey(request.publicKey, pair.secretKey)!;
      const plain = open(key, request.nonce, request.box);
      if (!plain) continue;
      const { sendback } = packet.readAnnounceRequestPlain(plain)!;
      const nodes = [0, 1, 2, 3].map(() => named(Math.min(next++, evil.length - 1)));
      const value = new Uint8Array(32);
      const nonce = randomNonce(env);
      const box = seal(key, nonce, packet.writeAnnounceResponsePlain({ status: 0, value, nodes }, false));
      const pending = requests.take(now, sendback)!;
      lookup.receive(now, false, pending, { sendback, nonce, box }, false);
      keys.delete(keyId(pair.publicKey));
      return;
    }
  };
  lookup.restart(0);
  for (let now = 0; now < 1_000 && asked.length > 0 && next < evil.length; ) answer(now++, asked.shift()!);
  assert.ok(next > 100, 'a walk goes as far as it must');
  assert.ok(next < 560, `${next} of ${evil.length} were named`);
});
