import { ToxError } from '../core/errors.ts';
import { KEY_SIZE, type KeyPair, keyPairFromSecret, type SecretKey } from '../crypto/keys.ts';
import { equalConstantTime } from '../crypto/sodium.ts';
import { type FriendRecord, type Profile, USER_STATUSES } from '../messenger/friend-record.ts';
import { isValidPublicKey } from '../messenger/tox-id.ts';
import type { Nospam } from '../packet/friend.ts';
import { MAX_NAME_SIZE, MAX_STATUS_MESSAGE_SIZE } from '../packet/messenger.ts';
import { type PackedNode, readPackedNodes, writePackedNode } from '../wire/packed-node.ts';
import { Reader } from '../wire/reader.ts';
import { Writer } from '../wire/writer.ts';
import { FRIEND_NODES, type FriendNode, readFriendNodes, writeFriendNodes } from './friend-nodes.ts';
import { readFriends, writeFriends } from './saved-friends.ts';

/** The content of a standard profile (spec: State Format), as every Tox program keeps it. */
export interface ToxSave {
  readonly keys: KeyPair;
  readonly profile: Profile;
  /** For the next start; at most 2080 are read. */
  readonly dhtNodes: readonly PackedNode[];
  /** At most 8 are read. */
  readonly tcpRelays: readonly PackedNode[];
  /** Nodes for onion paths; at most 8 are read. */
  readonly pathNodes: readonly PackedNode[];
  /** Where friends were last met; at most 256. */
  readonly friendNodes: readonly FriendNode[];
  /** Sections that we know nothing about (groups, conferences, future ones): kept as they are. */
  readonly other: readonly SaveSection[];
}

export interface SaveSection {
  readonly type: number;
  readonly data: Uint8Array;
}

// Numbers of the format. Everything outside sections of other make is little endian.
const MAGIC = 0x15ed1b1f;
const SECTION_COOKIE = 0x01ce;
const DHT_MAGIC = 0x0159000d;
const DHT_COOKIE = 0x11ce;
const DHT_NODES = 4;
const KEYS = 1;
const DHT = 2;
const FRIENDS = 3;
const NAME = 4;
const STATUS_MESSAGE = 5;
const STATUS = 6;
const TCP_RELAYS = 10;
const PATH_NODES = 11;
const END = 255;

// Bounds: what c-toxcore itself writes at most.
const MAX_DHT_NODES = 2080;
const MAX_TCP_RELAYS = 8;
const MAX_PATH_NODES = 8;

/**
 * Reads a profile that is not encrypted. The key section must be whole and its keys must match;
 * node lists that cannot be read count as empty. Throws `bad-save` for anything else.
 */
export function readToxSave(bytes: Uint8Array): ToxSave {
  const r = new Reader(bytes);
  if (u32le(r) !== 0 || u32le(r) !== MAGIC) throw bad('this is no Tox profile');
  const known = new Map<number, Uint8Array>();
  const other: SaveSection[] = [];
  for (const section of readSections(r, SECTION_COOKIE)) {
    if (OURS.has(section.type)) known.set(section.type, section.data);
    else other.push({ type: section.type, data: section.data.slice() });
  }
  const { keys, nospam } = readKeys(known.get(KEYS));
  const none = new Uint8Array(0);
  return {
    keys,
    profile: {
      nospam,
      name: (known.get(NAME) ?? none).slice(0, MAX_NAME_SIZE),
      statusMessage: (known.get(STATUS_MESSAGE) ?? none).slice(0, MAX_STATUS_MESSAGE_SIZE),
      status: USER_STATUSES[known.get(STATUS)?.[0] ?? 0] ?? 'none',
      friends: uniqueFriends(readFriends(known.get(FRIENDS) ?? none)),
    },
    dhtNodes: readDht(known.get(DHT) ?? none),
    tcpRelays: readNodes(known.get(TCP_RELAYS), MAX_TCP_RELAYS, true),
    pathNodes: readNodes(known.get(PATH_NODES), MAX_PATH_NODES, false),
    friendNodes: readFriendNodes(known.get(FRIEND_NODES) ?? none),
    other,
  };
}

/** Bytes: what holds the secret key shall not be next to packets. See `allocate`. */
const MEMORY_OF_ITS_OWN = 4_096;

