import type { MailStatus } from '../smtp/mail-error.ts';
import type { Job } from './lane.ts';
import type { QueueRow } from './queue-store.ts';

/** What `toxmail queue` shows: one mail to one recipient. */
export interface QueueItem {
  /** The transfer id, 32 hex. */
  readonly id: string;
  readonly account: string;
  readonly messageId: string;
  readonly from: string;
  readonly to: string;
  /** `tox:PUBLICKEY` or `local:ACCOUNT`. */
  readonly route: string;
  readonly state: QueueState;
  /** Bytes. */
  readonly size: number;
  readonly sent: number;
  readonly attempts: number;
  /** Milliseconds since 1970; null: as soon as the recipient is online, or never again. */
  readonly nextAttempt: number | null;
  readonly reason: { readonly code: string; readonly text: string } | null;
  /** Milliseconds since 1970. */
  readonly queuedAt: number;
}

/** `relayed` is for later: on a relay that the recipient asks. */
export type QueueState = 'waiting' | 'sending' | 'relayed' | 'delivered' | 'failed';

export const OFFLINE: MailStatus = {
  reply: 450,
  enhanced: '4.4.1',
  text: 'The recipient is offline; the mail goes out the moment that changes',
};

/** `away`: why nothing can be sent to the recipient now. */
export function queueItem(row: QueueRow, job: Job | undefined, away: MailStatus | undefined): QueueItem {
  const waiting = row.state === 'waiting' && !job;
  // What was said of the mail itself tells more than that the recipient is gone since; that it takes no mail, less.
  const reason = (waiting && away !== OFFLINE ? away : undefined) ?? row.status ?? (waiting ? away : undefined);
  return {
    id: row.id,
    account: row.account,
    messageId: row.messageId,
    from: row.sender,
    to: row.address,
    route: row.lane,
    state: row.state === 'waiting' && job ? 'sending' : row.state,
    size: row.size,
    sent: job && row.state === 'waiting' ? job.sent : row.sent,
    attempts: row.attempts + (job && row.state === 'waiting' ? 1 : 0),
    nextAttempt: waiting && row.nextAttempt > 0 ? row.nextAttempt : null,
    reason: reason ? { code: reason.enhanced, text: reason.text } : null,
    queuedAt: row.queuedAt,
  };
}
