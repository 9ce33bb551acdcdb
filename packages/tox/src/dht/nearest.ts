import type { PublicKey } from '../crypto/keys.ts';
import { compareDistance, keyPrefix } from './distance.ts';
import type { Peer } from './peer.ts';

/**
 * Finds the nearest peers to a key. The peers' prefixes lie side by side, so that most peers are told to
 * be too far without being looked at. BOUNDED by its owner.
 */
export class Nearest {
  readonly #peers: Peer[] = [];
  #prefixes = new Uint32Array(16);

  add(peer: Peer): void {
    if (this.#peers.length === this.#prefixes.length) {
      const more = new Uint32Array(2 * this.#peers.length);
      more.set(this.#prefixes);
      this.#prefixes = more;
    }
    this.#prefixes[this.#peers.length] = peer.prefix;
    this.#peers.push(peer);
  }

  remove(peer: Peer): void {
    const at = this.#peers.indexOf(peer);
    if (at < 0) return;
    const last = this.#peers.pop()!;
    if (last === peer) return;
    this.#peers[at] = last;
    this.#prefixes[at] = last.prefix;
  }

  /** Up to `count` peers that will do, nearest to `target` first. */
  find(target: PublicKey, count: number, willDo: (peer: Peer) => boolean): Peer[] {
    const prefix = keyPrefix(target);
    const nearer = (a: Peer, b: Peer): boolean => {
      const difference = ((a.prefix ^ prefix) >>> 0) - ((b.prefix ^ prefix) >>> 0);
      return (difference || compareDistance(target, a.publicKey, b.publicKey)) < 0;
    };
    const best: Peer[] = [];
    let farthest = 0xffffffff;
    for (let i = 0; i < this.#peers.length; i++) {
      if ((this.#prefixes[i]! ^ prefix) >>> 0 > farthest) continue;
      const peer = this.#peers[i]!;
      if (best.length === count && !nearer(peer, best[count - 1]!)) continue;
      if (!willDo(peer)) continue;
      let at = Math.min(best.length, count - 1);
      while (at > 0 && nearer(peer, best[at - 1]!)) {
        best[at] = best[at - 1]!;
        at--;
      }
      best[at] = peer;
      if (best.length === count) farthest = (best[count - 1]!.prefix ^ prefix) >>> 0;
    }
    return best;
  }
}
