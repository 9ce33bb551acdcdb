import type { Folder, UidPairs } from '../../mailbox/types.ts';
import type { MessageSet } from '../syntax/sequence-set.ts';
import { formatSet } from '../syntax/sequence-set.ts';
import type { Context } from './context.ts';

interface CopyCommand {
  readonly uid: boolean;
  readonly set: MessageSet;
  readonly mailbox: string;
}

/** RFC 9051 §6.4.7 */
export async function handleCopy(context: Context, { uid, set, mailbox }: CopyCommand): Promise<string> {
  const view = context.selected;
  const uids = view.uidsOf(view.resolve(set, uid));
  const target = await context.target(mailbox);
  const pairs = await view.folder.copy(uids, target);
  return `${copyUid(target, pairs)}Copied`;
}

/** RFC 9051 §6.4.8: COPYUID first, then the mails go (with the updates before the tagged answer). */
export async function handleMove(context: Context, { uid, set, mailbox }: CopyCommand): Promise<string> {
  const view = context.writable;
  const uids = view.uidsOf(view.resolve(set, uid));
  const target = await context.target(mailbox);
  const pairs = await view.folder.move(uids, target, view);
  if (pairs.source.length === 0) return 'Nothing to move';
  context.out.line(`* OK ${copyUid(target, pairs)}Moved`);
  return context.condstore ? `[HIGHESTMODSEQ ${view.folder.highestModSeq}] Done` : 'Done';
}

/** RFC 9051 §7.1 `"COPYUID" SP nz-number SP uid-set SP uid-set`; empty if there is none to tell of. */
function copyUid(target: Folder, { source, target: copies }: UidPairs): string {
  if (source.length === 0) return '';
  return `[COPYUID ${target.uidValidity} ${formatSet(source)} ${formatSet(copies)}] `;
}
