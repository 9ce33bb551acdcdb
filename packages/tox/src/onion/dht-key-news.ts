import type { Env, Mono } from '../core/env.ts';
import { type Nonce, type PublicKey, randomNonce, type SharedKey, sameBytes } from '../crypto/keys.ts';
import { seal } from '../crypto/sodium.ts';
import { writeDhtKeyBody } from '../packet/onion.ts';
import { MAX_SENT_NODES, type PackedNode } from '../wire/packed-node.ts';

/** An unchanged packet is repeated as it is for this long, so that copies over several ways count once; ms. */
const REUSE = 2_000;

/** A DHT-key packet sealed for one friend. */
export interface SealedDhtKey {
  readonly nonce: Nonce;
  readonly box: Uint8Array;
}

/** Makes the DHT-key packets for one friend, with a `no_replay` that grows with each new one. */
export class DhtKeyNews {
  #noReplay = 0n;
  #plain = new Uint8Array(0);
  #sealed: SealedDhtKey | undefined;
  #madeAt: Mono = 0;

  /** `key`: shared by both real keys. `nodes`: the first four are told. */
  seal(now: Mono, env: Env, key: SharedKey, dhtKey: PublicKey, nodes: readonly PackedNode[]): SealedDhtKey {
    const told = nodes.slice(0, MAX_SENT_NODES);
    if (this.#sealed && now - this.#madeAt < REUSE) {
      const same = writeDhtKeyBody({ noReplay: this.#noReplay, dhtKey, nodes: told });
      if (sameBytes(same, this.#plain)) return this.#sealed;
    }
    const clock = env.unixSeconds();
    this.#noReplay = clock > this.#noReplay ? clock : this.#noReplay + 1n;
    this.#plain = writeDhtKeyBody({ noReplay: this.#noReplay, dhtKey, nodes: told }).slice();
    const nonce = randomNonce(env).slice() as Nonce;
    this.#sealed = { nonce, box: seal(key, nonce, this.#plain).slice() };
    this.#madeAt = now;
    return this.#sealed;
  }
}
