import type { PublicKey } from '../crypto/keys.ts';
import type { FriendRequestBody, Nospam } from '../packet/friend.ts';
import type { UserStatus } from './events.ts';

/**
 * What outlives a run about one friend. Texts stay bytes, as the friend sent them, so that a
 * profile read and written by others keeps them.
 */
export interface FriendRecord {
  readonly publicKey: PublicKey;
  /** The request that we still send, until the friend is seen online for the first time. */
  readonly request?: FriendRequestBody | undefined;
  /** At most 128 bytes. */
  readonly name: Uint8Array;
  /** At most 1007 bytes. */
  readonly statusMessage: Uint8Array;
  readonly status: UserStatus;
  /** Seconds since 1970; 0 if never. */
  readonly lastSeen: bigint;
}

/** What outlives a run about ourselves, keys aside. */
export interface Profile {
  readonly nospam: Nospam;
  /** At most 128 bytes. */
  readonly name: Uint8Array;
  /** At most 1007 bytes. */
  readonly statusMessage: Uint8Array;
  readonly status: UserStatus;
  readonly friends: readonly FriendRecord[];
}

/** By their numbers on the wire and in save files. */
export const USER_STATUSES: readonly UserStatus[] = ['none', 'away', 'busy'];
