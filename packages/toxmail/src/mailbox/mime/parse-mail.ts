import { createHash, hash } from 'node:crypto';
import { type HeaderField, parseHeader, sameName } from '../../message/header.ts';
import type { Address } from './addresses.ts';
import { decodeWords, headerText } from './charset.ts';
import { bodyText, fieldText, folded, otherFields, previewOf } from './search-text.ts';
import { type Part, StructureParser } from './structure.ts';
import { ancestors, baseSubject, messageId, sentDate } from './threading.ts';
import { addressesOf, bodyStructure, envelope, unfolded } from './wire-text.ts';

/** All that the index keeps of a mail. */
export interface ParsedContent {
  /** RFC 8474: of the mail's bytes, so that copies have the same and a new index finds it again. */
  readonly emailId: string;
  /** Of the first mail of the conversation, as the references tell. */
  readonly threadId: string;
  readonly sent: { readonly day: number; readonly ms: number } | undefined;
  readonly subject: { readonly base: string; readonly reply: boolean };
  readonly sortFrom: string;
  readonly sortTo: string;
  readonly sortCc: string;
  readonly displayFrom: string;
  readonly displayTo: string;
  readonly messageId: string;
  readonly references: readonly string[];
  readonly envelope: string;
  readonly body: string;
  readonly bodyStructure: string;
  readonly preview: string;
  readonly structure: string;
  /** Undefined if it is too long to keep. */
  readonly kept: string | undefined;
  /** Folded, by OWN_FIELDS; undefined if the mail has no such field. */
  readonly fields: readonly (string | undefined)[];
  readonly otherFields: string;
  readonly text: string;
  /** Octets with CRLF. */
  readonly size: number;
}

/** Fields that have a column of their own in a search. */
export const OWN_FIELDS = ['from', 'to', 'cc', 'bcc', 'subject'] as const;
const OWN = new Set<string>(OWN_FIELDS);

/** Fields that programs ask for when they show a list of mails: kept as they are, so that no mail need be opened. */
export const KEPT_FIELDS: ReadonlySet<string> = new Set(
  (
    'from to cc bcc subject date message-id in-reply-to references reply-to sender content-type mime-version priority ' +
    'x-priority importance x-msmail-priority newsgroups list-id list-post list-unsubscribe list-unsubscribe-post ' +
    'delivered-to return-path disposition-notification-to auto-submitted precedence x-mozilla-status x-spam-flag ' +
    'x-spam-status x-uniform-type-identifier followup-to content-transfer-encoding user-agent x-mailer'
  ).split(' '),
);
const KEPT_MAX = 8 * 1024;

/** Fills `into` from a position of the mail; fewer bytes at its end only. */
export type ReadAt = (into: Uint8Array, position: number) => number;

const BLOCK = 256 * 1024;
/** Nearly all headers are shorter. */
const HEAD = 16 * 1024;
/** One for each thread: most mails fit, and then it holds the one that was parsed last. */
const block = Buffer.allocUnsafeSlow(BLOCK);
const LF = 0x0a;
const CR = 0x0d;

/** A mail's parts; the functions are to be called before the next mail is parsed. */
export interface MailParts {
  readonly root: Part;
  emailId(): string;
  /** Bytes of the file. */
  read(from: number, to: number): Uint8Array;
}

/** Synchronous. */
export function parseParts(readAt: ReadAt): MailParts {
  const parser = new StructureParser();
  let position = readAt(block, 0);
  const first = block.subarray(0, position);
  parser.push(first);
  if (position < BLOCK) {
    const emailId = (): string => emailIdOf(hash('sha256', first));
    return { root: parser.end(), emailId, read: (from, to) => first.subarray(from, to) };
  }
  const sum = createHash('sha256').update(first);
  for (let read = BLOCK; read === BLOCK; position += read) {
    read = readAt(block, position);
    const piece = block.subarray(0, read);
    parser.push(piece);
    sum.update(piece);
  }
  const emailId = emailIdOf(sum.digest('hex'));
  const read = (from: number, to: number): Uint8Array => {
    const bytes = new Uint8Array(Math.max(0, to - from));
    return bytes.subarray(0, readAt(bytes, from));
  };
  return { root: parser.end(), emailId: () => emailId, read };
}

