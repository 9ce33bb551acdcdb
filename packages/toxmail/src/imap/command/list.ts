import type { Decoder } from '../syntax/decoder.ts';
import { readMailbox, readPattern } from './arguments.ts';
import { readStatusItems, type StatusItem } from './status.ts';

/** RFC 5258 (LIST-EXTENDED), RFC 5819 (LIST-STATUS), RFC 6154 (SPECIAL-USE). */
export type ListSelect = 'SUBSCRIBED' | 'REMOTE' | 'RECURSIVEMATCH' | 'SPECIAL-USE';
export type ListReturn = 'SUBSCRIBED' | 'CHILDREN' | 'SPECIAL-USE' | 'STATUS';

export interface ListCommand {
  readonly verb: 'LIST' | 'LSUB';
  readonly reference: string;
  readonly patterns: readonly string[];
  /** True: options were given, so the answer may hold more than that of a plain LIST. */
  readonly extended: boolean;
  readonly select: ReadonlySet<ListSelect>;
  readonly returns: ReadonlySet<ListReturn>;
  readonly status: readonly StatusItem[];
}

/**
 * `list = "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat [SP list-return-opts]`,
 * `mbox-or-pat = list-mailbox / "(" list-mailbox *(SP list-mailbox) ")"`
 */
export function readList(d: Decoder): ListCommand {
  d.space();
  const select = new Set<ListSelect>();
  const returns = new Set<ListReturn>();
  let status: readonly StatusItem[] = [];
  let extended = false;
  if (d.peek() === 0x28) {
    extended = true;
    d.list(() => {
      const option = d.word();
      if (!SELECT_OPTIONS.has(option)) d.fail('no such selection option');
      select.add(option as ListSelect);
    });
    if (select.has('RECURSIVEMATCH') && !select.has('SUBSCRIBED')) d.fail('RECURSIVEMATCH needs SUBSCRIBED');
    d.space();
  }
  const reference = readMailbox(d);
  d.space();
  const patterns: string[] = [];
  if (d.peek() === 0x28) {
    extended = true;
    d.list(() => {
      if (patterns.length === PATTERNS_MAX) d.fail('too many patterns');
      patterns.push(readPattern(d));
    });
  } else patterns.push(readPattern(d));
  if (d.skipSpace()) {
    extended = true;
    if (d.word() !== 'RETURN') d.fail('RETURN expected');
    d.space();
    d.list(() => {
      const option = d.word();
      if (!RETURN_OPTIONS.has(option)) d.fail('no such return option');
      returns.add(option as ListReturn);
      if (option !== 'STATUS') return;
      d.space();
      status = readStatusItems(d);
    });
  }
  return { verb: 'LIST', reference, patterns, extended, select, returns, status };
}

/** RFC 3501 §6.3.9: `lsub = "LSUB" SP mailbox SP list-mailbox` */
export function readLsub(d: Decoder): ListCommand {
  d.space();
  const reference = readMailbox(d);
  d.space();
  const patterns = [readPattern(d)];
  const select = new Set<ListSelect>(['SUBSCRIBED']);
  return { verb: 'LSUB', reference, patterns, extended: false, select, returns: new Set(), status: [] };
}

/** Each is held against each folder. */
const PATTERNS_MAX = 20;
const SELECT_OPTIONS = new Set<string>([
  'SUBSCRIBED',
  'REMOTE',
  'RECURSIVEMATCH',
  'SPECIAL-USE',
] satisfies ListSelect[]);
const RETURN_OPTIONS = new Set<string>(['SUBSCRIBED', 'CHILDREN', 'SPECIAL-USE', 'STATUS'] satisfies ListReturn[]);
