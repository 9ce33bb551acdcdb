// Two nodes without UDP, and guests, over one relay of ours, all in this process, on loopback:
//   node --expose-gc bench/tcp-only.ts [MiB] [guests]
// Prints MiB/s of custom packets, the time from start to friends online, and what an idle guest costs. On a busy
// machine the time of processor says more than MiB/s.
import { once } from 'node:events';
import { fromHex, type PublicKey } from '../packages/tox/src/crypto/keys.ts';
import { GuestNode, ToxNode } from '../packages/tox/src/index.ts';
import { endpoint } from '../packages/tox/src/wire/endpoint.ts';

const mebibytes = Number(process.argv[2] ?? 64);
const guests = Number(process.argv[3] ?? 100);

await using relay = await ToxNode.create({ udp: { host: '127.0.0.1', port: 0 }, relay: { ports: [0] } });
const bootstrap = [
  { host: '127.0.0.1', port: relay.udpPort, publicKey: relay.dhtPublicKey, tcpPorts: relay.relayPorts },
];

const times: number[] = [];
for (let i = 0; i < 5; i++) {
  const began = performance.now();
  await using a = await ToxNode.create({ udp: false, bootstrap });
  await using b = await ToxNode.create({ udp: false, bootstrap });
  const online = [once(a, 'friend-connection'), once(b, 'friend-connection')];
  a.acceptFriend(b.publicKey);
  b.acceptFriend(a.publicKey);
  await Promise.all(online);
  times.push(performance.now() - began);
  if (i === 0) await transfer(a, b);
}
console.log(`friends online after ${times.map((ms) => Math.round(ms)).join(', ')} ms`);

await using host = await ToxNode.create({ udp: false, bootstrap });
host.setMaxListeners(0);
if (host.connection === 'none') await once(host, 'connection');
const before = await memory();
const key = (hex: string) => fromHex(hex, 32) as PublicKey;
const nodes = Array.from({ length: guests }, () => {
  const met = Promise.withResolvers<void>();
  const at = endpoint('127.0.0.1', relay.relayPorts[0]!)!;
  const node = new GuestNode(
    {
      host: key(host.publicKey),
      hostDhtKey: key(host.dhtPublicKey),
      relay: { publicKey: key(relay.dhtPublicKey), at },
    },
    (event) => event.type === 'friend-connection' && met.resolve(),
  );
  return { node, met: met.promise };
});
for (const { node } of nodes) host.acceptFriend(Buffer.from(node.publicKey).toString('hex'));
await Promise.all(nodes.map(({ met }) => met));
console.log(
  `${guests} guests online; each, with its share of host and relay: ${Math.round(((await memory()) - before) / guests / 1024)} KiB`,
);
const cpu = process.cpuUsage();
await new Promise((resolve) => setTimeout(resolve, 10_000));
const used = process.cpuUsage(cpu);
const ms = (used.user + used.system) / 1_000 / 10 / guests;
console.log(`idle: ${ms.toFixed(2)} ms of processor a second for each of them, host and relay included`);
await Promise.all(nodes.map(({ node }) => node.close()));

async function memory(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.();
    await new Promise((resolve) => setImmediate(resolve)); // what finalizers free
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  return globalThis.gc ? heapUsed + external : rss;
}

async function transfer(a: ToxNode, b: ToxNode): Promise<void> {
  const size = mebibytes * 1_048_576;
  const packet = new Uint8Array(1_373).fill(160);
  let got = 0;
  const all = new Promise<void>((resolve) => {
    b.on('lossless', ({ data }) => {
      got += data.length;
      if (got >= size) resolve();
    });
  });
  const began = performance.now();
  const cpu = process.cpuUsage();
  for (let sent = 0; sent < size; ) {
    if (a.sendLossless(b.publicKey, packet)) sent += packet.length;
    else await once(a, 'writable');
  }
  await all;
  const { user, system } = process.cpuUsage(cpu);
  const seconds = (performance.now() - began) / 1_000;
  const each = ((user + system) / 1_000 / mebibytes).toFixed(1);
  console.log(`${(mebibytes / seconds).toFixed(1)} MiB/s, ${each} ms of processor per MiB for both and the relay`);
}
