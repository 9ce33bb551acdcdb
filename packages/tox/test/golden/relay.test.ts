import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Nonce, SharedKey } from '../../src/crypto/keys.ts';
import { incrementNonce } from '../../src/crypto/nonce.ts';
import { seal } from '../../src/crypto/sodium.ts';
import { CRYPTO_DATA, HANDSHAKE } from '../../src/packet/crypto.ts';
import {
  decodeRelayPacket,
  encodeRelayPacket,
  OOB_RECEIVE,
  RELAY_ONION_RESPONSE,
  type RelayPacket,
} from '../../src/packet/relay.ts';
import { FrameOpener, FrameSealer, packetScratch } from '../../src/relay/frame.ts';
import { bytes, hex, opened, publicOf, shared, vectors } from './vectors.ts';

// What tox-bootstrapd says to a client, and c-toxcore clients to a relay.

const golden = vectors('relay');

interface Frame {
  /** How many went before it. */
  readonly number: number;
  readonly frame: string;
}

interface Stream {
  readonly frames: readonly Frame[];
  readonly key: SharedKey;
  readonly baseNonce: Nonce;
}

/** The box of a hello: its temporary key and base nonce agree with our temporary key; ours is the same bytes. */
function stream(key: SharedKey, hello: Uint8Array, temporarySecret: string, frames: readonly Frame[]): Stream {
  const nonce = hello.subarray(0, 24) as Uint8Array as Nonce;
  const plain = opened(key, nonce, hello.subarray(24));
  assert.deepEqual(seal(key, nonce, plain), hello.subarray(24));
  return {
    frames,
    key: shared(hex(plain.subarray(0, 32)), temporarySecret),
    baseNonce: plain.slice(32) as Uint8Array as Nonce,
  };
}

/** All packets of a stream, which we would seal to the same bytes; those of routes as they are. */
function packets({ frames, key, baseNonce }: Stream): (RelayPacket | Uint8Array)[] {
  return frames.map(({ number, frame }) => {
    const nonce = baseNonce.slice() as Nonce;
    incrementNonce(nonce, number);
    const sealer = new FrameSealer(key, nonce.slice() as Nonce);
    let found: RelayPacket | Uint8Array | undefined;
    const opener = new FrameOpener(key, nonce, packetScratch());
    assert.ok(
      opener.push(bytes(frame), (packet) => {
        sealer.push(packet);
        found = packet[0]! >= 16 ? packet.slice() : decodeRelayPacket(packet.slice());
        if (packet[0]! < 16) assert.deepEqual(encodeRelayPacket(found as RelayPacket), packet);
        return true;
      }),
    );
    assert.equal(hex(sealer.take()!), frame);
    return found!;
  });
}

function ofKind<K extends RelayPacket['kind']>(found: (RelayPacket | Uint8Array)[], kind: K) {
  return found.filter((packet) => kindOf(packet) === kind) as (RelayPacket & { readonly kind: K })[];
}

const kindOf = (packet: RelayPacket | Uint8Array) => (packet instanceof Uint8Array ? packet[0]! : packet.kind);

test('all that tox-bootstrapd says as a relay is read, and would be said by us in the same bytes', () => {
  const { relayKey, clientSecret, temporarySecret, answer, frames } = golden.relay;
  const found = packets(stream(shared(relayKey, clientSecret), bytes(answer), temporarySecret, frames));
  const routes = ofKind(found, 1);
  assert.deepEqual(
    routes.map(({ id, peer }) => [id, hex(peer) === publicOf(clientSecret)]),
    [
      [0, true], // no route to oneself
      [16, false],
    ],
  );
  const [oob] = ofKind(found, OOB_RECEIVE) as { peer: Uint8Array; data: Uint8Array }[];
  assert.deepEqual([hex(oob!.peer), [...oob!.data]], [hex(routes[1]!.peer), [1, 2, 3]]);
  const [onion] = ofKind(found, RELAY_ONION_RESPONSE) as { data: Uint8Array }[];
  assert.equal(onion!.data[0], 0x84);
  assert.deepEqual(
    found.filter((packet) => packet instanceof Uint8Array),
    [Uint8Array.of(16, 9, 8, 7)],
  );
  assert.deepEqual(
    [...new Set(found.map(kindOf))].sort((a, b) => a - b),
    [1, 2, 3, 5, 7, 9, 16],
  );
});

test('all that c-toxcore clients say to a relay is read, and would be said by us in the same bytes', () => {
  const { relaySecret, clients } = golden.client;
  const kinds = new Set<number>();
  for (const { hello, temporarySecret, frames } of clients) {
    const key = shared(hello.slice(0, 64), relaySecret);
    const found = packets(stream(key, bytes(hello).subarray(32), temporarySecret, frames));
    for (const packet of found) {
      kinds.add(kindOf(packet));
      if (packet instanceof Uint8Array) assert.ok(packet[1]! >= HANDSHAKE - 2 && packet[1]! <= CRYPTO_DATA);
    }
  }
  assert.deepEqual(
    [...new Set([...kinds].map((kind) => Math.min(kind, 16)))].sort((a, b) => a - b),
    [0, 3, 4, 8, 16],
  );
});
