/**
 * The packets of the mail transfer protocol, version 1 (docs/wire.md). Numbers are big-endian. Each packet is one
 * custom lossless packet of Tox: its first byte is the kind, and it has at most 1373 bytes.
 */

/** Of Tox: custom lossless packets have ids 160-191 and at most 1373 bytes with their id. */
export const MAX_PACKET_BYTES = 1373;

/** Ours. */
export const VERSION = 1;
export const TRANSFER_ID_BYTES = 16;
export const DIGEST_BYTES = 32; // SHA-256
export const MAX_TAG_BYTES = 255; // its length is one byte
export const MAX_REFUSAL_TEXT_BYTES = 400; // one reply line of RFC 5321 has at most 512
const MAGIC = Buffer.from('TXML', 'latin1');

const kinds = {
  hello: 160,
  offer: 161,
  accept: 162,
  refuse: 163,
  data: 164,
  stored: 165,
  cancel: 166,
  credit: 167,
} as const;

/** First thing that each side says when the other comes online. */
export interface Hello {
  readonly kind: 'hello';
  /** Highest version spoken; the lower one of both sides holds. */
  readonly version: number;
  /** False asks the other side for its hello and starts over; true answers. */
  readonly answer: boolean;
  /** How many transfers the other side may have open towards us. */
  readonly openTransfers: number;
  /** Bytes of mail it may send us before a `credit`. */
  readonly credit: number;
  /** Largest mail that may come with its offer, in bytes. */
  readonly eagerLimit: number;
  /** Largest mail that we take at all, in bytes. */
  readonly maxSize: number;
}

export interface Offer {
  readonly kind: 'offer';
  /** Names the transfer until the session ends; chosen by the sender, never used twice in a session. */
  readonly stream: number;
  /** Names the transfer for ever: 16 random bytes, the same in every attempt. */
  readonly id: Uint8Array;
  /** Of the mail, in bytes. */
  readonly size: number;
  /** SHA-256 of the mail. */
  readonly digest: Uint8Array;
  /** The data follows at once, from offset 0; no `accept` is waited for. */
  readonly eager: boolean;
  /** The mail has the empty return path (a notice): nobody may answer it with a notice. */
  readonly nullSender: boolean;
  /** What the sender wrote behind the `+` of the recipient's name, at most 255 bytes of UTF-8; empty if nothing. */
  readonly tag: string;
  /** The first bytes of an eager mail; empty otherwise. */
  readonly data: Uint8Array;
}

export interface Accept {
  readonly kind: 'accept';
  readonly stream: number;
  /** The receiver has this many bytes already. */
  readonly offset: number;
}

export interface Refuse {
  readonly kind: 'refuse';
  readonly stream: number;
  /** RFC 5321 reply code, 400-599. */
  readonly reply: number;
  /** RFC 3463 status; its class agrees with the reply. */
  readonly enhanced: readonly [statusClass: number, subject: number, detail: number];
  /** Printable, one line. */
  readonly text: string;
}

export interface Data {
  readonly kind: 'data';
  readonly stream: number;
  /** A view into the packet. */
  readonly data: Uint8Array;
}

export interface Stored {
  readonly kind: 'stored';
  readonly stream: number;
}

export interface Cancel {
  readonly kind: 'cancel';
  readonly stream: number;
  /** The mail will not be offered again: what was kept of it may go. */
  readonly forget: boolean;
}

export interface Credit {
  readonly kind: 'credit';
  /** Bytes of mail the other side may have sent in all since the hello. */
  readonly total: number;
}

export type Packet = Hello | Offer | Accept | Refuse | Data | Stored | Cancel | Credit;

const HELLO_BYTES = 1 + 4 + 1 + 1 + 2 + 4 + 4 + 8;
const OFFER_BYTES = 1 + 4 + TRANSFER_ID_BYTES + 8 + DIGEST_BYTES + 1 + 1; // then tag, then data
const ACCEPT_BYTES = 1 + 4 + 8;
const REFUSE_BYTES = 1 + 4 + 2 + 1 + 2 + 2; // then text
const DATA_BYTES = 1 + 4; // then data
const STORED_BYTES = 1 + 4;
const CANCEL_BYTES = 1 + 4 + 1;
const CREDIT_BYTES = 1 + 8;

