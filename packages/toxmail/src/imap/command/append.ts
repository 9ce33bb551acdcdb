import { readDateTime } from '../syntax/date-time.ts';
import { Decoder } from '../syntax/decoder.ts';
import { readFlagList, readMailbox } from './arguments.ts';

/** One mail of an APPEND, up to its literal, which is not in the command: it is streamed. */
export interface AppendMessage {
  readonly flags: readonly string[];
  /** Milliseconds since 1970; undefined: now. */
  readonly internalDate: number | undefined;
  /** Announced as `UTF8 (~{…})`: a `)` follows the literal. */
  readonly utf8: boolean;
}

export interface AppendStart extends AppendMessage {
  readonly tag: string;
  readonly mailbox: string;
}

/**
 * RFC 9051 §6.3.12, RFC 3502: `append = "APPEND" SP mailbox 1*append-message`,
 * `append-message = [SP flag-list] [SP date-time] SP append-data`. Undefined if this is no such beginning.
 */
export function readAppendStart(head: Buffer): AppendStart | undefined {
  const d = new Decoder(head);
  const tag = d.tag();
  d.space();
  if (d.keyword() !== 'APPEND') return undefined;
  d.space();
  const mailbox = readMailbox(d);
  const message = readMessage(d);
  return d.failure === undefined && message ? { tag, mailbox, ...message } : undefined;
}

/** What follows a mail's literal: another mail, or nothing. */
export function readAppendNext(line: Buffer, utf8: boolean): AppendMessage | 'end' | undefined {
  const d = new Decoder(line);
  if (utf8) d.expect(')');
  if (d.atEnd) return d.failure === undefined ? 'end' : undefined;
  const message = readMessage(d);
  return d.failure === undefined ? message : undefined;
}

/** `append-data = literal / literal8 / "UTF8" SP "(" literal8 ")"` */
function readMessage(d: Decoder): AppendMessage | undefined {
  d.space();
  const flags = d.peek() === 0x28 ? readFlagList(d) : undefined;
  if (flags) d.space();
  const internalDate = d.peek() === 0x22 ? readDateTime(d) : undefined;
  if (internalDate !== undefined) d.space();
  const utf8 = d.skipWord('UTF8');
  if (utf8) {
    d.space();
    d.expect('(');
  }
  return d.skipLiteralStart() ? { flags: flags ?? [], internalDate, utf8 } : undefined;
}
