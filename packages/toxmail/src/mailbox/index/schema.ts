import { randomInt } from 'node:crypto';
import { closeSync, openSync, rmSync, statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { FILE_MODE } from '../../base/files.ts';

/** Another schema, other folding or other parsing: the index is made anew. */
const VERSION = 2;

/** Rows of the size of mails: larger pages than SQLite's own choice waste less. */
const PAGE = 16_384;
const CACHE_KIB = 8_192;
/** Pages after which the WAL goes into the file, which waits for the disk: 64 MB when a large folder is read in. */
const CHECKPOINT_PAGES = 4_000;
/** Bytes of the WAL that stay on the disk between such times. */
const WAL_KEPT = 16 * 1024 * 1024;

const SCHEMA = `
  CREATE TABLE identity (inode INTEGER NOT NULL, born INTEGER NOT NULL) STRICT;

  CREATE TABLE folders (
    id INTEGER PRIMARY KEY,
    mailbox_id TEXT NOT NULL UNIQUE,
    uid_validity INTEGER NOT NULL,
    highest_mod_seq INTEGER NOT NULL DEFAULT 0,
    expunged_floor INTEGER NOT NULL DEFAULT 0  -- removals up to this mod-sequence are not all known
  ) STRICT;

  CREATE TABLE messages (
    folder INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    content INTEGER NOT NULL,         -- 0: not parsed yet
    bits INTEGER NOT NULL,
    mod_seq INTEGER NOT NULL,
    size INTEGER NOT NULL DEFAULT 0,
    date INTEGER NOT NULL DEFAULT 0,  -- INTERNALDATE, milliseconds since 1970
    PRIMARY KEY (folder, uid)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX messages_by_content ON messages (content);

  CREATE TABLE expunged (
    folder INTEGER NOT NULL,
    mod_seq INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    PRIMARY KEY (folder, mod_seq, uid)
  ) STRICT, WITHOUT ROWID;

  -- One row for all copies of a mail.
  CREATE TABLE contents (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The digits of EMAILID as bytes: in no order, so each commit writes most pages of their index anew, and it is short.
    email_hash BLOB NOT NULL UNIQUE,
    email_id TEXT NOT NULL GENERATED ALWAYS AS ('M' || lower(hex(email_hash))) VIRTUAL,
    thread_id TEXT NOT NULL,
    sent_day INTEGER,                 -- of the Date field as written, days since 1970
    sent INTEGER,                     -- the same moment, milliseconds since 1970
    subject TEXT NOT NULL,            -- RFC 5256 base subject, folded
    reply INTEGER NOT NULL,           -- 1: the subject had Re: or the like
    sort_from TEXT NOT NULL, sort_to TEXT NOT NULL, sort_cc TEXT NOT NULL,
    display_from TEXT NOT NULL, display_to TEXT NOT NULL,
    message_id TEXT NOT NULL,
    refs TEXT NOT NULL,               -- ids of the ancestors, oldest first, parted by line ends
    envelope TEXT NOT NULL,
    body TEXT NOT NULL,
    body_structure TEXT NOT NULL,
    preview TEXT NOT NULL,
    structure TEXT NOT NULL,
    kept TEXT                         -- fields as in the mail, latin-1; NULL if they are too long to keep
  ) STRICT;

  -- Folded: what a search looks at, narrow things first.
  CREATE TABLE fields (
    id INTEGER PRIMARY KEY,
    "from" TEXT NOT NULL, "to" TEXT NOT NULL, cc TEXT NOT NULL, bcc TEXT NOT NULL, subject TEXT NOT NULL,
    present INTEGER NOT NULL,         -- bits: which of these the mail has
    other TEXT NOT NULL               -- lines of 'name: value'
  ) STRICT;
  CREATE TABLE texts (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;

  -- Every three characters of all of that: finds the mails that may hold a text.
  CREATE VIRTUAL TABLE grams USING fts5 (
    text, content = '', contentless_delete = 1, detail = none, tokenize = 'trigram case_sensitive 1'
  );
  CREATE TABLE grams_done (upto INTEGER NOT NULL) STRICT;
  INSERT INTO grams_done VALUES (0);

  -- Contents whose last mail has gone, and when.
  CREATE TABLE orphans (content INTEGER PRIMARY KEY, since INTEGER NOT NULL) STRICT;
`;

/**
 * Opens the index, or makes it anew if it is of another version, damaged, or not the file that we made: one that came
 * out of a backup knows mod-sequences that clients have passed (ADR 22).
 */
export function openIndexFile(path: string): { readonly sql: DatabaseSync; readonly made: boolean } {
  for (const attempt of [1, 2]) {
    try {
      return opened(path);
    } catch (error) {
      if (attempt === 2 || !isDamage(error)) throw error;
      removeIndex(path);
    }
  }
  throw new Error('unreachable');
}

/** A second connection, for reading. */
export function openForReading(path: string): DatabaseSync {
  const sql = new DatabaseSync(path, { readOnly: true, timeout: BUSY_TIMEOUT_MS });
  sql.exec(`PRAGMA cache_size = -${CACHE_KIB / 4}`);
  return sql;
}

const BUSY_TIMEOUT_MS = 5_000;
/** Leaves as many numbers of 32 bits. */
const FIRST_ID_MAX = 2 ** 31;
/** SQLite: CORRUPT, NOTADB. */
const DAMAGE = [11, 26];

class Foreign extends Error {}

/** SQLite: BUSY, LOCKED, NOMEM, READONLY, IOERR, FULL, CANTOPEN. */
const PASSING = [5, 6, 7, 8, 10, 13, 14];

/** True if the same may well succeed later. */
export function isPassing(error: unknown): boolean {
  return PASSING.includes(codeOf(error));
}

export function isDamage(error: unknown): boolean {
  return error instanceof Foreign || DAMAGE.includes(codeOf(error));
}

/** SQLite's primary result code; 0 for other errors. */
function codeOf(error: unknown): number {
  return error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : 0;
}

export function removeIndex(path: string): void {
  for (const end of ['', '-wal', '-shm']) rmSync(path + end, { force: true });
}

function opened(path: string): { readonly sql: DatabaseSync; readonly made: boolean } {
  closeSync(openSync(path, 'a', FILE_MODE));
  const sql = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
  try {
    sql.exec(`PRAGMA page_size = ${PAGE}; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL`);
    sql.exec(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}; PRAGMA journal_size_limit = ${WAL_KEPT}`);
    sql.exec(`PRAGMA cache_size = -${CACHE_KIB}; PRAGMA temp_store = MEMORY`);
    const version = Number(sql.prepare('PRAGMA user_version').get()?.user_version);
    const { ino, birthtimeMs } = statSync(path);
    const me = [ino, Math.floor(birthtimeMs)] as const;
    const made = version === 0 && isEmpty(sql);
    if (made) {
      sql.exec(`BEGIN; ${SCHEMA}; PRAGMA user_version = ${VERSION}; COMMIT`);
      // Whoever still has a content's number of the index that was here before finds nothing, rather than another mail.
      const before = randomInt(FIRST_ID_MAX);
      sql.prepare("INSERT INTO sqlite_sequence VALUES ('contents', ?)").run(before);
      sql.prepare('UPDATE grams_done SET upto = ?').run(before);
      sql.prepare('INSERT INTO identity VALUES (?, ?)').run(...me);
    } else {
      if (version !== VERSION) throw new Foreign('another version');
      const row = sql.prepare('SELECT inode, born FROM identity').get();
      if (row?.inode !== me[0] || row.born !== me[1]) throw new Foreign('restored from elsewhere');
    }
    return { sql, made };
  } catch (error) {
    sql.close();
    throw error;
  }
}

function isEmpty(sql: DatabaseSync): boolean {
  return sql.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() === undefined;
}
