import type { Content } from '../base/files.ts';
import type { MailStatus } from '../smtp/mail-error.ts';

/** What travels with a mail beside its content. */
export interface JobEnvelope {
  /** The sender's canonical address; empty for notices, which are never answered by another notice. */
  readonly from: string;
  /** The recipient as the sender wrote it. */
  readonly to: string;
  /** The `+tag` that the sender wrote behind the recipient's name. */
  readonly tag: string | undefined;
}

/** One mail to one recipient. */
export interface DeliveryJob {
  /** Transfer id: 32 lower-case hex, the same in every attempt, so that the receiver can tell a repetition. */
  readonly id: string;
  /** The sending account. */
  readonly account: string;
  /** The recipient's public key, 64 upper-case hex; for local delivery the account's name. */
  readonly peer: string;
  readonly envelope: JobEnvelope;
  /** The mail as it travels, CRLF lines, not dot-stuffed. */
  readonly content: Content;
  /** Bytes of it. */
  readonly size: number;
  /** SHA-256 of it, 32 bytes. */
  readonly digest: Uint8Array;
}

/**
 * `delivered`: the other side says that it is on its disk. `failed`: it said why not; whether for now or for good is in
 * the status. `offline`: there is no session (any more), or one that takes no mail, as the status says; the job waits
 * until the queue hears that the peer is online, which is not counted as an attempt.
 */
export type DeliveryOutcome =
  | { readonly kind: 'delivered' }
  | { readonly kind: 'failed'; readonly status: MailStatus }
  | { readonly kind: 'offline'; readonly status?: MailStatus };

/** A way to bring a mail to its recipient. */
export interface DeliveryTarget {
  /**
   * Never rejects for what the peer does. `progress` tells the bytes that the other side has. `signal` aborts: the mail
   * was cancelled or we stop; the outcome is then ignored, but the content must not be read after the promise settled.
   */
  deliver(job: DeliveryJob, progress: (sent: number) => void, signal: AbortSignal): Promise<DeliveryOutcome>;
}
