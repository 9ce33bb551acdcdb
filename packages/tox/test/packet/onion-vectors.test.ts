import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Nonce, PublicKey, SecretKey, SharedKey } from '../../src/crypto/keys.ts';
import { SharedKeys } from '../../src/crypto/shared-keys.ts';
import { open, sharedKey } from '../../src/crypto/sodium.ts';
import { openReturnBlock, unwrapLayer, wrapLayer } from '../../src/onion/layer.ts';
import { OnionRelay } from '../../src/onion/onion-relay.ts';
import { decodeFriendRequest, encodeFriendRequest } from '../../src/packet/friend.ts';
import * as packet from '../../src/packet/onion.ts';
import { testEnv } from '../../src/testing/index.ts';
import { type Endpoint, endpoint } from '../../src/wire/endpoint.ts';

// Captured from nodes of c-toxcore, with the keys that they used.
interface Hop {
  from: string;
  to: string;
  data: string;
}
interface Exchange {
  forward: [Hop, Hop, Hop];
  request: Hop;
  response: [Hop, Hop, Hop, Hop];
  status?: number;
  receiver?: string;
  dataKey?: string;
}
interface Node {
  ip4: string;
  port: number;
  realSecret: string;
  realKey: string;
  dhtKey: string;
  dhtSecret: string;
  toxId: string;
}
type Name = 'first' | 'search' | 'stored' | 'found' | 'friendRequest' | 'dhtKey';
type Vectors = Record<Name, Exchange> & {
  nodes: Record<string, Node>;
  keys: Record<string, string>;
  returnKeys: Record<string, string>;
};

const vectors: Vectors = JSON.parse(readFileSync(new URL('../vectors/onion.json', import.meta.url), 'utf8'));
const NAMES: Name[] = ['first', 'search', 'stored', 'found', 'friendRequest', 'dhtKey'];
const ANNOUNCES: Name[] = ['first', 'search', 'stored', 'found'];
const RETURN_SIZES = [0, 59, 118, 177] as const;

const bytes = <T extends Uint8Array>(hex: string) => new Uint8Array(Buffer.from(hex, 'hex')) as Uint8Array as T;
const hex = (b: Uint8Array) => Buffer.from(b).toString('hex');
const at = (name: string): Endpoint => endpoint(vectors.nodes[name]!.ip4, vectors.nodes[name]!.port)!;
const dhtPair = (name: string) => ({
  publicKey: bytes<PublicKey>(vectors.nodes[name]!.dhtKey),
  secretKey: bytes<SecretKey>(vectors.nodes[name]!.dhtSecret),
});
const secretOf = (key: PublicKey) => {
  const known = vectors.keys[hex(key)] ?? Object.values(vectors.nodes).find((n) => n.dhtKey === hex(key))?.dhtSecret;
  assert.ok(known, `the secret of ${hex(key)} was captured`);
  return bytes<SecretKey>(known);
};

test('each hop forwards what c-toxcore forwards, up to its own return block', () => {
  for (const name of NAMES) {
    const { forward, request } = vectors[name];
    const steps = [...forward, request];
    for (let i = 0; i < 3; i++) {
      const [incoming, outgoing] = [steps[i]!, steps[i + 1]!];
      const sent: [Endpoint, Uint8Array][] = [];
      const pair = dhtPair(incoming.to);
      const shared = new SharedKeys(pair.secretKey, 8);
      const relay = new OnionRelay(
        testEnv(1),
        pair,
        shared,
        (to, data) => void sent.push([to, data]),
        () => [],
      );
      assert.ok(relay.handle(0, at(incoming.from), bytes(incoming.data)));
      assert.equal(sent.length, 1, `${name}, hop ${i}`);
      const [to, data] = sent[0]!;
      const own = RETURN_SIZES[i + 1]!;
      assert.equal(to, at(outgoing.to));
      assert.equal(data.length, outgoing.data.length / 2);
      assert.equal(hex(data.subarray(0, -own)), outgoing.data.slice(0, -2 * own));
    }
  }
});

test('layers are wrapped byte for byte as c-toxcore wraps them', () => {
  for (const name of NAMES) {
    const [first, second, third] = vectors[name].forward.map((hop) => packet.readOnionRequest(bytes(hop.data))!);
    const hops = vectors[name].forward.map((hop) => hop.to);
    const keys = [first!, second!, third!].map(
      (layer, i) => sharedKey(dhtPair(hops[i]!).publicKey, secretOf(layer.publicKey))!,
    );
    const { nonce } = first!;
    const last = unwrapLayer(keys[2]!, nonce, third!.box)!;
    const layer3 = wrapLayer(keys[2]!, nonce, last.next, undefined, last.rest);
    const layer2 = wrapLayer(keys[1]!, nonce, at(hops[2]!), third!.publicKey, layer3);
    const box = wrapLayer(keys[0]!, nonce, at(hops[1]!), second!.publicKey, layer2);
    const whole = packet.writeOnionRequest(packet.ONION_REQUEST_0, { ...first!, box });
    assert.equal(hex(whole), vectors[name].forward[0].data);
  }
});

