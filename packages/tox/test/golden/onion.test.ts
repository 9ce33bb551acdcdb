import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  keyPairFromSecret,
  type Nonce,
  type PublicKey,
  type SecretKey,
  type SharedKey,
} from '../../src/crypto/keys.ts';
import { seal } from '../../src/crypto/sodium.ts';
import { openReturnBlock, unwrapLayer, wrapLayer } from '../../src/onion/layer.ts';
import { decodeFriendRequest, encodeFriendRequest } from '../../src/packet/friend.ts';
import {
  ANNOUNCE_REQUEST,
  ANNOUNCE_REQUEST_SIZE,
  ANNOUNCE_RESPONSE,
  ANNOUNCED,
  DATA_REQUEST,
  DATA_RESPONSE,
  NOT_STORED,
  ONION_DATA_FRIEND_REQUEST,
  ONION_REQUEST_0,
  ONION_REQUEST_1,
  ONION_REQUEST_2,
  ONION_RESPONSE_1,
  ONION_RESPONSE_2,
  ONION_RESPONSE_3,
  RETURN_3_SIZE,
  readAnnounceRequest,
  readAnnounceRequestPlain,
  readAnnounceResponse,
  readAnnounceResponsePlain,
  readDataRequest,
  readDataResponse,
  readDhtKeyBody,
  readOnionRequest,
  readOnionResponse,
  readSignedData,
  STORED,
  writeAnnounceRequest,
  writeAnnounceRequestPlain,
  writeAnnounceResponse,
  writeAnnounceResponsePlain,
  writeDataRequest,
  writeDataResponse,
  writeDhtKeyBody,
  writeOnionRequest,
  writeOnionResponse,
  writeSignedData,
} from '../../src/packet/onion.ts';
import { type Endpoint, endpoint } from '../../src/wire/endpoint.ts';
import { bytes, type GoldenDatagram, GoldenNetwork, hex, opened, publicOf, shared, utf8, vectors } from './vectors.ts';

// Requests of c-toxcore followed from hop to hop and back. Everything that a hop, the destination
// or the receiver reads must open to these fields, and be written by us to the same bytes.

const golden = vectors('onion');
const network = new GoldenNetwork(golden.nodes);
const NO_BLOCK = new Uint8Array(0);
const ZEROS = new Uint8Array(32);

/** A request on its way: three onion datagrams, then what the destination got. */
interface Way {
  readonly forward: readonly [GoldenDatagram, GoldenDatagram, GoldenDatagram];
  readonly request: GoldenDatagram;
  readonly response: readonly [GoldenDatagram, GoldenDatagram, GoldenDatagram, GoldenDatagram];
}

const WAYS = ['first', 'search', 'stored', 'found', 'friendRequest', 'dhtKey'] as const;

/** The block for the way back that `d`'s sender made: it names the node before, and holds that one's block. */
function checkBlock(d: GoldenDatagram, block: Uint8Array, before: string, inner: Uint8Array): void {
  const key = bytes<SharedKey>(golden.returnKeys[d.from]);
  const layer = openReturnBlock(key, block)!;
  const next = layer.next as Endpoint;
  assert.ok(network.endpoints(before).includes(next));
  assert.deepEqual(layer.rest, inner);
  const again = wrapLayer(key, block.subarray(0, 24) as Nonce, next, undefined, inner);
  assert.deepEqual(again, block.subarray(24));
}

for (const name of WAYS) {
  test(`three layers of an onion request (80, 81, 82): ${name}`, () => {
    const { forward, request }: Way = golden[name];
    const kinds = [ONION_REQUEST_0, ONION_REQUEST_1, ONION_REQUEST_2];
    const next = [...forward.slice(1), request];
    let blockBefore: Uint8Array = NO_BLOCK;
    for (const [i, d] of forward.entries()) {
      const data = bytes(d.data);
      assert.equal(data[0], kinds[i]);
      const onion = readOnionRequest(data)!;
      assert.equal(hex(writeOnionRequest(kinds[i]!, onion)), d.data);
      if (i > 0) checkBlock(d, onion.returnBlock, forward[i - 1]!.from, blockBefore);
      if (i === 0) assert.equal(hex(onion.publicKey), network.node('alice').dhtKey);
      const key = shared(hex(onion.publicKey), network.node(d.to).dhtSecret);
      const layer = unwrapLayer(key, onion.nonce, onion.box)!;
      assert.ok(network.endpoints(next[i]!.to).includes(layer.next), 'it names the next node');
      const innerKey = i < 2 ? (layer.rest.subarray(0, 32) as PublicKey) : undefined;
      const inner = layer.rest.subarray(i < 2 ? 32 : 0);
      assert.deepEqual(wrapLayer(key, onion.nonce, layer.next, innerKey, inner), onion.box);
      // The hop sends on what was inside, with a block of its own at the end.
      const sent = bytes(next[i]!.data);
      if (i < 2) {
        const after = readOnionRequest(sent)!;
        assert.deepEqual([after.nonce, after.publicKey, after.box], [onion.nonce, innerKey, inner]);
        assert.equal(hex(after.publicKey), publicOf(golden.keys[hex(after.publicKey)]), 'a key of the path');
      } else {
        assert.deepEqual(sent.subarray(0, -RETURN_3_SIZE), inner);
        checkBlock(request, sent.subarray(-RETURN_3_SIZE), d.from, onion.returnBlock);
      }
      blockBefore = onion.returnBlock;
    }
  });

  test(`the answer comes back through three hops (8c, 8d, 8e): ${name}`, () => {
    const { response }: Way = golden[name];
    const kinds = [ONION_RESPONSE_3, ONION_RESPONSE_2, ONION_RESPONSE_1];
    for (const [i, kind] of kinds.entries()) {
      const d = response[i]!;
      const data = bytes(d.data);
      assert.equal(data[0], kind);
      const back = readOnionResponse(data)!;
      assert.equal(hex(writeOnionResponse(kind, back)), d.data);
      assert.ok(response[3].data.endsWith(hex(back.payload)));
      assert.equal(back.payload.length * 2, response[3].data.length);
    }
  });
}

