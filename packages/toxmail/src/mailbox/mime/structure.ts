import { type HeaderField, parseHeader } from '../../message/header.ts';
import { type Parameterized, parameter, parseParameterized } from './content-type.ts';

/**
 * The parts of a mail with their places (RFC 2045, RFC 2046), found in one pass over its bytes. Each place is given in
 * the file and as octets on the wire, where every line ends in CRLF.
 */
export interface Part {
  readonly header: readonly HeaderField[];
  readonly type: string;
  readonly subtype: string;
  readonly contentType: Parameterized;
  /** Lower case, empty if none is given. */
  readonly encoding: string;
  /** Parts of a multipart; the mail in a message/rfc822. */
  readonly parts: Part[];
  readonly file: Place;
  readonly wire: Place;
  /** Line ends in the content. */
  lines: number;
}

/** Offsets: where the part's header begins, its content, and its end (that is the next byte after it). */
export interface Place {
  readonly start: number;
  body: number;
  end: number;
}

/** Hostile mails nest and repeat: what is beyond is one opaque part. */
const DEPTH_MAX = 32;
const PARTS_MAX = 1_000;
/** Of one part's header, what is looked at; and of all headers of a mail, bytes and lines. */
const HEADER_MAX = 256 * 1024;
const HEADERS_MAX = 8 * 1024 * 1024;
const HEADER_LINES_MAX = 50_000;
/** RFC 2046 §5.1.1 allows 70. */
const BOUNDARY_MAX = 250;

const CR = 0x0d;
const LF = 0x0a;
const DASH = 0x2d;

/** Bytes in, in any pieces; the tree out. */
export class StructureParser {
  /** The multiparts and messages that are open, outermost first; the last entry is where we are. */
  readonly #stack: Open[] = [];
  /** An unfinished line: as a header may be so long, or as much as a boundary needs. */
  #held: Buffer = Buffer.alloc(0);
  /** Bytes of the unfinished line that are not held. */
  #skipped = 0;
  #file = 0;
  #wire = 0;
  #lines = 0;
  /** Line end before the current line: 0 at the start, else 1 or 2 bytes. */
  #eol = 0;
  #lastByte = 0;
  #count = 0;
  #headerBytes = 0;
  #headerLines = 0;
  readonly #root: Open;

  constructor() {
    this.#root = this.#open('text/plain');
  }

  push(chunk: Buffer): void {
    let from = 0;
    for (;;) {
      const lf = chunk.indexOf(LF, from);
      if (lf < 0) break;
      const length = lf + 1 - from;
      if (this.#held.length + this.#skipped > 0) this.#endHeldLine(chunk.subarray(from, lf + 1));
      else {
        const bare = lf === from || chunk[lf - 1] !== CR;
        this.#line(chunk, from, lf + 1, length, bare);
      }
      from = lf + 1;
    }
    if (from < chunk.length) this.#hold(chunk.subarray(from));
    // The caller may fill the chunk anew.
    for (const piece of this.#stack.at(-1)!.headerPieces) if (piece.bytes === chunk) copied(piece);
  }

  end(): Part {
    const left = this.#held.length + this.#skipped;
    if (left > 0) this.#line(this.#held, 0, this.#held.length, left, undefined);
    this.#closeTo(0, 0);
    return this.#finish(this.#root);
  }

  #hold(piece: Buffer): void {
    const inHeader = this.#stack.at(-1)!.inHeader;
    const room = (inHeader ? HEADER_MAX : BOUNDARY_MAX + 8) - this.#held.length;
    this.#held = room > 0 ? Buffer.concat([this.#held, piece.subarray(0, room)]) : this.#held;
    this.#skipped += Math.max(0, piece.length - Math.max(0, room));
    this.#lastByte = piece[piece.length - 1]!;
  }

  /** `piece` ends in LF. */
  #endHeldLine(piece: Buffer): void {
    const before = piece.length > 1 ? piece[piece.length - 2] : this.#lastByte;
    this.#hold(piece);
    const line = this.#held;
    const length = line.length + this.#skipped;
    this.#held = Buffer.alloc(0);
    this.#skipped = 0;
    this.#line(line, 0, line.length, length, before !== CR);
  }

