import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateKeyPair } from '../../src/crypto/keys.ts';
import { endpoint } from '../../src/wire/endpoint.ts';
import { type Guest, type Line, type RawClient, Service } from '../relay/service.ts';
import { countDerivations } from './stage.ts';

const MEBIBYTE = 1_048_576;
const PING = Uint8Array.of(4, 1, 1, 1, 1, 1, 1, 1, 1);

/** Two clients with a route to each other. */
function friends(service: Service): { a: Guest; b: Guest; talk(): void } {
  const [a, b] = [service.guest(), service.guest()];
  a.client.requestRoute(b.keys.publicKey);
  b.client.requestRoute(a.keys.publicKey);
  service.settle();
  const talk = () => {
    b.news();
    assert.ok(a.client.sendData(16, Uint8Array.of(1, 2, 3)));
    service.settle();
    assert.deepEqual(b.news(), [['data', 16, Uint8Array.of(1, 2, 3)]]);
  };
  talk();
  return { a, b, talk };
}

test('10,000 connections that say nothing hold at most 512 places, and no client is cut off', () => {
  const service = new Service();
  const { talk } = friends(service);
  const lines: Line[] = [];
  for (let i = 0; i < 10_000; i++) lines.push(service.line());
  assert.equal(service.server.stats.halfOpen, 512);
  assert.equal(lines.filter(({ open }) => open).length, 512);
  assert.ok(lines.at(-1)!.open, 'the oldest make room');
  talk();
  const late = service.guest();
  assert.ok(late.online, 'and a new client gets in');
  service.advance(10_000);
  assert.equal(service.server.stats.halfOpen, 0);
  talk();
});

test('one address holds at most 16 places before and 128 after the log-in; its neighbours in the LAN are told apart', () => {
  const service = new Service();
  const from = (port: number) => endpoint('198.51.100.9', port)!;
  const open = (lines: Line[]) => lines.filter((line) => line.open).length;
  assert.equal(open(Array.from({ length: 100 }, (_, i) => service.line(from(1_000 + i)))), 16);
  service.advance(11_000);
  const flooder = Array.from({ length: 64 }, (_, i) => service.raw(PING, from(2_000 + i)).line);
  service.advance(120_000);
  assert.equal(open(flooder), 0, 'they answered no ping');
  const crowd = Array.from({ length: 64 }, (_, i) => service.guest(from(3_000 + i)));
  service.advance(240_000);
  crowd.push(...Array.from({ length: 100 }, (_, i) => service.guest(from(4_000 + i))));
  assert.equal(service.server.stats.clients, 128);
  assert.equal(crowd.filter((guest) => guest.online).length, 128);
  const lan = Array.from({ length: 200 }, (_, i) => service.guest(endpoint('192.168.1.1', 1_000 + i)!));
  assert.ok(lan.every((guest) => guest.online));
});

test('hellos that do not open cost one key derivation each, and few of them', () => {
  const service = new Service();
  const { talk } = friends(service);
  const flood = (from: () => ReturnType<Service['address']>) =>
    countDerivations(() => {
      for (let i = 0; i < 5_000; i++) service.line(from()).send(service.env.random(128));
    }).derivations;
  const one = endpoint('198.51.100.9', 7)!;
  assert.ok(flood(() => one) <= 64);
  assert.ok(flood(() => service.address()) <= 2_048);
  talk();
});

test('a full relay refuses newcomers, until somebody has been idle for ten minutes', () => {
  const service = new Service({ maxClients: 4 });
  const { a, b, talk } = friends(service);
  const idle = [service.guest(), service.guest()];
  assert.equal(service.guest().online, false);
  for (let at = 60_000; at <= 660_000; at += 60_000) {
    service.advance(at);
    talk();
  }
  const late = service.guest();
  assert.ok(late.online);
  assert.equal(idle.filter((guest) => guest.online).length, 1);
  assert.ok(a.online && b.online);
  assert.equal(service.server.stats.clients, 4);
});

