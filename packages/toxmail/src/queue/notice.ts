import { type Content, readHead } from '../base/files.ts';
import { failureReport } from '../message/dsn.ts';
import { HeaderCutter } from '../message/header-cutter.ts';
import type { MailStatus } from '../smtp/mail-error.ts';
import type { NewMail, QueueRow } from './queue-store.ts';
import type { Spool, SpoolWriter } from './spool.ts';

/** Of the failed mail's header, as much as helps to recognise it. */
const HEADER_MAX = 16 * 1024;

/** The notice of a failed delivery as a mail to the sender's own inbox, its body committed. */
export async function failureNotice(
  spool: Spool,
  row: QueueRow,
  content: Content,
  reason: MailStatus,
  now: number,
): Promise<{ mail: NewMail; writer: SpoolWriter }> {
  const report = failureReport({
    to: `${row.account}@tox`,
    recipient: row.address,
    status: reason,
    messageId: row.messageId,
    queuedAt: row.queuedAt,
    now,
    header: await originalHeader(content, row.size),
  });
  const writer = spool.create();
  try {
    await writer.write(report.bytes);
    const body = await writer.commit();
    return {
      writer,
      mail: {
        account: row.account,
        messageId: report.messageId,
        sender: '',
        body,
        recipients: [{ address: `${row.account}@tox`, lane: `local:${row.account}`, tag: undefined }],
      },
    };
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

async function originalHeader(content: Content, size: number): Promise<Uint8Array | undefined> {
  try {
    const head = await readHead(content, Math.min(size, HEADER_MAX));
    const cutter = new HeaderCutter(HEADER_MAX);
    const cut = cutter.push(head) ?? cutter.end();
    return cut === 'too-long' ? undefined : cut.header;
  } catch {
    return undefined; // the content is lost, which may be the very reason
  }
}
