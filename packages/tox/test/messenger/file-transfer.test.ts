import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ToxError } from '../../src/core/errors.ts';
import { FILE_CHUNK_SIZE, FILE_CONTROL, FILE_DATA } from '../../src/packet/messenger.ts';
import { testEnv } from '../../src/testing/test-env.ts';
import { type End, Pair, receiver, sender } from './pair.ts';

const env = testEnv(7);
const fileId = env.random(32);
const SIZES = [0, 1, 1370, 1371, 1372, 2742, 100 * 1024];

function offer(end: End, size: number | undefined): number {
  return end.messenger.fileSend(0, end.peer.key, { size, fileId, name: 'mail.eml' });
}

function kindOf(error: unknown): string {
  assert.ok(error instanceof ToxError, String(error));
  return error.kind;
}

function dataSizes(end: End): number[] {
  return end.sent.filter((p) => p[0] === FILE_DATA).map((p) => p.length - 2);
}

for (const size of SIZES) {
  for (const step of [size, 1000, 1371]) {
    test(`${size} bytes arrive whole when written ${step} at a time, in chunks of 1371 but the last`, () => {
      const pair = new Pair();
      const content = env.random(size);
      sender(pair.a, content, { step: Math.max(step, 1) });
      const got = receiver(pair.b);
      const file = offer(pair.a, size);
      pair.run();
      assert.deepEqual(got.bytes(), content);
      assert.deepEqual(pair.a.of('file-done'), [{ type: 'file-done', friend: pair.b.key, file }]);
      assert.deepEqual(pair.b.of('file-done'), [{ type: 'file-done', friend: pair.a.key, file: file + 256 }]);
      const chunks = dataSizes(pair.a);
      assert.ok(chunks.slice(0, -1).every((n) => n === FILE_CHUNK_SIZE));
      assert.equal(chunks.length, Math.max(1, Math.ceil(size / FILE_CHUNK_SIZE)));
    });
  }

  test(`a stream of unknown size ends right after ${size} bytes`, () => {
    const pair = new Pair();
    const content = env.random(size);
    sender(pair.a, content, { step: 700, stream: true });
    const got = receiver(pair.b);
    offer(pair.a, undefined);
    pair.run();
    assert.equal(pair.b.of('file-offer')[0]?.size, undefined);
    assert.deepEqual(got.bytes(), content);
    assert.equal(pair.a.of('file-done').length, 1);
    assert.equal(pair.b.of('file-done').length, 1);
    assert.ok(dataSizes(pair.a).at(-1)! < FILE_CHUNK_SIZE, 'the last chunk is short or empty');
  });

  if (size < 2) continue;
  test(`a receiver that seeks gets the rest of ${size} bytes`, () => {
    for (const start of [1, size >> 1, size - 1]) {
      const pair = new Pair();
      const content = env.random(size);
      sender(pair.a, content);
      const got = receiver(pair.b, start);
      offer(pair.a, size);
      pair.run();
      assert.deepEqual(got.bytes(), content.subarray(start));
      assert.equal(pair.a.of('file-done').length, 1);
    }
  });
}

test('the offer arrives as it was made', () => {
  const pair = new Pair();
  const file = pair.a.messenger.fileSend(0, pair.b.key, { kind: 1, size: 5, fileId, name: 'Grüße.txt' });
  pair.run();
  assert.deepEqual(pair.b.of('file-offer'), [
    { type: 'file-offer', friend: pair.a.key, file: file + 256, kind: 1, size: 5, fileId, name: 'Grüße.txt' },
  ]);
});

