import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ToxError } from '../../src/core/errors.ts';
import { generateKeyPair } from '../../src/crypto/keys.ts';
import { MAX_FRIENDS, Messenger } from '../../src/messenger/messenger.ts';
import { makeToxId, type Nospam, toxIdNospam } from '../../src/messenger/tox-id.ts';
import { ONLINE } from '../../src/packet/messenger.ts';
import { testEnv } from '../../src/testing/test-env.ts';
import { End, friendRecord, Pair } from './pair.ts';

const env = testEnv(9);
const utf8 = (text: string) => new TextEncoder().encode(text);

function kind(expected: string): (error: unknown) => boolean {
  return (error) => error instanceof ToxError && error.kind === expected;
}

function feed(pair: Pair, ...packets: (number[] | Uint8Array)[]): void {
  for (const packet of packets) pair.b.messenger.onLossless(0, pair.a.key, Uint8Array.from(packet));
}

test('friends see each other online, with name, status and status message', () => {
  const pair = new Pair({ connect: false });
  pair.a.messenger.setName(0, 'Zoë');
  pair.a.messenger.setStatusMessage(0, 'reads mail');
  pair.a.messenger.setStatus(0, 'away');
  pair.connect();
  assert.deepEqual(pair.a.of('friend-connection'), [
    { type: 'friend-connection', friend: pair.b.key, online: true, connection: 'udp' },
  ]);
  const seen = pair.b.messenger.friend(pair.a.key)!;
  assert.deepEqual([seen.online, seen.name, seen.statusMessage, seen.status], [true, 'Zoë', 'reads mail', 'away']);
  pair.a.messenger.setName(0, 'Zoe');
  pair.a.messenger.setStatus(0, 'none');
  pair.a.messenger.setTyping(0, pair.b.key, true);
  pair.run();
  assert.equal(pair.b.of('friend-name').at(-1)?.name, 'Zoe');
  assert.equal(pair.b.of('friend-status').at(-1)?.status, 'none');
  assert.equal(pair.b.of('friend-typing').at(-1)?.typing, true);
});

test('"online" is said upon connecting and again when the friend says it, and nothing passes before', () => {
  const pair = new Pair({ connect: false });
  pair.b.connected = true;
  pair.b.messenger.onConnected(0, pair.a.key);
  assert.deepEqual(pair.b.sent, [Uint8Array.of(ONLINE)]);
  feed(pair, [64, 65], [48, 65], [160, 1], [ONLINE, 0], []);
  assert.deepEqual(pair.b.events, []);
  feed(pair, [ONLINE]);
  assert.deepEqual(pair.b.sent[1], Uint8Array.of(ONLINE));
  assert.equal(pair.b.of('friend-connection').length, 1);
  feed(pair, [ONLINE], [64, 65]);
  assert.equal(pair.b.of('friend-connection').length, 1);
  assert.equal(pair.b.of('message').length, 1);
});

test('"offline" ends the friend\'s presence until "online" comes again', () => {
  const pair = new Pair();
  feed(pair, [25, 1], [64, 65]);
  assert.equal(pair.b.of('message').length, 1, 'a packet 25 with a body means nothing');
  feed(pair, [25], [64, 65], [ONLINE], [64, 66]);
  assert.deepEqual(
    pair.b.of('friend-connection').map((e) => e.online),
    [true, false, true],
  );
  assert.deepEqual(
    pair.b.of('message').map((e) => e.text),
    ['A', 'B'],
  );
});

test('texts and actions arrive in order, at every allowed length, with a receipt each', () => {
  const pair = new Pair();
  const texts = ['x', 'Grüße 👋', 'y'.repeat(1371), 'z'.repeat(1372)];
  const ids = texts.map((text, i) => pair.a.messenger.sendMessage(0, pair.b.key, text, i === 1));
  assert.equal(pair.a.of('receipt').length, 0);
  pair.run();
  assert.deepEqual(
    pair.b.of('message').map((e) => [e.text, e.action]),
    texts.map((text, i) => [text, i === 1]),
  );
  assert.deepEqual(
    pair.a.of('receipt').map((e) => e.id),
    ids,
  );
});

