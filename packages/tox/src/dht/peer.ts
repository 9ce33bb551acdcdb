import type { Mono } from '../core/env.ts';
import { type KeyId, keyId, type PublicKey } from '../crypto/keys.ts';
import { type Endpoint, isIp6, isLan } from '../wire/endpoint.ts';
import { keyPrefix } from './distance.ts';

/** spec: `BAD_NODE_TIMEOUT`: a node silent for so long is not told to others and may be replaced; ms. */
export const BAD_AFTER = 122_000;
/** spec: `KILL_NODE_TIMEOUT`: a node silent for so long is given up; ms. */
export const KILL_AFTER = 182_000;

/** One address of a node. */
export interface Address {
  readonly endpoint: Endpoint;
  readonly lan: boolean;
  /** When a valid answer last came from there. */
  answeredAt: Mono;
}

/** A node that answered us, with one address per IP version. Shared by all lists that hold it. */
export class Peer {
  readonly publicKey: PublicKey;
  readonly id: KeyId;
  /** See `keyPrefix`. */
  readonly prefix: number;
  ip4: Address | undefined;
  ip6: Address | undefined;
  /** How many lists hold it; with none it is forgotten. */
  lists = 0;
  inClose = false;
  /** When the close list last asked it for our neighbours. */
  closeAskedAt: Mono = Number.NEGATIVE_INFINITY;
  /** Where this node sees us, as told in its last nodes response about our key. */
  seesUs: Endpoint | undefined;
  seesUsAt: Mono = 0;

  constructor(publicKey: PublicKey) {
    this.publicKey = publicKey;
    this.id = keyId(publicKey);
    this.prefix = keyPrefix(publicKey);
  }

  /**
   * Notes an answer from `endpoint`. False if the address was not taken: a live public address
   * does not give way to a LAN one.
   */
  answered(now: Mono, endpoint: Endpoint): boolean {
    const old = this.address(endpoint);
    if (old?.endpoint === endpoint) {
      old.answeredAt = now;
      return true;
    }
    const lan = isLan(endpoint);
    if (old && lan && !old.lan && isFresh(old, now)) return false;
    const address = { endpoint, lan, answeredAt: now };
    if (isIp6(endpoint)) this.ip6 = address;
    else this.ip4 = address;
    return true;
  }

  /** The address of the same IP version as `endpoint`. */
  address(endpoint: Endpoint): Address | undefined {
    return isIp6(endpoint) ? this.ip6 : this.ip4;
  }

  forget(endpoint: Endpoint): void {
    if (this.ip4?.endpoint === endpoint) this.ip4 = undefined;
    if (this.ip6?.endpoint === endpoint) this.ip6 = undefined;
  }

  live(now: Mono): boolean {
    return isFresh(this.ip4, now) || isFresh(this.ip6, now);
  }

  /** Whether it answered lately from exactly there. */
  liveAt(now: Mono, endpoint: Endpoint): boolean {
    const address = this.address(endpoint);
    return address?.endpoint === endpoint && isFresh(address, now);
  }

  lastAnswer(): Mono {
    return this.lastAddress()?.answeredAt ?? Number.NEGATIVE_INFINITY;
  }

  /** The address that answered last; undefined if both were taken over by others. */
  lastAddress(): Address | undefined {
    const { ip4, ip6 } = this;
    return ip4 && ip6 ? (ip6.answeredAt > ip4.answeredAt ? ip6 : ip4) : (ip4 ?? ip6);
  }

  /**
   * The live address to tell or to use: of the asker's IP version if there is one, else the one
   * that answered last; no LAN address unless `lanAllowed`.
   */
  liveAddress(now: Mono, preferIp6: boolean | undefined, lanAllowed: boolean): Endpoint | undefined {
    const ip4 = isFresh(this.ip4, now) && (lanAllowed || !this.ip4!.lan) ? this.ip4 : undefined;
    const ip6 = isFresh(this.ip6, now) && (lanAllowed || !this.ip6!.lan) ? this.ip6 : undefined;
    if (!ip4 || !ip6) return (ip4 ?? ip6)?.endpoint;
    const takeIp6 = preferIp6 ?? ip6.answeredAt > ip4.answeredAt;
    return takeIp6 ? ip6.endpoint : ip4.endpoint;
  }
}

export function isFresh(address: Address | undefined, now: Mono): boolean {
  return address !== undefined && now - address.answeredAt < BAD_AFTER;
}