test('done is said to the sender only when the last packet is acknowledged', () => {
  const pair = new Pair();
  sender(pair.a, env.random(10));
  receiver(pair.b);
  offer(pair.a, 10);
  for (let i = 0; i < 3; i++) {
    pair.a.deliver();
    pair.b.handle();
    pair.b.deliver();
    pair.a.acknowledge();
    pair.a.handle();
    if (dataSizes(pair.a).length > 0) break;
  }
  assert.deepEqual(dataSizes(pair.a), [10]);
  assert.equal(pair.a.of('file-done').length, 0);
  pair.a.deliver();
  pair.b.handle();
  assert.equal(pair.b.of('file-done').length, 1);
  assert.equal(pair.a.of('file-done').length, 0);
  pair.a.acknowledge();
  assert.equal(pair.a.of('file-done').length, 1);
});

test('packet numbers that wrap around do not confuse completion', () => {
  const pair = new Pair({ firstNumber: 2 ** 32 - 10 });
  const content = env.random(50_000);
  sender(pair.a, content);
  const got = receiver(pair.b);
  offer(pair.a, content.length);
  pair.run();
  assert.deepEqual(got.bytes(), content);
  assert.equal(pair.a.of('file-done').length, 1);
});

test('a write takes no more than there is room for, and says when there is room again', () => {
  const pair = new Pair();
  pair.a.window = 8;
  const content = env.random(100 * FILE_CHUNK_SIZE);
  receiver(pair.b);
  const file = offer(pair.a, content.length);
  for (let i = 0; i < 3; i++) {
    pair.a.deliver();
    pair.a.acknowledge();
    pair.b.handle();
    pair.b.deliver();
  }
  assert.equal(pair.a.of('file-writable').length, 1);
  assert.equal(pair.a.messenger.fileWrite(0, pair.b.key, file, content), 8 * FILE_CHUNK_SIZE);
  assert.equal(pair.a.messenger.fileWrite(0, pair.b.key, file, content.subarray(8 * FILE_CHUNK_SIZE)), 0);
  pair.a.deliver();
  pair.a.acknowledge();
  assert.deepEqual(
    pair.a.of('file-writable').map((e) => e.position),
    [0, 8 * FILE_CHUNK_SIZE],
  );
});

test('several files to one friend all arrive through a narrow window, none starves', () => {
  const pair = new Pair();
  pair.a.window = 4;
  const contents = [0, 1, 2, 3, 4].map((i) => env.random(30_000 + i));
  const got = new Map<number, Uint8Array[]>();
  const finished: number[] = [];
  pair.a.onEvent = (event) => {
    if (event.type !== 'file-writable') return;
    pair.a.messenger.fileWrite(0, event.friend, event.file, contents[event.file]!.subarray(event.position));
  };
  let most = 0;
  pair.b.onEvent = (event) => {
    if (event.type === 'file-offer') pair.b.messenger.fileControl(0, event.friend, event.file, 'resume');
    if (event.type === 'file-done') finished.push(event.file);
    if (event.type !== 'file-data') return;
    got.set(event.file, [...(got.get(event.file) ?? []), event.data]);
    const counts = [...got.values()].map((parts) => parts.length);
    if (counts.length === 5) most = Math.max(most, Math.max(...counts) - Math.min(...counts));
  };
  for (const content of contents) offer(pair.a, content.length);
  pair.run();
  assert.equal(finished.length, 5);
  contents.forEach((content, i) => {
    assert.deepEqual(new Uint8Array(Buffer.concat(got.get(i + 256)!)), content);
  });
  assert.ok(most <= 12, `one file was ${most} chunks ahead of another`);
});

