import { errorField } from '../../base/log.ts';
import { Slices } from '../../base/slices.ts';
import { flagsAt, flagsLine, permanentFlagsLine } from '../response/flags.ts';
import { formatSet } from '../syntax/sequence-set.ts';
import type { Context } from './context.ts';

/**
 * Tells the client what others did to the selected folder: before each tagged answer, and during IDLE. Mails that have
 * gone are told where `mayExpunge` (RFC 9051 §7.5.1: not while FETCH, STORE or SEARCH run with message numbers).
 * `asked`: the client waits for news (NOOP, CHECK, IDLE), rather than for the answer to something else.
 */
export async function writeUpdates(context: Context, mayExpunge: boolean, asked: boolean): Promise<void> {
  const { view, out } = context;
  if (!view?.stale || view.gone) return;
  const slices = new Slices(1);
  if (slices.over) await slices.pause(); // a change is told to all sessions at the same moment
  if (view !== context.view || view.gone) return;
  // RFC 7162: who has been told of a mod-sequence takes it that he knows all that went before it. What changes while we
  // tell comes the next time, behind what has gone meanwhile.
  const upto = view.folder.highestModSeq;
  const moved = view.moveOn(mayExpunge);
  const changed = view.takeChanged();
  if (moved && moved.gone.length > 0) await writeGone(context, moved.gone, moved.before);
  if (moved && moved.added > 0) {
    out.line(`* ${view.count} EXISTS`);
    view.toldInPassing ||= !asked;
  }
  writeKeywords(context);
  for (const uid of changed) {
    if (slices.over) await slices.pause();
    const number = view.numberOf(uid);
    const index = view.folderIndex(number - 1);
    if (index < 0 || view.folder.modSeqAt(index) > upto) continue;
    writeFlags(context, number, uid);
    await context.flushIfFull();
  }
  if (moved && moved.added > 0 && !view.readOnly) await takeNew(context);
}

/** The client has seen that new mails are there. If that cannot be noted on the disk, it is told of them all the same. */
export async function takeNew({ selected, deps }: Context): Promise<void> {
  try {
    await selected.folder.takeNew();
  } catch (error) {
    deps.log.warn('imap.take-new-failed', { error: errorField(error) });
  }
}

/** RFC 9051 §7.3.5: new keywords are announced before a mail has them. */
export function writeKeywords({ view, out }: Context): void {
  const keywords = view?.folder.keywords;
  if (!view || !keywords || view.keywords === keywords) return;
  const known = view.keywords;
  view.keywords = keywords;
  if (known.length === keywords.length && keywords.every((each, i) => each === known[i])) return;
  out.line(flagsLine(view.keywords));
  out.line(permanentFlagsLine(view.folder, view.readOnly));
}

/** `* 5 FETCH (FLAGS (…))`, with UID and MODSEQ as RFC 7162 §3.1 wants them; nothing if the mail has gone. */
export function writeFlags({ view, out, condstore }: Context, number: number, uid: number, withUid = condstore): void {
  const index = view!.folderIndex(number - 1);
  if (index < 0) return;
  const uidItem = withUid ? `UID ${uid} ` : '';
  const modSeq = condstore ? ` MODSEQ (${view!.folder.modSeqAt(index)})` : '';
  out.line(`* ${number} FETCH (${uidItem}FLAGS ${flagsAt(view!.folder, index)}${modSeq})`);
}

/** EXPUNGE: each number is as of the ones told before. VANISHED (RFC 7162 §3.2.10) names UIDs. */
async function writeGone(context: Context, positions: readonly number[], uids: Uint32Array): Promise<void> {
  if (context.qresync) {
    context.out.line(`* VANISHED ${formatSet(positions.map((position) => uids[position]!))}`);
    return;
  }
  const slices = new Slices();
  for (const [told, position] of positions.entries()) {
    if (slices.over) await slices.pause();
    context.out.text(`* ${position + 1 - told} EXPUNGE\r\n`);
    await context.flushIfFull();
  }
}
