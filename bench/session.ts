// Throughput of one session between two NetCrypto objects in this process and thread:
//   node bench/session.ts [MiB]            over memory, then over UDP on loopback
// Nothing is lost and the receiver is ours; the machine's other work shows in the result.
// Prints MiB/s from a standing start, and datagrams per data packet.
import { createSocket, type Socket } from 'node:dgram';
import { generateKeyPair, type KeyPair } from '../packages/tox/src/crypto/keys.ts';
import { SharedKeys } from '../packages/tox/src/crypto/shared-keys.ts';
import { systemRandom } from '../packages/tox/src/crypto/sodium.ts';
import { NetCrypto } from '../packages/tox/src/session/net-crypto.ts';
import { noRelays } from '../packages/tox/src/testing/index.ts';
import { type Endpoint, endpoint, endpointAddress, endpointPort } from '../packages/tox/src/wire/endpoint.ts';

const PACKET = 1373;
const count = Math.ceil((Number(process.argv[2] ?? 64) * 2 ** 20) / PACKET);
const env = { random: systemRandom, unixSeconds: () => BigInt(Math.floor(Date.now() / 1000)), log: () => {} };
const now = () => performance.now();

interface Side {
  readonly realKeys: KeyPair;
  readonly dhtKeys: KeyPair;
  readonly crypto: NetCrypto;
  received: number;
  acknowledged: number;
  writable: () => void;
}

function side(send: (to: Endpoint, data: Uint8Array) => void): Side {
  const realKeys = generateKeyPair(env);
  const dhtKeys = generateKeyPair(env);
  const dhtSharedKeys = new SharedKeys(dhtKeys.secretKey, 16);
  const crypto = new NetCrypto(
    env,
    { realKeys, dhtKeys, dhtSharedKeys, send, relays: noRelays },
    {
      isFriend: () => true,
      onDhtKey: () => {},
      onEstablished: () => {},
      onClosed: () => console.log('closed'),
      onLossless: () => {
        self.received++;
      },
      onLossy: () => {},
      onAcknowledged: (_now, _key, upTo) => {
        self.acknowledged = upTo;
      },
      onWritable: () => self.writable(),
      onRerouted: () => {},
    },
  );
  const self: Side = { realKeys, dhtKeys, crypto, received: 0, acknowledged: 0, writable: () => {} };
  return self;
}

function report(name: string, started: number, datagrams: number): void {
  const seconds = (now() - started) / 1000;
  const rate = (count * PACKET) / 2 ** 20 / seconds;
  console.log(
    `${name}: ${rate.toFixed(1)} MiB/s (${seconds.toFixed(2)} s), ${(datagrams / count).toFixed(3)} datagrams per packet`,
  );
}

function source(a: Side, b: Side): () => void {
  const data = new Uint8Array(PACKET).fill(160);
  let offered = 0;
  return () => {
    for (let room = a.crypto.room(b.realKeys.publicKey); room > 0 && offered < count; room--, offered++) {
      a.crypto.sendLossless(now(), b.realKeys.publicKey, data);
    }
  };
}

/** Datagrams wait in an array, as a socket would hold them. */
function overMemory(): void {
  const at = [endpoint('192.0.2.1', 1)!, endpoint('192.0.2.2', 2)!] as const;
  let waiting: [Side, Endpoint, Uint8Array][] = [];
  let datagrams = 0;
  const a: Side = side((_to, data) => waiting.push([b, at[0], data]));
  const b: Side = side((_to, data) => waiting.push([a, at[1], data]));
  a.crypto.connect(now(), b.realKeys.publicKey, b.dhtKeys.publicKey, at[1]);
  a.writable = source(a, b);
  let started: number | undefined;
  while (a.acknowledged < count) {
    const batch = waiting;
    waiting = [];
    datagrams += batch.length;
    for (const [to, from, data] of batch) to.crypto.handle(now(), from, data);
    for (const s of [a, b]) s.crypto.wake(now());
    if (started === undefined && a.crypto.established(b.realKeys.publicKey)) {
      started = now();
      a.writable();
    }
  }
  report('memory', started!, datagrams);
}

async function overUdp(): Promise<void> {
  let datagrams = 0;
  const open = async (): Promise<[Side, Endpoint, () => void]> => {
    const socket: Socket = createSocket('udp4');
    await new Promise<void>((done) => socket.bind(0, '127.0.0.1', done));
    socket.setRecvBufferSize(2 * 2 ** 20);
    const s = side((to, data) => {
      datagrams++;
      socket.send(data, endpointPort(to), endpointAddress(to));
    });
    let timer: NodeJS.Timeout | undefined;
    let timerAt = Number.POSITIVE_INFINITY;
    const arm = () => {
      const at = s.crypto.nextWake();
      if (at === undefined || (timer && timerAt <= at)) return;
      clearTimeout(timer);
      timerAt = at;
      timer = setTimeout(fire, Math.max(0, at - now()));
    };
    const fire = () => {
      timer = undefined;
      s.crypto.wake(now());
      arm();
    };
    socket.on('message', (data, from) => {
      s.crypto.handle(now(), endpoint(from.address, from.port)!, data);
      arm();
    });
    const close = () => {
      clearTimeout(timer);
      socket.close();
    };
    return [s, endpoint('127.0.0.1', socket.address().port)!, close];
  };
  const [a, , closeA] = await open();
  const [b, atB, closeB] = await open();
  const established = new Promise<void>((done) => {
    const poll = setInterval(() => {
      if (!a.crypto.established(b.realKeys.publicKey)) return;
      clearInterval(poll);
      done();
    }, 1);
  });
  a.crypto.connect(now(), b.realKeys.publicKey, b.dhtKeys.publicKey, atB);
  await established;
  a.writable = source(a, b);
  const started = now();
  a.writable();
  await new Promise<void>((done) => {
    const poll = setInterval(() => {
      if (a.acknowledged < count) return;
      clearInterval(poll);
      done();
    }, 1);
  });
  report('loopback UDP', started, datagrams);
  closeA();
  closeB();
}

overMemory();
await overUdp();
