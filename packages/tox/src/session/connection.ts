import type { Env, Mono } from '../core/env.ts';
import {
  generateKeyPair,
  type KeyPair,
  type Nonce,
  type PublicKey,
  randomNonce,
  type SharedKey,
} from '../crypto/keys.ts';
import { incrementNonce } from '../crypto/nonce.ts';
import { sharedKey, wipe } from '../crypto/sodium.ts';
import {
  type CryptoDataOpener,
  cryptoDataNonce,
  ECHO_SIZE,
  encodeCookieRequest,
  encodeCryptoData,
  encodeHandshake,
  FIRST_LOSSLESS,
  FIRST_LOSSY,
  type HandshakeContent,
  LAST_LOSSY,
  openCookieResponse,
  PACKET_KILL,
  PACKET_REQUEST,
  sameHandshake,
} from '../packet/crypto.ts';
import type { Endpoint } from '../wire/endpoint.ts';
import type { Channel, RelayChannel } from './channel.ts';
import { PathModel } from './congestion.ts';
import { ReceiveWindow, type StoreBudget } from './packet-window.ts';
import { ReceiveNonce } from './receive-nonce.ts';
import { type PacketSink, Transmitter } from './transmitter.ts';
import { Ways } from './ways.ts';

/**
 * cookie-requested: 18 repeats until a cookie comes. handshake-sent: 1a repeats until theirs comes.
 * not-confirmed: both handshakes are known; 1a repeats until a data packet opens. established: it did.
 */
export type ConnectionState = 'cookie-requested' | 'handshake-sent' | 'not-confirmed' | 'established' | 'closed';

/** What connections share and whom they tell. Called synchronously. */
export interface ConnectionOwner {
  readonly env: Env;
  readonly realKeys: KeyPair;
  readonly dhtKeys: KeyPair;
  readonly opener: CryptoDataOpener;
  /** For a packet that is being built; MAX_CRYPTO_DATA_SIZE. */
  readonly scratch: Uint8Array;
  readonly budget: StoreBudget;
  send(channel: Channel, data: Uint8Array): boolean;
  /** `route`: the peer is at a relay where we are. `oob`: it may be. */
  relayWay(channel: RelayChannel): 'route' | 'oob' | 'none';
  /** Whether the relays take a full packet now. */
  relayReady(channel: RelayChannel): boolean;
  /** Nothing comes, whatever the relays say. */
  relayDoubted(channel: RelayChannel): void;
  issueCookie(now: Mono, realKey: PublicKey, dhtKey: PublicKey): Uint8Array;
  /** Key of real x real and of DHT x DHT. Undefined for a low-order key. */
  realShared(realKey: PublicKey): SharedKey | undefined;
  dhtShared(dhtKey: PublicKey): SharedKey | undefined;
  established(now: Mono, connection: Connection): void;
  /** Killed by the peer or given up. The connection is closed already. */
  ended(now: Mono, connection: Connection): void;
  lossless(now: Mono, connection: Connection, data: Uint8Array): void;
  lossy(now: Mono, connection: Connection, data: Uint8Array): void;
  acknowledged(now: Mono, connection: Connection, upTo: number): void;
  writable(now: Mono, connection: Connection): void;
  /** An open session goes another way from now on. */
  rerouted(now: Mono, connection: Connection): void;
}

// Spec: net_crypto (CRYPTO_SEND_PACKET_INTERVAL, MAX_NUM_SENDPACKET_TRIES).
const REPEAT_INTERVAL = 1_000;
const MAX_TRIES = 8;
/** Ours: a relay that tells ever new routes makes us repeat no sooner, ms. */
const REPEAT_PAUSE = 50;
const REQUEST_INTERVAL = 1_000;

