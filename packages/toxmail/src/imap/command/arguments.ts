import type { Decoder } from '../syntax/decoder.ts';

/** Of a mailbox name or pattern, characters: file systems take no longer names. */
const NAME_MAX = 500;

/** `mailbox = "INBOX" / astring`, as written: how it is coded depends on what the session has enabled. */
export function readMailbox(d: Decoder): string {
  return bounded(d, d.astring());
}

/** `list-mailbox`, as written. */
export function readPattern(d: Decoder): string {
  return bounded(d, d.listMailbox());
}

function bounded(d: Decoder, name: string): string {
  if (name.length <= NAME_MAX) return name;
  d.fail('mailbox name is too long');
  return '';
}

const SYSTEM_FLAGS = ['\\Answered', '\\Flagged', '\\Deleted', '\\Seen', '\\Draft'];

/**
 * `flag = "\Answered" / "\Flagged" / "\Deleted" / "\Seen" / "\Draft" / flag-keyword / flag-extension`. \Recent is the
 * server's alone; a client that sends it back is not told off for it.
 */
export function readFlag(d: Decoder): string {
  if (!d.skip('\\')) return d.atom();
  const name = `\\${d.atom()}`.toLowerCase();
  if (name === RECENT) return RECENT;
  const known = SYSTEM_FLAGS.find((flag) => flag.toLowerCase() === name);
  if (!known) d.fail('no such system flag');
  return known ?? '';
}

/** `flag-list = "(" [flag *(SP flag)] ")"`, each once. */
export function readFlagList(d: Decoder): string[] {
  const flags = new Set<string>();
  d.list(() => flags.add(readFlag(d)));
  flags.delete(RECENT);
  return [...flags];
}

/** The same without its parentheses, as STORE allows. */
export function readFlags(d: Decoder): string[] {
  if (d.peek() === 0x28) return readFlagList(d);
  const flags = new Set<string>();
  do flags.add(readFlag(d));
  while (d.skipSpace());
  flags.delete(RECENT);
  return [...flags];
}

const RECENT = '\\recent';
