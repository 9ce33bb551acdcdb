import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { ToxEvent } from '../../src/messenger/events.ts';
import type { Endpoint } from '../../src/wire/endpoint.ts';
import { KINDS, notable, Stage, UNKNOWN_KINDS } from './stage.ts';

const MAX_DATAGRAM = 2_048;
const FILE_SIZE = 300_000;

interface Scene {
  readonly stage: Stage;
  /** Addresses that the victim knows, and one that it does not. */
  readonly sources: readonly Endpoint[];
  /** All is as well as before the attack. */
  finish(): void;
}

/** The states in which a node may be met. */
const scenes: Record<string, () => Scene> = {
  'a node that knows nobody': () => {
    const stage = new Stage(11, 1, { victim: 0 });
    return { stage, sources: [stage.stranger()], finish: () => {} };
  },
  'a node in the network': () => {
    const stage = new Stage(12, 6);
    stage.network.world.runUntil(() => stage.victim.tox.connection === 'udp', 20_000, 'connected');
    stage.network.world.runFor(3_000);
    return {
      stage,
      sources: [stage.stranger(), stage.network.people[0]!.at],
      finish: () => {
        stage.network.world.runFor(200_000);
        assert.ok(stage.victim.tox.connection === 'udp');
        assert.ok(stage.victim.tox.liveNodes(stage.now) >= 5);
      },
    };
  },
  'a node with a friend online': () => {
    const stage = new Stage(13, 6, { record: true });
    const friend = stage.network.people[2]!;
    stage.befriend(stage.victim, friend);
    stage.talk(stage.victim, friend);
    return {
      stage,
      sources: [stage.stranger(), stage.network.people[0]!.at, friend.at],
      finish: () => {
        stage.talk(stage.victim, friend);
        stage.network.world.runFor(40_000);
        assert.ok(stage.network.areOnline([stage.victim, friend]));
        assert.ok(!stage.events.some((event) => event.type === 'friend-connection' && !event.online));
      },
    };
  },
  'a node in the middle of a file': () => {
    const stage = new Stage(14, 6, { record: true });
    const friend = stage.network.people[2]!;
    stage.befriend(stage.victim, friend);
    const { world } = stage.network;
    const file = stage.bytes(FILE_SIZE);
    const got: Uint8Array[] = [];
    let done = false;
    const key = stage.victim.tox.realKeys.publicKey;
    const see = world.onEvent;
    let writable = false;
    world.onEvent = (seen) => {
      see(seen);
      const { event } = seen;
      if (seen.who === friend.at && event.type === 'file-writable') writable = true;
      if (seen.who !== stage.victim.at) return;
      if (event.type === 'file-data') got.push(event.data.slice());
      if (event.type === 'file-done') done = true;
    };
    const number = stage.network.command(friend, (tox, now) =>
      tox.messenger.fileSend(now, key, { size: FILE_SIZE, name: 'x' }),
    );
    world.runUntil(() => stage.events.some((e) => e.type === 'file-offer'), 5_000, 'offer');
    stage.network.command(stage.victim, (tox, now) =>
      tox.messenger.fileControl(now, friend.tox.realKeys.publicKey, 256 + number, 'resume'),
    );
    let at = 0;
    const pump = () => {
      if (!writable || at === FILE_SIZE) return;
      writable = false;
      at += stage.network.command(friend, (tox, now) =>
        tox.messenger.fileWrite(now, key, number, file.subarray(at, at + 20_000)),
      );
      writable = at % 20_000 === 0;
    };
    const step = () => {
      pump();
      world.runFor(5);
    };
    while (at < FILE_SIZE / 2) step();
    return {
      stage,
      sources: [stage.stranger(), friend.at],
      finish: () => {
        for (let i = 0; i < 10_000 && !done; i++) step();
        assert.deepEqual(Buffer.concat(got), Buffer.from(file));
        assert.ok(stage.network.areOnline([stage.victim, friend]));
      },
    };
  },
};

/** An attack may lead to none of these. */
function assertNothingHappened(events: readonly ToxEvent[]): void {
  assert.deepEqual(notable(events), []);
}

