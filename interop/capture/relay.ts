#!/usr/bin/env node
// Writes packages/tox/test/vectors/relay.json: what c-toxcore says over TCP, as relay and as client, with the keys that
// open it. Run by hand (`node interop/capture/relay.ts`); the file is committed. Unlike capture.ts it listens to running
// programs, so each run gives other bytes of the same kinds.

import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import net from 'node:net';
import type { Env } from '../../packages/tox/src/core/env.ts';
import {
  fromHex,
  generateKeyPair,
  type KeyPair,
  keyPairFromSecret,
  type Nonce,
  type PublicKey,
  randomNonce,
  type SecretKey,
  type SharedKey,
} from '../../packages/tox/src/crypto/keys.ts';
import { incrementNonce } from '../../packages/tox/src/crypto/nonce.ts';
import { open, seal, sharedKey } from '../../packages/tox/src/crypto/sodium.ts';
import { Driver } from '../../packages/tox/src/node/drive.ts';
import { systemEnv } from '../../packages/tox/src/node/system-env.ts';
import { TcpStreams } from '../../packages/tox/src/node/tcp.ts';
import { UdpSocket } from '../../packages/tox/src/node/udp.ts';
import { OnionPath } from '../../packages/tox/src/onion/path.ts';
import { writeAnnounceRequest, writeAnnounceRequestPlain } from '../../packages/tox/src/packet/onion.ts';
import { encodeRelayPacket } from '../../packages/tox/src/packet/relay.ts';
import { FrameOpener, FrameSealer, packetScratch } from '../../packages/tox/src/relay/frame.ts';
import {
  CLIENT_HELLO_SIZE,
  ClientHandshake,
  type RelaySession,
  SERVER_HELLO_SIZE,
} from '../../packages/tox/src/relay/handshake.ts';
import { Tox } from '../../packages/tox/src/tox.ts';
import { endpoint } from '../../packages/tox/src/wire/endpoint.ts';
import { BootstrapDaemon, disposeOracle, OraclePeer } from '../oracle/oracle.ts';

const SOURCE = 'c-toxcore 0.2.18';
const OUT = new URL('../../packages/tox/test/vectors/relay.json', import.meta.url);
/** Of each kind, from each side. */
const FRAMES_OF_A_KIND = 3;

const hex = (data: Uint8Array) => Buffer.from(data).toString('hex');

/** Remembers the last keys that were made: the temporary one of a handshake is among them. */
function recordingEnv(): Env & { secrets: Uint8Array[] } {
  const secrets: Uint8Array[] = [];
  const env = systemEnv();
  return {
    ...env,
    secrets,
    random(size) {
      const bytes = env.random(size);
      if (size === 32) secrets.push(bytes.slice());
      return bytes;
    },
  };
}

/** The first frames of each kind in a stream, with their numbers, which their nonces follow from. */
function framesOf(stream: Buffer, key: SharedKey, baseNonce: Nonce): { number: number; frame: string }[] {
  const kept: { number: number; frame: string }[] = [];
  const seen = new Map<number, number>();
  const nonce = baseNonce.slice() as Nonce;
  for (let at = 0, number = 0; at + 2 < stream.length; number++) {
    const end = at + 2 + stream.readUInt16BE(at);
    if (end > stream.length) break;
    const kind = Math.min(16, open(key, nonce, stream.subarray(at + 2, end))![0]!);
    const count = (seen.get(kind) ?? 0) + 1;
    seen.set(kind, count);
    if (count <= FRAMES_OF_A_KIND) kept.push({ number, frame: hex(stream.subarray(at, end)) });
    incrementNonce(nonce);
    at = end;
  }
  return kept;
}

// ---------------------------------------------------------------- c-toxcore as the relay

class Client {
  readonly keys: KeyPair = generateKeyPair(systemEnv());
  readonly env = recordingEnv();
  readonly socket: net.Socket;
  readonly packets: Uint8Array[] = [];
  readonly #handshake: ClientHandshake;
  readonly #heard = new Set<() => void>();
  #stream = Buffer.alloc(0);
  #sealer: FrameSealer | undefined;
  #opener: FrameOpener | undefined;
  #session: RelaySession | undefined;

