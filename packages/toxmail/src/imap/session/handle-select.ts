import type { Folder } from '../../mailbox/types.ts';
import type { SelectCommand } from '../command/select.ts';
import { firstUnseen, flagsLine, permanentFlagsLine } from '../response/flags.ts';
import { positionOf } from '../syntax/sequence-set.ts';
import type { Context } from './context.ts';
import { bad, no } from './errors.ts';
import { writeListLine } from './handle-list.ts';
import { MailboxView } from './mailbox-view.ts';
import { takeNew, writeFlags } from './updates.ts';
import { writeVanishedEarlier } from './vanished.ts';

/** RFC 9051 §6.3.2, §6.3.3; RFC 7162 §3.1.8, §3.2.5; RFC 8474 §4.2. */
export async function handleSelect(context: Context, command: SelectCommand): Promise<string> {
  const { out } = context;
  if (command.qresync && !context.qresync) throw bad('ENABLE QRESYNC first');
  if (context.view) {
    context.deselect();
    out.line('* OK [CLOSED] The folder before is closed');
  }
  if (command.condstore) context.enableCondstore();
  const name = context.nameFrom(command.mailbox);
  const readOnly = command.verb === 'EXAMINE';
  const folder = await context.store.folder(name);
  if (!folder) throw no('There is no such folder', 'NONEXISTENT');
  const view = new MailboxView(folder, readOnly); // listens from now on, so the folder stays loaded
  context.view = view;
  writeState(context, folder, readOnly);
  const info = (await context.store.folders()).find((each) => each.name === name);
  if (info && context.rev2) writeListLine(context, info);
  if (command.qresync?.uidValidity === folder.uidValidity) await writeMissed(context, command.qresync);
  if (!readOnly) await takeNew(context);
  return readOnly ? '[READ-ONLY] Opened to read' : '[READ-WRITE] Opened';
}

function writeState({ out, rev2, view }: Context, folder: Folder, readOnly: boolean): void {
  out.line(flagsLine(folder.keywords));
  out.line(permanentFlagsLine(folder, readOnly));
  out.line(`* ${view!.count} EXISTS`);
  if (!rev2) {
    out.line('* 0 RECENT');
    const unseen = firstUnseen(folder);
    if (unseen > 0) out.line(`* OK [UNSEEN ${unseen}] The first that was not seen`);
  }
  out.line(`* OK [UIDVALIDITY ${folder.uidValidity}] UIDs are valid`);
  out.line(`* OK [UIDNEXT ${folder.uidNext}] The next UID`);
  out.line(`* OK [HIGHESTMODSEQ ${folder.highestModSeq}] The latest change`);
  out.line(`* OK [MAILBOXID (${folder.mailboxId})] The folder's id`);
}

/** RFC 7162 §3.2.5: what happened since the client was here. */
async function writeMissed(
  context: Context,
  { modSeq, knownUids }: NonNullable<SelectCommand['qresync']>,
): Promise<void> {
  const view = context.selected;
  await writeVanishedEarlier(context, modSeq, knownUids ?? [[1, 0xffff_ffff]]);
  const { folder, uids } = view;
  const known = knownUids && view.uidsOf(view.resolve(knownUids, true));
  for (let position = 0; position < uids.length; position++) {
    const index = view.folderIndex(position);
    if (index < 0 || folder.modSeqAt(index) <= modSeq) continue;
    if (known && positionOf(known, uids[position]!) < 0) continue;
    writeFlags(context, position + 1, uids[position]!, true);
    await context.flushIfFull();
  }
}
