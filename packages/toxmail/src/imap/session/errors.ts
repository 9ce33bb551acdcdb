import { errorCode } from '../../base/files.ts';
import { errorField, type Logger } from '../../base/log.ts';
import { MailboxError, type MailboxErrorCode } from '../../mailbox/types.ts';

/** RFC 9051 §7.1: `NO` cannot be done; `BAD` should not have been asked. */
export type Refusal = 'NO' | 'BAD';

/** Response codes of RFC 9051 §7.1 and RFC 5530 that we refuse with. */
export type RefusalCode =
  | 'ALREADYEXISTS'
  | 'AUTHENTICATIONFAILED'
  | 'BADCHARSET (US-ASCII UTF-8)'
  | 'CANNOT'
  | 'CLIENTBUG'
  | 'EXPUNGEISSUED'
  | 'LIMIT'
  | 'NONEXISTENT'
  | 'OVERQUOTA'
  | 'PRIVACYREQUIRED'
  | 'SERVERBUG'
  | 'TOOBIG'
  | 'TRYCREATE'
  | 'UNAVAILABLE'
  | 'UNKNOWN-CTE'
  | 'USEATTR';

/** A command that is answered with NO or BAD. */
export class ImapError extends Error {
  override readonly name = 'ImapError';
  readonly refusal: Refusal;
  readonly code: RefusalCode | undefined;

  constructor(refusal: Refusal, code: RefusalCode | undefined, text: string) {
    super(text);
    this.refusal = refusal;
    this.code = code;
  }
}

export const no = (text: string, code?: RefusalCode): ImapError => new ImapError('NO', code, text);
export const bad = (text: string, code?: RefusalCode): ImapError => new ImapError('BAD', code, text);

/** The connection cannot go on: it is gone, or what was begun cannot be finished. Nothing is answered. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
}

const OF_MAILBOX: Record<MailboxErrorCode, RefusalCode> = {
  'already-exists': 'ALREADYEXISTS',
  nonexistent: 'NONEXISTENT',
  'bad-name': 'CANNOT',
  cannot: 'CANNOT',
  'over-quota': 'OVERQUOTA',
  limit: 'LIMIT',
  unavailable: 'UNAVAILABLE',
};

/** The disk is full or failing: what a person can put right, and no bug of ours. */
const DISK_CODES = new Set(['EDQUOT', 'EIO', 'EMFILE', 'ENFILE', 'ENOSPC', 'EROFS']);

/** What goes back to the client for an error: the one place where errors become answers. */
export function refusalOf(error: unknown, verb: string, log: Logger): ImapError {
  if (error instanceof ImapError) return error;
  if (error instanceof MailboxError) return no(error.message, OF_MAILBOX[error.code]);
  log.error('imap.command-failed', { verb, error: errorField(error) });
  if (DISK_CODES.has(errorCode(error) ?? '')) return no('The disk is full or cannot be used now', 'UNAVAILABLE');
  return no('Something went wrong here; try again later', 'SERVERBUG');
}
