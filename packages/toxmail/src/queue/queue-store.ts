import { randomBytes } from 'node:crypto';
import type { MailStatus } from '../smtp/mail-error.ts';
import type { Database } from '../store/database.ts';
import { type Notify, wantsNotice } from './notify.ts';
import type { SpoolBody } from './spool.ts';

/** A mail as submission hands it in. */
export interface NewMail {
  readonly account: string;
  /** With angle brackets. */
  readonly messageId: string;
  /** Envelope sender as the mail program gave it; empty: no notices. */
  readonly sender: string;
  readonly body: SpoolBody;
  readonly recipients: readonly NewRecipient[];
  /** RET and ENVID of RFC 3461, as given. */
  readonly ret?: 'FULL' | 'HDRS' | undefined;
  readonly envelopeId?: string | undefined;
}

export interface NewRecipient {
  readonly address: string;
  readonly lane: string;
  readonly tag: string | undefined;
  /** NOTIFY and ORCPT of RFC 3461, as given. */
  readonly notify?: readonly Notify[] | undefined;
  readonly originalRecipient?: string | undefined;
}

/** One recipient with its mail. */
export interface QueueRow {
  readonly seq: number;
  readonly id: string;
  readonly mail: number;
  readonly account: string;
  readonly lane: string;
  readonly address: string;
  readonly tag: string | undefined;
  readonly state: 'waiting' | 'delivered' | 'failed';
  readonly sent: number;
  readonly attempts: number;
  readonly nextAttempt: number;
  readonly status: MailStatus | undefined;
  readonly notify: readonly Notify[] | undefined;
  readonly originalRecipient: string | undefined;
  readonly ret: 'FULL' | 'HDRS' | undefined;
  readonly envelopeId: string | undefined;
  readonly messageId: string;
  readonly sender: string;
  readonly spool: string;
  /** In the database, while someone waits for it, and not in a file. */
  readonly inline: boolean;
  readonly size: number;
  readonly digest: Uint8Array;
  readonly queuedAt: number;
  readonly expiresAt: number;
}

