import { TextDecoder } from 'node:util';

/** Bytes and header values to text. Takes anything, throws at nothing. */

const utf8 = new TextDecoder('utf-8', { fatal: true });
/** BOUNDED: the encodings that TextDecoder knows, by any of their names; cleared when a mail invents too many. */
const decoders = new Map<string, TextDecoder>();
const DECODERS_MAX = 256;
/** Names that mail programs use and the Encoding standard does not. */
const ALIASES = new Map([
  ['cp1252', 'windows-1252'],
  ['x-unknown', 'utf-8'],
  ['unknown-8bit', 'utf-8'],
  ['ansi_x3.4-1968', 'us-ascii'],
  ['utf8mb4', 'utf-8'],
  ['cp932', 'shift_jis'],
  ['cp936', 'gbk'],
  ['cp949', 'euc-kr'],
  ['cp950', 'big5'],
]);

/** Whatever the mail says: what is UTF-8 is taken as that, as no other text looks like it by accident. */
export function decodeCharset(bytes: Uint8Array, charset: string | undefined): string {
  const name = charset?.trim().toLowerCase() ?? '';
  if (!isStateful(name)) {
    try {
      return utf8.decode(bytes);
    } catch {
      // not UTF-8
    }
  }
  return decoder(name).decode(bytes);
}

/** Header bytes, as latin-1 characters, that ought to be ASCII or UTF-8 (RFC 6532). */
export function headerText(latin1: string): string {
  return BEYOND_ASCII.test(latin1) ? decodeCharset(Buffer.from(latin1, 'latin1'), undefined) : latin1;
}

/** RFC 2047: encoded words become text, white space between two of them goes. */
export function decodeWords(latin1: string): string {
  const text = headerText(latin1);
  if (!text.includes('=?')) return text;
  return joinedWords(text).replace(WORD, (whole, charset: string, encoding: string, data: string) => {
    const bytes = encoding.toUpperCase() === 'B' ? Buffer.from(data, 'base64') : fromQ(data);
    return bytes ? decodeCharset(bytes, charset) : whole;
  });
}

const BEYOND_ASCII = /[\u0080-\uffff]/;
const WORD = /=\?([^\s?*]{1,64})(?:\*[^?]*)?\?([BbQq])\?([^?]*)\?=/g;
/** RFC 2231 §5: the language behind the charset. */
const BETWEEN = /(\?=)[ \t\r\n]+(?==\?)/g;

/** A character that a program cut between two words of the same charset is put together again. */
function joinedWords(text: string): string {
  const close = text.replace(BETWEEN, '$1');
  return close.replace(/=\?([^\s?]{1,64})\?([Bb])\?([^?]*)\?=(?:=\?\1\?[Bb]\?[^?]*\?=)+/g, (run, charset: string) => {
    const parts = [...run.matchAll(WORD)].map(([, , , data]) => Buffer.from(data!, 'base64'));
    return `=?${charset}?B?${Buffer.concat(parts).toString('base64')}?=`;
  });
}

function fromQ(data: string): Buffer {
  const latin1 = data
    .replaceAll('_', ' ')
    .replace(/=([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(latin1, 'latin1');
}

/** Encodings of 7-bit escapes: their bytes look like ASCII. */
function isStateful(name: string): boolean {
  return name.startsWith('iso-2022') || name.startsWith('hz') || name.startsWith('utf-16');
}

function decoder(name: string): TextDecoder {
  let found = decoders.get(name);
  if (!found) {
    try {
      found = new TextDecoder(ALIASES.get(name) ?? (name === '' ? 'windows-1252' : name));
    } catch {
      found = new TextDecoder('windows-1252');
    }
    if (decoders.size >= DECODERS_MAX) decoders.clear();
    decoders.set(name, found);
  }
  return found;
}