test('receipts match their messages where packet numbers wrap', () => {
  const pair = new Pair({ firstNumber: 2 ** 32 - 8 });
  const ids = Array.from({ length: 20 }, (_, i) => pair.a.messenger.sendMessage(0, pair.b.key, `${i}`));
  pair.run();
  assert.deepEqual(
    pair.a.of('receipt').map((e) => e.id),
    ids,
  );
});

test('messages that were not acknowledged before the friend went offline get no receipt', () => {
  const pair = new Pair();
  pair.a.messenger.sendMessage(0, pair.b.key, 'lost');
  pair.disconnect();
  pair.connect();
  assert.equal(pair.a.of('receipt').length, 0);
});

test('a full window refuses a message and a custom packet, and "writable" says when to try again', () => {
  const pair = new Pair();
  pair.a.window = 2;
  const packet = Uint8Array.of(160, 1, 2);
  assert.equal(pair.a.messenger.sendLossless(0, pair.b.key, packet), true);
  assert.equal(pair.a.messenger.sendLossless(0, pair.b.key, packet), true);
  assert.equal(pair.a.messenger.sendLossless(0, pair.b.key, packet), false);
  assert.equal(pair.a.messenger.sendMessage(0, pair.b.key, 'x'), undefined);
  assert.equal(pair.a.of('writable').length, 0);
  pair.run();
  assert.equal(pair.a.of('writable').length, 1);
  assert.equal(pair.a.messenger.sendLossless(0, pair.b.key, packet), true);
  pair.run();
  assert.equal(pair.a.of('writable').length, 1, 'said once for one refusal');
  assert.equal(pair.b.of('lossless').length, 3);
});

test('name and status that found no room arrive later, the latest only', () => {
  const pair = new Pair();
  pair.a.window = 1;
  for (const name of ['one', 'two', 'three']) pair.a.messenger.setName(0, name);
  pair.a.messenger.setStatus(0, 'busy');
  pair.run();
  assert.deepEqual(
    pair.b.of('friend-name').map((e) => e.name),
    ['one', 'three'],
  );
  assert.equal(pair.b.of('friend-status').at(-1)?.status, 'busy');
});

test('custom packets keep their bytes after the session reuses its memory', () => {
  const pair = new Pair();
  const data = Uint8Array.from({ length: 1373 }, (_, i) => i);
  data[0] = 191;
  pair.a.messenger.sendLossless(0, pair.b.key, data);
  pair.a.messenger.sendLossless(0, pair.b.key, Uint8Array.of(160));
  pair.run();
  assert.deepEqual(
    pair.b.of('lossless').map((e) => e.data),
    [data, Uint8Array.of(160)],
  );
  data[0] = 200;
  pair.a.messenger.sendLossy(0, pair.b.key, data);
  assert.deepEqual(pair.b.of('lossy')[0]?.data, data);
});

test('what the protocol does not allow is refused with a kind', () => {
  const pair = new Pair();
  const { messenger } = pair.a;
  const to = pair.b.key;
  const stranger = generateKeyPair(env).publicKey;
  assert.throws(() => messenger.sendMessage(0, to, ''), kind('bad-argument'));
  assert.throws(() => messenger.sendMessage(0, to, 'x'.repeat(1373)), kind('bad-argument'));
  assert.throws(() => messenger.sendMessage(0, stranger, 'x'), kind('unknown-friend'));
  for (const id of [0, 16, 64, 159, 192, 255]) {
    assert.throws(() => messenger.sendLossless(0, to, Uint8Array.of(id)), kind('bad-argument'));
  }
  for (const id of [0, 160, 191, 199, 255]) {
    assert.throws(() => messenger.sendLossy(0, to, Uint8Array.of(id)), kind('bad-argument'));
  }
  assert.throws(() => messenger.sendLossless(0, to, new Uint8Array(0)), kind('bad-argument'));
  assert.throws(() => messenger.sendLossless(0, to, new Uint8Array(1374).fill(160)), kind('bad-argument'));
  assert.throws(() => messenger.setName(0, 'n'.repeat(129)), kind('bad-argument'));
  assert.throws(() => messenger.setStatusMessage(0, 'n'.repeat(1008)), kind('bad-argument'));
  pair.disconnect();
  assert.throws(() => messenger.sendMessage(0, to, 'x'), kind('friend-offline'));
});

