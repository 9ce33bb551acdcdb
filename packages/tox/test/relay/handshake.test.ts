import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateKeyPair, type SharedKey } from '../../src/crypto/keys.ts';
import { sharedKey } from '../../src/crypto/sodium.ts';
import { answerHello, ClientHandshake, helloSender } from '../../src/relay/handshake.ts';
import { testEnv } from '../../src/testing/index.ts';

const env = testEnv(1);
const client = generateKeyPair(env);
const relay = generateKeyPair(env);
const shared = sharedKey(relay.publicKey, client.secretKey)!;

test('client and relay agree on one key, and each opens with the nonce that the other seals with', () => {
  const handshake = new ClientHandshake(env, client.publicKey, shared);
  assert.equal(handshake.hello.length, 128);
  assert.deepEqual(helloSender(handshake.hello), client.publicKey);
  const { answer, session } = answerHello(env, shared, handshake.hello)!;
  assert.equal(answer.length, 96);
  const ours = handshake.finish(answer)!;
  assert.deepEqual(ours.key, session.key);
  assert.deepEqual(ours.sendNonce, session.receiveNonce);
  assert.deepEqual(ours.receiveNonce, session.sendNonce);
  assert.notDeepEqual(ours.sendNonce, ours.receiveNonce);
});

test('a hello or an answer that is cut, longer, changed or under another key is refused', () => {
  const wrong = env.random(32) as SharedKey;
  const { hello } = new ClientHandshake(env, client.publicKey, shared);
  assert.equal(answerHello(env, wrong, hello), undefined);
  assert.equal(answerHello(env, shared, Uint8Array.of(...hello, 0)), undefined);
  for (let at = 0; at < hello.length; at++) {
    assert.equal(answerHello(env, shared, hello.subarray(0, at)), undefined);
    const changed = hello.slice();
    changed[at]! ^= 1;
    // The first 32 bytes only select the key.
    if (at >= 32) assert.equal(answerHello(env, shared, changed), undefined, `byte ${at}`);
  }
  const finish = (change: (answer: Uint8Array) => Uint8Array) => {
    const handshake = new ClientHandshake(env, client.publicKey, shared);
    return handshake.finish(change(answerHello(env, shared, handshake.hello)!.answer));
  };
  assert.ok(finish((answer) => answer));
  assert.equal(
    finish((answer) => Uint8Array.of(...answer, 0)),
    undefined,
  );
  for (let at = 0; at < 96; at++) {
    assert.equal(
      finish((answer) => answer.subarray(0, at)),
      undefined,
    );
    assert.equal(
      finish((answer) => answer.map((byte, i) => (i === at ? byte ^ 1 : byte))),
      undefined,
      `byte ${at}`,
    );
  }
});

test('random bytes are neither a hello nor an answer', () => {
  for (let run = 0; run < 100; run++) {
    assert.equal(answerHello(env, shared, env.random(128)), undefined);
    assert.equal(new ClientHandshake(env, client.publicKey, shared).finish(env.random(96)), undefined);
  }
});
