import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  keyPairFromSecret,
  type Nonce,
  type PublicKey,
  type SecretKey,
  type SharedKey,
} from '../../src/crypto/keys.ts';
import { seal, sharedKey } from '../../src/crypto/sodium.ts';
import { decodeBootstrapInfo, encodeBootstrapInfo, isBootstrapInfoRequest } from '../../src/packet/bootstrap-info.ts';
import {
  decodeNodesRequest,
  decodeNodesResponse,
  decodePing,
  encodeNodesRequest,
  encodeNodesResponse,
  encodePing,
  NODES_REQUEST,
  NODES_RESPONSE,
  openDhtFrame,
  PING_REQUEST,
  PING_RESPONSE,
  readDhtFrame,
  writeDhtFrame,
} from '../../src/packet/dht.ts';
import { decodeLanDiscovery, encodeLanDiscovery } from '../../src/packet/lan-discovery.ts';
import { endpointFromBytes } from '../../src/wire/endpoint.ts';

const alice = keyPairFromSecret(new Uint8Array(32).fill(1) as SecretKey);
const bob = keyPairFromSecret(new Uint8Array(32).fill(2) as SecretKey);
const key = sharedKey(bob.publicKey, alice.secretKey) as SharedKey;
const nonce = new Uint8Array(24).fill(3) as Nonce;
const ID = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]);
const node4 = { publicKey: bob.publicKey, endpoint: endpointFromBytes(Uint8Array.from([192, 0, 2, 1]), 33445)! };
const node6 = { publicKey: alice.publicKey, endpoint: endpointFromBytes(new Uint8Array(16).fill(0x20), 1)! };

const frames = (): [string, Uint8Array][] => {
  const frame = (kind: number, plain: Uint8Array) => writeDhtFrame(kind, alice.publicKey, nonce, key, plain);
  return [
    ['ping request', frame(PING_REQUEST, encodePing(PING_REQUEST, ID))],
    ['ping response', frame(PING_RESPONSE, encodePing(PING_RESPONSE, ID))],
    ['nodes request', frame(NODES_REQUEST, encodeNodesRequest({ target: bob.publicKey, id: ID }))],
    ['no nodes', frame(NODES_RESPONSE, encodeNodesResponse({ nodes: [], id: ID }))],
    ['four nodes', frame(NODES_RESPONSE, encodeNodesResponse({ nodes: [node4, node6, node4, node6], id: ID }))],
  ];
};

test('DHT packets have the sizes of the spec', () => {
  assert.deepEqual(
    frames().map(([name, data]) => [name, data.length]),
    [
      ['ping request', 82],
      ['ping response', 82],
      ['nodes request', 113],
      ['no nodes', 82],
      ['four nodes', 262],
    ],
  );
});

test('a frame is kind, key, nonce and a libsodium box', () => {
  const plain = encodePing(PING_REQUEST, ID);
  const data = writeDhtFrame(PING_REQUEST, alice.publicKey, nonce, key, plain);
  const expected = [[0], [...alice.publicKey], [...nonce], [...seal(key, nonce, plain)]].flat();
  assert.deepEqual([...data], expected);
});

test('what one side writes the other opens, and a wrong key or kind opens nothing', () => {
  const other = sharedKey(alice.publicKey, bob.secretKey)!;
  for (const [name, data] of frames()) {
    const frame = readDhtFrame(data)!;
    assert.deepEqual(new Uint8Array(frame.sender), new Uint8Array(alice.publicKey));
    assert.ok(openDhtFrame(frame, other), name);
    assert.equal(openDhtFrame(frame, new Uint8Array(32) as SharedKey), undefined);
  }
  assert.equal(decodePing(PING_RESPONSE, encodePing(PING_REQUEST, ID)), undefined);
});

test('plain texts read back as written', () => {
  assert.deepEqual(decodePing(PING_REQUEST, encodePing(PING_REQUEST, ID)), ID);
  const request = decodeNodesRequest(encodeNodesRequest({ target: bob.publicKey, id: ID }))!;
  assert.deepEqual([request.target.slice(), request.id], [bob.publicKey, ID]);
  const response = decodeNodesResponse(encodeNodesResponse({ nodes: [node4, node6], id: ID }))!;
  assert.deepEqual(
    response.nodes.map(({ publicKey, endpoint }) => ({ publicKey, endpoint })),
    [node4, node6],
  );
  assert.deepEqual(response.id, ID);
});