test('a friend request travels until the friend is seen online, and may be given a new nospam', () => {
  const a = new End(1);
  const b = new End(2);
  a.peer = b;
  b.peer = a;
  const old = makeToxId(b.key, Uint8Array.of(1, 1, 1, 1) as Nospam);
  a.messenger.addFriend(0, old, 'Hello');
  assert.deepEqual(a.request?.message, utf8('Hello'));
  assert.equal(a.messenger.friend(b.key)?.requested, true);
  a.messenger.addFriend(0, b.messenger.toxId, 'Hello again');
  assert.deepEqual(a.request?.nospam, toxIdNospam(b.messenger.toxId));
  assert.deepEqual(a.messenger.profile().friends[0]?.request?.message, utf8('Hello again'));
  a.connected = true;
  a.messenger.onConnected(0, b.key);
  assert.ok(a.request);
  a.messenger.onLossless(0, b.key, Uint8Array.of(ONLINE));
  assert.equal(a.request, undefined);
  assert.equal(a.messenger.friend(b.key)?.requested, false);
  assert.throws(() => a.messenger.addFriend(0, old, 'Hello'), kind('already-friend'));
});

test('adding oneself, without a message, or with one too long is refused', () => {
  const a = new End(1);
  const other = makeToxId(generateKeyPair(env).publicKey, env.random(4) as Nospam);
  assert.throws(() => a.messenger.addFriend(0, a.messenger.toxId, 'me'), kind('own-id'));
  assert.throws(() => a.messenger.acceptFriend(0, a.key), kind('own-id'));
  assert.throws(() => a.messenger.addFriend(0, other, ''), kind('bad-argument'));
  assert.throws(() => a.messenger.addFriend(0, other, 'x'.repeat(922)), kind('bad-argument'));
  a.messenger.addFriend(0, other, 'x'.repeat(921));
});

test('the table of friends is bounded', () => {
  const a = new End(1);
  for (let i = 0; i < MAX_FRIENDS; i++) a.messenger.acceptFriend(0, generateKeyPair(env).publicKey);
  assert.throws(() => a.messenger.acceptFriend(0, generateKeyPair(env).publicKey), kind('limit'));
});

test('a request with our nospam is shown once; with another one, from a friend or from ourselves never', () => {
  const pair = new Pair();
  const stranger = generateKeyPair(env).publicKey;
  const nospam = toxIdNospam(pair.b.messenger.toxId);
  const ask = (from: typeof stranger, with_: Uint8Array, text = 'Hi') =>
    pair.b.messenger.onFriendRequest(0, from, with_, utf8(text));
  ask(stranger, Uint8Array.of(0, 0, 0, 0));
  ask(stranger, nospam.subarray(1));
  ask(pair.a.key, nospam);
  ask(pair.b.key, nospam);
  ask(stranger, nospam, '');
  assert.equal(pair.b.of('friend-request').length, 0);
  ask(stranger, nospam);
  ask(stranger, nospam);
  assert.deepEqual(pair.b.of('friend-request'), [{ type: 'friend-request', publicKey: stranger, message: 'Hi' }]);
  pair.b.messenger.acceptFriend(0, stranger);
  pair.b.messenger.removeFriend(0, stranger);
  ask(stranger, nospam);
  assert.equal(pair.b.of('friend-request').length, 2, 'one that was removed may ask again');
  pair.b.messenger.setNospam(Uint8Array.of(5, 6, 7, 8) as Nospam);
  ask(generateKeyPair(env).publicKey, nospam);
  assert.equal(pair.b.of('friend-request').length, 2, 'the old nospam is worthless');
});

