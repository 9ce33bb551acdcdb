import type { Thread } from '../../mailbox/types.ts';
import type { Encoder } from '../syntax/encoder.ts';

/**
 * RFC 5256 §4: `thread-list = "(" (thread-members / thread-nested) ")"`,
 * `thread-members = nz-number *(SP nz-number) [SP thread-nested]`, `thread-nested = 2*thread-list`.
 * `numberOf` gives 0 for a mail that the client does not know; it is left out. Without recursion: a thread may be as deep
 * as the folder has mails.
 */
export function writeThreads(out: Encoder, threads: readonly Thread[], numberOf: (uid: number) => number): void {
  const rest: (Thread | ')')[] = [...threads].reverse();
  for (let next = rest.pop(); next; next = rest.pop()) {
    if (next === ')') {
      out.text(')');
      continue;
    }
    rest.push(')');
    out.text('(');
    let first = true;
    let thread: Thread = next;
    for (;;) {
      const number = thread.uid === undefined ? 0 : numberOf(thread.uid);
      if (number > 0) {
        out.text(first ? String(number) : ` ${number}`);
        first = false;
      }
      if (thread.children.length !== 1) break;
      thread = thread.children[0]!;
    }
    if (thread.children.length > 0 && !first) out.text(' ');
    for (let i = thread.children.length - 1; i >= 0; i--) rest.push(thread.children[i]!);
  }
}
