import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seal } from '../../src/crypto/sodium.ts';
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
import {
  decodeNatPing,
  encodeNatPing,
  NAT_PING_REQUEST,
  NAT_PING_RESPONSE,
  openDhtRequest,
  REQUEST_DHT_KEY,
  REQUEST_NAT_PING,
  readDhtRequest,
  writeDhtRequest,
} from '../../src/packet/dht-request.ts';
import { decodeLanDiscovery, encodeLanDiscovery } from '../../src/packet/lan-discovery.ts';
import { readDhtKeyBody, readRoutedDhtKey, writeDhtKeyBody, writeRoutedDhtKey } from '../../src/packet/onion.ts';
import { isIp6 } from '../../src/wire/endpoint.ts';
import { bytes, type GoldenDatagram, GoldenNetwork, hex, opened, shared, utf8, vectors } from './vectors.ts';

// Datagrams that c-toxcore nodes sent to each other: each opens to exactly these fields, and the
// same fields, keys and nonce give the same bytes when we write them.

const golden = vectors('dht');
const network = new GoldenNetwork(golden.nodes);

/** Plain text of a DHT packet, after checking its frame in both directions. */
function frame(d: GoldenDatagram, kind: number): Uint8Array {
  const from = network.node(d.from);
  const read = readDhtFrame(bytes(d.data))!;
  assert.equal(read.kind, kind);
  assert.equal(hex(read.sender), from.dhtKey);
  const key = shared(from.dhtKey, network.node(d.to).dhtSecret);
  const plain = openDhtFrame(read, key)!;
  assert.equal(hex(writeDhtFrame(kind, read.sender, read.nonce, key, plain)), d.data);
  return plain;
}

test('ping request and response (00, 01) carry the same id', () => {
  const ask = frame(golden.ping.request, PING_REQUEST);
  const reply = frame(golden.ping.response, PING_RESPONSE);
  const id = decodePing(PING_REQUEST, ask)!;
  assert.deepEqual(decodePing(PING_RESPONSE, reply), id);
  assert.equal(decodePing(PING_RESPONSE, ask), undefined, 'a request is no response');
  assert.deepEqual(encodePing(PING_REQUEST, id), ask);
  assert.deepEqual(encodePing(PING_RESPONSE, id), reply);
});

test('nodes requests and responses (02, 04) of none to four nodes, IPv4 and IPv6', () => {
  const counts = new Set<number>();
  const families = new Set<boolean>();
  for (const { request, response } of golden.lookups) {
    const ask = frame(request, NODES_REQUEST);
    const asked = decodeNodesRequest(ask)!;
    assert.deepEqual(encodeNodesRequest(asked), ask);
    const reply = frame(response, NODES_RESPONSE);
    const answer = decodeNodesResponse(reply)!;
    assert.deepEqual(answer.id, asked.id);
    assert.deepEqual(encodeNodesResponse(answer), reply);
    counts.add(answer.nodes.length);
    for (const node of answer.nodes) {
      assert.ok(network.tells(node), `${node.endpoint} is where that node lives`);
      families.add(isIp6(node.endpoint));
    }
  }
  assert.deepEqual([...counts].sort(), [0, 1, 2, 3, 4]);
  assert.equal(families.size, 2);
});

/** Plain text of a DHT request for its receiver. */
function routed(d: GoldenDatagram): { from: string; to: string; id: number; data: Uint8Array } {
  const read = readDhtRequest(bytes(d.data))!;
  const from = network.named(read.sender)!;
  const to = network.named(read.receiver)!;
  const key = shared(network.node(from).dhtKey, network.node(to).dhtSecret);
  const plain = openDhtRequest(read, key)!;
  assert.equal(hex(writeDhtRequest(read.receiver, read.sender, read.nonce, key, plain.id, plain.data)), d.data);
  return { from, to, ...plain };
}

test('NAT ping request and response (20, fe) carry the same id', () => {
  const ask = routed(golden.natPing.request);
  const reply = routed(golden.natPing.response);
  assert.deepEqual([ask.from, ask.to], [reply.to, reply.from]);
  const [request, response] = [ask, reply].map(({ id, data }) => {
    assert.equal(id, REQUEST_NAT_PING);
    const ping = decodeNatPing(data)!;
    assert.deepEqual(encodeNatPing(ping), data);
    return ping;
  });
  assert.equal(request!.type, NAT_PING_REQUEST);
  assert.equal(response!.type, NAT_PING_RESPONSE);
  assert.deepEqual(response!.id, request!.id);
});

test('a DHT-key packet routed by DHT nodes (20, 9c) opens with the real keys', () => {
  const packet = routed(golden.dhtKey);
  assert.equal(packet.id, REQUEST_DHT_KEY);
  const signed = readRoutedDhtKey(packet.data)!;
  const sender = network.node(packet.from);
  assert.equal(hex(signed.sender), sender.realKey);
  assert.deepEqual(writeRoutedDhtKey(signed), packet.data);
  const key = shared(sender.realKey, network.node(packet.to).realSecret);
  const plain = opened(key, signed.nonce, signed.box);
  assert.deepEqual(seal(key, signed.nonce, plain), signed.box);
  const body = readDhtKeyBody(plain)!;
  assert.equal(hex(body.dhtKey), sender.dhtKey);
  assert.ok(body.noReplay > 1_700_000_000n && body.noReplay < 1_700_000_200n);
  assert.equal(body.nodes.length, 4);
  for (const node of body.nodes) assert.ok(network.tells(node) && node.transport === 'udp');
  assert.deepEqual(writeDhtKeyBody(body), plain);
});

test('LAN discovery (21) is the DHT key in the clear', () => {
  const { from, data } = golden.lanDiscovery;
  const key = decodeLanDiscovery(bytes(data))!;
  assert.equal(hex(key), network.node(from).dhtKey);
  assert.equal(hex(encodeLanDiscovery(key)), data);
});

test('bootstrap info (f0) of tox-bootstrapd', () => {
  const { request, response, motd } = golden.bootstrapInfo;
  assert.ok(isBootstrapInfoRequest(bytes(request)));
  const info = decodeBootstrapInfo(bytes(response))!;
  assert.equal(info.version, 1_000_002_018);
  assert.equal(utf8(info.motd), `${motd}\0`, 'the daemon counts the end of its C string');
  assert.equal(hex(encodeBootstrapInfo(info)), response);
});