test('for a client that reads nothing 1 MiB waits and the rest is lost; others are not held up, and it is kicked', () => {
  const service = new Service();
  const { a, talk } = friends(service);
  const slow = service.guest();
  slow.client.requestRoute(a.keys.publicKey);
  a.client.requestRoute(slow.keys.publicKey);
  service.settle();
  slow.line.reading = false;
  const data = new Uint8Array(1_373);
  for (let i = 0; i < 2_000; i++) {
    a.client.sendData(17, data);
    service.settle();
  }
  const { queuedBytes, dropped } = service.server.stats;
  assert.ok(queuedBytes > 900 * 1_024 && queuedBytes <= MEBIBYTE, `${queuedBytes} bytes`);
  assert.ok(dropped > 1_100);
  talk();
  service.advance(41_000);
  assert.equal(slow.line.open, false);
  assert.equal(service.server.stats.queuedBytes, 0);
  talk();
});

test('for many clients that read nothing so much waits as the relay may hold, and 16 KiB more for each', () => {
  const service = new Service({ maxQueued: MEBIBYTE });
  const { talk } = friends(service);
  const slow = Array.from({ length: 10 }, () => service.raw(PING));
  for (const { line } of slow) line.reading = false;
  const data = new Uint8Array(1_024);
  for (let round = 0; round < 270; round++) {
    const sender = service.raw(PING); // another each time, as each has its rate
    sender.send(...slow.map(({ keys }) => Uint8Array.of(6, ...keys.publicKey, ...data)));
    for (const { line } of slow) line.take();
    sender.line.end();
  }
  slow.push(...Array.from({ length: 10 }, () => service.raw(PING)));
  for (const { line } of slow) line.reading = false;
  for (let round = 0; round < 20; round++) {
    const sender = service.raw(PING);
    sender.send(...slow.map(({ keys }) => Uint8Array.of(6, ...keys.publicKey, ...data)));
    for (const { line } of slow) line.take();
    sender.line.end();
  }
  const { queuedBytes } = service.server.stats;
  const most = MEBIBYTE + 11 * 16 * 1_024;
  assert.ok(queuedBytes > MEBIBYTE + 8 * 16 * 1_024 && queuedBytes < most, `${queuedBytes} bytes`);
  talk();
});

test('a client that makes the relay answer and reads no answer is kicked', () => {
  const service = new Service();
  const rude = service.raw(PING);
  rude.line.reading = false;
  const pings = Array.from({ length: 1_000 }, () => PING);
  for (let i = 0; i < 50 && rude.line.open; i++) {
    rude.send(...pings);
    rude.line.take();
  }
  assert.equal(rude.line.open, false);
  assert.equal(service.server.stats.kicked, 1);
});

test('nobody gets more than 1024 packets out of band and 256 a second from one client, however many it sends', () => {
  const service = new Service();
  const victim = service.guest();
  const rude = service.raw(PING);
  const packet = Uint8Array.of(6, ...victim.keys.publicKey, 7);
  for (let i = 0; i < 10; i++) {
    rude.send(...Array.from({ length: 1_000 }, () => packet));
    service.settle();
  }
  assert.equal(victim.news().length, 1_024);
  service.now += 2_000;
  rude.send(...Array.from({ length: 1_000 }, () => packet));
  service.settle();
  assert.equal(victim.news().length, 512);
  assert.ok(rude.line.open);
});

test('a client that asks for a route and drops it, over and over, does not flood its peer with the news', () => {
  const service = new Service();
  const { a, b, talk } = friends(service);
  const flapper = service.guest();
  a.client.requestRoute(flapper.keys.publicKey);
  service.settle();
  a.news();
  for (let i = 0; i < 2_000; i++) {
    flapper.client.requestRoute(a.keys.publicKey);
    service.settle();
    flapper.client.dropRoute(16);
    service.settle();
  }
  const heard = a.news().length;
  assert.ok(heard > 100 && heard <= 2 * 480, `${heard} notifications`);
  talk();
  assert.ok(b.online);
});

test('onion requests have a rate of their own', () => {
  const service = new Service();
  const rude = service.raw(PING);
  rude.send(...Array.from({ length: 3_000 }, () => Uint8Array.of(8, ...service.env.random(24 + 300))));
  assert.equal(service.onion.length, 1_024);
});

