import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Network, type Person } from './network.ts';

const LINK = { latencyMs: 20, jitterMs: 30, loss: 0.02, mtu: 1_400 };

/** A network whose friends are all online; `cut` takes people's networks away. */
function stage(seed: number, size: number, friends: number) {
  const network = new Network(seed, size);
  const cut = new Set<Person>();
  const off = (at: string) => [...cut].some((person) => person.at === at);
  network.world.link = (from, to) => (off(from) || off(to) ? undefined : LINK);
  const pairs = network.befriend(friends);
  network.world.runUntil(() => pairs.every((pair) => network.areOnline(pair)), 20_000, 'all friends online');
  const [lone] = network.people.slice(-1) as [Person];
  const ofLone = pairs.filter((pair) => pair.includes(lone));
  const back = () => ofLone.every((pair) => network.areOnline(pair));
  return { network, cut, lone, back };
}

for (const [seconds, limit] of [
  [20, 3_000],
  [60, 5_000],
  [600, 15_000],
] as const) {
  test(`a node whose line was dead for ${seconds} s is back with its friends in ${limit / 1000} s, without being told`, (t) => {
    const { network, cut, lone, back } = stage(1, 12, 2);
    cut.add(lone);
    network.world.runFor(seconds * 1_000);
    if (seconds > 60) assert.ok(!lone.online.size && lone.tox.connection !== 'udp', 'all noticed');
    cut.clear();
    const began = network.world.now;
    network.world.runUntil(back, limit, 'back');
    t.diagnostic(`${Math.round(network.world.now - began)} ms`);
  });
}

test('a node whose clock jumps eight hours ahead, as after a sleep, is back in three seconds and in no hurry', () => {
  const { network, cut, lone } = stage(6, 12, 2);
  const { world, people } = network;
  const { tox, at } = lone;
  const friends = people.filter((person) => lone.online.has(person.key));
  cut.add(lone);
  world.remove(at); // asleep
  world.runFor(300_000);
  assert.ok(friends.every((friend) => !friend.online.has(lone.key)));
  cut.clear();
  const slept = 8 * 3_600_000;
  world.add(at, {
    receive: (now, from, data) => tox.receive(now + slept, from, data),
    wake: (now) => tox.wake(now + slept),
    nextWake: () => (tox.nextWake() ?? Number.POSITIVE_INFINITY) - slept,
    takeDatagram: () => tox.takeDatagram(),
    takeEvent: () => tox.takeEvent(),
  });
  let sent = 0;
  world.tap = (from) => {
    if (from === at) sent++;
  };
  const back = () => friends.every((friend) => friend.online.has(lone.key) && lone.online.has(friend.key));
  world.runUntil(back, 3_000, 'back');
  assert.ok(sent < 1_000, `${sent} datagrams`);
});

test('a node whose network was away for ten minutes is back in three seconds once it is told', (t) => {
  const { network, cut, lone, back } = stage(2, 12, 2);
  cut.add(lone);
  network.world.runFor(600_000);
  cut.clear();
  const began = network.world.now;
  network.command(lone, (tox, now) => tox.networkChanged(now));
  network.world.runUntil(back, 3_000, 'back');
  t.diagnostic(`${Math.round(network.world.now - began)} ms`);
});

test('a node alone in the dark stays calm', () => {
  const { network, cut, lone } = stage(3, 12, 2);
  cut.add(lone);
  network.world.runFor(300_000);
  let sent = 0;
  network.world.tap = (from) => {
    if (from === lone.at) sent++;
  };
  network.world.runFor(600_000);
  assert.ok(sent / 10 < 150, `${sent / 10} datagrams a minute`);
});

for (const told of [true, false]) {
  test(`friends stay connected when a node moves to another address${told ? '' : ' and does not notice'}`, () => {
    const { network, lone, back } = stage(4, 12, 2);
    let lost = 0;
    const onEvent = network.world.onEvent;
    network.world.onEvent = (event) => {
      onEvent(event);
      if (event.event.type === 'friend-connection' && !event.event.online) lost++;
    };
    network.move(lone, told);
    network.world.runFor(60_000);
    assert.ok(back());
    assert.equal(lost, 0, 'no session was lost');
  });
}

test('two friends who move at the same moment find each other again, and a message between them arrives', (t) => {
  const { network, lone } = stage(5, 12, 2);
  const friend = network.people.find((person) => lone.online.has(person.key))!;
  const began = network.world.now;
  network.move(lone);
  network.move(friend);
  network.command(lone, (tox, now) => tox.messenger.sendMessage(now, friend.tox.realKeys.publicKey, 'hello'));
  network.world.runUntil(
    () => friend.received.get(lone.key)?.includes('hello') ?? false,
    10_000,
    'the message arrives',
  );
  t.diagnostic(`${Math.round(network.world.now - began)} ms`);
});