test('every truncation and every trailing byte of a packet is refused', () => {
  for (const [name, data] of frames()) {
    const accepted = (bytes: Uint8Array) => {
      const frame = readDhtFrame(bytes);
      return frame !== undefined && openDhtFrame(frame, key) !== undefined;
    };
    for (let size = 0; size < data.length; size++) assert.equal(accepted(data.subarray(0, size)), false, name);
    assert.equal(accepted(Uint8Array.from([...data, 0])), false, name);
  }
});

test('every truncation and every trailing byte of a plain text is refused', () => {
  const cases: [(plain: Uint8Array) => unknown, Uint8Array][] = [
    [(p) => decodePing(PING_REQUEST, p), encodePing(PING_REQUEST, ID)],
    [decodeNodesRequest, encodeNodesRequest({ target: bob.publicKey, id: ID })],
    [decodeNodesResponse, encodeNodesResponse({ nodes: [node4, node6], id: ID })],
  ];
  for (const [decode, plain] of cases) {
    for (let size = 0; size < plain.length; size++) assert.equal(decode(plain.subarray(0, size)), undefined);
    assert.equal(decode(Uint8Array.from([...plain, 0])), undefined);
  }
});

test('a nodes response with five nodes, a wrong count or a TCP node is refused', () => {
  const plain = encodeNodesResponse({ nodes: [node4, node4], id: ID });
  for (const count of [0, 1, 3, 4, 255]) {
    const bad = plain.slice();
    bad[0] = count;
    assert.equal(decodeNodesResponse(bad), undefined, String(count));
  }
  const five = encodeNodesResponse({ nodes: [node4, node4, node4, node4, node4], id: ID });
  assert.equal(decodeNodesResponse(five), undefined);
  const tcp = plain.slice();
  tcp[1] = 130;
  assert.equal(decodeNodesResponse(tcp), undefined);
});

test('a node with port 0 is left out of a response that is otherwise good', () => {
  const plain = encodeNodesResponse({ nodes: [node4, node6], id: ID });
  plain[6] = 0;
  plain[7] = 0;
  assert.deepEqual(
    decodeNodesResponse(plain)!.nodes.map((n) => n.endpoint),
    [node6.endpoint],
  );
});

test('random bytes never throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const frame = readDhtFrame(bytes);
      if (frame) assert.equal(openDhtFrame(frame, key), undefined);
      decodeNodesResponse(bytes);
      decodeNodesRequest(bytes);
      decodePing(0, bytes);
      decodeLanDiscovery(bytes);
      decodeBootstrapInfo(bytes);
    }),
    { numRuns: 500 },
  );
});

test('a LAN discovery packet is 0x21 and the key', () => {
  const data = encodeLanDiscovery(alice.publicKey);
  assert.deepEqual([...data], [0x21, ...alice.publicKey]);
  assert.deepEqual(decodeLanDiscovery(data), alice.publicKey.slice() as PublicKey);
  for (let size = 0; size < 33; size++) assert.equal(decodeLanDiscovery(data.subarray(0, size)), undefined);
  assert.equal(decodeLanDiscovery(Uint8Array.from([...data, 0])), undefined);
});

test('bootstrap info is version and message of the day, cut to 256 bytes', () => {
  const info = { version: 0x01020304, motd: new TextEncoder().encode('hello') };
  const data = encodeBootstrapInfo(info);
  assert.deepEqual([...data], [0xf0, 1, 2, 3, 4, ...info.motd]);
  assert.deepEqual(decodeBootstrapInfo(data), info);
  assert.equal(encodeBootstrapInfo({ version: 1, motd: new Uint8Array(300) }).length, 261);
});

test('a bootstrap info answer never looks like a request, whatever the length of the message', () => {
  for (let size = 0; size <= 256; size++) {
    assert.equal(isBootstrapInfoRequest(encodeBootstrapInfo({ version: 1, motd: new Uint8Array(size) })), false);
  }
  const request = new Uint8Array(78);
  request[0] = 0xf0;
  assert.equal(isBootstrapInfoRequest(request), true);
  assert.equal(isBootstrapInfoRequest(request.subarray(0, 77)), false);
});
