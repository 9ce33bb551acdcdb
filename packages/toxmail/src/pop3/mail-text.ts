const CR = 0x0d;
const LF = 0x0a;
const DOT = 0x2e;

/**
 * Turns the chunks of a mail's file into what goes over the wire (RFC 1939 §3): CRLF at every line end, a dot doubled
 * at the start of a line, and the last line finished. `headLines` as for TOP (§7): the header, the empty line and so
 * many lines of the body.
 */
export class MailText {
  #previous = LF;
  #inHeader = true;
  /** Length of the current line so far. */
  #line = 0;
  #left: number;
  #done = false;

  constructor(headLines = Number.POSITIVE_INFINITY) {
    this.#left = headLines;
  }

  /** True when a TOP has all its lines: no more chunks are needed. */
  get done(): boolean {
    return this.#done;
  }

  push(chunk: Uint8Array): Uint8Array {
    const out = Buffer.allocUnsafe(chunk.length * 2); // each byte grows to at most two
    let size = 0;
    for (let start = 0; start < chunk.length && !this.#done; ) {
      const lf = chunk.indexOf(LF, start);
      const end = lf < 0 ? chunk.length : lf;
      if (end > start) {
        if (chunk[start] === DOT && this.#previous === LF) out[size++] = DOT;
        out.set(chunk.subarray(start, end), size);
        size += end - start;
        this.#line += end - start;
        this.#previous = chunk[end - 1]!;
      }
      if (lf < 0) break;
      if (this.#previous !== CR) out[size++] = CR;
      out[size++] = LF;
      this.#endOfLine();
      start = lf + 1;
    }
    return out.subarray(0, size);
  }

  /** What is missing to the end of the last line. */
  end(): Uint8Array {
    return this.#previous === LF ? new Uint8Array(0) : Uint8Array.of(CR, LF);
  }

  #endOfLine(): void {
    const empty = this.#line === 0 || (this.#line === 1 && this.#previous === CR);
    if (!this.#inHeader) this.#left--;
    else if (empty) this.#inHeader = false;
    this.#done = !this.#inHeader && this.#left === 0;
    this.#line = 0;
    this.#previous = LF;
  }
}
