import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { afterEach, test as plainTest, type TestContext } from 'node:test';
import fc from 'fast-check';
import { settle, VirtualScheduler } from '../../src/testing/virtual-scheduler.ts';
import { decode, encode, type Hello, type Offer, type Packet } from '../../src/transfer/packets.ts';
import { ALICE, BOB, mailOf, never, Station, Wire } from './pair.ts';

/** What hangs fails. */
function test(name: string, run: (t: TestContext) => Promise<void>): void {
  plainTest(name, { timeout: 60_000 }, run);
}

const HELLO: Hello = {
  kind: 'hello',
  version: 1,
  answer: false,
  openTransfers: 64,
  credit: 10_000_000,
  eagerLimit: 65_536,
  maxSize: 100_000_000,
};

let bob: Station | undefined;

afterEach(async () => {
  await bob?.stop();
  bob?.remove();
  bob = undefined;
});

/** What Bob says to the Alice that the test plays. */
class Heard {
  packets: Packet[] = [];
  #wake: () => void = () => {};

  add(packet: Packet): void {
    this.packets.push(packet);
    this.#wake();
  }

  count(kind: Packet['kind']): number {
    return this.packets.filter((packet) => packet.kind === kind).length;
  }

  /** Waits until he has said this, so many times. */
  async until(match: Partial<Packet>, times = 1): Promise<void> {
    const fits = (packet: Packet): boolean =>
      Object.entries(match).every(([name, value]) => packet[name as keyof Packet] === value);
    while (this.packets.filter(fits).length < times) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

interface Stage {
  readonly bob: Station;
  readonly heard: Heard;
  readonly time: VirtualScheduler;
  say(packet: Packet): void;
}

async function against(): Promise<Stage> {
  const wire = new Wire();
  const time = new VirtualScheduler();
  const station = new Station(wire.ends.bob, time);
  bob = station;
  await station.start();
  const heard = new Heard();
  wire.ends.alice.handlers = {
    online() {},
    offline() {},
    writable() {},
    packet: (_peer, data) => heard.add(decode(Uint8Array.from(data))!),
  };
  wire.connect();
  return { bob: station, say: (packet) => station.end.handlers.packet(ALICE, encode(packet)), heard, time };
}

function offer(stream: number, size: number, more: Partial<Offer> = {}): Offer {
  const none = { eager: false, nullSender: false, tag: '', data: new Uint8Array(0) };
  return { kind: 'offer', stream, id: randomBytes(16), size, digest: randomBytes(32), ...none, ...more };
}

const LAST = 999_999;

function offerSmallMail(say: (packet: Packet) => void): void {
  const data = Buffer.from('Subject: x\r\n\r\n');
  const digest = createHash('sha256').update(data).digest();
  say(offer(LAST, data.length, { eager: true, data, digest }));
}

/** Returns if Bob still takes mail. */
async function takesMail(say: (packet: Packet) => void, heard: Heard): Promise<void> {
  offerSmallMail(say);
  await heard.until({ kind: 'stored', stream: LAST });
}

test('an ordinary Tox program: the mail waits with a reason, and its later hello is told', async () => {
  const { bob, say, heard, time } = await against();
  const outcome = bob.transfer.deliver(bob.job(ALICE, mailOf(500)), () => {}, never);
  await time.advance(10_001);
  const result = await outcome;
  assert.equal(result.kind === 'offline' && result.status?.enhanced, '4.3.3');
  const again = await bob.transfer.deliver(bob.job(ALICE, mailOf(500)), () => {}, never);
  assert.equal(again.kind === 'offline' && again.status?.enhanced, '4.3.3');
  assert.equal(bob.ready, 0);
  say(HELLO);
  assert.equal(bob.ready, 1);
  await takesMail(say, heard);
});

const VIOLATIONS: Record<string, (say: (packet: Packet) => void) => void> = {
  'too many open transfers': (say) => {
    for (let i = 0; i < 65; i++) say(offer(i, 1_000_000));
  },
  'one stream number twice': (say) => {
    say(offer(1, 1_000_000));
    say(offer(1, 1_000_000));
  },
  'an eager mail above the limit': (say) => say(offer(1, 65_537, { eager: true, data: new Uint8Array(1_000) })),
  'more data than offered': (say) => {
    say(offer(1, 10, { eager: true, data: new Uint8Array(9) }));
    say({ kind: 'data', stream: 1, data: new Uint8Array(2) });
  },
  'data before accept': (say) => {
    say(offer(1, 1_000_000));
    say({ kind: 'data', stream: 1, data: new Uint8Array(2) });
  },
  'more data than the credit': (say) => {
    say(offer(1, 60_000, { eager: true }));
    for (let i = 0; i < 600; i++) say({ kind: 'data', stream: 5_000 + i, data: new Uint8Array(1_368) });
    for (let i = 0; i < 600; i++) say(offer(6_000 + i, 40_000, { eager: true, data: new Uint8Array(1_200) }));
  },
};

for (const [what, act] of Object.entries(VIOLATIONS)) {
  test(`${what}: nothing more of the peer is listened to until it says hello anew`, async () => {
    const { bob, say, heard } = await against();
    say(HELLO);
    act(say);
    await settle();
    offerSmallMail(say);
    const outcome = await bob.transfer.deliver(bob.job(ALICE, mailOf(500)), () => {}, never);
    assert.equal(outcome.kind === 'failed' && outcome.status.enhanced, '4.5.0');
    assert.equal(heard.count('stored'), 0);
    say(HELLO);
    await takesMail(say, heard);
  });
}

test('packets before the hello, and answers to what was never asked, are ignored', async () => {
  const { say, heard } = await against();
  say(offer(1, 100, { eager: true, data: new Uint8Array(100) }));
  say(HELLO);
  say({ kind: 'accept', stream: 4, offset: 9 });
  say({ kind: 'stored', stream: 4 });
  say({ kind: 'refuse', stream: 4, reply: 550, enhanced: [5, 0, 0], text: '' });
  say({ kind: 'cancel', stream: 4, forget: true });
  say({ kind: 'credit', total: 0 });
  say({ kind: 'data', stream: 4, data: new Uint8Array(10) });
  await takesMail(say, heard);
});

test('a peer that says nothing after an offer costs one attempt of two minutes', async () => {
  const { bob, say, time } = await against();
  say(HELLO);
  const outcome = bob.transfer.deliver(bob.job(ALICE, mailOf(500)), () => {}, never);
  await settle(50);
  await time.advance(151_000);
  const result = await outcome;
  assert.equal(result.kind === 'failed' && result.status.enhanced, '4.4.2');
});

test('a large mail that brings no data makes room for others', async () => {
  const { say, heard, time } = await against();
  say(HELLO);
  for (let i = 1; i <= 9; i++) say(offer(i, 1_000_000));
  await heard.until({ kind: 'accept' }, 8);
  await settle();
  assert.equal(heard.count('accept'), 8);
  await time.advance(151_000);
  await heard.until({ kind: 'accept', stream: 9 });
  assert.equal(heard.count('refuse'), 8);
});

test('at most 16 unfinished mails of a peer are kept', async () => {
  const { bob, say, heard } = await against();
  say(HELLO);
  for (let i = 1; i <= 40; i++) {
    say(offer(i, 1_000_000));
    await heard.until({ kind: 'accept', stream: i });
    say({ kind: 'data', stream: i, data: new Uint8Array(100) });
    say({ kind: 'cancel', stream: i, forget: false });
  }
  await bob.transfer.stop();
  assert.ok(bob.partials().length <= 16, String(bob.partials().length));
});

test('any sequence of packets leaves the daemon standing, with nothing stored that was not whole', async () => {
  const small = fc.integer({ min: 0, max: 3 });
  const data = fc.uint8Array({ minLength: 1, maxLength: 50 });
  const packet = fc.oneof(
    fc.record({ kind: fc.constant('hello' as const), answer: fc.boolean() }).map((p): Packet => ({ ...HELLO, ...p })),
    fc
      .record({ stream: small, size: fc.constantFrom(1, 60, 100_000), eager: fc.boolean(), data })
      .map((p): Packet => offer(p.stream, p.size, p.eager ? { eager: true, data: p.data } : {})),
    fc.record({ kind: fc.constant('accept' as const), stream: small, offset: fc.integer({ min: 0, max: 9_000 }) }),
    fc.record({ kind: fc.constant('data' as const), stream: small, data }),
    fc.record({ kind: fc.constant('stored' as const), stream: small }),
    fc.record({ kind: fc.constant('cancel' as const), stream: small, forget: fc.boolean() }),
    fc.record({ kind: fc.constant('credit' as const), total: fc.nat() }),
  );
  const { bob, say, heard } = await against();
  await fc.assert(
    fc.asyncProperty(fc.array(packet, { maxLength: 30 }), async (packets) => {
      say(HELLO);
      const abort = new AbortController();
      const outcome = bob.transfer.deliver(bob.job(ALICE, mailOf(100_000)), () => {}, abort.signal);
      for (const each of packets) {
        say(each as Packet);
        if (packets.length % 2) await settle(1);
      }
      abort.abort();
      await outcome;
      heard.packets = [];
    }),
    { numRuns: 60 },
  );
  assert.equal(bob.mails().length, 0);
  say(HELLO);
  await takesMail(say, heard);
  assert.equal(bob.transfer.isReady(BOB), false);
});
