import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Nonce, PublicKey, SharedKey } from '../../src/crypto/keys.ts';
import { incrementNonce, nonceLow16 } from '../../src/crypto/nonce.ts';
import { seal } from '../../src/crypto/sodium.ts';
import {
  CryptoDataOpener,
  cookieRequestSender,
  cryptoDataNonce,
  encodeCookieRequest,
  encodeCookieResponse,
  encodeCryptoData,
  encodeHandshake,
  type HandshakeContent,
  handshakeCookie,
  openCookieRequest,
  openCookieResponse,
  openHandshake,
  PACKET_KILL,
  PACKET_REQUEST,
} from '../../src/packet/crypto.ts';
import { ALIVE } from '../../src/packet/friend.ts';
import {
  ACTION,
  decodeFileControl,
  decodeFileRequest,
  encodeFileControl,
  encodeFileDataInto,
  encodeFileRequest,
  FILE_CONTROL,
  FILE_DATA,
  FILE_REQUEST,
  MESSAGE,
  NAME,
  OFFLINE,
  ONLINE,
  STATUS,
  STATUS_MESSAGE,
  TYPING,
} from '../../src/packet/messenger.ts';
import { ReceiveWindow, readRequest, StoreBudget } from '../../src/session/packet-window.ts';
import { bytes, type GoldenDatagram, GoldenNetwork, hex, opened, publicOf, shared, utf8, vectors } from './vectors.ts';

// One whole session between two c-toxcore peers, from the cookie requests to the kill packet.
// Alice did: name, status message, status, typing, texts, custom packets, files; eight packets of
// which three were lost; she deleted Bob at last.

const golden = vectors('session');
const network = new GoldenNetwork(golden.nodes);

interface SessionPacket extends GoldenDatagram {
  readonly lost: boolean;
}

test('cookie requests (18) open to the real key, and ours are the same bytes', () => {
  for (const d of golden.cookieRequests as GoldenDatagram[]) {
    const [from, to] = [network.node(d.from), network.node(d.to)];
    const data = bytes(d.data);
    assert.equal(hex(cookieRequestSender(data)!), from.dhtKey);
    const key = shared(from.dhtKey, to.dhtSecret);
    const { realKey, echo } = openCookieRequest(key, data)!;
    assert.equal(hex(realKey), from.realKey);
    const nonce = data.subarray(33, 57) as Uint8Array as Nonce;
    assert.equal(hex(encodeCookieRequest(key, nonce, bytes<PublicKey>(from.dhtKey), realKey, echo)), d.data);
  }
});

test('cookie responses (19) echo the request and hold a cookie over both keys', () => {
  for (const d of golden.cookieResponses as GoldenDatagram[]) {
    const [from, to] = [network.node(d.from), network.node(d.to)];
    const key = shared(to.dhtKey, from.dhtSecret);
    const echoes = (golden.cookieRequests as GoldenDatagram[])
      .filter((r) => r.from === d.to)
      .map((r) => openCookieRequest(key, bytes(r.data))!.echo);
    const data = bytes(d.data);
    const echo = echoes.find((e) => openCookieResponse(key, e, data))!;
    const cookie = openCookieResponse(key, echo, data)!;
    assert.equal(openCookieResponse(key, bytes('0000000000000000'), data), undefined, 'another echo');
    checkCookie(d.from, d.to, cookie);
    const nonce = data.subarray(1, 25) as Uint8Array as Nonce;
    assert.equal(hex(encodeCookieResponse(key, nonce, cookie, echo)), d.data);
  }
});

/** Only its maker reads a cookie: time u64, real key, DHT key of the peer. */
function checkCookie(maker: string, peer: string, cookie: Uint8Array): void {
  const plain = opened(bytes<SharedKey>(golden.cookieKeys[maker]), cookie.subarray(0, 24), cookie.subarray(24));
  assert.equal(hex(plain.subarray(8, 40)), network.node(peer).realKey);
  assert.equal(hex(plain.subarray(40)), network.node(peer).dhtKey);
}

/** Of the handshake that the session was made with. */
function handshake(d: GoldenDatagram): HandshakeContent {
  const [from, to] = [network.node(d.from), network.node(d.to)];
  const data = bytes(d.data);
  const key = shared(from.realKey, to.realSecret);
  const content = openHandshake(key, data)!;
  checkCookie(d.to, d.from, handshakeCookie(data)!);
  checkCookie(d.from, d.to, content.cookie);
  assert.equal(publicOf(golden.keys[hex(content.sessionKey)]), hex(content.sessionKey));
  const nonce = data.subarray(113, 137) as Uint8Array as Nonce;
  assert.equal(hex(encodeHandshake(key, nonce, handshakeCookie(data)!, content)), d.data);
  return content;
}

