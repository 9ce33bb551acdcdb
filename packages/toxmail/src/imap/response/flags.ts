import { FLAG, type Folder } from '../../mailbox/types.ts';

const SYSTEM = '\\Answered \\Flagged \\Deleted \\Seen \\Draft';
/** Texts by the folder's own arrays, which are the same for the same flags. */
const texts = new WeakMap<readonly string[], string>();

/** `(\Seen $Forwarded)` of the mail at this index of the folder. */
export function flagsAt(folder: Folder, index: number): string {
  const names = folder.flagNames(folder.flagsAt(index));
  let text = texts.get(names);
  if (text === undefined) {
    text = `(${names.join(' ')})`;
    texts.set(names, text);
  }
  return text;
}

/** RFC 9051 §7.3.5: `"FLAGS" SP flag-list` */
export function flagsLine(keywords: readonly string[]): string {
  return `* FLAGS (${[SYSTEM, ...keywords].join(' ')})`;
}

/** RFC 9051 §7.1: `"PERMANENTFLAGS" SP "(" [flag-perm *(SP flag-perm)] ")"` */
export function permanentFlagsLine(folder: Folder, readOnly: boolean): string {
  if (readOnly) return '* OK [PERMANENTFLAGS ()] No flags can be changed';
  const flags = [SYSTEM, ...folder.keywords, ...(folder.canAddKeywords ? ['\\*'] : [])];
  return `* OK [PERMANENTFLAGS (${flags.join(' ')})] Flags that stay`;
}

/** Message number of the first mail that is not \Seen, or 0. */
export function firstUnseen(folder: Folder): number {
  for (let index = 0; index < folder.uids.length; index++) if (!(folder.flagsAt(index) & FLAG.seen)) return index + 1;
  return 0;
}
