import { join } from 'node:path';
import { writeDurably } from '../base/durable.ts';
import type { FileSystem } from '../base/files.ts';
import type { Maildir } from '../maildir/maildir.ts';
import { Turns } from './turns.ts';
import { FLAG, type FlagBits } from './types.ts';

/**
 * Flags as letters of a Maildir file name and as bits. Keywords are the letters a to z; which is which stands in the
 * folder's `dovecot-keywords`, lines of `NUMBER KEYWORD`, the file that other programs know, too.
 */
const FILE = 'dovecot-keywords';
const KEYWORDS_MAX = 26;
/** Of one keyword, and of the file: both may be another program's. */
const LENGTH_MAX = 255;
const FILE_MAX = 64 * 1024;

/** The Maildir letter P, passed, is the keyword of RFC 5788. */
const FORWARDED = { bit: 32, name: '$Forwarded' };
const FIRST_KEYWORD_BIT = 64;

const LETTERS: readonly (readonly [letter: string, bit: FlagBits])[] = [
  ['D', FLAG.draft],
  ['F', FLAG.flagged],
  ['P', FORWARDED.bit],
  ['R', FLAG.answered],
  ['S', FLAG.seen],
  ['T', FLAG.deleted],
];
const NAMES: readonly (readonly [name: string, bit: FlagBits])[] = [
  ['\\Seen', FLAG.seen],
  ['\\Answered', FLAG.answered],
  ['\\Flagged', FLAG.flagged],
  ['\\Deleted', FLAG.deleted],
  ['\\Draft', FLAG.draft],
  [FORWARDED.name, FORWARDED.bit],
];
const BIT_OF_LETTER = new Map<string, FlagBits>(LETTERS);

/** Letters of a file name to bits; what we do not know is left out. */
export function bitsOf(letters: string): FlagBits {
  let bits = 0;
  for (const letter of letters) {
    const code = letter.charCodeAt(0) - 97;
    if (code >= 0 && code < KEYWORDS_MAX) bits |= FIRST_KEYWORD_BIT << code;
    else bits |= BIT_OF_LETTER.get(letter) ?? 0;
  }
  return bits >>> 0;
}

/** In ASCII order, as the convention wants it. */
export function lettersOf(bits: FlagBits): string {
  let letters = '';
  for (const [letter, bit] of LETTERS) if (bits & bit) letters += letter;
  for (let n = 0; n < KEYWORDS_MAX; n++) if (bits & (FIRST_KEYWORD_BIT << n)) letters += String.fromCharCode(97 + n);
  return letters;
}

export class Keywords {
  readonly #files: FileSystem;
  readonly #home: Pick<Maildir, 'path'>;
  /** By letter; BOUNDED: 26. */
  #names: (string | undefined)[] = [];
  #mtimeMs = 0;
  /** Mails that come from several folders at once bring keywords at once. */
  readonly #turns = new Turns();
  /** BOUNDED: cleared when it has KNOWN_MAX sets of flags. */
  readonly #known = new Map<FlagBits, readonly string[]>();

  constructor(files: FileSystem, home: Pick<Maildir, 'path'>) {
    this.#files = files;
    this.#home = home;
  }

  get #path(): string {
    return join(this.#home.path, FILE);
  }

  /** Reads the file again if another program has changed it. */
  refresh(): Promise<void> {
    return this.#turns.take(() => this.#refresh());
  }

  async #refresh(): Promise<void> {
    const stat = await this.#files.stat(this.#path);
    if (!stat || stat.mtimeMs === this.#mtimeMs) return;
    this.#mtimeMs = stat.mtimeMs;
    const bytes = new Uint8Array(Math.min(stat.size, FILE_MAX));
    const file = await this.#files.open(this.#path, 'read');
    try {
      await file.read(bytes, 0);
    } finally {
      await file.close();
    }
    this.#names = [];
    this.#known.clear();
    for (const line of Buffer.from(bytes).toString('utf8').split('\n')) {
      const match = /^(\d{1,2}) (\S+)$/.exec(line);
      const n = Number(match?.[1]);
      if (match?.[2] && n < KEYWORDS_MAX && isKeyword(match[2])) this.#names[n] = match[2];
    }
  }

  get names(): readonly string[] {
    return [FORWARDED.name, ...this.#names.filter((name) => name !== undefined)];
  }

  get full(): boolean {
    return this.#free() < 0;
  }

  bit(name: string): FlagBits | undefined {
    const lower = name.toLowerCase();
    for (const [known, bit] of NAMES) if (known.toLowerCase() === lower) return bit;
    const n = this.#names.findIndex((known) => known?.toLowerCase() === lower);
    return n < 0 ? undefined : (FIRST_KEYWORD_BIT << n) >>> 0;
  }

  flagNames(bits: FlagBits): readonly string[] {
    let names = this.#known.get(bits);
    if (!names) {
      names = [...NAMES.filter(([, bit]) => bits & bit).map(([name]) => name), ...this.#keywordsIn(bits)];
      if (this.#known.size >= KNOWN_MAX) this.#known.clear();
      this.#known.set(bits, names);
    }
    return names;
  }

  /**
   * Bits for these names; makes keywords that are not there yet, in place of those that `used` (bits of all mails) does
   * not have if it must. Undefined if there is no room. On the disk when it resolves.
   */
  bitsFor(names: readonly string[], used: () => FlagBits): Promise<FlagBits | undefined> {
    return this.#turns.take(() => this.#bitsFor(names, used));
  }

  async #bitsFor(names: readonly string[], used: () => FlagBits): Promise<FlagBits | undefined> {
    await this.#refresh();
    const fresh = names.filter((name) => this.bit(name) === undefined && isKeyword(name));
    if (fresh.length > 0) {
      const before = [...this.#names];
      if (this.full) this.#names = this.#names.map((name, n) => (used() & (FIRST_KEYWORD_BIT << n) ? name : undefined));
      for (const name of fresh) {
        if (this.bit(name) !== undefined) continue; // the same twice
        const n = this.#free();
        if (n < 0) {
          this.#names = before;
          return undefined;
        }
        this.#names[n] = name;
      }
      this.#known.clear();
      try {
        await this.#save();
      } catch (error) {
        this.#names = before;
        this.#known.clear();
        throw error;
      }
    }
    let bits = 0;
    for (const name of names) bits |= this.bit(name) ?? 0;
    return bits >>> 0;
  }

  async #save(): Promise<void> {
    const lines = this.#names.map((name, n) => (name === undefined ? '' : `${n} ${name}\n`));
    await writeDurably(this.#files, this.#path, Buffer.from(lines.join('')));
    this.#mtimeMs = (await this.#files.stat(this.#path))?.mtimeMs ?? 0;
  }

  #free(): number {
    for (let n = 0; n < KEYWORDS_MAX; n++) if (this.#names[n] === undefined) return n;
    return -1;
  }

  *#keywordsIn(bits: FlagBits): Generator<string> {
    for (let n = 0; n < KEYWORDS_MAX; n++) {
      // A letter that no file explains is shown as what it is.
      if (bits & (FIRST_KEYWORD_BIT << n)) yield this.#names[n] ?? `unknown-${String.fromCharCode(97 + n)}`;
    }
  }
}

const KNOWN_MAX = 1_000;

/** RFC 9051 `flag-keyword`: an atom. */
function isKeyword(name: string): boolean {
  return name.length <= LENGTH_MAX && /^[!#$&'+-Z[^-z|}~]+$/.test(name);
}
