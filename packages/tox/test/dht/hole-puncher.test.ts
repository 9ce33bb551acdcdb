import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateKeyPair, type PublicKey } from '../../src/crypto/keys.ts';
import { HolePuncher } from '../../src/dht/hole-puncher.ts';
import { Peer } from '../../src/dht/peer.ts';
import { PortGuesses } from '../../src/dht/port-guesses.ts';
import { SearchList } from '../../src/dht/search-list.ts';
import { decodeNatPing, NAT_PING_REQUEST, NAT_PING_RESPONSE } from '../../src/packet/dht-request.ts';
import { testEnv } from '../../src/testing/index.ts';
import { type Endpoint, endpointAddress, endpointPort } from '../../src/wire/endpoint.ts';
import { ip } from './network.ts';

/** A puncher for one searched friend whom the given nodes report at these endpoints. */
function setUp(reports: readonly Endpoint[], ownPortVaries: boolean | undefined = false) {
  const env = testEnv(1);
  const key = () => generateKeyPair(env).publicKey;
  const list = new SearchList(key(), true, () => {});
  for (const [i, says] of reports.entries()) {
    const peer = new Peer(key());
    peer.answered(0, ip(`198.51.100.${i + 1}`));
    const entry = list.add(0, peer)!;
    entry.says = says;
    entry.saysAt = 0;
  }
  const probes: Endpoint[] = [];
  /** From how many further ports each of them went. */
  const spreads: number[] = [];
  const pings: Uint8Array[] = [];
  const state = { reached: false };
  const puncher = new HolePuncher(env, {
    own: new Uint8Array(32) as PublicKey,
    wanted: () => list,
    reached: () => state.reached,
    ownPortVaries: () => ownPortVaries,
    sendNatPing: (_now, _receiver, data) => pings.push(data),
    probe: (_now, _key, to, spread) => {
      probes.push(to);
      spreads.push(spread);
    },
  });
  return { list, puncher, probes, spreads, pings, state };
}

const HOME = ip('203.0.113.5', 4_000);

test('the friend is signalled soon after it was reported, then thrice a second apart, then every 3 s', () => {
  const { list, puncher, pings } = setUp([HOME]);
  puncher.reported(0, list);
  const sentAt: number[] = [];
  for (let now = puncher.nextWake(); now !== undefined && now < 12_000; now = puncher.nextWake()) {
    const before = pings.length;
    puncher.wake(now);
    if (pings.length > before) sentAt.push(now);
  }
  assert.deepEqual(sentAt, [300, 1_300, 2_300, 3_300, 4_300, 7_300, 10_300]);
});

test('nothing is sent for a friend who answers directly', () => {
  const { list, puncher, pings, probes, state } = setUp([HOME]);
  puncher.reported(0, list);
  state.reached = true;
  puncher.wake(300);
  puncher.onRequest(400, list);
  assert.deepEqual([pings.length, probes.length, puncher.nextWake()], [0, 0, undefined]);
});

test('the answer to our signal is heeded once, a wrong or repeated one not', () => {
  const { list, puncher, pings, probes } = setUp([HOME, HOME]);
  puncher.reported(0, list);
  puncher.wake(300);
  const { id, type } = decodeNatPing(pings[0]!)!;
  assert.equal(type, NAT_PING_REQUEST);
  puncher.onResponse(310, list, { type: NAT_PING_RESPONSE, id: id.map((x) => x ^ 1) });
  assert.deepEqual(probes, []);
  puncher.onResponse(320, list, { type: NAT_PING_RESPONSE, id });
  assert.deepEqual(probes, [HOME]);
  puncher.onResponse(5_000, list, { type: NAT_PING_RESPONSE, id });
  assert.equal(probes.length, 1);
});

test('signals in quick succession make us send once a second', () => {
  const { list, puncher, probes } = setUp([HOME, HOME]);
  for (let now = 0; now < 10_000; now += 10) puncher.onRequest(now, list);
  assert.equal(probes.length, 10);
});

