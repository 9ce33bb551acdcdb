/**
 * The mailbox of one account as its servers see it: folders of mails with UIDs, flags, parsed parts and search. The
 * Maildir on the disk is the truth, and any other program may change it meanwhile; everything here follows it.
 *
 * Numbers: UIDs and UIDVALIDITY are RFC 9051 nz-numbers; mod-sequences (RFC 7162) and times are integers below 2^53,
 * times in milliseconds since 1970; sizes are octets with every line end as CRLF (RFC822.SIZE). Texts are Unicode.
 */

export type Unsubscribe = () => void;

/** Folders that exist from the start, with the mailbox attributes of RFC 6154. */
export type SpecialUse = '\\Archive' | '\\Drafts' | '\\Junk' | '\\Sent' | '\\Trash';

/** Why something was not done; the text may be shown. */
export type MailboxErrorCode =
  | 'already-exists'
  | 'nonexistent'
  /** The name cannot be one of a folder. */
  | 'bad-name'
  /** INBOX cannot be deleted, a special use is taken, and the like. */
  | 'cannot'
  | 'over-quota'
  /** Too many folders, keywords, …; RFC 9051 [LIMIT]. */
  | 'limit'
  /** Not now. */
  | 'unavailable';

export class MailboxError extends Error {
  override readonly name = 'MailboxError';
  readonly code: MailboxErrorCode;

  constructor(code: MailboxErrorCode, text: string) {
    super(text);
    this.code = code;
  }
}

export interface FolderInfo {
  /** Levels parted by '/', Unicode NFC; `INBOX` in capitals. */
  readonly name: string;
  readonly specialUse: SpecialUse | undefined;
  readonly subscribed: boolean;
  /** RFC 8474: stays through renames, is never given again. Empty if `noSelect`, or not known before the folder is opened. */
  readonly mailboxId: string;
  /** Only a level above others: holds no mails. */
  readonly noSelect: boolean;
  readonly hasChildren: boolean;
}

/** RFC 9051 §6.3.11, RFC 7162, RFC 8474, RFC 8438. */
export interface FolderStatus {
  readonly messages: number;
  readonly unseen: number;
  readonly deleted: number;
  /** Sum of all sizes. */
  readonly size: number;
  readonly uidNext: number;
  readonly uidValidity: number;
  readonly highestModSeq: number;
  readonly mailboxId: string;
}

export interface Quota {
  readonly usedBytes: number;
  /** Undefined: no limit. */
  readonly limitBytes: number | undefined;
  readonly messages: number;
}

/** All folders of one account. Methods reject with MailboxError for what a client can put right. */
export interface MailStore {
  /** Every folder, INBOX first, then by name. */
  folders(): Promise<readonly FolderInfo[]>;
  /** Folders subscribed to, also those that exist no more (RFC 9051 §6.3.9.4). */
  subscriptions(): readonly string[];
  /** INBOX in any case. Undefined if there is no such folder or it holds no mails. See Folder on how long it lives. */
  folder(name: string): Promise<Folder | undefined>;
  status(name: string): Promise<FolderStatus | undefined>;
  /** With the levels above it. */
  create(name: string, specialUse?: SpecialUse): Promise<FolderInfo>;
  /** With its mails; what is below it stays. */
  delete(name: string): Promise<void>;
  /** With what is below it. INBOX: its mails move to the new folder (RFC 9051 §6.3.6). */
  rename(from: string, to: string): Promise<void>;
  subscribe(name: string, on: boolean): Promise<void>;
  quota(): Promise<Quota>;
  /** Bound of one mail, octets (RFC 7889). */
  readonly appendLimit: number;
  onFoldersChanged(listener: () => void): Unsubscribe;
}

/** The flags of one mail as bits: FLAG below, then one bit for each of the folder's keywords. */
export type FlagBits = number;

export const FLAG = { seen: 1, answered: 2, flagged: 4, deleted: 8, draft: 16 } as const;

/** What happened to a folder, whoever did it; told after it is on the disk. UIDs ascend. */
export type FolderChange =
  | { readonly kind: 'added'; readonly uids: Uint32Array; readonly modSeq: number }
  | { readonly kind: 'flags'; readonly uids: Uint32Array; readonly modSeq: number; readonly by: unknown }
  | { readonly kind: 'expunged'; readonly uids: Uint32Array; readonly modSeq: number; readonly by: unknown }
  /** The folder was deleted, or its UIDs hold no more: the object is dead, sessions must leave. */
  | { readonly kind: 'gone' };

