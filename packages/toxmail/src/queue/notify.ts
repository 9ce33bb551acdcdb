import type { DsnAction } from '../message/dsn.ts';

/** What the sender wants to hear of a recipient (RFC 3461 §4.1). */
export type Notify = 'NEVER' | 'SUCCESS' | 'FAILURE' | 'DELAY';

const WANTED_BY: Record<DsnAction, Notify> = { failed: 'FAILURE', delayed: 'DELAY', delivered: 'SUCCESS' };
/** RFC 3461 §4.1: where nothing is said, failures; delays as well, as we choose. */
const DEFAULT_NOTIFY: readonly Notify[] = ['FAILURE', 'DELAY'];

/** Never if the mail has no sender, as notices have none: they are not answered by others. */
export function wantsNotice(
  { sender }: { readonly sender: string },
  notify: readonly Notify[] | undefined,
  action: DsnAction,
): boolean {
  return sender !== '' && (notify ?? DEFAULT_NOTIFY).includes(WANTED_BY[action]);
}