test('handshakes (1a) open to nonce, session key and cookie, and ours are the same bytes', () => {
  const contents = (golden.handshakes as GoldenDatagram[]).map(handshake);
  assert.ok(contents.length >= 2);
});

/** Plain texts of all data packets, each checked to be what we would have sent. */
interface Plain {
  readonly from: string;
  readonly lost: boolean;
  readonly bufferStart: number;
  readonly number: number;
  readonly data: Uint8Array;
}

function plains(): Plain[] {
  const first = (name: string) => golden.handshakes.find((h: GoldenDatagram) => h.from === name);
  const content = { alice: handshake(first('alice')), bob: handshake(first('bob')) };
  const secret = golden.keys[hex(content.bob.sessionKey)];
  const key = shared(hex(content.alice.sessionKey), secret);
  const opener = new CryptoDataOpener();
  return (golden.packets as SessionPacket[]).map((d) => {
    const data = bytes(d.data);
    const nonce = content[d.from as 'alice' | 'bob'].baseNonce.slice() as Uint8Array as Nonce;
    incrementNonce(nonce, (cryptoDataNonce(data)! - nonceLow16(nonce)) & 0xffff);
    const plain = opener.open(key, nonce, data)!.slice();
    const { bufferStart, number } = opener;
    assert.equal(hex(encodeCryptoData(key, nonce, bufferStart, number, plain)), d.data);
    return { from: d.from, lost: d.lost, bufferStart, number, data: plain };
  });
}

test('every data packet (1b) of the session opens, and ours are the same bytes', () => {
  const all = plains();
  assert.ok(all.length > 80);
  assert.deepEqual(new Set(all.map((p) => p.from)), new Set(['alice', 'bob']));
  for (const from of ['alice', 'bob']) {
    const numbers = all.filter((p) => p.from === from && p.data[0]! >= 16 && p.data[0]! < 192).map((p) => p.number);
    assert.deepEqual([...new Set(numbers)].slice(0, 5), [0, 1, 2, 3, 4], 'lossless numbers count from 0');
  }
});

/** What Alice said with this id, in order, without repeats. */
function said(id: number, from = 'alice'): Uint8Array[] {
  const all = plains().filter((p) => p.from === from && !p.lost && p.data[0] === id);
  const byNumber = new Map(all.map((p) => [p.number, p.data]));
  return [...byNumber.values()];
}

test('online and alive packets have no body', () => {
  for (const from of ['alice', 'bob']) {
    assert.deepEqual(said(ONLINE, from)[0], Uint8Array.of(ONLINE));
    assert.deepEqual(said(ALIVE, from)[0], Uint8Array.of(ALIVE));
  }
});

test('name, status message, status and typing', () => {
  assert.equal(utf8(said(NAME).at(-1)!.subarray(1)), 'Alice é');
  assert.equal(utf8(said(STATUS_MESSAGE).at(-1)!.subarray(1)), 'at work');
  assert.deepEqual(said(STATUS).at(-1), Uint8Array.of(STATUS, 2));
  assert.deepEqual(said(TYPING).at(-1), Uint8Array.of(TYPING, 1));
});

test('texts of 10 and 1372 bytes, and an action', () => {
  const [short, long] = said(MESSAGE);
  assert.equal(utf8(short!.subarray(1)), 'café 🐢');
  assert.equal(utf8(long!.subarray(1)), 'x'.repeat(1372));
  assert.equal(utf8(said(ACTION)[0]!.subarray(1)), 'waves');
});

test('custom packets, lossless and lossy', () => {
  assert.equal(utf8(said(160)[0]!.subarray(1)), 'lossless');
  assert.equal(utf8(said(200)[0]!.subarray(1)), 'lossy');
});

test('file requests of known and unknown size', () => {
  const requests = said(FILE_REQUEST);
  const [notes, stream] = requests.map((data) => decodeFileRequest(data)!);
  assert.deepEqual(
    { ...notes, name: utf8(notes!.name) },
    { number: 0, kind: 0, size: 5000, fileId: new Uint8Array(32).fill(0xf1), name: 'notes.txt' },
  );
  assert.deepEqual(
    { ...stream, name: utf8(stream!.name) },
    { number: 0, kind: 1, size: undefined, fileId: new Uint8Array(32).fill(0xf2), name: '' },
  );
  assert.deepEqual(encodeFileRequest(notes!), requests[0]);
  assert.deepEqual(encodeFileRequest(stream!), requests[1]);
});

