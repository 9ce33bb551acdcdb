import { replaceMailboxes } from './address-list.ts';
import { field, fieldText, findField, formatHeader, type HeaderField, sameName } from './header.ts';

export interface OutgoingContext {
  /** The sending account's canonical address. */
  readonly own: string;
  /** By a mail server: the number of hops is kept, as that is how mail which goes in circles is noticed. */
  readonly relayed: boolean;
  /** The canonical form of an address, or undefined for one that is nobody's here. */
  canonical(address: string): string | undefined;
  /** Used where the mail has none: with angle brackets. */
  messageId(): string;
  /** RFC 5322 form. */
  date(): string;
}

export interface OutgoingHeader {
  /** With the empty line that ends it. */
  readonly bytes: Buffer;
  /** With angle brackets. */
  readonly messageId: string;
}

/**
 * The header as it travels: addresses in the canonical form, so that the other side can put its own names to them, and
 * nothing that would betray the sender's machine or other identities.
 */
export function outgoingHeader(fields: readonly HeaderField[], context: OutgoingContext): OutgoingHeader {
  let kept: HeaderField[] = [];
  for (const each of fields) {
    const name = each.name.toLowerCase();
    if (context.relayed && name === 'received') kept.push({ name: each.name, value: ` by tox; ${context.date()}` });
    if (DROPPED.has(name) || DROPPED_PREFIXES.some((prefix) => name.startsWith(prefix))) continue;
    kept.push(rewritten(each, name, context));
  }
  if (!findField(kept, 'From')) kept.unshift(field('From', `<${context.own}>`));
  if (!findField(kept, 'Date')) kept.unshift(field('Date', context.date()));
  let messageId = /<[^<>\s]{1,250}>/.exec(fieldText(findField(kept, 'Message-ID')) ?? '')?.[0];
  if (messageId === undefined) {
    messageId = context.messageId();
    kept = kept.filter((each) => !sameName(each.name, 'Message-ID')); // one that is no Message-ID
    kept.unshift(field('Message-ID', messageId));
  }
  return { bytes: formatHeader(kept), messageId };
}

/** The sender's own: whatever identity the mail program wrote there, only the proven one travels. */
const OWN_FIELDS = new Set(['from', 'resent-from', 'disposition-notification-to', 'return-receipt-to']);
/** Others' addresses, and where answers shall go. */
const ADDRESS_FIELDS = new Set(['to', 'cc', 'reply-to', 'resent-to', 'resent-cc', 'mail-followup-to', 'mail-reply-to']);

/** Traces of the way to us, of the program, the machine and its user; hidden recipients; what only local programs use. */
const DROPPED = new Set([
  'received',
  'return-path',
  'delivered-to',
  'x-original-to',
  'envelope-to',
  'apparently-to',
  'bcc',
  'resent-bcc',
  'fcc',
  'sender',
  'resent-sender',
  'user-agent',
  'x-mailer',
  'x-newsreader',
  'x-mimeole',
  'x-originating-ip',
  'x-originating-email',
  'x-originating-host',
  'x-sender',
  'x-sender-ip',
  'x-authenticated-sender',
  'x-authentication-warning',
  'x-auth-id',
  'x-identity-key',
  'x-account-key',
  'x-apparently-to',
  'x-envelope-from',
  'x-envelope-to',
  'x-mail-created-date',
  'x-universally-unique-identifier',
  'x-uniform-type-identifier',
  'x-uuid',
  'x-forwarded-for',
  'x-real-ip',
  'x-client-ip',
  'x-source',
  'x-source-args',
  'x-source-dir',
  'x-php-script',
  'x-php-originating-script',
  'x-message-flag-status',
  'authentication-results',
  'dkim-signature', // would not verify any more, and names a domain
  'x-status',
  'status',
  'x-keywords',
  'x-uid',
]);
const DROPPED_PREFIXES = ['x-mozilla-', 'x-apple-', 'x-enigmail-', 'x-evolution-', 'x-kmail-', 'x-toxmail-', 'arc-'];

function rewritten(each: HeaderField, name: string, context: OutgoingContext): HeaderField {
  if (OWN_FIELDS.has(name)) {
    return withMailboxes(each, (address) => {
      const canonical = context.canonical(address);
      return canonical !== undefined && base(canonical) === base(context.own) ? canonical : context.own;
    });
  }
  return ADDRESS_FIELDS.has(name) ? withMailboxes(each, (address) => context.canonical(address)) : each;
}

function withMailboxes(each: HeaderField, canonical: (address: string) => string | undefined): HeaderField {
  const value = replaceMailboxes(each.value, (mailbox, text) => {
    const fresh = canonical(Buffer.from(mailbox.address, 'latin1').toString('utf8'));
    if (fresh === undefined) return undefined;
    const before = text.slice(0, mailbox.addressStart - mailbox.start);
    const after = text.slice(mailbox.addressEnd - mailbox.start);
    // A name or comment that is the address itself would carry the address that was just taken out.
    if (`${before}${after}`.toLowerCase().includes(mailbox.address.toLowerCase())) return `<${fresh}>`;
    const withoutRoute = before.replace(/<\s*@[^<]*$/, '<');
    return withoutRoute + Buffer.from(fresh, 'utf8').toString('latin1') + after;
  });
  return { name: each.name, value };
}

/** Without its tag. */
function base(address: string): string {
  return address.replace(/\+[^@]*(?=@)/, '');
}
