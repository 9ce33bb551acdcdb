/** RFC 3463 §3.1: done, try later, never. */
export type StatusClass = 2 | 4 | 5;

/** The outcome of a mail step as SMTP tells it: reply code (RFC 5321), enhanced code (RFC 3463), public text. */
export interface MailStatus {
  readonly reply: number;
  readonly enhanced: `${StatusClass}.${number}.${number}`;
  /** One line, says what to do, holds nothing private. */
  readonly text: string;
}

/** A mail step that failed; the cause is for our log, never for the peer. */
export class MailError extends Error {
  override readonly name = 'MailError';
  readonly status: MailStatus;

  constructor(status: MailStatus, options?: { cause?: unknown }) {
    super(status.text, options);
    this.status = status;
  }
}

/** Derived from the enhanced code, so the two cannot disagree. */
export function isTemporary(status: MailStatus): boolean {
  return status.enhanced.startsWith('4.');
}

/** The whole reply after the code: `5.1.1 No such contact`. */
export function replyText(status: MailStatus): string {
  return `${status.enhanced} ${status.text}`;
}
