/**
 * The schema, step by step. Forward only: a step that was released is never changed, a new one is added at the end;
 * `user_version` counts the steps done. Keys are upper-case hexadecimal, times are milliseconds since 1970.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE accounts (
    name TEXT PRIMARY KEY,
    password_hash TEXT NOT NULL,
    tox_id TEXT,                      -- 76 hex; null until the account's node has been made
    created_at INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE contacts (
    account TEXT NOT NULL REFERENCES accounts(name) ON DELETE CASCADE,
    name TEXT NOT NULL COLLATE NOCASE,
    public_key TEXT NOT NULL,         -- 64 hex
    tox_id TEXT,                      -- 76 hex, if known
    state TEXT NOT NULL CHECK (state IN ('requested', 'contact')),
    last_seen INTEGER,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (account, public_key),
    UNIQUE (account, name)
  ) STRICT;

  CREATE TABLE contact_emails (
    account TEXT NOT NULL,
    public_key TEXT NOT NULL,
    email TEXT NOT NULL COLLATE NOCASE,
    PRIMARY KEY (account, email),
    FOREIGN KEY (account, public_key) REFERENCES contacts(account, public_key) ON DELETE CASCADE
  ) STRICT;
  CREATE INDEX contact_emails_by_key ON contact_emails (account, public_key);

  CREATE TABLE friend_requests (
    account TEXT NOT NULL REFERENCES accounts(name) ON DELETE CASCADE,
    public_key TEXT NOT NULL,
    message TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (account, public_key)
  ) STRICT;

  CREATE TABLE mails (
    id INTEGER PRIMARY KEY,
    account TEXT NOT NULL,
    message_id TEXT NOT NULL,
    sender TEXT NOT NULL,             -- envelope sender as the mail program gave it; '' for notices
    spool TEXT NOT NULL UNIQUE,       -- file name in spool/
    size INTEGER NOT NULL,
    digest BLOB NOT NULL,             -- SHA-256 of the file
    queued_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE recipients (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,          -- transfer id: 32 hex
    mail INTEGER NOT NULL REFERENCES mails(id) ON DELETE CASCADE,
    account TEXT NOT NULL,
    lane TEXT NOT NULL,               -- 'tox:PUBLICKEY' or 'local:ACCOUNT'
    address TEXT NOT NULL,            -- as the mail program gave it
    tag TEXT,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'delivered', 'failed')),
    sent INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt INTEGER NOT NULL DEFAULT 0,
    reply INTEGER,
    enhanced TEXT,
    text TEXT,
    finished_at INTEGER
  ) STRICT;
  CREATE INDEX recipients_waiting ON recipients (account, lane, seq) WHERE state = 'waiting';
  CREATE INDEX recipients_by_mail ON recipients (mail);
  CREATE INDEX recipients_failed ON recipients (seq) WHERE state = 'failed';
  CREATE INDEX recipients_finished ON recipients (finished_at) WHERE finished_at IS NOT NULL;
  `,
  `
  DROP TABLE IF EXISTS seen_transfers; -- of a time when its user made it; filled again from the mails' file names
  CREATE TABLE seen_transfers (
    account TEXT NOT NULL REFERENCES accounts(name) ON DELETE CASCADE,
    token TEXT NOT NULL,              -- of sender and transfer id, 32 hex
    stored_at INTEGER NOT NULL,
    PRIMARY KEY (account, token)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX seen_transfers_by_age ON seen_transfers (account, stored_at);
  `,
  `
  ALTER TABLE mails ADD COLUMN inline INTEGER NOT NULL DEFAULT 0; -- 1: no file; the bytes are in \`contents\` while wanted
  CREATE TABLE contents (
    mail INTEGER PRIMARY KEY REFERENCES mails(id) ON DELETE CASCADE,
    bytes BLOB NOT NULL
  ) STRICT;
  `,
  `
  -- What the sender asked to be told (RFC 3461), as the mail program gave it; null: nothing was said.
  ALTER TABLE mails ADD COLUMN ret TEXT;                    -- FULL or HDRS
  ALTER TABLE mails ADD COLUMN envelope_id TEXT;            -- xtext
  ALTER TABLE recipients ADD COLUMN notify TEXT;            -- NEVER, or some of SUCCESS,FAILURE,DELAY
  ALTER TABLE recipients ADD COLUMN original_recipient TEXT;
  ALTER TABLE recipients ADD COLUMN notice_at INTEGER;      -- when the sender is told that it still waits; null: never
  UPDATE recipients SET notice_at =
    (SELECT m.queued_at + 14400000 FROM mails m WHERE m.id = recipients.mail AND m.sender != '')
    WHERE state = 'waiting';
  CREATE INDEX recipients_notice ON recipients (notice_at) WHERE state = 'waiting' AND notice_at IS NOT NULL;
  `,
  `
  ALTER TABLE accounts ADD COLUMN save_sent INTEGER NOT NULL DEFAULT 0; -- 1: copies of sent mail are stored
  `,
  `
  ALTER TABLE accounts ADD COLUMN welcomed INTEGER NOT NULL DEFAULT 1; -- 0: is yet to get the welcome mail
  `,
  `
  ALTER TABLE accounts ADD COLUMN quota INTEGER; -- bytes of mail; null: no limit
  `,
  `
  -- Accounts that were renamed, while their folders have the old names yet.
  CREATE TABLE renames (id INTEGER PRIMARY KEY, old TEXT NOT NULL UNIQUE, new TEXT NOT NULL) STRICT;
  `,
  `
  ALTER TABLE accounts ADD COLUMN domain TEXT; -- 'tox' or 'tox.alt', as its programs write its address; null: not known
  `,
];
