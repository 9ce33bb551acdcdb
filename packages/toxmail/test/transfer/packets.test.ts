import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DATA_CAPACITY, decode, encode, isHello, offerCapacity, type Packet } from '../../src/transfer/packets.ts';

const id = Uint8Array.from({ length: 16 }, (_, i) => i);
const digest = new Uint8Array(32).fill(0xdd);

/** Bytes written by hand from docs/wire.md. */
const VECTORS: readonly (readonly [string, Packet])[] = [
  [
    'a0 54584d4c 01 01 0040 00080000 00010000 0000000002faf080',
    {
      kind: 'hello',
      version: 1,
      answer: true,
      openTransfers: 64,
      credit: 524_288,
      eagerLimit: 65_536,
      maxSize: 50_000_000,
    },
  ],
  [
    `a1 00000007 000102030405060708090a0b0c0d0e0f 0000000000000bb8 ${'dd'.repeat(32)} 03 05 6269726473 4869`,
    {
      kind: 'offer',
      stream: 7,
      id,
      size: 3_000,
      digest,
      eager: true,
      nullSender: true,
      tag: 'birds',
      data: Buffer.from('Hi'),
    },
  ],
  ['a2 00000007 0000000100000000', { kind: 'accept', stream: 7, offset: 2 ** 32 }],
  [
    'a3 00000007 01c4 04 0002 0002 46756c6c',
    { kind: 'refuse', stream: 7, reply: 452, enhanced: [4, 2, 2], text: 'Full' },
  ],
  ['a4 ffffffff 00ff', { kind: 'data', stream: 0xffff_ffff, data: Uint8Array.of(0, 255) }],
  ['a5 00000007', { kind: 'stored', stream: 7 }],
  ['a6 00000007 01', { kind: 'cancel', stream: 7, forget: true }],
  ['a7 0000000000100000', { kind: 'credit', total: 1_048_576 }],
];

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
const plain = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (_, v) => (v?.type === 'Buffer' ? v.data : v instanceof Uint8Array ? [...v] : v)));

for (const [bytes, packet] of VECTORS) {
  test(`${packet.kind} has the bytes of docs/wire.md in both directions`, () => {
    assert.equal(Buffer.from(encode(packet)).toString('hex'), bytes.replaceAll(' ', ''));
    assert.deepEqual(plain(decode(hex(bytes))), plain(packet));
  });

  test(`${packet.kind}: no truncation is taken for the packet`, () => {
    const whole = hex(bytes);
    const open = packet.kind === 'offer' || packet.kind === 'refuse' || packet.kind === 'data';
    const shortest = packet.kind === 'offer' ? whole.length - 2 : packet.kind === 'data' ? 6 : 12;
    for (let size = 0; size < (open ? shortest : whole.length); size++) {
      assert.equal(decode(whole.subarray(0, size)), undefined, `${size} bytes`);
    }
    if (!open && packet.kind !== 'hello') assert.equal(decode(Buffer.concat([whole, Buffer.from([0])])), undefined);
  });
}

test('random bytes never throw', () => {
  fc.assert(
    fc.property(fc.integer({ min: 158, max: 170 }), fc.uint8Array({ maxLength: 1_400 }), (kind, rest) => {
      decode(Uint8Array.of(kind, ...rest));
      isHello(Uint8Array.of(kind, ...rest));
    }),
  );
});

test('numbers and texts out of range are no packets', () => {
  const refuse = (patch: Partial<Packet & { kind: 'refuse' }>): Uint8Array =>
    encode({ kind: 'refuse', stream: 1, reply: 550, enhanced: [5, 1, 1], text: 'no', ...patch });
  assert.ok(decode(refuse({})));
  assert.equal(decode(refuse({ reply: 250, enhanced: [2, 0, 0] })), undefined);
  assert.equal(decode(refuse({ reply: 450 })), undefined);
  assert.equal(decode(refuse({ enhanced: [5, 1_000, 0] })), undefined);
  const withNewline = Buffer.from(refuse({}));
  withNewline[12] = 0x0a;
  assert.equal(decode(withNewline), undefined);
  assert.equal(decode(hex('a2 00000007 ffffffffffffffff')), undefined);
  assert.equal(decode(hex('a0 54584d4c 00 00 0040 00080000 00010000 0000000002faf080')), undefined);
  const emptyMail = hex(VECTORS[1]![0]);
  emptyMail.fill(0, 21, 29);
  assert.equal(decode(emptyMail), undefined);
});

test('our own refusal texts lose line breaks and are cut between characters', () => {
  const packet = decode(
    encode({ kind: 'refuse', stream: 1, reply: 451, enhanced: [4, 3, 0], text: `a\r\nb${'é'.repeat(300)}` }),
  );
  assert.ok(packet?.kind === 'refuse' && packet.text.startsWith('a bé') && Buffer.byteLength(packet.text) <= 400);
});

test('full packets have 1373 bytes', () => {
  assert.equal(encode({ kind: 'data', stream: 1, data: new Uint8Array(DATA_CAPACITY) }).length, 1_373);
  const tag = 'é'.repeat(127);
  const data = new Uint8Array(offerCapacity(tag));
  const offer = { stream: 1, id, size: 9_999, digest, eager: true, nullSender: false, tag, data };
  assert.equal(encode({ kind: 'offer', ...offer }).length, 1_373);
});
