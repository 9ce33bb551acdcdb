import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { generateKeyPair, type KeyPair, type Nonce, type PublicKey, sameBytes } from '../../src/crypto/keys.ts';
import { sharedKey } from '../../src/crypto/sodium.ts';
import type { DhtOptions } from '../../src/dht/dht-node.ts';
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
  openDhtRequest,
  readDhtRequest,
  writeDhtRequest,
} from '../../src/packet/dht-request.ts';
import { encodeLanDiscovery } from '../../src/packet/lan-discovery.ts';
import { testEnv } from '../../src/testing/index.ts';
import type { Endpoint } from '../../src/wire/endpoint.ts';
import type { NodeInfo } from '../../src/wire/packed-node.ts';
import { ip, TestNode } from './network.ts';

const ID = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]);
const HOME = ip('198.51.100.1');
const AWAY = ip('203.0.113.7');

/** A peer played by hand: writes and reads packets with its own keys. */
class Stranger {
  readonly keys: KeyPair;
  readonly node: TestNode;
  readonly at: Endpoint;
  #nonces = 0;

  constructor(node: TestNode, seed: number, at: Endpoint = AWAY) {
    this.keys = generateKeyPair(testEnv(seed));
    this.node = node;
    this.at = at;
  }

  get info(): NodeInfo {
    return { publicKey: this.keys.publicKey, endpoint: this.at };
  }

  send(now: number, kind: number, plain: Uint8Array, from = this.at): void {
    this.node.receive(now, from, this.frame(kind, plain));
  }

