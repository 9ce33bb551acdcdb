import { Worker } from 'node:worker_threads';
import type { Cancel, Scheduler } from '../../base/clock.ts';
import { errorField, type Logger } from '../../base/log.ts';
import type { FolderKey, MailToParse } from './mail-index.ts';
import { Progress } from './progress.ts';
import type { FromThread, ToThread } from './protocol.ts';

/** The thread makes short-lived strings by the million: with a small space for them its memory stays small. */
const YOUNG_MB = 8;
/** For the rest; the thread dies above. Threading 100,000 mails takes a sixth of it. */
const OLD_MB = 512;
/** A thread that died is started again after this time, twice as long after each death, and at last after that one. */
const RESTART_MIN_MS = 100;
const RESTART_MAX_MS = 60_000;
/** Reading one mail takes no longer, be it as large as it may and the disk slow: at the second look the thread is ended. */
const STUCK_MS = 60_000;
/** One that lived so long was well. */
const WELL_MS = 60_000;
/** What a thread was at when it died is given to the next one once more, and then no more. */
const DEATHS_MAX = 2;
/** A question fails after so many deaths, whoever caused them: somebody waits for the answer. */
const QUESTION_DEATHS_MAX = 3;
/** BOUNDED: the oldest go. What the index is not told shows when the folder is loaded the next time. */
const WAITING_MAX = 10_000;
/** BOUNDED: the oldest go. */
const CULPRITS_MAX = 100;

/** A message that the thread has not done yet, as far as we know. */
interface Waiting {
  readonly message: ToThread;
  /** While it waited. */
  deaths: number;
  /** In the midst of it. */
  culprit: number;
}

/** Mails of one folder that the thread was told to read. */
interface Unread {
  readonly index: number;
  readonly folder: FolderKey;
  /** By UID. BOUNDED by what folders ask for ahead. */
  readonly mails: Map<number, { readonly mail: MailToParse; readonly hurry: boolean }>;
}

/**
 * The index's thread, started with the first message and again when it dies: of a bug, or because it wants too much
 * memory. All that was told and is not done is told again; what kills a second time is left out: a question fails, a mail
 * is taken for one that cannot be read.
 */
export class LastingThread {
  readonly #scheduler: Scheduler;
  readonly #log: Logger;
  readonly #hear: (message: FromThread) => void;
  readonly #make: (progress: Progress) => Worker;
  #worker: Worker | undefined;
  #progress = new Progress();
  #startedAt = 0;
  #error: unknown;
  #deaths = 0;
  #restart: Cancel | undefined;
  #look: Cancel | undefined;
  #closed = false;
  /** In the order given. */
  #waiting: Waiting[] = [];
  /** Messages that this worker has done and that are taken off `#waiting`. */
  #taken = 0;
  /** Paths of the indexes that are open. BOUNDED by the accounts. */
  readonly #open = new Map<number, string>();
  /** By index and MAILBOXID. BOUNDED by the folders in use. */
  readonly #unread = new Map<string, Unread>();
  /** How often the thread died while it read this file. */
  readonly #culprits = new Map<string, number>();

  constructor(
    scheduler: Scheduler,
    log: Logger,
    hear: (message: FromThread) => void,
    make: (progress: Progress) => Worker = startWorker,
  ) {
    this.#scheduler = scheduler;
    this.#log = log;
    this.#hear = hear;
    this.#make = make;
  }

