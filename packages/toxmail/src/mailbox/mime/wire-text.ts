import { type HeaderField, sameName } from '../../message/header.ts';
import { type Address, parseAddresses } from './addresses.ts';
import { headerText } from './charset.ts';
import { type Parameterized, parseParameterized } from './content-type.ts';
import { isMessage, isMultipart, type Part } from './structure.ts';

/** ENVELOPE and BODYSTRUCTURE as they go over the wire (RFC 9051 §7.5.2), as Unicode to be sent as UTF-8. */

/** `nstring`; a literal if it holds what a quoted string cannot. */
export function nstring(text: string | undefined): string {
  return text === undefined ? 'NIL' : string(text);
}

export function string(text: string): string {
  const clean = text.includes('\0') ? text.replaceAll('\0', '') : text;
  if (QUOTABLE.test(clean)) return ESCAPED.test(clean) ? `"${clean.replace(/["\\]/g, '\\$&')}"` : `"${clean}"`;
  return `{${Buffer.byteLength(clean)}}\r\n${clean}`;
}

/** Date, subject, from, sender, reply-to, to, cc, bcc, in-reply-to, message-id. */
export function envelope(header: readonly HeaderField[]): string {
  const text = (name: string): string => nstring(unfolded(header, name));
  const list = (name: string): string | undefined => addressList(header, name);
  const from = list('from') ?? 'NIL';
  // RFC 9051: absent or empty, these two are as From.
  const sender = list('sender') ?? from;
  const replyTo = list('reply-to') ?? from;
  const to = ['to', 'cc', 'bcc'].map((name) => list(name) ?? 'NIL').join(' ');
  return `(${text('date')} ${text('subject')} ${from} ${sender} ${replyTo} ${to} ${text('in-reply-to')} ${text('message-id')})`;
}

export function bodyStructure(part: Part, extended: boolean): string {
  if (isMultipart(part)) {
    // A multipart without parts is no syntax: it is shown with an empty one.
    const parts = part.parts.map((child) => bodyStructure(child, extended)).join('') || EMPTY_PART;
    const end = extended ? ` ${parameterList(part.contentType)} ${extensions(part, false)}` : '';
    return `(${parts} ${string(part.subtype)}${end})`;
  }
  const size = part.wire.end - part.wire.body;
  const fields = [
    string(part.type),
    string(part.subtype),
    parameterList(part.contentType),
    nstring(unfolded(part.header, 'content-id')),
    nstring(unfolded(part.header, 'content-description')),
    string(part.encoding === '' ? '7bit' : headerText(part.encoding)),
    String(size),
  ];
  const [inner] = part.parts;
  if (isMessage(part) && inner) fields.push(envelope(inner.header), bodyStructure(inner, extended), String(part.lines));
  else if (part.type.toLowerCase() === 'text') fields.push(String(part.lines));
  if (extended) fields.push(extensions(part, true));
  return `(${fields.join(' ')})`;
}

/** One line, blanks trimmed; undefined if there is no such field. */
export function unfolded(header: readonly HeaderField[], name: string): string | undefined {
  const field = header.find((each) => sameName(each.name, name));
  return field && headerText(field.value.replace(/\r?\n/g, '').trim());
}

/** All fields of a name together, as address lists are meant. */
export function addressesOf(header: readonly HeaderField[], name: string): Address[] {
  const values = header.filter((each) => sameName(each.name, name)).map(({ value }) => value);
  return values.length === 0 ? [] : parseAddresses(values.join(','));
}

const QUOTABLE = /^[\x20-\x7e\t]*$/;
const ESCAPED = /["\\]/;
const EMPTY_PART = '("text" "plain" NIL NIL NIL "7bit" 0 0)';

function addressList(header: readonly HeaderField[], name: string): string | undefined {
  const addresses = addressesOf(header, name);
  if (addresses.length === 0) return undefined;
  const text = (value: string | undefined): string => nstring(value === undefined ? undefined : headerText(value));
  return `(${addresses.map((a) => `(${text(a.name)} NIL ${text(a.mailbox)} ${text(a.host)})`).join('')})`;
}

function parameterList({ parameters }: Parameterized): string {
  if (parameters.length === 0) return 'NIL';
  return `(${parameters.map(([name, value]) => `${string(headerText(name))} ${string(headerText(value))}`).join(' ')})`;
}

/** MD5 (single parts only), disposition, language, location. */
function extensions(part: Part, single: boolean): string {
  const md5 = single ? `${nstring(unfolded(part.header, 'content-md5'))} ` : '';
  const disposition = unfolded(part.header, 'content-disposition');
  const parsed = disposition === undefined || disposition === '' ? undefined : parseParameterized(disposition);
  const shown = parsed && parsed.value !== '' ? `(${string(parsed.value)} ${parameterList(parsed)})` : 'NIL';
  const languages = unfolded(part.header, 'content-language')
    ?.split(',')
    .map((tag) => tag.trim())
    .filter((tag) => tag !== '');
  const language = languages?.length ? `(${languages.map(string).join(' ')})` : 'NIL';
  return `${md5}${shown} ${language} ${nstring(unfolded(part.header, 'content-location'))}`;
}
