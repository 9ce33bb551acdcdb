import type { Decoder } from '../syntax/decoder.ts';
import { readMailbox } from './arguments.ts';

/** RFC 9051 §6.3.11, RFC 7162 (HIGHESTMODSEQ), RFC 7889 (APPENDLIMIT), RFC 8474 (MAILBOXID), RFC 9208 (DELETED-STORAGE). */
const STATUS_ITEMS = [
  'MESSAGES',
  'RECENT',
  'UIDNEXT',
  'UIDVALIDITY',
  'UNSEEN',
  'DELETED',
  'SIZE',
  'HIGHESTMODSEQ',
  'APPENDLIMIT',
  'MAILBOXID',
] as const;

export type StatusItem = (typeof STATUS_ITEMS)[number];

export interface StatusCommand {
  readonly verb: 'STATUS';
  readonly mailbox: string;
  readonly items: readonly StatusItem[];
}

/** `status = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")"` */
export function readStatus(d: Decoder): StatusCommand {
  d.space();
  const mailbox = readMailbox(d);
  d.space();
  return { verb: 'STATUS', mailbox, items: readStatusItems(d) };
}

/** `"(" status-att *(SP status-att) ")"`, each once. */
export function readStatusItems(d: Decoder): StatusItem[] {
  const items = new Set<StatusItem>();
  d.list(() => {
    const word = d.word();
    const item = STATUS_ITEMS.find((each) => each === word);
    if (item) items.add(item);
    else d.fail('no such status item');
  });
  if (items.size === 0) d.fail('status item expected');
  return [...items];
}