  /** A line in `bytes[from, to)`, `length` bytes in the file; `bare`: ends in LF alone; undefined: does not end. */
  #line(bytes: Buffer, from: number, to: number, length: number, bare: boolean | undefined): void {
    const boundary = bytes[from] === DASH && bytes[from + 1] === DASH ? this.#boundary(bytes, from, to) : undefined;
    if (boundary) this.#delimiter(boundary.level, boundary.last, length, bare);
    else {
      const here = this.#stack.at(-1)!;
      if (here.inHeader) this.#headerLine(here, bytes, from, to, length, bare);
      else this.#advance(length, bare);
    }
  }

  #advance(length: number, bare: boolean | undefined): void {
    this.#file += length;
    this.#wire += length + (bare ? 1 : 0);
    if (bare !== undefined) this.#lines++;
    this.#eol = bare === undefined ? 0 : bare ? 1 : 2;
  }

  #headerLine(here: Open, bytes: Buffer, from: number, to: number, length: number, bare: boolean | undefined): void {
    const empty = bare !== undefined && length === (bare ? 1 : 2);
    this.#advance(length, bare);
    if (!empty) {
      const size = to - from;
      if (here.headerSize < HEADER_MAX && this.#headerBytes < HEADERS_MAX && this.#headerLines < HEADER_LINES_MAX) {
        const last = here.headerPieces.at(-1);
        if (last?.bytes === bytes && last.to === from) last.to = to;
        else here.headerPieces.push({ bytes, from, to });
        this.#headerBytes += size;
        this.#headerLines++;
      }
      here.headerSize += size;
      return;
    }
    this.#endHeader(here);
  }

  #endHeader(here: Open): void {
    here.inHeader = false;
    here.file.body = this.#file;
    here.wire.body = this.#wire;
    here.linesBefore = this.#lines;
    const pieces = here.headerPieces.map(({ bytes, from, to }) => bytes.subarray(from, to));
    here.header = parseHeader(pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces));
    here.headerPieces = [];
    const given = here.header.find(({ name }) => name.toLowerCase() === 'content-type')?.value;
    here.contentType = parseParameterized(given ?? here.defaultType);
    const match = /^([^/]+)\/([^/]+)$/.exec(here.contentType.value);
    if (!match) here.contentType = parseParameterized('text/plain');
    here.type = match?.[1] ?? 'text';
    here.subtype = match?.[2] ?? 'plain';
    here.encoding =
      here.header
        .find(({ name }) => name.toLowerCase() === 'content-transfer-encoding')
        ?.value.slice(0, 200)
        .replace(/\([^)]*\)/g, '')
        .trim()
        .toLowerCase() ?? '';
    const boundary = parameter(here.contentType, 'boundary');
    const deep = this.#stack.length >= DEPTH_MAX;
    if (isMultipart(here) && boundary !== undefined && boundary !== '' && boundary.length <= BOUNDARY_MAX && !deep) {
      here.boundary = Buffer.from(boundary, 'latin1');
    } else if (isMessage(here)) {
      // RFC 2046 §5.2.1: never encoded. One that is cannot be looked into.
      if (!deep && PLAIN.has(here.encoding)) here.children.push(this.#open('text/plain'));
      else opaque(here);
    } else if (isMultipart(here)) opaque(here);
  }

  /** The innermost open multipart whose delimiter this line is. */
  #boundary(bytes: Buffer, from: number, to: number): { level: number; last: boolean } | undefined {
    for (let level = this.#stack.length - 1; level >= 0; level--) {
      const boundary = this.#stack[level]!.boundary;
      if (!boundary || to - from < boundary.length + 2) continue;
      const end = from + 2 + boundary.length;
      if (bytes.compare(boundary, 0, boundary.length, from + 2, end) !== 0) continue;
      const rest = bytes.toString('latin1', end, Math.min(to, end + 80));
      if (/^(?:--)?[ \t]*\r?\n?$/.test(rest)) return { level, last: rest.startsWith('--') };
    }
    return undefined;
  }

  #delimiter(level: number, last: boolean, length: number, bare: boolean | undefined): void {
    this.#closeTo(level + 1, this.#eol);
    this.#advance(length, bare);
    const multipart = this.#stack[level]!;
    if (last)
      multipart.boundary = undefined; // what follows is its epilogue
    else if (this.#count < PARTS_MAX) {
      const digest = multipart.subtype.toLowerCase() === 'digest';
      multipart.children.push(this.#open(digest ? 'message/rfc822' : 'text/plain'));
    }
  }

  /**
   * Ends all that is open from this level on, `eol` bytes before here: they belong to the delimiter. A header that ends
   * so may open a message, which is the next to end.
   */
  #closeTo(level: number, eol: number): void {
    while (this.#stack.length > level) {
      const here = this.#stack.pop()!;
      if (here.inHeader) this.#endHeader(here);
      // A mail within whose header has no end keeps the line end of its last field.
      const inner = here.children.at(-1);
      here.file.end = Math.max(here.file.body, this.#file - eol, inner?.file.end ?? 0);
      here.wire.end = Math.max(here.wire.body, this.#wire - (eol > 0 ? 2 : 0), inner?.wire.end ?? 0);
      const cut = eol > 0 && here.file.end < this.#file ? 1 : 0;
      here.lines = Math.max(0, this.#lines - here.linesBefore - cut);
      // A message whose header ended only now opened its mail just now.
      while (this.#stack.length > level && this.#stack.at(-1)!.file.start > here.file.start)
        this.#closeTo(this.#stack.length - 1, eol);
    }
  }

  #open(defaultType: string): Open {
    this.#count++;
    const open: Open = {
      inHeader: true,
      headerPieces: [],
      headerSize: 0,
      header: [],
      defaultType,
      contentType: parseParameterized(defaultType),
      type: 'text',
      subtype: 'plain',
      encoding: '',
      boundary: undefined,
      file: { start: this.#file, body: this.#file, end: this.#file },
      wire: { start: this.#wire, body: this.#wire, end: this.#wire },
      linesBefore: this.#lines,
      lines: 0,
      children: [],
    };
    this.#stack.push(open);
    return open;
  }

  #finish(open: Open): Part {
    const { header, contentType, type, subtype, encoding, file, wire, lines } = open;
    const parts = open.children.map((child) => this.#finish(child));
    return { header, contentType, type, subtype, encoding, file, wire, lines, parts };
  }
}

export function isMultipart({ type }: { type: string }): boolean {
  return type.toLowerCase() === 'multipart';
}

/** RFC 2046 §5.2.1, RFC 6532 §3.7. */
export function isMessage({ type, subtype }: { type: string; subtype: string }): boolean {
  return type.toLowerCase() === 'message' && ['rfc822', 'global'].includes(subtype.toLowerCase());
}

const PLAIN = new Set(['', '7bit', '8bit', 'binary']);

interface Open {
  inHeader: boolean;
  headerPieces: Piece[];
  headerSize: number;
  header: HeaderField[];
  readonly defaultType: string;
  contentType: Parameterized;
  type: string;
  subtype: string;
  encoding: string;
  boundary: Buffer | undefined;
  readonly file: Place;
  readonly wire: Place;
  linesBefore: number;
  lines: number;
  readonly children: Open[];
}

/** Lines that follow each other. */
interface Piece {
  bytes: Buffer;
  from: number;
  to: number;
}

function copied(piece: Piece): void {
  piece.bytes = Buffer.from(piece.bytes.subarray(piece.from, piece.to));
  piece.to -= piece.from;
  piece.from = 0;
}

/** A container that we do not look into is shown as what any program can show. */
function opaque(here: Open): void {
  here.type = 'application';
  here.subtype = 'octet-stream';
  here.contentType = { value: 'application/octet-stream', parameters: [] };
}
