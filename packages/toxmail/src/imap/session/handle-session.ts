import { nstring, quoted } from '../syntax/encoder.ts';
import { capabilities } from './capabilities.ts';
import type { Context } from './context.ts';

/** RFC 9051 §6.1.1 */
export function handleCapability(context: Context): string {
  context.out.line(`* CAPABILITY ${capabilities(context)}`);
  return 'Done';
}

/** RFC 2971. What the client says of itself is not kept. */
export function handleId({ out, deps }: Context): string {
  out.line(`* ID (${quoted('name')} ${quoted('Toxmail')} ${quoted('version')} ${nstring(deps.version)})`);
  return 'Done';
}

/** RFC 5161, RFC 9051 §6.3.1; RFC 7162 §3.2.3: QRESYNC includes CONDSTORE. */
export function handleEnable(context: Context, names: readonly string[]): string {
  const enabled = new Set<string>();
  for (const name of names) {
    if (name === 'CONDSTORE') context.enableCondstore();
    else if (name === 'QRESYNC') {
      context.enableCondstore();
      context.qresync = true;
    } else if (name === 'UTF8=ACCEPT') context.utf8 = true;
    else if (name === 'IMAP4REV2') {
      context.rev2 = true;
      context.utf8 = true;
    } else continue;
    enabled.add(name);
  }
  context.out.line(['* ENABLED', ...enabled].join(' '));
  return 'Done';
}

/** RFC 9051 §6.3.10: one's own mailboxes, without a prefix. */
export function handleNamespace({ out }: Context): string {
  out.line('* NAMESPACE (("" "/")) NIL NIL');
  return 'Done';
}

/** RFC 9051 §6.1.2 and RFC 3501 §6.4.1: a look at the disk, for what other programs did there. */
export async function handleNoop({ view }: Context): Promise<string> {
  await view?.folder.sync();
  return 'Done';
}
