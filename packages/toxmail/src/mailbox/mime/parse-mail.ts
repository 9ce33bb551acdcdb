import { createHash } from 'node:crypto';
import { type HeaderField, sameName } from '../../message/header.ts';
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

/** Parses a mail of `size` bytes. Synchronous: for the index's thread. */
export function parseMail(size: number, readAt: ReadAt): ParsedContent {
  const parser = new StructureParser();
  const hash = createHash('sha256');
  const block = Buffer.allocUnsafe(Math.min(BLOCK, size + 1));
  let position = 0;
  for (;;) {
    const read = readAt(block, position);
    if (read === 0) break;
    const piece = block.subarray(0, read);
    parser.push(piece);
    hash.update(piece);
    position += read;
    if (read < block.length) break;
  }
  const read = (from: number, to: number): Uint8Array => {
    if (position < block.length) return block.subarray(from, to);
    const bytes = new Uint8Array(Math.max(0, to - from));
    return bytes.subarray(0, readAt(bytes, from));
  };
  return contentOf(parser.end(), `M${hash.digest('hex').slice(0, 32)}`, read);
}

function contentOf(root: Part, emailId: string, read: (from: number, to: number) => Uint8Array): ParsedContent {
  const { header } = root;
  const from = addressesOf(header, 'from');
  const to = addressesOf(header, 'to');
  const references = ancestors(header);
  const id = messageId(header);
  const first = references[0] ?? (id === '' ? emailId : id);
  const text = bodyText(root, read);
  return {
    emailId,
    threadId: `T${createHash('sha256').update(first).digest('hex').slice(0, 32)}`,
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