for (const who of ['sender', 'receiver'] as const) {
  test(`a pause of the ${who} stops the data, and only the ${who} can lift it`, () => {
    const pair = new Pair();
    pair.a.window = 4;
    const content = env.random(40 * FILE_CHUNK_SIZE);
    sender(pair.a, content);
    const got = receiver(pair.b);
    const accept = pair.b.onEvent;
    const file = offer(pair.a, content.length);
    const [pauser, pausersFile] = who === 'sender' ? [pair.a, file] : [pair.b, file + 256];
    let paused = false;
    pair.b.onEvent = (event) => {
      accept(event);
      if (event.type !== 'file-data' || paused || event.position < 5 * FILE_CHUNK_SIZE) return;
      paused = true;
      pauser.messenger.fileControl(0, pauser.peer.key, pausersFile, 'pause');
    };
    pair.run();
    const stopped = got.bytes().length;
    assert.ok(stopped > 0 && stopped < content.length);
    assert.equal(pauser.peer.of('file-control').at(-1)?.control, 'pause');
    // The other side resumes in vain.
    const other = pauser.peer;
    other.messenger.fileControl(0, pauser.key, who === 'sender' ? file + 256 : file, 'resume');
    pair.run();
    assert.equal(got.bytes().length, stopped);
    pauser.messenger.fileControl(0, other.key, pausersFile, 'resume');
    pair.run();
    assert.equal(other.of('file-control').at(-1)?.control, 'resume');
    assert.deepEqual(got.bytes(), content);
    assert.equal(pair.a.of('file-done').length, 1);
  });

  test(`a kill by the ${who} ends both sides and frees the number`, () => {
    const pair = new Pair();
    const file = offer(pair.a, 100_000);
    pair.run();
    const [killer, killersFile] = who === 'sender' ? [pair.a, file] : [pair.b, file + 256];
    const other = killer.peer;
    killer.messenger.fileControl(0, other.key, killersFile, 'kill');
    pair.run();
    assert.deepEqual(
      other.of('file-aborted').map((e) => e.reason),
      ['killed'],
    );
    assert.equal(killer.of('file-aborted').length, 0);
    assert.throws(
      () => killer.messenger.fileControl(0, other.key, killersFile, 'kill'),
      (e) => kindOf(e) === 'unknown-file',
    );
    assert.equal(offer(pair.a, 1), file);
  });
}

test('both sides pause: the transfer goes on only after both resumed', () => {
  const pair = new Pair();
  const file = offer(pair.a, 10);
  pair.run();
  pair.b.messenger.fileControl(0, pair.a.key, file + 256, 'resume');
  pair.run();
  pair.a.messenger.fileControl(0, pair.b.key, file, 'pause');
  pair.b.messenger.fileControl(0, pair.a.key, file + 256, 'pause');
  pair.run();
  pair.a.messenger.fileControl(0, pair.b.key, file, 'resume');
  pair.run();
  assert.equal(pair.a.messenger.fileWrite(0, pair.b.key, file, new Uint8Array(10)), 0);
  pair.b.messenger.fileControl(0, pair.a.key, file + 256, 'resume');
  pair.run();
  assert.equal(pair.a.messenger.fileWrite(0, pair.b.key, file, new Uint8Array(10)), 10);
});

test('kills that cross each other come to rest', () => {
  const pair = new Pair();
  const file = offer(pair.a, 10);
  pair.run();
  pair.a.messenger.fileControl(0, pair.b.key, file, 'kill');
  pair.b.messenger.fileControl(0, pair.a.key, file + 256, 'kill');
  pair.run();
});

test('a lost connection aborts every transfer, and the same file can be offered again and resumed', () => {
  const pair = new Pair();
  pair.a.window = 4;
  const content = env.random(50_000);
  sender(pair.a, content);
  const first = receiver(pair.b);
  offer(pair.a, content.length);
  for (let i = 0; i < 6; i++) for (const end of [pair.a, pair.b]) end.handle() || end.deliver() || end.acknowledge();
  pair.disconnect();
  const had = first.bytes();
  assert.ok(had.length < content.length);
  assert.equal(pair.a.of('file-aborted')[0]?.reason, 'offline');
  assert.equal(pair.b.of('file-aborted')[0]?.reason, 'offline');
  const rest = receiver(pair.b, had.length);
  pair.connect();
  offer(pair.a, content.length);
  pair.run();
  assert.deepEqual(Buffer.concat([had, rest.bytes()]), Buffer.from(content));
  assert.deepEqual(pair.b.of('file-offer').at(-1)?.fileId, fileId);
});

