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
