import { ToxError } from '../core/errors.ts';
import type { PublicKey } from '../crypto/keys.ts';
import { type FriendRecord, USER_STATUSES } from '../messenger/friend-record.ts';
import type { Nospam } from '../packet/friend.ts';
import { MAX_NAME_SIZE, MAX_STATUS_MESSAGE_SIZE } from '../packet/messenger.ts';
import { Reader } from '../wire/reader.ts';
import { Writer } from '../wire/writer.ts';

// One friend in a save file: 2216 bytes, fields of fixed size, integers big endian.
// status(1) key(32) request(1024) pad(1) request length u16 name(128) length u16
// status message(1007) pad(1) length u16 user status(1) pad(3) nospam(4) last seen u64

export const SAVED_FRIEND_SIZE = 2216;
const REQUEST_SIZE = 1024;
/** The request is still to be sent; 2 was sent, which leaves nothing else to do than to send it again. */
const REQUESTED = 1;
const CONFIRMED = 3;

/** Throws `bad-save` unless `data` is a whole number of records. Empty ones are left out. */
export function readFriends(data: Uint8Array): FriendRecord[] {
  if (data.length % SAVED_FRIEND_SIZE !== 0) throw new ToxError('bad-save', 'the list of friends is cut off');
  const friends: FriendRecord[] = [];
  const r = new Reader(data);
  while (r.left > 0) {
    const state = r.u8();
    const publicKey = r.copy<PublicKey>(32);
    const request = r.take(REQUEST_SIZE);
    r.take(1);
    const message = request.slice(0, r.u16());
    const nameField = r.take(MAX_NAME_SIZE);
    const name = nameField.slice(0, r.u16());
    const statusField = r.take(MAX_STATUS_MESSAGE_SIZE);
    r.take(1);
    const statusMessage = statusField.slice(0, r.u16());
    const status = USER_STATUSES[r.u8()] ?? 'none';
    r.take(3);
    const nospam = r.copy<Nospam>(4);
    const lastSeen = r.u64();
    if (state === 0) continue;
    friends.push({
      publicKey,
      request: state < CONFIRMED && message.length > 0 ? { nospam, message } : undefined,
      name,
      statusMessage,
      status,
      lastSeen,
    });
  }
  return friends;
}

export function writeFriends(friends: readonly FriendRecord[]): Uint8Array {
  const w = new Writer(friends.length * SAVED_FRIEND_SIZE);
  for (const friend of friends) {
    const message = friend.request?.message.subarray(0, REQUEST_SIZE) ?? new Uint8Array(0);
    w.u8(friend.request ? REQUESTED : CONFIRMED).bytes(friend.publicKey);
    field(w, message, REQUEST_SIZE).zeros(1).u16(message.length);
    field(w, friend.name, MAX_NAME_SIZE).u16(friend.name.length);
    field(w, friend.statusMessage, MAX_STATUS_MESSAGE_SIZE).zeros(1).u16(friend.statusMessage.length);
    w.u8(USER_STATUSES.indexOf(friend.status)).zeros(3);
    w.bytes(friend.request?.nospam ?? new Uint8Array(4)).u64(friend.lastSeen);
  }
  return w.finish();
}

function field(w: Writer, bytes: Uint8Array, size: number): Writer {
  return w.bytes(bytes).zeros(size - bytes.length);
}
