import type { Env, Mono } from '../core/env.ts';
import type { SendDatagram } from '../core/machine.ts';
import type { KeyPair, PublicKey } from '../crypto/keys.ts';
import type { SharedKeys } from '../crypto/shared-keys.ts';
import type { Endpoint } from '../wire/endpoint.ts';

export interface NetCryptoDeps {
  readonly realKeys: KeyPair;
  readonly dhtKeys: KeyPair;
  readonly dhtSharedKeys: SharedKeys;
  readonly send: SendDatagram;
}

/** Called synchronously, from within `handle`, `wake` or the send functions. */
export interface NetCryptoHooks {
  /** May this real key open a connection to us? */
  isFriend(realKey: PublicKey): boolean;
  /** A valid handshake of this friend names another DHT key than the one that we used. */
  onDhtKey(now: Mono, realKey: PublicKey, dhtKey: PublicKey): void;
  onEstablished(now: Mono, realKey: PublicKey): void;
  /** Killed or replaced by the peer, or the attempt was given up. Not called for `close`. */
  onClosed(now: Mono, realKey: PublicKey): void;
  /** Id 16..191 and body, in order; the view is valid during the call only. */
  onLossless(now: Mono, realKey: PublicKey, data: Uint8Array): void;
  /** Id 192..254 and body; the view is valid during the call only. */
  onLossy(now: Mono, realKey: PublicKey, data: Uint8Array): void;
  /** All lossless numbers before `upTo` (u32, wraps) arrived at the peer. */
  onAcknowledged(now: Mono, realKey: PublicKey, upTo: number): void;
  /** There is room again after a send was refused. */
  onWritable(now: Mono, realKey: PublicKey): void;
}

/** Declared first so that other layers can compile; the implementation follows. */
export declare class NetCrypto {
  constructor(env: Env, deps: NetCryptoDeps, hooks: NetCryptoHooks);
  handle(now: Mono, from: Endpoint, data: Uint8Array): boolean;
  connect(now: Mono, realKey: PublicKey, dhtKey: PublicKey, endpoint?: Endpoint): void;
  setEndpoint(now: Mono, realKey: PublicKey, endpoint: Endpoint): void;
  close(now: Mono, realKey: PublicKey): void;
  closeAll(now: Mono): void;
  sendLossless(now: Mono, realKey: PublicKey, data: Uint8Array): number | undefined;
  sendLossy(now: Mono, realKey: PublicKey, data: Uint8Array): boolean;
  room(realKey: PublicKey): number;
  established(realKey: PublicKey): boolean;
  wake(now: Mono): void;
  nextWake(): Mono | undefined;
}