  send(message: ToThread): void {
    if (this.#closed) return;
    this.#takeDone();
    this.#waiting.push({ message, deaths: 0, culprit: 0 });
    if (this.#restart) {
      if (message.do === 'close') this.#closeUnopened(message);
      this.#bound();
      return;
    }
    this.#worker ??= this.#start();
    this.#worker.postMessage(this.#marked(message));
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#restart?.();
    this.#look?.();
    await this.#worker?.terminate();
  }

  #start(): Worker {
    this.#progress = new Progress();
    this.#taken = 0;
    this.#startedAt = this.#scheduler.mono();
    const worker = this.#make(this.#progress);
    worker.unref();
    worker.on('message', (message: FromThread) => {
      this.#takeDone();
      if (message.is === 'parsed') this.#wasRead(message.index, message.folder, message.mails);
      if (message.is === 'damaged') this.#wasClosed(message.index);
      this.#hear(message);
    });
    worker.on('error', (error) => {
      this.#error = error;
    });
    worker.on('exit', () => this.#died());
    this.#watch(worker, undefined);
    return worker;
  }

  /** `seen`: the mail that it read at the last look. */
  #watch(worker: Worker, seen: string | undefined): void {
    this.#look = this.#scheduler.at(this.#scheduler.mono() + STUCK_MS, () => {
      const { path } = this.#progress;
      if (path === undefined || path !== seen) return this.#watch(worker, path);
      this.#error = new Error('reading a mail does not end');
      void worker.terminate();
    });
  }

  #died(): void {
    if (this.#closed) return;
    this.#look?.();
    this.#takeDone();
    if (this.#scheduler.mono() >= this.#startedAt + WELL_MS) this.#deaths = 0;
    this.#blame();
    const wait = Math.min(RESTART_MAX_MS, RESTART_MIN_MS * 2 ** this.#deaths++);
    this.#log.error('mailbox.index-thread-died', {
      error: this.#error === undefined ? undefined : errorField(this.#error),
      againMs: wait,
    });
    this.#worker = undefined;
    this.#error = undefined;
    this.#restart = this.#scheduler.at(this.#scheduler.mono() + wait, () => {
      this.#restart = undefined;
      this.#resume();
    });
  }

  /** Notes what the thread was at, and gives up what has killed it too often. */
  #blame(): void {
    const { path, inMessage } = this.#progress;
    if (path !== undefined) {
      this.#culprits.set(path, (this.#culprits.get(path) ?? 0) + 1);
      for (const oldest of this.#culprits.keys()) if (this.#culprits.size > CULPRITS_MAX) this.#culprits.delete(oldest);
    } else if (inMessage && this.#waiting[0]) this.#waiting[0].culprit++;
    const given = this.#waiting;
    this.#waiting = [];
    for (const each of given) {
      each.deaths++;
      const tooOften = each.culprit >= DEATHS_MAX || ('id' in each.message && each.deaths >= QUESTION_DEATHS_MAX);
      if (tooOften) this.#giveUp(each.message);
      else this.#waiting.push(each);
    }
  }

  #bound(): void {
    while (this.#waiting.length > WAITING_MAX) this.#giveUp(this.#waiting.shift()!.message);
  }

  /** Who stops does not wait for a thread that is to be started again. */
  #closeUnopened(message: Extract<ToThread, { do: 'close' }>): void {
    const given = this.#waiting.filter((each) => each.message !== message);
    this.#waiting = given.filter((each) => each.message.index !== message.index);
    for (const each of given) if (each.message.index === message.index) this.#giveUp(each.message);
    this.#wasClosed(message.index);
    this.#hear({ is: 'answer', id: message.id, value: undefined });
  }

  #giveUp(message: ToThread): void {
    if ('id' in message) this.#hear({ is: 'failed', id: message.id, error: 'the thread of the index died of it' });
    else this.#log.error('mailbox.index-misses-change', { change: message.do });
  }

  /** A new worker knows all that the old one did, and goes on with what waits. */
  #resume(): void {
    const opened = [...this.#open].map(([index, path]): ToThread => ({ index, do: 'open', path, again: true }));
    const unread = [...this.#unread.values()].flatMap(({ index, folder, mails }) =>
      [true, false].flatMap((hurry): ToThread[] => {
        const some = [...mails.values()].filter((each) => each.hurry === hurry).map(({ mail }) => mail);
        return some.length > 0 ? [{ index, do: 'parse', folder, mails: some, hurry }] : [];
      }),
    );
    const fresh = (message: ToThread): Waiting => ({ message, deaths: 0, culprit: 0 });
    this.#waiting = [...opened.map(fresh), ...this.#waiting, ...unread.map(fresh)];
    this.#worker = this.#start();
    for (const { message } of this.#waiting) this.#worker.postMessage(this.#marked(message));
  }

  /** Keeps account of what the thread knows, as of the messages that it has done. */
  #takeDone(): void {
    for (const { done } = this.#progress; this.#taken < done; this.#taken++)
      this.#wasDone(this.#waiting.shift()!.message);
  }

  #wasDone(message: ToThread): void {
    switch (message.do) {
      case 'open':
        this.#open.set(message.index, message.path);
        return;
      case 'close':
        this.#wasClosed(message.index);
        return;
      case 'parse': {
        const key = keyOf(message.index, message.folder);
        const { mails } = this.#unread.get(key) ?? { mails: new Map() };
        for (const mail of message.mails) mails.set(mail.uid, { mail, hurry: message.hurry });
        if (mails.size > 0) this.#unread.set(key, { index: message.index, folder: message.folder, mails });
        return;
      }
      case 'expunged':
        this.#wasRead(
          message.index,
          message.folder,
          Array.from(message.uids, (uid) => ({ uid })),
        );
        return;
      case 'forget':
        this.#unread.delete(keyOf(message.index, message.folder));
        return;
    }
  }

  #wasClosed(index: number): void {
    this.#open.delete(index);
    for (const [key, unread] of this.#unread) if (unread.index === index) this.#unread.delete(key);
  }

  #wasRead(index: number, folder: FolderKey, read: readonly { readonly uid: number }[]): void {
    const key = keyOf(index, folder);
    const unread = this.#unread.get(key);
    for (const { uid } of read) unread?.mails.delete(uid);
    if (unread?.mails.size === 0) this.#unread.delete(key);
  }

  #marked(message: ToThread): ToThread {
    if (message.do !== 'parse' || this.#culprits.size === 0) return message;
    const marked = (mail: MailToParse): MailToParse =>
      (this.#culprits.get(mail.path) ?? 0) >= DEATHS_MAX ? { ...mail, unreadable: true } : mail;
    return { ...message, mails: message.mails.map(marked) };
  }
}

/** `entry`, `oldMb`: for tests. */
export function startWorker(
  progress: Progress,
  { entry = new URL('./index-thread.ts', import.meta.url), oldMb = OLD_MB } = {},
): Worker {
  return new Worker(entry, {
    workerData: progress.memory,
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB, maxOldGenerationSizeMb: oldMb },
  });
}

function keyOf(index: number, { mailboxId }: FolderKey): string {
  return `${index} ${mailboxId}`;
}
