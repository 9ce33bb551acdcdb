// 10 MB over lines as homes have them, in the laboratory of network namespaces (root, see interop/netlab):
//   node bench/lines.ts
// A mail between two of our daemons, and a file between two c-toxcore peers, each pair behind port-restricted routers and
// with a session that was just opened. Prints the time until all has arrived, the share of the line that was used, and
// how many bytes left the sender for each byte that was sent.
import { writeFile } from 'node:fs/promises';
import type { LineQuality } from '../interop/netlab/internet.ts';
import { type Host, Lab } from '../interop/netlab/lab.ts';
import { BootstrapNode, introduce, MailDaemon } from '../interop/netlab/mail-daemon.ts';
import { mailOf } from '../interop/netlab/mails.ts';
import { startPeer } from '../interop/netlab/peers.ts';
import { PublicNetwork } from '../interop/netlab/public-network.ts';
import { disposeOracle, TemporaryFolder } from '../interop/oracle/oracle.ts';
import { until } from '../packages/toxmail/test/daemon/processes.ts';

const BYTES = 10_000_000;
const PATIENCE_MS = 300_000;

/** The other end has no limit and 10 ms. */
const LINES: Record<string, LineQuality> = {
  '100 Mbit/s, 40 ms': { kbit: 100_000 },
  '20 Mbit/s, 40 ms': { kbit: 20_000 },
  '20 Mbit/s, 40 ms, 1 % lost': { kbit: 20_000, loss: 0.01 },
  '20 Mbit/s, 200 ms': { kbit: 20_000, delayMs: 90 },
  '20 Mbit/s, 200 ms, 1 % lost': { kbit: 20_000, delayMs: 90, loss: 0.01 },
  '5 Mbit/s, 60 ms': { kbit: 5_000, delayMs: 20 },
};

type Transfer = (lab: Lab, home: Host, away: Host) => Promise<number>;

for (const [name, quality] of Object.entries(LINES)) {
  for (const [program, transfer] of Object.entries({ 'our mail': mail, 'c-toxcore file': file })) {
    const { seconds, sent } = await measure(quality, transfer);
    const share = (BYTES * 8) / 1000 / seconds / quality.kbit!;
    console.log(
      `${name}, ${program}: ${seconds.toFixed(1)} s, ${(100 * share).toFixed(0)} % of the line, sent ${sent.toFixed(2)} times`,
    );
  }
}
await disposeOracle();

async function measure(quality: LineQuality, transfer: Transfer): Promise<{ seconds: number; sent: number }> {
  await using lab = await Lab.create();
  const home = await (await lab.router('port-restricted')).host();
  const away = await (await lab.router('port-restricted')).host();
  await home.setLine(quality);
  const seconds = await transfer(lab, home, away);
  const flow = (await lab.flows()).find((f) => f.from === home.publicAddress && f.to === away.publicAddress)!;
  return { seconds, sent: flow.bytes / BYTES };
}

async function mail(lab: Lab, home: Host, away: Host): Promise<number> {
  await using bootstrap = await BootstrapNode.start(await lab.host());
  await using ann = await MailDaemon.start(home, 'ann', [bootstrap.line]);
  await using bob = await MailDaemon.start(away, 'bob', [bootstrap.line]);
  await introduce(ann, bob);
  await until('they find each other', async () => (await ann.isOnline('bob')) && (await bob.isOnline('ann')));
  const began = performance.now();
  await ann.send('bob@tox', mailOf(BYTES));
  await until('the mail arrives', async () => (await bob.mails()) === 1, PATIENCE_MS);
  return (performance.now() - began) / 1000;
}

async function file(lab: Lab, home: Host, away: Host): Promise<number> {
  await using network = await PublicNetwork.start(lab, 'c-toxcore');
  await using folder = await TemporaryFolder.create();
  await using ann = await startPeer(home, 'c-toxcore');
  await using bob = await startPeer(away, 'c-toxcore');
  await ann.acceptFriend(bob.publicKey);
  await bob.acceptFriend(ann.publicKey);
  for (const { host, port, key } of network.entries)
    for (const peer of [ann, bob]) await peer.bootstrap(host, port, key);
  await ann.waitFor('friend-connection', (e) => e.connection === 'udp');
  await bob.waitFor('friend-connection', (e) => e.connection === 'udp');
  await writeFile(folder.join('file'), mailOf(BYTES));
  const began = performance.now();
  await ann.sendFile(bob.publicKey, folder.join('file'), 'file');
  const offer = await bob.waitFor('file-offer');
  await bob.acceptFile(ann.publicKey, offer.file, undefined);
  await bob.waitFor('file-received', () => true, { timeoutMs: PATIENCE_MS });
  return (performance.now() - began) / 1000;
}