  constructor(daemon: BootstrapDaemon, relayKey: PublicKey) {
    this.#handshake = new ClientHandshake(this.env, this.keys.publicKey, sharedKey(relayKey, this.keys.secretKey)!);
    this.socket = net.connect({ host: daemon.host, port: daemon.port, noDelay: true });
    this.socket.write(this.#handshake.hello);
    this.socket.on('data', (data) => this.#receive(data));
  }

  #receive(data: Buffer): void {
    const before = this.#stream.length;
    this.#stream = Buffer.concat([this.#stream, data]);
    if (this.#stream.length < SERVER_HELLO_SIZE) return;
    if (!this.#opener) {
      const session = this.#handshake.finish(new Uint8Array(this.#stream.subarray(0, SERVER_HELLO_SIZE)))!;
      this.#session = session;
      this.#opener = new FrameOpener(session.key, session.receiveNonce.slice() as Nonce, packetScratch());
      this.#sealer = new FrameSealer(session.key, session.sendNonce);
    }
    const rest = this.#stream.subarray(Math.max(before, SERVER_HELLO_SIZE));
    this.#opener.push(new Uint8Array(rest), (packet) => this.packets.push(packet.slice()) > 0);
    for (const heard of this.#heard) heard();
  }

  async heard(kind: number): Promise<void> {
    while (!this.packets.some((packet) => packet[0] === kind)) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#heard.add(resolve);
      await promise;
      this.#heard.delete(resolve);
    }
  }

  /** Waits for the handshake, then seals and sends. */
  async send(packet: Uint8Array): Promise<void> {
    while (!this.#sealer) await once(this.socket, 'data');
    this.#sealer.push(packet);
    this.socket.write(this.#sealer.take()!);
  }

  get recorded() {
    return {
      clientSecret: hex(this.keys.secretKey),
      temporarySecret: hex(this.env.secrets[0]!),
      answer: hex(this.#stream.subarray(0, SERVER_HELLO_SIZE)),
      frames: framesOf(this.#stream.subarray(SERVER_HELLO_SIZE), this.#session!.key, this.#session!.receiveNonce),
    };
  }
}

/** Through three hops that are all the relay: an announce, which it answers. */
function onionRequest(daemon: BootstrapDaemon, key: PublicKey, client: Client): Uint8Array {
  const env = systemEnv();
  const node = { publicKey: key, endpoint: endpoint(daemon.host, daemon.port)! };
  const path = OnionPath.create(
    0,
    env,
    { nodes: [node, node, node], relayed: true },
    client.keys.publicKey,
    undefined,
  )!;
  const own = generateKeyPair(env);
  const none = new Uint8Array(32);
  const nonce = randomNonce(env);
  const plain = writeAnnounceRequestPlain({
    pingId: none,
    searched: own.publicKey,
    dataKey: none as Uint8Array as PublicKey,
    sendback: env.random(8),
  });
  const box = seal(sharedKey(key, own.secretKey)!, nonce, plain);
  const request = writeAnnounceRequest({ nonce, publicKey: own.publicKey, box });
  return encodeRelayPacket({ kind: 8, ...path.wrapRelayed(node.endpoint, request) });
}

async function asRelay(): Promise<unknown> {
  await using daemon = await BootstrapDaemon.start({ tcpRelay: true });
  const key = fromHex(daemon.key, 32) as PublicKey;
  const [a, b] = [new Client(daemon, key), new Client(daemon, key)];
  await a.send(encodeRelayPacket({ kind: 4, pingId: a.env.random(8) }));
  await b.send(encodeRelayPacket({ kind: 4, pingId: b.env.random(8) }));
  await Promise.all([a.heard(5), b.heard(5)]);
  await a.send(encodeRelayPacket({ kind: 0, peer: a.keys.publicKey }));
  await a.send(encodeRelayPacket({ kind: 0, peer: b.keys.publicKey }));
  await b.send(encodeRelayPacket({ kind: 0, peer: a.keys.publicKey }));
  await a.heard(2);
  await b.send(encodeRelayPacket({ kind: 6, peer: a.keys.publicKey, data: Uint8Array.of(1, 2, 3) }));
  await b.send(Uint8Array.of(16, 9, 8, 7));
  await a.heard(16);
  await a.send(onionRequest(daemon, key, a));
  await a.heard(9);
  await b.send(encodeRelayPacket({ kind: 3, id: 16 }));
  await a.heard(3);
  b.socket.destroy();
  a.socket.destroy();
  return { relayKey: hex(key), ...a.recorded };
}

// ---------------------------------------------------------------- c-toxcore as the client

/** Both directions of one connection. */
interface Tap {
  heard: Buffer;
  said: Buffer;
}

/** A node of ours that is bootstrap node and relay, and two c-toxcore friends without UDP who talk over it. */
async function asClient(): Promise<unknown> {
  const env = recordingEnv();
  const tox = new Tox(env, performance.now(), { relay: {} });
  const udp = await UdpSocket.open({ host: '127.0.0.1', port: 0 });
  const streams = new TcpStreams();
  const driver = new Driver(tox, { datagrams: udp, streams }, () => {});
  const taps: Tap[] = [];
  const server = net.createServer((socket) => {
    const tap: Tap = { heard: Buffer.alloc(0), said: Buffer.alloc(0) };
    taps.push(tap);
    socket.on('data', (data) => {
      tap.heard = Buffer.concat([tap.heard, data]);
    });
    const write = socket.write.bind(socket) as (data: Uint8Array, done: () => void) => boolean;
    socket.write = ((data: Uint8Array, done: () => void) => {
      tap.said = Buffer.concat([tap.said, data]);
      return write(data, done);
    }) as typeof socket.write;
    streams.adopt(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  const relayKey = hex(tox.dhtKeys.publicKey);
  {
    await using alice = await OraclePeer.start({ udp: false });
    await using bob = await OraclePeer.start({ udp: false });
    await alice.acceptFriend(bob.publicKey);
    await bob.acceptFriend(alice.publicKey);
    for (const peer of [alice, bob]) {
      await peer.bootstrap('127.0.0.1', udp.port, relayKey);
      await peer.relay('127.0.0.1', port, relayKey);
    }
    await Promise.all([alice.friendOnline(bob.publicKey), bob.friendOnline(alice.publicKey)]);
    await alice.sendMessage(bob.publicKey, 'golden bytes');
    await bob.waitFor('message');
    // A friend who is deleted loses the route.
    await alice.deleteFriend(bob.publicKey);
    await bob.waitFor('friend-connection', (e) => e.connection === 'none');
  }
  driver.stop();
  server.close();
  await Promise.all([streams.close(), udp.close()]);
  const clients = taps.map(({ heard, said }) => {
    const shared = sharedKey(heard.subarray(0, 32) as Uint8Array as PublicKey, tox.dhtKeys.secretKey)!;
    const plain = open(shared, said.subarray(0, 24) as Uint8Array as Nonce, said.subarray(24, SERVER_HELLO_SIZE))!;
    const secret = env.secrets.find(
      (each) => hex(keyPairFromSecret(each as SecretKey).publicKey) === hex(plain.subarray(0, 32)),
    );
    const hello = heard.subarray(0, CLIENT_HELLO_SIZE);
    const theirs = open(shared, hello.subarray(32, 56) as Uint8Array as Nonce, hello.subarray(56))!;
    const key = sharedKey(theirs.subarray(0, 32) as Uint8Array as PublicKey, secret as SecretKey)!;
    const baseNonce = theirs.subarray(32) as Uint8Array as Nonce;
    return {
      temporarySecret: hex(secret!),
      hello: hex(hello),
      frames: framesOf(heard.subarray(CLIENT_HELLO_SIZE), key, baseNonce),
    };
  });
  return { relaySecret: hex(tox.dhtKeys.secretKey), clients };
}

const content = { source: SOURCE, relay: await asRelay(), client: await asClient() };
await disposeOracle();
const text = `${JSON.stringify(content, null, 1)}\n`;
await writeFile(OUT, text);
console.log(`relay.json: ${text.length} bytes`);
process.exit(0);