// Ours.
/** Lossless packets received before an acknowledgement is sent at once. */
const ACK_EVERY = 24;
/** Else an acknowledgement follows the first unacknowledged packet after so many ms. */
const ACK_DELAY = 10;
/** A new gap is reported sooner, ms; what is merely reordered has this long to come. */
const GAP_DELAY = 4;
/** While gaps remain and nothing arrives they are reported again, at doubling intervals, ms. */
const MIN_GAP_REPEAT = 40;
const MAX_GAP_REPEAT = 250;
/** The relay takes nothing now, or cannot be reached: when to try again, ms. */
const RELAY_FULL_DELAY = 4;
const NO_RELAY_DELAY = 250;

/**
 * One session with one peer, from the first packet to its end (spec: net_crypto). It has up to two
 * ways: straight to an endpoint, and through relays. Handshakes take both, data the straight one while
 * it lives.
 */
export class Connection implements PacketSink {
  readonly realKey: PublicKey;
  readonly dhtKey: PublicKey;
  state: ConnectionState = 'cookie-requested';
  readonly ways: Ways;
  /** When the cookie of the peer's handshake was issued; an older handshake is a replay. */
  cookieIssued: Mono = Number.NEGATIVE_INFINITY;
  /** The earliest deadline. Infinity if there is none. */
  wakeAt: Mono = Number.POSITIVE_INFINITY;

  readonly #owner: ConnectionOwner;
  readonly #sessionKeys: KeyPair;
  readonly #baseNonce: Nonce;
  readonly #echo: Uint8Array;

  /** The 18 or 1a that repeats. */
  #repeated: Uint8Array | undefined;
  #tries = 0;
  #repeatAt = Number.POSITIVE_INFINITY;
  #repeatedAt: Mono = Number.NEGATIVE_INFINITY;
  #firstSentAt: Mono | undefined;
  #roundTrip: number | undefined;

  #peer: HandshakeContent | undefined;
  #shared: SharedKey | undefined;
  readonly #sentNonce: Nonce;
  #receivedNonce: ReceiveNonce | undefined;

  #transmitter: Transmitter | undefined;
  readonly #received: ReceiveWindow;
  #requestAt = Number.POSITIVE_INFINITY;
  #requestSentAt: Mono = 0;
  #gapRepeat = MIN_GAP_REPEAT;
  #unacknowledged = 0;
  readonly #firstNumber: number;

  /** `firstNumber` is 0 on the wire; tests begin elsewhere to see it wrap. */
  constructor(owner: ConnectionOwner, realKey: PublicKey, dhtKey: PublicKey, firstNumber = 0) {
    this.#owner = owner;
    this.realKey = realKey.slice() as Uint8Array as PublicKey;
    this.dhtKey = dhtKey.slice() as Uint8Array as PublicKey;
    this.#sessionKeys = generateKeyPair(owner.env);
    this.#baseNonce = randomNonce(owner.env).slice() as Uint8Array as Nonce;
    this.#sentNonce = this.#baseNonce.slice() as Uint8Array as Nonce;
    this.#echo = owner.env.random(ECHO_SIZE).slice();
    this.#firstNumber = firstNumber;
    this.#received = new ReceiveWindow(owner.budget, firstNumber);
    this.ways = new Ways({
      relayWay: (channel) => owner.relayWay(channel),
      relayDoubted: (channel) => owner.relayDoubted(channel),
      isOpen: () => this.state === 'established',
      changed: (now, before) => this.#rerouted(now, before),
      probe: (to) => this.#sendDataOver(to, this.#transmitter!.nextNumber, Uint8Array.of(PACKET_REQUEST)),
    });
  }

  /** Begins as the initiator. Without a way to the peer it waits for one. */
  requestCookie(now: Mono): void {
    const shared = this.#owner.dhtShared(this.dhtKey);
    if (!shared) {
      this.#giveUp(now);
      return;
    }
    const { dhtKeys, realKeys, env } = this.#owner;
    this.#repeat(now, encodeCookieRequest(shared, randomNonce(env), dhtKeys.publicKey, realKeys.publicKey, this.#echo));
  }

  /** The peer's address was found, or it moved. What waits for it is sent at once. Undefined: somebody else is there. */
  setDirect(now: Mono, endpoint: Endpoint | undefined): void {
    if (this.ways.direct === endpoint) return;
    this.#tries = 0;
    this.ways.setDirect(now, endpoint);
    if (this.state !== 'established') this.#sendRepeated(now);
    else if (this.ways.path === 'direct') this.transmitRequest(now);
    this.#schedule();
  }

