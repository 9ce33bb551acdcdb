import type { Env, Mono } from '../core/env.ts';
import { type KeyId, keyId, type PublicKey } from '../crypto/keys.ts';
import { equalConstantTime, mac } from '../crypto/sodium.ts';
import { compareDistance } from '../dht/distance.ts';
import type { Endpoint } from '../wire/endpoint.ts';
import { ONION_IP_PORT_SIZE, writeOnionIpPort } from '../wire/packed-node.ts';
import { Writer } from '../wire/writer.ts';

// spec: Onion, announce requests.
/** ONION_ANNOUNCE_MAX_ENTRIES. */
export const MAX_ANNOUNCE_ENTRIES = 160;
/** An announce not repeated for this long is forgotten; ms. */
export const ANNOUNCE_ENTRY_LIFETIME = 300_000;
/** A ping id is good in the slot it was made in and the next; ms. */
const PING_ID_SLOT = 300_000;

/** How to reach someone who announced himself to us. */
export interface AnnounceEntry {
  readonly publicKey: PublicKey;
  /** What others encrypt data for him with. */
  readonly dataKey: PublicKey;
  /** The last hop of his path, as we see it. */
  readonly hop: Endpoint;
  /** 177 bytes that this hop understands. */
  readonly returnBlock: Uint8Array;
  readonly expires: Mono;
}

/**
 * What a node keeps for others: announces under the key that made them. BOUNDED: 160 entries; when
 * all are live, the farthest from our DHT key makes room for a nearer one.
 */
export class AnnounceStore {
  readonly #entries = new Map<KeyId, AnnounceEntry>();
  readonly #ownKey: PublicKey;
  readonly #macKey: Uint8Array;

  constructor(env: Env, ownKey: PublicKey) {
    this.#ownKey = ownKey;
    this.#macKey = env.random(32);
  }

  /** The ping id to hand to `requester`: a MAC, so that nothing is stored before he proves his path. */
  pingId(now: Mono, requester: PublicKey, hop: Endpoint): Uint8Array {
    return this.#pingId(Math.floor(now / PING_ID_SLOT), requester, hop);
  }

  checkPingId(now: Mono, requester: PublicKey, hop: Endpoint, pingId: Uint8Array): boolean {
    const slot = Math.floor(now / PING_ID_SLOT);
    return (
      equalConstantTime(this.#pingId(slot, requester, hop), pingId) ||
      equalConstantTime(this.#pingId(slot - 1, requester, hop), pingId)
    );
  }

  /** A live entry. */
  get(now: Mono, publicKey: PublicKey): AnnounceEntry | undefined {
    const entry = this.#entries.get(keyId(publicKey));
    return entry && entry.expires > now ? entry : undefined;
  }

  /** False if all places are taken by keys nearer to ours. Copies its arguments. */
  put(now: Mono, publicKey: PublicKey, dataKey: PublicKey, hop: Endpoint, returnBlock: Uint8Array): boolean {
    const id = keyId(publicKey);
    if (!this.#entries.has(id) && !this.#makeRoom(now, publicKey)) return false;
    this.#entries.set(id, {
      publicKey: publicKey.slice() as PublicKey,
      dataKey: dataKey.slice() as PublicKey,
      hop,
      returnBlock: returnBlock.slice(),
      expires: now + ANNOUNCE_ENTRY_LIFETIME,
    });
    return true;
  }

  #makeRoom(now: Mono, publicKey: PublicKey): boolean {
    if (this.#entries.size < MAX_ANNOUNCE_ENTRIES) return true;
    let farthest: [KeyId, AnnounceEntry] | undefined;
    for (const [id, entry] of this.#entries) {
      if (entry.expires <= now) this.#entries.delete(id);
      else if (!farthest || compareDistance(this.#ownKey, farthest[1].publicKey, entry.publicKey) < 0)
        farthest = [id, entry];
    }
    if (this.#entries.size < MAX_ANNOUNCE_ENTRIES) return true;
    if (!farthest || compareDistance(this.#ownKey, publicKey, farthest[1].publicKey) >= 0) return false;
    return this.#entries.delete(farthest[0]);
  }

  #pingId(slot: number, requester: PublicKey, hop: Endpoint): Uint8Array {
    const w = new Writer(8 + 32 + ONION_IP_PORT_SIZE).u64(BigInt.asUintN(64, BigInt(slot))).bytes(requester);
    writeOnionIpPort(w, hop);
    return mac(this.#macKey, w.finish());
  }
}