/** Bytes of mail that fit into one data packet. */
export const DATA_CAPACITY = MAX_PACKET_BYTES - DATA_BYTES;

/** Bytes of mail that fit beside the offer itself. */
export function offerCapacity(tag: string): number {
  return MAX_PACKET_BYTES - OFFER_BYTES - Buffer.byteLength(tag);
}

/** Throws RangeError on a field out of range: that is our own bug. The caller owns the result. */
export function encode(packet: Packet): Uint8Array {
  const out = Buffer.alloc(sizeOf(packet));
  out[0] = kinds[packet.kind];
  switch (packet.kind) {
    case 'hello':
      MAGIC.copy(out, 1);
      out.writeUInt8(packet.version, 5);
      out.writeUInt8(packet.answer ? 1 : 0, 6);
      out.writeUInt16BE(packet.openTransfers, 7);
      out.writeUInt32BE(packet.credit, 9);
      out.writeUInt32BE(packet.eagerLimit, 13);
      out.writeBigUInt64BE(BigInt(packet.maxSize), 17);
      return out;
    case 'offer': {
      out.writeUInt32BE(packet.stream, 1);
      out.set(packet.id, 5);
      out.writeBigUInt64BE(BigInt(packet.size), 21);
      out.set(packet.digest, 29);
      out.writeUInt8((packet.eager ? 1 : 0) | (packet.nullSender ? 2 : 0), 61);
      const tag = Buffer.from(packet.tag);
      out.writeUInt8(tag.length, 62);
      out.set(tag, OFFER_BYTES);
      out.set(packet.data, OFFER_BYTES + tag.length);
      return out;
    }
    case 'accept':
      out.writeUInt32BE(packet.stream, 1);
      out.writeBigUInt64BE(BigInt(packet.offset), 5);
      return out;
    case 'refuse':
      out.writeUInt32BE(packet.stream, 1);
      out.writeUInt16BE(packet.reply, 5);
      out.writeUInt8(packet.enhanced[0], 7);
      out.writeUInt16BE(packet.enhanced[1], 8);
      out.writeUInt16BE(packet.enhanced[2], 10);
      out.set(refusalText(packet.text), REFUSE_BYTES);
      return out;
    case 'data':
      out.writeUInt32BE(packet.stream, 1);
      out.set(packet.data, DATA_BYTES);
      return out;
    case 'stored':
      out.writeUInt32BE(packet.stream, 1);
      return out;
    case 'cancel':
      out.writeUInt32BE(packet.stream, 1);
      out.writeUInt8(packet.forget ? 1 : 0, 5);
      return out;
    case 'credit':
      out.writeBigUInt64BE(BigInt(packet.total), 1);
      return out;
  }
}

/**
 * Undefined for anything that is not a packet of this protocol: wrong length, unknown kind, number out of range.
 * Never throws. `data` fields are views into `bytes`.
 */
export function decode(bytes: Uint8Array): Packet | undefined {
  const b = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (b.length > MAX_PACKET_BYTES) return undefined;
  switch (b[0]) {
    case kinds.hello:
      return decodeHello(b);
    case kinds.offer:
      return decodeOffer(b);
    case kinds.accept: {
      if (b.length !== ACCEPT_BYTES) return undefined;
      const offset = readSize(b, 5);
      return offset === undefined ? undefined : { kind: 'accept', stream: b.readUInt32BE(1), offset };
    }
    case kinds.refuse:
      return decodeRefuse(b);
    case kinds.data:
      if (b.length <= DATA_BYTES) return undefined;
      return { kind: 'data', stream: b.readUInt32BE(1), data: b.subarray(DATA_BYTES) };
    case kinds.stored:
      return b.length === STORED_BYTES ? { kind: 'stored', stream: b.readUInt32BE(1) } : undefined;
    case kinds.cancel:
      if (b.length !== CANCEL_BYTES) return undefined;
      return { kind: 'cancel', stream: b.readUInt32BE(1), forget: (b[5]! & 1) !== 0 };
    case kinds.credit: {
      if (b.length !== CREDIT_BYTES) return undefined;
      const total = readSize(b, 1);
      return total === undefined ? undefined : { kind: 'credit', total };
    }
    default:
      return undefined;
  }
}

