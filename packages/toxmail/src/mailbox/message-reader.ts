import type { OpenFile } from '../base/files.ts';
import { formatHeader, parseHeader } from '../message/header.ts';
import type { PartPlaces } from './mime/parse-mail.ts';
import { transferDecoder } from './mime/transfer-encoding.ts';
import type { MessageReader, Section } from './types.ts';

const BLOCK = 64 * 1024;
/** Octets of a mail that is read at once. */
const SMALL = BLOCK / 2;
/** Of a header that HEADER.FIELDS looks at. */
const HEADER_MAX = 1024 * 1024;
const CR = 0x0d;
const LF = 0x0a;

/** A piece of a mail's file. */
interface Range {
  readonly file: number;
  readonly fileEnd: number;
  /** Octets on the wire. */
  readonly size: number;
  /** The file may end earlier. */
  readonly unmeasured?: boolean;
}

/** Reads a mail's file as octets with CRLF line ends, by the places of its parts that the index knows. */
export class FileMessageReader implements MessageReader {
  readonly size: number;
  readonly internalDateMs: number;
  readonly #file: OpenFile;
  readonly #places: () => PartPlaces;
  #root: PartPlaces | undefined;

  /** `places`: asked if they are needed. */
  constructor(file: OpenFile, size: number, internalDateMs: number, places: () => PartPlaces) {
    this.#file = file;
    this.#places = places;
    this.size = size;
    this.internalDateMs = internalDateMs;
  }

  async section(path: readonly number[], what: 'all' | 'header' | 'text' | 'mime'): Promise<Section | undefined> {
    if (path.length === 0 && what === 'all') return this.#whole();
    const range = this.#range(path, what);
    return range && this.#section(range);
  }

  async headerFields(path: readonly number[], names: readonly string[], not: boolean): Promise<Uint8Array | undefined> {
    const range = this.#range(path, 'header');
    if (!range) return undefined;
    const bytes = new Uint8Array(Math.min(range.fileEnd - range.file, HEADER_MAX));
    const header = parseHeader(bytes.subarray(0, await this.#file.read(bytes, range.file)));
    const wanted = new Set(names.map((name) => name.toLowerCase()));
    return formatHeader(header.filter(({ name }) => wanted.has(name.toLowerCase()) !== not));
  }

  async binary(path: readonly number[]): Promise<Section | 'unknown-cte' | undefined> {
    const part = this.#part(path);
    const range = this.#range(path, 'all');
    if (!part || !range) return undefined;
    if (path.length === 0 || part[7] !== 'single' || IDENTITY.has(part[6])) return this.#section(range);
    if (!transferDecoder(part[6])) return 'unknown-cte';
    const decoded = (): AsyncIterable<Uint8Array> => this.#decoded(range, part[6]);
    let size = 0;
    for await (const piece of decoded()) size += piece.length;
    return { size, read: (from = 0, to = size) => clipped(decoded(), from, to) };
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  /**
   * RFC 9051 §6.4.5.1: a number chooses among the parts of a multipart; 1 is the one part of a mail that is none. Below a
   * message/rfc822 part are the parts of the mail in it.
   */
  #part(path: readonly number[]): PartPlaces | undefined {
    this.#root ??= this.#places();
    let part = this.#root;
    let within: PartPlaces = part;
    let isMail = true;
    for (const n of path) {
      const next: PartPlaces | undefined =
        within[7] === 'multipart' ? within[8][n - 1] : isMail && n === 1 ? within : undefined;
      if (!next) return undefined;
      part = next;
      isMail = part[7] === 'message';
      within = isMail ? part[8][0]! : part;
    }
    return part;
  }

  #range(path: readonly number[], what: 'all' | 'header' | 'text' | 'mime'): Range | undefined {
    const part = this.#part(path);
    if (!part) return undefined;
    const [start, body, end, wireStart, wireBody, wireEnd] = part;
    if (what === 'mime') {
      return path.length === 0 ? undefined : { file: start, fileEnd: body, size: wireBody - wireStart };
    }
    if (what === 'all') {
      if (path.length === 0) return { file: start, fileEnd: end, size: wireEnd - wireStart };
      return { file: body, fileEnd: end, size: wireEnd - wireBody };
    }
    const mail = path.length === 0 ? part : part[7] === 'message' ? part[8][0] : undefined;
    if (!mail) return undefined;
    return what === 'header'
      ? { file: mail[0], fileEnd: mail[1], size: mail[4] - mail[3] }
      : { file: mail[1], fileEnd: mail[2], size: mail[5] - mail[4] };
  }

  /** A small mail is read without its places: it is in memory before anybody could tell where in it to begin. */
  #whole(): Section {
    const { size } = this;
    return this.#section(size <= SMALL ? { file: 0, fileEnd: size, size, unmeasured: true } : this.#range([], 'all')!);
  }

  #section(range: Range): Section {
    const { size } = range;
    return { size, read: (from = 0, to = size) => this.#read(range, Math.max(0, from), Math.min(to, size)) };
  }

  #read(range: Range, from: number, to: number): AsyncGenerator<Uint8Array> {
    // Without lone LFs, places on the wire are places in the file.
    return range.fileEnd - range.file === range.size && !range.unmeasured
      ? this.#bytes(range.file + from, range.file + to)
      : this.#converted(range, from, to);
  }

  /** What of the range is octets from..to on the wire. */
  async *#converted({ file, fileEnd }: Range, from: number, to: number): AsyncGenerator<Uint8Array> {
    let wire = 0;
    let last = 0;
    for (let position = file; wire < to && position < fileEnd; ) {
      const block = Buffer.allocUnsafe(Math.min(BLOCK / 2, fileEnd - position));
      const read = await this.#file.read(block, position);
      if (read === 0) return; // another program cut the file
      position += read;
      const bytes = withCrlf(block.subarray(0, read), last);
      last = block[read - 1]!;
      const piece = bytes.subarray(Math.max(0, from - wire), Math.max(0, to - wire));
      wire += bytes.length;
      if (piece.length > 0) yield piece;
    }
  }

  async *#bytes(from: number, to: number): AsyncGenerator<Uint8Array> {
    for (let position = from; position < to; ) {
      const block = Buffer.allocUnsafe(Math.min(BLOCK, to - position));
      const read = await this.#file.read(block, position);
      if (read === 0) return; // another program cut the file
      yield block.subarray(0, read);
      position += read;
    }
  }

  async *#decoded(range: Range, encoding: string): AsyncGenerator<Uint8Array> {
    const decoder = transferDecoder(encoding)!;
    for await (const bytes of this.#read(range, 0, range.size)) yield decoder.push(bytes);
    yield decoder.end();
  }
}

const IDENTITY = new Set(['', '7bit', '8bit', 'binary']);

/** Of one block at most. `before`: the byte before these. */
function withCrlf(bytes: Uint8Array, before: number): Uint8Array {
  let size = 0;
  let last = before;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    if (byte === LF && last !== CR) scratch[size++] = CR;
    scratch[size++] = byte;
    last = byte;
  }
  return size === bytes.length ? bytes : Buffer.from(scratch.subarray(0, size));
}

/** In use within one call only. */
const scratch = Buffer.allocUnsafe(BLOCK);

async function* clipped(pieces: AsyncIterable<Uint8Array>, from: number, to: number): AsyncGenerator<Uint8Array> {
  let position = 0;
  for await (const piece of pieces) {
    const part = piece.subarray(Math.max(0, from - position), Math.max(0, to - position));
    position += piece.length;
    for (let at = 0; at < part.length; at += BLOCK) yield part.subarray(at, at + BLOCK);
    if (position >= to) return;
  }
}
