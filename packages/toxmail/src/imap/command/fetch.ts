import type { Decoder } from '../syntax/decoder.ts';
import type { MessageSet } from '../syntax/sequence-set.ts';

/** What needs no more than a name. */
export type PlainItem =
  | 'BODY'
  | 'BODYSTRUCTURE'
  | 'EMAILID'
  | 'ENVELOPE'
  | 'FLAGS'
  | 'INTERNALDATE'
  | 'MODSEQ'
  | 'PREVIEW'
  | 'RFC822.SIZE'
  | 'SAVEDATE'
  | 'THREADID'
  | 'UID';

export type SectionText = 'HEADER' | 'HEADER.FIELDS' | 'HEADER.FIELDS.NOT' | 'MIME' | 'TEXT' | undefined;

/** Octets from, at most so many. */
export interface Partial {
  readonly offset: number;
  readonly count: number;
}

/** `section = "[" [section-spec] "]"` with its data item. */
export interface SectionItem {
  readonly item: 'section';
  /** How the answer calls it, without the partial's origin. */
  readonly label: string;
  /** False: \Seen is set. */
  readonly peek: boolean;
  /** Part numbers, empty for the whole mail. */
  readonly path: readonly number[];
  readonly text: SectionText;
  /** Header field names of HEADER.FIELDS, upper case. */
  readonly fields: readonly string[];
  readonly partial: Partial | undefined;
}

/** RFC 3516, RFC 9051 §6.4.5: a part without its content transfer encoding. */
export interface BinaryItem {
  readonly item: 'binary' | 'binary-size';
  readonly label: string;
  readonly peek: boolean;
  readonly path: readonly number[];
  readonly partial: Partial | undefined;
}

export type FetchItem = { readonly item: PlainItem } | SectionItem | BinaryItem;

export interface FetchCommand {
  readonly verb: 'FETCH';
  readonly uid: boolean;
  readonly set: MessageSet;
  readonly items: readonly FetchItem[];
  /** RFC 7162 §3.1.4.1 */
  readonly changedSince: number | undefined;
  /** RFC 7162 §3.2.6 */
  readonly vanished: boolean;
}

/** Items of one FETCH: a mail client asks for a dozen. */
const ITEMS_MAX = 500;
/** Numbers in a part's path: more than any mail is deep. */
const PATH_MAX = 100;

const PLAIN = new Set<string>([
  'BODYSTRUCTURE',
  'EMAILID',
  'ENVELOPE',
  'FLAGS',
  'INTERNALDATE',
  'MODSEQ',
  'PREVIEW',
  'RFC822.SIZE',
  'SAVEDATE',
  'THREADID',
  'UID',
]);

const MACROS: Record<string, readonly PlainItem[]> = {
  ALL: ['FLAGS', 'INTERNALDATE', 'RFC822.SIZE', 'ENVELOPE'],
  FAST: ['FLAGS', 'INTERNALDATE', 'RFC822.SIZE'],
  FULL: ['FLAGS', 'INTERNALDATE', 'RFC822.SIZE', 'ENVELOPE', 'BODY'],
};

/**
 * `fetch = "FETCH" SP sequence-set SP ("ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")")`
 * `[SP "(" fetch-modifier *(SP fetch-modifier) ")"]`
 */
export function readFetch(d: Decoder, uid: boolean): FetchCommand {
  d.space();
  const set = d.messageSet();
  d.space();
  const items: FetchItem[] = [];
  if (d.peek() === 0x28) {
    d.list(() => {
      if (items.length === ITEMS_MAX) d.fail('too many items');
      items.push(readItem(d, d.word()));
    });
  } else {
    const word = d.word();
    const macro = MACROS[word];
    if (macro) items.push(...macro.map((item) => ({ item })));
    else items.push(readItem(d, word));
  }
  let changedSince: number | undefined;
  let vanished = false;
  if (d.skipSpace()) {
    d.list(() => {
      const modifier = d.word();
      if (modifier === 'CHANGEDSINCE') {
        d.space();
        changedSince = d.number64();
      } else if (modifier === 'VANISHED') vanished = true;
      else d.fail('no such modifier');
    });
    if (vanished && (!uid || changedSince === undefined)) d.fail('VANISHED needs UID FETCH and CHANGEDSINCE');
  }
  return { verb: 'FETCH', uid, set, items, changedSince, vanished };
}

