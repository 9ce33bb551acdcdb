const LF = 0x0a;
const CR = 0x0d;

/**
 * Cuts the header section off a mail that comes in chunks. The section ends at the first empty line, which belongs to
 * neither part, or before the first line that cannot belong to a header (RFC 5322 §2.2: a field name is printable ASCII
 * up to a colon). Never holds more than `limit` bytes and one chunk.
 */
export class HeaderCutter {
  readonly #limit: number;
  #held: Buffer = Buffer.alloc(0);
  /** Start of the first line that was not looked at yet. */
  #line = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Undefined: more is needed. `too-long`: give up. */
  push(chunk: Uint8Array): CutMail | 'too-long' | undefined {
    this.#held = this.#held.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#held, chunk]);
    const cut = this.#scan();
    if (cut ? cut.header.length > this.#limit : this.#held.length > this.#limit) return 'too-long';
    return cut;
  }

  /** The mail ended without an empty line. */
  end(): CutMail {
    const last = this.#held.subarray(this.#line);
    const at = last.length === 0 || isHeaderLine(last, this.#line === 0) ? this.#held.length : this.#line;
    return { header: this.#held.subarray(0, at), body: this.#held.subarray(at) };
  }

  #scan(): CutMail | undefined {
    for (;;) {
      const end = this.#held.indexOf(LF, this.#line);
      if (end < 0) return undefined;
      const line = this.#held.subarray(this.#line, end > this.#line && this.#held[end - 1] === CR ? end - 1 : end);
      const header = this.#held.subarray(0, this.#line);
      if (line.length === 0) return { header, body: this.#held.subarray(end + 1) };
      if (!isHeaderLine(line, this.#line === 0)) return { header, body: this.#held.subarray(this.#line) };
      this.#line = end + 1;
    }
  }
}

export interface CutMail {
  /** Whole lines, without the empty one. */
  readonly header: Uint8Array;
  /** What came of the body so far. */
  readonly body: Uint8Array;
}

function isHeaderLine(line: Uint8Array, first: boolean): boolean {
  if (line[0] === 0x20 || line[0] === 0x09) return !first;
  const colon = line.indexOf(0x3a);
  if (colon < 1) return false;
  for (const byte of line.subarray(0, colon)) {
    // Some programs put blanks before the colon (RFC 5322 §4.5.3 tells us to bear it).
    if ((byte < 0x21 || byte > 0x7e) && byte !== 0x20 && byte !== 0x09) return false;
  }
  return true;
}
