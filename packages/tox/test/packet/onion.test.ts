import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Nonce, PublicKey } from '../../src/crypto/keys.ts';
import { decodeFriendRequest } from '../../src/packet/friend.ts';
import * as packet from '../../src/packet/onion.ts';
import { endpointFromBytes } from '../../src/wire/endpoint.ts';
import type { PackedNode } from '../../src/wire/packed-node.ts';

const fill = <T extends Uint8Array>(n: number, value: number) => new Uint8Array(n).fill(value) as Uint8Array as T;
const nonce = fill<Nonce>(24, 1);
const key = fill<PublicKey>(32, 2);
const node = (n: number, ip6 = false, transport: 'udp' | 'tcp' = 'udp'): PackedNode => ({
  publicKey: fill(32, n),
  endpoint: endpointFromBytes(fill(ip6 ? 16 : 4, n), 1000 + n)!,
  transport,
});
const nodes = [node(1), node(2, true), node(3), node(4, true)];

/** name, a valid encoding, its reader, and whether the size is exact (every other length fails). */
const CASES: [string, Uint8Array, (data: Uint8Array) => unknown, boolean][] = [
  [
    'onion request 1',
    packet.writeOnionRequest(0x81, { nonce, publicKey: key, box: fill(40, 3), returnBlock: fill(59, 4) }),
    packet.readOnionRequest,
    false,
  ],
  [
    'onion response 3',
    packet.writeOnionResponse(0x8c, { returnBlock: fill(177, 4), payload: Uint8Array.of(0x84) }),
    packet.readOnionResponse,
    false,
  ],
  [
    'announce request',
    packet.writeAnnounceRequest({ nonce, publicKey: key, box: fill(120, 5) }),
    packet.readAnnounceRequest,
    true,
  ],
  [
    'announce request, plain',
    packet.writeAnnounceRequestPlain({ pingId: fill(32, 1), searched: key, dataKey: key, sendback: fill(8, 6) }),
    packet.readAnnounceRequestPlain,
    true,
  ],
  [
    'announce response, plain',
    packet.writeAnnounceResponsePlain({ status: 1, value: fill(32, 1), nodes }, false),
    (data) => packet.readAnnounceResponsePlain(data, false)?.nodes.length === 4,
    true,
  ],
  [
    'counted announce response, plain',
    packet.writeAnnounceResponsePlain({ status: 2, value: fill(32, 1), nodes }, true),
    (data) => packet.readAnnounceResponsePlain(data, true)?.nodes.length === 4,
    true,
  ],
  [
    'DHT key',
    packet.writeDhtKeyBody({
      noReplay: 1n,
      dhtKey: key,
      nodes: [node(1, false, 'tcp'), node(2, true, 'tcp'), node(3)],
    }),
    (data) => packet.readDhtKeyBody(data)?.nodes.length === 3,
    true,
  ],
];

test('a packet cut short is refused, and so is one with a byte too many where the size is fixed', () => {
  for (const [name, data, read, exact] of CASES) {
    assert.ok(read(data), name);
    const shortest = exact ? data.length : 0;
    for (let n = 0; n < shortest; n++) assert.ok(!read(data.subarray(0, n)), `${name} cut to ${n}`);
    if (exact) assert.ok(!read(Uint8Array.of(...data, 0)), `${name} with a byte more`);
  }
});

test('no bytes make a reader throw', () => {
  const readers = [
    packet.readOnionRequest,
    packet.readOnionResponse,
    packet.readAnnounceRequest,
    packet.readAnnounceRequestPlain,
    packet.readAnnounceResponse,
    (d: Uint8Array) => packet.readAnnounceResponsePlain(d, false),
    (d: Uint8Array) => packet.readAnnounceResponsePlain(d, true),
    packet.readDataRequest,
    packet.readDataResponse,
    packet.readSignedData,
    packet.readRoutedDhtKey,
    packet.readDhtKeyBody,
    (data: Uint8Array) => decodeFriendRequest(packet.ONION_DATA_FRIEND_REQUEST, data),
  ];
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (data) => {
      for (const read of readers) read(data);
    }),
  );
});

test('sizes are those of the protocol', () => {
  assert.equal(CASES[2]![1].length, 177);
  const response = (count: number) =>
    packet.writeAnnounceResponse(0x84, {
      sendback: fill(8, 1),
      nonce,
      box: fill(
        16 + packet.writeAnnounceResponsePlain({ status: 0, value: key, nodes: nodes.slice(0, count) }, false).length,
        0,
      ),
    }).length;
  assert.equal(response(0), 82);
  assert.equal(response(1), 82 + 39);
  assert.equal(response(4), 82 + 2 * 39 + 2 * 51);
  const dhtKey = packet.writeDhtKeyBody({ noReplay: 1n, dhtKey: key, nodes: [node(1), node(3)] });
  const signed = packet.writeSignedData({ sender: key, box: fill(dhtKey.length + 16, 0) });
  const data = { nonce, publicKey: key, box: fill(signed.length + 16, 0) };
  assert.equal(packet.writeDataRequest(key, data).length, 272);
  assert.equal(packet.writeDataRequest(key, data).length - 32, 240);
});

test('only answers that belong on the way back are accepted there', () => {
  for (let kind = 0; kind < 256; kind++) {
    const data = packet.writeOnionResponse(0x8e, { returnBlock: fill(59, 0), payload: Uint8Array.of(kind, 1) });
    assert.equal(packet.readOnionResponse(data) !== undefined, kind === 0x84 || kind === 0x86 || kind === 0x88);
    assert.equal(packet.mayLeaveOnion(kind), kind === 0x83 || kind === 0x85 || kind === 0x87);
  }
});

test('relays are refused as announce nodes and more than four nodes everywhere', () => {
  const body = (list: PackedNode[]) => packet.writeAnnounceResponsePlain({ status: 0, value: key, nodes: list }, false);
  assert.equal(packet.readAnnounceResponsePlain(body([node(1, false, 'tcp')]), false), undefined);
  assert.equal(packet.readAnnounceResponsePlain(body([...nodes, node(5)]), false), undefined);
  const dht = packet.writeDhtKeyBody({ noReplay: 1n, dhtKey: key, nodes: [...nodes, node(5)] });
  assert.equal(packet.readDhtKeyBody(dht), undefined);
});

test('an answer longer than c-toxcore accepts is refused', () => {
  const data = fill(packet.MAX_DATA_RESPONSE_SIZE, 0x86);
  assert.ok(packet.readDataResponse(data));
  assert.equal(packet.readDataResponse(Uint8Array.of(...data, 0)), undefined);
  assert.equal(packet.readOnionRequest(fill(1401, 0x80)), undefined);
  assert.equal(packet.readOnionResponse(fill(1401, 0x8c)), undefined);
});
