import { generateKeyPair, type KeyPair, type PublicKey } from '../../src/crypto/keys.ts';
import { sharedKey } from '../../src/crypto/sodium.ts';
import { decodeRelayPacket, encodeRelayPacket, FIRST_ROUTE_ID, type RelayPacket } from '../../src/packet/relay.ts';
import { RelayClient } from '../../src/relay/client.ts';
import { FrameOpener, FrameSealer, packetScratch } from '../../src/relay/frame.ts';
import { answerHello, CLIENT_HELLO_SIZE, helloSender } from '../../src/relay/handshake.ts';
import { testEnv } from '../../src/testing/index.ts';
import { type Told, tellInto } from './told.ts';

/** A client and a relay that does just what the test says. */
export class ScriptedRelay {
  readonly env;
  readonly keys: KeyPair;
  readonly client: RelayClient;
  readonly told: Told[] = [];
  /** What arrived at the relay since the last look. */
  received: (RelayPacket | Uint8Array)[] = [];
  now = 0;
  #opener: FrameOpener | undefined;
  #sealer: FrameSealer | undefined;
  #hello = new Uint8Array(0);
  readonly #dhtKeys: KeyPair;

  constructor(seed = 1) {
    this.env = testEnv(seed, () => this.now);
    this.keys = generateKeyPair(this.env);
    this.#dhtKeys = generateKeyPair(this.env);
    this.client = new RelayClient(
      this.env,
      0,
      { dhtKeys: this.#dhtKeys, relayKey: this.keys.publicKey },
      tellInto(this.told),
    );
  }

  /** The client logs in and its first ping is answered. */
  login(): this {
    this.client.connected(this.now);
    this.read();
    this.answerPings();
    return this;
  }

  /** Takes what the client wrote; answers its hello, keeps the rest in `received`. */
  read(): void {
    for (let bytes = this.client.takeBytes(); bytes; bytes = this.client.takeBytes()) {
      if (!this.#opener) {
        this.#hello = Uint8Array.of(...this.#hello, ...bytes);
        if (this.#hello.length === CLIENT_HELLO_SIZE) this.#answer();
        continue;
      }
      const intact = this.#opener.push(bytes, (packet) => {
        const copy = packet.slice();
        this.received.push(packet[0]! < FIRST_ROUTE_ID ? decodeRelayPacket(copy)! : copy);
        return true;
      });
      if (!intact) throw new Error('the client wrote nonsense');
    }
  }

  answerPings(): void {
    this.read();
    for (const packet of this.received) {
      if (!(packet instanceof Uint8Array) && packet.kind === 4) this.send({ kind: 5, pingId: packet.pingId });
    }
    this.received = [];
  }

  send(packet: RelayPacket): void {
    this.sendRaw(encodeRelayPacket(packet));
  }

  /** Any bytes as the content of one frame. */
  sendRaw(packet: Uint8Array): void {
    this.#sealer!.push(packet);
    this.client.receive(this.now, this.#sealer!.take()!);
  }

  /** Lets the time pass; the client is woken at each deadline. */
  advance(to: number): void {
    for (let at = this.client.nextWake(); at !== undefined && at <= to; at = this.client.nextWake()) {
      this.now = Math.max(this.now, at);
      this.client.wake(this.now);
    }
    this.now = to;
  }

  /** A route to the peer, who is there. */
  route(peer: PublicKey, id: number): void {
    this.client.requestRoute(peer);
    this.send({ kind: 1, id, peer });
    this.send({ kind: 2, id });
  }

  #answer(): void {
    const sender = helloSender(this.#hello);
    const { answer, session } = answerHello(this.env, sharedKey(sender, this.keys.secretKey)!, this.#hello)!;
    this.#opener = new FrameOpener(session.key, session.receiveNonce, packetScratch());
    this.#sealer = new FrameSealer(session.key, session.sendNonce);
    // In two parts, as streams do.
    this.client.receive(this.now, answer.subarray(0, 50));
    this.client.receive(this.now, answer.subarray(50));
  }
}