test('a removed friend is told "offline", and its transfers end', () => {
  const pair = new Pair();
  pair.a.messenger.fileSend(0, pair.b.key, { size: 5, name: 'x' });
  pair.a.messenger.removeFriend(0, pair.b.key);
  assert.deepEqual(pair.a.sent.at(-1), Uint8Array.of(25));
  assert.equal(pair.a.removed, true);
  assert.equal(pair.a.of('file-aborted').length, 1);
  assert.equal(pair.a.of('friend-connection').at(-1)?.online, false);
  assert.deepEqual(pair.a.messenger.friends(), []);
  pair.run();
  assert.equal(pair.b.messenger.friend(pair.a.key)?.online, false);
  assert.throws(() => pair.a.messenger.removeFriend(0, pair.b.key), kind('unknown-friend'));
});

test('a profile goes out and in again unchanged', () => {
  const pair = new Pair();
  pair.a.messenger.setName(0, 'Zoë');
  pair.a.messenger.addFriend(0, makeToxId(generateKeyPair(env).publicKey, env.random(4) as Nospam), 'Hi');
  pair.disconnect();
  const profile = pair.a.messenger.profile();
  const again = new Messenger(env, {
    now: 0,
    ownKey: pair.a.key,
    profile: { ...profile, friends: [...profile.friends, profile.friends[0]!, friendRecord(pair.a.key)] },
    links: pair.a,
    emit: () => {},
  });
  assert.deepEqual(again.profile(), profile);
});

test('bytes that are no UTF-8 are shown as text nevertheless', () => {
  const pair = new Pair();
  feed(pair, [64, 0xff, 0x41], [48, 0xc3], [49, 0xed, 0xa0, 0x80]);
  assert.equal(pair.b.of('message')[0]?.text, '\ufffdA');
  assert.equal(pair.b.of('friend-name')[0]?.name, '\ufffd');
});

test('bodies of a wrong size change nothing', () => {
  const pair = new Pair();
  const before = pair.b.events.length;
  feed(pair, [64], [65], [50], [50, 3], [50, 1, 1], [51], [51, 1, 1], [80], [81], [81, 1, 1], [82], [69, 1], [95, 1]);
  feed(pair, [48, ...new Array(129).fill(65)], [49, ...new Array(1008).fill(65)], [192, 1], [255, 1]);
  pair.b.messenger.onLossy(0, pair.a.key, Uint8Array.of(199, 1));
  pair.b.messenger.onLossy(0, pair.a.key, Uint8Array.of(255, 1));
  assert.deepEqual(pair.b.events.slice(before), []);
});

test('no packet at all makes a messenger throw', () => {
  const pair = new Pair();
  const packets = fc.tuple(fc.nat(255), fc.uint8Array({ maxLength: 1372 }));
  fc.assert(
    fc.property(packets, fc.boolean(), ([id, rest], lossy) => {
      const data = Uint8Array.of(id, ...rest);
      if (lossy) pair.b.messenger.onLossy(0, pair.a.key, data);
      else pair.b.messenger.onLossless(0, pair.a.key, data);
      pair.b.messenger.onAcknowledged(0, pair.a.key, (id * 16_777_259) >>> 0);
      pair.b.messenger.onWritable(0, pair.a.key);
    }),
    { numRuns: 1000 },
  );
});

test('answers to a friend that never reads are bounded', () => {
  const pair = new Pair();
  pair.b.window = 0;
  for (let i = 0; i < 5000; i++) feed(pair, [81, 1, i & 0xff, 0]);
  pair.b.window = 10_000;
  pair.b.sent.length = 0;
  pair.b.messenger.onWritable(0, pair.a.key);
  assert.ok(pair.b.sent.length <= 512);
});
