import type { SpecialUse } from '../../mailbox/types.ts';
import { DELIMITER } from '../syntax/mailbox-name.ts';
import type { Context } from './context.ts';
import { no } from './errors.ts';

const USES: readonly SpecialUse[] = ['\\Archive', '\\Drafts', '\\Junk', '\\Sent', '\\Trash'];

/** RFC 9051 §6.3.4, RFC 6154 §3, RFC 8474 §4.1. */
export async function handleCreate(context: Context, mailbox: string, uses: readonly string[]): Promise<string> {
  const [use, ...more] = uses.map((each) => USES.find((known) => known.toLowerCase() === each.toLowerCase()));
  if ((uses.length > 0 && !use) || more.length > 0) throw no('A folder has one use, of those in RFC 6154', 'USEATTR');
  // A trailing delimiter says that folders are to come below it, which any folder allows.
  const name = context.nameFrom(mailbox).replace(new RegExp(`${DELIMITER}$`), '');
  if (name === 'INBOX') throw no('INBOX is there already', 'ALREADYEXISTS');
  const made = await context.store.create(name, use);
  return `[MAILBOXID (${made.mailboxId})] Created`;
}

/** RFC 9051 §6.3.5 */
export async function handleDelete(context: Context, mailbox: string): Promise<string> {
  const name = context.nameFrom(mailbox);
  await context.store.delete(name);
  // Who removes the folder that is open knows so, and goes on without one; others who have it open are sent away.
  if (context.view?.gone || context.view?.folder.name === name) context.deselect();
  return 'Deleted';
}

/** RFC 9051 §6.3.6 */
export async function handleRename(context: Context, from: string, to: string): Promise<string> {
  await context.store.rename(context.nameFrom(from), context.nameFrom(to).replace(new RegExp(`${DELIMITER}$`), ''));
  return 'Renamed';
}

/** RFC 9051 §6.3.7, §6.3.8 */
export async function handleSubscribe(context: Context, mailbox: string, on: boolean): Promise<string> {
  await context.store.subscribe(context.nameFrom(mailbox), on);
  return 'Done';
}
