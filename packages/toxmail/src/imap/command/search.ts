import type { SearchKey, SortKey } from '../../mailbox/types.ts';
import { SEARCH_DEPTH_MAX } from '../limits.ts';
import { readDate } from '../syntax/date-time.ts';
import type { Decoder } from '../syntax/decoder.ts';
import type { MessageSet } from '../syntax/sequence-set.ts';
import { readFlag } from './arguments.ts';

type Leaf = Exclude<SearchKey, { readonly key: 'and' | 'or' | 'not' | 'uid' }>;

/**
 * RFC 9051 §6.4.4, RFC 5032 (WITHIN), RFC 7162 (MODSEQ), RFC 8474 (ids), RFC 8514 (SAVEDATE): as the mailbox searches, but
 * with the client's numbers where that has UIDs.
 */
export type SearchProgram =
  | Leaf
  | { readonly key: 'and' | 'or'; readonly of: readonly SearchProgram[] }
  | { readonly key: 'not'; readonly of: SearchProgram }
  | { readonly key: 'numbers' | 'uids'; readonly set: MessageSet };

/** RFC 4731, RFC 5182. */
export type ReturnOption = 'MIN' | 'MAX' | 'ALL' | 'COUNT' | 'SAVE';

export interface SearchCommand {
  readonly verb: 'SEARCH';
  readonly uid: boolean;
  /** Undefined: the client did not say RETURN. */
  readonly results: ReadonlySet<ReturnOption> | undefined;
  readonly charset: string | undefined;
  readonly program: SearchProgram;
}

export interface SortCommand {
  readonly verb: 'SORT';
  readonly uid: boolean;
  /** RFC 5267, ESORT */
  readonly results: ReadonlySet<ReturnOption> | undefined;
  readonly criteria: readonly SortKey[];
  readonly charset: string;
  readonly program: SearchProgram;
}

export interface ThreadCommand {
  readonly verb: 'THREAD';
  readonly uid: boolean;
  readonly algorithm: string;
  readonly charset: string;
  readonly program: SearchProgram;
}

/** `search = "SEARCH" [SP search-return-opts] SP search-program`, `search-program = ["CHARSET" SP charset SP] search-key *(SP search-key)` */
export function readSearch(d: Decoder, uid: boolean): SearchCommand {
  d.space();
  const results = readReturn(d);
  let charset: string | undefined;
  if (d.skipWord('CHARSET ')) {
    charset = d.astring().toUpperCase();
    d.space();
  }
  return { verb: 'SEARCH', uid, results, charset, program: readProgram(d) };
}

/** `sort = "SORT" [SP search-return-opts] SP sort-criteria SP search-criteria` */
export function readSort(d: Decoder, uid: boolean): SortCommand {
  d.space();
  const results = readReturn(d);
  const criteria: SortKey[] = [];
  d.list(() => {
    if (criteria.length === CRITERIA_MAX) d.fail('too many criteria');
    const reverse = d.skipWord('REVERSE ');
    const word = d.word();
    const key = SORT_KEYS.find((each) => each === word.toLowerCase());
    if (key) criteria.push({ key, reverse });
    else d.fail('no such sort key');
  });
  if (criteria.length === 0) d.fail('sort key expected');
  d.space();
  const charset = d.astring().toUpperCase();
  d.space();
  return { verb: 'SORT', uid, results, criteria, charset, program: readProgram(d) };
}

/** `thread = "THREAD" SP thread-alg SP search-criteria` */
export function readThread(d: Decoder, uid: boolean): ThreadCommand {
  d.space();
  const algorithm = d.keyword();
  d.space();
  const charset = d.astring().toUpperCase();
  d.space();
  return { verb: 'THREAD', uid, algorithm, charset, program: readProgram(d) };
}

/** `search-return-opts = "RETURN" SP "(" [search-return-opt *(SP search-return-opt)] ")"`, and the space after it. */
function readReturn(d: Decoder): Set<ReturnOption> | undefined {
  if (!d.skipWord('RETURN (')) return undefined;
  const results = new Set<ReturnOption>();
  while (!d.atEnd && !d.skip(')')) {
    const option = d.word();
    if (!RETURN_OPTIONS.has(option)) d.fail('no such RETURN option');
    results.add(option as ReturnOption);
    d.skipSpace();
  }
  d.space();
  if (results.size === 0) results.add('ALL'); // RFC 4731 §3.1
  return results;
}

function readProgram(d: Decoder): SearchProgram {
  const keys = readKeys(d, 0);
  return keys.length === 1 ? keys[0]! : { key: 'and', of: keys };
}

function readKeys(d: Decoder, depth: number): SearchProgram[] {
  const keys: SearchProgram[] = [];
  do keys.push(readKey(d, depth));
  while (d.skipSpace());
  return keys;
}

