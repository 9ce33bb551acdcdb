import type { Env } from '../core/env.ts';
import {
  generateKeyPair,
  KEY_SIZE,
  type KeyPair,
  MAC_SIZE,
  NONCE_SIZE,
  type Nonce,
  type PublicKey,
  randomNonce,
  type SharedKey,
} from '../crypto/keys.ts';
import { open, seal, sharedKey, wipe } from '../crypto/sodium.ts';

// spec: TCP client, TCP server: handshake. Both sides tell a temporary key and their base nonce, in a
// box between the DHT keys of client and relay.

const PLAIN_SIZE = KEY_SIZE + NONCE_SIZE;
/** `client_dht_pk(32) nonce(24) E(DHT x DHT){ temporary_pk(32) base_nonce(24) }`. */
export const CLIENT_HELLO_SIZE = KEY_SIZE + NONCE_SIZE + MAC_SIZE + PLAIN_SIZE;
/** `nonce(24) E(same key){ temporary_pk(32) base_nonce(24) }`. */
export const SERVER_HELLO_SIZE = NONCE_SIZE + MAC_SIZE + PLAIN_SIZE;

/** Keys of one connection after the handshake. Each side seals with its own nonce and its successors. */
export interface RelaySession {
  readonly key: SharedKey;
  readonly sendNonce: Nonce;
  readonly receiveNonce: Nonce;
}

/** The client's part: makes its hello, then takes the answer once. */
export class ClientHandshake {
  readonly hello: Uint8Array;
  readonly #shared: SharedKey;
  readonly #temporary: KeyPair;
  readonly #sendNonce: Nonce;

  /** `shared`: of our DHT key with the relay's. */
  constructor(env: Env, dhtKey: PublicKey, shared: SharedKey) {
    this.#shared = shared;
    this.#temporary = generateKeyPair(env);
    this.#sendNonce = randomNonce(env);
    const hello = new Uint8Array(CLIENT_HELLO_SIZE);
    hello.set(dhtKey, 0);
    hello.set(sealHello(env, shared, this.#temporary.publicKey, this.#sendNonce), KEY_SIZE);
    this.hello = hello;
  }

  /** Undefined if these 96 bytes are not the relay's. */
  finish(answer: Uint8Array): RelaySession | undefined {
    return agree(openHello(this.#shared, answer), this.#temporary, this.#sendNonce);
  }
}

/** Who says hello, before anything was opened: the key to agree with. A view. */
export function helloSender(hello: Uint8Array): PublicKey {
  return hello.subarray(0, KEY_SIZE) as Uint8Array as PublicKey;
}

/**
 * The relay's part. `shared`: of its DHT key with the sender's. Undefined if these 128 bytes do not open
 * or name a key of low order.
 */
export function answerHello(
  env: Env,
  shared: SharedKey,
  hello: Uint8Array,
): { readonly answer: Uint8Array; readonly session: RelaySession } | undefined {
  const theirs = openHello(shared, hello.subarray(KEY_SIZE));
  if (!theirs) return undefined;
  const temporary = generateKeyPair(env);
  const sendNonce = randomNonce(env);
  const answer = sealHello(env, shared, temporary.publicKey, sendNonce);
  const session = agree(theirs, temporary, sendNonce);
  return session && { answer, session };
}

interface Hello {
  readonly temporaryKey: PublicKey;
  readonly baseNonce: Nonce;
}

function sealHello(env: Env, shared: SharedKey, temporaryKey: PublicKey, baseNonce: Nonce): Uint8Array {
  const plain = new Uint8Array(PLAIN_SIZE);
  plain.set(temporaryKey, 0);
  plain.set(baseNonce, KEY_SIZE);
  const out = new Uint8Array(SERVER_HELLO_SIZE);
  const nonce = randomNonce(env);
  out.set(nonce, 0);
  out.set(seal(shared, nonce, plain), NONCE_SIZE);
  return out;
}

function openHello(shared: SharedKey, hello: Uint8Array): Hello | undefined {
  if (hello.length !== SERVER_HELLO_SIZE) return undefined;
  const plain = open(shared, hello.subarray(0, NONCE_SIZE) as Uint8Array as Nonce, hello.subarray(NONCE_SIZE));
  if (!plain) return undefined;
  return {
    temporaryKey: plain.subarray(0, KEY_SIZE) as Uint8Array as PublicKey,
    baseNonce: plain.subarray(KEY_SIZE) as Uint8Array as Nonce,
  };
}

function agree(theirs: Hello | undefined, temporary: KeyPair, sendNonce: Nonce): RelaySession | undefined {
  const key = theirs && sharedKey(theirs.temporaryKey, temporary.secretKey);
  wipe(temporary.secretKey);
  return key && { key, sendNonce: sendNonce.slice() as Nonce, receiveNonce: theirs.baseNonce };
}
