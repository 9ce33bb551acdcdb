import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ToxError } from '../../src/core/errors.ts';
import { EvilNetwork } from '../hostile/evil-network.ts';
import { ALIVE, OFFLINE, ONLINE, RawFriend } from '../hostile/raw-friend.ts';
import { numbered, Pair } from '../session/pair.ts';

const seed = fc.integer({ min: 1, max: 2 ** 30 });

test('DHT, onion relay and onion client in a network of liars: no exception, no spinning, bounded traffic', () => {
  fc.assert(
    fc.property(seed, fc.integer({ min: 1, max: 400 }), (n, perSecond) => {
      const evil = new EvilNetwork(n);
      const seconds = 20;
      evil.run(seconds * 1_000, perSecond);
      assert.ok(evil.sent < seconds * (300 + 3 * perSecond), `${evil.sent} sent`);
      assert.ok(!evil.events.some((event) => event.type === 'friend-connection'));
    }),
  );
});

test('two sessions over a link that drops, repeats, delays, reorders, changes and invents packets', () => {
  const link = fc.record({
    latencyMs: fc.integer({ min: 0, max: 300 }),
    jitterMs: fc.integer({ min: 0, max: 200 }),
    loss: fc.double({ min: 0, max: 0.3, noNaN: true }),
    duplicate: fc.double({ min: 0, max: 0.5, noNaN: true }),
  });
  const firstNumber = fc.constantFrom(0, 2 ** 31 - 20, 2 ** 32 - 20);
  const changes = fc.array(fc.record({ nth: fc.nat(6), at: fc.nat(1_400), bits: fc.integer({ min: 1, max: 255 }) }), {
    maxLength: 8,
  });
  fc.assert(
    fc.property(
      seed,
      link,
      firstNumber,
      changes,
      fc.integer({ min: 1, max: 300 }),
      (n, path, first, changed, count) => {
        const pair = new Pair(n, path, { firstNumber: first });
        let sent = 0;
        let injecting = false;
        pair.tap = (from, to, data) => {
          const change = changed[sent++ % 50];
          if (!change || injecting) return true;
          const copy = Uint8Array.from(data);
          copy[change.at % copy.length]! ^= change.bits;
          injecting = true;
          pair.carry(change.nth === 0 ? to : from, to, copy);
          injecting = false;
          return change.nth > 2; // else the honest one is lost
        };
        const { a, b } = pair;
        for (let i = 0; i < 30 && !pair.established(); i++) {
          if (!a.crypto.endpoint(b.realKeys.publicKey)) pair.connect(a, b);
          pair.run(1_000);
        }
        if (!pair.established()) return; // 30 % each way and worse: no matter
        pair.tap = undefined;
        const before = b.lossless.length;
        let offered = 0;
        for (let i = 0; i < 600 && b.lossless.length - before < count && pair.established(); i++) {
          while (offered < count && pair.room() > 0) pair.send(numbered(offered++, 200));
          pair.run(100);
        }
        if (!pair.established()) return;
        assert.equal(b.lossless.length - before, count);
        for (let i = 0; i < count; i++) {
          assert.deepEqual(Buffer.from(b.lossless[before + i]!), Buffer.from(numbered(i, 200)));
        }
      },
    ),
  );
});

