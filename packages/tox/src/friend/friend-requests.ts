import { BoundedMap } from '../core/bounded-map.ts';
import type { Mono } from '../core/env.ts';
import { Budget } from '../core/source-limiter.ts';
import { type KeyId, keyId, type PublicKey } from '../crypto/keys.ts';
import { equalConstantTime } from '../crypto/sodium.ts';
import type { Nospam } from '../packet/friend.ts';

/** Requesters remembered (c-toxcore: MAX_RECEIVED_STORED). */
const MAX_REMEMBERED = 32;
/** Ours. Requests of strangers that are shown: more nobody reads, and each costs the owner work. An honest one repeats. */
const SHOWN = { burst: 64, perSecond: 1 };

/**
 * Lets a friend request through once: the nospam must be ours, and its sender must be neither a
 * friend nor one of the last 32 who asked, since clients repeat a request until it is answered.
 * Whoever has the nospam may ask under any number of keys, so no more than one a second is shown in the long run.
 */
export class FriendRequests {
  /** What a request must repeat. Changing it makes IDs that were handed out useless. */
  nospam: Nospam;
  readonly #isFriend: (key: PublicKey) => boolean;
  /** BOUNDED: the oldest requester is forgotten, and may then be seen once more. */
  readonly #seen = new BoundedMap<KeyId, true>(MAX_REMEMBERED);
  readonly #shown = new Budget(SHOWN);

  constructor(nospam: Nospam, isFriend: (key: PublicKey) => boolean) {
    this.nospam = nospam;
    this.#isFriend = isFriend;
  }

  /** True if the request is to be shown; it counts as seen from then on. */
  admit(now: Mono, from: PublicKey, nospam: Uint8Array, message: Uint8Array): boolean {
    if (!equalConstantTime(nospam, this.nospam) || message.length === 0) return false;
    const id = keyId(from);
    if (this.#seen.has(id) || this.#isFriend(from) || !this.#shown.take(now)) return false;
    this.#seen.set(id, true);
    return true;
  }

  /** The next request of this key is shown again (after its removal as a friend, or a refusal). */
  forget(key: PublicKey): void {
    this.#seen.delete(keyId(key));
  }
}
