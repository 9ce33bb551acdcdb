import { randomBytes } from 'node:crypto';
import { isTemporary, type MailStatus } from '../smtp/mail-error.ts';
import { formatDate } from './date-time.ts';
import { newMessageId } from './message-id.ts';

/** RFC 3464 §2.3.3, those that happen here. */
export type DsnAction = 'failed' | 'delayed' | 'delivered';

export interface DsnFacts {
  readonly action: DsnAction;
  /** The sender's address as their mail program knows it. */
  readonly to: string;
  /** The recipient as the sender wrote it. */
  readonly recipient: string;
  /** Why, or for `delivered` the last word of the other side. */
  readonly status: MailStatus;
  /** Of the mail, with angle brackets. */
  readonly messageId: string;
  /** ENVID and ORCPT as the client gave them (RFC 3461 §4: xtext), if it did. */
  readonly envelopeId: string | undefined;
  readonly originalRecipient: string | undefined;
  /** Milliseconds since 1970. */
  readonly queuedAt: number;
  readonly now: number;
  /** When it is given up. */
  readonly expiresAt: number;
}

/** The notice around what is sent back of the mail: its bytes go between the two; CRLF lines. */
export interface DsnFrame {
  readonly before: Buffer;
  readonly after: Buffer;
  readonly messageId: string;
}

/** What is sent back: the header section without its empty line, or the whole mail. */
export interface Returned {
  readonly what: 'header' | 'mail';
  /** Beyond ASCII. */
  readonly eightBit: boolean;
}

/** A delivery status notification (RFC 3464) in a multipart/report (RFC 6522). `returned`: undefined if that is lost. */
export function deliveryReport(facts: DsnFacts, returned: Returned | undefined): DsnFrame {
  const boundary = `toxmail-${randomBytes(12).toString('hex')}`;
  const messageId = newMessageId();
  const recipient = oneLine(facts.recipient);
  const { subject, text } = wording(facts, recipient);
  // RFC 6533 §4: addresses beyond ASCII need the utf-8 forms.
  const addresses = !isAscii(recipient) || !isAscii(facts.originalRecipient ?? '');
  // So does the other side's word, as the ordinary one is in ASCII (RFC 3464 §2.1).
  const utf8 = addresses || !isAscii(facts.status.text);
  const lines = [
    `From: Toxmail <mailer-daemon@tox>`,
    `To: <${oneLine(facts.to)}>`,
    `Subject: ${subject} ${isAscii(recipient) ? recipient : encodedWord(recipient)}`,
    `Date: ${formatDate(facts.now)}`,
    `Message-ID: ${messageId}`,
    `In-Reply-To: ${oneLine(facts.messageId)}`,
    'Auto-Submitted: auto-replied',
    'MIME-Version: 1.0',
    `Content-Type: multipart/report; report-type=delivery-status;`,
    `\tboundary="${boundary}"`,
    '',
    `--${boundary}`,
    'Content-Type: text/plain; charset=utf-8',
    'Content-Transfer-Encoding: 8bit',
    '',
    ...text,
    '',
    `--${boundary}`,
    `Content-Type: message/${utf8 ? 'global-' : ''}delivery-status`,
    ...(utf8 ? ['Content-Transfer-Encoding: 8bit'] : []),
    '',
    ...statusFields(facts, recipient, addresses),
    '',
  ];
  if (returned) lines.push(`--${boundary}`, ...returnedType(returned), '', '');
  const end = returned ? `\r\n--${boundary}--\r\n` : `--${boundary}--\r\n`;
  // Without a part in between, the last of `lines` ends the status fields.
  return { before: Buffer.from(lines.join('\r\n') + (returned ? '' : '\r\n')), after: Buffer.from(end), messageId };
}

function wording(facts: DsnFacts, recipient: string): { subject: string; text: string[] } {
  const { status } = facts;
  const because = `Reason: ${oneLine(status.text)} (${status.enhanced})`;
  switch (facts.action) {
    case 'failed':
      return {
        subject: 'Not delivered: your mail to',
        text: [
          'Your mail could not be delivered to',
          ...['', `    ${recipient}`, '', because, ''],
          isTemporary(status) ? 'Toxmail tried for a long time and has given up now.' : 'Toxmail will not try again.',
          'Nothing was lost: the mail is in the folder for sent mail of your mail program. When the',
          'reason is gone, send it again from there.',
        ],
      };
    case 'delayed':
      return {
        subject: 'Not delivered yet: your mail to',
        text: [
          'Your mail still waits to be delivered to',
          ...['', `    ${recipient}`, '', because, ''],
          'You need not do anything: it goes out the moment that this is possible, and Toxmail tries',
          `until ${formatDate(facts.expiresAt)}. If that never happens you will be told.`,
        ],
      };
    case 'delivered':
      return {
        subject: 'Delivered: your mail to',
        text: [
          'You asked to be told: your mail has arrived at',
          ...['', `    ${recipient}`, ''],
          'It is in the mailbox there. That does not mean that it has been read.',
        ],
      };
  }
}

function statusFields(facts: DsnFacts, recipient: string, utf8: boolean): string[] {
  const { action, status } = facts;
  const envelopeId = facts.envelopeId === undefined ? '' : fromXtext(facts.envelopeId);
  const [, type = '', original = ''] = /^([^;]+);(.*)$/.exec(facts.originalRecipient ?? '') ?? [];
  return [
    ...(envelopeId === '' ? [] : [`Original-Envelope-Id: ${envelopeId}`]),
    'Reporting-MTA: dns; toxmail.invalid',
    `Arrival-Date: ${formatDate(facts.queuedAt)}`,
    '',
    ...(type === '' ? [] : [`Original-Recipient: ${type}; ${fromXtext(original)}`]),
    `Final-Recipient: ${utf8 ? 'utf-8' : 'rfc822'}; ${recipient}`,
    `Action: ${action}`,
    `Status: ${status.enhanced}`,
    ...(action === 'delivered'
      ? []
      : [`Diagnostic-Code: smtp; ${status.reply} ${status.enhanced} ${oneLine(status.text)}`]),
    ...(action === 'delayed' ? [`Will-Retry-Until: ${formatDate(facts.expiresAt)}`] : []),
    `Last-Attempt-Date: ${formatDate(facts.now)}`,
  ];
}

function returnedType({ what, eightBit }: Returned): string[] {
  const headerType = eightBit ? 'message/global-headers' : 'text/rfc822-headers';
  const type = what === 'mail' ? 'message/rfc822' : headerType;
  return [`Content-Type: ${type}`, `Content-Transfer-Encoding: ${eightBit ? '8bit' : '7bit'}`];
}

/** RFC 3461 §4; what is no xtext stays as it is. */
function fromXtext(text: string): string {
  return oneLine(text.replace(/\+([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))));
}

/** RFC 2047, for one short text. */
function encodedWord(text: string): string {
  // An encoded word has at most 75 characters: 45 bytes of text in base64 are 60.
  return `=?utf-8?B?${Buffer.from(Buffer.from(text).subarray(0, 45).toString('utf8').replace(/�$/, '')).toString('base64')}?=`;
}

function isAscii(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the whole of ASCII
  return /^[\x00-\x7f]*$/.test(text);
}

function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
  return text.replace(/[\x00-\x1f\x7f]+/g, ' ');
}
