import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Mono } from '../../src/core/env.ts';
import { generateKeyPair, type KeyPair, type PublicKey, randomNonce, type SharedKey } from '../../src/crypto/keys.ts';
import { SharedKeys } from '../../src/crypto/shared-keys.ts';
import { open, seal, sharedKey } from '../../src/crypto/sodium.ts';
import { wrapLayer } from '../../src/onion/layer.ts';
import { OnionRelay } from '../../src/onion/onion-relay.ts';
import { OnionPath } from '../../src/onion/path.ts';
import * as packet from '../../src/packet/onion.ts';
import { testEnv } from '../../src/testing/index.ts';
import { type Endpoint, endpoint } from '../../src/wire/endpoint.ts';
import type { NodeInfo } from '../../src/wire/packed-node.ts';

const env = testEnv(7);
const CLIENT = endpoint('203.0.113.1', 1)!;
const HOUR = 3_600_000;

interface Sent {
  to: Endpoint;
  data: Uint8Array;
}

function makeRelay(at: Endpoint, closest: NodeInfo[] = []) {
  const keys = generateKeyPair(env);
  const out: Sent[] = [];
  const relay = new OnionRelay(
    env,
    keys,
    new SharedKeys(keys.secretKey, 64),
    (to, data) => void out.push({ to, data }),
    () => closest,
  );
  const node: NodeInfo = { publicKey: keys.publicKey, endpoint: at };
  /** What the relay sends on hearing `data`. */
  const hear = (now: Mono, from: Endpoint, data: Uint8Array): Sent[] => {
    relay.handle(now, from, data);
    return out.splice(0);
  };
  return { keys, node, hear };
}

const a = makeRelay(endpoint('198.51.100.1', 1)!);
const b = makeRelay(endpoint('198.51.101.1', 2)!);
const c = makeRelay(endpoint('2001:db8::3', 3)!);
const own = generateKeyPair(env);

function path(): OnionPath {
  const key1 = sharedKey(a.keys.publicKey, own.secretKey)!;
  return OnionPath.create(0, env, { nodes: [a.node, b.node, c.node], relayed: false }, own.publicKey, key1)!;
}

/** Carries `payload` through a, b and c; what c sends. */
function carry(now: Mono, to: Endpoint, payload: Uint8Array): Sent {
  const [one] = a.hear(now, CLIENT, path().wrap(to, payload));
  const [two] = b.hear(now, a.node.endpoint, one!.data);
  const [three] = c.hear(now, b.node.endpoint, two!.data);
  assert.deepEqual([one!.to, two!.to], [b.node.endpoint, c.node.endpoint]);
  return three!;
}

function announce(
  d: NodeInfo,
  keys: KeyPair,
  searched: PublicKey,
  dataKey: PublicKey,
  pingId: Uint8Array = new Uint8Array(32),
) {
  const nonce = randomNonce(env);
  const key = sharedKey(d.publicKey, keys.secretKey)!;
  const plain = packet.writeAnnounceRequestPlain({ pingId, searched, dataKey, sendback: env.random(8) });
  const request = packet.writeAnnounceRequest({ nonce, publicKey: keys.publicKey, box: seal(key, nonce, plain) });
  return { key, request };
}

function answer(key: SharedKey, sent: Sent[]): packet.AnnounceResponsePlain {
  assert.equal(sent.length, 1);
  const { payload } = packet.readOnionResponse(sent[0]!.data)!;
  const response = packet.readAnnounceResponse(payload)!;
  return packet.readAnnounceResponsePlain(open(key, response.nonce, response.box)!, payload[0] === 0x88)!;
}

const BLOCK = new Uint8Array(packet.RETURN_3_SIZE).fill(9);
const withBlock = (request: Uint8Array, block: Uint8Array = BLOCK) => Uint8Array.of(...request, ...block);
const HOP = endpoint('192.0.2.1', 5)!;