/** What a hostile friend may do next, and what the owner of the victim does with its API. */
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ say: fc.uint8Array({ minLength: 1, maxLength: 60 }) }) },
  {
    weight: 6,
    arbitrary: fc
      .tuple(
        fc.constantFrom(16, 18, 24, 25, 48, 49, 50, 51, 64, 65, 80, 81, 82, 160, 191),
        fc.uint8Array({ maxLength: 70 }),
      )
      .map(([id, body]) => ({ say: Uint8Array.of(id, ...body) })),
  },
  {
    weight: 6,
    arbitrary: fc
      .tuple(fc.nat(1), fc.nat(3), fc.nat(4), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }))
      .map(([direction, file, code, position]) => {
        const out = Buffer.alloc(code === 3 ? 12 : 4);
        out.set([81, direction, file, code]);
        if (code === 3) out.writeBigUInt64BE(position % 2n === 0n ? position % 9_000n : position, 4);
        return { say: Uint8Array.from(out) };
      }),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(fc.nat(3), fc.constantFrom(0n, 1n, 1_371n, 5_000n, 2n ** 64n - 1n)).map(([file, size]) => {
      const out = Buffer.alloc(46);
      out.set([80, file]);
      out.writeBigUInt64BE(size, 6);
      return { say: Uint8Array.from(out) };
    }),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.nat(3), fc.constantFrom(0, 1, 1_370, 1_371))
      .map(([file, size]) => ({ say: Uint8Array.of(82, file, ...new Uint8Array(size)) })),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      number: fc.nat(2 ** 32 - 1),
      start: fc.nat(2 ** 32 - 1),
      id: fc.constantFrom(1, 1, 2, 160, 200, 255),
    }),
  },
  { weight: 2, arbitrary: fc.record({ wait: fc.nat(9_000) }) },
  { weight: 1, arbitrary: fc.record({ acknowledges: fc.boolean() }) },
  { weight: 1, arbitrary: fc.constant({ connect: true }) },
  { weight: 4, arbitrary: fc.record({ owner: fc.nat(7), file: fc.nat(3), size: fc.constantFrom(0, 1, 1_371, 5_000) }) },
);

test('a hostile friend and a careless owner: messenger and file transfers keep to their contract', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const friend = new RawFriend();
      for (const each of steps) act(friend, each);
      checkFiles(friend);
      friend.connect();
      friend.lossless(ALIVE);
      friend.lossless(ONLINE);
      assert.ok(friend.online);
      friend.lossless(OFFLINE);
      assert.ok(!friend.online);
    }),
  );
});

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function act(friend: RawFriend, each: Step): void {
  if ('say' in each) {
    if (each.say[0]! > 0) friend.lossless(each.say);
  } else if ('number' in each) friend.packet(Uint8Array.of(each.id, 1, 0, 3), each.number, each.start);
  else if ('wait' in each) friend.wait(each.wait);
  else if ('acknowledges' in each) friend.acknowledges = each.acknowledges;
  else if ('connect' in each) friend.connect();
  else {
    try {
      owner(friend, each.owner, each.file, each.size);
    } catch (error) {
      assert.ok(error instanceof ToxError, String(error));
    }
    friend.drain();
  }
}

function owner(friend: RawFriend, what: number, file: number, size: number): void {
  const { messenger } = friend.victim;
  const { now, key } = friend;
  const incoming = file + 256;
  if (what === 0) messenger.fileSend(now, key, { name: 'x', size: size === 1 ? undefined : size });
  else if (what === 1) messenger.fileControl(now, key, incoming, 'resume');
  else if (what === 2) messenger.fileControl(now, key, size > 1 ? incoming : file, 'pause');
  else if (what === 3) messenger.fileControl(now, key, size > 1 ? incoming : file, 'kill');
  else if (what === 4) messenger.fileWrite(now, key, file, new Uint8Array(size));
  else if (what === 5) messenger.fileEnd(now, key, file);
  else if (what === 6) messenger.fileSeek(now, key, incoming, size);
  else messenger.sendMessage(now, key, 'x');
}

/** Every transfer begins with its offer, brings its bytes in order and within its size, and ends once. */
function checkFiles(friend: RawFriend): void {
  const running = new Map<number, { size: number | undefined; position: number | undefined }>();
  for (const event of friend.events) {
    if (event.type === 'file-offer') {
      assert.ok(!running.has(event.file));
      running.set(event.file, { size: event.size, position: undefined });
    } else if (event.type === 'file-data') {
      const file = running.get(event.file)!;
      assert.ok(file, 'data of an offered file');
      if (file.position !== undefined) assert.equal(event.position, file.position);
      file.position = event.position + event.data.length;
      if (file.size !== undefined) assert.ok(file.position <= file.size);
    } else if ((event.type === 'file-done' || event.type === 'file-aborted') && event.file >= 256) {
      assert.ok(running.delete(event.file));
    } else if (event.type === 'file-control' && event.file >= 256) assert.ok(running.has(event.file));
  }
}