function readItem(d: Decoder, word: string): FetchItem {
  switch (word) {
    case 'RFC822':
      return section({ label: 'RFC822', peek: false });
    case 'RFC822.HEADER':
      return section({ label: 'RFC822.HEADER', peek: true, text: 'HEADER' });
    case 'RFC822.TEXT':
      return section({ label: 'RFC822.TEXT', peek: false, text: 'TEXT' });
    case 'BODY':
      return d.peek() === 0x5b ? readSection(d, false) : { item: 'BODY' };
    case 'BODY.PEEK':
      return readSection(d, true);
    case 'BINARY':
      return readBinary(d, 'binary', false);
    case 'BINARY.PEEK':
      return readBinary(d, 'binary', true);
    case 'BINARY.SIZE':
      return readBinary(d, 'binary-size', true);
    case 'PREVIEW':
      readPreviewModifier(d);
      return { item: 'PREVIEW' };
  }
  if (!PLAIN.has(word)) d.fail('no such item');
  return { item: word as PlainItem };
}

function section(given: Pick<SectionItem, 'label' | 'peek'> & globalThis.Partial<SectionItem>): SectionItem {
  return { item: 'section', path: [], text: undefined, fields: [], partial: undefined, ...given };
}

/** RFC 8970 §3.1: `PREVIEW (LAZY)`. Ours are at hand or made at once, so it changes nothing. */
function readPreviewModifier(d: Decoder): void {
  if (!d.skipWord(' (')) return;
  if (d.word() !== 'LAZY') d.fail('no such modifier');
  d.expect(')');
}

/**
 * `section-spec = section-msgtext / (section-part ["." section-text])`,
 * `section-msgtext = "HEADER" / "HEADER.FIELDS" [".NOT"] SP header-list / "TEXT"`, `section-text = section-msgtext / "MIME"`
 */
function readSection(d: Decoder, peek: boolean): SectionItem {
  d.expect('[');
  const path = readPath(d);
  let text: SectionText;
  const fields: string[] = [];
  let spec = path.join('.');
  if (d.peek() !== 0x5d) {
    const word = d.word();
    if (!SECTION_TEXTS.has(word) || (word === 'MIME' && path.length === 0)) d.fail('no such section');
    text = word as SectionText;
    spec += `${path.length > 0 ? '.' : ''}${word}`;
    if (word.startsWith('HEADER.FIELDS')) {
      d.space();
      d.list(() => fields.push(d.astring().toUpperCase()));
      if (fields.length === 0) d.fail('field name expected');
      spec += ` (${fields.map(fieldName).join(' ')})`;
    }
  }
  d.expect(']');
  return { item: 'section', label: `BODY[${spec}]`, peek, path, text, fields, partial: readPartial(d) };
}

function readBinary(d: Decoder, item: BinaryItem['item'], peek: boolean): BinaryItem {
  d.expect('[');
  const path = readPath(d);
  d.expect(']');
  const name = item === 'binary' ? 'BINARY' : 'BINARY.SIZE';
  const label = `${name}[${path.join('.')}]`;
  return { item, label, peek, path, partial: item === 'binary' ? readPartial(d) : undefined };
}

/** `section-part = nz-number *("." nz-number)`; a dot before a word is taken too. */
function readPath(d: Decoder): number[] {
  const path: number[] = [];
  while (d.peek() >= 0x30 && d.peek() <= 0x39) {
    if (path.length === PATH_MAX) d.fail('too deep');
    path.push(d.nzNumber());
    if (!d.skip('.')) break;
    if (d.peek() === 0x5d) d.fail('part number expected');
  }
  return path;
}

/** `partial = "<" number64 "." nz-number64 ">"` */
function readPartial(d: Decoder): Partial | undefined {
  if (!d.skip('<')) return undefined;
  const offset = d.number64();
  d.expect('.');
  const count = d.number64();
  if (count === 0) d.fail('number above zero expected');
  d.expect('>');
  return { offset, count };
}

/** As the client wrote it, so that it finds its answer: an atom, or quoted. */
function fieldName(name: string): string {
  return /^[!#$&'*+\-.0-9A-Z^_`|~]+$/.test(name)
    ? name
    : `"${name.replace(/[^\x20-\x7e]/g, '?').replace(/["\\]/g, '\\$&')}"`;
}

const SECTION_TEXTS = new Set(['HEADER', 'HEADER.FIELDS', 'HEADER.FIELDS.NOT', 'MIME', 'TEXT']);
