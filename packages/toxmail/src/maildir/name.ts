/**
 * Names of files in a Maildir: `TIME.MusecPpidQcountRrandom[Ttoken].HOST,S=size,W=size:2,FLAGS`. Only the part before
 * the info separator identifies a mail; any other program may change what follows, and may move it from new/ to cur/.
 */

/** Colons cannot be in file names on Windows; other programs use a semicolon there. */
export const INFO_SEPARATOR = process.platform === 'win32' ? ';' : ':';

export interface NameParts {
  /** Everything before the info separator: stays the same while the mail exists. */
  readonly unique: string;
  /** `S=`: bytes of the file. */
  readonly size: number | undefined;
  /** `W=`: bytes of the mail with every line end as CRLF. */
  readonly wireSize: number | undefined;
  /** Seconds since 1970 at the front of the name. */
  readonly unixSeconds: number | undefined;
  /** Letters after `:2,` in the order found: S seen, R replied, F flagged, T trashed, D draft, P passed. */
  readonly flags: string;
  /** What the deliverer gave as token (see `uniqueName`). */
  readonly token: string | undefined;
}

export interface NameSource {
  unixMs(): number;
  readonly pid: number;
  readonly host: string;
  /** Counts up within this process. */
  readonly count: number;
  /** Hexadecimal, at least 64 bits. */
  readonly random: string;
}

/** `token`: hexadecimal, at most 64 digits; finds the file again after a crash. */
export function uniqueName(source: NameSource, token?: string): string {
  const ms = Math.floor(source.unixMs());
  const microseconds = String((ms % 1000) * 1000).padStart(6, '0');
  const count = String(source.count).padStart(6, '0');
  const last = token === undefined ? '' : `T${token}`;
  return `${Math.floor(ms / 1000)}.M${microseconds}P${source.pid}Q${count}R${source.random}${last}.${source.host}`;
}

/** Undefined for names that are no mail (hidden files, other programs' indexes start with a dot or hold a slash). */
export function parseName(name: string): NameParts | undefined {
  if (name.startsWith('.') || name === '') return undefined;
  const cut = name.indexOf(INFO_SEPARATOR);
  const unique = cut < 0 ? name : name.slice(0, cut);
  const info = cut < 0 ? '' : name.slice(cut + 1);
  return {
    unique,
    size: attribute(unique, ',S='),
    wireSize: attribute(unique, ',W='),
    unixSeconds: number(unique, 0, SECONDS_DIGITS, '.'),
    flags: info.startsWith('2,') ? info.slice(2) : '',
    token: unique.includes('T') ? TOKEN.exec(unique)?.[1] : undefined,
  };
}

/** The part of `cur/NAME` or `new/NAME` that stays. */
export function uniqueOf(path: string): string {
  const end = path.indexOf(INFO_SEPARATOR, 4);
  return path.slice(4, end < 0 ? undefined : end);
}

/** A host name as part of a file name: the three signs with a meaning are written in octal, as the Maildir page says. */
export function hostPart(host: string): string {
  const safe = host.replace(/[/:,;]/g, (sign) => `\\${sign.charCodeAt(0).toString(8).padStart(3, '0')}`);
  return safe === '' ? 'localhost' : safe.slice(0, 64);
}

const SECONDS_DIGITS = 11;
const SIZE_DIGITS = 15;
/** If the name is one of ours. */
const TOKEN = /^\d{1,11}\.M\d+P\d+Q\d+R[0-9a-f]+T([0-9a-f]{1,64})\./;

function attribute(unique: string, start: string): number | undefined {
  const at = unique.indexOf(start);
  return at < 0 ? undefined : number(unique, at + start.length, SIZE_DIGITS, ',');
}

/** Of at most so many digits, before this sign; before a comma is also at the end. By hand: folders have many names. */
function number(text: string, from: number, digitsMax: number, before: '.' | ','): number | undefined {
  let value = 0;
  let at = from;
  for (; at < text.length; at++) {
    const digit = text.charCodeAt(at) - 48;
    if (digit < 0 || digit > 9) break;
    value = value * 10 + digit;
  }
  const ends = at === text.length ? before === ',' : text[at] === before;
  return ends && at > from && at - from <= digitsMax ? value : undefined;
}
