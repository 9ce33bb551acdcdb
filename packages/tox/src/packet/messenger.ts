import { Reader } from '../wire/reader.ts';
import { Writer } from '../wire/writer.ts';
import { MAX_CRYPTO_DATA_SIZE } from './crypto.ts';

// Lossless packets between friends (spec: Messenger). The first byte is the id.

export const ONLINE = 24;
export const OFFLINE = 25;
export const NAME = 48;
export const STATUS_MESSAGE = 49;
export const STATUS = 50;
export const TYPING = 51;
export const MESSAGE = 64;
export const ACTION = 65;
export const FILE_REQUEST = 80;
export const FILE_CONTROL = 81;
export const FILE_DATA = 82;
/** First and last id that applications may use for their own lossless packets. */
export const CUSTOM_LOSSLESS_FIRST = 160;
export const CUSTOM_LOSSLESS_LAST = 191;
/** The same for lossy ones; 192..199 belong to audio and video. */
export const CUSTOM_LOSSY_FIRST = 200;
export const CUSTOM_LOSSY_LAST = 254;

// Limits of the spec, in bytes.
export const MAX_NAME_SIZE = 128;
export const MAX_STATUS_MESSAGE_SIZE = 1007;
export const MAX_MESSAGE_SIZE = MAX_CRYPTO_DATA_SIZE - 1;
export const MAX_FILE_NAME_SIZE = 255;
/** Every data packet of a file carries exactly this much, except the last. */
export const FILE_CHUNK_SIZE = MAX_CRYPTO_DATA_SIZE - 2;
export const FILE_ID_SIZE = 32;

const UNKNOWN_SIZE = 0xffff_ffff_ffff_ffffn;

/** `kind` 0 is plain data, 1 an avatar. */
export interface FileRequest {
  /** 0..255, chosen by the sender. */
  readonly number: number;
  readonly kind: number;
  /** Bytes; undefined for a stream of unknown length. */
  readonly size: number | undefined;
  readonly fileId: Uint8Array;
  /** UTF-8 by custom, 0..255 bytes, hostile. */
  readonly name: Uint8Array;
}

/** id, number(1), kind u32, size u64 (all ones: unknown), file id(32), name(0..255). */
export function encodeFileRequest(f: FileRequest): Uint8Array {
  const w = new Writer(64 + f.name.length).u8(FILE_REQUEST).u8(f.number).u32(f.kind);
  w.u64(f.size === undefined ? UNKNOWN_SIZE : BigInt(f.size));
  return w.bytes(f.fileId).bytes(f.name).finish();
}

/** Fails for sizes of 2^53 bytes and more, which nobody has. The id is a copy, the name a view. */
export function decodeFileRequest(data: Uint8Array): FileRequest | undefined {
  const r = new Reader(data);
  r.kind(FILE_REQUEST);
  const number = r.u8();
  const kind = r.u32();
  const size = r.u64();
  const fileId = r.take(FILE_ID_SIZE);
  const name = r.rest(0, MAX_FILE_NAME_SIZE);
  if (size !== UNKNOWN_SIZE && size > BigInt(Number.MAX_SAFE_INTEGER)) r.fail('bad-value');
  if (!r.done()) return undefined;
  return { number, kind, size: size === UNKNOWN_SIZE ? undefined : Number(size), fileId: fileId.slice(), name };
}

/** `accept` also lifts a pause. */
export type FileControlCode = 'accept' | 'pause' | 'kill' | 'seek';
const CODES: readonly FileControlCode[] = ['accept', 'pause', 'kill', 'seek'];

export interface FileControl {
  /** Whether the sender of THIS packet is the one who receives the file. */
  readonly byReceiver: boolean;
  readonly number: number;
  readonly code: FileControlCode;
  /** Byte offset; of `seek` only. */
  readonly position?: number | undefined;
}

/** id, direction(1: 1 = by the receiver of the file), number(1), code(1), for seek: position u64. */
export function encodeFileControl(c: FileControl): Uint8Array {
  const w = new Writer(12)
    .u8(FILE_CONTROL)
    .u8(c.byReceiver ? 1 : 0)
    .u8(c.number)
    .u8(CODES.indexOf(c.code));
  if (c.code === 'seek') w.u64(BigInt(c.position ?? 0));
  return w.finish();
}

/** Bytes after a code that has no argument are ignored, as c-toxcore does. */
export function decodeFileControl(data: Uint8Array): FileControl | undefined {
  const r = new Reader(data);
  r.kind(FILE_CONTROL);
  const byReceiver = r.u8() === 1;
  const number = r.u8();
  const code = CODES[r.u8()];
  if (r.failure || !code) return undefined;
  if (code !== 'seek') return { byReceiver, number, code };
  const position = r.u64();
  if (position > BigInt(Number.MAX_SAFE_INTEGER)) r.fail('bad-value');
  return r.done() ? { byReceiver, number, code, position: Number(position) } : undefined;
}

/** id, number(1), data(0..1371): no offset, order is implied. `out` has room for a packet; returns what was used. */
export function encodeFileDataInto(out: Uint8Array, number: number, head: Uint8Array, tail: Uint8Array): Uint8Array {
  out[0] = FILE_DATA;
  out[1] = number;
  out.set(head, 2);
  out.set(tail, 2 + head.length);
  return out.subarray(0, 2 + head.length + tail.length);
}

/** One id and one byte, or an id alone. */
export function encodeSmall(id: number, value?: number): Uint8Array {
  return value === undefined ? Uint8Array.of(id) : Uint8Array.of(id, value);
}

/** An id and a body. */
export function encodeBody(id: number, body: Uint8Array): Uint8Array {
  const out = new Uint8Array(1 + body.length);
  out[0] = id;
  out.set(body, 1);
  return out;
}