/** Announces `keys` at `d` properly; the last answer. */
function announceTwice(now: Mono, d: ReturnType<typeof makeRelay>, keys: KeyPair, dataKey: PublicKey, hop = HOP) {
  const first = announce(d.node, keys, keys.publicKey, dataKey);
  const { value } = answer(first.key, d.hear(now, hop, withBlock(first.request)));
  const second = announce(d.node, keys, keys.publicKey, dataKey, value);
  return answer(second.key, d.hear(now, hop, withBlock(second.request)));
}

test('a request keeps the sizes of the protocol at each hop, and the answer finds its way back', () => {
  const to = endpoint('192.0.2.9', 9)!;
  for (const n of [1, 177, 272, 1174]) {
    const payload = new Uint8Array(n).fill(0x83);
    const first = path().wrap(to, payload);
    assert.equal(first.length, 226 + n);
    const [one] = a.hear(0, CLIENT, first);
    assert.equal(one!.data.length, 218 + n);
    const [two] = b.hear(0, a.node.endpoint, one!.data);
    assert.equal(two!.data.length, 210 + n);
    const [three] = c.hear(0, b.node.endpoint, two!.data);
    assert.equal(three!.data.length, 177 + n);
    assert.equal(three!.to, to);
    assert.deepEqual(three!.data.subarray(0, n), payload);
    const returnBlock = three!.data.subarray(n);
    const back = packet.writeOnionResponse(0x8c, { returnBlock, payload: Uint8Array.of(0x84, 5) });
    const [four] = c.hear(0, to, back);
    const [five] = b.hear(0, c.node.endpoint, four!.data);
    const [six] = a.hear(0, b.node.endpoint, five!.data);
    assert.deepEqual(
      [back, four!.data, five!.data, six!.data].map((d) => d.length - 2),
      [178, 119, 60, 0],
    );
    assert.deepEqual(six, { to: CLIENT, data: Uint8Array.of(0x84, 5) });
  }
});

test('a payload of another kind than announce or data never leaves the onion', () => {
  const to = endpoint('192.0.2.9', 9)!;
  for (const kind of [0x00, 0x02, 0x18, 0x20, 0x80, 0x84, 0x86, 0x8c]) {
    const [one] = a.hear(0, CLIENT, path().wrap(to, new Uint8Array(100).fill(kind)));
    const [two] = b.hear(0, a.node.endpoint, one!.data);
    assert.deepEqual(c.hear(0, b.node.endpoint, two!.data), []);
  }
});

test('nobody outside the LAN can use a hop to reach it, nor make it send to nobody', () => {
  const lan = endpoint('192.168.1.1', 1)!;
  const key = sharedKey(a.keys.publicKey, own.secretKey)!;
  const request = (to: Endpoint) => {
    const nonce = randomNonce(env);
    const box = wrapLayer(key, nonce, to, own.publicKey, new Uint8Array(60));
    return packet.writeOnionRequest(0x80, { nonce, publicKey: own.publicKey, box, returnBlock: new Uint8Array(0) });
  };
  assert.deepEqual(a.hear(0, CLIENT, request(lan)), []);
  assert.equal(a.hear(0, endpoint('192.168.1.2', 1)!, request(lan)).length, 1);
  const unique = request(endpoint('fd00::1', 1)!);
  assert.deepEqual(a.hear(0, endpoint('2001:db8::2', 1)!, unique), []);
  assert.equal(a.hear(0, endpoint('fd00::2', 1)!, unique).length, 1);
  assert.deepEqual(a.hear(0, CLIENT, request(endpoint('224.0.0.1', 1)!)), []);
  assert.deepEqual(a.hear(0, CLIENT, request(endpoint('0.0.0.0', 1)!)), []);
});

