import { FLAG, type MessageReader, type MessageRecord, type Section, type Wanted } from '../../mailbox/types.ts';
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

/** What a FETCH needs, sorted by where it comes from. */
interface Plan {
  readonly uid: boolean;
  readonly items: ReadonlySet<PlainItem>;
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
  const plan = planOf(command, view);
  if (plan.items.has('MODSEQ')) context.condstore = true;
  let uids = view.uidsOf(view.resolve(command.set, command.uid));
  const { changedSince } = command;
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
    const seen = plan.marksSeen ? await markSeen(view, some) : NOBODY;
    written += await (plan.wanted ? fetchRecords : fetchPlain)(context, plan, some, seen);
  }
  if (written < uids.length && !command.uid) throw no('Some of the mails have gone', 'EXPUNGEISSUED');
  return 'Done';
}

function planOf(command: FetchCommand, view: MailboxView): Plan {
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
  const all = headerFields ? [...sections, headerFields] : sections;
  return {
    uid: command.uid,
    items,
    wanted: wantedOf(items, headerFields),
    headerFields,
    sections,
    marksSeen: !view.readOnly && all.some((section) => !section.peek),
  };
}

const OF_RECORDS: readonly PlainItem[] = [
  'BODY',
  'BODYSTRUCTURE',
  'EMAILID',
  'ENVELOPE',
  'INTERNALDATE',
  'PREVIEW',
  'RFC822.SIZE',
  'THREADID',
];

function wantedOf(items: ReadonlySet<PlainItem>, headerFields: SectionItem | undefined): Wanted | undefined {
  if (!headerFields && !OF_RECORDS.some((item) => items.has(item))) return undefined;
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
  const { out } = context;
  let written = 0;
  for (const uid of uids) {
    if (plan.sections.length > 0) {
      if (await writeWithSections(context, plan, uid, undefined, seen.has(uid))) written++;
      continue;
    }
    const text = plainItems(context, plan, uid, undefined, false);
    if (text === undefined) continue;
    out.text(`${text})\r\n`);
    written++;
    if (out.full) await context.flush();
  }
  return written;
}

async function fetchRecords(
  context: Context,
  plan: Plan,
  uids: Uint32Array,
  seen: ReadonlySet<number>,
): Promise<number> {
  const { out } = context;
  let written = 0;
  for await (const records of context.selected.folder.records(uids, plan.wanted!)) {
    for (const record of records) {
      const { uid } = record;
      if (plan.sections.length > 0) {
        if (await writeWithSections(context, plan, uid, record, seen.has(uid))) written++;
        continue;
      }
      const text = plainItems(context, plan, uid, record, seen.has(uid));
      if (text === undefined) continue;
      out.text(text);
      writeHeaderFields(context, plan, record);
      out.text(')\r\n');
      written++;
      if (out.full) await context.flush();
    }
  }
  return written;
}

/** `* 5 FETCH (UID 7 FLAGS (…) …` up to what comes as literals. Undefined if the mail has gone. */
function plainItems(
  { selected: view, condstore, utf8 }: Context,
  { items }: Plan,
  uid: number,
  record: MessageRecord | undefined,
  newlySeen: boolean,
): string | undefined {
  const number = view.numberOf(uid);
  const index = number > 0 ? view.folderIndex(number - 1) : -1;
  if (index < 0) return undefined;
  const { folder } = view;
  let text = `* ${number} FETCH (`;
  const begun = text.length;
  const add = (item: string): void => {
    text += text.length === begun ? item : ` ${item}`;
  };
  if (items.has('UID')) add(`UID ${uid}`);
  if (items.has('FLAGS') || newlySeen) add(`FLAGS ${flagsAt(folder, index)}`);
  if (items.has('MODSEQ') || (newlySeen && condstore)) add(`MODSEQ (${folder.modSeqAt(index)})`);
  if (items.has('SAVEDATE')) add(`SAVEDATE ${formatDateTime(folder.savedAtAt(index))}`);
  if (!record) return text;
  if (items.has('INTERNALDATE')) add(`INTERNALDATE ${formatDateTime(record.internalDateMs)}`);
  if (items.has('RFC822.SIZE')) add(`RFC822.SIZE ${record.size}`);
  if (items.has('ENVELOPE')) add(`ENVELOPE ${record.envelope}`);
  if (items.has('BODY')) add(`BODY ${record.body}`);
  if (items.has('BODYSTRUCTURE')) add(`BODYSTRUCTURE ${record.bodyStructure}`);
  if (items.has('PREVIEW')) add(`PREVIEW ${quoted(record.preview ?? '', utf8)}`);
  if (items.has('EMAILID')) add(`EMAILID (${record.emailId})`);
  if (items.has('THREADID')) add(record.threadId === undefined ? 'THREADID NIL' : `THREADID (${record.threadId})`);
  return text;
}

function writeHeaderFields({ out }: Context, { headerFields, items }: Plan, record: MessageRecord): void {
  if (!headerFields) return;
  const all = record.headerFields ?? new Uint8Array(0);
  const { from, to } = cut(headerFields.partial, all.length);
  out.text(`${items.size > 0 ? ' ' : ''}${labelOf(headerFields)} {${to - from}}\r\n`);
  out.bytes(all.subarray(from, to));
}

/** False if the mail has gone; nothing was written then. */
async function writeWithSections(
  context: Context,
  plan: Plan,
  uid: number,
  record: MessageRecord | undefined,
  newlySeen: boolean,
): Promise<boolean> {
  const reader = await context.selected.folder.open(uid);
  if (!reader) return false;
  try {
    const text = plainItems(context, plan, uid, record, newlySeen);
    if (text === undefined) return false;
    context.out.text(text);
    if (record) writeHeaderFields(context, plan, record);
    let first = text.endsWith('(') && !plan.headerFields;
    for (const section of plan.sections) {
      if (!first) context.out.text(' ');
      first = false;
      await (section.item === 'section'
        ? writeSection(context, reader, section)
        : writeBinary(context, reader, section));
    }
    context.out.text(')\r\n');
    await context.flushIfFull();
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