export interface StoreFlags {
  readonly mode: 'add' | 'remove' | 'replace';
  /** `\Seen`, `$Forwarded`, …; keywords in any case. `\Recent` is not among them. */
  readonly flags: readonly string[];
  /** RFC 7162 §3.1.3: mails changed after this mod-sequence are left alone. */
  readonly unchangedSince?: number;
  /** Comes back in FolderChange, so that a session knows its own changes. */
  readonly by?: unknown;
}

export interface StoreResult {
  /** Those whose flags are now as wished and were not before. */
  readonly changed: Uint32Array;
  /** Those that `unchangedSince` kept. */
  readonly modified: Uint32Array;
  /** That the changed ones have now; `highestModSeq` if none changed. */
  readonly modSeq: number;
}

export interface UidPairs {
  /** Ascending; `source[i]` became `target[i]`. Mails that others removed meanwhile are left out. */
  readonly source: Uint32Array;
  readonly target: Uint32Array;
}

/**
 * One folder, shared by all sessions that selected it. It stays loaded while somebody listens to `changes` or an
 * operation runs, and a moment longer: use it within the turn in which `MailStore.folder` gave it, or listen.
 * Reading is synchronous where it needs no disk. UIDs that are not there (any more) are passed over by every method.
 */
export interface Folder {
  readonly name: string;
  readonly mailboxId: string;
  readonly uidValidity: number;
  readonly uidNext: number;
  readonly highestModSeq: number;
  /** Of all mails, ascending. The array is never changed: a session may keep it as its view until it moves on. */
  readonly uids: Uint32Array;
  /** Keywords in use, and those that may still be made. */
  readonly keywords: readonly string[];
  readonly canAddKeywords: boolean;

  /** Position in `uids`, or -1. */
  indexOf(uid: number): number;
  flagsAt(index: number): FlagBits;
  modSeqAt(index: number): number;
  /** RFC 8514. */
  savedAtAt(index: number): number;
  /** `\Seen`, keywords; the same array for the same bits. */
  flagNames(bits: FlagBits): readonly string[];
  /** Undefined for a keyword that the folder does not know. */
  flagBit(name: string): FlagBits | undefined;
  changes(listener: (change: FolderChange) => void): Unsubscribe;
  /** Looks at the disk for what other programs did; for NOOP and CHECK. Changes come through `changes` before it resolves. */
  sync(): Promise<void>;
  /** Moves mails from new/ to cur/: a program has seen that they are there. */
  takeNew(): Promise<void>;

  storeFlags(uids: Iterable<number>, change: StoreFlags): Promise<StoreResult>;
  /** Begins a mail; write it, then hand it to `commit`, or abort it. Rejects with `over-quota` if `size` does not fit. */
  append(options: AppendOptions): Promise<Append>;
  /** All or none (RFC 3502); UIDs in the order given. On the disk when it resolves. */
  commit(appends: readonly Append[]): Promise<Uint32Array>;
  copy(uids: Iterable<number>, target: Folder): Promise<UidPairs>;
  move(uids: Iterable<number>, target: Folder, by?: unknown): Promise<UidPairs>;
  /** Removes those with \Deleted, of `uids` if given. The UIDs removed. */
  expunge(uids?: Iterable<number>, by?: unknown): Promise<Uint32Array>;
  /** RFC 7162 §3.2.10: ranges of UIDs gone since then, as far as known; else of all that are missing below uidNext. */
  expungedSince(modSeq: number): Promise<readonly UidRange[]>;

  /** What is wanted of each mail, in the order of the UIDs given (ascending), in pieces; waits for what is not parsed yet. */
  records(uids: Iterable<number>, want: Wanted): AsyncIterable<readonly MessageRecord[]>;
  /** Undefined if it has gone. To be closed. */
  open(uid: number): Promise<MessageReader | undefined>;
  search(query: SearchKey): Promise<Uint32Array>;
  /** RFC 5256 §3: the UIDs given, in that order; ties by UID. */
  sort(uids: Iterable<number>, by: readonly SortKey[]): Promise<Uint32Array>;
  thread(uids: Iterable<number>, algorithm: 'REFERENCES' | 'ORDEREDSUBJECT'): Promise<readonly Thread[]>;
}

/** First and last, both included. */
export type UidRange = readonly [first: number, last: number];

export interface AppendOptions {
  readonly flags: readonly string[];
  /** Undefined: now. */
  readonly internalDateMs: number | undefined;
  /** Octets for which there must be room: as the client announced them, with those of mails that it sends together. */
  readonly size: number;
}

