import type { MessageSet, NumberRange } from './sequence-set.ts';
import { STAR } from './sequence-set.ts';

const SP = 0x20;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;

/**
 * Reads the grammar of RFC 9051 §9 out of one whole command, literals included. The first failure sticks: after it
 * nothing is taken and every element is empty, so that parsers need not look at each step. They look once, at the end.
 */
export class Decoder {
  /** What was wrong first, for the client. */
  failure: string | undefined;
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  fail(reason: string): void {
    this.failure ??= `${reason} at octet ${this.#at}`;
  }

  /** The next octet; -1 at the end and after a failure. */
  peek(): number {
    return this.failure === undefined && this.#at < this.#bytes.length ? this.#bytes[this.#at]! : -1;
  }

  /** Takes `octet` if it comes next. */
  skip(octet: string): boolean {
    if (this.peek() !== octet.charCodeAt(0)) return false;
    this.#at++;
    return true;
  }

  expect(octet: string): void {
    if (!this.skip(octet)) this.fail(`"${octet}" expected`);
  }

  /** Exactly one space; a client that sends more is borne. */
  space(): void {
    if (this.peek() !== SP) this.fail('space expected');
    while (this.peek() === SP) this.#at++;
  }

  skipSpace(): boolean {
    const there = this.peek() === SP;
    if (there) this.space();
    return there;
  }

