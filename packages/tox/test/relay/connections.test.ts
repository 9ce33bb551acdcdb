import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamHandler } from '../../src/core/streams.ts';
import { generateKeyPair, type KeyPair, keyId } from '../../src/crypto/keys.ts';
import { sharedKey } from '../../src/crypto/sodium.ts';
import { encodeRelayPacket, type RelayPacket } from '../../src/packet/relay.ts';
import { RelayConnections } from '../../src/relay/connections.ts';
import { FrameOpener, FrameSealer, packetScratch } from '../../src/relay/frame.ts';
import { answerHello, CLIENT_HELLO_SIZE, helloSender } from '../../src/relay/handshake.ts';
import type { RelayAddress } from '../../src/relay/relay-link.ts';
import { testEnv } from '../../src/testing/index.ts';
import { endpoint } from '../../src/wire/endpoint.ts';

const at = (port: number) => endpoint('198.51.100.1', port)!;

interface Opened {
  readonly to: RelayAddress;
  readonly handler: StreamHandler;
  readonly written: Uint8Array[];
}

/** The relays of one node, whose streams the test plays. */
function setUp() {
  const env = testEnv(1);
  const opened: Opened[] = [];
  const connections = new RelayConnections(
    env,
    {
      dhtKeys: generateKeyPair(env),
      open: (to, handler) => {
        const written: Uint8Array[] = [];
        opened.push({ to, handler, written });
        return { write: (data) => written.push(data), close() {}, pause() {}, resume() {} };
      },
    },
    { onPacket: () => false, onWay() {}, onOnionResponse() {}, onRelays() {} },
  );
  /** The relay answers the hello; what it may say and hear from then on. */
  const login = (now: number, stream: Opened, relay: KeyPair) => {
    stream.handler.opened?.(now);
    const hello = stream.written.shift()!;
    assert.equal(hello.length, CLIENT_HELLO_SIZE);
    const { answer, session } = answerHello(env, sharedKey(helloSender(hello), relay.secretKey)!, hello)!;
    stream.handler.received(now, answer);
    const sealer = new FrameSealer(session.key, session.sendNonce);
    const opener = new FrameOpener(session.key, session.receiveNonce, packetScratch());
    return {
      say: (packet: RelayPacket) => {
        sealer.push(encodeRelayPacket(packet));
        stream.handler.received(now, sealer.take()!);
      },
      /** First bytes of the packets that came since the last call. */
      hear: () => {
        const kinds: number[] = [];
        for (const bytes of stream.written.splice(0)) {
          opener.push(bytes, (packet) => kinds.push(packet[0]!) > 0);
        }
        return kinds;
      },
    };
  };
  return { env, opened, connections, login };
}

test('a relay that takes us in and throws us out is tried ever more seldom, however many ports it has', () => {
  const { env, opened, connections, login } = setUp();
  const relay = generateKeyPair(env);
  for (const port of [443, 3_389, 33_445]) connections.addRelay(0, { publicKey: relay.publicKey, at: at(port) });
  let attempts = 0;
  for (let now = 0; now < 120_000; now = connections.nextWake() ?? Number.POSITIVE_INFINITY) {
    connections.wake(now);
    for (let stream = opened.shift(); stream && attempts < 1_000; stream = opened.shift()) {
      attempts++;
      login(now, stream, relay);
      stream.handler.closed(now);
    }
  }
  assert.ok(attempts >= 9 && attempts <= 30, `${attempts} attempts in two minutes`);
});

test('of a relay the address that worked is kept for the next start, also while another one is tried', () => {
  const { env, opened, connections, login } = setUp();
  const relay = generateKeyPair(env);
  for (const port of [443, 33_445]) connections.addRelay(0, { publicKey: relay.publicKey, at: at(port) });
  opened.shift()!.handler.closed(0);
  connections.wake(0);
  const second = opened.shift()!;
  assert.equal(second.to, at(33_445));
  login(0, second, relay);
  second.handler.closed(10_000);
  for (let i = 0; i < 2; i++) {
    connections.wake(10_000);
    opened.shift()!.handler.closed(10_000);
  }
  assert.deepEqual(
    connections.savedRelays().map((saved) => saved.endpoint),
    [at(33_445)],
  );
});

test('a friend cannot lead us away from a relay of our own that works', () => {
  const { env, opened, connections, login } = setUp();
  const relay = generateKeyPair(env);
  const friend = generateKeyPair(env).publicKey;
  connections.addRelay(0, { publicKey: relay.publicKey, at: at(443) });
  connections.addPeer(0, friend);
  login(0, opened.shift()!, relay);
  const victim = endpoint('203.0.113.9', 25)!;
  connections.addPeerRelay(0, friend, { publicKey: relay.publicKey, at: victim }, false);
  connections.networkChanged(1_000);
  for (let now = 1_000; now < 60_000; now = connections.nextWake() ?? Number.POSITIVE_INFINITY) {
    connections.wake(now);
    for (let stream = opened.shift(); stream; stream = opened.shift()) {
      assert.equal(stream.to, at(443));
      stream.handler.closed(now);
    }
  }
});

test('a friend elsewhere in our network cannot make us connect to services of this machine', () => {
  const { env, opened, connections } = setUp();
  const friend = generateKeyPair(env).publicKey;
  const lanRelay = { publicKey: generateKeyPair(env).publicKey, at: endpoint('192.168.1.1', 443)! };
  const name = (address: string) => {
    const named = { publicKey: generateKeyPair(env).publicKey, at: endpoint(address, 25)! };
    connections.addPeerRelay(0, friend, named, false);
  };
  connections.addRelay(0, lanRelay);
  connections.addPeer(0, friend);
  name('127.0.0.1');
  name('192.168.1.7');
  assert.deepEqual(opened.map(({ to }) => to).sort(), ['192.168.1.1:443', '192.168.1.7:25']);
});

test('large packets take each route in turn while none has shown that it works, whoever asks for room between', () => {
  const { env, opened, connections, login } = setUp();
  const relays = [generateKeyPair(env), generateKeyPair(env)];
  const friend = generateKeyPair(env).publicKey;
  for (const [i, { publicKey }] of relays.entries()) connections.addRelay(0, { publicKey, at: at(443 + i) });
  connections.addPeer(0, friend);
  const played = opened.map((stream) => {
    const relay = relays[stream.to === at(443) ? 0 : 1]!;
    const said = login(0, stream, relay);
    said.say({ kind: 1, id: 16, peer: friend });
    said.say({ kind: 2, id: 16 });
    said.hear();
    return said;
  });
  assert.equal(played.length, 2);
  for (let i = 0; i < 4; i++) {
    assert.ok(connections.ready(keyId(friend)));
    assert.ok(connections.send(keyId(friend), new Uint8Array(1_400)));
  }
  for (const { hear } of played) assert.deepEqual(hear(), [16, 16]);
});

test('however many relays friends name, there is a place for our own', () => {
  const { env, opened, connections, login } = setUp();
  for (let i = 0; i < 30; i++) {
    const friend = generateKeyPair(env).publicKey;
    connections.addPeer(0, friend);
    for (let port = 1; port <= 3; port++) {
      const named = { publicKey: generateKeyPair(env).publicKey, at: endpoint(`203.0.113.${i}`, port)! };
      connections.addPeerRelay(0, friend, named, false);
    }
  }
  assert.equal(opened.splice(0).length, 60);
  const relay = generateKeyPair(env);
  connections.addRelay(0, { publicKey: relay.publicKey, at: at(443) });
  login(0, opened.shift()!, relay);
  assert.ok(connections.isOnline(relay.publicKey));
});
