import type { MailStatus } from '../smtp/mail-error.ts';

/** Ours: the first wait after a temporary refusal; it doubles each time. */
const FIRST_MS = 30_000;
/** Ours: a full mailbox is asked again at least this often. */
export const LONGEST_MS = 3_600_000;
/** Ours: the session broke in mid-transfer (4.4.2) and is there again; the transfer resumes where it stopped. */
const BROKEN_MS = 2_000;
/** Ours: a transfer that arrives damaged (4.7.7) this often is damaged here. */
const DAMAGED_MAX = 5;

/** How long to wait after the `attempts`th refusal (from 1) with this status. */
export function backoffMs(attempts: number, status: MailStatus): number {
  const first = status.enhanced === '4.4.2' ? BROKEN_MS : FIRST_MS;
  return Math.min(LONGEST_MS, first * 2 ** Math.min(30, attempts - 1));
}

/** A temporary refusal that came too often becomes permanent. */
export function hardened(attempts: number, status: MailStatus): MailStatus {
  if (status.enhanced !== '4.7.7' || attempts < DAMAGED_MAX) return status;
  return { reply: 554, enhanced: '5.7.7', text: status.text };
}
