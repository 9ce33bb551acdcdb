import { decodeModifiedUtf7 } from '../../mailbox/modified-utf7.ts';
import type { FolderInfo } from '../../mailbox/types.ts';
import type { ListCommand } from '../command/list.ts';
import { astring } from '../syntax/encoder.ts';
import { canonicalName, DELIMITER, matchesPattern } from '../syntax/mailbox-name.ts';
import type { Context } from './context.ts';
import { writeStatus } from './handle-status.ts';

/** RFC 9051 §6.3.9 (RFC 5258, RFC 5819, RFC 6154) and RFC 3501 §6.3.9 (LSUB). */
export async function handleList(context: Context, command: ListCommand): Promise<string> {
  const { verb, reference, patterns, extended, select, returns } = command;
  if (!extended && patterns[0] === '') {
    context.out.line(`* ${verb} (\\Noselect) "${DELIMITER}" ""`);
    return 'Done';
  }
  const full = patterns.map((pattern) => canonicalName(fromWire(context, reference + pattern)));
  const folders = new Map((await context.store.folders()).map((folder) => [folder.name, folder]));
  const subscribed = new Set(context.store.subscriptions());
  const onlySubscribed = select.has('SUBSCRIBED');
  const names = onlySubscribed ? [...subscribed] : [...folders.keys()];
  if (select.has('RECURSIVEMATCH')) names.push(...parentsOf(names));
  // RFC 3501 §6.3.9: where % hides what is subscribed below, its parent stands for it.
  if (verb === 'LSUB' && !full.some((pattern) => pattern.includes('*'))) names.push(...parentsOf(names));
  for (const name of new Set(names.sort(inboxFirst))) {
    if (!full.some((pattern) => matches(name, pattern))) continue;
    const folder = folders.get(name);
    if (select.has('SPECIAL-USE') && !folder?.specialUse) continue;
    const isSubscribed = subscribed.has(name);
    const childInfo =
      select.has('RECURSIVEMATCH') &&
      [...subscribed].some((each) => isBelow(each, name) && !full.some((pattern) => matches(each, pattern)));
    if (onlySubscribed && !isSubscribed && !childInfo && verb === 'LIST') continue;
    const attributes =
      verb === 'LSUB'
        ? isSubscribed
          ? []
          : ['\\Noselect']
        : attributesOf(folder, isSubscribed && (onlySubscribed || returns.has('SUBSCRIBED')), context.rev2);
    const more = childInfo ? ' ("CHILDINFO" ("SUBSCRIBED"))' : '';
    context.out.line(`* ${verb} (${attributes.join(' ')}) "${DELIMITER}" ${wireName(context, name)}${more}`);
    if (returns.has('STATUS') && folder && !folder.noSelect) {
      const status = await context.store.status(name);
      if (status) writeStatus(context, name, status, command.status);
    }
    await context.flushIfFull();
  }
  return 'Done';
}

/** The line that RFC 9051 §6.3.2 wants after SELECT. */
export function writeListLine(context: Context, folder: FolderInfo): void {
  const attributes = attributesOf(folder, folder.subscribed, context.rev2);
  context.out.line(`* LIST (${attributes.join(' ')}) "${DELIMITER}" ${wireName(context, folder.name)}`);
}

/** RFC 9051 §7.3.1 */
function attributesOf(folder: FolderInfo | undefined, subscribed: boolean, rev2: boolean): string[] {
  const attributes: string[] = [];
  if (!folder) attributes.push('\\NonExistent');
  else {
    if (folder.noSelect) attributes.push(rev2 ? '\\NonExistent' : '\\Noselect');
    attributes.push(folder.hasChildren ? '\\HasChildren' : '\\HasNoChildren');
    if (folder.specialUse) attributes.push(folder.specialUse);
  }
  if (subscribed) attributes.push('\\Subscribed');
  return attributes;
}

function wireName(context: Context, name: string): string {
  return astring(context.nameTo(name), context.utf8);
}

/** A pattern that is not well coded matches nothing that is. */
function fromWire(context: Context, pattern: string): string {
  return context.utf8 ? pattern : (decodeModifiedUtf7(pattern) ?? pattern);
}

/** RFC 9051 §6.3.9: INBOX matches in any case. */
function matches(name: string, pattern: string): boolean {
  return matchesPattern(name, pattern) || (name === 'INBOX' && matchesPattern(name, pattern.toUpperCase()));
}

/** All levels above these names. */
function parentsOf(names: readonly string[]): string[] {
  const parents = new Set<string>();
  for (const name of names)
    for (let at = name.indexOf(DELIMITER); at > 0; at = name.indexOf(DELIMITER, at + 1)) parents.add(name.slice(0, at));
  return [...parents];
}

function isBelow(name: string, parent: string): boolean {
  return name.startsWith(parent + DELIMITER);
}

function inboxFirst(a: string, b: string): number {
  if (a === 'INBOX' || b === 'INBOX') return a === b ? 0 : a === 'INBOX' ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
}
