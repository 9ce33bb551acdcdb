import type { MessageSet } from '../syntax/sequence-set.ts';
import type { Context } from './context.ts';

/** RFC 9051 §6.4.3, §6.4.9 (UID EXPUNGE); the client is told with the updates before the tagged answer. */
export async function handleExpunge(context: Context, set: MessageSet | undefined): Promise<string> {
  const view = context.writable;
  const { folder } = view;
  const gone = await folder.expunge(set && view.uidsOf(view.resolve(set, true)), view);
  return context.condstore && gone.length > 0 ? `[HIGHESTMODSEQ ${folder.highestModSeq}] Expunged` : 'Expunged';
}

/** RFC 9051 §6.4.1: expunges without a word, unless read-only. */
export async function handleClose(context: Context): Promise<string> {
  const view = context.selected;
  if (!view.readOnly) await view.folder.expunge(undefined, view);
  context.deselect();
  return 'Closed';
}

/** RFC 9051 §6.4.2 */
export function handleUnselect(context: Context): string {
  context.deselect();
  return 'Closed';
}