/** The mail's header alone; undefined if it is a long one. */
export function parseHead(readAt: ReadAt): HeaderField[] | undefined {
  const head = block.subarray(0, HEAD);
  const bytes = head.subarray(0, readAt(head, 0));
  for (let from = 0; ; ) {
    const lf = bytes.indexOf(LF, from);
    if (lf < 0) return bytes.length < HEAD ? parseHeader(bytes) : undefined;
    if (lf === from || (lf === from + 1 && bytes[from] === CR)) return parseHeader(bytes.subarray(0, from));
    from = lf + 1;
  }
}

/** All that the index keeps. Synchronous: for the index's thread. */
export function parseMail(readAt: ReadAt): ParsedContent {
  const { root, read, ...mail } = parseParts(readAt);
  const emailId = mail.emailId();
  const { header } = root;
  const from = addressesOf(header, 'from');
  const to = addressesOf(header, 'to');
  const id = messageId(header);
  const references = ancestors(header);
  const text = bodyText(root, read);
  return {
    emailId,
    threadId: threadIdOf(references, id, emailId),
    sent: sentDate(unfolded(header, 'date')),
    subject: baseSubject(fieldText(header.find(({ name }) => sameName(name, 'subject'))?.value ?? '')),
    sortFrom: mailboxOf(from),
    sortTo: mailboxOf(to),
    sortCc: mailboxOf(addressesOf(header, 'cc')),
    displayFrom: displayOf(from),
    displayTo: displayOf(to),
    messageId: id,
    references,
    envelope: envelope(header),
    body: bodyStructure(root, false),
    bodyStructure: bodyStructure(root, true),
    preview: previewOf(root, read),
    structure: JSON.stringify(places(root)),
    kept: keptFields(header),
    fields: OWN_FIELDS.map((name) => ownField(header, name)),
    otherFields: otherFields(header, OWN),
    text: folded(text),
    size: root.wire.end,
  };
}

function emailIdOf(sum: string): string {
  return `M${sum.slice(0, 32)}`;
}

/** Of the oldest mail that this one refers to, else of itself. */
export function threadIdOf(references: readonly string[], messageId: string, emailId: string): string {
  return `T${hash('sha256', references[0] ?? (messageId || emailId)).slice(0, 32)}`;
}

/** A part in the index: its places, transfer encoding, whether it is a message, its parts. */
export type PartPlaces = readonly [
  fileStart: number,
  fileBody: number,
  fileEnd: number,
  wireStart: number,
  wireBody: number,
  wireEnd: number,
  encoding: string,
  kind: 'multipart' | 'message' | 'single',
  parts: readonly PartPlaces[],
];

export function places(part: Part): PartPlaces {
  const { file, wire, encoding, parts } = part;
  const kind = part.parts.length === 0 ? 'single' : part.type.toLowerCase() === 'multipart' ? 'multipart' : 'message';
  return [file.start, file.body, file.end, wire.start, wire.body, wire.end, encoding, kind, parts.map(places)];
}

function keptFields(header: readonly HeaderField[]): string | undefined {
  let kept = '';
  for (const { name, value } of header) {
    if (!KEPT_FIELDS.has(name.toLowerCase())) continue;
    kept += `${name}:${value}\r\n`;
    if (kept.length > KEPT_MAX) return undefined;
  }
  return kept;
}

function ownField(header: readonly HeaderField[], name: string): string | undefined {
  const values = header.filter((field) => sameName(field.name, name)).map(({ value }) => folded(fieldText(value)));
  return values.length === 0 ? undefined : values.join('\n');
}

/** RFC 5256 §3: the local part of the first address. */
function mailboxOf(addresses: readonly Address[]): string {
  return folded(headerText(addresses.find(({ mailbox }) => mailbox !== undefined)?.mailbox ?? ''));
}

/** RFC 5957 §3: the name of the first address, else the address. */
function displayOf(addresses: readonly Address[]): string {
  const first = addresses.find(({ host }) => host !== undefined);
  if (!first) return '';
  const name = first.name === undefined ? '' : decodeWords(first.name).trim();
  return folded(name === '' ? headerText(`${first.mailbox}@${first.host}`) : name);
}