test('return blocks of c-toxcore open to the hop before, and the rest travels on unchanged', () => {
  const kinds = [packet.ONION_RESPONSE_2, packet.ONION_RESPONSE_1];
  for (const name of NAMES) {
    const { response } = vectors[name];
    for (let i = 0; i < 3; i++) {
      const incoming = packet.readOnionResponse(bytes(response[i]!.data))!;
      const key = bytes<SharedKey>(vectors.returnKeys[response[i]!.to]!);
      const block = openReturnBlock(key, incoming.returnBlock)!;
      assert.equal(block.next, at(response[i + 1]!.to));
      const { payload } = incoming;
      const kind = kinds[i];
      const out = kind ? packet.writeOnionResponse(kind, { returnBlock: block.rest, payload }) : payload;
      assert.equal(hex(out), response[i + 1]!.data);
    }
  }
});

test('announce requests and responses of c-toxcore are read and written alike', () => {
  for (const name of ANNOUNCES) {
    const { request, response, status } = vectors[name];
    const data = bytes(request.data);
    assert.equal(data.length, packet.ANNOUNCE_REQUEST_SIZE + packet.RETURN_3_SIZE);
    const outer = packet.readAnnounceRequest(data.subarray(0, packet.ANNOUNCE_REQUEST_SIZE))!;
    assert.equal(hex(packet.writeAnnounceRequest(outer)), hex(data.subarray(0, packet.ANNOUNCE_REQUEST_SIZE)));
    const key = sharedKey(outer.publicKey, dhtPair(request.to).secretKey)!;
    const plain = open(key, outer.nonce, outer.box)!;
    const asked = packet.readAnnounceRequestPlain(plain)!;
    assert.equal(hex(packet.writeAnnounceRequestPlain(asked)), hex(plain));

    const back = bytes(response[3].data);
    const answer = packet.readAnnounceResponse(back)!;
    assert.deepEqual(answer.sendback, asked.sendback);
    assert.equal(hex(packet.writeAnnounceResponse(packet.ANNOUNCE_RESPONSE, answer)), hex(back));
    const answerPlain = open(key, answer.nonce, answer.box)!;
    const told = packet.readAnnounceResponsePlain(answerPlain, false)!;
    assert.equal(told.status, status);
    assert.ok(told.nodes.length >= 1);
    assert.equal(hex(packet.writeAnnounceResponsePlain(told, false)), hex(answerPlain));
  }
});

test('a friend request and a DHT-key packet of c-toxcore reach their plain text', () => {
  for (const name of ['friendRequest', 'dhtKey'] as const) {
    const { request, response, receiver, dataKey } = vectors[name];
    const data = bytes(request.data).subarray(0, -packet.RETURN_3_SIZE);
    const asked = packet.readDataRequest(data)!;
    assert.equal(hex(asked.destination), vectors.nodes[receiver!]!.realKey);
    assert.equal(hex(packet.writeDataResponse(asked.forwarded)), response[3].data);
    const outer = packet.readDataResponse(bytes(response[3].data))!;
    assert.equal(hex(packet.writeDataRequest(asked.destination, outer)), hex(data));
    const opened = open(sharedKey(outer.publicKey, secretOf(bytes(dataKey!)))!, outer.nonce, outer.box)!;
    const signed = packet.readSignedData(opened)!;
    assert.equal(hex(packet.writeSignedData(signed)), hex(opened));
    assert.equal(hex(signed.sender), vectors.nodes.alice!.realKey);
    const secret = bytes<SecretKey>(vectors.nodes[receiver!]!.realSecret);
    const plain = open(sharedKey(signed.sender, secret)!, outer.nonce as Nonce, signed.box)!;
    if (name === 'friendRequest') {
      const body = decodeFriendRequest(packet.ONION_DATA_FRIEND_REQUEST, plain)!;
      assert.equal(hex(body.nospam), vectors.nodes[receiver!]!.toxId.slice(64, 72));
      assert.ok(body.message.length > 0);
      assert.equal(hex(encodeFriendRequest(packet.ONION_DATA_FRIEND_REQUEST, body)), hex(plain));
    } else {
      const body = packet.readDhtKeyBody(plain)!;
      assert.equal(hex(body.dhtKey), vectors.nodes.alice!.dhtKey);
      assert.ok(body.noReplay > 0n);
      assert.equal(hex(packet.writeDhtKeyBody(body)), hex(plain));
    }
  }
});