test('return blocks are opened by their maker only, for two hours and the life of an announce', () => {
  const fresh = makeRelay(a.node.endpoint);
  const make = (now: Mono) => {
    const key1 = sharedKey(fresh.keys.publicKey, own.secretKey)!;
    const way = OnionPath.create(0, env, { nodes: [fresh.node, b.node, c.node], relayed: false }, own.publicKey, key1)!;
    return fresh.hear(now, CLIENT, way.wrap(HOP, Uint8Array.of(0x83)))[0]!.data.slice(-59);
  };
  const back = (now: Mono, returnBlock: Uint8Array) =>
    fresh.hear(now, HOP, packet.writeOnionResponse(0x8e, { returnBlock, payload: Uint8Array.of(0x84) })).length;
  const block = make(0);
  const forged = block.slice();
  forged[30]! ^= 1;
  assert.equal(back(0, forged), 0);
  assert.equal(back(2 * HOUR - 1, block), 1);
  assert.equal(back(2 * HOUR, block), 1); // the key changed just now
  assert.equal(back(2 * HOUR + 300_000, block), 1);
  assert.equal(back(2 * HOUR + 300_001, block), 0);
  assert.equal(back(2 * HOUR + 300_001, make(2 * HOUR + 300_001)), 1);
});

test('an announce is stored only with a ping id that was given to this key at this address', () => {
  const d = makeRelay(endpoint('198.51.104.1', 4)!);
  const me = generateKeyPair(env);
  const data = generateKeyPair(env).publicKey;
  const ask = (from: Endpoint, keys: KeyPair, searched: PublicKey, pingId: Uint8Array, now = 0) => {
    const { key, request } = announce(d.node, keys, searched, data, pingId);
    return answer(key, d.hear(now, from, withBlock(request)));
  };
  const first = ask(HOP, me, me.publicKey, new Uint8Array(32));
  assert.equal(first.status, packet.NOT_STORED);
  assert.equal(ask(endpoint('192.0.2.1', 6)!, me, me.publicKey, first.value).status, packet.NOT_STORED);
  assert.equal(ask(endpoint('192.0.2.2', 5)!, me, me.publicKey, first.value).status, packet.NOT_STORED);
  const thief = generateKeyPair(env);
  assert.equal(ask(HOP, thief, thief.publicKey, first.value).status, packet.NOT_STORED);
  assert.equal(ask(HOP, thief, me.publicKey, first.value).status, packet.NOT_STORED);
  assert.equal(ask(HOP, me, me.publicKey, first.value, 700_000).status, packet.NOT_STORED, 'too old');
  assert.equal(ask(HOP, me, me.publicKey, first.value, 400_000).status, packet.ANNOUNCED, 'one slot later');
  const seen = ask(endpoint('192.0.2.7', 5)!, thief, me.publicKey, new Uint8Array(32), 400_000);
  assert.equal(seen.status, packet.STORED);
  assert.deepEqual(seen.value, new Uint8Array(data));
});

test('data reaches those who are announced, until their announce is 300 s old', () => {
  const d = makeRelay(endpoint('198.51.104.1', 4)!);
  const me = generateKeyPair(env);
  announceTwice(0, d, me, me.publicKey);
  const data = { nonce: randomNonce(env), publicKey: own.publicKey, box: new Uint8Array(60).fill(3) };
  const request = withBlock(packet.writeDataRequest(me.publicKey, data), new Uint8Array(177));
  const [sent] = d.hear(299_999, CLIENT, request);
  assert.equal(sent!.to, HOP);
  assert.equal(sent!.data.length, 178 + 1 + 24 + 32 + 60);
  const inside = packet.readOnionResponse(sent!.data)!;
  assert.deepEqual(inside.returnBlock, BLOCK);
  assert.deepEqual(packet.readDataResponse(inside.payload), data);
  assert.deepEqual(d.hear(300_000, CLIENT, request), []);
  assert.deepEqual(d.hear(0, CLIENT, withBlock(packet.writeDataRequest(own.publicKey, data))), []);
});

