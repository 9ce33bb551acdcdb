import { type HeaderField, sameName } from '../../message/header.ts';
import { decodeCharset, decodeWords, headerText } from './charset.ts';
import { type Parameterized, parameter, parseParameterized } from './content-type.ts';
import { htmlText } from './html-text.ts';
import { isMessage, type Part } from './structure.ts';
import { decodeTransfer } from './transfer-encoding.ts';

/** What people read of a mail, for search and preview. */

/** Of one mail, characters of text that search sees. */
export const TEXT_MAX = 1024 * 1024;
/** Bytes read of one part for that. */
export const PART_MAX = 2 * TEXT_MAX;

/**
 * One form for a text and for what is searched in it: without accents, case, and differences of white space; full and
 * half width alike (NFKD). Marks that make another letter (Indic vowels, kana sounds) stay.
 */
export function folded(text: string): string {
  if (isAscii(text)) return singleBlanks(text.toLowerCase());
  return singleBlanks(
    text
      .normalize('NFKD')
      .replace(/[\u0300-\u036f]+/g, '')
      .normalize('NFC')
      .toLowerCase()
      .replaceAll('ß', 'ss')
      .replaceAll('ς', 'σ')
      .replace(/[\u00ad\u200b-\u200f\u2060\ufeff]/g, ''),
  );
}

/** The texts of all parts, names of attachments and headers of attached mails. `read`: bytes of the file. */
export function bodyText(root: Part, read: (from: number, to: number) => Uint8Array): string {
  const texts: string[] = [];
  let room = TEXT_MAX;
  const add = (text: string): void => {
    if (room <= 0 || text === '') return;
    texts.push(text.slice(0, room));
    room -= text.length;
  };
  const visit = (part: Part): void => {
    if (room <= 0) return;
    const name = fileName(part);
    if (name !== undefined) add(name);
    if (part.parts.length > 0) {
      const [inner] = part.parts;
      if (isMessage(part) && inner) add(inner.header.map(({ value }) => fieldText(value)).join('\n'));
      part.parts.forEach(visit);
    } else add(partText(part, read));
  };
  visit(root);
  return texts.join('\n');
}

/** RFC 8970: the beginning of the first text. */
export function previewOf(root: Part, read: (from: number, to: number) => Uint8Array): string {
  const first = firstText(root);
  if (!first) return '';
  const text = partText(first, (from, to) => read(from, Math.min(to, from + PREVIEW_BYTES))).slice(0, PREVIEW_MAX * 4);
  const line = singleBlanks(text).trim().slice(0, PREVIEW_MAX);
  return line.isWellFormed() ? line : line.slice(0, -1);
}

/** A field as people read it, on one line. */
export function fieldText(value: string): string {
  return singleBlanks(decodeWords(value.includes('\n') ? value.replace(/\r?\n/g, '') : value)).trim();
}

/** One blank for all white space, and for NUL, at which SQLite ends a text. */
function singleBlanks(text: string): string {
  const blanks = text.replace(isAscii(text) ? ASCII_BLANK : BLANK, ' ');
  return blanks.includes('  ') ? blanks.replace(/ {2,}/g, ' ') : blanks;
}

/** White space but the blank itself; a class of few signs is quick. */
const ASCII_BLANK = /[\t-\r\0]/g;
const BLANK = /[^\S ]|\0/g;

/** Quicker than a regular expression. */
function isAscii(text: string): boolean {
  return Buffer.byteLength(text) === text.length;
}
const PREVIEW_MAX = 200;
const PREVIEW_BYTES = 16 * 1024;

function firstText(part: Part): Part | undefined {
  if (part.parts.length === 0) return part.type.toLowerCase() === 'text' ? part : undefined;
  const inside = part.parts.map(firstText).filter((found) => found !== undefined);
  return inside.find(({ subtype }) => subtype.toLowerCase() === 'plain') ?? inside[0];
}

function partText(part: Part, read: (from: number, to: number) => Uint8Array): string {
  if (part.type.toLowerCase() !== 'text') return '';
  const { body, end } = part.file;
  const bytes = decodeTransfer(read(body, Math.min(end, body + PART_MAX)), part.encoding);
  const text = decodeCharset(bytes, parameter(part.contentType, 'charset'));
  return part.subtype.toLowerCase() === 'html' ? htmlText(text) : text;
}

/** RFC 2183 `filename`, else the old `name`; RFC 2231 continuations and charsets undone. */
function fileName(part: Part): string | undefined {
  const disposition = part.header.find(({ name }) => sameName(name, 'content-disposition'));
  const named = disposition && extended(parseParameterized(disposition.value), 'filename');
  return named ?? extended(part.contentType, 'name');
}

function extended(from: Parameterized, name: string): string | undefined {
  const plain = parameter(from, name);
  if (plain !== undefined) return decodeWords(plain);
  let charset: string | undefined;
  const pieces: Buffer[] = [];
  for (let n = 0; n <= from.parameters.length; n++) {
    const coded = parameter(from, `${name}*${n}*`) ?? (n === 0 ? parameter(from, `${name}*`) : undefined);
    const piece = coded ?? parameter(from, `${name}*${n}`);
    if (piece === undefined) break;
    if (coded === undefined) pieces.push(Buffer.from(piece, 'latin1'));
    else {
      const parts = n === 0 ? /^([^']*)'[^']*'(.*)$/s.exec(coded) : null;
      charset ??= parts?.[1];
      pieces.push(fromPercent(parts?.[2] ?? coded));
    }
  }
  return pieces.length === 0 ? undefined : decodeCharset(Buffer.concat(pieces), charset);
}

function fromPercent(text: string): Buffer {
  const latin1 = text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(latin1, 'latin1');
}

/** Base64 that nobody looks for, and much of it: a search sees that these fields are there, not what they say. */
const NOISE =
  /^(?:dkim-signature|arc-(?:seal|message-signature|authentication-results)|x-google-.*|autocrypt.*|x-microsoft-antispam.*|x-ms-exchange-.*|domainkey-signature|face|x-face)$/i;

/** `name: text` of each field in a line, the name in lower case; but those with columns of their own. */
export function otherFields(header: readonly HeaderField[], own: ReadonlySet<string>): string {
  const lines: string[] = [];
  for (const { name, value } of header) {
    const lower = headerText(name).toLowerCase();
    if (!own.has(lower)) lines.push(NOISE.test(lower) ? `${lower}:` : `${lower}: ${folded(fieldText(value))}`);
  }
  return lines.join('\n');
}
