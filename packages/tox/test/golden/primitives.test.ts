import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keyPairFromSecret, type Nonce, type PublicKey, type SecretKey } from '../../src/crypto/keys.ts';
import { incrementNonce } from '../../src/crypto/nonce.ts';
import { open, seal, sharedKey } from '../../src/crypto/sodium.ts';
import { makeToxId, type Nospam, toxIdFromBytes } from '../../src/messenger/tox-id.ts';
import { openDhtRequest, readDhtRequest, writeDhtRequest } from '../../src/packet/dht-request.ts';
import { type Endpoint, endpoint } from '../../src/wire/endpoint.ts';
import { type PackedNode, readPackedNodes, writePackedNode } from '../../src/wire/packed-node.ts';
import { Reader } from '../../src/wire/reader.ts';
import { Writer } from '../../src/wire/writer.ts';
import { bytes, hex, publicOf, shared, vectors } from './vectors.ts';

// Results of c-toxcore's own functions for fixed inputs.

const golden = vectors('primitives');

test('shared keys and boxes are those of c-toxcore', () => {
  for (const v of golden.boxes) {
    assert.equal(hex(keyPairFromSecret(bytes<SecretKey>(v.secretKey)).publicKey), v.publicKey);
    const key = sharedKey(bytes<PublicKey>(v.peerPublicKey), bytes<SecretKey>(v.secretKey))!;
    assert.equal(hex(key), v.sharedKey);
    assert.equal(hex(seal(key, bytes<Nonce>(v.nonce), bytes(v.plain))), v.box);
    assert.equal(hex(open(key, bytes<Nonce>(v.nonce), bytes(v.box))!), v.plain);
  }
});

test('nonces count as those of c-toxcore, over every carry', () => {
  for (const v of golden.nonces) {
    const nonce = bytes<Nonce>(v.before);
    incrementNonce(nonce, v.add);
    assert.equal(hex(nonce), v.after, `${v.before} + ${v.add}`);
  }
});

test('the checksum of a Tox ID is that of c-toxcore', () => {
  for (const v of golden.checksums) {
    const data = bytes(v.data);
    const id = makeToxId(data.subarray(0, 32) as PublicKey, data.subarray(32) as Nospam);
    assert.equal(hex(id), v.data + v.checksum);
    assert.equal(toxIdFromBytes(id).ok, data[31]! < 128);
    id[36]! ^= 1;
    assert.deepEqual(toxIdFromBytes(id), { ok: false, reason: 'checksum' });
  }
});

test('packed nodes of all four families, alone and in a list, are those of c-toxcore', () => {
  for (const v of golden.nodes) {
    const nodes: PackedNode[] = v.nodes.map((n: Record<string, string>) => ({
      publicKey: bytes(n.publicKey!),
      endpoint: endpoint(n.ip!, Number(n.port)) as Endpoint,
      transport: n.transport,
    }));
    const r = new Reader(bytes(v.bytes));
    assert.deepEqual(readPackedNodes(r, nodes.length, true), nodes);
    assert.ok(r.done());
    const w = new Writer();
    for (const node of nodes) writePackedNode(w, node);
    assert.equal(hex(w.finish()), v.bytes);
  }
});

test('DHT requests of every size open, and ours are byte for byte the same', () => {
  const { senderSecret, receiverSecret, packets } = golden.dhtRequests;
  for (const v of packets) {
    const request = readDhtRequest(bytes(v.packet))!;
    assert.equal(hex(request.sender), publicOf(senderSecret));
    assert.equal(hex(request.receiver), publicOf(receiverSecret));
    const key = shared(publicOf(senderSecret), receiverSecret);
    const plain = openDhtRequest(request, key)!;
    assert.deepEqual([plain.id, hex(plain.data)], [v.id, v.data]);
    const ours = writeDhtRequest(request.receiver, request.sender, request.nonce, key, v.id, bytes(v.data));
    assert.equal(hex(ours), v.packet);
  }
});
