import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import { until } from '../../packages/toxmail/test/daemon/processes.ts';
import { missing, stop, TemporaryFolder } from '../oracle/tools.ts';
import { type Host, Lab, netlabMissing } from './lab.ts';
import { BootstrapNode, introduce, MailDaemon } from './mail-daemon.ts';
import { bodyOf, mailOf } from './mails.ts';

const run = promisify(execFile);
const SOCKS_PORT = 1_080;
const HTTP_PORT = 8_888;

const skip = (await netlabMissing()) || (await proxiesMissing());

async function proxiesMissing(): Promise<string | false> {
  try {
    await run('tinyproxy', ['-v']);
    await run('sh', ['-c', 'command -v microsocks']);
  } catch {
    return missing('microsocks and tinyproxy are needed');
  }
  return false;
}

/** A proxy of this kind on the host, which asks for a password if it can; its URL. */
class RealProxy implements AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #folder: TemporaryFolder;

  private constructor(url: string, port: number, child: ChildProcess, folder: TemporaryFolder) {
    this.url = url;
    this.port = port;
    this.#child = child;
    this.#folder = folder;
  }

  static async start(host: Host, kind: 'socks5' | 'http'): Promise<RealProxy> {
    const folder = await TemporaryFolder.create();
    const port = kind === 'socks5' ? SOCKS_PORT : HTTP_PORT;
    await writeFile(folder.join('tinyproxy.conf'), `Port ${port}\nListen 0.0.0.0\nTimeout 600\nBasicAuth mum secret\n`);
    const command =
      kind === 'socks5'
        ? ['microsocks', '-i', '0.0.0.0', '-p', String(port), '-u', 'mum', '-P', 'secret']
        : ['tinyproxy', '-d', '-c', folder.join('tinyproxy.conf')];
    const [program, ...args] = [...host.prefix, ...command];
    const child = spawn(program!, args, { stdio: 'ignore' });
    return new RealProxy(`${kind}://mum:secret@${host.address}:${port}`, port, child, folder);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await stop(this.#child, 'SIGKILL', 0);
    await this.#folder[Symbol.asyncDispose]();
  }
}

/** Counts what leaves the host from now on. */
async function watch(host: Host, proxy: Host, port: number) {
  const nft = async (...args: string[]) => {
    const [program, ...all] = [...host.prefix, 'nft', ...args];
    return (await run(program!, all)).stdout;
  };
  await nft(`
    table inet watch {
      counter proxied {}
      counter beside {}
      chain output {
        type filter hook output priority 0;
        oifname "lo" accept
        ip daddr ${proxy.address} tcp dport ${port} counter name proxied accept
        meta l4proto { tcp, udp, sctp, udplite } counter name beside
      }
    }`);
  return async (counter: 'proxied' | 'beside') => {
    const text = await nft('list', 'counter', 'inet', 'watch', counter);
    return Number(/packets (\d+)/.exec(text)![1]);
  };
}

describe('a daemon behind a proxy', { concurrency: true, skip, timeout: 180_000 }, () => {
  for (const kind of ['socks5', 'http'] as const) {
    test(`${kind}: mails go both ways, names are the proxy’s to resolve, and no packet goes beside it`, async (t) => {
      await using lab = await Lab.create();
      const [home, office, outside, other] = [await lab.host(), await lab.host(), await lab.host(), await lab.host()];
      await using proxy = await RealProxy.start(office, kind);
      await using node = await BootstrapNode.start(outside);
      // Only from the proxy this one is "localhost".
      await using named = await BootstrapNode.start(office);
      const sent = await watch(home, office, proxy.port);
      const entries = [named.line.replace(/^[^:]+/, 'localhost'), node.line];
      await using ann = await MailDaemon.start(home, 'ann', entries, '--proxy', proxy.url);
      await using bob = await MailDaemon.start(other, 'bob', [node.line]);
      await until('logged in by name', async () => (await named.status())?.bootstrap.relay.clients > 0, 30_000);
      await introduce(ann, bob);
      const began = performance.now();
      await until('they meet', async () => (await ann.isOnline('bob')) && (await bob.isOnline('ann')), 60_000);
      t.diagnostic(`online after ${((performance.now() - began) / 1_000).toFixed(1)} s`);
      const [there, back] = [mailOf(1_000_000), mailOf(100_000)];
      await Promise.all([ann.send('bob@tox', there), bob.send('ann@tox', back)]);
      await until('both mails arrive', async () => (await bob.mails()) === 1 && (await ann.mails()) === 1, 60_000);
      assert.ok(bodyOf(await bob.read(1)).equals(bodyOf(there)));
      assert.ok(bodyOf(await ann.read(1)).equals(bodyOf(back)));
      assert.equal(await sent('beside'), 0);
      assert.ok((await sent('proxied')) > 100);
    });
  }
});
