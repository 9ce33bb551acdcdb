import type { Append } from '../../mailbox/types.ts';
import { type AppendMessage, type AppendStart, readAppendNext } from '../command/append.ts';
import { COMMAND_MAX, PIECE } from '../limits.ts';
import { discard, type FragmentRules, type LiteralStart, literalAtEnd } from '../syntax/fragments.ts';
import { ENDED, type Input } from '../syntax/input.ts';
import { formatSet } from '../syntax/sequence-set.ts';
import type { Context } from './context.ts';
import { bad, ConnectionLost, no } from './errors.ts';

/** Mails in one APPEND: each is an open file until all are there. */
const MESSAGES_MAX = 100;

/**
 * RFC 9051 §6.3.12, RFC 3502 (MULTIAPPEND): the texts are written as they come, and all mails are there at once or none.
 * Whatever is refused, the client's octets are eaten, so that a mail never runs as commands.
 */
export async function handleAppend(
  context: Context,
  input: Input,
  rules: FragmentRules,
  start: AppendStart,
  literal: LiteralStart,
): Promise<string> {
  const appends: Append[] = [];
  let size = 0;
  let next: { message: AppendMessage; literal: LiteralStart } | undefined = { message: start, literal };
  try {
    const folder = await refusing(input, rules, literal, async () => {
      context.requireState('authenticated');
      return context.target(start.mailbox);
    });
    while (next) {
      const { message, literal: announced }: { message: AppendMessage; literal: LiteralStart } = next;
      const append = await refusing(input, rules, announced, async () => {
        if (announced.size === 0) throw no('An empty mail ends the APPEND'); // RFC 3502 §6.3.11
        if (announced.size > context.store.appendLimit) throw no('The mail is too big', 'TOOBIG');
        if (appends.length === MESSAGES_MAX) throw no('Too many mails in one APPEND', 'LIMIT');
        const { flags, internalDate } = message;
        size += announced.size;
        return folder.append({ flags, internalDateMs: internalDate, size });
      });
      appends.push(append);
      if (announced.waits) await rules.goOn();
      await writeAll(context, input, rules, append, announced.size);
      next = await nextMessage(input, rules, message.utf8);
    }
    const uids = await folder.commit(appends);
    return `[APPENDUID ${folder.uidValidity} ${formatSet(uids)}] Stored`;
  } finally {
    await Promise.all(appends.map((append) => append.abort()));
  }
}

/** Does `act`; if it fails, what the client sends without being asked is eaten before. */
async function refusing<T>(
  input: Input,
  rules: FragmentRules,
  literal: LiteralStart,
  act: () => Promise<T>,
): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!literal.waits && !(await discard(input, rules, literal.size))) throw new ConnectionLost('too much to eat');
    throw error;
  }
}

async function writeAll(
  context: Context,
  input: Input,
  rules: FragmentRules,
  append: Append,
  size: number,
): Promise<void> {
  for (let left = size; left > 0; ) {
    const piece = await input.some(Math.min(left, PIECE));
    if (piece === ENDED) throw new ConnectionLost('the client left in the midst of a mail');
    context.onActivity();
    left -= piece.length;
    try {
      await append.write(piece);
    } catch (error) {
      if (!(await discard(input, rules, left))) throw new ConnectionLost('too much to eat');
      throw error;
    }
  }
}

async function nextMessage(
  input: Input,
  rules: FragmentRules,
  utf8: boolean,
): Promise<{ message: AppendMessage; literal: LiteralStart } | undefined> {
  const line = await input.line(COMMAND_MAX);
  if (line === ENDED || line === undefined) throw new ConnectionLost('the APPEND has no end');
  const message = readAppendNext(line, utf8);
  if (message === 'end') return undefined;
  const literal = literalAtEnd(line);
  if (message && literal) return { message, literal };
  if (literal && !literal.waits && !(await discard(input, rules, literal.size)))
    throw new ConnectionLost('too much to eat');
  throw bad('Bad arguments after the mail');
}
