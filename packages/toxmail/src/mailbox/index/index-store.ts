import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { OWN_FIELDS, type ParsedContent } from '../mime/parse-mail.ts';
import type { UidRange } from '../types.ts';
import type { FolderKey, IndexedMails, KnownMail } from './mail-index.ts';

/** Removals that are remembered for each folder, for QRESYNC. BOUNDED: the oldest go, and clients that ask are told all. */
const EXPUNGED_MAX = 20_000;
/** Contents whose last mail has gone are removed in pieces, and not at once: most were moved to another folder. */
const ORPHANS_AT_ONCE = 100;
const ORPHANS_AFTER_MS = 600_000;
/** Mails whose text goes into the search index at once: some 30 ms. */
const GRAMS_AT_ONCE = 150;

/** The rows of one account's index. For the index's thread: synchronous. */
export class IndexStore {
  readonly sql: DatabaseSync;
  readonly #folders = new Map<string, number>();
  readonly #statements = new Map<string, StatementSync>();
  #gramsUpto: number;
  #toIndex: number;

  constructor(sql: DatabaseSync) {
    this.sql = sql;
    this.#gramsUpto = Number(sql.prepare('SELECT upto FROM grams_done').get()?.upto);
    this.#toIndex = Number(sql.prepare('SELECT coalesce(max(id), 0) AS last FROM contents').get()?.last);
  }

  /** Prepared once per text: they are constants. */
  prepare(text: string): StatementSync {
    let statement = this.#statements.get(text);
    if (!statement) {
      statement = this.sql.prepare(text);
      this.#statements.set(text, statement);
    }
    return statement;
  }

  transaction<T>(work: () => T): T {
    this.sql.exec('BEGIN');
    try {
      const result = work();
      this.sql.exec('COMMIT');
      return result;
    } catch (error) {
      if (this.sql.isTransaction) this.sql.exec('ROLLBACK');
      // Numbers that were given in it will be given again.
      this.#folders.clear();
      this.#toIndex = this.#gramsUpto;
      throw error;
    }
  }

  /** Contents up to here are in `grams`. */
  get gramsUpto(): number {
    return this.#gramsUpto;
  }

  folder({ mailboxId, uidValidity }: FolderKey): number {
    const known = this.#folders.get(mailboxId);
    if (known !== undefined) return known;
    const row = this.prepare('SELECT id, uid_validity FROM folders WHERE mailbox_id = ?').get(mailboxId);
    if (row && row.uid_validity !== uidValidity) this.#forget(Number(row.id));
    // What was removed before now is not known, nor any mod-sequence: those are made of the time.
    const floor = Date.now() * 1000;
    this.prepare(
      'INSERT OR IGNORE INTO folders (mailbox_id, uid_validity, highest_mod_seq, expunged_floor) VALUES (?, ?, 0, ?)',
    ).run(mailboxId, uidValidity, floor);
    const id = Number(this.prepare('SELECT id FROM folders WHERE mailbox_id = ?').get(mailboxId)?.id);
    this.#folders.set(mailboxId, id);
    return id;
  }

  load(key: FolderKey): IndexedMails {
    const folder = this.folder(key);
    const highest = this.prepare('SELECT highest_mod_seq AS m FROM folders WHERE id = ?').get(folder);
    const rows = this.prepare(
      'SELECT uid, content, bits, mod_seq, size, date FROM messages WHERE folder = ? ORDER BY uid',
    );
    const lastUid = (table: 'messages' | 'expunged'): number =>
      Number(this.prepare(`SELECT max(uid) AS last FROM ${table} WHERE folder = ?`).get(folder)?.last);
    const count = Number(this.prepare('SELECT count(*) AS n FROM messages WHERE folder = ?').get(folder)?.n);
    const mails = {
      uids: new Uint32Array(count),
      contents: new Uint32Array(count),
      bits: new Uint32Array(count),
      modSeqs: new Float64Array(count),
      sizes: new Float64Array(count),
      dates: new Float64Array(count),
      lastUid: Math.max(lastUid('messages'), lastUid('expunged')),
      highestModSeq: Number(highest?.m ?? 0),
    };
    let i = 0;
    for (const row of rows.iterate(folder)) {
      mails.uids[i] = Number(row.uid);
      mails.contents[i] = Number(row.content);
      mails.bits[i] = Number(row.bits);
      mails.modSeqs[i] = Number(row.mod_seq);
      mails.sizes[i] = Number(row.size);
      mails.dates[i] = row.content === 0 ? Number.NaN : Number(row.date);
      i++;
    }
    return mails;
  }

