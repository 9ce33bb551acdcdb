import type { FolderStatus } from '../../mailbox/types.ts';
import type { StatusItem } from '../command/status.ts';
import { astring } from '../syntax/encoder.ts';
import type { Context } from './context.ts';
import { no } from './errors.ts';

/** RFC 9051 §6.3.11 */
export async function handleStatus(context: Context, mailbox: string, items: readonly StatusItem[]): Promise<string> {
  const name = context.nameFrom(mailbox);
  const status = await context.store.status(name);
  if (!status) throw no('There is no such folder', 'NONEXISTENT');
  writeStatus(context, name, status, items);
  return 'Done';
}

/** RFC 9051 §7.3.4 `mailbox-data =/ "STATUS" SP mailbox SP "(" [status-att-list] ")"` */
export function writeStatus(context: Context, name: string, status: FolderStatus, items: readonly StatusItem[]): void {
  if (items.includes('HIGHESTMODSEQ')) context.enableCondstore(); // RFC 7162 §3.1
  const values: Record<StatusItem, string | number> = {
    MESSAGES: status.messages,
    RECENT: 0,
    UIDNEXT: status.uidNext,
    UIDVALIDITY: status.uidValidity,
    UNSEEN: status.unseen,
    DELETED: status.deleted,
    SIZE: status.size,
    HIGHESTMODSEQ: status.highestModSeq,
    APPENDLIMIT: context.store.appendLimit,
    MAILBOXID: `(${status.mailboxId})`,
  };
  const list = items.map((item) => `${item} ${values[item]}`).join(' ');
  context.out.line(`* STATUS ${astring(context.nameTo(name), context.utf8)} (${list})`);
}

/** RFC 9208 §4.1.2: all folders share the account's one root, the empty name; without a limit there is none. */
export async function handleGetQuotaRoot(context: Context, mailbox: string): Promise<string> {
  const name = context.nameFrom(mailbox);
  if (!(await context.store.status(name))) throw no('There is no such folder', 'NONEXISTENT');
  const quota = await limitedQuota(context);
  context.out.line(`* QUOTAROOT ${astring(context.nameTo(name), context.utf8)}${quota ? ' ""' : ''}`);
  if (quota) context.out.line(quota);
  return 'Done';
}

/** RFC 9208 §4.1.1 */
export async function handleGetQuota(context: Context, root: string): Promise<string> {
  const quota = root === '' ? await limitedQuota(context) : undefined;
  if (!quota) throw no('There is no such quota root', 'NONEXISTENT');
  context.out.line(quota);
  return 'Done';
}

/** RFC 9208 §7: `QUOTA` lists one resource at least (Thunderbird takes an empty list for an error). */
async function limitedQuota(context: Context): Promise<string | undefined> {
  const { usedBytes, limitBytes } = await context.store.quota();
  const kib = (octets: number): number => Math.ceil(octets / 1024); // RFC 9208 §5.1: units of 1024 octets
  return limitBytes === undefined ? undefined : `* QUOTA "" (STORAGE ${kib(usedBytes)} ${kib(limitBytes)})`;
}
