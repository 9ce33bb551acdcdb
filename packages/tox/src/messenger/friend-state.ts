import type { PublicKey } from '../crypto/keys.ts';
import { sameBytes } from '../crypto/keys.ts';
import type { FriendRequestBody } from '../packet/friend.ts';
import * as packet from '../packet/messenger.ts';
import { toText } from './bytes.ts';
import type { ToxConnection, ToxEvent, UserStatus } from './events.ts';
import type { FileTransfers } from './file-transfer.ts';
import { USER_STATUSES } from './friend-record.ts';

/** A friend as it is shown. */
export interface FriendInfo {
  readonly publicKey: PublicKey;
  readonly online: boolean;
  readonly connection: ToxConnection;
  /** Our request was not answered yet. */
  readonly requested: boolean;
  readonly name: string;
  readonly statusMessage: string;
  readonly status: UserStatus;
  readonly typing: boolean;
  /** Seconds since 1970; 0 if never. */
  readonly lastSeen: bigint;
}

/** All that the messenger keeps of one friend. */
export interface Friend {
  readonly key: PublicKey;
  request: FriendRequestBody | undefined;
  connected: boolean;
  /** Connected, and the friend said "online". */
  online: boolean;
  name: Uint8Array;
  statusMessage: Uint8Array;
  status: UserStatus;
  typing: boolean;
  lastSeen: bigint;
  readonly files: FileTransfers;
  /** Small packets that wait for room, in order. BOUNDED: MAX_QUEUED. */
  queue: Uint8Array[];
  /** Messages not acknowledged, in order. BOUNDED by the session's send window. */
  unacknowledged: { readonly packet: number; readonly id: number }[];
  /** A send of the owner's was refused: `writable` is due. */
  refused: boolean;
  weType: boolean;
}

/** `path`: as the friend connection tells it. */
export function friendInfo(f: Friend, path: 'direct' | 'relay' | undefined): FriendInfo {
  return {
    publicKey: f.key,
    online: f.online,
    connection: f.online ? connectionOver(path) : 'none',
    requested: f.request !== undefined,
    name: toText(f.name),
    statusMessage: toText(f.statusMessage),
    status: f.status,
    typing: f.typing,
    lastSeen: f.lastSeen,
  };
}

export function connectionOver(path: 'direct' | 'relay' | undefined): ToxConnection {
  return path === 'relay' ? 'tcp' : 'udp';
}

/** What a text, or a changed name, status message, status or typing sign means; undefined for anything else. */
export function applyFriendPacket(f: Friend, data: Uint8Array): ToxEvent | undefined {
  const friend = f.key;
  const body = data.subarray(1);
  switch (data[0]) {
    case packet.MESSAGE:
    case packet.ACTION:
      if (body.length === 0) return undefined;
      return { type: 'message', friend, text: toText(body), action: data[0] === packet.ACTION };
    case packet.NAME:
      if (body.length > packet.MAX_NAME_SIZE || sameBytes(body, f.name)) return undefined;
      f.name = body.slice();
      return { type: 'friend-name', friend, name: toText(body) };
    case packet.STATUS_MESSAGE:
      if (body.length > packet.MAX_STATUS_MESSAGE_SIZE || sameBytes(body, f.statusMessage)) return undefined;
      f.statusMessage = body.slice();
      return { type: 'friend-status-message', friend, statusMessage: toText(body) };
    case packet.STATUS: {
      const status = USER_STATUSES[body[0] ?? -1];
      if (body.length !== 1 || !status || status === f.status) return undefined;
      f.status = status;
      return { type: 'friend-status', friend, status };
    }
    case packet.TYPING: {
      const typing = body[0] !== 0;
      if (body.length !== 1 || typing === f.typing) return undefined;
      f.typing = typing;
      return { type: 'friend-typing', friend, typing };
    }
    default:
      return undefined;
  }
}
