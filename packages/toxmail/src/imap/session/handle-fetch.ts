import { Slices } from '../../base/slices.ts';
import {
  FLAG,
  type Folder,
  type MessageReader,
  type MessageRecord,
  type Section,
  type Wanted,
} from '../../mailbox/types.ts';
import type { BinaryItem, FetchCommand, Partial, PlainItem, SectionItem } from '../command/fetch.ts';
import { flagsAt } from '../response/flags.ts';
import { formatDateTime } from '../syntax/date-time.ts';
import { quoted } from '../syntax/encoder.ts';
import type { Context } from './context.ts';
import { ConnectionLost, ImapError, no } from './errors.ts';
import type { MailboxView } from './mailbox-view.ts';
import { writeVanishedEarlier } from './vanished.ts';

/**
 * Mails that are marked \Seen at once before their texts are sent. A client that leaves in between has so many marked
 * that it did not get; one by one, each would wait for the disk.
 */
const SEEN_BATCH = 32;

/** Of one mail, what its items are made of. */
interface Mail {
  readonly folder: Folder;
  /** In the folder. */
  readonly index: number;
  readonly uid: number;
  /** Undefined if no item needs one. */
  readonly record: MessageRecord | undefined;
  readonly utf8: boolean;
}

/** How each item stands in the answer. */
const ITEMS: Record<PlainItem, (mail: Mail) => string> = {
  UID: ({ uid }) => `UID ${uid}`,
  FLAGS: ({ folder, index }) => `FLAGS ${flagsAt(folder, index)}`,
  MODSEQ: ({ folder, index }) => `MODSEQ (${folder.modSeqAt(index)})`,
  SAVEDATE: ({ folder, index }) => `SAVEDATE ${formatDateTime(folder.savedAtAt(index))}`,
  INTERNALDATE: ({ record }) => `INTERNALDATE ${formatDateTime(record!.internalDateMs)}`,
  'RFC822.SIZE': ({ record }) => `RFC822.SIZE ${record!.size}`,
  ENVELOPE: ({ record }) => `ENVELOPE ${record!.envelope}`,
  BODY: ({ record }) => `BODY ${record!.body}`,
  BODYSTRUCTURE: ({ record }) => `BODYSTRUCTURE ${record!.bodyStructure}`,
  PREVIEW: ({ record, utf8 }) => `PREVIEW ${quoted(record!.preview ?? '', utf8)}`,
  EMAILID: ({ record }) => `EMAILID (${record!.emailId})`,
  THREADID: ({ record }) => `THREADID ${record!.threadId === undefined ? 'NIL' : `(${record!.threadId})`}`,
};
const ORDER = Object.keys(ITEMS) as PlainItem[];
const OF_THE_FOLDER: ReadonlySet<PlainItem> = new Set(['UID', 'FLAGS', 'MODSEQ', 'SAVEDATE']);

/** What a FETCH needs, sorted by where it comes from. */
interface Plan {
  /** In the order of ORDER, each once. */
  readonly items: readonly PlainItem[];
  /** The same with what must be told when the mail was not \Seen before. */
  readonly itemsIfSeen: readonly PlainItem[];
  /** Undefined: no parsed parts are needed. */
  readonly wanted: Wanted | undefined;
  /** The one selection of header fields that the index has at hand. */
  readonly headerFields: SectionItem | undefined;
  /** What is read from the mail itself. */
  readonly sections: readonly (SectionItem | BinaryItem)[];
  readonly marksSeen: boolean;
}

/** RFC 9051 §6.4.5, RFC 7162 §3.1.4, RFC 8970, RFC 8474 §5, RFC 8514. */
export async function handleFetch(context: Context, command: FetchCommand): Promise<string> {
  const view = context.selected;
  const { folder } = view;
  const { changedSince } = command;
  if (changedSince !== undefined || command.items.some(({ item }) => item === 'MODSEQ')) context.enableCondstore();
  const plan = planOf(command, view, context.condstore);
  let uids = view.uidsOf(view.resolve(command.set, command.uid));
  if (changedSince !== undefined) {
    uids = uids.filter((uid) => {
      const index = folder.indexOf(uid);
      return index >= 0 && folder.modSeqAt(index) > changedSince;
    });
    if (command.vanished) await writeVanishedEarlier(context, changedSince, command.set);
  }
  let written = 0;
  const batch = plan.marksSeen ? SEEN_BATCH : Math.max(uids.length, 1);
  for (let at = 0; at < uids.length; at += batch) {
    const some = uids.subarray(at, at + batch);
    try {
      const seen = plan.marksSeen ? await markSeen(view, some) : NOBODY;
      written += await (plan.wanted ? fetchRecords : fetchPlain)(context, plan, some, seen);
    } catch (error) {
      view.untold(); // some may be \Seen that were not sent
      throw error;
    }
  }
  if (written < uids.length && !command.uid) throw no('Some of the mails have gone', 'EXPUNGEISSUED');
  return 'Done';
}