test('a client that sends faster than its share is not read for a while, small frames count as larger ones', () => {
  const service = new Service({ clientRate: MEBIBYTE, totalRate: 4 * MEBIBYTE });
  const { talk } = friends(service);
  const [large, small] = [service.raw(PING), service.raw(PING)];
  const until = (client: RawClient, packet: Uint8Array, limit: number) => {
    let sent = 0;
    for (; !client.line.paused && sent < limit; sent++) client.send(packet);
    return sent;
  };
  const nobody = generateKeyPair(service.env).publicKey;
  const full = until(large, Uint8Array.of(6, ...nobody, ...new Uint8Array(1_024)), 10_000);
  assert.ok(full > 1_500 && full < 2_500, `${full} full frames`);
  const tiny = until(small, PING, 10_000);
  assert.ok(tiny > 2_500 && tiny < 3_500, `${tiny} tiny frames`);
  talk();
  assert.equal(service.server.nextWake(), service.now + 50);
  service.advance(1_000);
  assert.ok(!large.line.paused && !small.line.paused);
  talk();
});

test('all clients together have a rate as well', () => {
  const service = new Service({ clientRate: MEBIBYTE, totalRate: MEBIBYTE });
  const clients = Array.from({ length: 8 }, () => service.raw(PING));
  const packet = Uint8Array.of(6, ...service.env.random(32), ...new Uint8Array(1_024));
  let rounds = 0;
  for (; clients.some(({ line }) => !line.paused); rounds++) {
    for (const client of clients) if (!client.line.paused) client.send(packet);
  }
  assert.ok(rounds < 300, `${rounds} rounds`);
  service.advance(500);
  assert.ok(clients.every(({ line }) => !line.paused));
});

test('whatever a client must not say ends its connection and nobody else’s', () => {
  const service = new Service();
  const { talk } = friends(service);
  const key = service.env.random(32);
  const bad = [
    [0, ...key, 1],
    [1, 16, ...key],
    [2],
    [3, 15],
    [4, 0, 0, 0, 0, 0, 0, 0, 0],
    [5, 1],
    [6, ...key],
    [6, ...key, ...new Uint8Array(1_025)],
    [7, ...key, 1],
    [8, ...new Uint8Array(24 + 100)],
    [9, 0x84],
    [11, 1],
    [12, 1],
    [15],
    [16, 1],
    [255, 1],
  ];
  for (const packet of bad) {
    const rude = service.raw(PING);
    rude.send(Uint8Array.from(packet));
    assert.equal(rude.line.open, false, `kind ${packet[0]}`);
    const first = service.raw(Uint8Array.from(packet));
    assert.equal(first.line.open, false, `kind ${packet[0]} as the first`);
  }
  assert.equal(service.server.stats.kicked, 2 * bad.length);
  assert.equal(service.server.stats.clients, 2);
  talk();
});

test('garbage, wrong lengths, repeated and cut frames end a connection at once', () => {
  const service = new Service();
  const { talk } = friends(service);
  for (const bytes of [
    [0, 0],
    [0, 16],
    [8, 1],
    [0xff, 0xff],
    [0, 17, ...new Uint8Array(17)],
  ]) {
    const rude = service.raw(PING);
    rude.line.send(Uint8Array.from(bytes));
    assert.equal(rude.line.open, false);
  }
  for (let i = 0; i < 300; i++) {
    const rude = i % 2 ? service.line() : service.raw(PING).line;
    rude.send(service.env.random(1 + i * 9));
    rude.send(service.env.random(2_100));
    assert.equal(rude.open, false);
  }
  service.advance(11_000);
  assert.equal(service.server.stats.halfOpen, 0);
  talk();
});

test('a peer cannot be made to believe that somebody else is there', () => {
  const service = new Service();
  const { a, b } = friends(service);
  a.news();
  const rude = service.raw(PING);
  // It asks for routes to both; neither asked for one to it.
  rude.send(Uint8Array.of(0, ...a.keys.publicKey), Uint8Array.of(0, ...b.keys.publicKey));
  rude.send(Uint8Array.of(16, 1, 2, 3), Uint8Array.of(17, 1, 2, 3), Uint8Array.of(2, 16));
  service.settle();
  assert.deepEqual([a.news(), b.news()], [[], []]);
  rude.send(Uint8Array.of(3, 16), Uint8Array.of(3, 16), Uint8Array.of(3, 200));
  service.settle();
  assert.ok(rude.line.open);
  assert.deepEqual([a.news(), b.news()], [[], []]);
});
