import type { Scheduler } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { SortKey, Thread, UidRange, Wanted } from '../types.ts';
import { IndexReader } from './index-reader.ts';
import { LastingThread } from './lasting-thread.ts';
import type {
  FolderKey,
  IndexedContent,
  IndexedMails,
  KnownMail,
  MailIndex,
  MailToParse,
  ParsingListener,
} from './mail-index.ts';
import type { Answer, FromThread, ToThread } from './protocol.ts';
import type { SearchText } from './queries.ts';

type Question = Extract<ToThread, { id: number }>;
type WithoutIndex<T> = T extends unknown ? Omit<T, 'index'> : never;
type WithoutIds<T> = T extends unknown ? Omit<T, 'id' | 'index'> : never;

/** The indexes of all accounts: one thread works for them. It starts with the first index that is used. */
export class IndexThread {
  readonly #log: Logger;
  readonly #thread: LastingThread;
  #lastId = 0;
  #lastIndex = 0;
  /** BOUNDED by the questions of sessions, one at a time each. */
  readonly #asked = new Map<number, { resolve: (value: Answer) => void; reject: (error: Error) => void }>();
  /** Those that are open. BOUNDED by the accounts. */
  readonly #clients = new Map<number, IndexClient>();
  readonly #listeners = new Map<string, ParsingListener>();

  /** `make`: for tests. */
  constructor(scheduler: Scheduler, log: Logger, make?: ConstructorParameters<typeof LastingThread>[3]) {
    this.#log = log;
    this.#thread = new LastingThread(scheduler, log, (message) => this.#hear(message), make);
  }

  /** The index in this file. With its first use the file is made, or made anew, if it must be. */
  open(path: string): MailIndex {
    return new IndexClient(this, ++this.#lastIndex, path);
  }

  async close(): Promise<void> {
    await this.#thread.close();
  }

  opened(index: number, client: IndexClient | undefined): void {
    if (client) this.#clients.set(index, client);
    else this.#clients.delete(index);
  }

  tell(message: ToThread): void {
    this.#thread.send(message);
  }

  ask(index: number, question: WithoutIds<Question>): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const id = ++this.#lastId;
      this.#asked.set(id, { resolve, reject });
      this.tell({ ...question, index, id } as Question);
    });
  }

  listen(index: number, { mailboxId }: FolderKey, listener?: ParsingListener): void {
    if (listener) this.#listeners.set(`${index} ${mailboxId}`, listener);
    else this.#listeners.delete(`${index} ${mailboxId}`);
  }

  #hear(message: FromThread): void {
    if (message.is === 'log') {
      this.#log.info(message.line, message.fields);
      return;
    }
    if (message.is === 'parsed') {
      this.#listeners.get(`${message.index} ${message.folder.mailboxId}`)?.parsed(message.mails);
      return;
    }
    if (message.is === 'stalled') {
      for (const [key, listener] of this.#listeners) if (key.startsWith(`${message.index} `)) listener.stalled();
      return;
    }
    if (message.is === 'damaged') {
      this.#clients.get(message.index)?.lost();
      return;
    }
    const asked = this.#asked.get(message.id);
    this.#asked.delete(message.id);
    if (message.is === 'answer') asked?.resolve(message.value);
    else asked?.reject(new Error(message.error));
  }
}

/** One account's index, seen from the daemon. */
class IndexClient implements MailIndex {
  readonly #thread: IndexThread;
  readonly #index: number;
  readonly #path: string;
  readonly #reader: IndexReader;
  #opened = false;
  #onLost = (): void => {};

  constructor(thread: IndexThread, index: number, path: string) {
    this.#thread = thread;
    this.#index = index;
    this.#path = path;
    this.#reader = new IndexReader(path, () => this.#tell({ do: 'discard' }));
  }

  async load(folder: FolderKey): Promise<IndexedMails> {
    return (await this.#ask({ do: 'load', folder })) as IndexedMails;
  }

  add(folder: FolderKey, uids: Uint32Array, bits: Uint32Array, modSeqs: Float64Array): void {
    this.#tell({ do: 'add', folder, uids, bits, modSeqs });
  }

  parse(folder: FolderKey, mails: readonly MailToParse[], hurry: boolean): void {
    this.#tell({ do: 'parse', folder, mails, hurry });
  }

  known(folder: FolderKey, mails: readonly KnownMail[]): void {
    this.#tell({ do: 'known', folder, mails });
  }

  flags(folder: FolderKey, uids: Uint32Array, bits: Uint32Array, modSeq: number): void {
    this.#tell({ do: 'flags', folder, uids, bits, modSeq });
  }

  expunged(folder: FolderKey, uids: Uint32Array, modSeq: number): void {
    this.#tell({ do: 'expunged', folder, uids, modSeq });
  }

  forget(folder: FolderKey): void {
    this.#tell({ do: 'forget', folder });
  }

  async expungedSince(folder: FolderKey, modSeq: number): Promise<readonly UidRange[] | undefined> {
    return (await this.#ask({ do: 'expunged-since', folder, modSeq })) as UidRange[] | undefined;
  }

  async search(folder: FolderKey, key: SearchText): Promise<Uint32Array> {
    return (await this.#ask({ do: 'search', folder, key })) as Uint32Array;
  }

  async sort(folder: FolderKey, uids: Uint32Array, by: readonly SortKey[]): Promise<Uint32Array> {
    return (await this.#ask({ do: 'sort', folder, uids, by })) as Uint32Array;
  }

  async thread(
    folder: FolderKey,
    uids: Uint32Array,
    algorithm: 'REFERENCES' | 'ORDEREDSUBJECT',
  ): Promise<readonly Thread[]> {
    return (await this.#ask({ do: 'thread', folder, uids, algorithm })) as Thread[];
  }

  contents(contents: readonly number[], want: Wanted): (IndexedContent | undefined)[] {
    return this.#reader.contents(contents, want);
  }

  structure(content: number): string | undefined {
    return this.#reader.structure(content);
  }

  onParsed(folder: FolderKey, listener: ParsingListener | undefined): void {
    this.#thread.listen(this.#index, folder, listener);
  }

  onLost(listener: () => void): void {
    this.#onLost = listener;
  }

  /** The index was thrown away. With its next use it is made anew. */
  lost(): void {
    this.#reader.close();
    this.#opened = false;
    this.#onLost();
  }

  async close(): Promise<void> {
    this.#reader.close();
    if (this.#opened) await this.#ask({ do: 'close' });
    this.#opened = false;
    this.#thread.opened(this.#index, undefined);
  }

  #tell(message: WithoutIndex<ToThread>): void {
    this.#open();
    this.#thread.tell({ ...message, index: this.#index } as ToThread);
  }

  #ask(question: WithoutIds<Question>): Promise<Answer> {
    this.#open();
    return this.#thread.ask(this.#index, question);
  }

  #open(): void {
    if (this.#opened) return;
    this.#opened = true;
    this.#thread.opened(this.#index, this);
    this.#thread.tell({ index: this.#index, do: 'open', path: this.#path });
  }
}
