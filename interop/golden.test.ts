import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { fromHex, generateKeyPair, type PublicKey, randomNonce } from '../packages/tox/src/crypto/keys.ts';
import { incrementNonce, nonceLow16 } from '../packages/tox/src/crypto/nonce.ts';
import { open, seal, sharedKey } from '../packages/tox/src/crypto/sodium.ts';
import { unwrapLayer, wrapLayer } from '../packages/tox/src/onion/layer.ts';
import { decodeBootstrapInfo } from '../packages/tox/src/packet/bootstrap-info.ts';
import * as session from '../packages/tox/src/packet/crypto.ts';
import * as dht from '../packages/tox/src/packet/dht.ts';
import { readDhtRequest, writeDhtRequest } from '../packages/tox/src/packet/dht-request.ts';
import * as onion from '../packages/tox/src/packet/onion.ts';
import type { Endpoint } from '../packages/tox/src/wire/endpoint.ts';
import { endpoint } from '../packages/tox/src/wire/endpoint.ts';
import type { NodeInfo } from '../packages/tox/src/wire/packed-node.ts';
import { BootstrapDaemon, disposeOracle, OraclePeer, oracleMissing } from './oracle/oracle.ts';
import { RawNode } from './raw-node.ts';

// The other direction of the golden bytes: single packets that we encode, and c-toxcore's answer to
// each as the proof that it decoded them. (That it reads the rest, sessions and messenger, is what
// every other test in this folder shows.)

const skip = await oracleMissing();
after(disposeOracle);

const NO_BLOCK = new Uint8Array(0);
const ZEROS = new Uint8Array(32);

function info({ port, key }: { port: number; key: string }): NodeInfo {
  return { publicKey: fromHex(key, 32) as PublicKey, endpoint: endpoint('127.0.0.1', port)! };
}

/** Sends one DHT packet. */
function sendDht(raw: RawNode, to: NodeInfo, port: number, kind: number, plain: Uint8Array): void {
  const nonce = randomNonce(raw.env);
  raw.send(port, dht.writeDhtFrame(kind, raw.keys.publicKey, nonce, raw.shared(to.publicKey), plain));
}

/** The plain text of a DHT packet of this kind for us. */
function openDht(raw: RawNode, kind: number, data: Uint8Array): Uint8Array | undefined {
  const frame = dht.readDhtFrame(data);
  return frame?.kind === kind ? dht.openDhtFrame(frame, raw.shared(frame.sender)) : undefined;
}

/** 0x80 through three hops; all of them may be the same node. */
function wrapOnion(raw: RawNode, hops: [NodeInfo, NodeInfo, NodeInfo], to: Endpoint, payload: Uint8Array): Uint8Array {
  const pairs = [raw.keys, generateKeyPair(raw.env), generateKeyPair(raw.env)] as const;
  const keys = pairs.map((pair, i) => sharedKey(hops[i]!.publicKey, pair.secretKey)!);
  const nonce = randomNonce(raw.env);
  const layer3 = wrapLayer(keys[2]!, nonce, to, undefined, payload);
  const layer2 = wrapLayer(keys[1]!, nonce, hops[2].endpoint, pairs[2].publicKey, layer3);
  const box = wrapLayer(keys[0]!, nonce, hops[1].endpoint, pairs[1].publicKey, layer2);
  const request = { nonce, publicKey: raw.keys.publicKey, box, returnBlock: NO_BLOCK };
  return onion.writeOnionRequest(onion.ONION_REQUEST_0, request);
}