/** How a recipient's delivery ended. */
export interface Finish {
  readonly state: 'delivered' | 'failed';
  /** The last thing that the other side or we had to say. */
  readonly status: MailStatus | undefined;
  /** Bytes. */
  readonly sent: number;
  readonly attempts: number;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** product.md: a sender is told after that time that a mail still waits. */
const FIRST_NOTICE_MS = 4 * 3_600_000;

const SELECT = `SELECT r.*, m.ret, m.envelope_id, m.message_id, m.sender, m.spool, m.inline, m.size, m.digest, m.queued_at, m.expires_at
  FROM recipients r JOIN mails m ON m.id = r.mail`;

/**
 * The queue's tables. A recipient's state goes from `waiting` to `delivered` or `failed` and never back; `sending` lives
 * in memory only. Methods named `insert…`, `finish` and `postpone` are meant to run inside a transaction.
 */
export class QueueStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** The new transfer ids, in the order of the recipients, and the last one's `seq`. */
  insert(mail: NewMail, queuedAt: number, expiresAt: number): { ids: string[]; seq: number } {
    const { account, messageId, sender, body, ret = null, envelopeId = null } = mail;
    const { lastInsertRowid } = this.#db
      .prepare(
        `INSERT INTO mails (account, message_id, sender, spool, inline, size, digest, queued_at, expires_at, ret, envelope_id)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      )
      .run(
        ...[account, messageId, sender, body.name, body.inline ? 1 : 0, body.size, body.digest],
        ...[queuedAt, expiresAt, ret, envelopeId],
      );
    if (body.inline) {
      this.#db.prepare('INSERT INTO contents (mail, bytes) VALUES (?, ?)').run(lastInsertRowid, body.inline);
    }
    const insert = this.#db.prepare(
      `INSERT INTO recipients (id, mail, account, lane, address, tag, notify, original_recipient, notice_at, state)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'waiting')`,
    );
    let seq = 0;
    const ids = mail.recipients.map(({ lane, address, tag = null, notify, originalRecipient = null }) => {
      const id = randomBytes(16).toString('hex');
      const noticeAt = wantsNotice(mail, notify, 'delayed') ? queuedAt + FIRST_NOTICE_MS : null;
      const dsn = [notify?.join(',') ?? null, originalRecipient, noticeAt];
      seq = Number(insert.run(id, lastInsertRowid, account, lane, address, tag, ...dsn).lastInsertRowid);
      return id;
    });
    return { ids, seq };
  }

  /** Throws if the content is not there (any more). */
  content(mail: number): Uint8Array {
    const row = this.#db.prepare('SELECT bytes FROM contents WHERE mail = ?').get(mail);
    if (!row) throw new Error('the content is not in the database');
    return row.bytes as Uint8Array;
  }

  /** With the content, if it is in the database and this was the last recipient. False if it was finished already. */
  finish(row: QueueRow, end: Finish): boolean {
    const sql = `UPDATE recipients SET state = ?, sent = ?, attempts = ?, reply = ?, enhanced = ?, text = ?,
      finished_at = ? WHERE id = ? AND state = 'waiting'`;
    const { reply = null, enhanced = null, text = null } = end.status ?? {};
    const { changes } = this.#db
      .prepare(sql)
      .run(end.state, end.sent, end.attempts, reply, enhanced, text, end.now, row.id);
    if (row.inline && !this.wanted(row.mail)) this.#db.prepare('DELETE FROM contents WHERE mail = ?').run(row.mail);
    return changes === 1;
  }

  postpone(id: string, attempts: number, nextAttempt: number, status: MailStatus, sent: number): void {
    const sql = `UPDATE recipients SET attempts = ?, next_attempt = ?, sent = ?, reply = ?, enhanced = ?, text = ?
      WHERE id = ? AND state = 'waiting'`;
    this.#db.prepare(sql).run(attempts, nextAttempt, sent, status.reply, status.enhanced, status.text, id);
  }

  /** Those whose senders are to be told that they still wait. `longest`: a later time is of a clock that went wrong. */
  noticesDue(now: number, longest: number, limit: number): QueueRow[] {
    const sql = `${SELECT} WHERE r.state = 'waiting' AND (r.notice_at <= ? OR r.notice_at > ?)
      ORDER BY r.notice_at LIMIT ?`;
    return this.#db
      .prepare(sql)
      .all(now, now + longest, limit)
      .map(queueRow);
  }

  /** When the next is due, milliseconds since 1970. */
  nextNotice(): number | undefined {
    const sql = `SELECT min(notice_at) AS at FROM recipients WHERE state = 'waiting' AND notice_at IS NOT NULL`;
    const at = this.#db.prepare(sql).get()?.at;
    return typeof at === 'number' ? at : undefined;
  }

  /** False if it does not wait any more. */
  noticed(id: string, next: number): boolean {
    const sql = `UPDATE recipients SET notice_at = ? WHERE id = ? AND state = 'waiting'`;
    return this.#db.prepare(sql).run(next, id).changes === 1;
  }

  /** Due at once. */
  hasten(id: string): void {
    this.#db.prepare(`UPDATE recipients SET next_attempt = 0 WHERE id = ? AND state = 'waiting'`).run(id);
  }

  /** True while someone still waits for that mail. */
  wanted(mail: number): boolean {
    const sql = `SELECT 1 AS yes FROM recipients WHERE mail = ? AND state = 'waiting' LIMIT 1`;
    return this.#db.prepare(sql).get(mail) !== undefined;
  }

  get(id: string): QueueRow | undefined {
    const row = this.#db.prepare(`${SELECT} WHERE r.id = ?`).get(id);
    return row && queueRow(row);
  }

  /** Up to two rows whose id begins so. */
  byPrefix(prefix: string): QueueRow[] {
    const sql = `${SELECT} WHERE r.id >= ? AND r.id < ? LIMIT 2`;
    return this.#db.prepare(sql).all(prefix, `${prefix}g`).map(queueRow);
  }

  /** Those of a lane that wait, in order of acceptance, after `cursor`. */
  waiting(account: string, lane: string, cursor: number, limit: number): QueueRow[] {
    const sql = `${SELECT} WHERE r.account = ? AND r.lane = ? AND r.state = 'waiting' AND r.seq > ?
      ORDER BY r.seq LIMIT ?`;
    return this.#db.prepare(sql).all(account, lane, cursor, limit).map(queueRow);
  }

  /** Every lane with something that waits. */
  lanes(): { account: string; lane: string }[] {
    const rows = this.#db.prepare(`SELECT DISTINCT account, lane FROM recipients WHERE state = 'waiting'`).all();
    return rows.map((row) => ({ account: String(row.account), lane: String(row.lane) }));
  }

  expired(now: number, limit: number): QueueRow[] {
    const sql = `${SELECT} WHERE r.state = 'waiting' AND m.expires_at <= ? ORDER BY r.seq LIMIT ?`;
    return this.#db.prepare(sql).all(now, limit).map(queueRow);
  }

  /** Spool files that someone waits for, with one of those rows' mail. */
  spoolFiles(): Map<string, number> {
    const sql = `SELECT m.spool, m.id FROM mails m
      WHERE m.inline = 0 AND EXISTS (SELECT 1 FROM recipients r WHERE r.mail = m.id AND r.state = 'waiting')`;
    return new Map(
      this.#db
        .prepare(sql)
        .all()
        .map((row) => [String(row.spool), Number(row.id)]),
    );
  }

  /** Mails that someone waits for and whose content should be in the database, but is not. */
  lostContents(): number[] {
    const sql = `SELECT DISTINCT m.id FROM recipients r JOIN mails m ON m.id = r.mail
      WHERE r.state = 'waiting' AND m.inline = 1 AND NOT EXISTS (SELECT 1 FROM contents c WHERE c.mail = m.id)`;
    return this.#db
      .prepare(sql)
      .all()
      .map((row) => Number(row.id));
  }

  waitingOf(mail: number): QueueRow[] {
    return this.#db.prepare(`${SELECT} WHERE r.mail = ? AND r.state = 'waiting'`).all(mail).map(queueRow);
  }

  /** All that wait and the newest finished ones, oldest first. */
  list(account: string | undefined, finishedLimit: number): QueueRow[] {
    const own = account === undefined ? '' : 'AND r.account = ?';
    const values = account === undefined ? [] : [account];
    const waiting = this.#db.prepare(`${SELECT} WHERE r.state = 'waiting' ${own}`).all(...values);
    const finished = this.#db
      .prepare(`${SELECT} WHERE r.finished_at IS NOT NULL ${own} ORDER BY r.finished_at DESC LIMIT ?`)
      .all(...values, finishedLimit);
    return [...waiting, ...finished].map(queueRow).sort((a, b) => a.seq - b.seq);
  }

  counts(): { waiting: number; failed: number } {
    const count = (state: string): number =>
      Number(this.#db.prepare(`SELECT count(*) AS n FROM recipients WHERE state = '${state}'`).get()?.n);
    return { waiting: count('waiting'), failed: count('failed') };
  }

  /** Forgets recipients that finished before `before`, or that `keep` newer ones follow. */
  prune(before: number, keep: number): void {
    this.#db.transaction(() => {
      this.#db.prepare('DELETE FROM recipients WHERE finished_at < ?').run(before);
      const surplus = `DELETE FROM recipients WHERE seq IN
        (SELECT seq FROM recipients WHERE finished_at IS NOT NULL ORDER BY finished_at DESC LIMIT -1 OFFSET ?)`;
      this.#db.prepare(surplus).run(keep);
      this.#db.exec('DELETE FROM mails WHERE NOT EXISTS (SELECT 1 FROM recipients r WHERE r.mail = mails.id)');
    });
  }
}

function queueRow(row: Record<string, unknown>): QueueRow {
  return {
    seq: Number(row.seq),
    id: String(row.id),
    mail: Number(row.mail),
    account: String(row.account),
    lane: String(row.lane),
    address: String(row.address),
    tag: row.tag === null ? undefined : String(row.tag),
    state: row.state as QueueRow['state'],
    sent: Number(row.sent),
    attempts: Number(row.attempts),
    nextAttempt: Number(row.next_attempt),
    status:
      row.enhanced === null
        ? undefined
        : { reply: Number(row.reply), enhanced: row.enhanced as MailStatus['enhanced'], text: String(row.text) },
    notify: row.notify === null ? undefined : (String(row.notify).split(',') as Notify[]),
    originalRecipient: row.original_recipient === null ? undefined : String(row.original_recipient),
    ret: (row.ret ?? undefined) as QueueRow['ret'],
    envelopeId: row.envelope_id === null ? undefined : String(row.envelope_id),
    messageId: String(row.message_id),
    sender: String(row.sender),
    spool: String(row.spool),
    inline: row.inline === 1,
    size: Number(row.size),
    digest: row.digest as Uint8Array,
    queuedAt: Number(row.queued_at),
    expiresAt: Number(row.expires_at),
  };
}
