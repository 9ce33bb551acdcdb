import { replaceMailboxes } from '../message/address-list.ts';
import { formatDate } from '../message/date-time.ts';
import type { HeaderField } from '../message/header.ts';
import { field, formatHeader, parseHeader } from '../message/header.ts';
import type { CutMail } from '../message/header-cutter.ts';

/** Someone whom the recipient knows, under the recipient's own name for them. */
export interface KnownAddress {
  /** 64 upper-case hex. */
  readonly publicKey: string;
  readonly name: string;
  /** Where answers go: `name@tox`. */
  readonly address: string;
}

/** The recipient's contacts and own addresses. */
export interface AddressBook {
  contact(publicKey: string): KnownAddress | undefined;
  /** Any form of address, as it stands in a header. */
  lookUp(address: string): KnownAddress | undefined;
}

export interface Arrival {
  /** Proven by the session. */
  readonly sender: KnownAddress;
  readonly book: AddressBook;
  /** It stays here. If not, the server that delivers it writes Return-Path, and Delivered-To could read as a loop. */
  readonly final: boolean;
  /** The recipient's address with the tag that the sender wrote. */
  readonly deliveredTo: string;
  readonly nullSender: boolean;
  /** 32 hex. */
  readonly transferId: string;
  readonly unixMs: number;
}

/**
 * The header section as the recipient sees it: trace fields on top (RFC 5321 §4.4; no host names or IP addresses, there
 * are none), the proven sender as From, and known people under the recipient's names. What the sender claimed in From
 * stays in X-Toxmail-Claimed-From if it is somebody else. The result ends with the empty line.
 */
export function arrivalHeader(section: CutMail['header'], given: Arrival): Buffer {
  const arrival = { ...given, book: bounded(given.book) };
  const fields: HeaderField[] = [...trace(arrival)];
  let claimed: string | undefined;
  let from = false;
  for (const raw of parseHeader(section)) {
    const each = { name: raw.name, value: withoutTricks(raw.value) };
    const name = each.name.toLowerCase();
    if (name === 'from') {
      if (!belongsToSender(each, arrival)) claimed ??= each.value.replace(/\r\n/g, '').trim().slice(0, CLAIMED_MAX);
      if (!from) fields.push(senderField(each.name, arrival));
      from = true;
    } else if (SENDER_FIELDS.has(name)) {
      fields.push(senderField(each.name, arrival));
    } else if (ADDRESS_FIELDS.has(name)) {
      fields.push({ name: each.name, value: withNames(each.value, arrival.book) });
    } else if (!DROPPED.has(name) && !name.startsWith('x-toxmail-')) {
      fields.push(each);
    }
  }
  if (!from) fields.push(senderField('From', arrival));
  if (claimed) fields.push({ name: 'X-Toxmail-Claimed-From', value: ` ${claimed}` });
  return formatHeader(fields);
}

/** `Name <address>`, the name quoted or encoded as needed (RFC 5322 §3.2.5, RFC 2047). */
export function displayAddress(who: { readonly name: string; readonly address: string }): string {
  return `${phrase(who.name)} <${who.address}>`;
}

/** Each look-up asks the database, and a hostile header can hold 65,000 addresses. */
function bounded(book: AddressBook): AddressBook {
  let left = LOOK_UPS_MAX;
  return {
    contact: (key) => book.contact(key),
    lookUp: (address) => (left-- > 0 ? book.lookUp(address) : undefined),
  };
}

/** Ours; RFC 5321 §4.5.3.1.8 asks for 100 recipients. Further addresses stay as the sender wrote them. */
const LOOK_UPS_MAX = 1_000;

/** These say who sends, which only the session can say. */
const SENDER_FIELDS = new Set(['resent-from']);
const ADDRESS_FIELDS = new Set([
  'to',
  'cc',
  'reply-to',
  'resent-to',
  'resent-cc',
  'mail-followup-to',
  'mail-reply-to',
  'disposition-notification-to',
  'return-receipt-to',
]);
/** Ours to write, or somebody's claim about who sent or checked the mail. */
const DROPPED = new Set([
  'return-path',
  'delivered-to',
  'sender',
  'resent-sender',
  'authentication-results',
  'x-original-to',
  'bcc',
]);
/** Of RFC 5322 §2.1.1, less the field's name. */
const CLAIMED_MAX = 900;

function trace(arrival: Arrival): HeaderField[] {
  const date = formatDate(arrival.unixMs);
  const delivered = [
    field('Return-Path', arrival.nullSender ? '<>' : `<${arrival.sender.address}>`),
    field('Delivered-To', arrival.deliveredTo),
  ];
  return [
    ...(arrival.final ? delivered : []),
    {
      name: 'Received',
      value: ` from tox (key ${arrival.sender.publicKey})\r\n by tox with Tox id ${arrival.transferId};\r\n ${date}`,
    },
  ];
}

function senderField(name: string, arrival: Arrival): HeaderField {
  return field(name, displayAddress(arrival.sender));
}

/** One or more addresses, all of the contact that sends. */
function belongsToSender(from: HeaderField, arrival: Arrival): boolean {
  let own = 0;
  let others = 0;
  replaceMailboxes(from.value, (mailbox) => {
    if (arrival.book.lookUp(asText(mailbox.address))?.publicKey === arrival.sender.publicKey) own++;
    else others++;
    return undefined;
  });
  return own > 0 && others === 0;
}

function withNames(value: string, book: AddressBook): string {
  return replaceMailboxes(value, (mailbox) => {
    const known = book.lookUp(asText(mailbox.address));
    return known && asLatin1(displayAddress(known));
  });
}

/** A lone CR is a line end to some programs, and so could smuggle in a field; a NUL ends the text for others. */
function withoutTricks(value: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
  return value.replace(/\r(?!\n)|\u0000/g, ' ');
}

function phrase(name: string): string {
  if (/^[\w-]+( [\w-]+)*$/.test(name)) return name;
  if (/^[\u0020-\u007e]*$/.test(name)) return `"${name.replace(/["\\]/g, '\\$&')}"`;
  return encodedWords(name);
}

/** RFC 2047 §2: at most 75 characters each, no character split between two. */
function encodedWords(text: string): string {
  const words: string[] = [];
  let part = '';
  for (const sign of text) {
    if (Buffer.byteLength(part + sign) > ENCODED_BYTES) {
      words.push(part);
      part = '';
    }
    part += sign;
  }
  words.push(part);
  return words.map((word) => `=?UTF-8?B?${Buffer.from(word).toString('base64')}?=`).join(' ');
}

const ENCODED_BYTES = 45; // 60 characters of base64 and 12 around them

function asText(latin1: string): string {
  return Buffer.from(latin1, 'latin1').toString('utf8');
}

function asLatin1(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}