function planOf(command: FetchCommand, view: MailboxView, condstore: boolean): Plan {
  const items = new Set<PlainItem>();
  let headerFields: SectionItem | undefined;
  const sections: (SectionItem | BinaryItem)[] = [];
  for (const item of command.items) {
    if (item.item === 'section' && !headerFields && item.path.length === 0 && item.text?.startsWith('HEADER.FIELDS')) {
      headerFields = item;
    } else if (item.item === 'section' || item.item === 'binary' || item.item === 'binary-size') sections.push(item);
    else items.add(item.item);
  }
  if (command.uid) items.add('UID');
  if (command.changedSince !== undefined) items.add('MODSEQ');
  const ifSeen = new Set<PlainItem>([...items, 'FLAGS', ...(condstore ? (['MODSEQ'] as const) : [])]);
  const all = headerFields ? [...sections, headerFields] : sections;
  return {
    items: ORDER.filter((item) => items.has(item)),
    itemsIfSeen: ORDER.filter((item) => ifSeen.has(item)),
    wanted: wantedOf(items, headerFields),
    headerFields,
    sections,
    marksSeen: !view.readOnly && all.some((section) => !section.peek),
  };
}

function wantedOf(items: ReadonlySet<PlainItem>, headerFields: SectionItem | undefined): Wanted | undefined {
  if (!headerFields && [...items].every((item) => OF_THE_FOLDER.has(item))) return undefined;
  return {
    envelope: items.has('ENVELOPE'),
    body: items.has('BODY'),
    bodyStructure: items.has('BODYSTRUCTURE'),
    preview: items.has('PREVIEW'),
    objectIds: items.has('EMAILID') || items.has('THREADID'),
    ...(headerFields && {
      headerFields: { names: headerFields.fields, not: headerFields.text === 'HEADER.FIELDS.NOT' },
    }),
  };
}

const NOBODY: ReadonlySet<number> = new Set();

/** Marks the mails \Seen; those that were not are told with their flags. */
async function markSeen(view: MailboxView, uids: Uint32Array): Promise<ReadonlySet<number>> {
  const { folder } = view;
  const unseen = uids.filter((uid) => {
    const index = folder.indexOf(uid);
    return index >= 0 && !(folder.flagsAt(index) & FLAG.seen);
  });
  if (unseen.length === 0) return NOBODY;
  const { changed } = await folder.storeFlags(unseen, { mode: 'add', flags: ['\\Seen'], by: view });
  return new Set(changed);
}

/** How many mails were still there. */
async function fetchPlain(context: Context, plan: Plan, uids: Uint32Array, seen: ReadonlySet<number>): Promise<number> {
  let written = 0;
  let position = context.selected.numberOf(uids[0]!) - 1;
  const slices = new Slices();
  for (const uid of uids) {
    if (slices.over) await slices.pause();
    position = context.selected.positionAfter(position, uid);
    if (plan.sections.length > 0) {
      if (await writeWithSections(context, plan, position, undefined, seen)) written++;
    } else if (writePlain(context, plan, position, undefined, seen)) written++;
    if (context.out.full) await context.flush();
  }
  return written;
}

async function fetchRecords(
  context: Context,
  plan: Plan,
  uids: Uint32Array,
  seen: ReadonlySet<number>,
): Promise<number> {
  let written = 0;
  let position = 0;
  const slices = new Slices();
  for await (const records of context.selected.folder.records(uids, plan.wanted!)) {
    for (const record of records) {
      if (slices.over) await slices.pause();
      position = context.selected.positionAfter(position, record.uid);
      if (plan.sections.length > 0) {
        if (await writeWithSections(context, plan, position, record, seen)) written++;
      } else if (writePlain(context, plan, position, record, seen)) written++;
      if (context.out.full) await context.flush();
    }
  }
  return written;
}

/** An answer that is at hand. False if the mail has gone; nothing is written then. */
function writePlain(
  context: Context,
  plan: Plan,
  position: number,
  record: MessageRecord | undefined,
  seen: ReadonlySet<number>,
): boolean {
  if (!writeItems(context, plan, position, record, seen)) return false;
  context.out.text(')\r\n');
  return true;
}

