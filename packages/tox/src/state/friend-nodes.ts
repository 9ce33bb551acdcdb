import { KEY_SIZE, type PublicKey } from '../crypto/keys.ts';
import { type PackedNode, readPackedNode, writePackedNode } from '../wire/packed-node.ts';
import { Reader } from '../wire/reader.ts';
import { Writer } from '../wire/writer.ts';

/**
 * Where a friend was last met: its DHT key, and its address or (TCP) that of a relay. While the friend's program runs, both stay
 * the same, so that after a restart of ours it is found again without the network's help.
 */
export interface FriendNode {
  readonly friend: PublicKey;
  readonly node: PackedNode;
}

/** Our own section of a profile; c-toxcore uses numbers up to 20, and 255, and passes over others. */
export const FRIEND_NODES = 0x544d;
/** As many as a messenger has friends. */
const MAX_FRIEND_NODES = 256;

/** friend's public key(32) packed node(39|51), repeated. What cannot be read ends the list: they are hints. */
export function readFriendNodes(data: Uint8Array): FriendNode[] {
  const r = new Reader(data);
  const found: FriendNode[] = [];
  while (r.left > 0 && found.length < MAX_FRIEND_NODES) {
    const friend = r.copy<PublicKey>(KEY_SIZE);
    const node = readPackedNode(r, true);
    if (r.failure) break;
    if (node) found.push({ friend, node });
  }
  return found;
}

export function writeFriendNodes(list: readonly FriendNode[]): Uint8Array {
  const w = new Writer(512);
  for (const { friend, node } of list.slice(0, MAX_FRIEND_NODES)) writePackedNode(w.bytes(friend), node);
  return w.finish();
}