test('file controls: seek, accept, pause, resume, kill', () => {
  const controls = ['bob', 'alice'].map((from) => {
    const data = said(FILE_CONTROL, from);
    return data.map((d) => {
      const control = decodeFileControl(d)!;
      assert.deepEqual(encodeFileControl(control), d);
      return control;
    });
  });
  assert.deepEqual(controls[0], [
    { byReceiver: true, number: 0, code: 'seek', position: 1000 },
    { byReceiver: true, number: 0, code: 'accept' },
    { byReceiver: true, number: 0, code: 'kill' },
  ]);
  assert.deepEqual(controls[1], [
    { byReceiver: false, number: 0, code: 'pause' },
    { byReceiver: false, number: 0, code: 'accept' },
  ]);
});

test('file data from the position sought, in chunks of 1371 bytes', () => {
  const chunks = said(FILE_DATA);
  assert.deepEqual(
    chunks.map((c) => c.length - 2),
    [1371, 1371, 1258],
  );
  const content = Buffer.concat(chunks.map((c) => c.subarray(2)));
  const expected = Uint8Array.from({ length: 5000 }, (_, i) => i * 7 + Math.floor(i / 256)).subarray(1000);
  assert.ok(content.equals(expected));
  const out = new Uint8Array(1373);
  assert.deepEqual(encodeFileDataInto(out, 0, chunks[0]!.subarray(2, 100), chunks[0]!.subarray(100)), chunks[0]);
});

/** Requests of Bob whose list is not empty: what he said to miss, and the packets that he had. */
function requests(): { body: Uint8Array; missing: number[]; start: number }[] {
  const all = plains();
  return all.flatMap((p, i) => {
    if (p.from !== 'bob' || p.data[0] !== PACKET_REQUEST || p.data.length === 1) return [];
    const end = Math.max(...all.slice(0, i).map((q) => (q.from === 'alice' ? q.number : 0))) + 500;
    const missing: number[] = [];
    readRequest(p.data, p.bufferStart, end, { arrived: () => {}, missing: (n) => missing.push(n) });
    return [{ body: p.data, missing, start: p.bufferStart }];
  });
}

test('packet requests (id 1) name exactly what was lost', () => {
  const lost = plains().filter((p) => p.lost && p.data[0] === 161);
  const numbers = [...new Set(lost.map((p) => p.number))];
  assert.equal(numbers.length, 3);
  assert.deepEqual(requests().find((r) => r.missing[0] === numbers[0])!.missing, numbers);
});

test('packet requests reach over 255 packets that arrived', () => {
  const far = requests().find((r) => r.body.includes(0))!;
  assert.equal(hex(far.body), '0101002d'); // missing: the first and the 301st
  assert.deepEqual(far.missing, [far.start, far.start + 300]);
});

test('our packet request for the same losses is the same bytes', () => {
  for (const { body, missing, start } of requests()) {
    const window = new ReceiveWindow(new StoreBudget(1 << 20), start);
    for (let n = start; n < missing.at(-1)!; n++) if (!missing.includes(n)) window.accept(n, Uint8Array.of(160));
    window.extend(missing.at(-1)! + 1);
    const out = new Uint8Array(1373);
    assert.equal(hex(out.subarray(0, window.writeRequest(out))), hex(body));
  }
});

test('a deleted friend gets the offline packet, then the session is killed', () => {
  const alice = plains().filter((p) => p.from === 'alice');
  assert.deepEqual(said(OFFLINE)[0], Uint8Array.of(OFFLINE));
  assert.deepEqual(alice.findLast((p) => p.data[0] !== PACKET_REQUEST)!.data, Uint8Array.of(PACKET_KILL));
});

test('a sealed packet is bound to its nonce', () => {
  const d = golden.packets[0] as GoldenDatagram;
  const key = new Uint8Array(32) as Uint8Array as SharedKey;
  assert.equal(new CryptoDataOpener().open(key, new Uint8Array(24) as Nonce, bytes(d.data)), undefined);
  assert.notEqual(hex(seal(key, new Uint8Array(24) as Nonce, bytes('00'))), '');
});
