import type { FlagBits, SortKey, Thread, UidRange, Wanted } from '../types.ts';
import type { SearchText } from './queries.ts';

/** A folder in the index: its MAILBOXID, and the UIDVALIDITY under which its rows hold. */
export interface FolderKey {
  readonly mailboxId: string;
  readonly uidValidity: number;
}

/** What the index knows of a folder, as columns by position; UIDs ascend. */
export interface IndexedMails {
  readonly uids: Uint32Array;
  readonly contents: Uint32Array;
  readonly bits: Uint32Array;
  readonly modSeqs: Float64Array;
  readonly sizes: Float64Array;
  readonly dates: Float64Array;
  /** The highest that the index has ever been told of, as far as it remembers. */
  readonly lastUid: number;
  /** 0: the index is new, and what was before it is not known. */
  readonly highestModSeq: number;
}

export interface MailToParse {
  readonly uid: number;
  /** Of the file, absolute. */
  readonly path: string;
  /** Not to be tried. */
  readonly unreadable?: boolean;
}

/** Of a mail that was parsed. */
export interface ParsedMail {
  readonly uid: number;
  /** Undefined: there was no such file (any more). */
  readonly content: number | undefined;
  readonly size: number;
  readonly dateMs: number;
}

/** Hears of the mails that are to be parsed. */
export interface ParsingListener {
  parsed(mails: readonly ParsedMail[]): void;
  /** The index cannot be written; it is tried again some time later. */
  stalled(): void;
}

/** A mail's row in another folder with the same content. */
export interface KnownMail {
  readonly uid: number;
  readonly content: number;
  readonly bits: FlagBits;
  readonly modSeq: number;
  readonly size: number;
  readonly dateMs: number;
}

/** What the index keeps of one content, as wanted. */
export interface IndexedContent {
  readonly envelope: string | undefined;
  readonly body: string | undefined;
  readonly bodyStructure: string | undefined;
  /** Fields in KEPT_FIELDS only; undefined if others were wanted. Latin-1 of the mail's bytes. */
  readonly headerFields: string | undefined;
  readonly preview: string | undefined;
  readonly emailId: string | undefined;
  readonly threadId: string | undefined;
}

/**
 * The index of one account: a cache of what parsing the mails gives, with full-text search. It can be deleted at any
 * time; all it costs is the time to read the mails again, and clients a look at all flags. Changes are told to it in
 * order and take effect some time later; questions are answered as of all that was told before.
 */
export interface MailIndex {
  load(folder: FolderKey): Promise<IndexedMails>;
  /** Mails that are not parsed yet. */
  add(folder: FolderKey, uids: Uint32Array, bits: Uint32Array, modSeqs: Float64Array): void;
  /** Reads and keeps mails that were added, those in a hurry first; `onParsed` tells. */
  parse(folder: FolderKey, mails: readonly MailToParse[], hurry: boolean): void;
  /** Mails that are the same as ones known, as after COPY. */
  known(folder: FolderKey, mails: readonly KnownMail[]): void;
  flags(folder: FolderKey, uids: Uint32Array, bits: Uint32Array, modSeq: number): void;
  expunged(folder: FolderKey, uids: Uint32Array, modSeq: number): void;
  /** All of a folder that was deleted. */
  forget(folder: FolderKey): void;
  /** Undefined: not all is known since then. */
  expungedSince(folder: FolderKey, modSeq: number): Promise<readonly UidRange[] | undefined>;
  search(folder: FolderKey, key: SearchText): Promise<Uint32Array>;
  sort(folder: FolderKey, uids: Uint32Array, by: readonly SortKey[]): Promise<Uint32Array>;
  thread(folder: FolderKey, uids: Uint32Array, algorithm: 'REFERENCES' | 'ORDEREDSUBJECT'): Promise<readonly Thread[]>;
  /**
   * Synchronous, and bounded in what it reads at once: the first of those given, as many as fit, at least one. Undefined
   * for contents that are not there.
   */
  contents(contents: readonly number[], want: Wanted): (IndexedContent | undefined)[];
  /** The parts of a mail as `mime/structure.ts` gives them, in its JSON form. */
  structure(content: number): string | undefined;
  /** One listener for each folder; undefined ends it. */
  onParsed(folder: FolderKey, listener: ParsingListener | undefined): void;
  /** Called when the index was damaged and is gone: what was read from it, numbers of contents too, holds no more. */
  onLost(listener: () => void): void;
  close(): Promise<void>;
}
