import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateKeyPair, type Nonce, randomNonce, type SharedKey } from '../../src/crypto/keys.ts';
import { open, sharedKey } from '../../src/crypto/sodium.ts';
import {
  CryptoDataOpener,
  cookieRequestSender,
  cryptoDataNonce,
  encodeCookieRequest,
  encodeCookieResponse,
  encodeCryptoData,
  encodeHandshake,
  handshakeCookie,
  openCookieRequest,
  openCookieResponse,
  openHandshake,
  paddingOf,
} from '../../src/packet/crypto.ts';
import { testEnv } from '../../src/testing/index.ts';

const env = testEnv(1);
const ours = generateKeyPair(env);
const theirs = generateKeyPair(env);
const shared = sharedKey(theirs.publicKey, ours.secretKey)!;
const wrong = env.random(32) as SharedKey;
const nonce = randomNonce(env);
const echo = env.random(8);
const cookie = env.random(112);
const content = { baseNonce: randomNonce(env), sessionKey: theirs.publicKey, cookie: env.random(112) };

/** Every shorter length, one byte more, and each byte changed must be refused without an exception. */
function assertRefusesMutants(packet: Uint8Array, accepts: (data: Uint8Array) => boolean, authenticatedFrom = 0): void {
  assert.ok(accepts(packet));
  for (let size = 0; size < packet.length; size++) assert.equal(accepts(packet.subarray(0, size)), false);
  assert.equal(accepts(Uint8Array.of(...packet, 0)), false);
  for (let i = authenticatedFrom; i < packet.length; i++) {
    const mutant = packet.slice();
    mutant[i]! ^= 1;
    assert.equal(accepts(mutant), false, `byte ${i}`);
  }
}

test('a cookie request is 145 bytes, opens to key and echo, and hides them from everyone else', () => {
  const packet = encodeCookieRequest(shared, nonce, ours.publicKey, theirs.publicKey, echo);
  assert.equal(packet.length, 145);
  assert.deepEqual(cookieRequestSender(packet), ours.publicKey);
  const { realKey, echo: back } = openCookieRequest(shared, packet)!;
  assert.deepEqual(realKey, theirs.publicKey);
  assert.deepEqual(back, echo);
  assert.equal(openCookieRequest(wrong, packet), undefined);
  // Bytes 1..32 only select the key.
  const accepts = (data: Uint8Array) => cookieRequestSender(data) !== undefined && !!openCookieRequest(shared, data);
  assertRefusesMutants(packet, accepts, 33);
});

test('a cookie response is 161 bytes and counts only with the echo of the request', () => {
  const packet = encodeCookieResponse(shared, nonce, cookie, echo);
  assert.equal(packet.length, 161);
  assert.deepEqual(openCookieResponse(shared, echo, packet), cookie);
  assert.equal(openCookieResponse(shared, env.random(8), packet), undefined);
  assert.equal(openCookieResponse(wrong, echo, packet), undefined);
  assertRefusesMutants(packet, (data) => openCookieResponse(shared, echo, data) !== undefined);
});

test('a handshake is 385 bytes and opens only with the cookie that it was made for', () => {
  const packet = encodeHandshake(shared, nonce, cookie, content);
  assert.equal(packet.length, 385);
  assert.deepEqual(handshakeCookie(packet), cookie);
  assert.deepEqual(openHandshake(shared, packet), content);
  assert.equal(openHandshake(wrong, packet), undefined);
  const accepts = (data: Uint8Array) =>
    handshakeCookie(data) !== undefined && openHandshake(shared, data) !== undefined;
  assertRefusesMutants(packet, accepts);
});

test('data packets of every size are padded before the id to a multiple of 8 bytes in all', () => {
  const opener = new CryptoDataOpener();
  for (let size = 1; size <= 1373; size++) {
    const data = new Uint8Array(size).fill(size & 0xff);
    data[0] = 16 + (size % 239);
    const packet = encodeCryptoData(shared, nonce, 0xfffffffe, 0x01020304, data);
    assert.equal(packet.length % 8, 0);
    assert.equal(packet.length, 27 + size + ((1373 - size) % 8));
    assert.equal(paddingOf(size), (1373 - size) % 8);
    assert.equal(cryptoDataNonce(packet), nonce[22]! * 256 + nonce[23]!);
    assert.deepEqual(opener.open(shared, nonce, packet), data);
    assert.equal(opener.bufferStart, 0xfffffffe);
    assert.equal(opener.number, 0x01020304);
    const plain = open(shared, nonce, packet.subarray(3))!;
    assert.deepEqual([...plain.subarray(0, 8)], [0xff, 0xff, 0xff, 0xfe, 1, 2, 3, 4]);
    assert.ok(plain.subarray(8, 8 + paddingOf(size)).every((byte) => byte === 0));
  }
});

test('data packets that are cut, changed, under another key or nothing but padding do not open', () => {
  const opener = new CryptoDataOpener();
  const packet = encodeCryptoData(shared, nonce, 1, 2, Uint8Array.of(160, 1, 2, 3));
  const accepts = (data: Uint8Array) =>
    cryptoDataNonce(data) !== undefined && opener.open(shared, nonce, data) !== undefined;
  assertRefusesMutants(packet, accepts, 3);
  assert.equal(opener.open(wrong, nonce, packet), undefined);
  assert.equal(opener.open(shared, randomNonce(env), packet), undefined);
  assert.equal(opener.open(shared, nonce, encodeCryptoData(shared, nonce, 1, 2, new Uint8Array(5))), undefined);
  assert.equal(cryptoDataNonce(new Uint8Array(1401)), undefined);
});

test('random bytes of every length are refused', () => {
  const opener = new CryptoDataOpener();
  for (let size = 0; size < 1500; size += 7) {
    for (const kind of [0x18, 0x19, 0x1a, 0x1b]) {
      const data = env.random(size);
      if (size > 0) data[0] = kind;
      if (cookieRequestSender(data)) assert.equal(openCookieRequest(shared, data), undefined);
      if (handshakeCookie(data)) assert.equal(openHandshake(shared, data), undefined);
      assert.equal(openCookieResponse(shared, echo, data), undefined);
      if (cryptoDataNonce(data) !== undefined) assert.equal(opener.open(shared, nonce as Nonce, data), undefined);
    }
  }
});
