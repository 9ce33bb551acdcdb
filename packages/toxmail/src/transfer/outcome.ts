import { errorCode } from '../base/files.ts';
import type { MailStatus } from '../smtp/mail-error.ts';

/** What a transfer says of a mail that it did not bring over. */
export const transferStatus = {
  noHello: (): MailStatus => ({
    reply: 451,
    enhanced: '4.3.3',
    text: "The contact's program does not take mail; the mail waits until it is online with Toxmail",
  }),
  brokenPeer: (): MailStatus => ({
    reply: 451,
    enhanced: '4.5.0',
    text: "The contact's program broke the rules of the mail transfer",
  }),
  silent: (): MailStatus => ({ reply: 451, enhanced: '4.4.2', text: "The contact's program does not answer" }),
  restarted: (): MailStatus => ({
    reply: 451,
    enhanced: '4.4.2',
    text: "The contact's program was started anew; the mail will be sent again",
  }),
  stalled: (): MailStatus => ({ reply: 451, enhanced: '4.4.2', text: 'The mail stopped arriving; send it again' }),
  unknownSender: (): MailStatus => ({
    reply: 550,
    enhanced: '5.7.1',
    text: 'You are not among the contacts of the recipient',
  }),
  tooBig: (limit: number): MailStatus => ({
    reply: 552,
    enhanced: '5.3.4',
    text: `The contact takes mails of at most ${limit} bytes`,
  }),
  headerTooBig: (limit: number): MailStatus => ({
    reply: 552,
    enhanced: '5.3.4',
    text: `The header of the mail is bigger than the limit of ${limit} bytes`,
  }),
  mailboxFull: (): MailStatus => ({
    reply: 452,
    enhanced: '4.2.2',
    text: "The recipient's mailbox is full; it will be tried again",
  }),
  damaged: (): MailStatus => ({ reply: 451, enhanced: '4.7.7', text: 'The mail arrived damaged; send it again' }),
  stopping: (): MailStatus => ({ reply: 451, enhanced: '4.3.2', text: 'Toxmail is just being stopped there' }),
  diskFull: (): MailStatus => ({ reply: 452, enhanced: '4.3.1', text: "The disk of the recipient's machine is full" }),
  localError: (): MailStatus => ({
    reply: 451,
    enhanced: '4.3.0',
    text: "Something went wrong on the recipient's machine; it will be tried again",
  }),
  spoolUnreadable: (): MailStatus => ({
    reply: 451,
    enhanced: '4.3.0',
    text: 'The stored mail could not be read here; it will be tried again',
  }),
} as const;

/** What the sender hears of a failure on our disk. */
export function diskStatus(error: unknown): MailStatus {
  const code = errorCode(error);
  return code === 'ENOSPC' || code === 'EDQUOT' ? transferStatus.diskFull() : transferStatus.localError();
}
