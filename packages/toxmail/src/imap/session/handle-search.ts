import type { SearchKey, Thread, UidRange } from '../../mailbox/types.ts';
import type { ReturnOption, SearchCommand, SearchProgram, SortCommand, ThreadCommand } from '../command/search.ts';
import { writeThreads } from '../response/thread.ts';
import { quoted } from '../syntax/encoder.ts';
import { formatSet } from '../syntax/sequence-set.ts';
import type { Context } from './context.ts';
import { no } from './errors.ts';
import type { MailboxView } from './mailbox-view.ts';

/** RFC 9051 §6.4.4, RFC 3501 §6.4.4, RFC 7162 §3.1.5. */
export async function handleSearch(context: Context, command: SearchCommand, tag: string): Promise<string> {
  const view = context.selected;
  const results = command.results ?? (context.rev2 ? ONLY_ALL : undefined);
  if (usesModSeq(command.program)) context.enableCondstore();
  let found: Found;
  try {
    context.checkCharset(command.charset);
    found = await searched(view, command.program);
  } catch (error) {
    if (results?.has('SAVE')) view.saved = NO_UIDS; // RFC 5182 §2.1
    throw error;
  }
  const { uids } = found;
  if (results?.has('SAVE')) view.saved = savedOf(uids, results);
  const numbers = command.uid ? uids : found.positions.map((position) => position + 1);
  const modSeq = usesModSeq(command.program) ? highestModSeq(view, uids, results) : 0;
  if (results) return writeExtended(context, { tag, uid: command.uid, results, numbers, modSeq });
  const modSeqText = modSeq > 0 ? ` (MODSEQ ${modSeq})` : '';
  const list = numbers.length > 0 ? ` ${numbers.join(' ')}` : '';
  context.out.line(`* SEARCH${list}${modSeqText}`);
  return 'Done';
}

/** RFC 5256 §BASE.6.4.SORT, RFC 5267 §3 (ESORT). */
export async function handleSort(context: Context, command: SortCommand, tag: string): Promise<string> {
  const view = context.selected;
  context.checkCharset(command.charset);
  const { uids: found } = await searched(view, command.program);
  const sorted = await view.folder.sort(found, command.criteria);
  if (command.results?.has('SAVE')) view.saved = found;
  const uids = sorted.filter((uid) => view.numberOf(uid) > 0);
  const numbers = command.uid ? uids : uids.map((uid) => view.numberOf(uid));
  if (command.results)
    return writeExtended(context, { tag, uid: command.uid, results: command.results, numbers, modSeq: 0 });
  context.out.line(['* SORT', ...numbers].join(' '));
  return 'Done';
}

/** RFC 5256 §BASE.6.4.THREAD */
export async function handleThread(context: Context, command: ThreadCommand): Promise<string> {
  const view = context.selected;
  const algorithm = (['REFERENCES', 'ORDEREDSUBJECT'] as const).find((each) => each === command.algorithm);
  if (!algorithm) throw no('Only REFERENCES and ORDEREDSUBJECT are known', 'CANNOT');
  context.checkCharset(command.charset);
  const { uids } = await searched(view, command.program);
  const threads: readonly Thread[] = await view.folder.thread(uids, algorithm);
  context.out.text('* THREAD');
  if (threads.length > 0) context.out.text(' ');
  writeThreads(context.out, threads, (uid) => (command.uid ? uid : view.numberOf(uid)));
  context.out.text('\r\n');
  return 'Done';
}

/** Both ascend, and are of the same mails. */
interface Found {
  readonly uids: Uint32Array;
  /** In the view. */
  readonly positions: Uint32Array;
}

/** The mails found that the client knows of. */
async function searched(view: MailboxView, program: SearchProgram): Promise<Found> {
  const found = await view.folder.search(keyOf(view, program));
  const positions = view.positionsOf(found);
  const uids = positions.length === found.length ? found : positions.map((position) => view.uids[position]!);
  return { uids, positions };
}

/** The client's numbers become UIDs: what lies between two positions of its view is in between their UIDs as well. */
function keyOf(view: MailboxView, program: SearchProgram): SearchKey {
  switch (program.key) {
    case 'and':
    case 'or':
      return { key: program.key, of: program.of.map((each) => keyOf(view, each)) };
    case 'not':
      return { key: 'not', of: keyOf(view, program.of) };
    case 'numbers':
    case 'uids': {
      const spans = view.resolve(program.set, program.key === 'uids');
      return { key: 'uid', ranges: spans.map(({ from, to }): UidRange => [view.uids[from]!, view.uids[to - 1]!]) };
    }
  }
  return program;
}

function usesModSeq(program: SearchProgram): boolean {
  if (program.key === 'and' || program.key === 'or') return program.of.some(usesModSeq);
  return program.key === 'not' ? usesModSeq(program.of) : program.key === 'modseq';
}

/** RFC 7162 §3.1.5, RFC 4731 §3.2: of all mails found, or of the one or two that are returned. */
function highestModSeq(view: MailboxView, uids: Uint32Array, results: ReadonlySet<ReturnOption> | undefined): number {
  const { folder } = view;
  let highest = 0;
  for (const uid of results ? savedOf(uids, results) : uids) {
    const index = folder.indexOf(uid);
    if (index >= 0) highest = Math.max(highest, folder.modSeqAt(index));
  }
  return highest;
}

/** RFC 5182 §2.1: what `$` is after SAVE together with other options. */
function savedOf(uids: Uint32Array, results: ReadonlySet<ReturnOption>): Uint32Array {
  const min = results.has('MIN');
  const max = results.has('MAX');
  if (results.has('ALL') || results.has('COUNT') || (!min && !max)) return uids;
  return Uint32Array.from(new Set([...(min ? uids.subarray(0, 1) : []), ...(max ? uids.subarray(-1) : [])]));
}

interface Extended {
  readonly tag: string;
  readonly uid: boolean;
  readonly results: ReadonlySet<ReturnOption>;
  /** In the order of the answer. */
  readonly numbers: Uint32Array;
  readonly modSeq: number;
}

/** RFC 9051 §7.3.4 `"ESEARCH" [search-correlator] [SP "UID"] *(SP search-return-data)` */
function writeExtended(context: Context, { tag, uid, results, numbers, modSeq }: Extended): string {
  const found = numbers.length > 0;
  const parts = [`* ESEARCH (TAG ${quoted(tag)})`];
  if (uid) parts.push('UID');
  if (results.has('MIN') && found) parts.push(`MIN ${least(numbers)}`);
  if (results.has('MAX') && found) parts.push(`MAX ${most(numbers)}`);
  if (results.has('ALL') && found) parts.push(`ALL ${formatSet(numbers)}`);
  if (results.has('COUNT')) parts.push(`COUNT ${numbers.length}`);
  if (modSeq > 0) parts.push(`MODSEQ ${modSeq}`);
  // RFC 5182 §2.1: with SAVE alone there is nothing to say.
  if (results.size > 1 || !results.has('SAVE')) context.out.line(parts.join(' '));
  return 'Done';
}

const least = (numbers: Uint32Array): number => numbers.reduce((a, b) => Math.min(a, b));
const most = (numbers: Uint32Array): number => numbers.reduce((a, b) => Math.max(a, b));

const ONLY_ALL: ReadonlySet<ReturnOption> = new Set(['ALL']);
const NO_UIDS = new Uint32Array(0);