for (const [what, make] of Object.entries(scenes)) {
  test(`${what}: datagrams of every kind and every length up to 2048 bytes change nothing and are not amplified`, () => {
    const { stage, sources, finish } = make();
    stage.events = [];
    const noise = stage.bytes(MAX_DATAGRAM);
    for (const kind of [...KINDS, ...UNKNOWN_KINDS]) {
      let received = 0;
      stage.sent = 0;
      stage.sentBytes = 0;
      stage.attack((give) => {
        for (let length = 0; length <= MAX_DATAGRAM; length++) {
          noise[(length * 7) % MAX_DATAGRAM] = stage.random() * 256;
          const data = noise.slice(0, length);
          if (length > 0) data[0] = kind;
          for (const from of sources) {
            give(from, data);
            received += length;
          }
        }
      });
      assert.equal(stage.sentBytes, 0, `kind ${kind}: ${stage.sentBytes} bytes out, ${received} in`);
    }
    assertNothingHappened(stage.events);
    finish();
  });
}

for (const [what, make] of Object.entries(scenes)) {
  test(`${what}: the golden packets of c-toxcore, cut, extended and changed, change nothing`, () => {
    const { stage, sources, finish } = make();
    stage.events = [];
    const packets = goldenDatagrams();
    assert.ok(packets.length >= 20, String(packets.length));
    stage.attack((give) => {
      for (const packet of packets) {
        const give1 = (data: Uint8Array) => give(sources[packet.length % sources.length]!, data);
        give1(packet);
        mutations(packet, stage.random, give1);
      }
    });
    assertNothingHappened(stage.events);
    finish();
  });
}

for (const what of ['a node with a friend online', 'a node in the middle of a file']) {
  test(`${what}: what it hears from others, cut, extended and changed on the way, changes nothing`, () => {
    const { stage, finish } = scenes[what]!();
    stage.events = [];
    const chosen = new Map<string, (typeof stage.captured)[number]>();
    for (const packet of stage.captured) {
      if (packet.to !== stage.victim.at) continue;
      for (let i = 0; i < 2; i++) {
        const id = `${packet.data[0]} ${packet.data.length} ${i}`;
        if (chosen.has(id)) continue;
        chosen.set(id, packet);
        break;
      }
    }
    const kinds = new Set([...chosen.values()].map((packet) => packet.data[0]!));
    assert.ok(kinds.size >= 14, `only kinds ${[...kinds]}`);
    let worst = 0;
    for (const { from, data } of chosen.values()) {
      stage.attack((give) =>
        mutations(data, stage.random, (changed) => {
          give(from, changed);
        }),
      );
      stage.sentBytes = 0;
      stage.attack((give) => give(from, data.slice()));
      worst = Math.max(worst, stage.sentBytes / data.length);
    }
    // The largest honest answer: four IPv6 nodes for a nodes request, 286 bytes for 113, and a ping of our own.
    assert.ok(worst <= 3.3, `${worst} bytes for each`);
    assertNothingHappened(stage.events);
    finish();
  });
}

/** Every truncation, extensions, and at each byte one flipped bit and all flipped. */
function mutations(packet: Uint8Array, random: () => number, give: (data: Uint8Array) => void): void {
  for (let length = 0; length < packet.length; length++) give(packet.slice(0, length));
  for (const more of [1, 2, 8, 39, 51, 59, 118, 177, 600]) {
    const longer = new Uint8Array(packet.length + more);
    longer.set(packet);
    give(longer);
  }
  for (let at = 1; at < packet.length; at++) {
    for (const bits of [1 << (random() * 8), 0xff]) {
      const changed = packet.slice();
      changed[at]! ^= bits;
      give(changed);
    }
  }
}

/** All byte strings in the golden vectors that could be datagrams. */
function goldenDatagrams(): Uint8Array[] {
  const found = new Map<string, Uint8Array>();
  const kinds = new Set(KINDS);
  const visit = (value: unknown): void => {
    if (typeof value === 'string') {
      if (value.length < 66 || value.length > 3_000 || value.length % 2 || !/^[0-9a-f]+$/.test(value)) return;
      const bytes = new Uint8Array(Buffer.from(value, 'hex'));
      if (kinds.has(bytes[0]!)) found.set(`${bytes[0]} ${bytes.length}`, bytes);
    } else if (typeof value === 'object' && value !== null) Object.values(value).forEach(visit);
  };
  for (const name of ['dht', 'onion', 'session']) {
    visit(JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url), 'utf8')));
  }
  return [...found.values()];
}
