import type { StoreCommand } from '../command/store.ts';
import { formatSet } from '../syntax/sequence-set.ts';
import type { Context } from './context.ts';
import { no } from './errors.ts';
import { writeFlags, writeKeywords } from './updates.ts';

/** RFC 9051 §6.4.6, RFC 7162 §3.1.3. */
export async function handleStore(context: Context, command: StoreCommand): Promise<string> {
  const view = context.writable;
  const { folder } = view;
  const { mode, flags, silent, uid: byUid, unchangedSince } = command;
  if (unchangedSince !== undefined) context.enableCondstore();
  const uids = view.uidsOf(view.resolve(command.set, byUid));
  const change = { mode, flags, by: view, ...(unchangedSince !== undefined && { unchangedSince }) };
  const result = await folder.storeFlags(uids, change).catch((error: unknown) => {
    view.untold(); // some may have been changed before it failed
    throw error;
  });
  writeKeywords(context);
  const modified = new Set(result.modified);
  if (!silent) {
    for (const uid of uids) {
      if (modified.has(uid)) continue;
      view.told(uid);
      writeFlags(context, view.numberOf(uid), uid, byUid || context.condstore);
      await context.flushIfFull();
    }
  } else if (context.condstore) {
    for (const uid of result.changed) {
      context.out.line(`* ${view.numberOf(uid)} FETCH (UID ${uid} MODSEQ (${result.modSeq}))`);
      await context.flushIfFull();
    }
  }
  if (modified.size > 0) {
    const numbers = byUid ? result.modified : result.modified.map((uid) => view.numberOf(uid));
    return `[MODIFIED ${formatSet(numbers)}] Some mails were changed meanwhile`;
  }
  if (!byUid && uids.some((uid) => folder.indexOf(uid) < 0)) throw no('Some of the mails have gone', 'EXPUNGEISSUED');
  return 'Done';
}
