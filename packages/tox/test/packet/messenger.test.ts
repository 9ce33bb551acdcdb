import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { toHex } from '../../src/crypto/keys.ts';
import {
  decodeFileControl,
  decodeFileRequest,
  encodeFileControl,
  encodeFileDataInto,
  encodeFileRequest,
} from '../../src/packet/messenger.ts';

const fileId = Uint8Array.from({ length: 32 }, (_, i) => i);
const HEX_ID = '000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F';

test('a file request stands on the wire as the protocol has it', () => {
  const request = { number: 7, kind: 1, size: 0x1_0000_0002, fileId, name: Uint8Array.of(0x61, 0x62) };
  const packet = encodeFileRequest(request);
  assert.equal(toHex(packet), `5007000000010000000100000002${HEX_ID}6162`);
  assert.deepEqual(decodeFileRequest(packet), request);
  const stream = encodeFileRequest({ ...request, size: undefined });
  assert.equal(toHex(stream.subarray(6, 14)), 'FFFFFFFFFFFFFFFF');
  assert.equal(decodeFileRequest(stream)?.size, undefined);
});

test('a file request that is cut, has too long a name or an absurd size is refused', () => {
  const packet = encodeFileRequest({ number: 0, kind: 0, size: 1, fileId, name: new Uint8Array(255) });
  for (let length = 0; length < 46; length++) {
    assert.equal(decodeFileRequest(packet.subarray(0, length)), undefined, `${length} bytes`);
  }
  assert.ok(decodeFileRequest(packet));
  assert.equal(decodeFileRequest(new Uint8Array([...packet, 0])), undefined);
  packet[6] = 0x7f;
  assert.equal(decodeFileRequest(packet), undefined);
});

test('file controls stand on the wire as the protocol has them', () => {
  const hex = (...args: Parameters<typeof encodeFileControl>) => toHex(encodeFileControl(...args));
  assert.equal(hex({ byReceiver: true, number: 3, code: 'accept' }), '51010300');
  assert.equal(hex({ byReceiver: false, number: 255, code: 'pause' }), '5100FF01');
  assert.equal(hex({ byReceiver: false, number: 0, code: 'kill' }), '51000002');
  assert.equal(hex({ byReceiver: true, number: 1, code: 'seek', position: 0x1_0000_0000 }), '510101030000000100000000');
  const seek = { byReceiver: true, number: 1, code: 'seek', position: 1371 } as const;
  const packet = encodeFileControl(seek);
  assert.deepEqual(decodeFileControl(packet), seek);
  for (let length = 0; length < packet.length; length++) {
    assert.equal(decodeFileControl(packet.subarray(0, length)), undefined, `${length} bytes`);
  }
  assert.equal(decodeFileControl(new Uint8Array([...packet, 0])), undefined);
  assert.equal(decodeFileControl(Uint8Array.of(81, 0, 0, 4)), undefined);
});

test('file data is id, number and bytes', () => {
  const out = new Uint8Array(1373);
  assert.equal(toHex(encodeFileDataInto(out, 9, Uint8Array.of(1, 2), Uint8Array.of(3))), '5209010203');
  assert.equal(toHex(encodeFileDataInto(out, 9, new Uint8Array(0), new Uint8Array(0))), '5209');
});

test('no bytes make a decoder throw', () => {
  fc.assert(
    fc.property(fc.constantFrom(80, 81, 82), fc.uint8Array({ maxLength: 400 }), (id, rest) => {
      decodeFileRequest(Uint8Array.of(id, ...rest));
      decodeFileControl(Uint8Array.of(id, ...rest));
    }),
  );
});
