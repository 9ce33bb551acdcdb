import type { SortKey, Thread, UidRange } from '../types.ts';
import type { FolderKey, IndexedMails, KnownMail, MailToParse, ParsedMail } from './mail-index.ts';
import type { SearchText } from './queries.ts';

/** What the daemon and the index's thread say to each other. `index`: number of an open index. */
export type ToThread = { readonly index: number } & (
  | { readonly do: 'close'; readonly id: number }
  /** `again`: what is known of it came from the file that was there; another one is of no use. */
  | { readonly do: 'open'; readonly path: string; readonly again?: boolean }
  /** A reader found it damaged. */
  | { readonly do: 'discard' }
  | { readonly do: 'load'; readonly id: number; readonly folder: FolderKey }
  | {
      readonly do: 'add';
      readonly folder: FolderKey;
      readonly uids: Uint32Array;
      readonly bits: Uint32Array;
      readonly modSeqs: Float64Array;
    }
  | {
      readonly do: 'parse';
      readonly folder: FolderKey;
      readonly mails: readonly MailToParse[];
      readonly hurry: boolean;
    }
  | { readonly do: 'known'; readonly folder: FolderKey; readonly mails: readonly KnownMail[] }
  | {
      readonly do: 'flags';
      readonly folder: FolderKey;
      readonly uids: Uint32Array;
      readonly bits: Uint32Array;
      readonly modSeq: number;
    }
  | { readonly do: 'expunged'; readonly folder: FolderKey; readonly uids: Uint32Array; readonly modSeq: number }
  | { readonly do: 'forget'; readonly folder: FolderKey }
  | { readonly do: 'expunged-since'; readonly id: number; readonly folder: FolderKey; readonly modSeq: number }
  | { readonly do: 'search'; readonly id: number; readonly folder: FolderKey; readonly key: SearchText }
  | {
      readonly do: 'sort';
      readonly id: number;
      readonly folder: FolderKey;
      readonly uids: Uint32Array;
      readonly by: readonly SortKey[];
    }
  | {
      readonly do: 'thread';
      readonly id: number;
      readonly folder: FolderKey;
      readonly uids: Uint32Array;
      readonly algorithm: 'REFERENCES' | 'ORDEREDSUBJECT';
    }
);

export type FromThread =
  | { readonly is: 'answer'; readonly id: number; readonly value: Answer }
  | { readonly is: 'failed'; readonly id: number; readonly error: string }
  | { readonly is: 'parsed'; readonly index: number; readonly folder: FolderKey; readonly mails: readonly ParsedMail[] }
  /** What was read could not be kept; it is tried again some time later. */
  | { readonly is: 'stalled'; readonly index: number }
  /** The index is no more: it was damaged. The next message must be `open`; then it is made anew. */
  | { readonly is: 'damaged'; readonly index: number }
  | { readonly is: 'log'; readonly line: string; readonly fields: Record<string, string | number> };

export type Answer = IndexedMails | readonly UidRange[] | Uint32Array | readonly Thread[] | undefined;
