import type { PublicKey } from '../crypto/keys.ts';

/** What a person says of being there (spec: User status). */
export type UserStatus = 'none' | 'away' | 'busy';

/** How a friend, or the network, is reached. `tcp`: through relays. */
export type ToxConnection = 'udp' | 'tcp' | 'none';

/**
 * Names one file transfer of one friend: 0..255 are those we send, 256..511 those we receive.
 * A number is free again after `file-done` or `file-aborted`.
 */
export type FileNumber = number;

/**
 * What a node tells its owner. `friend` is the friend's public key; one friend always has the same
 * array. Names and the like are told when they differ from what was known, also from an earlier
 * run. `data` is the owner's to keep, but may be a part of a 64 KiB buffer: copy what stays long.
 */
export type ToxEvent =
  /** We are, or are no longer, part of the network. `udp`: DHT nodes answer us; `tcp`: only relays are reached. */
  | { readonly type: 'connection'; readonly connection: ToxConnection }
  /** A stranger who knows our Tox ID wants to be added. `message` is hostile text, at most 943 bytes of UTF-8. */
  | { readonly type: 'friend-request'; readonly publicKey: PublicKey; readonly message: string }
  /** The friend can be written to, or no longer. What was not acknowledged by then may be lost. */
  | {
      readonly type: 'friend-connection';
      readonly friend: PublicKey;
      readonly online: boolean;
      readonly connection: ToxConnection;
    }
  /** The connection with an online friend goes on over another path; nothing is lost by that. */
  | { readonly type: 'friend-path'; readonly friend: PublicKey; readonly connection: ToxConnection }
  /** At most 128 bytes of UTF-8. */
  | { readonly type: 'friend-name'; readonly friend: PublicKey; readonly name: string }
  /** At most 1007 bytes of UTF-8. */
  | { readonly type: 'friend-status-message'; readonly friend: PublicKey; readonly statusMessage: string }
  | { readonly type: 'friend-status'; readonly friend: PublicKey; readonly status: UserStatus }
  | { readonly type: 'friend-typing'; readonly friend: PublicKey; readonly typing: boolean }
  /** A text of 1..1372 bytes of UTF-8; `action` as in "/me waves". */
  | { readonly type: 'message'; readonly friend: PublicKey; readonly text: string; readonly action: boolean }
  /** The message with this id, from `sendMessage`, reached the friend's program. */
  | { readonly type: 'receipt'; readonly friend: PublicKey; readonly id: number }
  /** A custom packet, 1..1373 bytes, first byte 160..191; in order, once. */
  | { readonly type: 'lossless'; readonly friend: PublicKey; readonly data: Uint8Array }
  /** A custom packet, 1..1373 bytes, first byte 200..254; may be lost, doubled or late. */
  | { readonly type: 'lossy'; readonly friend: PublicKey; readonly data: Uint8Array }
  /** There is room again after `sendLossless` or `sendMessage` was refused. */
  | { readonly type: 'writable'; readonly friend: PublicKey }
  /**
   * The friend offers a file. Accept with `fileControl(…, 'resume')`, before that perhaps
   * `fileSeek`; refuse with `'kill'`. `size` undefined: not known in advance. `kind` 0 data,
   * 1 avatar. `fileId`, 32 bytes, is the same when the friend offers the same file again.
   * `name` is hostile: paths, control characters, anything.
   */
  | {
      readonly type: 'file-offer';
      readonly friend: PublicKey;
      readonly file: FileNumber;
      readonly kind: number;
      readonly size: number | undefined;
      readonly fileId: Uint8Array;
      readonly name: string;
    }
  /** The friend accepted our file, paused a transfer, or lifted its own pause. */
  | {
      readonly type: 'file-control';
      readonly friend: PublicKey;
      readonly file: FileNumber;
      readonly control: 'accept' | 'pause' | 'resume';
    }
  /**
   * `fileWrite` takes bytes, starting with the one at `position`: after the friend accepted or
   * resumed, and when there is room again after `fileWrite` took less than it was given.
   */
  | {
      readonly type: 'file-writable';
      readonly friend: PublicKey;
      readonly file: FileNumber;
      readonly position: number;
    }
  /** The next bytes of a file that we receive, at most 1371. */
  | {
      readonly type: 'file-data';
      readonly friend: PublicKey;
      readonly file: FileNumber;
      readonly position: number;
      readonly data: Uint8Array;
    }
  /** All bytes were received, or, of a file that we send, acknowledged by the friend's program. */
  | { readonly type: 'file-done'; readonly friend: PublicKey; readonly file: FileNumber }
  /**
   * The transfer ended early. `killed`: by the friend; `offline`: the connection broke, offer it
   * again with the same `fileId` to resume; `broken`: the friend broke the rules.
   */
  | {
      readonly type: 'file-aborted';
      readonly friend: PublicKey;
      readonly file: FileNumber;
      readonly reason: 'killed' | 'offline' | 'broken';
    };

/** Where events go; called synchronously, must not call back. */
export type Emit = (event: ToxEvent) => void;