test('at most 256 files go each way, the next is refused', () => {
  const pair = new Pair();
  pair.a.window = 1000;
  const numbers = new Set(Array.from({ length: 256 }, () => offer(pair.a, 1)));
  assert.equal(numbers.size, 256);
  assert.throws(
    () => offer(pair.a, 1),
    (e) => kindOf(e) === 'limit',
  );
  pair.run();
  assert.equal(pair.b.of('file-offer').length, 256);
});

test('misuse is refused with a kind', () => {
  const pair = new Pair();
  const { messenger } = pair.a;
  const to = pair.b.key;
  const refused = (act: () => unknown, kind: string) => assert.throws(act, (e) => kindOf(e) === kind);
  refused(() => messenger.fileSend(0, to, { size: -1, name: 'x' }), 'bad-argument');
  refused(() => messenger.fileSend(0, to, { size: 1.5, name: 'x' }), 'bad-argument');
  refused(() => messenger.fileSend(0, to, { size: 1, name: 'ä'.repeat(128) }), 'bad-argument');
  refused(() => messenger.fileSend(0, to, { size: 1, name: 'x', fileId: new Uint8Array(31) }), 'bad-argument');
  const file = offer(pair.a, 5);
  refused(() => messenger.fileSeek(0, to, file, 1), 'bad-argument');
  refused(() => messenger.fileControl(0, to, file, 'resume'), 'bad-argument');
  refused(() => messenger.fileEnd(0, to, file), 'bad-argument');
  refused(() => messenger.fileWrite(0, to, file, new Uint8Array(6)), 'bad-argument');
  refused(() => messenger.fileWrite(0, to, 77, new Uint8Array(1)), 'unknown-file');
  pair.run();
  const theirs = file + 256;
  refused(() => pair.b.messenger.fileSeek(0, pair.a.key, theirs, 5), 'bad-argument');
  refused(() => pair.b.messenger.fileControl(0, pair.a.key, theirs, 'pause'), 'bad-argument');
  refused(() => pair.b.messenger.fileWrite(0, pair.a.key, theirs, new Uint8Array(1)), 'bad-argument');
  pair.b.messenger.fileControl(0, pair.a.key, theirs, 'resume');
  refused(() => pair.b.messenger.fileSeek(0, pair.a.key, theirs, 1), 'bad-argument');
  assert.equal(messenger.fileWrite(0, to, file, new Uint8Array(5)), 0, 'nothing is taken before the friend accepts');
});

// A friend that breaks the rules.

function feed(pair: Pair, ...packets: number[][]): void {
  for (const packet of packets) pair.b.messenger.onLossless(0, pair.a.key, Uint8Array.from(packet));
}

test('a control for a file that does not exist is answered with a kill, but a kill is not', () => {
  const pair = new Pair();
  const before = pair.b.sent.length;
  feed(pair, [FILE_CONTROL, 1, 9, 0], [FILE_CONTROL, 0, 8, 1], [FILE_CONTROL, 0, 7, 2]);
  assert.deepEqual(
    pair.b.sent.slice(before).map((p) => [...p]),
    [
      [FILE_CONTROL, 0, 9, 2],
      [FILE_CONTROL, 1, 8, 2],
    ],
  );
});

test('more bytes than were offered are cut off', () => {
  const pair = new Pair();
  const file = offer(pair.a, 3);
  pair.run();
  pair.b.messenger.fileControl(0, pair.a.key, file + 256, 'resume');
  feed(pair, [FILE_DATA, file, ...new Array(1371).fill(7)], [FILE_DATA, file, 1, 2, 3]);
  assert.deepEqual(
    pair.b.of('file-data').map((e) => [...e.data]),
    [[7, 7, 7]],
  );
  assert.equal(pair.b.of('file-done').length, 1);
});

