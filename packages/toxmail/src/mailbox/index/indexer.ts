import { lstatSync } from 'node:fs';
import { errorCode } from '../../base/files.ts';
import { readMailFile } from '../mail-file.ts';
import { type ParsedContent, parseMail } from '../mime/parse-mail.ts';
import type { IndexStore } from './index-store.ts';
import type { FolderKey, MailToParse, ParsedMail } from './mail-index.ts';
import type { Progress } from './progress.ts';

/** A piece of work; then questions are answered. */
const SLICE_MS = 30;

interface Waiting {
  readonly key: FolderKey;
  /** By UID. BOUNDED by what folders ask for ahead. */
  readonly mails: Map<number, MailToParse>;
  readonly hurried: Set<number>;
}

/** Reads mails into the index, those that somebody waits for first. */
export class Indexer {
  readonly #store: IndexStore;
  readonly #progress: Progress;
  readonly #tell: (folder: FolderKey, mails: readonly ParsedMail[]) => void;
  readonly #log: (line: string, fields: Record<string, string | number>) => void;
  /** By MAILBOXID. */
  readonly #folders = new Map<string, Waiting>();

  constructor(
    store: IndexStore,
    progress: Progress,
    tell: (folder: FolderKey, mails: readonly ParsedMail[]) => void,
    log: (line: string, fields: Record<string, string | number>) => void,
  ) {
    this.#store = store;
    this.#progress = progress;
    this.#tell = tell;
    this.#log = log;
  }

  parse(key: FolderKey, mails: readonly MailToParse[], hurry: boolean): void {
    let waiting = this.#folders.get(key.mailboxId);
    if (!waiting) {
      waiting = { key, mails: new Map(), hurried: new Set() };
      this.#folders.set(key.mailboxId, waiting);
    }
    for (const mail of mails) {
      waiting.mails.set(mail.uid, mail);
      if (hurry) waiting.hurried.add(mail.uid);
    }
  }

  expunged(key: FolderKey, uids: Uint32Array): void {
    const waiting = this.#folders.get(key.mailboxId);
    if (!waiting) return;
    for (const uid of uids) this.#take(waiting, uid);
    if (waiting.mails.size === 0) this.#folders.delete(key.mailboxId);
  }

  forget(key: FolderKey): void {
    this.#folders.delete(key.mailboxId);
  }

  /** A piece of the work; false if there is none. */
  step(): boolean {
    let waiting: Waiting | undefined;
    for (const each of this.#folders.values()) if (!waiting || each.hurried.size > waiting.hurried.size) waiting = each;
    if (!waiting) return false;
    const { key, mails, hurried } = waiting;
    const parsed: ParsedMail[] = [];
    const until = performance.now() + SLICE_MS;
    const folder = this.#store.folder(key);
    const taken: MailToParse[] = [];
    try {
      this.#store.transaction(() => {
        while (mails.size > 0 && performance.now() < until) {
          const uid = first(hurried) ?? first(mails.keys())!;
          const mail = mails.get(uid)!;
          this.#take(waiting, uid);
          taken.push(mail);
          this.#progress.reading(mail.path);
          parsed.push(this.#one(folder, mail));
        }
      });
    } catch (error) {
      for (const mail of taken) mails.set(mail.uid, mail); // the disk is full, or the like: they are tried again
      throw error;
    } finally {
      this.#progress.reading(undefined);
    }
    if (mails.size === 0) this.#folders.delete(key.mailboxId);
    this.#tell(key, parsed);
    return true;
  }

  #one(folder: number, { uid, path, unreadable }: MailToParse): ParsedMail {
    let mail: ReturnType<typeof readMail>;
    try {
      if (unreadable) throw new Error('the thread of the index died of it');
      mail = readMail(path);
    } catch (error) {
      // Shown as an empty mail until the next start; the row still says that it is not parsed.
      this.#log('mailbox.unreadable', { uid, error: String(error) });
      return { uid, content: this.#store.keep(parseMail(() => 0)), size: 0, dateMs: 0 };
    }
    if (!mail) return { uid, content: undefined, size: 0, dateMs: 0 };
    const content = this.#store.keep(mail.content);
    this.#store.parsed(folder, uid, content, mail.content.size, mail.mtimeMs);
    return { uid, content, size: mail.content.size, dateMs: mail.mtimeMs };
  }

  #take(waiting: Waiting, uid: number): void {
    waiting.mails.delete(uid);
    waiting.hurried.delete(uid);
  }
}

function first<T>(of: Iterable<T>): T | undefined {
  for (const one of of) return one;
  return undefined;
}

/** Undefined if there is no such file. */
function readMail(path: string): { content: ParsedContent; mtimeMs: number } | undefined {
  try {
    return readMailFile(path, (readAt, { mtimeMs }) => ({ content: parseMail(readAt), mtimeMs }));
  } catch (error) {
    // A link to nowhere is there and cannot be read.
    if (errorCode(error) === 'ENOENT' && !lstatSync(path, { throwIfNoEntry: false })) return undefined;
    throw error;
  }
}
