import type { SearchKey } from '../types.ts';

/** Search keys that need the parsed mails; the others are answered from the folder's columns. */
export type SearchText = Extract<SearchKey, { key: 'header' | 'body' | 'text' | 'emailid' | 'threadid' }> | SentDate;

export interface SentDate {
  readonly key: 'before' | 'on' | 'since';
  readonly date: 'sent';
  readonly day: number;
}