  /** The way through relays may be another one: a better one is used at once. Undefined: it leads to somebody else. */
  setRelay(now: Mono, channel: RelayChannel | undefined): void {
    if (this.#ended()) return;
    if (this.ways.setRelay(now, channel) && this.state !== 'established') {
      this.#tries = 0;
      const soonest = this.#repeatedAt + REPEAT_PAUSE;
      if (now >= soonest) this.#sendRepeated(now);
      else this.#repeatAt = Math.min(this.#repeatAt, soonest);
    }
    this.#schedule();
  }

  handleCookieResponse(now: Mono, from: Channel, data: Uint8Array): void {
    if (this.state !== 'cookie-requested') return;
    const shared = this.#owner.dhtShared(this.dhtKey);
    const cookie = shared && openCookieResponse(shared, this.#echo, data);
    if (!cookie) return;
    this.ways.heard(now, from);
    if (this.#tries === 1 && this.#firstSentAt !== undefined) this.#roundTrip = now - this.#firstSentAt;
    this.state = 'handshake-sent';
    this.#sendHandshake(now, cookie);
  }

  /** A valid handshake of the peer, whose cookie was issued at `issued`; not for established ones. */
  acceptHandshake(now: Mono, from: Channel, content: HandshakeContent, issued: Mono): void {
    this.ways.heard(now, from);
    if (this.#peer && sameHandshake(this.#peer, content)) return; // a repeat
    const shared = sharedKey(content.sessionKey, this.#sessionKeys.secretKey);
    if (!shared) return;
    if (this.state === 'handshake-sent' && this.#tries === 1 && this.#firstSentAt !== undefined) {
      this.#roundTrip = Math.min(this.#roundTrip ?? Number.POSITIVE_INFINITY, now - this.#firstSentAt);
    }
    this.#peer = content;
    this.#shared = shared;
    this.#receivedNonce = new ReceiveNonce(content.baseNonce);
    this.cookieIssued = issued;
    const answer = this.state === 'cookie-requested';
    this.state = 'not-confirmed';
    this.#transmitter ??= new Transmitter(
      now,
      this.#firstNumber,
      new PathModel(now, this.#roundTrip),
      (at) => new PathModel(at, undefined),
      this,
    );
    if (answer) this.#sendHandshake(now, content.cookie);
    this.transmitRequest(now); // the first data packet is what confirms us to the peer
    this.#schedule();
  }

  /** Whether this is the handshake that the session was made with. */
  knowsHandshake(content: HandshakeContent): boolean {
    return this.#peer !== undefined && sameHandshake(this.#peer, content);
  }

  /** Whether this is a data packet of the session that was not used yet. Changes nothing. */
  opens(packet: Uint8Array): boolean {
    const low16 = cryptoDataNonce(packet);
    const nonces = this.#receivedNonce;
    if (low16 === undefined || !nonces || !this.#shared || nonces.seen(low16)) return false;
    return this.#owner.opener.open(this.#shared, nonces.candidate(low16), packet) !== undefined;
  }

  /** False if the packet does not open, or was used before. */
  handleData(now: Mono, from: Channel, packet: Uint8Array): boolean {
    const low16 = cryptoDataNonce(packet);
    const nonces = this.#receivedNonce;
    const transmitter = this.#transmitter;
    if (low16 === undefined || !nonces || !transmitter || !this.#shared || nonces.seen(low16)) return false;
    const opener = this.#owner.opener;
    const data = opener.open(this.#shared, nonces.candidate(low16), packet);
    if (!data) return false;
    nonces.accept(low16);
    this.ways.heard(now, from);
    this.#handlePlain(now, transmitter, opener.bufferStart, opener.number, data);
    return true;
  }

  /** Id and body of one lossless packet; `bulk` ones are refused while there is no room. */
  sendLossless(now: Mono, data: Uint8Array, bulk: boolean): number | undefined {
    if (this.state !== 'established') return undefined;
    const transmitter = this.#transmitter!;
    if (bulk && transmitter.room() === 0) return undefined;
    const number = transmitter.queue(now, data);
    this.#schedule();
    return number;
  }

  sendLossy(data: Uint8Array): boolean {
    if (this.state !== 'established') return false;
    this.#sendData(this.#transmitter!.nextNumber, data);
    return true;
  }

  room(): number {
    return this.state === 'established' ? this.#transmitter!.room() : 0;
  }

  /** Ends it from our side; an open session is killed at the peer too. */
  close(): void {
    if (this.state === 'not-confirmed' || this.state === 'established') {
      this.#sendData(this.#transmitter!.nextNumber, Uint8Array.of(PACKET_KILL));
    }
    this.discard();
  }

  /** Ends it silently. */
  discard(): void {
    this.state = 'closed';
    this.wakeAt = Number.POSITIVE_INFINITY;
    this.#received.clear();
    wipe(this.#sessionKeys.secretKey);
    if (this.#shared) wipe(this.#shared);
    this.#shared = undefined;
    this.#transmitter = undefined;
  }

  wake(now: Mono): void {
    if (now < this.wakeAt) return;
    if (now >= this.#repeatAt) {
      if (this.#tries >= MAX_TRIES) {
        this.#giveUp(now);
        return;
      }
      this.#sendRepeated(now);
    }
    if (now >= this.ways.wakeAt) this.ways.wake(now);
    if (now >= this.#requestAt) this.transmitRequest(now);
    const transmitter = this.#transmitter;
    if (transmitter) {
      transmitter.wake(now);
      if (transmitter.takeWritable()) this.#owner.writable(now, this);
    }
    if (!this.#ended()) this.#schedule();
  }

  transmit(number: number, data: Uint8Array): void {
    this.#sendData(number, data);
  }

  holdUp(): number {
    if (this.ways.path !== 'relay' || this.#owner.relayReady(this.ways.relay!)) return 0;
    return this.ways.relayWay === 'route' ? RELAY_FULL_DELAY : NO_RELAY_DELAY;
  }

  /** Acknowledges, names what is missing, tells how far we have sent, keeps the path open. */
  transmitRequest(now: Mono): void {
    const length = this.#received.writeRequest(this.#owner.scratch);
    this.#sendData(this.#transmitter!.nextNumber, this.#owner.scratch.subarray(0, length));
    this.#unacknowledged = 0;
    this.#requestSentAt = now;
    this.#requestAt = now + REQUEST_INTERVAL;
    if (length > 1) {
      this.#requestAt = now + this.#gapRepeat;
      this.#gapRepeat = Math.min(MAX_GAP_REPEAT, this.#gapRepeat * 2);
    }
  }

  #handlePlain(now: Mono, transmitter: Transmitter, bufferStart: number, number: number, data: Uint8Array): void {
    const id = data[0]!;
    if (id === PACKET_KILL) {
      this.discard();
      this.#owner.ended(now, this);
      return;
    }
    const before = transmitter.firstUnacknowledged;
    if (!transmitter.acknowledge(now, bufferStart)) return;
    if (this.state === 'not-confirmed') {
      this.state = 'established';
      this.#repeated = undefined;
      this.#repeatAt = Number.POSITIVE_INFINITY;
      this.ways.opened(now);
      this.#owner.established(now, this);
      if (this.#ended()) return;
    }
    if (id === PACKET_REQUEST) {
      transmitter.request(now, bufferStart, data);
      this.#extend(now, number);
    } else if (id >= FIRST_LOSSLESS && id < FIRST_LOSSY) {
      this.#handleLossless(now, number, data);
    } else if (id >= FIRST_LOSSY && id <= LAST_LOSSY) {
      this.#extend(now, number);
      this.#owner.lossy(now, this, data);
    }
    if (this.#ended()) return;
    const after = transmitter.firstUnacknowledged;
    if (after !== before) this.#owner.acknowledged(now, this, after);
    if (this.#ended()) return;
    transmitter.endAck(now);
    if (transmitter.takeWritable()) this.#owner.writable(now, this);
    if (!this.#ended()) this.#schedule();
  }

  #handleLossless(now: Mono, number: number, data: Uint8Array): void {
    const window = this.#received;
    this.#gapRepeat = MIN_GAP_REPEAT;
    const gap = window.gap;
    const arrival = window.accept(number, data);
    if (arrival === 'next') {
      window.advance();
      this.#owner.lossless(now, this, data);
      for (let next = window.takeNext(); next; next = window.takeNext()) {
        if (this.#ended()) return;
        this.#owner.lossless(now, this, next);
      }
      if (this.#ended()) return;
    }
    if (++this.#unacknowledged >= ACK_EVERY) this.transmitRequest(now);
    else this.#requestBy(now + (!gap && window.gap ? GAP_DELAY : ACK_DELAY));
  }

  /** The peer has used the numbers before `end`. */
  #extend(now: Mono, end: number): void {
    const known = this.#received.end;
    this.#received.extend(end);
    if (this.#received.end !== known) this.#requestBy(now + GAP_DELAY);
  }

  #requestBy(at: Mono): void {
    if (at < this.#requestAt) this.#requestAt = at;
  }

  #sendHandshake(now: Mono, cookieFromPeer: Uint8Array): void {
    const { env } = this.#owner;
    const shared = this.#owner.realShared(this.realKey);
    if (!shared) return;
    const content = {
      baseNonce: this.#baseNonce,
      sessionKey: this.#sessionKeys.publicKey,
      cookie: this.#owner.issueCookie(now, this.realKey, this.dhtKey),
    };
    this.#repeat(now, encodeHandshake(shared, randomNonce(env), cookieFromPeer, content));
  }

  #repeat(now: Mono, packet: Uint8Array): void {
    this.#repeated = packet;
    this.#tries = 0;
    this.#sendRepeated(now);
    this.#schedule();
  }

  /** Both ways: which of them works is not known yet. Without any it waits for one. */
  #sendRepeated(now: Mono): void {
    if (this.#repeated === undefined) return;
    const { ways } = this;
    const direct = ways.direct !== undefined && this.#owner.send(ways.direct, this.#repeated.slice());
    const relayed = ways.relay !== undefined && this.#owner.send(ways.relay, this.#repeated.slice());
    this.#repeatAt = direct || ways.relayWay !== 'none' ? now + REPEAT_INTERVAL : Number.POSITIVE_INFINITY;
    if (!direct && !relayed) return;
    this.#repeatedAt = now;
    if (this.#tries === 0) this.#firstSentAt = now;
    this.#tries++;
  }

  #sendData(number: number, data: Uint8Array): void {
    const { channel } = this.ways;
    if (channel === undefined) return;
    this.#sendDataOver(channel, number, data);
    if (this.#unacknowledged === 0 || this.#received.gap) return;
    this.#unacknowledged = 0; // buffer_start told it all
    this.#requestAt = this.#requestSentAt + REQUEST_INTERVAL;
  }

  #sendDataOver(channel: Channel, number: number, data: Uint8Array): void {
    if (!this.#shared) return;
    const packet = encodeCryptoData(this.#shared, this.#sentNonce, this.#received.start, number, data);
    incrementNonce(this.#sentNonce);
    this.#owner.send(channel, packet);
  }

  #rerouted(now: Mono, before: 'direct' | 'relay' | undefined): void {
    this.#transmitter!.pathChanged(now, before === 'relay');
    this.#owner.rerouted(now, this);
    if (!this.#ended()) this.transmitRequest(now);
  }

  #schedule(): void {
    this.wakeAt = Math.min(
      this.#repeatAt,
      this.#requestAt,
      this.ways.wakeAt,
      this.#transmitter?.nextWake() ?? Number.POSITIVE_INFINITY,
    );
  }

  #giveUp(now: Mono): void {
    this.discard();
    this.#owner.ended(now, this);
  }

  #ended(): boolean {
    return this.state === 'closed';
  }
}