/** What the destination of an announce reads and answers. */
function announce(name: 'first' | 'search' | 'stored' | 'found') {
  const { request, response }: Way = golden[name];
  const data = bytes(request.data).subarray(0, ANNOUNCE_REQUEST_SIZE);
  assert.equal(data[0], ANNOUNCE_REQUEST);
  const outer = readAnnounceRequest(data)!;
  assert.deepEqual(writeAnnounceRequest(outer), data);
  const key = shared(hex(outer.publicKey), network.node(request.to).dhtSecret);
  const plain = opened(key, outer.nonce, outer.box);
  const asked = readAnnounceRequestPlain(plain)!;
  assert.deepEqual(writeAnnounceRequestPlain(asked), plain);
  assert.deepEqual(seal(key, outer.nonce, plain), outer.box);

  const reply = bytes(response[3].data);
  assert.equal(reply[0], ANNOUNCE_RESPONSE);
  const answer = readAnnounceResponse(reply)!;
  assert.deepEqual(writeAnnounceResponse(ANNOUNCE_RESPONSE, answer), reply);
  assert.deepEqual(answer.sendback, asked.sendback);
  const answerPlain = opened(key, answer.nonce, answer.box);
  const told = readAnnounceResponsePlain(answerPlain, false)!;
  assert.deepEqual(writeAnnounceResponsePlain(told, false), answerPlain);
  assert.deepEqual(seal(key, answer.nonce, answerPlain), answer.box);
  for (const node of told.nodes) assert.ok(network.tells(node));
  return { from: hex(outer.publicKey), asked, told };
}

test('an announce without a ping id (83) is told one (84, not stored)', () => {
  const { from, asked, told } = announce('first');
  assert.equal(from, network.node('alice').realKey);
  assert.equal(hex(asked.searched), network.node('alice').realKey);
  assert.deepEqual(asked.pingId, ZEROS);
  assert.equal(told.status, NOT_STORED);
  assert.notDeepEqual(told.value, ZEROS);
  assert.ok(told.nodes.length > 1);
});

test('an announce with its ping id is stored (84, announced)', () => {
  const { from, asked, told } = announce('stored');
  assert.equal(from, network.node('alice').realKey);
  assert.notDeepEqual(asked.pingId, ZEROS);
  assert.ok(golden.keys[hex(asked.dataKey)], 'it names the data key');
  assert.equal(told.status, ANNOUNCED);
});

test('a search uses a temporary key and names no data key', () => {
  const { from, asked, told } = announce('search');
  assert.notEqual(from, network.node('alice').realKey);
  assert.equal(hex(asked.searched), network.node('bob').realKey);
  assert.deepEqual(asked.dataKey, ZEROS);
  assert.equal(told.status, NOT_STORED);
});

test('a search that finds its friend is told the data key (84, stored)', () => {
  const { asked, told } = announce('found');
  assert.equal(hex(asked.searched), network.node('bob').realKey);
  assert.equal(told.status, STORED);
  assert.equal(publicOf(golden.keys[hex(told.value)]), hex(told.value));
});

