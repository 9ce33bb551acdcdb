import type { Env } from '../core/env.ts';
import { NONCE_SIZE, type Nonce, type PublicKey, randomNonce, type SharedKey } from '../crypto/keys.ts';
import { open, seal } from '../crypto/sodium.ts';
import type { RelayClientNumber } from '../packet/relay.ts';
import type { Endpoint } from '../wire/endpoint.ts';
import { ONION_IP_PORT_SIZE, readOnionIpPort, writeOnionIpPort } from '../wire/packed-node.ts';
import { Reader } from '../wire/reader.ts';
import { Writer } from '../wire/writer.ts';

/** What one hop learns: where to send the rest. For hops A and B the rest is a key and a box. */
export interface Layer {
  readonly next: Endpoint;
  readonly rest: Uint8Array;
}

/** The box of one hop: `next` and, for all hops but the last, the key of the next layer, then `inner`. */
export function wrapLayer(
  key: SharedKey,
  nonce: Nonce,
  next: Endpoint,
  innerKey: PublicKey | undefined,
  inner: Uint8Array,
): Uint8Array {
  return seal(key, nonce, writeLayer(next, innerKey, inner));
}

/** What is in that box. */
export function writeLayer(next: Endpoint, innerKey: PublicKey | undefined, inner: Uint8Array): Uint8Array {
  const w = new Writer(ONION_IP_PORT_SIZE + (innerKey?.length ?? 0) + inner.length);
  writeOnionIpPort(w, next);
  if (innerKey) w.bytes(innerKey);
  return w.bytes(inner).finish();
}

/** Undefined if the box does not open or names no UDP address. */
export function unwrapLayer(key: SharedKey, nonce: Nonce, box: Uint8Array): Layer | undefined {
  const plain = open(key, nonce, box);
  return plain && readLayer(plain);
}

/** Where an answer goes: a UDP endpoint, or a client of our TCP relay. */
export type ReturnAddress = Endpoint | RelayClientNumber;

/** What one hop left in an answer's way. */
export interface ReturnLayer {
  readonly next: ReturnAddress;
  readonly rest: Uint8Array;
}

/** In place of the address family; no other node sees it. */
const RELAY_CLIENT = 0xff;

/** nonce, box{ address, block of the hop before }: 59 bytes more than `inner`. Only its maker opens it. */
export function sealReturnBlock(env: Env, key: SharedKey, to: ReturnAddress, inner: Uint8Array): Uint8Array {
  const nonce = randomNonce(env);
  const w = new Writer(ONION_IP_PORT_SIZE + inner.length);
  if (typeof to === 'number')
    w.u8(RELAY_CLIENT)
      .u64(BigInt(to))
      .zeros(ONION_IP_PORT_SIZE - 9);
  else writeOnionIpPort(w, to);
  const box = seal(key, nonce, w.bytes(inner).finish());
  return new Writer(NONCE_SIZE + box.length).bytes(nonce).bytes(box).finish();
}

/** Where the answer goes and the block for the hop before; undefined if we did not make it with this key. */
export function openReturnBlock(key: SharedKey, block: Uint8Array): ReturnLayer | undefined {
  const plain = open(key, block.subarray(0, NONCE_SIZE) as Nonce, block.subarray(NONCE_SIZE));
  if (plain?.[0] !== RELAY_CLIENT) return plain && readLayer(plain);
  const r = new Reader(plain);
  r.u8();
  const next = Number(r.u64()) as RelayClientNumber;
  r.take(ONION_IP_PORT_SIZE - 9);
  const rest = r.rest();
  return r.done() ? { next, rest } : undefined;
}

/** An address and whatever follows, as each hop finds it. */
export function readLayer(plain: Uint8Array): Layer | undefined {
  const r = new Reader(plain);
  const next = readOnionIpPort(r);
  const rest = r.rest();
  return next && r.done() ? { next, rest } : undefined;
}