test('an address that a minority of the nodes names gets nothing, and with no majority nobody does', () => {
  const victim = ip('192.0.2.1');
  const one = setUp([HOME, victim, HOME]);
  one.puncher.onRequest(0, one.list);
  assert.deepEqual(one.probes, [HOME]);
  const none = setUp([HOME, victim, ip('192.0.2.2')]);
  none.puncher.onRequest(0, none.list);
  assert.deepEqual(none.probes, []);
});

test('IPv4 and IPv6 are tried side by side', () => {
  const six = ip('2001:db8::5');
  const { list, puncher, probes } = setUp([HOME, six, six]);
  puncher.onRequest(0, list);
  assert.deepEqual(probes.sort(), [HOME, six].sort());
});

test('when ports differ, those next to the reported ones come first, at one address, and at most 32 a second', () => {
  const { list, puncher, probes } = setUp([ip('203.0.113.5', 4_000), ip('203.0.113.5', 4_003)]);
  puncher.onRequest(0, list);
  assert.equal(probes.length, 48);
  assert.ok(probes.every((to) => endpointAddress(to) === '203.0.113.5'));
  const ports = probes.map(endpointPort);
  for (let port = 3_990; port <= 4_013; port++) assert.ok(ports.includes(port), `port ${port}`);
  for (let now = 1_000; now <= 100_000; now += 1_000) puncher.onRequest(now, list);
  assert.ok(probes.length <= 4 * 48 + 32 * 100, `${probes.length}`);
});

test('two sides that count ports cross, whoever of them was farther behind', () => {
  // Each side sends to guess after guess, and its router gives each of them the next port.
  for (const behindLeft of [0, 1, 7, 12])
    for (const behindRight of [0, 1, 7, 12]) {
      const left = new PortGuesses(0).climbing([5_000], 1, 48);
      const right = new PortGuesses(0).climbing([9_000], 2, 48);
      const crossed = left.some((to, i) => {
        const j = to - 5_001 - behindRight; // the datagram of the right side that comes from there
        return right[j] === 9_001 + behindLeft + i;
      });
      assert.ok(crossed, `${behindLeft} and ${behindRight} ports behind`);
    }
});

test('guesses wrap within the ports that routers give away, and reach all of them', () => {
  const ports = new PortGuesses(65_000);
  assert.ok(ports.around([1_024, 65_535], 500).every((port) => port >= 1_024 && port <= 65_535));
  assert.equal(new Set(ports.anywhere(65_536 - 1_024)).size, 65_536 - 1_024);
});

test('with a varying port of our own, the friend gets pings from many ports after two rounds, six times, then seldom', () => {
  const { list, puncher, spreads } = setUp([HOME, HOME], true);
  for (let now = 0; now < 10 * 60_000; now += 3_000) {
    for (const entry of list.entries) {
      entry.saysAt = now;
      entry.peer.answered(now, entry.peer.ip4!.endpoint);
    }
    puncher.onRequest(now, list);
  }
  const times = spreads.flatMap((count, round) => (count > 0 ? [round * 3] : []));
  assert.deepEqual(times, [6, 18, 30, 42, 54, 66, 186, 306, 426, 546]);
  assert.ok(spreads.every((count) => count === 0 || count === 256));
});

test('however many keys are searched at one address, it gets one such burst each ten seconds', () => {
  const { list, puncher, spreads } = setUp([HOME, HOME], true);
  const env = testEnv(2);
  const keys = Array.from({ length: 8 }, () => new SearchList(generateKeyPair(env).publicKey, true, () => {}));
  for (const each of keys) each.entries.push(...list.entries);
  for (let now = 0; now < 30_000; now += 1_000) for (const each of keys) puncher.onRequest(now, each);
  assert.equal(spreads.filter((count) => count > 0).length, 3);
});

test('with a port of our own that is the same for all, or may be, there are no such bursts', () => {
  for (const varies of [false, undefined]) {
    const { list, puncher, spreads } = setUp([HOME, HOME], varies);
    for (let now = 0; now < 60_000; now += 3_000) puncher.onRequest(now, list);
    assert.deepEqual([...new Set(spreads)], [0]);
  }
});
