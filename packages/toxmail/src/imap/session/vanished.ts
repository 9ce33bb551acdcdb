import { type MessageSet, normalized } from '../syntax/sequence-set.ts';
import type { Context } from './context.ts';

/** RFC 7162 §3.2.6 and §3.2.10.1: `* VANISHED (EARLIER) uids`, of those that the client asks about. */
export async function writeVanishedEarlier(context: Context, modSeq: number, set: MessageSet): Promise<void> {
  const { folder } = context.selected;
  const gone = await folder.expungedSince(modSeq);
  const asked = set === 'saved' ? [] : normalized(set, folder.uidNext - 1);
  const parts: string[] = [];
  let at = 0;
  for (const [first, last] of gone) {
    while (at < asked.length && asked[at]![1] < first) at++;
    for (let i = at; i < asked.length && asked[i]![0] <= last; i++) {
      const from = Math.max(first, asked[i]![0]);
      const to = Math.min(last, asked[i]![1]);
      parts.push(from === to ? String(from) : `${from}:${to}`);
      if (parts.length < PARTS_MAX) continue;
      context.out.line(`* VANISHED (EARLIER) ${parts.splice(0).join(',')}`);
      await context.flushIfFull();
    }
  }
  if (parts.length > 0) context.out.line(`* VANISHED (EARLIER) ${parts.join(',')}`);
}

/** Ranges in one line: clients read lines into buffers. */
const PARTS_MAX = 1_000;
