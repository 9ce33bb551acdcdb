import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Mono } from '../../src/core/env.ts';
import { DhtNode } from '../../src/dht/dht-node.ts';
import { FriendConnections } from '../../src/friend/friend-connections.ts';
import { OnionClient } from '../../src/onion/onion-client.ts';
import { RelayConnections } from '../../src/relay/connections.ts';
import { RelayServer } from '../../src/relay/server.ts';
import { NetCrypto } from '../../src/session/net-crypto.ts';
import { RelayedNetwork } from './relayed.ts';

interface Layer {
  wake(now: Mono): void;
  nextWake(): Mono | undefined;
}

/** Every layer that was ever asked for its deadline. */
const layers = new Set<Layer>();
for (const { prototype } of [DhtNode, FriendConnections, OnionClient, RelayConnections, RelayServer, NetCrypto]) {
  const layer = prototype as Layer;
  const { nextWake } = layer;
  layer.nextWake = function (this: Layer) {
    layers.add(this);
    return nextWake.call(this);
  };
}

test('no layer has anything to do before the deadline that it shows', () => {
  const network = new RelayedNetwork(1);
  const { world } = network;
  const relays = [network.relay('relay 1'), network.relay('relay 2')];
  const people = [0, 1, 2, 3, 4, 5].map((i) => network.add(`person ${i}`, { udp: i % 3 !== 0 }));
  for (const person of people) for (const relay of relays) network.enter(person, relay);
  for (let i = 0; i < people.length; i++) {
    network.befriend(people[i]!, people[(i + 1) % people.length]!);
    network.befriend(people[i]!, people[(i + 2) % people.length]!);
  }
  const away = new Set<string>();
  world.link = (from, to) => (away.has(from) || away.has(to) ? undefined : { latencyMs: 20, jitterMs: 20, loss: 0.05 });
  world.pipe = (from, to) => (away.has(from) || away.has(to) ? undefined : { latencyMs: 20 });
  let woken = 0;
  for (let i = 0; i < 400; i++) {
    world.runFor(world.random() ** 3 * 8_000);
    const { at } = network.members[Math.floor(world.random() * network.members.length)]!;
    if (world.random() < 0.2) if (!away.delete(at)) away.add(at);
    if (world.random() < 0.1) world.breakStreams(at);
    for (const layer of layers) {
      const due = layer.nextWake();
      if (due !== undefined && due <= world.now) continue;
      layer.wake(world.now);
      woken++;
      for (const { name, tox } of network.members) {
        const done = tox.takeDatagram() ?? tox.streams.takeCommand() ?? tox.takeEvent();
        if (done) assert.fail(`${layer.constructor.name} of ${name} at ${world.now} ms, due at ${due}`);
      }
    }
  }
  assert.ok(woken > 10_000, `${woken}`);
});