describe('c-toxcore decodes what we encode', { concurrency: true, skip }, () => {
  test('a ping (00) and a nodes request (02): answered with our ids', async () => {
    await using daemon = await BootstrapDaemon.start();
    await using raw = await RawNode.open();
    const to = info(daemon);
    const [pingId, nodesId] = [raw.env.random(8), raw.env.random(8)];
    sendDht(raw, to, daemon.port, dht.PING_REQUEST, dht.encodePing(dht.PING_REQUEST, pingId));
    const pong = await raw.receive('pong', (d) => openDht(raw, dht.PING_RESPONSE, d));
    assert.deepEqual(dht.decodePing(dht.PING_RESPONSE, pong), pingId);
    const request = dht.encodeNodesRequest({ target: raw.keys.publicKey, id: nodesId });
    sendDht(raw, to, daemon.port, dht.NODES_REQUEST, request);
    const nodes = await raw.receive('nodes', (d) => openDht(raw, dht.NODES_RESPONSE, d));
    assert.deepEqual(dht.decodeNodesResponse(nodes)!.id, nodesId);
  });

  test('bootstrap info (f0)', async () => {
    await using daemon = await BootstrapDaemon.start({ motd: 'hello' });
    await using raw = await RawNode.open();
    raw.send(
      daemon.port,
      Uint8Array.from({ length: 78 }, (_, i) => (i === 0 ? 0xf0 : 0)),
    );
    const { motd } = await raw.receive('bootstrap info', decodeBootstrapInfo);
    assert.match(Buffer.from(motd).toString(), /^hello/);
  });

  test('our pong (01) and our nodes response (04): we get listed, and what we name is asked', async () => {
    await using daemon = await BootstrapDaemon.start();
    await using raw = await RawNode.open();
    await using named = await RawNode.open();
    const to = info(daemon);
    const mention = { publicKey: named.keys.publicKey, endpoint: named.endpoint };
    raw.onDatagram = (data) => {
      const ping = openDht(raw, dht.PING_REQUEST, data);
      const id = ping && dht.decodePing(dht.PING_REQUEST, ping);
      if (id) sendDht(raw, to, daemon.port, dht.PING_RESPONSE, dht.encodePing(dht.PING_RESPONSE, id));
      const request = openDht(raw, dht.NODES_REQUEST, data);
      const asked = request && dht.decodeNodesRequest(request);
      if (!asked) return;
      const response = dht.encodeNodesResponse({ nodes: [mention], id: asked.id });
      sendDht(raw, to, daemon.port, dht.NODES_RESPONSE, response);
    };
    const request = dht.encodeNodesRequest({ target: raw.keys.publicKey, id: raw.env.random(8) });
    sendDht(raw, to, daemon.port, dht.NODES_REQUEST, request);
    // The named node is asked, which shows that our nodes response was read.
    await named.receive('nodes request', (d) => openDht(named, dht.NODES_REQUEST, d), 30_000);
    // We are in the daemon's list: it names us to others, with our address.
    await using other = await RawNode.open();
    const search = dht.encodeNodesRequest({ target: raw.keys.publicKey, id: other.env.random(8) });
    sendDht(other, to, daemon.port, dht.NODES_REQUEST, search);
    const answer = await other.receive('nodes', (d) => openDht(other, dht.NODES_RESPONSE, d));
    const found = dht
      .decodeNodesResponse(answer)!
      .nodes.find((n) => Buffer.compare(n.publicKey, raw.keys.publicKey) === 0);
    assert.equal(found?.endpoint, raw.endpoint);

    // And a DHT request (20) for us is passed on, unchanged.
    const key = other.shared(raw.keys.publicKey);
    const packet = writeDhtRequest(
      raw.keys.publicKey,
      other.keys.publicKey,
      randomNonce(other.env),
      key,
      0x9c,
      other.env.random(80),
    );
    other.send(daemon.port, packet);
    const passed = await raw.receive('DHT request', (d) => readDhtRequest(d) && new Uint8Array(d));
    assert.deepEqual(passed, packet);
  });

  test('onion requests (80, 82) and responses (8c, 8e), hop by hop', async () => {
    await using daemon = await BootstrapDaemon.start();
    await using raw = await RawNode.open();
    const [them, us] = [info(daemon), { publicKey: raw.keys.publicKey, endpoint: raw.endpoint }];
    const kind = (k: number) => (d: Uint8Array) => (d[0] === k ? new Uint8Array(d) : undefined);
    // We, they, we, they, we: so that each of their three parts is seen from both sides.
    const payload = Uint8Array.of(onion.ANNOUNCE_REQUEST, ...raw.env.random(176));
    raw.send(daemon.port, wrapOnion(raw, [them, us, them], raw.endpoint, payload));
    const second = onion.readOnionRequest(await raw.receive('81', kind(onion.ONION_REQUEST_1)))!;
    const layer = unwrapLayer(raw.shared(second.publicKey), second.nonce, second.box)!;
    assert.equal(layer.next, them.endpoint);
    // Ours is the middle hop now; its block for the way back means nothing to them.
    const block = raw.env.random(onion.RETURN_2_SIZE);
    raw.send(
      daemon.port,
      onion.writeOnionRequest(onion.ONION_REQUEST_2, {
        nonce: second.nonce,
        publicKey: layer.rest.subarray(0, 32) as Uint8Array as PublicKey,
        box: layer.rest.subarray(32),
        returnBlock: block,
      }),
    );
    const arrived = await raw.receive('83', kind(onion.ANNOUNCE_REQUEST));
    assert.deepEqual(arrived.subarray(0, -onion.RETURN_3_SIZE), payload);
    // Back: their third part gives 8d with our block, their first gives what it carries.
    const reply = Uint8Array.of(onion.ANNOUNCE_RESPONSE, ...raw.env.random(90));
    const returnBlock = arrived.subarray(-onion.RETURN_3_SIZE);
    raw.send(daemon.port, onion.writeOnionResponse(onion.ONION_RESPONSE_3, { returnBlock, payload: reply }));
    const back = onion.readOnionResponse(await raw.receive('8d', kind(onion.ONION_RESPONSE_2)))!;
    assert.deepEqual([back.returnBlock, back.payload], [block, reply]);
    raw.send(
      daemon.port,
      onion.writeOnionResponse(onion.ONION_RESPONSE_1, { returnBlock: second.returnBlock, payload: reply }),
    );
    assert.deepEqual(await raw.receive('84', kind(onion.ANNOUNCE_RESPONSE)), reply);
  });

  test('announce (83), search and onion data (85) through three hops', async () => {
    await using daemon = await BootstrapDaemon.start();
    await using raw = await RawNode.open();
    const them = info(daemon);
    const [real, data, temporary] = [raw, raw, raw].map(({ env }) => generateKeyPair(env));
    const send = (payload: Uint8Array) =>
      raw.send(daemon.port, wrapOnion(raw, [them, them, them], them.endpoint, payload));

    const announce = async (from: typeof real, pingId: Uint8Array, dataKey: Uint8Array) => {
      const key = sharedKey(them.publicKey, from!.secretKey)!;
      const sendback = raw.env.random(8);
      const nonce = randomNonce(raw.env);
      const plain = onion.writeAnnounceRequestPlain({
        pingId,
        searched: real!.publicKey,
        dataKey: dataKey as PublicKey,
        sendback,
      });
      send(onion.writeAnnounceRequest({ nonce, publicKey: from!.publicKey, box: seal(key, nonce, plain) }));
      return raw.receive('announce response', (d) => {
        const response = d[0] === onion.ANNOUNCE_RESPONSE ? onion.readAnnounceResponse(d) : undefined;
        if (!response || Buffer.compare(response.sendback, sendback) !== 0) return undefined;
        return onion.readAnnounceResponsePlain(open(key, response.nonce, response.box)!, false);
      });
    };
    const first = await announce(real, ZEROS, data!.publicKey);
    assert.equal(first.status, onion.NOT_STORED);
    const second = await announce(real, first.value, data!.publicKey);
    assert.equal(second.status, onion.ANNOUNCED);
    const found = await announce(temporary, ZEROS, ZEROS);
    assert.equal(found.status, onion.STORED);
    assert.deepEqual(new Uint8Array(found.value), new Uint8Array(data!.publicKey));

    const nonce = randomNonce(raw.env);
    const box = seal(sharedKey(data!.publicKey, temporary!.secretKey)!, nonce, Buffer.from('for you'));
    send(onion.writeDataRequest(real!.publicKey, { nonce, publicKey: temporary!.publicKey, box }));
    const packet = await raw.receive('86', (d) =>
      d[0] === onion.DATA_RESPONSE ? onion.readDataResponse(d) : undefined,
    );
    const key = sharedKey(packet.publicKey, data!.secretKey)!;
    assert.equal(Buffer.from(open(key, packet.nonce, packet.box)!).toString(), 'for you');
  });

  test('cookie request (18), handshake (1a) and data (1b) open a session', async () => {
    await using peer = await OraclePeer.start();
    await using raw = await RawNode.open();
    const real = generateKeyPair(raw.env);
    await peer.acceptFriend(Buffer.from(real.publicKey).toString('hex').toUpperCase());
    const dhtShared = raw.shared(fromHex(peer.dhtKey, 32) as PublicKey);
    const theirKey = fromHex(peer.publicKey, 32) as PublicKey;
    const echo = raw.env.random(8);
    const request = session.encodeCookieRequest(
      dhtShared,
      randomNonce(raw.env),
      raw.keys.publicKey,
      real.publicKey,
      echo,
    );
    raw.send(peer.port, request);
    const cookie = await raw.receive('cookie response', (d) => session.openCookieResponse(dhtShared, echo, d));

    const realShared = sharedKey(theirKey, real.secretKey)!;
    const sessionKeys = generateKeyPair(raw.env);
    const baseNonce = randomNonce(raw.env);
    const content = { baseNonce, sessionKey: sessionKeys.publicKey, cookie: raw.env.random(session.COOKIE_SIZE) };
    raw.send(peer.port, session.encodeHandshake(realShared, randomNonce(raw.env), cookie, content));
    const theirs = await raw.receive('handshake', (d) =>
      session.handshakeCookie(d) ? session.openHandshake(realShared, d) : undefined,
    );
    const key = sharedKey(theirs.sessionKey, sessionKeys.secretKey)!;
    const nonce = baseNonce.slice() as typeof baseNonce;
    const send = (number: number, data: Uint8Array) => {
      raw.send(peer.port, session.encodeCryptoData(key, nonce, 0, number, data));
      incrementNonce(nonce);
    };
    send(0, Uint8Array.of(session.PACKET_REQUEST)); // confirms the session
    send(0, Uint8Array.of(24)); // online
    send(1, Buffer.from('\x40said by hand'));
    const message = await peer.waitFor('message');
    assert.equal(message.text, 'said by hand');
    const opener = new session.CryptoDataOpener();
    await raw.receive('acknowledgement', (d) => {
      const low16 = d[0] === session.CRYPTO_DATA ? session.cryptoDataNonce(d) : undefined;
      if (low16 === undefined) return undefined;
      const at = theirs.baseNonce.slice() as typeof baseNonce;
      incrementNonce(at, (low16 - nonceLow16(at)) & 0xffff);
      return opener.open(key, at, d) && opener.bufferStart === 2 ? true : undefined;
    });
  });
});