/** Whether a custom packet opens this protocol. */
export function isHello(bytes: Uint8Array): boolean {
  return bytes[0] === kinds.hello && decode(bytes) !== undefined;
}

/** Bytes after the known fields are left to later versions. */
function decodeHello(b: Buffer): Hello | undefined {
  if (b.length < HELLO_BYTES || !b.subarray(1, 5).equals(MAGIC) || b[5] === 0) return undefined;
  const maxSize = readSize(b, 17);
  if (maxSize === undefined) return undefined;
  return {
    kind: 'hello',
    version: b[5]!,
    answer: (b[6]! & 1) !== 0,
    openTransfers: b.readUInt16BE(7),
    credit: b.readUInt32BE(9),
    eagerLimit: b.readUInt32BE(13),
    maxSize,
  };
}

function decodeOffer(b: Buffer): Offer | undefined {
  if (b.length < OFFER_BYTES) return undefined;
  const size = readSize(b, 21);
  const end = OFFER_BYTES + b[62]!;
  const eager = (b[61]! & 1) !== 0;
  if (size === undefined || size === 0 || end > b.length || (!eager && end < b.length)) return undefined;
  const tag = decodeUtf8(b.subarray(OFFER_BYTES, end));
  if (tag === undefined || hasControls(tag)) return undefined;
  return {
    kind: 'offer',
    stream: b.readUInt32BE(1),
    id: b.subarray(5, 21),
    size,
    digest: b.subarray(29, 61),
    eager,
    nullSender: (b[61]! & 2) !== 0,
    tag,
    data: b.subarray(end),
  };
}

function decodeRefuse(b: Buffer): Refuse | undefined {
  if (b.length < REFUSE_BYTES || b.length > REFUSE_BYTES + MAX_REFUSAL_TEXT_BYTES) return undefined;
  const reply = b.readUInt16BE(5);
  const statusClass = b[7]!;
  const subject = b.readUInt16BE(8);
  const detail = b.readUInt16BE(10);
  if (statusClass !== 4 && statusClass !== 5) return undefined;
  if (Math.floor(reply / 100) !== statusClass || subject > 999 || detail > 999) return undefined; // RFC 3463 §2
  const text = decodeUtf8(b.subarray(REFUSE_BYTES));
  if (text === undefined || hasControls(text)) return undefined;
  return { kind: 'refuse', stream: b.readUInt32BE(1), reply, enhanced: [statusClass, subject, detail], text };
}

function sizeOf(packet: Packet): number {
  switch (packet.kind) {
    case 'hello':
      return HELLO_BYTES;
    case 'offer':
      return OFFER_BYTES + Buffer.byteLength(packet.tag) + packet.data.length;
    case 'accept':
      return ACCEPT_BYTES;
    case 'refuse':
      return REFUSE_BYTES + refusalText(packet.text).length;
    case 'data':
      return DATA_BYTES + packet.data.length;
    case 'stored':
      return STORED_BYTES;
    case 'cancel':
      return CANCEL_BYTES;
    case 'credit':
      return CREDIT_BYTES;
  }
}

/** A 64-bit length; undefined beyond 2^53 - 1, which no mail reaches. */
function readSize(b: Buffer, at: number): number | undefined {
  const value = b.readBigUInt64BE(at);
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : undefined;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

/** C0 controls, DEL and C1 controls: none may reach a header, a log or a terminal. */
function hasControls(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(text);
}

/** One printable line, cut to the cap without splitting a character. */
function refusalText(text: string): Uint8Array {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
  const line = text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ');
  const out = new Uint8Array(MAX_REFUSAL_TEXT_BYTES);
  return out.subarray(0, new TextEncoder().encodeInto(line, out).written);
}
