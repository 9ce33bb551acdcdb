import { type ContentReader, copyContent } from '../base/files.ts';
import { errorField, type Logger } from '../base/log.ts';
import type { Maildir } from '../maildir/maildir.ts';
import { isTemporary, MailError, type MailStatus } from '../smtp/mail-error.ts';
import { status } from '../smtp/status.ts';
import type { HandOver, IncomingMail, MailWriter } from '../transfer/inbox.ts';
import { diskStatus } from '../transfer/outcome.ts';
import type { DeliveryJob, DeliveryOutcome, DeliveryTarget } from './target.ts';

/** The part of transfer/inbox.ts that is needed here. */
export interface LocalInbox {
  token(peer: string, id: Uint8Array): string;
  claim(token: string): Promise<() => void>;
  seen(token: string): boolean;
  admit(mail: IncomingMail): Promise<MailStatus | undefined>;
  storeFile(mail: IncomingMail, file: ContentReader): Promise<MailStatus | undefined>;
}

export interface LocalMailbox {
  readonly inbox: LocalInbox;
  readonly maildir: Maildir;
  readonly handOver: HandOver | undefined;
  readonly seen: { add(token: string): Promise<void> };
}

export interface LocalDeliveryDeps {
  readonly log: Logger;
  /** Undefined if there is no such account (any more). */
  mailbox(account: string): LocalMailbox | undefined;
  /** An account's public key, 64 upper-case hex. */
  publicKey(account: string): string | undefined;
}

/**
 * Mail between accounts of one daemon, which never leaves it, and notices to an account itself. It is stored exactly as
 * mail that came over Tox is: under the recipient's names, once, on the disk before it counts.
 */
export class LocalDelivery implements DeliveryTarget {
  readonly #deps: LocalDeliveryDeps;

  constructor(deps: LocalDeliveryDeps) {
    this.#deps = deps;
  }

  async deliver(job: DeliveryJob): Promise<DeliveryOutcome> {
    const box = this.#deps.mailbox(job.peer);
    const sender = this.#deps.publicKey(job.account);
    if (!box || sender === undefined) return { kind: 'failed', status: status.noSuchAccount() };
    const token = box.inbox.token(sender, Buffer.from(job.id, 'hex'));
    const release = await box.inbox.claim(token);
    try {
      if (box.inbox.seen(token)) return { kind: 'delivered' };
      const refusal = isNotice(job)
        ? await this.#storeNotice(job, token, box)
        : await this.#storeMail(job, token, sender, box.inbox);
      return refusal ? { kind: 'failed', status: refusal } : { kind: 'delivered' };
    } catch (error) {
      this.#deps.log.error('delivery.local-failed', { id: job.id, error: errorField(error) });
      return { kind: 'failed', status: diskStatus(error) };
    } finally {
      release();
    }
  }

  async #storeMail(
    job: DeliveryJob,
    token: string,
    sender: string,
    inbox: LocalInbox,
  ): Promise<MailStatus | undefined> {
    const file = await job.content.open();
    try {
      const { id, size, digest, envelope } = job;
      const nullSender = envelope.from === '';
      const mail = { peer: sender, id, token, size, digest, nullSender, tag: envelope.tag };
      return (await inbox.admit(mail)) ?? (await inbox.storeFile(mail, file));
    } finally {
      await file.close();
    }
  }

  /**
   * A notice is ours: no contact sends it, so its header stays as we wrote it. What the mail server refuses for good stays
   * in the Maildir, as nobody else would ever tell that a mail was not delivered.
   */
  async #storeNotice(job: DeliveryJob, token: string, box: LocalMailbox): Promise<MailStatus | undefined> {
    const { maildir, handOver, seen } = box;
    const { to } = job.envelope;
    const own = `${job.peer}@tox`;
    const elsewhere = handOver?.create({ sender: undefined, ...(to === own ? {} : { recipient: to }), size: job.size });
    const refusal = elsewhere && (await written(elsewhere, job));
    if (refusal && isTemporary(refusal)) return refusal;
    if (refusal) this.#deps.log.warn('delivery.notice-kept', { account: job.peer, code: refusal.enhanced });
    if (refusal || !elsewhere) {
      const writer = await maildir.create(token);
      const kept = await written(writer, job, `Return-Path: <>\r\nDelivered-To: ${own}\r\n`);
      if (kept) return kept;
    }
    await seen.add(token);
    return undefined;
  }
}

/** The whole mail, and before it `trace`. A status is a refusal, an exception a failure of the disk. */
async function written(writer: MailWriter, job: DeliveryJob, trace = ''): Promise<MailStatus | undefined> {
  try {
    if (trace !== '') await writer.append(Buffer.from(trace));
    await copyContent(job.content, writer);
    await writer.commit();
    return undefined;
  } catch (error) {
    await writer.abort();
    if (error instanceof MailError) return error.status;
    throw error;
  }
}

/** Only the queue's own notices go from an account to itself without an envelope sender. */
function isNotice(job: DeliveryJob): boolean {
  return job.envelope.from === '' && job.account === job.peer;
}
