import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { ToxError } from '../../src/core/errors.ts';
import type { Nonce, SharedKey } from '../../src/crypto/keys.ts';
import { seal } from '../../src/crypto/sodium.ts';
import * as id from '../../src/messenger/tox-id.ts';
import * as info from '../../src/packet/bootstrap-info.ts';
import * as crypto from '../../src/packet/crypto.ts';
import * as dht from '../../src/packet/dht.ts';
import * as request from '../../src/packet/dht-request.ts';
import * as friend from '../../src/packet/friend.ts';
import * as lan from '../../src/packet/lan-discovery.ts';
import * as messenger from '../../src/packet/messenger.ts';
import * as onion from '../../src/packet/onion.ts';
import * as relay from '../../src/packet/relay.ts';
import { readRequest, WINDOW_SIZE } from '../../src/session/packet-window.ts';
import { isEncryptedSave } from '../../src/state/encrypted-save.ts';
import { readFriendNodes } from '../../src/state/friend-nodes.ts';
import { readToxSave, writeToxSave } from '../../src/state/tox-save.ts';
import {
  endpoint,
  endpointAddress,
  endpointIp,
  endpointPort,
  isLan,
  isUnicast,
  sourceOf,
} from '../../src/wire/endpoint.ts';
import { readOnionIpPort, readPackedNodes, writePackedNode } from '../../src/wire/packed-node.ts';
import { Reader } from '../../src/wire/reader.ts';
import { Writer } from '../../src/wire/writer.ts';

const key = new Uint8Array(32).fill(7) as Uint8Array as SharedKey;
const nonce = new Uint8Array(24).fill(9) as Uint8Array as Nonce;

/** Each takes any bytes, and gives undefined or a value; none may throw. */
const decoders: Record<string, (data: Uint8Array) => unknown> = {
  'bootstrap info': (d) => [info.decodeBootstrapInfo(d), info.isBootstrapInfoRequest(d)],
  'LAN discovery': (d) => lan.decodeLanDiscovery(d),
  'DHT frame': (d) => {
    const frame = dht.readDhtFrame(d);
    return frame && dht.openDhtFrame(frame, key);
  },
  ping: (d) => [dht.decodePing(0, d), dht.decodePing(1, d)],
  'nodes request': (d) => dht.decodeNodesRequest(d),
  'nodes response': (d) => dht.decodeNodesResponse(d),
  'DHT request': (d) => {
    const found = request.readDhtRequest(d);
    return found && request.openDhtRequest(found, key);
  },
  'NAT ping': (d) => request.decodeNatPing(d),
  'onion request': (d) => onion.readOnionRequest(d),
  'onion response': (d) => onion.readOnionResponse(d),
  'announce request': (d) => onion.readAnnounceRequest(d),
  'announce request, plain': (d) => onion.readAnnounceRequestPlain(d),
  'announce response': (d) => onion.readAnnounceResponse(d),
  'announce response, plain': (d) => [
    onion.readAnnounceResponsePlain(d, false),
    onion.readAnnounceResponsePlain(d, true),
  ],
  'data request': (d) => onion.readDataRequest(d),
  'data response': (d) => onion.readDataResponse(d),
  'signed data': (d) => onion.readSignedData(d),
  'routed DHT key': (d) => onion.readRoutedDhtKey(d),
  'DHT key': (d) => onion.readDhtKeyBody(d),
  'friend request': (d) => [friend.decodeFriendRequest(0x20, d), friend.decodeFriendRequest(18, d)],
  'cookie request': (d) => crypto.cookieRequestSender(d) && crypto.openCookieRequest(key, d),
  'cookie response': (d) => crypto.openCookieResponse(key, d.subarray(0, 8), d),
  handshake: (d) => crypto.handshakeCookie(d) && crypto.openHandshake(key, d),
  'data packet': (d) => crypto.cryptoDataNonce(d) !== undefined && new crypto.CryptoDataOpener().open(key, nonce, d),
  'packet request': (d) => {
    let told = 0;
    const count = () => void told++;
    readRequest(d, 0xffff_fff0, 0x7fef, { arrived: count, missing: count });
    assert.ok(told <= 2 * WINDOW_SIZE);
  },
  'share relays': (d) => friend.decodeShareRelays(d),
  'relay packet': (d) => relay.decodeRelayPacket(d),
  'file request': (d) => messenger.decodeFileRequest(d),
  'file control': (d) => messenger.decodeFileControl(d),
  'packed nodes': (d) => [readPackedNodes(new Reader(d), 4, true), readPackedNodes(new Reader(d), 4, false)],
  'onion address': (d) => readOnionIpPort(new Reader(d)),
  'Tox ID': (d) => [id.toxIdFromBytes(d), id.isValidPublicKey(d)],
  'encrypted save': (d) => isEncryptedSave(d),
  'nodes of friends': (d) => readFriendNodes(d),
};

