import { type PackedNode, readPackedNodes, writePackedNode } from '../wire/packed-node.ts';
import { Reader } from '../wire/reader.ts';
import { Writer } from '../wire/writer.ts';

/**
 * Four bytes, exactly as they stand in the Tox ID: a number without byte order that a friend
 * request must repeat. Changing it makes all handed-out IDs useless for new requests.
 */
export type Nospam = Uint8Array & { readonly __nospam: true };
export const NOSPAM_SIZE = 4;
/** Text of a friend request, bytes of UTF-8: a longer one exceeds what receivers accept through the onion. */
export const MAX_FRIEND_REQUEST_MESSAGE_SIZE = 921;

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

/** A friend request, as it travels through the onion and on a live connection. */
export interface FriendRequestBody {
  readonly nospam: Nospam;
  /** UTF-8 by custom, at least one byte. */
  readonly message: Uint8Array;
}

/** Kind (`LIVE_FRIEND_REQUEST` or `ONION_DATA_FRIEND_REQUEST`), nospam(4), message(1..). */
export function encodeFriendRequest(kind: number, request: FriendRequestBody): Uint8Array {
  const w = new Writer(1 + NOSPAM_SIZE + request.message.length);
  return w.u8(kind).bytes(request.nospam).bytes(request.message).finish();
}

/** Views. */
export function decodeFriendRequest(kind: number, data: Uint8Array): FriendRequestBody | undefined {
  const r = new Reader(data);
  r.kind(kind);
  const nospam = r.take<Nospam>(NOSPAM_SIZE);
  const message = r.rest(1);
  return r.done() ? { nospam, message } : undefined;
}
