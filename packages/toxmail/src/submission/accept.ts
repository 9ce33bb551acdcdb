import { errorCode } from '../base/files.ts';
import { formatDate } from '../message/date-time.ts';
import { formatHeader, type HeaderField, parseHeader, sameName } from '../message/header.ts';
import { HeaderCutter } from '../message/header-cutter.ts';
import { newMessageId } from '../message/message-id.ts';
import { outgoingHeader } from '../message/outgoing.ts';
import type { NewMail } from '../queue/queue-store.ts';
import type { Spool, SpoolWriter } from '../queue/spool.ts';
import { MailError, type MailStatus } from '../smtp/mail-error.ts';
import { status } from '../smtp/status.ts';

/** Ours: the header section is edited in memory. Larger ones come from loops and attacks only. */
export const HEADER_MAX = 256 * 1024;

/** RFC 5321 §6.3. */
const HOPS_MAX = 100;

export interface Submission extends Omit<NewMail, 'messageId' | 'body'> {
  /** By a mail server: it may come from far, and could be on its way in a circle. */
  readonly relayed: boolean;
}

/** What was said before the mail; which account sends it may stand in its header only. Throws MailError. */
export type SubmissionOf = (header: readonly HeaderField[]) => Submission;

export interface AcceptDeps {
  readonly spool: Spool;
  /** Resolves with the transfer ids once the rows are on the disk. */
  accept(mail: NewMail): Promise<string[]>;
  /** Canonical form of an address as that account means it. */
  canonical(account: string, address: string): string | undefined;
  /** The account's own; undefined while its node is not there. */
  ownAddress(account: string): string | undefined;
  /** Undefined if that account wants none. */
  sentCopy?(account: string): Promise<SentCopy | undefined>;
  unixMs(): number;
  /** Bytes. */
  readonly sizeLimit: number;
}

/**
 * A copy of what a program sends, for programs that keep none. Nothing in it rejects: a mail that was accepted must not
 * seem refused because its copy could not be stored.
 */
export interface SentCopy {
  write(chunk: Uint8Array): Promise<void>;
  /** The mail was accepted; resolves when the copy is on the disk. */
  keep(messageId: string): Promise<void>;
  abort(): Promise<void>;
}

/**
 * Takes one mail: its header edited, its body byte by byte as it came, streamed into the spool. Resolves with the
 * transfer ids when everything is on the disk: only then may the client hear 250. Otherwise throws MailError and leaves
 * nothing behind. Reads the stream to its end in any case (unless it breaks), so that the reply comes where it belongs.
 */
export async function acceptMail(
  deps: AcceptDeps,
  submissionOf: SubmissionOf,
  content: AsyncIterable<Uint8Array>,
): Promise<string[]> {
  const writer = deps.spool.create();
  const copies: SentCopy[] = []; // one, or none
  try {
    const submission = await receive(deps, submissionOf, writer, copies, content);
    const body = await writer.commit();
    const ids = await deps.accept({ ...submission, body });
    writer.release();
    for (const copy of copies) await copy.keep(submission.messageId);
    return ids;
  } catch (error) {
    await writer.abort();
    for (const copy of copies) await copy.abort();
    throw error instanceof MailError ? error : new MailError(diskStatus(error), { cause: error });
  }
}

async function receive(
  deps: AcceptDeps,
  submissionOf: SubmissionOf,
  writer: SpoolWriter,
  copies: SentCopy[],
  content: AsyncIterable<Uint8Array>,
): Promise<Submission & { messageId: string }> {
  const cutter = new HeaderCutter(HEADER_MAX);
  let accepted: (Submission & { messageId: string }) | undefined;
  let failure: unknown;
  let size = 0;
  const finishHeader = async (header: Uint8Array, body: Uint8Array): Promise<void> => {
    const fields = parseHeader(header);
    const submission = submissionOf(fields);
    const own = deps.ownAddress(submission.account);
    if (own === undefined) throw new MailError(status.notReady());
    if (fields.filter((each) => sameName(each.name, 'Received')).length > HOPS_MAX) throw new MailError(status.loop());
    const outgoing = outgoingHeader(fields, {
      own,
      relayed: submission.relayed,
      canonical: (address) => deps.canonical(submission.account, address),
      messageId: newMessageId,
      date: () => formatDate(deps.unixMs()),
    });
    accepted = { ...submission, messageId: outgoing.messageId };
    await writer.write(outgoing.bytes);
    const copy = submission.relayed ? undefined : await deps.sentCopy?.(submission.account);
    if (copy) copies.push(copy);
    await copy?.write(formatHeader(withMissing(fields, outgoing.bytes)));
    if (body.length > 0) await write(body);
  };
  const write = async (chunk: Uint8Array): Promise<void> => {
    await writer.write(chunk);
    for (const copy of copies) await copy.write(chunk);
  };
  for await (const chunk of content) {
    size += chunk.length;
    if (size > deps.sizeLimit) failure ??= new MailError(status.tooBig(deps.sizeLimit));
    if (failure) continue;
    try {
      if (accepted) {
        await write(chunk);
        continue;
      }
      const cut = cutter.push(chunk);
      if (cut === 'too-long') failure = new MailError(status.headerTooBig(HEADER_MAX));
      else if (cut) await finishHeader(cut.header, cut.body);
    } catch (error) {
      failure = error;
    }
  }
  if (failure) throw failure;
  if (!accepted) {
    const { header, body } = cutter.end();
    await finishHeader(header, body);
  }
  return accepted!;
}

/** The header as the program wrote it, hidden recipients included, and what was given to it on its way. */
function withMissing(fields: readonly HeaderField[], sent: Uint8Array): HeaderField[] {
  const given = parseHeader(sent).filter((each) => sameName(each.name, 'Message-ID') || sameName(each.name, 'Date'));
  const replaced = (each: HeaderField): boolean => given.some((other) => sameName(other.name, each.name));
  return [...given, ...fields.filter((each) => !replaced(each))];
}

/** SQLite's primary result code for a full disk, of which `errcode` may be an extended form. */
const SQLITE_FULL = 13;

function diskStatus(error: unknown): MailStatus {
  const code = errorCode(error);
  const sqlite = error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : undefined;
  return code === 'ENOSPC' || code === 'EDQUOT' || sqlite === SQLITE_FULL ? status.diskFull() : status.localError();
}
