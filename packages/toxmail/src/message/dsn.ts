import { randomBytes } from 'node:crypto';
import { isTemporary, type MailStatus } from '../smtp/mail-error.ts';
import { formatDate } from './date-time.ts';
import { newMessageId } from './message-id.ts';

export interface FailureFacts {
  /** The sender's address as their mail program knows it. */
  readonly to: string;
  /** The recipient as the sender wrote it. */
  readonly recipient: string;
  readonly status: MailStatus;
  /** Of the mail that failed, with angle brackets. */
  readonly messageId: string;
  /** Milliseconds since 1970. */
  readonly queuedAt: number;
  readonly now: number;
  /** Header section of the mail that failed, without the empty line; undefined if it is lost. */
  readonly header: Uint8Array | undefined;
}

/** A delivery status notification (RFC 3464 in a multipart/report of RFC 6522): failed. CRLF lines. */
export function failureReport(facts: FailureFacts): { bytes: Uint8Array; messageId: string } {
  const boundary = `toxmail-${randomBytes(12).toString('hex')}`;
  const messageId = newMessageId();
  const { status } = facts;
  const recipient = oneLine(facts.recipient);
  // RFC 6533 §4: addresses beyond ASCII need the utf-8 forms.
  const utf8 = !isAscii(recipient);
  const lines = [
    `From: Toxmail <mailer-daemon@tox>`,
    `To: <${facts.to}>`,
    `Subject: Not delivered: your mail to ${utf8 ? encodedWord(recipient) : recipient}`,
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
    'Your mail could not be delivered to',
    '',
    `    ${recipient}`,
    '',
    `Reason: ${oneLine(status.text)} (${status.enhanced})`,
    '',
    isTemporary(status) ? 'Toxmail tried for a long time and has given up now.' : 'Toxmail will not try again.',
    'Nothing was lost: the mail is in the folder for sent mail of your mail program.',
    '',
    `--${boundary}`,
    `Content-Type: message/${utf8 ? 'global-' : ''}delivery-status`,
    ...(utf8 ? ['Content-Transfer-Encoding: 8bit'] : []),
    '',
    'Reporting-MTA: dns; toxmail.invalid',
    `Arrival-Date: ${formatDate(facts.queuedAt)}`,
    '',
    `Final-Recipient: ${utf8 ? 'utf-8' : 'rfc822'}; ${recipient}`,
    'Action: failed',
    `Status: ${status.enhanced}`,
    `Diagnostic-Code: smtp; ${status.reply} ${status.enhanced} ${oneLine(status.text)}`,
    `Last-Attempt-Date: ${formatDate(facts.now)}`,
    '',
  ];
  const parts: Uint8Array[] = [Buffer.from(`${lines.join('\r\n')}\r\n`)];
  if (facts.header) {
    const type = isAscii(Buffer.from(facts.header).toString('latin1'))
      ? 'text/rfc822-headers'
      : 'message/global-headers';
    const encoding = type === 'text/rfc822-headers' ? '7bit' : '8bit';
    parts.push(
      Buffer.from(`--${boundary}\r\nContent-Type: ${type}\r\nContent-Transfer-Encoding: ${encoding}\r\n\r\n`),
      facts.header,
      Buffer.from('\r\n'),
    );
  }
  parts.push(Buffer.from(`--${boundary}--\r\n`));
  return { bytes: Buffer.concat(parts), messageId };
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
  return text.replace(/[\r\n]+/g, ' ');
}