/** Writes a profile that c-toxcore reads. Holds the secret key: keep it as such. */
export function writeToxSave(save: ToxSave): Uint8Array {
  const { keys, profile } = save;
  const w = new Writer(MEMORY_OF_ITS_OWN);
  u32leInto(w, 0);
  u32leInto(w, MAGIC);
  const put = (type: number, data: Uint8Array) => writeSection(w, SECTION_COOKIE, type, data);
  put(KEYS, Uint8Array.of(...profile.nospam, ...keys.publicKey, ...keys.secretKey));
  put(DHT, dhtSection(save.dhtNodes.slice(0, MAX_DHT_NODES)));
  put(FRIENDS, writeFriends(profile.friends));
  put(NAME, profile.name);
  put(STATUS_MESSAGE, profile.statusMessage);
  put(STATUS, Uint8Array.of(USER_STATUSES.indexOf(profile.status)));
  put(TCP_RELAYS, nodes(save.tcpRelays.slice(0, MAX_TCP_RELAYS)));
  put(PATH_NODES, nodes(save.pathNodes.slice(0, MAX_PATH_NODES)));
  if (save.friendNodes.length > 0) put(FRIEND_NODES, writeFriendNodes(save.friendNodes));
  for (const section of save.other) put(section.type, section.data);
  put(END, new Uint8Array(0));
  return w.finish();
}

const OURS = new Set([KEYS, DHT, FRIENDS, NAME, STATUS_MESSAGE, STATUS, TCP_RELAYS, PATH_NODES, FRIEND_NODES]);

/** Sections up to the end section, or to the end of the bytes; views. What follows the end is padding. */
function* readSections(r: Reader, cookie: number): Generator<SaveSection> {
  while (r.left > 0) {
    const length = u32le(r);
    const type = u16le(r);
    const found = u16le(r);
    if (r.failure) throw bad('the profile is cut off');
    if (found !== cookie) throw bad('a section of the profile has a wrong mark');
    if (type === END) return;
    const data = r.take(length);
    if (r.failure) throw bad('the profile is cut off');
    yield { type, data };
  }
}

function writeSection(w: Writer, cookie: number, type: number, data: Uint8Array): void {
  u32leInto(w, data.length);
  u16leInto(w, type);
  u16leInto(w, cookie);
  w.bytes(data);
}

/** nospam(4) public key(32) secret key(32). */
function readKeys(data: Uint8Array | undefined): { keys: KeyPair; nospam: Nospam } {
  const r = new Reader(data ?? new Uint8Array(0));
  const nospam = r.copy<Nospam>(4);
  const publicKey = r.take(KEY_SIZE);
  const secretKey = r.copy<SecretKey>(KEY_SIZE);
  if (r.failure) throw bad('the profile has no keys');
  const keys = keyPairFromSecret(secretKey);
  if (!equalConstantTime(keys.publicKey, publicKey)) throw bad('the keys of the profile do not match');
  return { keys, nospam };
}

function uniqueFriends(friends: FriendRecord[]): FriendRecord[] {
  const seen: Set<string> = new Set();
  return friends.filter((friend) => {
    const id = friend.publicKey.toString();
    return isValidPublicKey(friend.publicKey) && !seen.has(id) && seen.add(id);
  });
}

function readDht(data: Uint8Array): PackedNode[] {
  const r = new Reader(data);
  if (u32le(r) !== DHT_MAGIC || r.failure) return [];
  const found: PackedNode[] = [];
  try {
    for (const section of readSections(r, DHT_COOKIE)) {
      if (section.type === DHT_NODES) found.push(...readNodes(section.data, MAX_DHT_NODES - found.length, false));
    }
  } catch {
    // Nodes are hints: those read so far will do.
  }
  return found;
}

function dhtSection(list: readonly PackedNode[]): Uint8Array {
  const w = new Writer(1024);
  u32leInto(w, DHT_MAGIC);
  writeSection(w, DHT_COOKIE, DHT_NODES, nodes(list));
  return w.finish();
}

function readNodes(data: Uint8Array | undefined, max: number, tcpAllowed: boolean): PackedNode[] {
  return readPackedNodes(new Reader(data ?? new Uint8Array(0)), max, tcpAllowed);
}

function nodes(list: readonly PackedNode[]): Uint8Array {
  const w = new Writer(512);
  for (const node of list) writePackedNode(w, node);
  return w.finish();
}

function u16le(r: Reader): number {
  return r.u8() + r.u8() * 256;
}

function u32le(r: Reader): number {
  return u16le(r) + u16le(r) * 65536;
}

function u16leInto(w: Writer, n: number): void {
  w.u8(n & 0xff).u8(n >>> 8);
}

function u32leInto(w: Writer, n: number): void {
  u16leInto(w, n & 0xffff);
  u16leInto(w, n >>> 16);
}

function bad(message: string): ToxError {
  return new ToxError('bad-save', message);
}
