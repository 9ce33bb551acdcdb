import { errorCode } from '../base/files.ts';
import { formatDate } from '../message/date-time.ts';
import { type HeaderField, parseHeader, sameName } from '../message/header.ts';
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
  unixMs(): number;
  /** Bytes. */
  readonly sizeLimit: number;
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
  try {
    const submission = await receive(deps, submissionOf, writer, content);
    const body = await writer.commit();
    const ids = await deps.accept({ ...submission, body });
    writer.release();
    return ids;
  } catch (error) {
    await writer.abort();
    throw error instanceof MailError ? error : new MailError(diskStatus(error), { cause: error });
  }
}

async function receive(
  deps: AcceptDeps,
  submissionOf: SubmissionOf,
  writer: SpoolWriter,
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
    if (body.length > 0) await writer.write(body);
  };
  for await (const chunk of content) {
    size += chunk.length;
    if (size > deps.sizeLimit) failure ??= new MailError(status.tooBig(deps.sizeLimit));
    if (failure) continue;
    try {
      if (accepted) {
        await writer.write(chunk);
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

/** SQLite's primary result code for a full disk, of which `errcode` may be an extended form. */
const SQLITE_FULL = 13;

function diskStatus(error: unknown): MailStatus {
  const code = errorCode(error);
  const sqlite = error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : undefined;
  return code === 'ENOSPC' || code === 'EDQUOT' || sqlite === SQLITE_FULL ? status.diskFull() : status.localError();
}