test('of more than 160 announces the nearest to the own key are kept, and old ones make room', () => {
  const d = makeRelay(endpoint('198.51.104.1', 4)!);
  const keys = Array.from({ length: 170 }, () => generateKeyPair(env));
  for (const pair of keys) announceTwice(0, d, pair, pair.publicKey);
  const distance = (pair: KeyPair) =>
    Buffer.from(pair.publicKey.map((byte, i) => byte ^ d.keys.publicKey[i]!)).toString('hex');
  const sorted = [...keys].sort((x, y) => (distance(x) < distance(y) ? -1 : 1));
  const stored = (pair: KeyPair, now: Mono) => {
    const { key, request } = announce(d.node, own, pair.publicKey, own.publicKey);
    return answer(key, d.hear(now, CLIENT, withBlock(request))).status === packet.STORED;
  };
  assert.deepEqual(
    sorted.map((pair) => stored(pair, 1)),
    sorted.map((_, i) => i < 160),
  );
  const far = sorted[169]!;
  assert.equal(announceTwice(1, d, far, far.publicKey).status, packet.NOT_STORED);
  assert.equal(announceTwice(300_000, d, far, far.publicKey).status, packet.ANNOUNCED);
});

test('the newer form of the request is answered in kind, with a node count', () => {
  const d = makeRelay(endpoint('198.51.104.1', 4)!, [a.node, c.node]);
  const { key, request } = announce(d.node, own, own.publicKey, own.publicKey);
  request[0] = 0x87;
  const told = answer(key, d.hear(0, HOP, withBlock(request)));
  assert.deepEqual(
    told.nodes.map((n) => n.endpoint),
    [a.node.endpoint, c.node.endpoint],
  );
  assert.deepEqual(d.hear(0, HOP, withBlock(Uint8Array.of(...request, 1, 2, 3))), []);
});

test('an announce travels through three hops and back', () => {
  const d = makeRelay(endpoint('198.51.104.1', 4)!);
  const { key, request } = announce(d.node, own, own.publicKey, own.publicKey);
  const arrived = carry(0, d.node.endpoint, request);
  const [reply] = d.hear(0, c.node.endpoint, arrived.data);
  const [four] = c.hear(0, d.node.endpoint, reply!.data);
  const [five] = b.hear(0, c.node.endpoint, four!.data);
  const [six] = a.hear(0, b.node.endpoint, five!.data);
  assert.equal(six!.to, CLIENT);
  const response = packet.readAnnounceResponse(six!.data)!;
  assert.equal(packet.readAnnounceResponsePlain(open(key, response.nonce, response.box)!, false)!.status, 0);
});

test('one address cannot make a node derive keys without end', () => {
  const d = makeRelay(endpoint('198.51.104.1', 4)!);
  let answered = 0;
  const secret = sharedKey(d.keys.publicKey, own.secretKey)!;
  const nonce = randomNonce(env);
  const other = announce(d.node, own, own.publicKey, own.publicKey);
  for (let i = 0; i < 5000; i++) {
    const publicKey = env.random(32) as PublicKey;
    d.hear(
      0,
      HOP,
      withBlock(packet.writeAnnounceRequest({ nonce, publicKey, box: seal(secret, nonce, BLOCK.subarray(0, 104)) })),
    );
  }
  answered += d.hear(0, HOP, withBlock(other.request)).length;
  assert.equal(answered, 0, 'the budget of this address is spent');
  assert.equal(d.hear(0, CLIENT, withBlock(other.request)).length, 1, 'others are served');
});

test('no bytes make a node throw or answer', () => {
  const kinds = [0x80, 0x81, 0x82, 0x83, 0x85, 0x87, 0x8c, 0x8d, 0x8e];
  fc.assert(
    fc.property(fc.constantFrom(...kinds), fc.uint8Array({ maxLength: 600 }), (kind, rest) => {
      assert.deepEqual(a.hear(0, CLIENT, Uint8Array.of(kind, ...rest)), []);
    }),
  );
  const good = path().wrap(HOP, new Uint8Array(177).fill(0x83));
  for (let n = 0; n < good.length; n++) assert.deepEqual(a.hear(0, CLIENT, good.subarray(0, n)), []);
});
