import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { until } from '../../packages/toxmail/test/daemon/processes.ts';
import { type Host, Lab, netlabMissing } from './lab.ts';
import { BootstrapNode, introduce, MailDaemon } from './mail-daemon.ts';
import { bodyOf, mailOf } from './mails.ts';
import { PORT } from './peers.ts';
import { cpuSeconds, residentBytes } from './processes.ts';

const skip = await netlabMissing();
const FLOODER = fileURLToPath(new URL('flooder.ts', import.meta.url));
/** From one machine with 200 addresses, 15 Mbit/s in the usual size: what any home line can send. */
const RATE = 10_000;
/** Of an attacker who shares a busy machine with the victim, and does as much cryptography for some kinds. */
const LEAST_RATE = 2_000;
const SECONDS = 2.5;
const SOURCES = 200;

describe(`a daemon under floods of ${RATE} datagrams a second`, { skip }, () => {
  const stack = new AsyncDisposableStack();
  let bootstrap: BootstrapNode;
  let ann: MailDaemon;
  let bob: MailDaemon;
  let attacker: Host;
  let sources: string[];
  let mails = 0;

  before(async () => {
    const lab = stack.use(await Lab.create());
    bootstrap = stack.use(await BootstrapNode.start(await lab.host()));
    ann = stack.use(await MailDaemon.start(await lab.host(), 'ann', [bootstrap.line]));
    bob = stack.use(
      await MailDaemon.start(await (await lab.router('port-restricted')).host(), 'bob', [bootstrap.line]),
    );
    await introduce(ann, bob);
    await until('they find each other', async () => (await ann.isOnline('bob')) && (await bob.isOnline('ann')));
    attacker = await lab.host();
    sources = await attacker.addAddresses(SOURCES);
  });
  after(() => stack.disposeAsync());

  async function flood(kind: string): Promise<number> {
    const { toxId, tox } = (await ann.ask('status')).accounts[0];
    const where = [ann.host.publicAddress, String(PORT), tox.dhtKey, toxId];
    const how = [String(RATE), String(SECONDS), bootstrap.line, ...sources];
    const [program, ...args] = [...attacker.prefix, process.execPath, FLOODER, kind, ...where, ...how];
    return Number((await promisify(execFile)(program!, args)).stdout);
  }

  /** Sends a mail to the victim and gives how long it took, ms. */
  async function mailPasses(bytes = 100_000): Promise<number> {
    const mail = mailOf(bytes);
    const began = performance.now();
    await bob.send('ann@tox', mail);
    mails++;
    await until('the mail arrives', async () => (await ann.mails()) === mails, 20_000);
    const took = performance.now() - began;
    assert.ok(bodyOf(await ann.read(mails)).equals(bodyOf(mail)));
    return took;
  }

  for (const kind of [
    'garbage',
    'pings',
    'handshakes',
    'cookies',
    'nodes',
    'announces',
    'onion',
    'requests',
    'friends',
  ]) {
    test(`${kind}: the friend stays online, a mail passes, CPU and memory are bounded`, async (t) => {
      const cpu = await cpuSeconds(ann.pid);
      const memory = await residentBytes(ann.pid);
      const [sent, took] = await Promise.all([flood(kind), mailPasses()]);
      const share = ((await cpuSeconds(ann.pid)) - cpu) / SECONDS;
      const grown = (await residentBytes(ann.pid)) - memory;
      t.diagnostic(
        `${sent} datagrams; mail after ${took.toFixed(0)} ms; ${(100 * share).toFixed(0)} % of a core; ${(grown / 1e6).toFixed(0)} MB more`,
      );
      assert.ok(sent >= LEAST_RATE * SECONDS, `only ${sent} were sent`);
      assert.ok(await ann.isOnline('bob'));
      assert.ok(share < 0.8, `${share} of a core`);
      assert.ok(grown < 64e6, `${grown} bytes more`);
    });
  }

  test('of thousands of friend requests no more are kept than a person can look at', async () => {
    const kept: unknown[] = await ann.ask('request list');
    assert.ok(kept.length > 0 && kept.length <= 100, String(kept.length));
  });

  test('a mail passes over a line on which every packet comes twice', async () => {
    await ann.host.setLine({ replay: 1, kbit: 10_000 }); // 4 MB take longer than the copies
    const took = await mailPasses(4_000_000);
    assert.ok(took > 2_000, `too fast to have met a copy: ${took} ms`);
    await ann.host.setLine({});
    assert.ok(await ann.isOnline('bob'));
  });
});
