import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { disposeOracle, type OraclePeer, oracleMissing } from '../oracle/oracle.ts';
import { type Host, Lab, netlabMissing } from './lab.ts';
import { PORT, startPeer } from './peers.ts';
import { cpuSeconds, residentBytes } from './processes.ts';

const skip = (await netlabMissing()) || (await oracleMissing());
const FLOODER = fileURLToPath(new URL('tcp-flooder.ts', import.meta.url));
const SECONDS = 4;
const SOURCES = 200;

describe('a TCP relay under attack, which two c-toxcore peers use', { skip }, () => {
  const stack = new AsyncDisposableStack();
  let server: Host;
  let relay: OraclePeer;
  let ann: OraclePeer;
  let bob: OraclePeer;
  let attacker: Host;
  let sources: string[];

  before(async () => {
    const lab = stack.use(await Lab.create());
    server = await lab.host();
    relay = stack.use(await startPeer(server, 'toxmail', { relayPort: PORT, lanDiscovery: false }));
    attacker = await lab.host();
    sources = await attacker.addAddresses(SOURCES);
    [ann, bob] = await Promise.all([tcpOnly(lab), tcpOnly(lab)]);
    await ann.acceptFriend(bob.publicKey);
    await bob.acceptFriend(ann.publicKey);
    await Promise.all([ann.friendOnline(bob.publicKey), bob.friendOnline(ann.publicKey)]);
  });
  after(async () => {
    await stack.disposeAsync();
    await disposeOracle();
  });

  async function tcpOnly(lab: Lab): Promise<OraclePeer> {
    const peer = stack.use(await startPeer(await lab.host(), 'c-toxcore', { udp: false }));
    await peer.bootstrap(server.address, PORT, relay.dhtKey);
    await peer.relay(server.address, PORT, relay.dhtKey);
    return peer;
  }

  for (const kind of ['half-open', 'nonsense', 'slow-readers']) {
    test(`${kind}: the peers stay online, texts pass, CPU and memory are bounded`, async (t) => {
      const cpu = await cpuSeconds(relay.pid);
      const memory = await residentBytes(relay.pid);
      const where = [server.address, String(PORT), relay.dhtKey, String(SECONDS)];
      const [program, ...args] = [...attacker.prefix, process.execPath, FLOODER, kind, ...where, ...sources];
      const flood = promisify(execFile)(program!, args);
      let slowest = 0;
      let texts = 0;
      let flooding = true;
      const ended = flood.finally(() => {
        flooding = false;
      });
      while (flooding) {
        const began = performance.now();
        const text = `${kind} ${texts++}`;
        await ann.sendMessage(bob.publicKey, text);
        await bob.waitFor('message', (e) => e.text === text, { timeoutMs: 5_000 });
        slowest = Math.max(slowest, performance.now() - began);
      }
      const made = Number((await ended).stdout);
      const share = ((await cpuSeconds(relay.pid)) - cpu) / SECONDS;
      const grown = (await residentBytes(relay.pid)) - memory;
      t.diagnostic(
        `${made} made; ${texts} texts, the slowest in ${slowest.toFixed(0)} ms; ${(100 * share).toFixed(0)} % of a core; ${(grown / 1e6).toFixed(0)} MB more`,
      );
      assert.ok(made > 500, `only ${made}`);
      assert.ok(share < 0.9, `${share} of a core`);
      assert.ok(grown < 128e6, `${grown} bytes more`);
      assert.equal((await ann.friends())[0]!.connection, 'tcp');
    });
  }
});
