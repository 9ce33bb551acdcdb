import type { Env, Mono } from '../core/env.ts';
import { ToxError } from '../core/errors.ts';
import { type KeyId, keyId, type PublicKey, sameBytes } from '../crypto/keys.ts';
import type { FriendConnectionHooks } from '../friend/friend-connections.ts';
import { FriendRequests } from '../friend/friend-requests.ts';
import { MAX_CRYPTO_DATA_SIZE } from '../packet/crypto.ts';
import { type FriendRequestBody, MAX_FRIEND_REQUEST_MESSAGE_SIZE, type Nospam } from '../packet/friend.ts';
import * as packet from '../packet/messenger.ts';
import { CopyPool, toText, toUtf8 } from './bytes.ts';
import type { Emit, FileNumber, UserStatus } from './events.ts';
import { type FileOffer, FileTransfers } from './file-transfer.ts';
import { type FriendRecord, type Profile, USER_STATUSES } from './friend-record.ts';
import { applyFriendPacket, connectionOver, type Friend, type FriendInfo, friendInfo } from './friend-state.ts';
import { isValidPublicKey, makeToxId, type ToxId, toxIdNospam, toxIdPublicKey } from './tox-id.ts';

/** What the messenger needs of the friend connections. */
export interface FriendLinks {
  add(now: Mono, key: PublicKey, request?: FriendRequestBody): void;
  remove(now: Mono, key: PublicKey): void;
  setRequest(now: Mono, key: PublicKey, request: FriendRequestBody | undefined): void;
  /** Copies `data`. If undefined while the friend is connected, `onWritable` must follow. */
  sendLossless(now: Mono, key: PublicKey, data: Uint8Array): number | undefined;
  sendLossy(now: Mono, key: PublicKey, data: Uint8Array): boolean;
  /** How a connected friend is reached. */
  path(key: PublicKey): 'direct' | 'relay' | undefined;
}

/** Friends of one identity. Ours: each costs searches in DHT and onion while it is offline. */
export const MAX_FRIENDS = 256;
/** Control packets of ours that wait for room, per friend. More is refused with `limit`. */
const MAX_QUEUED = 1024;
/** Control packets that answer the friend may fill this much of it; further ones are dropped. */
const MAX_QUEUED_ANSWERS = 512;

/**
 * What friends say to each other over a connection (spec: Messenger): presence, names, texts with
 * receipts, files, custom packets. Everything but presence needs the friend online: `friend-offline`
 * is thrown otherwise, and `unknown-friend` for a key that was not added.
 */
export class Messenger implements FriendConnectionHooks {
  readonly #env: Env;
  readonly #links: FriendLinks;
  readonly #emit: Emit;
  readonly #ownKey: PublicKey;
  readonly #friends = new Map<KeyId, Friend>();
  readonly #requests: FriendRequests;
  readonly #pool = new CopyPool();
  readonly #scratch = new Uint8Array(MAX_CRYPTO_DATA_SIZE);
  #name: Uint8Array;
  #statusMessage: Uint8Array;
  #status: UserStatus;
  #nextReceipt = 1;

  /** Adds the friends of the profile at once. Throws `limit` if there are more than 256. */
  constructor(env: Env, deps: { now: Mono; ownKey: PublicKey; profile: Profile; links: FriendLinks; emit: Emit }) {
    const { profile } = deps;
    this.#env = env;
    this.#links = deps.links;
    this.#emit = deps.emit;
    this.#ownKey = deps.ownKey;
    this.#name = profile.name.slice(0, packet.MAX_NAME_SIZE);
    this.#statusMessage = profile.statusMessage.slice(0, packet.MAX_STATUS_MESSAGE_SIZE);
    this.#status = profile.status;
    this.#requests = new FriendRequests(profile.nospam, (key) => this.#friends.has(keyId(key)));
    for (const record of profile.friends) {
      const known = this.#friends.has(keyId(record.publicKey)) || sameBytes(record.publicKey, this.#ownKey);
      if (!known) this.#add(deps.now, record);
    }
  }

  // Ourselves.