const golden = goldenBytes();
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 2_048 }),
  fc.uint8Array({ maxLength: 64 }),
  fc
    .tuple(fc.constantFrom(...golden), fc.array(fc.tuple(fc.nat(2_048), fc.nat(255)), { maxLength: 4 }), fc.nat(2_100))
    .map(([packet, changes, cut]) => {
      const out = Uint8Array.from(packet);
      for (const [at, value] of changes) if (at < out.length) out[at] = value;
      return cut < out.length ? out.subarray(0, cut) : out;
    }),
);

test('no decoder throws at any bytes, and none reads beyond them', () => {
  fc.assert(
    fc.property(bytes, fc.nat(16), (data, offset) => {
      // Inside a larger buffer, whose other bytes must not count.
      const frame = new Uint8Array(data.length + 32).fill(0xee);
      frame.set(data, offset);
      const view = frame.subarray(offset, offset + data.length);
      for (const [what, decode] of Object.entries(decoders)) {
        assert.deepEqual(decode(view), decode(Uint8Array.from(data)), what);
      }
    }),
  );
});

test('what opens as a data packet gives its content, whatever the padding', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 0, maxLength: 1_381 }), (plain) => {
      const packet = new Uint8Array(3 + 16 + plain.length);
      packet.set(seal(key, nonce, plain), 3);
      if (crypto.cryptoDataNonce(packet) === undefined) return;
      const data = new crypto.CryptoDataOpener().open(key, nonce, packet);
      if (data) assert.notEqual(data[0], 0);
    }),
  );
});

test('packed nodes that are read and written again are the same nodes', () => {
  fc.assert(
    fc.property(bytes, (data) => {
      const nodes = readPackedNodes(new Reader(data), 4, true);
      const w = new Writer();
      for (const node of nodes) writePackedNode(w, node);
      assert.deepEqual(readPackedNodes(new Reader(w.finish()), 4, true), nodes);
      for (const { endpoint: e } of nodes) {
        assert.equal(endpoint(endpointAddress(e), endpointPort(e)), e);
        assert.ok([4, 16].includes(endpointIp(e).length));
        assert.equal(
          typeof isLan(e) === 'boolean' && typeof isUnicast(e) === 'boolean' && sourceOf(e).length > 0,
          true,
        );
      }
    }),
  );
});

test('any text is an endpoint in canonical form or none, and any text a Tox ID or none', () => {
  const sign = fc.constantFrom(...'0123456789abcdefABCDEF.:[]%/x ');
  const text = fc.oneof(
    fc.string(),
    fc.array(sign, { maxLength: 80 }).map((signs) => signs.join('')),
  );
  fc.assert(
    fc.property(text, fc.integer(), (address, port) => {
      const e = endpoint(address, port);
      if (e) assert.equal(endpoint(endpointAddress(e), endpointPort(e)), e);
      for (const parse of [id.parseToxId, id.parseToxIdBase32]) {
        const parsed = parse(address);
        if (parsed.ok) assert.equal(id.formatToxId(parsed.id).length, 76);
      }
    }),
  );
});

test('a changed profile is read, or refused as a bad one; what is read can be written and read again', () => {
  const saves = golden.filter((data) => data.length > 100 && data[4] === 0x1f && data[5] === 0x1b);
  assert.ok(saves.length > 0);
  const change = fc.array(fc.tuple(fc.nat(6_000), fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 255))), { maxLength: 6 });
  fc.assert(
    fc.property(fc.constantFrom(...saves), change, fc.nat(8_000), fc.boolean(), (save, changes, cut, cuts) => {
      const data = Uint8Array.from(cuts ? save.subarray(0, cut) : save);
      for (const [at, value] of changes) if (at < data.length) data[at] = value;
      try {
        const read = readToxSave(data);
        assert.deepEqual(readToxSave(writeToxSave(read)), read);
      } catch (error) {
        assert.ok(error instanceof ToxError && error.kind === 'bad-save', String(error));
      }
    }),
  );
});

/** All byte strings in the golden vectors. */
function goldenBytes(): Uint8Array[] {
  const found: Uint8Array[] = [];
  const visit = (value: unknown): void => {
    if (typeof value === 'string') {
      if (value.length > 16 && value.length % 2 === 0 && /^[0-9a-f]+$/.test(value)) {
        found.push(new Uint8Array(Buffer.from(value, 'hex')));
      }
    } else if (typeof value === 'object' && value !== null) Object.values(value).forEach(visit);
  };
  for (const name of ['dht', 'onion', 'session', 'save', 'profile', 'relay']) {
    visit(JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url), 'utf8')));
  }
  return found;
}
