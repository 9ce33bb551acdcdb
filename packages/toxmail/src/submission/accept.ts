import { errorCode } from '../base/files.ts';
import { formatDate } from '../message/date-time.ts';
import { parseHeader } from '../message/header.ts';
import { HeaderCutter } from '../message/header-cutter.ts';
import { newMessageId } from '../message/message-id.ts';
import { outgoingHeader } from '../message/outgoing.ts';
import type { NewMail } from '../queue/queue-store.ts';
import type { Spool, SpoolWriter } from '../queue/spool.ts';
import { MailError, type MailStatus } from '../smtp/mail-error.ts';
import { status } from '../smtp/status.ts';

/** Ours: the header section is edited in memory. Larger ones come from loops and attacks only. */
export const HEADER_MAX = 256 * 1024;

export interface Submission {
  readonly account: string;
  /** Envelope sender as given; empty for the null sender. */
  readonly sender: string;
  readonly recipients: NewMail['recipients'];
}

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
  submission: Submission,
  content: AsyncIterable<Uint8Array>,
): Promise<string[]> {
  const own = deps.ownAddress(submission.account);
  if (own === undefined) throw await drained(content, status.notReady());
  const writer = deps.spool.create();
  try {
    const messageId = await receive(deps, submission.account, own, writer, content);
    const body = await writer.commit();
    const ids = await deps.accept({ ...submission, messageId, body });
    writer.release();
    return ids;
  } catch (error) {
    await writer.abort();
    throw error instanceof MailError ? error : new MailError(diskStatus(error), { cause: error });
  }
}

/** Returns the Message-ID. */
async function receive(
  deps: AcceptDeps,
  account: string,
  own: string,
  writer: SpoolWriter,
  content: AsyncIterable<Uint8Array>,
): Promise<string> {
  const cutter = new HeaderCutter(HEADER_MAX);
  let messageId: string | undefined;
  let failure: unknown;
  let size = 0;
  const finishHeader = async (header: Uint8Array, body: Uint8Array): Promise<void> => {
    const outgoing = outgoingHeader(parseHeader(header), {
      own,
      canonical: (address) => deps.canonical(account, address),
      messageId: newMessageId,
      date: () => formatDate(deps.unixMs()),
    });
    messageId = outgoing.messageId;
    await writer.write(outgoing.bytes);
    if (body.length > 0) await writer.write(body);
  };
  for await (const chunk of content) {
    size += chunk.length;
    if (size > deps.sizeLimit) failure ??= new MailError(status.tooBig(deps.sizeLimit));
    if (failure) continue;
    try {
      if (messageId !== undefined) {
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
  if (messageId === undefined) {
    const { header, body } = cutter.end();
    await finishHeader(header, body);
  }
  return messageId!;
}

async function drained(content: AsyncIterable<Uint8Array>, reason: MailStatus): Promise<MailError> {
  for await (const _ of content);
  return new MailError(reason);
}

/** SQLite's primary result code for a full disk, of which `errcode` may be an extended form. */
const SQLITE_FULL = 13;

function diskStatus(error: unknown): MailStatus {
  const code = errorCode(error);
  const sqlite = error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : undefined;
  return code === 'ENOSPC' || code === 'EDQUOT' || sqlite === SQLITE_FULL ? status.diskFull() : status.localError();
}
