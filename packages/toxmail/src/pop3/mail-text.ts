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
  /** Length of the current line so far, CR not counted. */
  #line = 0;
  #left: number;
  #done: boolean;

  constructor(headLines = Number.POSITIVE_INFINITY) {
    this.#left = headLines;
    this.#done = false;
  }

  /** True when a TOP has all its lines: no more chunks are needed. */
  get done(): boolean {
    return this.#done;
  }

  push(chunk: Uint8Array): Uint8Array {
    const out = Buffer.allocUnsafe(chunk.length * 2); // each byte grows to at most two
    let size = 0;
    for (let i = 0; i < chunk.length && !this.#done; i++) {
      const byte = chunk[i]!;
      if (byte === LF) {
        if (this.#previous !== CR) out[size++] = CR;
        out[size++] = LF;
        this.#endOfLine();
      } else {
        if (byte === DOT && this.#previous === LF) out[size++] = DOT;
        out[size++] = byte;
        if (byte !== CR) this.#line++;
      }
      this.#previous = byte;
    }
    return out.subarray(0, size);
  }

  /** What is missing to the end of the last line. */
  end(): Uint8Array {
    return this.#previous === LF ? new Uint8Array(0) : Uint8Array.of(CR, LF);
  }

  #endOfLine(): void {
    if (this.#inHeader) {
      if (this.#line === 0) {
        this.#inHeader = false;
        this.#done = this.#left === 0;
      }
    } else if (--this.#left === 0) this.#done = true;
    this.#line = 0;
  }
}
