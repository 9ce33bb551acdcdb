import type { MailStatus } from './mail-error.ts';

/** Every refusal that we make ourselves. The texts go to people: they say what to do. */
export const status = {
  badRecipientSyntax: (): MailStatus => ({
    reply: 501,
    enhanced: '5.1.3',
    text: 'This is not a mail address; write NAME@tox or TOXID@tox',
  }),
  badToxId: (): MailStatus => ({
    reply: 501,
    enhanced: '5.1.3',
    text: 'This Tox ID is mistyped (its checksum is wrong); copy it again',
  }),
  noSuchName: (): MailStatus => ({
    reply: 550,
    enhanced: '5.1.1',
    text: 'There is no contact of this name; add it first: toxmail contact add NAME TOXID',
  }),
  noSuchKey: (): MailStatus => ({
    reply: 550,
    enhanced: '5.1.1',
    text: 'This Tox ID is not among your contacts; add it first: toxmail contact add NAME TOXID',
  }),
  notATox: (): MailStatus => ({
    reply: 550,
    enhanced: '5.1.1',
    text: 'No contact of yours lists this address; ask for a Tox ID, then: toxmail contact add NAME TOXID --email ADDRESS',
  }),
  noSuchAccount: (): MailStatus => ({ reply: 550, enhanced: '5.1.1', text: 'This account does not exist any more' }),
  noLongerContact: (): MailStatus => ({
    reply: 550,
    enhanced: '5.1.1',
    text: 'The recipient is not among your contacts any more; add it again and send the mail again',
  }),
  loginFirst: (): MailStatus => ({ reply: 530, enhanced: '5.7.0', text: 'Log in first' }),
  unknownSender: (): MailStatus => ({
    reply: 550,
    enhanced: '5.7.1',
    text: 'No account here sends as this address; list it under [senders] in config.toml',
  }),
  loop: (): MailStatus => ({ reply: 554, enhanced: '5.4.6', text: 'The mail went in circles' }),
  needsTls: (): MailStatus => ({
    reply: 538,
    enhanced: '5.7.11',
    text: 'Log in over TLS only: set the connection security to STARTTLS or SSL/TLS',
  }),
  badLogin: (): MailStatus => ({ reply: 535, enhanced: '5.7.8', text: 'User name or password is wrong' }),
  tooManyLogins: (): MailStatus => ({
    reply: 421,
    enhanced: '4.7.0',
    text: 'Too many failed log-ins; try again later',
  }),
  loginThrottled: (seconds: number): MailStatus => ({
    reply: 454,
    enhanced: '4.7.0',
    text: `Too many failed log-ins; try again in ${seconds} seconds`,
  }),
  tooBig: (limit: number): MailStatus => ({
    reply: 552,
    enhanced: '5.3.4',
    text: `The mail is bigger than the limit of ${limit} bytes`,
  }),
  headerTooBig: (limit: number): MailStatus => ({
    reply: 552,
    enhanced: '5.3.4',
    text: `The header of the mail is bigger than the limit of ${limit} bytes`,
  }),
  tooBigForServer: (): MailStatus => ({
    reply: 552,
    enhanced: '5.3.4',
    text: "The mail is bigger than the recipient's mail server takes",
  }),
  serverUnreachable: (): MailStatus => ({
    reply: 451,
    enhanced: '4.4.1',
    text: "The recipient's mail server cannot be reached just now; it will be tried again",
  }),
  diskFull: (): MailStatus => ({ reply: 452, enhanced: '4.3.1', text: 'The disk is full; the mail was not accepted' }),
  localError: (): MailStatus => ({ reply: 451, enhanced: '4.3.0', text: 'Something went wrong here; try again later' }),
  notReady: (): MailStatus => ({ reply: 451, enhanced: '4.3.2', text: 'This account is still starting; try again' }),
  delivered: (): MailStatus => ({ reply: 250, enhanced: '2.0.0', text: 'Delivered' }),
  expired: (days: number): MailStatus => ({
    reply: 550,
    enhanced: '5.4.7',
    text: `The recipient was not reached within ${days} days`,
  }),
  cancelled: (): MailStatus => ({ reply: 550, enhanced: '5.7.0', text: 'Sending was cancelled' }),
  spoolLost: (): MailStatus => ({ reply: 554, enhanced: '5.3.0', text: 'The stored mail is damaged; send it again' }),
} as const;
