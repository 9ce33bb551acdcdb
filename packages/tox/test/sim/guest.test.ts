import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sameBytes } from '../../src/crypto/keys.ts';
import { Guest } from '../../src/guest.ts';
import type { ToxEvent } from '../../src/messenger/events.ts';
import { testEnv } from '../../src/testing/index.ts';
import { endpoint } from '../../src/wire/endpoint.ts';
import { RelayedNetwork } from './relayed.ts';

const AT = endpoint('77.7.7.7', 1)!;

/** A host with UDP, logged in at a relay, and a guest for him. */
function stage(known: boolean) {
  const net = new RelayedNetwork(21);
  const relay = net.relay('relay');
  const host = net.add('host');
  net.enter(host, relay);
  net.world.runFor(2_000);
  const events: ToxEvent[] = [];
  const seen = net.world.onEvent;
  net.world.onEvent = (event) => {
    seen(event);
    if (event.who === AT) events.push(event.event);
  };
  net.world.tap = (from) => assert.notEqual(from, AT, 'a guest sends no datagram');
  const guest = new Guest(
    testEnv(5, () => net.world.now),
    net.world.now,
    {
      host: host.tox.realKeys.publicKey,
      hostDhtKey: host.tox.dhtKeys.publicKey,
      relay: { publicKey: relay.tox.dhtKeys.publicKey, at: relay.at },
    },
  );
  if (known) net.command(host, (tox, now) => tox.messenger.acceptFriend(now, guest.realKeys.publicKey));
  net.world.add(AT, guest);
  return { net, host, guest, events };
}

test('a guest meets his host over one relay within some round trips, hands something over and is gone', (t) => {
  const { net, host, guest, events } = stage(true);
  const start = net.world.now;
  const online = () => events.some((event) => event.type === 'friend-connection' && event.online);
  net.world.runUntil(online, 2_000, 'online');
  t.diagnostic(`online after ${net.world.now - start} ms`);
  const letter = new Uint8Array(1_000).fill(161);
  net.world.poke(AT, () => guest.messenger.sendLossless(net.world.now, host.tox.realKeys.publicKey, letter));
  net.world.runUntil(() => host.got.length === 1, 1_000, 'letter');
  assert.ok(sameBytes(host.got[0]!, letter));
  net.world.poke(AT, () => guest.close(net.world.now));
  const left = () => host.events.some((event) => event.type === 'friend-connection' && !event.online);
  net.world.runUntil(left, 1_000, 'left');
});

test('a guest whom nobody expects is not let in, and falls silent', () => {
  const { net, guest, events } = stage(false);
  net.world.runFor(200_000);
  assert.ok(!events.some((event) => event.type === 'friend-connection'));
  const before = guest.nextWake();
  assert.ok(before === undefined || before > net.world.now);
});

test('a guest idles at two packets a second, for its host and relay together', () => {
  const { net, host, guest } = stage(true);
  net.world.runFor(5_000);
  assert.equal(host.tox.messenger.friend(guest.realKeys.publicKey)?.connection, 'tcp');
  let wakes = 0;
  const wake = guest.wake.bind(guest);
  guest.wake = (now) => {
    wakes++;
    wake(now);
  };
  net.world.runFor(60_000);
  assert.ok(wakes < 200, `${wakes} wakes a minute`);
});
