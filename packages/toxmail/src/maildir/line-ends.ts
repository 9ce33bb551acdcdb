const CR = 0x0d;
const LF = 0x0a;

/**
 * Counts what a mail, given in chunks, measures when every line ends in CRLF: a lone LF counts as two, and an
 * unfinished last line gets its end. A lone CR is an ordinary byte.
 */
export class WireSize {
  #bytes = 0;
  #previous = LF;

  add(chunk: Uint8Array): void {
    this.#bytes += chunk.length;
    for (let at = chunk.indexOf(LF); at >= 0; at = chunk.indexOf(LF, at + 1)) {
      const before = at > 0 ? chunk[at - 1] : this.#previous;
      if (before !== CR) this.#bytes++;
    }
    if (chunk.length > 0) this.#previous = chunk[chunk.length - 1]!;
  }

  get total(): number {
    return this.#previous === LF ? this.#bytes : this.#bytes + 2;
  }
}