  /** Rows of mails that are still to be parsed. */
  add(key: FolderKey, uids: Uint32Array, bits: Uint32Array, modSeqs: Float64Array): void {
    const folder = this.folder(key);
    const insert = this.prepare(
      'INSERT OR IGNORE INTO messages (folder, uid, content, bits, mod_seq) VALUES (?, ?, 0, ?, ?)',
    );
    let highest = 0;
    for (let i = 0; i < uids.length; i++) {
      insert.run(folder, uids[i]!, bits[i]!, modSeqs[i]!);
      highest = Math.max(highest, modSeqs[i]!);
    }
    this.#passed(folder, highest);
  }

  known(key: FolderKey, mails: readonly KnownMail[]): void {
    const folder = this.folder(key);
    const insert = this.prepare(
      `INSERT OR REPLACE INTO messages
        VALUES (?, ?, coalesce((SELECT id FROM contents WHERE id = ?), 0), ?, ?, ?, ?)`,
    );
    for (const { uid, content, bits, modSeq, size, dateMs } of mails) {
      insert.run(folder, uid, content, bits, modSeq, size, Math.floor(dateMs));
      this.#passed(folder, modSeq);
    }
  }

  /** A mail of this folder has this content now. */
  parsed(folder: number, uid: number, content: number, size: number, dateMs: number): void {
    this.prepare('UPDATE messages SET content = ?, size = ?, date = ? WHERE folder = ? AND uid = ?').run(
      content,
      size,
      Math.floor(dateMs),
      folder,
      uid,
    );
  }

  flags(key: FolderKey, uids: Uint32Array, bits: Uint32Array, modSeq: number): void {
    const folder = this.folder(key);
    const update = this.prepare('UPDATE messages SET bits = ?, mod_seq = ? WHERE folder = ? AND uid = ?');
    for (let i = 0; i < uids.length; i++) update.run(bits[i]!, modSeq, folder, uids[i]!);
    this.#passed(folder, modSeq);
  }

  expunged(key: FolderKey, uids: Uint32Array, modSeq: number): void {
    const folder = this.folder(key);
    const orphan = this.prepare(
      'INSERT OR REPLACE INTO orphans SELECT content, ? FROM messages WHERE folder = ? AND uid = ? AND content > 0',
    );
    const now = Date.now();
    const remove = this.prepare('DELETE FROM messages WHERE folder = ? AND uid = ?');
    const note = this.prepare('INSERT OR IGNORE INTO expunged VALUES (?, ?, ?)');
    for (const uid of uids) {
      orphan.run(now, folder, uid);
      remove.run(folder, uid);
      note.run(folder, modSeq, uid);
    }
    this.#passed(folder, modSeq);
    this.#boundExpunged(folder);
  }

  expungedSince(key: FolderKey, modSeq: number): UidRange[] | undefined {
    const folder = this.folder(key);
    const row = this.prepare('SELECT expunged_floor AS floor FROM folders WHERE id = ?').get(folder);
    if (modSeq < Number(row?.floor)) return undefined;
    const ranges: [number, number][] = [];
    const rows = this.prepare('SELECT uid FROM expunged WHERE folder = ? AND mod_seq > ? ORDER BY uid');
    for (const { uid } of rows.iterate(folder, modSeq)) {
      const last = ranges.at(-1);
      if (last && last[1] === Number(uid) - 1) last[1] = Number(uid);
      else ranges.push([Number(uid), Number(uid)]);
    }
    return ranges;
  }

  forget(key: FolderKey): void {
    this.#forget(this.folder(key));
    this.#folders.delete(key.mailboxId);
  }