  frame(kind: number, plain: Uint8Array): Uint8Array {
    const nonce = new Uint8Array(24).fill(this.#nonces++) as Nonce;
    const key = sharedKey(this.node.keys.publicKey, this.keys.secretKey)!;
    return writeDhtFrame(kind, this.keys.publicKey, nonce, key, plain);
  }

  /** Plain texts of the packets of this kind that the node sent here; takes all from its outbox. */
  inbox(kind: number): Uint8Array[] {
    const key = sharedKey(this.node.keys.publicKey, this.keys.secretKey)!;
    const got: Uint8Array[] = [];
    for (const { to, data } of this.node.sent.splice(0)) {
      const frame = to === this.at && data[0] === kind ? readDhtFrame(data) : undefined;
      const plain = frame && openDhtFrame(frame, key);
      if (plain) got.push(plain);
    }
    return got;
  }

  /** Makes the node ask, and answers. */
  join(now: number, nodes: NodeInfo[] = []): void {
    this.node.dht.probe(now, this.info, this.node.keys.publicKey);
    for (const plain of this.inbox(NODES_REQUEST)) this.answer(now, plain, nodes);
  }

  answer(now: number, request: Uint8Array, nodes: NodeInfo[] = [], from = this.at): void {
    const { id } = decodeNodesRequest(request)!;
    this.send(now, NODES_RESPONSE, encodeNodesResponse({ nodes, id }), from);
  }
}

const setUp = (home: Endpoint = HOME, options?: DhtOptions) => {
  const node = new TestNode(1, home, options);
  return { node, dht: node.dht, stranger: new Stranger(node, 2) };
};

test('a ping is answered at once with its id, and the asker is pinged in turn', () => {
  const { node, stranger } = setUp();
  stranger.send(0, PING_REQUEST, encodePing(PING_REQUEST, ID));
  assert.deepEqual(
    node.sent.map((d) => [d.to, d.data[0], d.data.length]),
    [
      [AWAY, PING_RESPONSE, 82],
      [AWAY, PING_REQUEST, 82],
    ],
  );
  const [pong] = stranger.inbox(PING_RESPONSE);
  assert.deepEqual(decodePing(PING_RESPONSE, pong!), ID);
});

test('a nodes request is answered even when nobody is known, and the asker joins by answering the ping', () => {
  const { node, dht, stranger } = setUp();
  stranger.send(0, NODES_REQUEST, encodeNodesRequest({ target: stranger.keys.publicKey, id: ID }));
  assert.equal(node.sent[0]!.data.length, 82);
  assert.equal(dht.connected(0), false, 'asking alone is no entry');
  const [ping] = stranger.inbox(PING_REQUEST);
  stranger.send(10, PING_RESPONSE, encodePing(PING_RESPONSE, decodePing(PING_REQUEST, ping!)!));
  assert.equal(dht.liveNodes(10), 1);
  assert.ok(sameBytes(node.nodes[0]!.publicKey, stranger.keys.publicKey));
  stranger.send(20, NODES_REQUEST, encodeNodesRequest({ target: stranger.keys.publicKey, id: ID }));
  const [reply] = stranger.inbox(NODES_RESPONSE);
  const told = decodeNodesResponse(reply!)!.nodes;
  assert.equal(told[0]!.endpoint, AWAY, 'an asker hears where it was seen');
});

test('an answer with another id, from elsewhere, too late or for the second time changes nothing', () => {
  const { dht, stranger } = setUp();
  dht.bootstrap(0, stranger.info);
  const [request] = stranger.inbox(NODES_REQUEST);
  stranger.send(1, NODES_RESPONSE, encodeNodesResponse({ nodes: [], id: ID }));
  stranger.answer(1, request!, [], ip('203.0.113.8'));
  const other = new Stranger(stranger.node, 3);
  other.answer(1, request!);
  stranger.answer(5_001, request!);
  assert.equal(dht.connected(5_001), false);
  dht.bootstrap(6_000, stranger.info);
  const [again] = stranger.inbox(NODES_REQUEST);
  stranger.answer(6_001, again!);
  assert.equal(stranger.node.nodes.length, 1);
  stranger.answer(6_002, again!);
  assert.equal(stranger.node.nodes.length, 1);
});

test('a ping response does not answer a nodes request with the same id', () => {
  const { dht, stranger } = setUp();
  dht.bootstrap(0, stranger.info);
  const { id } = decodeNodesRequest(stranger.inbox(NODES_REQUEST)[0]!)!;
  stranger.send(1, PING_RESPONSE, encodePing(PING_RESPONSE, id));
  assert.equal(dht.connected(1), false);
});

test('packets that carry our own key are dropped', () => {
  const { node } = setUp();
  const key = sharedKey(node.keys.publicKey, node.keys.secretKey)!;
  const frame = writeDhtFrame(
    PING_REQUEST,
    node.keys.publicKey,
    new Uint8Array(24) as Nonce,
    key,
    encodePing(PING_REQUEST, ID),
  );
  assert.equal(node.dht.handle(0, AWAY, frame), true);
  assert.equal(node.sent.length, 0);
});

test('a mentioned node is asked, but not ourselves, no LAN address told from outside, and no multicast', () => {
  const { node, stranger } = setUp();
  const mention = (seed: number, host: string) => ({
    publicKey: generateKeyPair(testEnv(seed)).publicKey,
    endpoint: ip(host),
  });
  stranger.join(0, [
    mention(10, '203.0.113.99'),
    mention(11, '192.168.1.1'),
    mention(12, '224.0.0.1'),
    { publicKey: node.keys.publicKey, endpoint: ip('198.51.100.200') },
  ]);
  const asked = node.sent.map((d) => d.to).filter((to) => to !== AWAY);
  assert.deepEqual(asked, [ip('203.0.113.99')]);
  assert.equal(node.dht.ownAddress().endpoint, ip('198.51.100.200'));
});

test('our own address is what most nodes say, and a public one beats a LAN one', () => {
  const { node } = setUp();
  const said = ['198.51.100.7', '198.51.100.8', '198.51.100.8', '192.168.1.5', '192.168.1.5', '192.168.1.5'];
  said.forEach((host, i) => {
    const s = new Stranger(node, 20 + i, ip(`192.168.1.${100 + i}`));
    s.join(0, [{ publicKey: node.keys.publicKey, endpoint: ip(host) }]);
  });
  assert.equal(node.dht.ownAddress().endpoint, ip('198.51.100.8'));
});

test('after a move, what nodes said long ago about our address does not count', () => {
  const { node } = setUp();
  for (let i = 0; i < 6; i++) {
    const s = new Stranger(node, 20 + i, ip(`203.0.113.${100 + i}`));
    s.join(i < 4 ? 0 : 130_000, [{ publicKey: node.keys.publicKey, endpoint: ip(`198.51.100.${i < 4 ? 7 : 8}`) }]);
  }
  assert.equal(node.dht.ownAddress().endpoint, ip('198.51.100.8'));
});

test('a searched node that sends us anything is asked at once and found', () => {
  const { node, dht, stranger } = setUp();
  dht.search(0, stranger.keys.publicKey);
  stranger.send(5, PING_REQUEST, encodePing(PING_REQUEST, ID));
  const [request] = stranger.inbox(NODES_REQUEST);
  assert.ok(sameBytes(decodeNodesRequest(request!)!.target, stranger.keys.publicKey));
  stranger.answer(6, request!);
  assert.equal(node.found[0]!.endpoint, AWAY);
  assert.equal(dht.endpointOf(6, stranger.keys.publicKey), AWAY);
  assert.equal(dht.endpointOf(122_006, stranger.keys.publicKey), undefined, 'silent for 122 s');
  dht.stopSearch(7, stranger.keys.publicKey);
  stranger.join(7);
  assert.equal(node.found.length, 1, 'no longer searched');
});

test('with IPv4 and IPv6 the address to use is a LAN IPv4, else IPv6, else IPv4', () => {
  for (const [host4, expected] of [
    ['192.168.1.7', '192.168.1.7'],
    ['203.0.113.7', '2001:db8::7'],
  ] as const) {
    const { node, dht } = setUp();
    const over4 = new Stranger(node, 2, ip(host4));
    const over6 = new Stranger(node, 2, ip('2001:db8::7'));
    dht.search(0, over4.keys.publicKey);
    over4.join(0);
    assert.equal(dht.endpointOf(0, over4.keys.publicKey), ip(host4));
    over6.join(0);
    assert.equal(dht.liveNodes(0), 1);
    assert.equal(dht.endpointOf(0, over4.keys.publicKey), ip(expected));
  }
});

test('a DHT request for another goes unchanged to a member of the close list, and nowhere else', () => {
  const { node, stranger } = setUp();
  const sender = generateKeyPair(testEnv(5));
  const to = (receiver: PublicKey) => {
    const key = sharedKey(receiver, sender.secretKey)!;
    return writeDhtRequest(receiver, sender.publicKey, new Uint8Array(24) as Nonce, key, 0x9c, ID);
  };
  const packet = to(stranger.keys.publicKey);
  node.receive(0, ip('203.0.113.50'), packet);
  assert.equal(node.sent.length, 0, 'not listed yet');
  stranger.join(0);
  node.sent.length = 0;
  node.receive(1, ip('203.0.113.50'), packet);
  assert.deepEqual(node.sent, [{ to: AWAY, data: packet }]);
  node.sent.length = 0;
  for (let i = 0; i < 500; i++) node.receive(2, ip('203.0.113.50'), packet);
  assert.ok(node.sent.length <= 64, 'one source cannot make us forward without limit');
  node.sent.length = 0;
  node.receive(200_000, ip('203.0.113.51'), packet);
  assert.equal(node.sent.length, 0, 'silent for too long');
});

test('a DHT key packet for us is handed up; a tampered one is not', () => {
  const { node, stranger } = setUp();
  const key = sharedKey(node.keys.publicKey, stranger.keys.secretKey)!;
  const packet = writeDhtRequest(
    node.keys.publicKey,
    stranger.keys.publicKey,
    new Uint8Array(24) as Nonce,
    key,
    0x9c,
    ID,
  );
  node.receive(0, AWAY, packet);
  assert.deepEqual(node.keyPackets[0]!.data, ID);
  assert.ok(sameBytes(node.keyPackets[0]!.sender, stranger.keys.publicKey));
  packet[110]! ^= 1;
  node.receive(0, AWAY, packet);
  assert.equal(node.keyPackets.length, 1);
});

test('a NAT ping is answered to a searched node only, with its id', () => {
  const { node, dht, stranger } = setUp();
  const key = sharedKey(node.keys.publicKey, stranger.keys.secretKey)!;
  const packet = writeDhtRequest(
    node.keys.publicKey,
    stranger.keys.publicKey,
    new Uint8Array(24) as Nonce,
    key,
    0xfe,
    encodeNatPing({ type: 0, id: ID }),
  );
  node.receive(0, AWAY, packet);
  assert.equal(node.sent.length, 0);
  dht.search(0, stranger.keys.publicKey);
  stranger.join(0);
  node.sent.length = 0;
  node.receive(1, AWAY, packet);
  const reply = readDhtRequest(node.sent[0]!.data)!;
  const body = openDhtRequest(reply, sharedKey(node.keys.publicKey, stranger.keys.secretKey)!)!;
  assert.deepEqual(decodeNatPing(body.data), { type: 1, id: ID });
});

test('a LAN discovery packet makes us ask its source on the LAN, and takes nobody into the lists by itself', () => {
  const { node, dht } = setUp(ip('192.168.1.2'), { lanDiscovery: true });
  const neighbour = new Stranger(node, 2, ip('192.168.1.3'));
  const packet = encodeLanDiscovery(neighbour.keys.publicKey);
  node.receive(0, AWAY, packet);
  node.receive(0, neighbour.at, encodeLanDiscovery(node.keys.publicKey));
  assert.equal(node.sent.length, 0);
  node.receive(0, neighbour.at, packet);
  const [request] = neighbour.inbox(NODES_REQUEST);
  assert.equal(dht.connected(0), false);
  neighbour.answer(1, request!);
  assert.equal(dht.connected(1), true);
});

test('with LAN discovery off nothing is announced, and whoever announces himself is not heard', () => {
  const { node, dht } = setUp(ip('192.168.1.2'));
  dht.networkChanged(0);
  dht.wake(60_000);
  node.receive(0, ip('192.168.1.3'), encodeLanDiscovery(new Stranger(node, 2).keys.publicKey));
  assert.equal(node.sent.length, 0);
});

test('a LAN neighbour does not end the search for the configured bootstrap nodes', () => {
  const { node, dht, stranger } = setUp(ip('192.168.1.2'));
  dht.bootstrap(0, stranger.info);
  new Stranger(node, 3, ip('192.168.1.3')).join(1);
  node.sent.length = 0;
  dht.wake(600);
  assert.equal(stranger.inbox(NODES_REQUEST).length, 1);
});

test('bootstrap info is told only when there is some', () => {
  const request = new Uint8Array(78);
  request[0] = 0xf0;
  const plain = setUp().node;
  assert.equal(plain.dht.handle(0, AWAY, request), true);
  assert.equal(plain.sent.length, 0);
  const info = { version: 5, motd: new TextEncoder().encode('hi') };
  const node = new TestNode(1, HOME, { bootstrapInfo: info });
  node.receive(0, AWAY, request);
  assert.deepEqual([...node.sent[0]!.data], [0xf0, 0, 0, 0, 5, 0x68, 0x69]);
});

test('a flood of new keys from one source is cut off, and others are still answered', () => {
  const { node, stranger } = setUp();
  const flood = Array.from({ length: 200 }, (_, i) => new Stranger(node, 100 + i, ip('203.0.113.66', 1_000 + i)));
  for (const s of flood) s.send(0, PING_REQUEST, encodePing(PING_REQUEST, ID));
  assert.equal(node.sent.filter((d) => d.data[0] === PING_RESPONSE).length, 64);
  node.sent.length = 0;
  stranger.send(0, PING_REQUEST, encodePing(PING_REQUEST, ID));
  assert.equal(stranger.inbox(PING_RESPONSE).length, 1);
  flood[0]!.send(1, PING_REQUEST, encodePing(PING_REQUEST, ID));
  assert.equal(flood[0]!.inbox(PING_RESPONSE).length, 1, 'a known key costs no derivation');
});

test('answers that mention ever new nodes cause a bounded number of requests', () => {
  const { node, dht, stranger } = setUp();
  dht.search(0, generateKeyPair(testEnv(77)).publicKey);
  let requests = 0;
  let seed = 1_000;
  for (let round = 0; round < 150; round++) {
    const fake = () => ({
      publicKey: testEnv(seed++).random(32) as PublicKey,
      endpoint: ip(`203.0.${(seed >> 8) & 255}.${seed & 255}`, 1_000 + seed),
    });
    stranger.join(6_000 + round, [fake(), fake(), fake(), fake()]);
    requests += node.sent.splice(0).length;
    dht.probe(6_000 + round, stranger.info, node.keys.publicKey);
  }
  assert.ok(requests <= 300, `${requests} requests`);
});

/** Two nodes joined; then one is silent for so long that it is given up, while the other lives. */
function loseOne() {
  const { node, stranger: gone } = setUp();
  const stays = new Stranger(node, 3, ip('203.0.113.8'));
  gone.join(0);
  for (let now = 0; now <= 240_000; now += 60_000) {
    stays.join(now);
    node.wake(now);
  }
  assert.equal(node.dht.liveNodes(240_000), 1);
  node.sent.length = 0;
  return { node, gone, stays };
}

test('a node that was given up is asked now and then, and no node that never answered', () => {
  const { node, gone } = loseOne();
  const never = new Stranger(node, 4, ip('203.0.113.9'));
  never.send(240_000, PING_REQUEST, encodePing(PING_REQUEST, ID));
  node.sent.length = 0;
  let asked: Uint8Array | undefined;
  let now = 240_000;
  for (; now < 300_000 && !asked; now += 1_000) {
    node.wake(now);
    assert.ok(node.sent.every(({ to }) => to !== never.at));
    asked = gone.inbox(NODES_REQUEST)[0];
  }
  gone.answer(now, asked!);
  assert.equal(node.dht.liveNodes(now), 2);
  assert.equal(node.reunions, 1, 'all that was lost is back');
});

test('a node that was given up and sends us anything is asked in the same moment', () => {
  const { node, gone } = loseOne();
  gone.send(250_000, PING_REQUEST, encodePing(PING_REQUEST, ID));
  const [request] = gone.inbox(NODES_REQUEST);
  gone.answer(250_000, request!);
  assert.equal(node.reunions, 1);
});

test('while a node is lost, a new neighbour counts for it, and one that we know does not', () => {
  const { node, stays } = loseOne();
  stays.join(250_000);
  assert.equal(node.reunions, 0);
  new Stranger(node, 4, ip('203.0.113.9')).join(250_000);
  assert.equal(node.reunions, 1);
});

test('the number of searches is bounded, our own key is not searched, and a search ends', () => {
  const { node, dht } = setUp();
  dht.search(0, node.keys.publicKey);
  const keys = Array.from({ length: 600 }, (_, i) => testEnv(i).random(32) as PublicKey);
  for (const key of keys) dht.search(0, key);
  const s = new Stranger(node, 2);
  s.join(0);
  for (const key of keys) dht.stopSearch(0, key);
  assert.equal(dht.liveNodes(0), 1);
});

test('random and mutated datagrams never throw and never list anybody', () => {
  const { node, dht, stranger } = setUp();
  const valid = [
    stranger.frame(PING_REQUEST, encodePing(PING_REQUEST, ID)),
    stranger.frame(NODES_REQUEST, encodeNodesRequest({ target: node.keys.publicKey, id: ID })),
    stranger.frame(NODES_RESPONSE, encodeNodesResponse({ nodes: [stranger.info], id: ID })),
    encodeLanDiscovery(stranger.keys.publicKey),
  ];
  const kinds = fc.constantFrom(0, 1, 2, 3, 4, 0x20, 0x21, 0xf0, 0x80);
  const random = fc.tuple(kinds, fc.uint8Array({ maxLength: 300 })).map(([k, b]) => Uint8Array.from([k, ...b]));
  const mutated = fc
    .tuple(fc.constantFrom(...valid), fc.nat(300), fc.nat(255), fc.nat(120))
    .map(([bytes, at, value, cut]) => {
      const copy = bytes.slice(0, Math.max(0, bytes.length - (cut > 100 ? cut - 100 : 0)));
      if (at < copy.length) copy[at] = value;
      return copy;
    });
  let now = 0;
  fc.assert(
    fc.property(fc.oneof(random, mutated), (data) => {
      now += 50;
      node.receive(now, AWAY, data);
      dht.wake(now);
    }),
    { numRuns: 500 },
  );
  assert.equal(dht.liveNodes(now), 0);
});

test('a node that was never used has nothing to do', () => {
  assert.equal(setUp().dht.nextWake(), undefined);
});

test('waking early does nothing, and the next wake lies in the future after each wake', () => {
  const { node, dht, stranger } = setUp();
  stranger.join(0);
  for (let i = 0; i < 200; i++) {
    const at = dht.nextWake()!;
    node.sent.length = 0;
    dht.wake(at - 0.001);
    assert.equal(node.sent.length, 0);
    assert.equal(dht.nextWake(), at);
    dht.wake(at);
    for (const request of stranger.inbox(NODES_REQUEST)) stranger.answer(at, request);
    assert.ok(dht.nextWake()! > at);
  }
});

test('saved nodes are those that live', () => {
  const { node, dht, stranger } = setUp();
  stranger.join(0);
  assert.deepEqual(
    dht.savedNodes(1).map((n) => n.endpoint),
    [stranger.at],
  );
  assert.deepEqual(dht.savedNodes(130_000), []);
  assert.equal(dht.closest(1, node.keys.publicKey, 4, AWAY).length, 1);
});