  /** Nothing may follow, but for spaces. */
  end(): void {
    while (this.peek() === SP) this.#at++;
    if (this.failure === undefined && this.#at < this.#bytes.length) this.fail('nothing more expected');
  }

  get atEnd(): boolean {
    return this.failure !== undefined || this.#at >= this.#bytes.length;
  }

  /** `1*<any ASTRING-CHAR except "+">` */
  tag(): string {
    return this.#run(IS_TAG, 'tag expected');
  }

  /** `atom = 1*ATOM-CHAR` */
  atom(): string {
    return this.#run(IS_ATOM, 'atom expected');
  }

  /** An atom in upper case: commands, keys, items. */
  keyword(): string {
    return this.atom().toUpperCase();
  }

  /** Letters, digits, dot, hyphen, equals: names of fetch items and status items, which `[` and `(` end. */
  word(): string {
    return this.#run(IS_WORD, 'keyword expected').toUpperCase();
  }

  /** Takes `text` (upper case) if it comes next, in any case. */
  skipWord(text: string): boolean {
    if (this.failure !== undefined) return false;
    const there = this.#bytes.toString('latin1', this.#at, this.#at + text.length).toUpperCase() === text;
    if (there) this.#at += text.length;
    return there;
  }

  /** `astring = 1*ASTRING-CHAR / string`, as UTF-8. */
  astring(): string {
    return this.#startsString() ? this.string() : this.#run(IS_ASTRING, 'astring expected');
  }

  /** `list-mailbox = 1*list-char / string` */
  listMailbox(): string {
    return this.#startsString() ? this.string() : this.#run(IS_LIST, 'mailbox pattern expected');
  }

  /** `string = quoted / literal`, as UTF-8. */
  string(): string {
    return this.octets().toString('utf8');
  }

  /** The same as octets. */
  octets(): Buffer {
    if (this.peek() === QUOTE) return this.#quoted();
    if (this.peek() === OPEN_BRACE || this.peek() === TILDE) return this.#literal();
    this.fail('string expected');
    return NONE;
  }

  /** `nstring = string / nil` */
  nstring(): string | undefined {
    if (this.#startsString()) return this.string();
    if (!this.skipWord('NIL')) this.fail('string or NIL expected');
    return undefined;
  }

  /** `number = 1*DIGIT`, below 2^32. */
  number(): number {
    return this.#digits(10, 0xffff_ffff);
  }

  nzNumber(): number {
    const value = this.number();
    if (value === 0) this.fail('number above zero expected');
    return value;
  }

  /** `number64`, `mod-sequence-value`: as far as a number holds them exactly (2^53). */
  number64(): number {
    return this.#digits(19, Number.MAX_SAFE_INTEGER);
  }

  /** `"(" [element *(SP element)] ")"`; `element` takes one. */
  list(element: () => void): void {
    this.expect('(');
    if (this.skip(')')) return;
    do element();
    while (this.skipSpace());
    this.expect(')');
  }

  /** `sequence-set = (seq-number / seq-range) ["," sequence-set] / "$"` */
  messageSet(): MessageSet {
    if (this.skip('$')) return 'saved';
    const ranges: NumberRange[] = [];
    do {
      const from = this.#setNumber();
      ranges.push([from, this.skip(':') ? this.#setNumber() : from]);
    } while (this.skip(','));
    return ranges;
  }

  /** The announcement of a literal whose octets are not here: the end of an APPEND so far. */
  skipLiteralStart(): { binary: boolean } | undefined {
    if (this.failure !== undefined) return undefined;
    const match = /^(~?)\{\d{1,15}[+-]?\}$/.exec(this.#bytes.toString('latin1', this.#at));
    if (!match) return undefined;
    this.#at = this.#bytes.length;
    return { binary: match[1] !== '' };
  }

  #setNumber(): number {
    return this.skip('*') ? STAR : this.nzNumber();
  }

  #startsString(): boolean {
    const next = this.peek();
    return next === QUOTE || next === OPEN_BRACE || next === TILDE;
  }

  #run(allowed: Uint8Array, reason: string): string {
    const start = this.#at;
    while (allowed[this.peek()] === 1) this.#at++;
    if (this.#at === start) this.fail(reason);
    return this.failure === undefined ? this.#bytes.toString('utf8', start, this.#at) : '';
  }

  #digits(most: number, max: number): number {
    const start = this.#at;
    while (this.peek() >= 0x30 && this.peek() <= 0x39 && this.#at - start <= most) this.#at++;
    const value = Number(this.#bytes.toString('latin1', start, this.#at));
    if (this.#at === start || value > max) this.fail('number expected');
    return this.failure === undefined ? value : 0;
  }

  /** `quoted = DQUOTE *QUOTED-CHAR DQUOTE`; `\` before `"` and `\` only. */
  #quoted(): Buffer {
    this.expect('"');
    const start = this.#at;
    let escaped = false;
    for (; this.#at < this.#bytes.length; this.#at++) {
      const octet = this.#bytes[this.#at]!;
      if (octet === QUOTE) break;
      if (octet === 0 || octet === 0x0d || octet === 0x0a) break;
      if (octet !== BACKSLASH) continue;
      escaped = true;
      const next = this.#bytes[++this.#at];
      if (next !== QUOTE && next !== BACKSLASH) this.fail('bad escape');
    }
    const inside = this.#bytes.subarray(start, Math.min(this.#at, this.#bytes.length));
    this.expect('"');
    if (this.failure !== undefined) return NONE;
    return escaped ? Buffer.from(inside.toString('latin1').replace(/\\(["\\])/g, '$1'), 'latin1') : inside;
  }

  #literal(): Buffer {
    const binary = this.skip('~');
    this.expect('{');
    const size = this.number64();
    if (!this.skip('+')) this.skip('-');
    for (const octet of '}\r\n') this.expect(octet);
    if (this.failure === undefined && this.#bytes.length - this.#at < size) this.fail('literal is cut');
    if (this.failure !== undefined) return NONE;
    const octets = this.#bytes.subarray(this.#at, this.#at + size);
    this.#at += size;
    if (!binary && octets.includes(0)) this.fail('NUL in a literal');
    return octets;
  }
}

const NONE = Buffer.alloc(0);
const TILDE = 0x7e;

/** 1 for each octet of `allowed`; -1 (the end) is no index. */
function octetSet(allowed: (octet: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, octet) => (allowed(octet) ? 1 : 0));
}

/** `atom-specials = "(" / ")" / "{" / SP / CTL / list-wildcards / quoted-specials / resp-specials`; UTF-8 is borne. */
const isAtomChar = (octet: number): boolean =>
  octet > 0x20 && octet !== 0x7f && !'(){%*"\\]'.includes(String.fromCharCode(octet));
const IS_ATOM = octetSet(isAtomChar);
const IS_ASTRING = octetSet((octet) => isAtomChar(octet) || octet === 0x5d);
const IS_LIST = octetSet((octet) => isAtomChar(octet) || ']%*'.includes(String.fromCharCode(octet)));
const IS_TAG = octetSet((octet) => octet < 0x80 && octet !== 0x2b && (isAtomChar(octet) || octet === 0x5d));
const IS_WORD = octetSet((octet) => /[A-Za-z0-9.=-]/.test(String.fromCharCode(octet)));
