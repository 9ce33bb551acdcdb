/**
 * What each further account costs: nodes in one process that know each other, every one with two friends online, on
 * loopback. `node bench/nodes.ts [COUNT …]`: CPU and memory of a quiet minute for each count.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { ToxNode } from '../packages/tox/src/index.ts';

const counts = process.argv.slice(2).map(Number);
const SETTLE_MS = 150_000;
const QUIET_MS = 60_000;

for (const count of counts.length > 0 ? counts : [3, 23]) {
  const nodes = await Promise.all(
    Array.from({ length: count }, () => ToxNode.create({ udp: { host: '127.0.0.1', port: 0 } })),
  );
  const first = nodes[0]!;
  for (const [i, node] of nodes.entries()) {
    if (node !== first) node.bootstrap('127.0.0.1', first.udpPort, first.dhtPublicKey);
    const next = nodes[(i + 1) % count]!;
    node.acceptFriend(next.publicKey);
    next.acceptFriend(node.publicKey);
  }
  await sleep(SETTLE_MS);
  const online = nodes.every((node) => node.friends.every((friend) => friend.online));
  const before = process.cpuUsage();
  await sleep(QUIET_MS);
  const { user, system } = process.cpuUsage(before);
  const rss = process.memoryUsage.rss() / 2 ** 20;
  console.log(
    `${count} nodes, ${online ? 'all friends online' : 'NOT all online'}: ${((user + system) / 1e6).toFixed(2)} s of CPU in a minute, ${rss.toFixed(0)} MiB resident`,
  );
  await Promise.all(nodes.map((node) => node.close()));
}
