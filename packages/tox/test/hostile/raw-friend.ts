import { generateKeyPair, type KeyPair, type PublicKey, randomNonce, type SharedKey } from '../../src/crypto/keys.ts';
import { incrementNonce } from '../../src/crypto/nonce.ts';
import { sharedKey } from '../../src/crypto/sodium.ts';
import type { ToxEvent } from '../../src/messenger/events.ts';
import {
  COOKIE_RESPONSE,
  CRYPTO_DATA,
  CryptoDataOpener,
  cryptoDataNonce,
  encodeCookieRequest,
  encodeCryptoData,
  encodeHandshake,
  HANDSHAKE,
  openCookieResponse,
  openHandshake,
  PACKET_KILL,
} from '../../src/packet/crypto.ts';
import { ReceiveNonce } from '../../src/session/receive-nonce.ts';
import { testEnv } from '../../src/testing/index.ts';
import { Tox } from '../../src/tox.ts';
import { type Endpoint, endpoint } from '../../src/wire/endpoint.ts';

export const ALIVE = Uint8Array.of(16);
export const ONLINE = Uint8Array.of(24);
export const OFFLINE = Uint8Array.of(25);

/** A friend of `victim` who says whatever he likes inside a session, and the only one whom it hears. */
export class RawFriend {
  now = 1_000;
  readonly victim: Tox;
  readonly events: ToxEvent[] = [];
  /** Id and body of each data packet of the victim, in the order sent. */
  readonly heard: Uint8Array[] = [];
  heardBytes = 0;
  /** The first number of the victim that we say is missing. */
  bufferStart = 0;
  /** Acknowledge all that was heard, as if it were in order. */
  acknowledges = true;
  next = 0;
  readonly #env = testEnv(77);
  readonly #real: KeyPair = generateKeyPair(this.#env);
  readonly #dht: KeyPair = generateKeyPair(this.#env);
  readonly #at: Endpoint = endpoint('198.51.100.7', 33_445)!;
  readonly #opener = new CryptoDataOpener();
  #session: KeyPair = generateKeyPair(this.#env);
  #sendNonce = randomNonce(this.#env);
  #receiveNonce: ReceiveNonce | undefined;
  #shared: SharedKey | undefined;
  #inReceive = false;

  constructor(seed = 1) {
    this.victim = new Tox(testEnv(seed), this.now);
    this.victim.messenger.acceptFriend(this.now, this.key);
    this.connect();
  }

  get key(): PublicKey {
    return this.#real.publicKey;
  }

  get online(): boolean {
    return this.victim.messenger.friend(this.key)?.online ?? false;
  }

  /** A new session, as after a restart, up to "online". */
  connect(): void {
    this.now += 1_000;
    this.#session = generateKeyPair(this.#env);
    this.#sendNonce = randomNonce(this.#env);
    this.#shared = undefined;
    this.next = 0;
    this.bufferStart = 0;
    const dhtShared = sharedKey(this.victim.dhtKeys.publicKey, this.#dht.secretKey)!;
    const echo = this.#env.random(8);
    const nonce = randomNonce(this.#env);
    this.raw(encodeCookieRequest(dhtShared, nonce, this.#dht.publicKey, this.#real.publicKey, echo));
    const cookie = openCookieResponse(dhtShared, echo, this.#last(COOKIE_RESPONSE))!;
    const realShared = sharedKey(this.victim.realKeys.publicKey, this.#real.secretKey)!;
    const content = { baseNonce: this.#sendNonce, sessionKey: this.#session.publicKey, cookie: new Uint8Array(112) };
    this.raw(encodeHandshake(realShared, randomNonce(this.#env), cookie, content));
    const theirs = openHandshake(realShared, this.#last(HANDSHAKE))!;
    this.#shared = sharedKey(theirs.sessionKey, this.#session.secretKey);
    this.#receiveNonce = new ReceiveNonce(theirs.baseNonce);
    this.lossless(ALIVE);
    this.lossless(ONLINE);
  }

  lossless(data: Uint8Array): void {
    this.packet(data, this.next++ >>> 0);
  }

  /** A data packet with any numbers; `data` is id and body, and must not begin with a zero. */
  packet(data: Uint8Array, number = this.next, bufferStart = this.bufferStart): void {
    const packet = encodeCryptoData(this.#shared!, this.#sendNonce, bufferStart >>> 0, number >>> 0, data);
    incrementNonce(this.#sendNonce);
    this.raw(packet);
  }

  /** Any datagram from our address. */
  raw(data: Uint8Array): void {
    this.victim.receive(this.now, this.#at, data);
    this.drain();
  }

  /** Time passes; we stay alive. */
  wait(ms: number, alive = true): void {
    const end = this.now + ms;
    let nextAlive = this.now;
    for (;;) {
      const wake = this.victim.nextWake() ?? Number.POSITIVE_INFINITY;
      const at = Math.min(Math.max(wake, this.now), alive ? nextAlive : Number.POSITIVE_INFINITY);
      if (at > end) break;
      this.now = at;
      if (at === nextAlive) {
        nextAlive += 4_000;
        this.lossless(ALIVE);
      }
      this.victim.wake(this.now);
      this.drain();
    }
    this.now = end;
  }

  drain(): void {
    if (this.#inReceive) return;
    this.#inReceive = true;
    for (let d = this.victim.takeDatagram(); d; d = this.victim.takeDatagram()) {
      if (d.to !== this.#at) continue;
      this.heardBytes += d.data.length;
      if (d.data[0] === CRYPTO_DATA) this.#hear(d.data);
      else this.#sent.set(d.data[0]!, d.data);
    }
    this.#inReceive = false;
    for (let event = this.victim.takeEvent(); event; event = this.victim.takeEvent()) this.events.push(event);
  }

  readonly #sent = new Map<number, Uint8Array>();

  #last(kind: number): Uint8Array {
    const data = this.#sent.get(kind);
    if (!data) throw new Error(`the victim sent no ${kind.toString(16)}`);
    return data;
  }

  #hear(data: Uint8Array): void {
    const low16 = cryptoDataNonce(data);
    if (low16 === undefined || !this.#shared || !this.#receiveNonce) return;
    const plain = this.#opener.open(this.#shared, this.#receiveNonce.candidate(low16), data);
    if (!plain) return;
    this.#receiveNonce.accept(low16);
    this.heard.push(Uint8Array.from(plain));
    const lossless = plain[0]! >= 16 && plain[0]! < 192;
    const end = (this.#opener.number + (lossless ? 1 : 0)) >>> 0;
    if (this.acknowledges && ((end - this.bufferStart) | 0) > 0) this.bufferStart = end;
  }
}

export { PACKET_KILL };
