import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fromHex, type PublicKey, toHex } from '../../src/crypto/keys.ts';
import { endpoint, endpointFromBytes } from '../../src/wire/endpoint.ts';
import {
  type PackedNode,
  readOnionIpPort,
  readPackedNodes,
  writeOnionIpPort,
  writePackedNode,
} from '../../src/wire/packed-node.ts';
import { Reader } from '../../src/wire/reader.ts';
import { Writer } from '../../src/wire/writer.ts';

const KEY_HEX = 'A1B2C3D4'.repeat(8);
const KEY = fromHex(KEY_HEX, 32) as PublicKey;
const hex = (text: string) => fromHex(text, text.length / 2)!;
const node = (host: string, transport: 'udp' | 'tcp' = 'udp'): PackedNode => ({
  publicKey: KEY,
  endpoint: endpoint(host, 33445)!,
  transport,
});
const pack = (n: PackedNode) => {
  const w = new Writer();
  writePackedNode(w, n);
  return w.finish();
};

/** Written by hand from the byte table of the spec (Node Info). */
const VECTORS: [PackedNode, string][] = [
  [node('192.0.2.1'), `02C000020182A5${KEY_HEX}`],
  [node('2001:db8::1'), `0A20010DB800000000000000000000000182A5${KEY_HEX}`],
  [node('192.0.2.1', 'tcp'), `82C000020182A5${KEY_HEX}`],
  [node('2001:db8::1', 'tcp'), `8A20010DB800000000000000000000000182A5${KEY_HEX}`],
];

test('packed nodes have the bytes of the spec in all four families, both ways', () => {
  for (const [n, bytes] of VECTORS) {
    assert.equal(toHex(pack(n)), bytes);
    assert.deepEqual(readPackedNodes(new Reader(hex(bytes)), 1, true), [n]);
  }
});

test('an IPv4-mapped address is sent as IPv4 and read as IPv4', () => {
  assert.equal(pack(node('::ffff:192.0.2.1')).length, 39);
  const mapped = hex(`0A00000000000000000000FFFFC000020182A5${KEY_HEX}`);
  assert.equal(readPackedNodes(new Reader(mapped), 1, false)[0]!.endpoint, '192.0.2.1:33445');
});

test('every truncation of a list fails and gives no nodes', () => {
  const list = hex(VECTORS[0]![1] + VECTORS[1]![1]);
  for (let size = 0; size <= list.length; size++) {
    const r = new Reader(list.subarray(0, size));
    const nodes = readPackedNodes(r, 4, false);
    const whole = size === 0 || size === 39 || size === 90;
    assert.equal(r.failure, whole ? undefined : 'truncated', String(size));
    assert.equal(nodes.length, size === 90 ? 2 : size === 39 ? 1 : 0);
  }
});

test('one node too many, an unknown family, or TCP where only UDP may stand, fails', () => {
  const one = VECTORS[0]![1];
  const failure = (bytes: string, tcp: boolean) => {
    const r = new Reader(hex(bytes));
    assert.deepEqual(readPackedNodes(r, 4, tcp), []);
    return r.failure;
  };
  assert.equal(failure(one.repeat(5), false), 'trailing');
  assert.equal(failure(`03${one.slice(2)}`, true), 'bad-value');
  assert.equal(failure(VECTORS[2]![1], false), 'bad-value');
  assert.equal(failure(one + VECTORS[3]![1], false), 'bad-value');
});

test('a node with port 0 is left out and the others stay', () => {
  const r = new Reader(hex(`02C00002010000${KEY_HEX}${VECTORS[0]![1]}`));
  assert.equal(readPackedNodes(r, 4, false).length, 1);
  assert.equal(r.failure, undefined);
});

test('the keys of nodes are copies that outlive the datagram', () => {
  const bytes = hex(VECTORS[0]![1]);
  const [read] = readPackedNodes(new Reader(bytes), 1, false);
  bytes.fill(0);
  assert.equal(toHex(read!.publicKey), KEY_HEX);
});

test('any node reads back as written, and random bytes never throw', () => {
  const any = fc
    .tuple(
      fc.oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 })),
      fc.integer({ min: 1, max: 65_535 }),
      fc.constantFrom('udp' as const, 'tcp' as const),
    )
    .map(([ip, port, transport]) => ({ publicKey: KEY, endpoint: endpointFromBytes(ip, port)!, transport }));
  fc.assert(
    fc.property(fc.array(any, { maxLength: 4 }), (nodes) => {
      const w = new Writer();
      for (const n of nodes) writePackedNode(w, n);
      assert.deepEqual(readPackedNodes(new Reader(w.finish()), 4, true), nodes);
    }),
  );
  fc.assert(fc.property(fc.uint8Array({ maxLength: 220 }), (b) => readPackedNodes(new Reader(b), 4, true).length <= 4));
});

test('the onion form has 19 bytes, IPv4 padded with zeros, and only UDP families', () => {
  const write = (host: string) => {
    const w = new Writer();
    writeOnionIpPort(w, endpoint(host, 33445)!);
    return toHex(w.finish());
  };
  assert.equal(write('192.0.2.1'), `02C0000201${'00'.repeat(12)}82A5`);
  assert.equal(write('2001:db8::1'), '0A20010DB800000000000000000000000182A5');
  for (const host of ['192.0.2.1', '2001:db8::1']) {
    assert.equal(readOnionIpPort(new Reader(hex(write(host)))), endpoint(host, 33445));
  }
  for (const bad of [`82C0000201${'00'.repeat(12)}82A5`, `02C0000201${'00'.repeat(12)}0000`, '02C0000201']) {
    const r = new Reader(hex(bad));
    assert.equal(readOnionIpPort(r), undefined);
    assert.notEqual(r.failure, undefined);
  }
});
