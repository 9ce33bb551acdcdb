import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ToxEvent } from '../../src/messenger/events.ts';
import { seededRandom } from '../../src/testing/index.ts';
import { ALIVE, OFFLINE, ONLINE, PACKET_KILL, RawFriend } from './raw-friend.ts';

const LENGTHS = [1, 2, 3, 4, 5, 9, 12, 13, 33, 49, 50, 51, 129, 130, 255, 305, 306, 1_008, 1_009, 1_372, 1_373];

/** What a packet of a friend with this id may lead to. */
function allowed(id: number): readonly ToxEvent['type'][] {
  if (id === PACKET_KILL || id === 25) return ['friend-connection', 'friend-typing', 'file-aborted'];
  if (id === 48) return ['friend-name'];
  if (id === 49) return ['friend-status-message'];
  if (id === 50) return ['friend-status'];
  if (id === 51) return ['friend-typing'];
  if (id === 64 || id === 65) return ['message'];
  if (id === 80) return ['file-offer'];
  if (id === 81) return ['file-control', 'file-aborted', 'file-writable'];
  if (id === 82) return ['file-data', 'file-done', 'file-aborted'];
  if (id >= 160 && id <= 191) return ['lossless'];
  if (id >= 200 && id <= 254) return ['lossy'];
  return [];
}

test('packets of every id and many lengths, random and constant, lead to nothing but what the id stands for', () => {
  const random = seededRandom(1);
  const friend = new RawFriend();
  assert.ok(friend.online);
  for (let id = 1; id < 256; id++) {
    for (const length of LENGTHS) {
      for (const fill of [0, 1, 255, -1]) {
        if (!friend.online) friend.connect();
        const data = new Uint8Array(length).fill(fill);
        if (fill < 0) for (let i = 0; i < length; i++) data[i] = random() * 256;
        data[0] = id;
        friend.events.length = 0;
        if (id >= 16 && id < 192) friend.lossless(data);
        else friend.packet(data);
        for (const event of friend.events) assert.ok(allowed(id).includes(event.type), `${id}: ${event.type}`);
        assert.ok(friend.events.length <= 2, `${id}: ${friend.events.length} events`);
      }
    }
    friend.wait(50);
  }
  if (!friend.online) friend.connect();
  friend.lossless(Uint8Array.of(64, 65));
  assert.equal(friend.events.at(-1)?.type, 'message');
});

test('a packet that is padding and nothing else is dropped', () => {
  const friend = new RawFriend();
  const heard = friend.heard.length;
  friend.packet(new Uint8Array(1_373));
  friend.packet(new Uint8Array(1));
  assert.equal(friend.heard.length, heard);
  assert.ok(friend.online);
});

test('names and texts that are no UTF-8, or too long, do no harm', () => {
  const friend = new RawFriend();
  const { messenger } = friend.victim;
  friend.lossless(Uint8Array.of(48, 0xff, 0xfe, 0x00, 0x0a, 0xc3));
  assert.equal(messenger.friend(friend.key)?.name, '\ufffd\ufffd\0\n\ufffd');
  friend.lossless(new Uint8Array(130).fill(48));
  friend.lossless(new Uint8Array(1_009).fill(49));
  assert.equal(messenger.friend(friend.key)?.name.length, 5);
  assert.equal(messenger.friend(friend.key)?.statusMessage, '');
  friend.lossless(Uint8Array.of(64, 0xed, 0xa0, 0x80));
  const message = friend.events.at(-1);
  assert.ok(message?.type === 'message' && message.text.includes('\ufffd'));
});

test('nothing counts before the friend says "online", and all transfers end when it says "offline"', () => {
  const friend = new RawFriend();
  friend.lossless(offer(0, 10n));
  friend.lossless(OFFLINE);
  assert.deepEqual(
    friend.events.slice(-2).map((e) => e.type),
    ['file-aborted', 'friend-connection'],
  );
  const before = friend.events.length;
  for (const data of [offer(1, 10n), Uint8Array.of(64, 65), Uint8Array.of(160, 1), Uint8Array.of(82, 1, 1)]) {
    friend.lossless(data);
  }
  friend.packet(Uint8Array.of(200, 1));
  assert.equal(friend.events.length, before);
});

test('256 files at once and no more; the same number twice, absurd sizes and names cost nothing', () => {
  const friend = new RawFriend();
  friend.events.length = 0;
  for (let n = 0; n < 256; n++) friend.lossless(offer(n, 10n));
  assert.equal(count(friend, 'file-offer'), 256);
  for (let n = 0; n < 256; n++) friend.lossless(offer(n, 11n));
  assert.equal(count(friend, 'file-offer'), 256);
  friend.connect();
  friend.events.length = 0;
  for (const size of [2n ** 53n, 2n ** 63n, 2n ** 64n - 2n]) friend.lossless(offer(1, size));
  assert.equal(count(friend, 'file-offer'), 0);
  friend.lossless(offer(1, 2n ** 64n - 1n, new Uint8Array(256).fill(65)));
  assert.equal(count(friend, 'file-offer'), 0);
  friend.lossless(offer(1, 2n ** 64n - 1n, Buffer.from('../../etc/passwd\0\u202e')));
  const event = friend.events.at(-1);
  assert.ok(event?.type === 'file-offer' && event.size === undefined);
  assert.equal(event.name, '../../etc/passwd\0\u202e', 'handed on as it is: a name, never a path');
});