/** The body of onion data for Bob, read from 85 at the storing node and from 86 at Bob's. */
function onionData(name: 'friendRequest' | 'dhtKey'): Uint8Array {
  const { request, response, dataKey } = golden[name];
  const [alice, bob] = [network.node('alice'), network.node('bob')];
  const data = bytes(request.data).subarray(0, -RETURN_3_SIZE);
  assert.equal(data[0], DATA_REQUEST);
  const asked = readDataRequest(data)!;
  assert.equal(hex(asked.destination), bob.realKey);
  const arrived = bytes(response[3].data);
  assert.equal(arrived[0], DATA_RESPONSE);
  assert.deepEqual(writeDataResponse(asked.forwarded), arrived);
  const outer = readDataResponse(arrived)!;
  assert.deepEqual(writeDataRequest(asked.destination, outer), data);

  const key = shared(hex(outer.publicKey), golden.keys[dataKey]);
  const plain = opened(key, outer.nonce, outer.box);
  const signed = readSignedData(plain)!;
  assert.equal(hex(signed.sender), alice.realKey);
  assert.deepEqual(writeSignedData(signed), plain);
  assert.deepEqual(seal(key, outer.nonce, plain), outer.box);
  const realKey = shared(alice.realKey, bob.realSecret);
  const body = opened(realKey, outer.nonce, signed.box);
  assert.deepEqual(seal(realKey, outer.nonce, body), signed.box);
  return body;
}

test('a friend request (85, 86) holds the nospam and the text', () => {
  const plain = onionData('friendRequest');
  const body = decodeFriendRequest(ONION_DATA_FRIEND_REQUEST, plain)!;
  assert.equal(hex(body.nospam), network.node('bob').toxId.slice(64, 72));
  assert.equal(utf8(body.message), 'Hello Bob, it is Alice');
  assert.deepEqual(encodeFriendRequest(ONION_DATA_FRIEND_REQUEST, body), plain);
});

test('a DHT-key packet (85, 86) holds the time, the DHT key and nodes near it', () => {
  const plain = onionData('dhtKey');
  const body = readDhtKeyBody(plain)!;
  assert.equal(hex(body.dhtKey), network.node('alice').dhtKey);
  assert.ok(body.noReplay > 1_700_000_000n && body.noReplay < 1_700_000_200n);
  assert.equal(body.nodes.length, 4);
  for (const node of body.nodes) assert.ok(network.tells(node));
  assert.deepEqual(writeDhtKeyBody(body), plain);
});

test('requests that c-toxcore makes from fixed keys are those that we make', () => {
  const v = vectors('primitives').onion;
  const hops = v.hops.map((ip: string, i: number) => endpoint(ip, v.ports[i])) as Endpoint[];
  const to = endpoint(v.destination, v.ports[3])!;
  const data = bytes(v.announceRequest);
  const outer = readAnnounceRequest(data)!;
  const key = shared(publicOf(v.destinationSecret), v.realSecret);
  const plain = writeAnnounceRequestPlain({
    pingId: bytes(v.pingId),
    searched: bytes<PublicKey>(publicOf(v.realSecret)),
    dataKey: bytes<PublicKey>(publicOf(v.dataSecret)),
    sendback: Buffer.from('sendback'),
  });
  const { publicKey } = keyPairFromSecret(bytes<SecretKey>(v.realSecret));
  const announceRequest = writeAnnounceRequest({ nonce: outer.nonce, publicKey, box: seal(key, outer.nonce, plain) });
  assert.equal(hex(announceRequest), v.announceRequest);

  const wrapped = readOnionRequest(bytes(v.announceRequestInOnion))!;
  const path = [v.dhtSecret, v.pathSecret2, v.pathSecret3] as const;
  const keys = path.map((secret, i) => shared(publicOf(v[`hopSecret${i + 1}`]), secret)) as SharedKey[];
  const ofPath = path.map((secret) => bytes<PublicKey>(publicOf(secret)));
  const layer3 = wrapLayer(keys[2]!, wrapped.nonce, to, undefined, announceRequest);
  const layer2 = wrapLayer(keys[1]!, wrapped.nonce, hops[2]!, ofPath[2], layer3);
  const box = wrapLayer(keys[0]!, wrapped.nonce, hops[1]!, ofPath[1], layer2);
  const whole = { nonce: wrapped.nonce, publicKey: ofPath[0]!, box, returnBlock: NO_BLOCK };
  assert.equal(hex(writeOnionRequest(ONION_REQUEST_0, whole)), v.announceRequestInOnion);

  const search = readAnnounceRequest(bytes(v.searchRequest))!;
  const searchKey = shared(publicOf(v.destinationSecret), v.temporarySecret);
  const searched = writeAnnounceRequestPlain({
    pingId: ZEROS,
    searched: bytes<PublicKey>(publicOf(v.friendSecret)),
    dataKey: ZEROS as Uint8Array as PublicKey,
    sendback: Buffer.from('sendback'),
  });
  assert.deepEqual(search.box, seal(searchKey, search.nonce, searched));

  const request = readDataRequest(bytes(v.dataRequest))!;
  const nonce = request.forwarded.subarray(0, 24) as Nonce;
  const temporary = bytes<PublicKey>(publicOf(v.dataRequestSecret));
  const dataBox = seal(shared(publicOf(v.dataSecret), v.dataRequestSecret), nonce, Buffer.from(v.data));
  const ours = writeDataRequest(bytes<PublicKey>(publicOf(v.friendSecret)), {
    nonce,
    publicKey: temporary,
    box: dataBox,
  });
  assert.equal(hex(ours), v.dataRequest);
});