  get toxId(): ToxId {
    return makeToxId(this.#ownKey, this.#requests.nospam);
  }

  /** Requests that repeat the old one are ignored from now on. */
  setNospam(nospam: Nospam): void {
    if (nospam.length !== 4) throw new ToxError('bad-argument', 'a nospam has 4 bytes');
    this.#requests.nospam = nospam.slice() as Nospam;
  }

  get name(): string {
    return toText(this.#name);
  }

  /** At most 128 bytes of UTF-8; friends online are told. */
  setName(now: Mono, name: string): void {
    this.#name = toUtf8(name, packet.MAX_NAME_SIZE, 'name');
    this.#tellAll(now, packet.encodeBody(packet.NAME, this.#name));
  }

  get statusMessage(): string {
    return toText(this.#statusMessage);
  }

  /** At most 1007 bytes of UTF-8. */
  setStatusMessage(now: Mono, text: string): void {
    this.#statusMessage = toUtf8(text, packet.MAX_STATUS_MESSAGE_SIZE, 'status message');
    this.#tellAll(now, packet.encodeBody(packet.STATUS_MESSAGE, this.#statusMessage));
  }

  get status(): UserStatus {
    return this.#status;
  }

  setStatus(now: Mono, status: UserStatus): void {
    this.#status = status;
    this.#tellAll(now, packet.encodeSmall(packet.STATUS, USER_STATUSES.indexOf(status)));
  }

  /** What a save file keeps, as it is now. */
  profile(): Profile {
    return {
      nospam: this.#requests.nospam,
      name: this.#name,
      statusMessage: this.#statusMessage,
      status: this.#status,
      friends: [...this.#friends.values()].map((f) => ({
        publicKey: f.key,
        request: f.request,
        name: f.name,
        statusMessage: f.statusMessage,
        status: f.status,
        lastSeen: f.online ? this.#env.unixSeconds() : f.lastSeen,
      })),
    };
  }

  // Friends.

  friends(): FriendInfo[] {
    return [...this.#friends.values()].map((friend) => friendInfo(friend, this.#links.path(friend.key)));
  }

  friend(key: PublicKey): FriendInfo | undefined {
    const friend = this.#friends.get(keyId(key));
    return friend && friendInfo(friend, this.#links.path(friend.key));
  }

  /**
   * Sends a friend request, again and again until the friend is seen online. `message`: 1..921
   * bytes of UTF-8. For a friend whose request is still open, a new nospam or text replaces the
   * old. Throws `own-id`, `already-friend`, `limit`, `bad-argument`.
   */
  addFriend(now: Mono, id: ToxId, message: string): PublicKey {
    const publicKey = toxIdPublicKey(id);
    const request = {
      nospam: toxIdNospam(id),
      message: toUtf8(message, MAX_FRIEND_REQUEST_MESSAGE_SIZE, 'friend request'),
    };
    if (request.message.length === 0) throw new ToxError('bad-argument', 'a friend request needs a message');
    const known = this.#friends.get(keyId(publicKey));
    if (!known) return this.#addNew(now, publicKey, request);
    if (!known.request) throw new ToxError('already-friend', 'this key is a friend already');
    known.request = request;
    this.#links.setRequest(now, known.key, request);
    return known.key;
  }

  /** Adds someone who asked us, or who adds us as well: no request is sent. Throws as `addFriend`. */
  acceptFriend(now: Mono, publicKey: PublicKey): PublicKey {
    if (!isValidPublicKey(publicKey)) throw new ToxError('bad-argument', 'not a public key');
    const known = this.#friends.get(keyId(publicKey));
    if (!known) return this.#addNew(now, publicKey, undefined);
    if (!known.request) throw new ToxError('already-friend', 'this key is a friend already');
    known.request = undefined;
    this.#links.setRequest(now, known.key, undefined);
    return known.key;
  }

  /** Tells the friend "offline" and forgets it. Its running transfers end with their events. */
  removeFriend(now: Mono, publicKey: PublicKey): void {
    const friend = this.#get(publicKey);
    if (friend.connected) this.#links.sendLossless(now, friend.key, packet.encodeSmall(packet.OFFLINE));
    this.#friends.delete(keyId(publicKey));
    this.#requests.forget(publicKey);
    this.#links.remove(now, friend.key);
    this.#setOffline(friend);
  }

  // Talking.

  /** Tells one friend whether we are writing to it. */
  setTyping(now: Mono, friend: PublicKey, typing: boolean): void {
    const f = this.#getOnline(friend);
    if (f.weType === typing) return;
    f.weType = typing;
    this.#queue(now, f, packet.encodeSmall(packet.TYPING, typing ? 1 : 0));
  }

  /**
   * Sends 1..1372 bytes of UTF-8. Returns an id that a `receipt` event repeats, or undefined if
   * there was no room: `writable` follows.
   */
  sendMessage(now: Mono, friend: PublicKey, text: string, action = false): number | undefined {
    const f = this.#getOnline(friend);
    const body = toUtf8(text, packet.MAX_MESSAGE_SIZE, 'message');
    if (body.length === 0) throw new ToxError('bad-argument', 'a message is not empty');
    const number = this.#send(now, f, packet.encodeBody(action ? packet.ACTION : packet.MESSAGE, body));
    if (number === undefined) return undefined;
    const id = this.#nextReceipt++;
    f.unacknowledged.push({ packet: number, id });
    return id;
  }

  /**
   * A custom packet, 1..1373 bytes, first byte 160..191; reliable and in order. False if there
   * was no room: `writable` follows.
   */
  sendLossless(now: Mono, friend: PublicKey, data: Uint8Array): boolean {
    checkCustom(data, packet.CUSTOM_LOSSLESS_FIRST, packet.CUSTOM_LOSSLESS_LAST);
    return this.#send(now, this.#getOnline(friend), data) !== undefined;
  }

  /** A custom packet, 1..1373 bytes, first byte 200..254; may get lost. False if it was not sent. */
  sendLossy(now: Mono, friend: PublicKey, data: Uint8Array): boolean {
    checkCustom(data, packet.CUSTOM_LOSSY_FIRST, packet.CUSTOM_LOSSY_LAST);
    return this.#links.sendLossy(now, this.#getOnline(friend).key, data);
  }

  // Files; see `FileTransfers`. All throw `unknown-file` for a number that is not in use.

  /** Offers a file; a random `fileId` is made if none is given. Throws `limit`, `bad-argument`. */
  fileSend(now: Mono, friend: PublicKey, offer: Omit<FileOffer, 'fileId'> & { fileId?: Uint8Array }): FileNumber {
    const fileId = offer.fileId ?? this.#env.random(packet.FILE_ID_SIZE);
    return this.#getOnline(friend).files.send(now, { ...offer, fileId });
  }

  /** Takes as many of the next bytes as there is room for; if fewer, `file-writable` follows. */
  fileWrite(now: Mono, friend: PublicKey, file: FileNumber, data: Uint8Array): number {
    return this.#getOnline(friend).files.write(now, file, data);
  }

  /** Ends a stream of unknown size; false: repeat after `file-writable`. */
  fileEnd(now: Mono, friend: PublicKey, file: FileNumber): boolean {
    return this.#getOnline(friend).files.end(now, file);
  }

  fileControl(now: Mono, friend: PublicKey, file: FileNumber, control: 'resume' | 'pause' | 'kill'): void {
    this.#getOnline(friend).files.control(now, file, control);
  }

  /** Before accepting an offer: start at this byte. */
  fileSeek(now: Mono, friend: PublicKey, file: FileNumber, position: number): void {
    this.#getOnline(friend).files.seek(now, file, position);
  }

  // From the friend connections.

  onConnected(now: Mono, key: PublicKey): void {
    const friend = this.#friends.get(keyId(key));
    if (!friend) return;
    friend.connected = true;
    this.#queue(now, friend, packet.encodeSmall(packet.ONLINE));
  }

  onDisconnected(_now: Mono, key: PublicKey): void {
    const friend = this.#friends.get(keyId(key));
    if (!friend) return;
    friend.connected = false;
    this.#setOffline(friend);
    friend.queue = [];
  }

  onLossless(now: Mono, key: PublicKey, data: Uint8Array): void {
    const friend = this.#friends.get(keyId(key));
    if (!friend?.connected) return;
    const id = data[0] ?? 0;
    if (friend.online) this.#handle(now, friend, id, data);
    else if (id === packet.ONLINE && data.length === 1) this.#setOnline(now, friend);
  }

  onLossy(_now: Mono, key: PublicKey, data: Uint8Array): void {
    const friend = this.#friends.get(keyId(key));
    const id = data[0] ?? 0;
    if (!friend?.online || id < packet.CUSTOM_LOSSY_FIRST || id > packet.CUSTOM_LOSSY_LAST) return;
    this.#emit({ type: 'lossy', friend: friend.key, data: this.#pool.copy(data, 0, data.length) });
  }

  onAcknowledged(_now: Mono, key: PublicKey, upTo: number): void {
    const friend = this.#friends.get(keyId(key));
    if (!friend?.online) return;
    let passed = 0;
    for (const message of friend.unacknowledged) {
      if (((upTo - message.packet) | 0) <= 0) break;
      passed++;
      this.#emit({ type: 'receipt', friend: friend.key, id: message.id });
    }
    if (passed > 0) friend.unacknowledged.splice(0, passed);
    friend.files.onAcknowledged(upTo);
  }

  /** Small packets first, then the owner's, then files: so that a file never starves a message. */
  onWritable(now: Mono, key: PublicKey): void {
    const friend = this.#friends.get(keyId(key));
    if (!friend?.connected || !this.#flush(now, friend)) return;
    if (friend.refused) {
      friend.refused = false;
      this.#emit({ type: 'writable', friend: friend.key });
    }
    friend.files.onWritable(now);
  }

  onRerouted(_now: Mono, key: PublicKey): void {
    const friend = this.#friends.get(keyId(key));
    if (!friend?.online) return;
    this.#emit({ type: 'friend-path', friend: friend.key, connection: connectionOver(this.#links.path(key)) });
  }

  /** From the onion or a connection: whoever has our nospam, hostile until a person decides. */
  onFriendRequest(now: Mono, from: PublicKey, nospam: Uint8Array, message: Uint8Array): void {
    if (!isValidPublicKey(from) || sameBytes(from, this.#ownKey)) return;
    if (!this.#requests.admit(now, from, nospam, message)) return;
    this.#emit({ type: 'friend-request', publicKey: from.slice() as PublicKey, message: toText(message) });
  }

  #handle(now: Mono, friend: Friend, id: number, data: Uint8Array): void {
    if (id === packet.FILE_DATA) friend.files.onData(now, data);
    else if (id === packet.FILE_CONTROL) friend.files.onControl(now, data);
    else if (id === packet.FILE_REQUEST) friend.files.onRequest(now, data);
    else if (id === packet.OFFLINE) {
      if (data.length === 1) this.#setOffline(friend);
    } else if (id >= packet.CUSTOM_LOSSLESS_FIRST && id <= packet.CUSTOM_LOSSLESS_LAST) {
      this.#emit({ type: 'lossless', friend: friend.key, data: this.#pool.copy(data, 0, data.length) });
    } else {
      const event = applyFriendPacket(friend, data);
      if (event) this.#emit(event);
    }
  }

  #setOnline(now: Mono, friend: Friend): void {
    friend.online = true;
    friend.weType = false;
    if (friend.request) {
      friend.request = undefined;
      this.#links.setRequest(now, friend.key, undefined);
    }
    // Said a second time: the friend may have come to the connection after our first.
    this.#queue(now, friend, packet.encodeSmall(packet.ONLINE));
    this.#queue(now, friend, packet.encodeBody(packet.NAME, this.#name));
    this.#queue(now, friend, packet.encodeBody(packet.STATUS_MESSAGE, this.#statusMessage));
    this.#queue(now, friend, packet.encodeSmall(packet.STATUS, USER_STATUSES.indexOf(this.#status)));
    const connection = connectionOver(this.#links.path(friend.key));
    this.#emit({ type: 'friend-connection', friend: friend.key, online: true, connection });
  }

  #setOffline(friend: Friend): void {
    if (!friend.online) return;
    friend.online = false;
    friend.lastSeen = this.#env.unixSeconds();
    friend.unacknowledged = [];
    friend.queue = [];
    friend.refused = false;
    if (friend.typing) {
      friend.typing = false;
      this.#emit({ type: 'friend-typing', friend: friend.key, typing: false });
    }
    friend.files.abort();
    this.#emit({ type: 'friend-connection', friend: friend.key, online: false, connection: 'none' });
  }

  #addNew(now: Mono, publicKey: PublicKey, request: FriendRequestBody | undefined): PublicKey {
    if (sameBytes(publicKey, this.#ownKey)) throw new ToxError('own-id', 'this is your own Tox ID');
    const none = new Uint8Array(0);
    return this.#add(now, { publicKey, request, name: none, statusMessage: none, status: 'none', lastSeen: 0n });
  }

  #add(now: Mono, record: FriendRecord): PublicKey {
    if (this.#friends.size >= MAX_FRIENDS) throw new ToxError('limit', `at most ${MAX_FRIENDS} friends`);
    const key = record.publicKey.slice() as PublicKey;
    // Old programs saved longer texts than anyone receives.
    const request = record.request && {
      nospam: record.request.nospam,
      message: record.request.message.slice(0, MAX_FRIEND_REQUEST_MESSAGE_SIZE),
    };
    const link = {
      scratch: this.#scratch,
      send: (at: Mono, data: Uint8Array) => this.#links.sendLossless(at, key, data),
      queue: (at: Mono, data: Uint8Array, answer?: boolean) => this.#queue(at, friend, data, answer),
    };
    const friend: Friend = {
      key,
      request,
      connected: false,
      online: false,
      name: record.name,
      statusMessage: record.statusMessage,
      status: record.status,
      typing: false,
      lastSeen: record.lastSeen,
      files: new FileTransfers(key, link, this.#pool, this.#emit),
      queue: [],
      unacknowledged: [],
      refused: false,
      weType: false,
    };
    this.#friends.set(keyId(key), friend);
    this.#links.add(now, key, request);
    return key;
  }

  #get(key: PublicKey): Friend {
    const friend = this.#friends.get(keyId(key));
    if (!friend) throw new ToxError('unknown-friend', 'this key is not a friend');
    return friend;
  }

  #getOnline(key: PublicKey): Friend {
    const friend = this.#get(key);
    if (!friend.online) throw new ToxError('friend-offline', 'this friend is offline');
    return friend;
  }

  #send(now: Mono, friend: Friend, data: Uint8Array): number | undefined {
    const number = this.#links.sendLossless(now, friend.key, data);
    if (number === undefined) friend.refused = true;
    return number;
  }

  #tellAll(now: Mono, data: Uint8Array): void {
    for (const friend of this.#friends.values()) if (friend.online) this.#queue(now, friend, data);
  }

  /** Sends a small packet now, or as soon as there is room and those before it are gone. */
  #queue(now: Mono, friend: Friend, data: Uint8Array, answer = false): void {
    if (friend.queue.length === 0 && this.#links.sendLossless(now, friend.key, data) !== undefined) return;
    // Of name, status and the like only the latest counts.
    const same = data[0]! < packet.MESSAGE ? friend.queue.findIndex((queued) => queued[0] === data[0]) : -1;
    if (same >= 0) friend.queue[same] = data;
    else if (friend.queue.length < (answer ? MAX_QUEUED_ANSWERS : MAX_QUEUED)) friend.queue.push(data);
    else if (!answer) throw new ToxError('limit', 'too much waits for this friend already');
  }

  /** True if nothing waits any longer. */
  #flush(now: Mono, friend: Friend): boolean {
    let sent = 0;
    while (sent < friend.queue.length) {
      if (this.#links.sendLossless(now, friend.key, friend.queue[sent]!) === undefined) break;
      sent++;
    }
    if (sent > 0) friend.queue.splice(0, sent);
    return friend.queue.length === 0;
  }
}

function checkCustom(data: Uint8Array, first: number, last: number): void {
  const id = data[0] ?? 0;
  if (data.length > MAX_CRYPTO_DATA_SIZE || id < first || id > last) {
    throw new ToxError(
      'bad-argument',
      `a custom packet has 1..${MAX_CRYPTO_DATA_SIZE} bytes and an id of ${first}..${last}`,
    );
  }
}