test('no data is taken that was not accepted, and never more than was offered', () => {
  const friend = new RawFriend();
  const { messenger } = friend.victim;
  friend.lossless(offer(3, 2_000n));
  friend.events.length = 0;
  const chunk = new Uint8Array(1_373).fill(7);
  chunk[0] = 82;
  chunk[1] = 3;
  friend.lossless(chunk);
  assert.equal(friend.events.length, 0);
  messenger.fileControl(friend.now, friend.key, 256 + 3, 'resume');
  for (let i = 0; i < 4; i++) friend.lossless(chunk);
  const got = friend.events.reduce((n, e) => n + (e.type === 'file-data' ? e.data.length : 0), 0);
  assert.equal(got, 2_000);
  assert.equal(count(friend, 'file-done'), 1);
});

test('the sender side of a file stands any control: for other files, out of order, beyond the end', () => {
  const friend = new RawFriend();
  const { messenger } = friend.victim;
  const random = seededRandom(5);
  for (let round = 0; round < 40; round++) {
    if (!friend.online) friend.connect();
    const file = messenger.fileSend(friend.now, friend.key, { size: round % 3 ? 5_000 : undefined, name: 'x' });
    for (let i = 0; i < 60; i++) {
      const control = new Uint8Array(random() < 0.3 ? 12 : 4);
      for (let k = 0; k < control.length; k++) control[k] = random() < 0.5 ? 0 : random() * 256;
      control[0] = 81;
      control[1] = random() * 2;
      if (random() < 0.8) control[2] = file;
      control[3] = random() * 5;
      friend.lossless(control);
      for (const event of friend.events.splice(0)) {
        if (event.type !== 'file-writable' || !friend.online) continue;
        try {
          messenger.fileWrite(friend.now, friend.key, event.file, new Uint8Array(10));
        } catch (error) {
          assert.match(String(error), /no transfer|more bytes/); // what a slow owner hears
        }
      }
    }
    friend.wait(20);
  }
  friend.connect();
  assert.ok(friend.online);
});

test('packets with any numbers, acknowledgements of what was never sent, and requests of any bytes do no harm', () => {
  const random = seededRandom(2);
  const friend = new RawFriend();
  const { messenger } = friend.victim;
  friend.acknowledges = false;
  const u32 = () =>
    [0, 1, 5, 255, 32_767, 32_768, 65_535, 2 ** 31, 2 ** 32 - 1, random() * 2 ** 32][Math.floor(random() * 10)]!;
  for (let i = 0; i < 3_000; i++) {
    if (!friend.online) friend.connect();
    if (i % 5 === 0) messenger.sendMessage(friend.now, friend.key, 'text');
    const size = 1 + Math.floor(random() * (i % 50 === 0 ? 1_372 : 40));
    const data = new Uint8Array(size);
    for (let k = 0; k < size; k++) data[k] = random() < 0.3 ? 0 : random() * 256;
    data[0] = random() < 0.6 ? 1 : 160;
    friend.packet(data, u32(), u32());
    if (i % 20 === 0) friend.wait(30);
  }
  assert.ok(count(friend, 'receipt') <= 600);
});

test('packets far ahead are stored within a bound, and what fits arrives in order when the gap is filled', () => {
  const friend = new RawFriend();
  friend.acknowledges = false;
  const data = new Uint8Array(1_373).fill(160);
  const first = friend.next;
  friend.events.length = 0;
  const before = process.memoryUsage().arrayBuffers;
  for (let n = 1; n < 32_768; n++) friend.packet(data, first + n);
  const grown = process.memoryUsage().arrayBuffers - before;
  assert.ok(grown < 80 * 2 ** 20, `${grown} bytes`);
  assert.equal(friend.events.length, 0);
  friend.packet(data, first);
  const arrived = count(friend, 'lossless');
  assert.ok(arrived > 10_000 && arrived < 20_000, String(arrived));
  assert.ok(friend.online);
});

test('a friend who never acknowledges gets a bounded number of packets, however often he comes and goes', () => {
  const friend = new RawFriend();
  friend.victim.messenger.setStatusMessage(friend.now, 'x'.repeat(1_000));
  friend.acknowledges = false;
  friend.heardBytes = 0;
  let said = 0;
  for (let i = 0; i < 20_000; i++) {
    friend.lossless(OFFLINE);
    friend.lossless(ONLINE);
    said += 64;
  }
  friend.wait(2_000);
  assert.ok(friend.heardBytes < said, `${friend.heardBytes} out for ${said} in`);
});

test('a flood of acknowledgements and requests in one instant brings no flood back', () => {
  const friend = new RawFriend();
  const { messenger } = friend.victim;
  friend.acknowledges = false;
  for (let i = 0; i < 200; i++) messenger.sendMessage(friend.now, friend.key, 'x'.repeat(1_300));
  friend.drain();
  friend.wait(500);
  friend.heardBytes = 0;
  const request = new Uint8Array(1_373).fill(1);
  let said = 0;
  for (let i = 0; i < 1_000; i++) {
    friend.packet(request);
    said += 1_400;
  }
  assert.ok(friend.heardBytes < said, `${friend.heardBytes} out for ${said} in`);
});

test('a friend is dropped 32 s after his last sign of life, whatever else he sends', () => {
  const friend = new RawFriend();
  for (let i = 0; i < 33; i++) {
    friend.wait(1_000, false);
    if (friend.online) friend.lossless(Uint8Array.of(160, 1));
  }
  assert.equal(friend.online, false);
  friend.connect();
  friend.lossless(ALIVE);
  assert.ok(friend.online);
});

function count(friend: RawFriend, type: ToxEvent['type']): number {
  return friend.events.filter((event) => event.type === type).length;
}

/** A file request: number, kind 0, size, id, name. */
function offer(number: number, size: bigint, name: Uint8Array = new Uint8Array(0)): Uint8Array {
  const out = Buffer.alloc(46 + name.length);
  out[0] = 80;
  out[1] = number;
  out.writeBigUInt64BE(size, 6);
  out.set(name, 46);
  return Uint8Array.from(out);
}
