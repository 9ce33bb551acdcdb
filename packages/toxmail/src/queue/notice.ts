import { type Content, readHead } from '../base/files.ts';
import { type DsnAction, deliveryReport, type Returned } from '../message/dsn.ts';
import { HeaderCutter } from '../message/header-cutter.ts';
import type { MailStatus } from '../smtp/mail-error.ts';
import type { NewMail, QueueRow } from './queue-store.ts';
import type { Spool, SpoolWriter } from './spool.ts';

/** Of the mail's header, as much as helps to recognise it. */
const HEADER_MAX = 16 * 1024;
const READ_BLOCK = 128 * 1024;

export interface NoticeFacts {
  readonly action: DsnAction;
  readonly status: MailStatus;
  /** Whom it is for. */
  readonly to: string;
  readonly now: number;
}

/** The notice as a mail that the account's own mailbox gets, its body committed. */
export async function writeNotice(
  spool: Spool,
  row: QueueRow,
  content: Content,
  facts: NoticeFacts,
): Promise<{ mail: NewMail; writer: SpoolWriter }> {
  const { account, address: recipient, messageId, envelopeId, originalRecipient, queuedAt, expiresAt } = row;
  // RFC 3461 §4.3: the whole mail comes back of failures only, if it was asked for.
  const what = facts.action === 'failed' && row.ret === 'FULL' ? 'mail' : 'header';
  const header = await headerOf(content, row.size);
  const returned: Returned | undefined = header && { what, eightBit: what === 'mail' || !isAscii(header) };
  const report = deliveryReport(
    { ...facts, recipient, messageId, envelopeId, originalRecipient, queuedAt, expiresAt },
    returned,
  );
  const writer = spool.create();
  try {
    await writer.write(report.before);
    if (returned?.what === 'mail') await copy(content, writer);
    else if (header) await writer.write(header);
    await writer.write(report.after);
    const body = await writer.commit();
    const recipients = [{ address: facts.to, lane: `local:${account}`, tag: undefined }];
    return { writer, mail: { account, messageId: report.messageId, sender: '', body, recipients } };
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

async function copy(content: Content, to: SpoolWriter): Promise<void> {
  const reader = await content.open();
  try {
    for (let position = 0; ; ) {
      const block = new Uint8Array(READ_BLOCK);
      const read = await reader.read(block, position);
      if (read === 0) return;
      await to.write(block.subarray(0, read));
      position += read;
    }
  } finally {
    await reader.close();
  }
}

async function headerOf(content: Content, size: number): Promise<Uint8Array | undefined> {
  try {
    const head = await readHead(content, Math.min(size, HEADER_MAX));
    const cutter = new HeaderCutter(HEADER_MAX);
    const cut = cutter.push(head) ?? cutter.end();
    return cut === 'too-long' ? undefined : cut.header;
  } catch {
    return undefined; // the content is lost, which may be the very reason
  }
}

function isAscii(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte < 0x80);
}
