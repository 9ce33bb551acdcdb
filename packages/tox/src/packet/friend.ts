import { type PackedNode, readPackedNodes, writePackedNode } from '../wire/packed-node.ts';
import { Reader } from '../wire/reader.ts';
import { Writer } from '../wire/writer.ts';

/**
 * Four bytes, exactly as they stand in the Tox ID: a number without byte order that a friend
 * request must repeat. Changing it makes all handed-out IDs useless for new requests.
 */
export type Nospam = Uint8Array & { readonly __nospam: true };

// Lossless packets of a friend connection itself (spec: Friend connection).

/** No body. A friend is alive as long as these arrive; nothing else counts. */
export const ALIVE = 16;
export const SHARE_RELAYS = 17;
/** A friend request to someone who is connected already. */
export const LIVE_FRIEND_REQUEST = 18;

/** Relays in one packet (spec: MAX_SHARED_RELAYS). */
export const MAX_SHARED_RELAYS = 3;

/** Kind, then up to 3 packed nodes of TCP families. */
export function encodeShareRelays(relays: readonly PackedNode[]): Uint8Array {
  const w = new Writer().u8(SHARE_RELAYS);
  for (const relay of relays.slice(0, MAX_SHARED_RELAYS)) writePackedNode(w, relay);
  return w.finish();
}

/** Undefined for anything but 0..3 whole nodes; nodes that are no TCP relays are left out. */
export function decodeShareRelays(data: Uint8Array): PackedNode[] | undefined {
  const r = new Reader(data);
  r.kind(SHARE_RELAYS);
  const nodes = readPackedNodes(r, MAX_SHARED_RELAYS, true);
  return r.done() ? nodes.filter((node) => node.transport === 'tcp') : undefined;
}

/** A friend request as it stands in the packet: views, not copies. */
export interface FriendRequestBody {
  readonly nospam: Nospam;
  /** UTF-8 by custom, at least one byte. */
  readonly message: Uint8Array;
}

/** Kind, nospam(4), message(1..). */
export function encodeLiveFriendRequest(request: FriendRequestBody): Uint8Array {
  return new Writer().u8(LIVE_FRIEND_REQUEST).bytes(request.nospam).bytes(request.message).finish();
}

export function decodeLiveFriendRequest(data: Uint8Array): FriendRequestBody | undefined {
  const r = new Reader(data);
  r.kind(LIVE_FRIEND_REQUEST);
  const nospam = r.take<Nospam>(4);
  const message = r.rest(1);
  return r.done() ? { nospam, message } : undefined;
}