export interface Append {
  write(chunk: Uint8Array): Promise<void>;
  /** Harmless after `commit`; never rejects. */
  abort(): Promise<void>;
}

/** Parts of a mail that are kept parsed. */
export interface Wanted {
  readonly envelope?: boolean;
  readonly body?: boolean;
  readonly bodyStructure?: boolean;
  /** Fields of the mail's header: only these, or all but these. Any case. */
  readonly headerFields?: { readonly names: readonly string[]; readonly not: boolean };
  readonly preview?: boolean;
  /** EMAILID and THREADID. */
  readonly objectIds?: boolean;
}

export interface MessageRecord {
  readonly uid: number;
  readonly size: number;
  readonly internalDateMs: number;
  /** RFC 9051 `envelope` ready for the wire, as UTF-8; strings with signs beyond ASCII are literals. */
  readonly envelope: string | undefined;
  /** RFC 9051 `body`, without and with extension data, ready for the wire. */
  readonly body: string | undefined;
  readonly bodyStructure: string | undefined;
  /** The fields as in the mail, CRLF lines, with the empty line at the end. */
  readonly headerFields: Uint8Array | undefined;
  /** RFC 8970: up to 200 characters of text; empty if there is none. */
  readonly preview: string | undefined;
  /** RFC 8474. */
  readonly emailId: string | undefined;
  readonly threadId: string | undefined;
}

/** A mail's octets, line ends as CRLF, by section (RFC 9051 §6.4.5.1). */
export interface MessageReader {
  readonly size: number;
  readonly internalDateMs: number;
  /**
   * `path`: part numbers, empty for the mail itself. `all`: the part's content (the whole mail if the path is empty);
   * `header`, `text`: of the mail, or of the message/rfc822 part; `mime`: the part's own header. Undefined if there is
   * no such part.
   */
  section(path: readonly number[], what: 'all' | 'header' | 'text' | 'mime'): Promise<Section | undefined>;
  /** As in Wanted, of the mail or of a message/rfc822 part. */
  headerFields(path: readonly number[], names: readonly string[], not: boolean): Promise<Uint8Array | undefined>;
  /** The content without its transfer encoding (RFC 3516); `unknown-cte` if that cannot be undone. */
  binary(path: readonly number[]): Promise<Section | 'unknown-cte' | undefined>;
  close(): Promise<void>;
}

export interface Section {
  /** Octets of the whole section. */
  readonly size: number;
  /** Octets from..to (not included), in pieces of at most 64 KiB; clipped to the section. */
  read(from?: number, to?: number): AsyncIterable<Uint8Array>;
}

/** RFC 9051 §6.4.4. Message numbers are the session's: it gives them as UIDs. */
export type SearchKey =
  | { readonly key: 'all' }
  | { readonly key: 'and' | 'or'; readonly of: readonly SearchKey[] }
  | { readonly key: 'not'; readonly of: SearchKey }
  | { readonly key: 'uid'; readonly ranges: readonly UidRange[] }
  /** `\Seen`, or a keyword in any case. */
  | { readonly key: 'flag'; readonly flag: string }
  /** `day`: days since 1970-01-01. Of the arrival (UTC), of the Date field as written, of RFC 8514 (UTC). */
  | {
      readonly key: 'before' | 'on' | 'since';
      readonly date: 'internal' | 'sent' | 'saved';
      readonly day: number;
    }
  /** RFC 5032: by INTERNALDATE. */
  | { readonly key: 'younger' | 'older'; readonly seconds: number }
  | { readonly key: 'larger' | 'smaller'; readonly octets: number }
  /** RFC 7162 §3.1.5: this mod-sequence or a later one. */
  | { readonly key: 'modseq'; readonly from: number }
  /** FROM, TO, CC, BCC, SUBJECT are headers of that name. An empty text: the field is there. */
  | { readonly key: 'header'; readonly name: string; readonly text: string }
  | { readonly key: 'body' | 'text'; readonly text: string }
  | { readonly key: 'emailid' | 'threadid'; readonly id: string };

/** RFC 5256 §3, RFC 5957. */
export interface SortKey {
  readonly key: 'arrival' | 'cc' | 'date' | 'displayfrom' | 'displayto' | 'from' | 'size' | 'subject' | 'to';
  readonly reverse: boolean;
}

/** RFC 5256 §4: undefined UIDs are parents that are not among the mails. */
export interface Thread {
  readonly uid: number | undefined;
  readonly children: readonly Thread[];
}
