import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import { ToxNode } from '../../src/index.ts';
import { SocketGuest } from '../relay/socket-guest.ts';

const LOCAL = { udp: { host: '127.0.0.1', port: 0 } };

test('a node serves as a relay on several TCP ports, under its DHT key', async () => {
  await using node = await ToxNode.create({ ...LOCAL, relay: { ports: [0, 0] } });
  const [first, second] = node.relayPorts;
  using a = await SocketGuest.login(first!, node.dhtPublicKey);
  using b = await SocketGuest.login(second!, node.dhtPublicKey);
  const id = await a.route(b);
  const data = new Uint8Array(1_400).fill(9);
  for (let i = 0; i < 50; i++) a.do((client) => client.sendData(id, data));
  a.do((client) => client.sendData(id, Uint8Array.of(7)));
  await b.heard('data', (told) => (told[2] as Uint8Array).length === 1);
  assert.ok(node.relayStats!.clients >= 2, 'they, and we ourselves');
  assert.equal(node.relayStats!.forwarded, 51);
});

test('closing the node ends what it relayed', async () => {
  const node = await ToxNode.create({ ...LOCAL, relay: { ports: [0] } });
  using guest = await SocketGuest.login(node.relayPorts[0]!, node.dhtPublicKey);
  await node.close();
  await guest.heard('end');
  const again = net.connect({ host: '127.0.0.1', port: node.relayPorts[0]! });
  await assert.rejects(once(again, 'connect'), { code: 'ECONNREFUSED' });
});

test('ports that are not free are left, and without any the node does not start', async () => {
  const taken = net.createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const { port } = taken.address() as net.AddressInfo;
  const logged: unknown[] = [];
  const log = (id: string, fields: unknown) => void logged.push([id, fields]);
  await using node = await ToxNode.create({ ...LOCAL, relay: { ports: [port, 0] }, log });
  assert.equal(node.relayPorts.length, 1);
  assert.deepEqual(logged[0], ['relay.port-unavailable', { port, reason: 'EADDRINUSE' }]);
  await assert.rejects(ToxNode.create({ ...LOCAL, relay: { ports: [port] } }), { kind: 'relay-port-in-use' });
  taken.close();
});

test('a node that is no relay has no TCP port', async () => {
  await using node = await ToxNode.create(LOCAL);
  assert.deepEqual(node.relayPorts, []);
  assert.equal(node.relayStats, undefined);
});
