import { formatToxIdBase32, isValidPublicKey, parseToxId, parseToxIdBase32, type ToxId } from '@toxmail/tox/id';

/**
 * The address forms of Tox mail: `LOCAL@tox` and `LOCAL@tox.alt`, where LOCAL is a Tox ID (76 hex or 61 base32), a public
 * key (64 hex) or a name, each with an optional `+tag`. Case never matters. Keys and IDs are handed around as
 * upper-case hexadecimal, as Tox writes them.
 */
export type AddressTarget =
  | { readonly kind: 'tox-id'; readonly publicKey: string; readonly toxId: string }
  | { readonly kind: 'public-key'; readonly publicKey: string }
  | { readonly kind: 'name'; readonly name: string }
  /** An ordinary address, lower case; its `+tag` is a part of it. */
  | { readonly kind: 'foreign'; readonly address: string };

export interface ParsedAddress {
  readonly target: AddressTarget;
  /** What stood after the first `+`, case kept. */
  readonly tag: string | undefined;
}

/** Why text is no address: `checksum` is a mistyped Tox ID, `syntax` everything else. */
export type AddressFailure = 'syntax' | 'checksum';

/** RFC 5321 §4.5.3.1.3: a path has at most 256 octets with its angle brackets. */
const ADDRESS_MAX = 254;
const TOX_ID_HEX = /^[0-9a-f]{76}$/i;
const TOX_ID_BASE32 = /^[a-z2-7]{61}$/i;
const PUBLIC_KEY_HEX = /^[0-9a-f]{64}$/i;

/** An address without display name or brackets. Undefined if it is none; `addressFailure` tells why. */
export function parseAddress(text: string): ParsedAddress | undefined {
  const parsed = parse(text);
  return typeof parsed === 'string' ? undefined : parsed;
}

export function addressFailure(text: string): AddressFailure | undefined {
  const parsed = parse(text);
  return typeof parsed === 'string' ? parsed : undefined;
}

/** A Tox ID or public key as people hand them out: with or without `@tox`, `tox:` before it, spaces around it. */
export function parseToxAddress(
  text: string,
): Extract<AddressTarget, { kind: 'tox-id' | 'public-key' }> | AddressFailure {
  const bare = text.trim().replace(/^(tox|mailto):/i, '');
  const parsed = parse(bare.includes('@') ? bare : `${bare}@tox`);
  if (typeof parsed === 'string') return parsed;
  return parsed.target.kind === 'tox-id' || parsed.target.kind === 'public-key' ? parsed.target : 'syntax';
}

/**
 * The form that travels: `<61 base32>[+tag]@tox`. A tag is left out where it would make the local part longer than the
 * 64 octets of RFC 5321 §4.5.3.1.1. `toxId` is 76 hex and valid.
 */
export function canonicalAddress(toxId: string, tag?: string): string {
  const parsed = parseToxId(toxId);
  if (!parsed.ok) throw new Error(`not a Tox ID (${parsed.reason})`);
  return `${withTag(formatToxIdBase32(parsed.id), tag)}@tox`;
}

/** The same where only the key is known (64 hex). */
export function keyAddress(publicKey: string, tag?: string): string {
  return `${withTag(publicKey.toLowerCase(), tag)}@tox`;
}

/** Two ways to write the same address; some programs want a dot. */
export type MailDomain = 'tox' | 'tox.alt';

/** As it is written in an address; undefined if that belongs to somebody else's domain. */
export function mailDomain(address: string): MailDomain | undefined {
  const domain = address.slice(address.lastIndexOf('@') + 1).toLowerCase();
  return domain === 'tox' || domain === 'tox.alt' ? domain : undefined;
}

/** All forms of an account's or contact's own address, canonical first. */
export function addressForms(toxId: string, name?: string): string[] {
  const forms = [canonicalAddress(toxId), keyAddress(toxId.slice(0, 64)), `${toxId.toLowerCase()}@tox`];
  return name === undefined ? forms : [...forms, `${name}@tox`];
}

/** The public key (64 hex, upper case) in a Tox ID of 76 hex; undefined if that is not valid. */
export function keyOfToxId(toxId: string): string | undefined {
  return parseToxId(toxId).ok ? toxId.slice(0, 64).toUpperCase() : undefined;
}

/** 64 hex of a key that Tox accepts. */
export function isPublicKey(text: string): boolean {
  return PUBLIC_KEY_HEX.test(text) && isValidPublicKey(Buffer.from(text, 'hex'));
}

function withTag(local: string, tag: string | undefined): string {
  const tagged = tag === undefined ? local : `${local}+${tag}`;
  return tagged.length <= 64 ? tagged : local;
}

function parse(text: string): ParsedAddress | AddressFailure {
  const at = text.lastIndexOf('@');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: refusing them is the point
  if (at < 1 || text.length > ADDRESS_MAX || /[\x00-\x20\x7f<>]/.test(text)) return 'syntax';
  const domain = text.slice(at + 1).toLowerCase();
  if (domain === '') return 'syntax';
  if (!mailDomain(text)) {
    return { target: { kind: 'foreign', address: text.toLowerCase() }, tag: undefined };
  }
  const local = unquote(text.slice(0, at));
  const plus = local.indexOf('+');
  const name = plus < 0 ? local : local.slice(0, plus);
  const target = toxTarget(name);
  return typeof target === 'string' ? target : { target, tag: plus < 0 ? undefined : local.slice(plus + 1) };
}

function toxTarget(local: string): AddressTarget | AddressFailure {
  if (local === '') return 'syntax';
  if (TOX_ID_HEX.test(local)) return ofToxId(parseToxId(local));
  if (TOX_ID_BASE32.test(local)) return ofToxId(parseToxIdBase32(local));
  if (PUBLIC_KEY_HEX.test(local)) {
    return isPublicKey(local) ? { kind: 'public-key', publicKey: local.toUpperCase() } : 'checksum';
  }
  return { kind: 'name', name: local };
}

function ofToxId(parsed: { ok: true; id: ToxId } | { ok: false; reason: string }): AddressTarget | AddressFailure {
  if (!parsed.ok) return 'checksum';
  const toxId = Buffer.from(parsed.id).toString('hex').toUpperCase();
  return { kind: 'tox-id', publicKey: toxId.slice(0, 64), toxId };
}

/** RFC 5321 §4.1.2: a quoted local part means the same as a plain one. */
function unquote(local: string): string {
  return local.startsWith('"') && local.endsWith('"') && local.length > 1
    ? local.slice(1, -1).replace(/\\(.)/g, '$1')
    : local;
}
