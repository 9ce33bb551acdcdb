import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { ToxNode } from '../../src/index.ts';

test('two nodes without UDP meet by friend request over a relay and exchange data', async (t) => {
  await using relay = await ToxNode.create({ udp: { host: '127.0.0.1', port: 0 }, relay: { ports: [0] } });
  const bootstrap = [
    { host: '127.0.0.1', port: relay.udpPort, publicKey: relay.dhtPublicKey, tcpPorts: relay.relayPorts },
  ];
  const start = performance.now();
  await using a = await ToxNode.create({ udp: false, bootstrap });
  await using b = await ToxNode.create({ udp: false, bootstrap });
  assert.equal(a.udpPort, 0);
  b.on('friend-request', ({ publicKey }) => void b.acceptFriend(publicKey));
  const online = [once(a, 'friend-connection'), once(b, 'friend-connection')];
  a.addFriend(b.toxId, 'hello');
  for (const [event] of await Promise.all(online)) assert.equal(event.connection, 'tcp');
  t.diagnostic(`online after ${Math.round(performance.now() - start)} ms`);

  const size = 4 * 1024 * 1024;
  let got = 0;
  const all = new Promise<void>((resolve) => {
    b.on('lossless', ({ data }) => {
      got += data.length;
      if (got >= size) resolve();
    });
  });
  const packet = new Uint8Array(1_373).fill(160);
  const begun = performance.now();
  for (let sent = 0; sent < size; ) {
    if (a.sendLossless(b.publicKey, packet)) sent += packet.length;
    else await once(a, 'writable');
  }
  await all;
  t.diagnostic(`${(size / 1_048_576 / ((performance.now() - begun) / 1_000)).toFixed(1)} MiB/s`);
});