test('a file that ends before its offered size counts as broken, not as done', () => {
  const pair = new Pair();
  const file = offer(pair.a, 5000);
  pair.run();
  pair.b.messenger.fileControl(0, pair.a.key, file + 256, 'resume');
  feed(pair, [FILE_DATA, file, 1, 2, 3]);
  assert.equal(pair.b.of('file-done').length, 0);
  assert.deepEqual(
    pair.b.of('file-aborted').map((e) => e.reason),
    ['broken'],
  );
});

test('data before acceptance, a second offer under a used number, and a seek beyond the end are ignored', () => {
  const pair = new Pair();
  const file = offer(pair.a, 5);
  pair.run();
  feed(pair, [FILE_DATA, file, 1, 2]);
  assert.equal(pair.b.of('file-data').length, 0);
  pair.b.messenger.onLossless(0, pair.a.key, pair.a.sent.find((p) => p[0] === 80)!);
  assert.equal(pair.b.of('file-offer').length, 1);
  pair.a.messenger.onLossless(0, pair.b.key, Uint8Array.from([FILE_CONTROL, 1, file, 3, 0, 0, 0, 0, 0, 0, 0, 5]));
  pair.a.messenger.onLossless(0, pair.b.key, Uint8Array.from([FILE_CONTROL, 1, file, 0]));
  assert.equal(pair.a.of('file-writable')[0]?.position, 0);
});

test('an absurd size is refused with a kill', () => {
  const pair = new Pair();
  const packet = pair.a.messenger;
  packet.fileSend(0, pair.b.key, { size: 1, name: 'x', fileId });
  const request = pair.a.sent.at(-1)!.slice();
  request[1] = 99;
  request.fill(0x7f, 6, 14);
  pair.b.messenger.onLossless(0, pair.a.key, request);
  assert.deepEqual([...pair.b.sent.at(-1)!], [FILE_CONTROL, 1, 99, 2]);
  assert.equal(pair.b.of('file-offer').length, 0);
});

test('no sequence of file packets makes a messenger throw, and it keeps at most 256 transfers each way', () => {
  const bodies = fc.tuple(
    fc.constantFrom(80, 81, 82),
    fc.nat(3),
    fc.nat(3),
    fc.nat(4),
    fc.uint8Array({ maxLength: 60 }),
  );
  fc.assert(
    fc.property(fc.array(bodies, { maxLength: 60 }), (list) => {
      const pair = new Pair();
      pair.b.onEvent = (event) => {
        if (event.type === 'file-offer') pair.b.messenger.fileControl(0, event.friend, event.file, 'resume');
      };
      offer(pair.b, 3000);
      for (const [id, x, y, z, rest] of list) {
        feed(pair, [id, x, y, z, ...rest]);
        pair.b.handle();
      }
    }),
    { numRuns: 200 },
  );
});

test('any mix of writes, pauses and windows delivers the same bytes', () => {
  fc.assert(
    fc.property(
      fc.nat(20_000),
      fc.integer({ min: 1, max: 5000 }),
      fc.integer({ min: 1, max: 40 }),
      fc.boolean(),
      fc.array(fc.nat(20), { maxLength: 6 }),
      (size, step, window, stream, pauses) => {
        const pair = new Pair();
        pair.a.window = window;
        const content = env.random(size);
        sender(pair.a, content, { step, stream });
        const got = receiver(pair.b);
        const accept = pair.b.onEvent;
        let chunks = 0;
        pair.b.onEvent = (event) => {
          accept(event);
          if (event.type !== 'file-data' || !pauses.includes(chunks++)) return;
          if (pair.b.of('file-done').length > 0) return;
          pair.b.messenger.fileControl(0, event.friend, event.file, 'pause');
          pair.b.messenger.fileControl(0, event.friend, event.file, 'resume');
        };
        offer(pair.a, stream ? undefined : size);
        pair.run();
        assert.deepEqual(got.bytes(), content);
        assert.equal(pair.a.of('file-done').length, 1);
      },
    ),
    { numRuns: 100 },
  );
});