/** `* 5 FETCH (UID 7 FLAGS (…) …` up to what is read from the mail itself. */
function writeItems(
  { selected: view, out, utf8 }: Context,
  { items, itemsIfSeen, headerFields, sections }: Plan,
  position: number,
  record: MessageRecord | undefined,
  seen: ReadonlySet<number>,
): boolean {
  const index = view.folderIndex(position);
  if (index < 0) return false;
  const uid = view.uids[position]!;
  const mail: Mail = { folder: view.folder, index, uid, record, utf8 };
  let text = `* ${position + 1} FETCH (`;
  let gap = '';
  for (const item of seen.has(uid) ? itemsIfSeen : items) {
    text += gap + ITEMS[item](mail);
    gap = ' ';
  }
  if (headerFields && record) {
    const all = record.headerFields ?? new Uint8Array(0);
    const { from, to } = cut(headerFields.partial, all.length);
    out.text(`${text}${gap}${labelOf(headerFields)} {${to - from}}\r\n`);
    out.bytes(all.subarray(from, to));
    if (sections.length > 0) out.text(' ');
  } else out.text(sections.length > 0 ? text + gap : text);
  return true;
}

/** The same with what is read from the mail. */
async function writeWithSections(
  context: Context,
  plan: Plan,
  position: number,
  record: MessageRecord | undefined,
  seen: ReadonlySet<number>,
): Promise<boolean> {
  const reader = await context.selected.folder.open(context.selected.uids[position]!);
  if (!reader) return false;
  try {
    if (!writeItems(context, plan, position, record, seen)) return false;
    for (const [i, section] of plan.sections.entries()) {
      if (i > 0) context.out.text(' ');
      await (section.item === 'section'
        ? writeSection(context, reader, section)
        : writeBinary(context, reader, section));
    }
    context.out.text(')\r\n');
    return true;
  } catch (error) {
    // In the midst of a response there is no way back to where an answer could stand.
    if (error instanceof ImapError) throw error;
    throw new ConnectionLost('a mail could not be sent to its end', { cause: error });
  } finally {
    await reader.close();
  }
}

async function writeSection(context: Context, reader: MessageReader, item: SectionItem): Promise<void> {
  if (item.text?.startsWith('HEADER.FIELDS')) {
    const fields = await reader.headerFields(item.path, item.fields, item.text === 'HEADER.FIELDS.NOT');
    const section = fields && {
      size: fields.length,
      read: (from = 0, to = fields.length) => once(fields.subarray(from, to)),
    };
    return writeLiteral(context, item, section, '');
  }
  const what =
    item.text === 'MIME' ? 'mime' : item.text === 'HEADER' ? 'header' : item.text === 'TEXT' ? 'text' : 'all';
  return writeLiteral(context, item, await reader.section(item.path, what), '');
}

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes;
}

/** RFC 3516 §4.2, §4.3. */
async function writeBinary(context: Context, reader: MessageReader, item: BinaryItem): Promise<void> {
  const section = await reader.binary(item.path);
  if (section === 'unknown-cte') {
    // What was begun is finished, so that the client can go on; then the command fails.
    context.out.line(`${labelOf(item)} ${item.item === 'binary' ? 'NIL' : 0})`);
    throw no('That part is coded in a way that is not known', 'UNKNOWN-CTE');
  }
  if (item.item === 'binary-size') context.out.text(`${item.label} ${section?.size ?? 0}`);
  else await writeLiteral(context, item, section, '~');
}

/** A string of the mail as a literal, streamed; NIL if there is no such part. */
async function writeLiteral(
  context: Context,
  item: SectionItem | BinaryItem,
  section: Section | undefined,
  prefix: '' | '~',
): Promise<void> {
  const { out } = context;
  if (!section) return out.text(`${labelOf(item)} NIL`);
  const { from, to } = cut(item.partial, section.size);
  out.text(`${labelOf(item)} ${prefix}{${to - from}}\r\n`);
  let left = to - from;
  if (left === 0) return;
  for await (const piece of section.read(from, to)) {
    left -= piece.length;
    if (left < 0) break;
    out.bytes(piece);
    await context.flushIfFull();
  }
  // The size was promised, and it is not what the file has now: nothing after it could be understood.
  if (left !== 0) throw new ConnectionLost('a mail changed while it was sent');
}

/** RFC 9051 §6.4.5.1: the answer names the first octet. */
function labelOf({ label, partial }: SectionItem | BinaryItem): string {
  return partial ? `${label}<${partial.offset}>` : label;
}

function cut(partial: Partial | undefined, size: number): { from: number; to: number } {
  if (!partial) return { from: 0, to: size };
  const from = Math.min(partial.offset, size);
  return { from, to: Math.min(from + partial.count, size) };
}
