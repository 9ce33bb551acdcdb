import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface, type Interface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { stop } from '../oracle/tools.ts';
import { type Host, Lab, type NatKind, netlabMissing } from './lab.ts';

const skip = await netlabMissing();
/** Longer than any way through the laboratory. */
const SILENCE_MS = 400;

const PORT = 33445;

/** A UDP socket on a host. */
class Probe implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  readonly host: Host;

  private constructor(host: Host, port: number) {
    const script = fileURLToPath(new URL('udp-probe.ts', import.meta.url));
    const [program, ...args] = [...host.prefix, process.execPath, script, String(port)];
    this.#child = spawn(program!, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout! });
    this.host = host;
  }

  static async start(host: Host, port = PORT): Promise<Probe> {
    const probe = new Probe(host, port);
    await probe.next(10_000);
    return probe;
  }

  /** `ADDRESS PORT TEXT`, or undefined if nothing comes. */
  next(timeoutMs = SILENCE_MS): Promise<string | undefined> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => done(undefined), timeoutMs);
      const done = (line: string | undefined) => {
        clearTimeout(timer);
        this.#lines.off('line', done);
        resolve(line);
      };
      this.#lines.on('line', done);
    });
  }

  /** Sends to an endpoint `ADDRESS PORT`, and gives what arrives at `at`. */
  async send(to: string, text: string, at: Probe): Promise<string | undefined> {
    const arrives = at.next();
    this.#child.stdin!.write(`${to} ${text}\n`);
    return arrives;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin!.end();
    await stop(this.#child, 'SIGKILL', 1_000);
  }
}

const origin = (line: string | undefined) => line?.split(' ').slice(0, 2).join(' ');

describe('the laboratory', { concurrency: true, skip }, () => {
  let lab: Lab;
  before(async () => {
    lab = await Lab.create();
  });
  after(() => lab[Symbol.asyncDispose]());

  const KINDS: Record<Exclude<NatKind, 'tcp-only'>, { samePort: boolean; stranger: boolean; otherPort: boolean }> = {
    'full-cone': { samePort: true, stranger: true, otherPort: true },
    'address-restricted': { samePort: true, stranger: false, otherPort: true },
    'port-restricted': { samePort: true, stranger: false, otherPort: false },
    'symmetric-sequential': { samePort: false, stranger: false, otherPort: false },
    symmetric: { samePort: false, stranger: false, otherPort: false },
  };
  for (const [kind, expected] of Object.entries(KINDS)) {
    test(`${kind}: maps and admits as its name says`, async () => {
      const home = await (await lab.router(kind as NatKind)).host();
      await using inside = await Probe.start(home);
      await using one = await Probe.start(await lab.host());
      await using two = await Probe.start(await lab.host());
      await using stranger = await Probe.start(await lab.host());
      const mapped = origin(await inside.send(`${one.host.address} ${PORT}`, 'hello', one))!;
      const mappedForTwo = origin(await inside.send(`${two.host.address} ${PORT}`, 'hello', two))!;
      assert.equal(mapped.split(' ')[0], home.publicAddress);
      assert.equal(mappedForTwo === mapped, expected.samePort);
      assert.equal(await one.send(mapped, 'reply', inside), `${one.host.address} ${PORT} reply`);
      assert.equal((await stranger.send(mapped, 'knock', inside)) !== undefined, expected.stranger);
      // From the address that was contacted, but another port.
      await using other = await Probe.start(one.host, 0);
      assert.equal((await other.send(mapped, 'knock', inside)) !== undefined, expected.otherPort);
    });
  }

  test('symmetric-sequential: the next destination is given the next port', async () => {
    await using inside = await Probe.start(await (await lab.router('symmetric-sequential')).host());
    const ports: number[] = [];
    for (let i = 0; i < 3; i++) {
      await using server = await Probe.start(await lab.host());
      const mapped = origin(await inside.send(`${server.host.address} ${PORT}`, 'hello', server))!;
      ports.push(Number(mapped.split(' ')[1]));
    }
    assert.deepEqual(
      ports.map((port) => port - ports[0]!),
      [0, 1, 2],
    );
  });

  test('tcp-only: no UDP leaves', async () => {
    await using inside = await Probe.start(await (await lab.router('tcp-only')).host());
    await using server = await Probe.start(await lab.host());
    assert.equal(await inside.send(`${server.host.address} ${PORT}`, 'hello', server), undefined);
  });

  for (const hairpin of [true, false]) {
    test(`two behind one router reach each other by its outer address ${hairpin ? 'with' : 'only with'} hairpinning`, async () => {
      const router = await lab.router('port-restricted', { hairpin });
      await using one = await Probe.start(await router.host(), 40_001);
      await using two = await Probe.start(await router.host(), 40_002);
      await using server = await Probe.start(await lab.host());
      const mapped = origin(await one.send(`${server.host.address} ${PORT}`, 'hello', server))!;
      assert.equal((await two.send(mapped, 'hello', one)) !== undefined, hairpin);
      assert.equal(await two.send(`${one.host.address} 40001`, 'hello', one), `${two.host.address} 40002 hello`);
    });
  }

  test('a router behind a router is seen under the address of the outer one', async () => {
    const outer = await lab.router('port-restricted', { lan: '100.64.0' });
    await using inside = await Probe.start(await (await outer.router('port-restricted')).host());
    await using server = await Probe.start(await lab.host());
    const mapped = origin(await inside.send(`${server.host.address} ${PORT}`, 'hello', server))!;
    assert.equal(mapped, `${outer.publicAddress} ${PORT}`);
    assert.equal(await server.send(mapped, 'reply', inside), `${server.host.address} ${PORT} reply`);
  });

  test('a line has its delay, its loss, and ends at its new address after a move', async () => {
    await using one = await Probe.start(await lab.host());
    await using two = await Probe.start(await lab.host());
    await one.host.setLine({ delayMs: 150 });
    const began = performance.now();
    assert.ok(await one.send(`${two.host.address} ${PORT}`, 'slow', two));
    assert.ok(performance.now() - began >= 160, 'a packet passes both lines');
    await one.host.setLine({ loss: 1 });
    assert.equal(await one.send(`${two.host.address} ${PORT}`, 'lost', two), undefined);
    await one.host.setLine({});
    const before = two.host.address;
    await two.host.move();
    assert.equal(await one.send(`${before} ${PORT}`, 'gone', two), undefined);
    assert.equal(await one.send(`${two.host.address} ${PORT}`, 'here', two), `${one.host.address} ${PORT} here`);
    const seen = (await lab.flows()).find((f) => f.from === one.host.address && f.to === before);
    assert.deepEqual([seen?.protocol, seen?.packets], ['udp', 3]);
  });
});
