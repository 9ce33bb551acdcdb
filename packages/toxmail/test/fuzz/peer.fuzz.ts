import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { settle, VirtualScheduler } from '../../src/testing/virtual-scheduler.ts';
import { decode, encode, type Packet } from '../../src/transfer/packets.ts';
import { ALICE, mailOf, Station, Wire } from '../transfer/pair.ts';

const stream = fc.integer({ min: 0, max: 5 });
const data = fc.uint8Array({ minLength: 1, maxLength: 1_368 });
const size = fc.constantFrom(1, 60, 1_000, 70_000, 100_000, 2 ** 40);

const packet: fc.Arbitrary<Packet> = fc.oneof(
  fc.record({
    kind: fc.constant('hello' as const),
    version: fc.integer({ min: 1, max: 255 }),
    answer: fc.boolean(),
    openTransfers: fc.constantFrom(0, 1, 64, 65_535),
    credit: fc.constantFrom(0, 1, 5_000, 2 ** 32 - 1),
    eagerLimit: fc.constantFrom(0, 100, 2 ** 32 - 1),
    maxSize: fc.constantFrom(0, 1_000, 2 ** 50),
  }),
  fc
    .record({ stream, size, eager: fc.boolean(), nullSender: fc.boolean(), data, same: fc.boolean() })
    .map((p): Packet => {
      const { same, ...more } = p;
      const body = p.eager ? p.data.subarray(0, 1_200) : new Uint8Array(0);
      const id = same ? Buffer.alloc(16, p.stream) : randomBytes(16);
      return { kind: 'offer', id, digest: createHash('sha256').update(p.data).digest(), tag: '', ...more, data: body };
    }),
  fc.record({
    kind: fc.constant('accept' as const),
    stream,
    offset: fc.constantFrom(0, 1, 500, 99_999, 100_000, 2 ** 50),
  }),
  fc.record({ kind: fc.constant('data' as const), stream, data }),
  fc.record({ kind: fc.constant('stored' as const), stream }),
  fc
    .record({ stream, reply: fc.integer({ min: 400, max: 599 }) })
    .map((p): Packet => ({ kind: 'refuse', ...p, enhanced: [Math.floor(p.reply / 100), 1, 2], text: 'no' })),
  fc.record({ kind: fc.constant('cancel' as const), stream, forget: fc.boolean() }),
  fc.record({ kind: fc.constant('credit' as const), total: fc.constantFrom(0, 1, 10_000, 2 ** 50) }),
);

const step = fc.oneof(
  { weight: 12, arbitrary: packet.map((p) => ({ bytes: encode(p) })) },
  {
    weight: 2,
    arbitrary: fc
      .uint8Array({ minLength: 1, maxLength: 1_373 })
      .map((bytes) => ({ bytes: Uint8Array.of(160 + (bytes[0]! % 8), ...bytes) })),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(packet, fc.nat(1_373), fc.nat(255)).map(([p, at, value]) => {
      const bytes = Uint8Array.from(encode(p));
      bytes[at % bytes.length] = value;
      return { bytes };
    }),
  },
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 5 }).map((turns) => ({ turns })) },
  { weight: 1, arbitrary: fc.constantFrom(1, 11_000, 31_000, 200_000).map((ms) => ({ ms })) },
  {
    weight: 1,
    arbitrary: fc.constantFrom('reconnect' as const, 'deliver' as const, 'abort' as const).map((act) => ({ act })),
  },
);

test('mail transfer: any bytes are a packet or none, and packets survive the way through bytes', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 1_500 }),
        step.map((s) => ('bytes' in s ? s.bytes : new Uint8Array(1))),
      ),
      (bytes) => {
        const found = decode(bytes);
        if (!found) return;
        assert.deepEqual(decode(encode(found)), found);
        if ('text' in found || 'tag' in found) {
          // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
          assert.ok(!/[\u0000-\u001f\u007f-\u009f]/.test('text' in found ? found.text : found.tag));
        }
      },
    ),
  );
});

test('mail transfer: a hostile contact, while we take its mail and send ours, gets nothing stored but what was whole', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const wire = new Wire();
      const time = new VirtualScheduler();
      const bob = new Station(wire.ends.bob, time);
      await bob.start();
      let stored = 0;
      let abort = new AbortController();
      const outcomes: Promise<unknown>[] = [];
      try {
        wire.ends.alice.handlers = {
          online() {},
          offline() {},
          writable() {},
          packet: (_peer, bytes) => {
            const said = decode(Uint8Array.from(bytes));
            assert.ok(said, 'what we say is always a packet');
            if (said.kind === 'stored') stored++;
          },
        };
        wire.connect();
        for (const each of steps) {
          if ('bytes' in each) bob.end.handlers.packet(ALICE, each.bytes);
          else if ('turns' in each) await settle(each.turns);
          else if ('ms' in each) await time.advance(each.ms);
          else if (each.act === 'reconnect') {
            wire.cut();
            wire.connect();
          } else if (each.act === 'deliver') {
            outcomes.push(
              bob.transfer.deliver(bob.job(ALICE, mailOf(outcomes.length % 2 ? 500 : 100_000)), () => {}, abort.signal),
            );
          } else {
            abort.abort();
            abort = new AbortController();
          }
        }
        wire.cut();
        abort.abort();
        await Promise.all(outcomes);
        await bob.transfer.stop();
        assert.ok(bob.mails().length <= stored + 64);
        for (const mail of bob.mails()) assert.ok(mail.includes('From: Alice <alice@tox>\r\n'));
        assert.deepEqual(bob.tmp(), []);
        assert.ok(bob.partials().length <= 16);
      } finally {
        await bob.stop();
        bob.remove();
      }
    }),
  );
});
