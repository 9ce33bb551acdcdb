import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateKeyPair, type PublicKey, randomNonce } from '../../src/crypto/keys.ts';
import * as relay from '../../src/packet/relay.ts';
import { testEnv } from '../../src/testing/index.ts';

const env = testEnv(1);
const peer: PublicKey = generateKeyPair(env).publicKey;
const data = env.random(300);

/** One of each kind with its size, and whether more or fewer bytes of content are legal too. */
const packets: [relay.RelayPacket, number, 'exact' | 'open'][] = [
  [{ kind: relay.ROUTING_REQUEST, peer }, 33, 'exact'],
  [{ kind: relay.ROUTING_RESPONSE, id: 16, peer }, 34, 'exact'],
  [{ kind: relay.ROUTING_RESPONSE, id: 0, peer }, 34, 'exact'],
  [{ kind: relay.CONNECT_NOTIFICATION, id: 255 }, 2, 'exact'],
  [{ kind: relay.DISCONNECT_NOTIFICATION, id: 16 }, 2, 'exact'],
  [{ kind: relay.RELAY_PING, pingId: env.random(8) }, 9, 'exact'],
  [{ kind: relay.RELAY_PONG, pingId: env.random(8) }, 9, 'exact'],
  [{ kind: relay.OOB_SEND, peer, data }, 333, 'open'],
  [{ kind: relay.OOB_RECEIVE, peer, data }, 333, 'open'],
  [{ kind: relay.RELAY_ONION_REQUEST, nonce: randomNonce(env), body: data }, 325, 'open'],
  [{ kind: relay.RELAY_ONION_RESPONSE, data }, 301, 'open'],
  [{ kind: relay.FORWARD_REQUEST, data }, 301, 'open'],
  [{ kind: relay.FORWARDING, data }, 301, 'open'],
];

test('each packet between relay and client has its size and is read as it was written', () => {
  for (const [packet, size] of packets) {
    const encoded = relay.encodeRelayPacket(packet);
    assert.equal(encoded.length, size);
    assert.equal(encoded[0], packet.kind);
    assert.deepEqual(relay.decodeRelayPacket(encoded), packet);
  }
});

test('packets that are cut or have bytes to spare are refused, where the content has no length of its own', () => {
  for (const [packet, size, form] of packets) {
    const encoded = relay.encodeRelayPacket(packet);
    for (let cut = 0; cut < (form === 'exact' ? size : 2); cut++) {
      assert.equal(relay.decodeRelayPacket(encoded.subarray(0, cut)), undefined, `kind ${packet.kind} cut to ${cut}`);
    }
    if (form === 'exact') assert.equal(relay.decodeRelayPacket(Uint8Array.of(...encoded, 0)), undefined);
  }
});

test('out-of-band data has 1 to 1024 bytes, and an onion request is what fits the onion', () => {
  const oob = (size: number) => relay.encodeRelayPacket({ kind: relay.OOB_SEND, peer, data: new Uint8Array(size) });
  const onion = (size: number) =>
    relay.encodeRelayPacket({ kind: relay.RELAY_ONION_REQUEST, nonce: randomNonce(env), body: new Uint8Array(size) });
  assert.equal(relay.decodeRelayPacket(oob(0)), undefined);
  assert.ok(relay.decodeRelayPacket(oob(1)) && relay.decodeRelayPacket(oob(1_024)));
  assert.equal(relay.decodeRelayPacket(oob(1_025)), undefined);
  assert.equal(relay.decodeRelayPacket(onion(134)), undefined);
  assert.ok(relay.decodeRelayPacket(onion(135)) && relay.decodeRelayPacket(onion(1_335)));
  assert.equal(relay.decodeRelayPacket(onion(1_336)), undefined);
});

test('a ping id of zeros and a notification about no route are refused, as c-toxcore does', () => {
  assert.equal(relay.decodeRelayPacket(Uint8Array.of(4, 0, 0, 0, 0, 0, 0, 0, 0)), undefined);
  assert.equal(relay.decodeRelayPacket(Uint8Array.of(5, 0, 0, 0, 0, 0, 0, 0, 0)), undefined);
  assert.equal(relay.decodeRelayPacket(Uint8Array.of(2, 15)), undefined);
  assert.equal(relay.decodeRelayPacket(Uint8Array.of(3, 0)), undefined);
});

test('unknown kinds, data of routes and random bytes are no packets of the relay', () => {
  for (const kind of [12, 13, 14, 15, 16, 200, 255]) {
    assert.equal(relay.decodeRelayPacket(Uint8Array.of(kind, ...data)), undefined);
  }
  for (let size = 0; size < 400; size++) {
    const bytes = env.random(size);
    const decoded = relay.decodeRelayPacket(bytes);
    if (decoded) assert.deepEqual(relay.encodeRelayPacket(decoded), bytes);
  }
});