/** `search-key`; `"(" search-key *(SP search-key) ")"` */
function readKey(d: Decoder, depth: number): SearchProgram {
  if (depth > SEARCH_DEPTH_MAX) d.fail('search is nested too deep');
  if (d.skip('(')) {
    const keys = readKeys(d, depth + 1);
    d.expect(')');
    return { key: 'and', of: keys };
  }
  const next = d.peek();
  if ((next >= 0x30 && next <= 0x39) || next === 0x2a || next === 0x24) return { key: 'numbers', set: d.messageSet() };
  const word = d.word();
  if (d.failure !== undefined) return ALL;
  const simple = SIMPLE[word];
  if (simple) return simple;
  d.space();
  if (word === 'NOT') return { key: 'not', of: readKey(d, depth + 1) };
  if (word === 'OR') {
    const first = readKey(d, depth + 1);
    d.space();
    return { key: 'or', of: [first, readKey(d, depth + 1)] };
  }
  return readKeyWithValue(d, word);
}

function readKeyWithValue(d: Decoder, word: string): SearchProgram {
  const date = DATES[word];
  if (date) return { key: date[1], date: date[0], day: readDate(d) };
  switch (word) {
    case 'BCC':
    case 'CC':
    case 'FROM':
    case 'SUBJECT':
    case 'TO':
      return { key: 'header', name: word, text: d.astring() };
    case 'HEADER': {
      const name = d.astring();
      d.space();
      return { key: 'header', name, text: d.astring() };
    }
    case 'BODY':
    case 'TEXT':
      return { key: word === 'BODY' ? 'body' : 'text', text: d.astring() };
    case 'KEYWORD':
      return { key: 'flag', flag: readFlag(d) };
    case 'UNKEYWORD':
      return { key: 'not', of: { key: 'flag', flag: readFlag(d) } };
    case 'LARGER':
    case 'SMALLER':
      return { key: word === 'LARGER' ? 'larger' : 'smaller', octets: d.number64() };
    case 'OLDER':
    case 'YOUNGER':
      return { key: word === 'OLDER' ? 'older' : 'younger', seconds: d.nzNumber() };
    case 'UID':
      return { key: 'uids', set: d.messageSet() };
    case 'MODSEQ':
      return readModSeq(d);
    case 'EMAILID':
    case 'THREADID':
      return { key: word === 'EMAILID' ? 'emailid' : 'threadid', id: d.astring() };
  }
  d.fail('no such search key');
  return ALL;
}

/** RFC 7162 §3.1.5: `"MODSEQ" [SP entry-name SP entry-type-req] SP mod-sequence-valzer`; we count per mail, not per flag. */
function readModSeq(d: Decoder): SearchProgram {
  if (d.peek() === 0x22) {
    d.string();
    d.space();
    d.word();
    d.space();
  }
  return { key: 'modseq', from: d.number64() };
}

const ALL: SearchProgram = { key: 'all' };
const NONE: SearchProgram = { key: 'not', of: ALL };
const flag = (name: string): SearchProgram => ({ key: 'flag', flag: name });
const without = (name: string): SearchProgram => ({ key: 'not', of: flag(name) });

/** Nothing is \Recent here: rev2 has done away with it. */
const SIMPLE: Record<string, SearchProgram> = {
  ALL,
  ANSWERED: flag('\\Answered'),
  DELETED: flag('\\Deleted'),
  DRAFT: flag('\\Draft'),
  FLAGGED: flag('\\Flagged'),
  NEW: NONE,
  OLD: ALL,
  RECENT: NONE,
  SAVEDATESUPPORTED: ALL,
  SEEN: flag('\\Seen'),
  UNANSWERED: without('\\Answered'),
  UNDELETED: without('\\Deleted'),
  UNDRAFT: without('\\Draft'),
  UNFLAGGED: without('\\Flagged'),
  UNSEEN: without('\\Seen'),
};

const DATES: Record<string, ['internal' | 'sent' | 'saved', 'before' | 'on' | 'since']> = {
  BEFORE: ['internal', 'before'],
  ON: ['internal', 'on'],
  SINCE: ['internal', 'since'],
  SENTBEFORE: ['sent', 'before'],
  SENTON: ['sent', 'on'],
  SENTSINCE: ['sent', 'since'],
  SAVEDBEFORE: ['saved', 'before'],
  SAVEDON: ['saved', 'on'],
  SAVEDSINCE: ['saved', 'since'],
};

const RETURN_OPTIONS = new Set<string>(['MIN', 'MAX', 'ALL', 'COUNT', 'SAVE'] satisfies ReturnOption[]);
/** RFC 5256 §3, RFC 5957. */
const SORT_KEYS = [
  'arrival',
  'cc',
  'date',
  'displayfrom',
  'displayto',
  'from',
  'size',
  'subject',
  'to',
] as const satisfies readonly SortKey['key'][];
const CRITERIA_MAX = 20;