  /** Keeps a content; the key of the one that is there already if it is the same mail. */
  keep(content: ParsedContent): number {
    const emailHash = emailHashOf(content.emailId);
    const there = this.prepare('SELECT id FROM contents WHERE email_hash = ?').get(emailHash);
    if (there) return Number(there.id);
    const { lastInsertRowid } = this.prepare(
      `INSERT INTO contents (email_hash, thread_id, sent_day, sent, subject, reply, sort_from, sort_to, sort_cc,
        display_from, display_to, message_id, refs, envelope, body, body_structure, preview, structure, kept)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ).run(
      emailHash,
      content.threadId,
      content.sent?.day ?? null,
      content.sent?.ms ?? null,
      content.subject.base,
      content.subject.reply ? 1 : 0,
      content.sortFrom,
      content.sortTo,
      content.sortCc,
      content.displayFrom,
      content.displayTo,
      content.messageId,
      content.references.join('\n'),
      content.envelope,
      content.body,
      content.bodyStructure,
      content.preview,
      content.structure,
      content.kept ?? null,
    );
    const id = Number(lastInsertRowid);
    const present = content.fields.reduce((bits, text, n) => (text === undefined ? bits : bits | (1 << n)), 0);
    this.prepare('INSERT INTO fields VALUES (?, ?, ?, ?, ?, ?, ?, ?)').run(
      id,
      ...(content.fields.map((text) => text ?? '') as [string, string, string, string, string]),
      present,
      content.otherFields,
    );
    this.prepare('INSERT INTO texts VALUES (?, ?)').run(id, content.text);
    this.#toIndex = id;
    return id;
  }

  /** A piece of the work that nobody waits for; false if there is none. */
  tidy(): boolean {
    return this.#gramsStep() || this.#orphansStep();
  }

  close(): void {
    this.#statements.clear();
    try {
      this.sql.exec('PRAGMA optimize');
    } catch {
      // the disk is full, or the like: it is for speed only
    }
    this.sql.close();
  }

  #gramsStep(): boolean {
    if (this.#gramsUpto >= this.#toIndex) return false;
    const upto = Math.min(this.#toIndex, this.#gramsUpto + GRAMS_AT_ONCE);
    const own = OWN_FIELDS.map((name) => `f."${name}"`).join(' || char(10) || ');
    this.transaction(() => {
      this.prepare(
        `INSERT INTO grams (rowid, text) SELECT f.id, ${own} || char(10) || f.other || char(10) || t.body
          FROM fields f JOIN texts t ON t.id = f.id WHERE f.id > ? AND f.id <= ?`,
      ).run(this.#gramsUpto, upto);
      this.prepare('UPDATE grams_done SET upto = ?').run(upto);
    });
    this.#gramsUpto = upto;
    return true;
  }

  #orphansStep(): boolean {
    const ids = this.prepare('SELECT content FROM orphans WHERE since < ? LIMIT ?')
      .all(Date.now() - ORPHANS_AFTER_MS, ORPHANS_AT_ONCE)
      .map((row) => Number(row.content));
    if (ids.length === 0) return false;
    this.transaction(() => {
      for (const id of ids) {
        if (!this.prepare('SELECT 1 FROM messages WHERE content = ?').get(id)) {
          for (const table of ['contents', 'fields', 'texts'])
            this.prepare(`DELETE FROM ${table} WHERE id = ?`).run(id);
          if (id <= this.#gramsUpto) this.prepare('DELETE FROM grams WHERE rowid = ?').run(id);
        }
        this.prepare('DELETE FROM orphans WHERE content = ?').run(id);
      }
    });
    return true;
  }

  #passed(folder: number, modSeq: number): void {
    this.prepare('UPDATE folders SET highest_mod_seq = ?2 WHERE id = ?1 AND highest_mod_seq < ?2').run(folder, modSeq);
  }

  #boundExpunged(folder: number): void {
    const oldest = this.prepare(
      'SELECT mod_seq FROM expunged WHERE folder = ? ORDER BY mod_seq DESC LIMIT 1 OFFSET ?',
    ).get(folder, EXPUNGED_MAX);
    if (!oldest) return;
    this.prepare('DELETE FROM expunged WHERE folder = ? AND mod_seq <= ?').run(folder, Number(oldest.mod_seq));
    this.prepare('UPDATE folders SET expunged_floor = ? WHERE id = ?').run(Number(oldest.mod_seq), folder);
  }

  #forget(folder: number): void {
    this.prepare(
      'INSERT OR IGNORE INTO orphans SELECT DISTINCT content FROM messages WHERE folder = ? AND content > 0',
    ).run(folder);
    this.prepare('DELETE FROM messages WHERE folder = ?').run(folder);
    this.prepare('DELETE FROM expunged WHERE folder = ?').run(folder);
    this.prepare('DELETE FROM folders WHERE id = ?').run(folder);
  }
}

/** Of an EMAILID, as the index has it. */
export function emailHashOf(emailId: string): Buffer {
  return Buffer.from(emailId.slice(1), 'hex');
}
