import { PIECE } from '../limits.ts';

/**
 * What goes to the client, gathered until it is worth a write. Texts are kept as texts and become bytes at the end: a
 * hundred thousand short lines cost one conversion for each 64 KiB.
 */
export class Encoder {
  #text = '';
  #parts: Uint8Array[] = [];
  #size = 0;

  /** True when the user should hand it on before it adds more. */
  get full(): boolean {
    return this.#size + this.#text.length >= PIECE;
  }

  get empty(): boolean {
    return this.#size === 0 && this.#text === '';
  }

  /** As it is, in UTF-8. */
  text(text: string): void {
    this.#text += text;
  }

  line(text: string): void {
    this.#text += `${text}\r\n`;
  }

  /** As they are. They must not change until `take`. */
  bytes(bytes: Uint8Array): void {
    this.#endText();
    this.#parts.push(bytes);
    this.#size += bytes.length;
  }

  /** All that was added; the encoder is empty then. */
  take(): Buffer {
    this.#endText();
    const [first] = this.#parts;
    const all =
      this.#parts.length === 1
        ? Buffer.from(first!.buffer, first!.byteOffset, first!.length)
        : Buffer.concat(this.#parts);
    this.#parts = [];
    this.#size = 0;
    return all;
  }

  #endText(): void {
    if (this.#text === '') return;
    const bytes = Buffer.from(this.#text);
    this.#text = '';
    this.#parts.push(bytes);
    this.#size += bytes.length;
  }
}

/** `string`: quoted if it is short and plain, else a literal. Beyond ASCII only where `utf8` was enabled (RFC 6855). */
export function quoted(text: string, utf8 = false): string {
  if (isQuotable(text, utf8)) return `"${text.replace(/["\\]/g, '\\$&')}"`;
  const plain = text.replaceAll('\0', ''); // no literal holds it
  return `{${Buffer.byteLength(plain)}}\r\n${plain}`;
}

/** `astring`: an atom if it can be one. */
export function astring(text: string, utf8 = false): string {
  return /^[A-Za-z0-9!#$&'+,\-./:;<=>?@^_`|~]+$/.test(text) && text.toUpperCase() !== 'NIL' ? text : quoted(text, utf8);
}

/** `nstring` */
export function nstring(text: string | undefined, utf8 = false): string {
  return text === undefined ? 'NIL' : quoted(text, utf8);
}

/** In the text of a response: one line of printable ASCII. */
export function respText(text: string): string {
  return text.replace(/[^\x20-\x7e]+/g, '?').slice(0, 400);
}

function isQuotable(text: string, utf8: boolean): boolean {
  return text.length <= QUOTED_MAX && !(utf8 ? NOT_UTF8_QUOTED : NOT_QUOTED).test(text);
}

/** Octets of a quoted string that any client's line buffer takes. */
const QUOTED_MAX = 1_000;
/** `quoted` holds TEXT-CHAR: no NUL, CR, LF; other controls go as literals too. RFC 6855 adds UTF-8. */
const NOT_QUOTED = /[^ -~\t]/;
const NOT_UTF8_QUOTED = /[^ -~\t\u0080-\u{10ffff}]/u;
