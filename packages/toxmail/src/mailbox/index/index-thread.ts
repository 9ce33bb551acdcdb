import { parentPort, workerData } from 'node:worker_threads';
import { searchIndex, sortIndex } from './index-search.ts';
import { IndexStore } from './index-store.ts';
import { Indexer } from './indexer.ts';
import { PageCaches } from './page-caches.ts';
import { Progress } from './progress.ts';
import type { Answer, FromThread, ToThread } from './protocol.ts';
import { isDamage, isPassing, openIndexFile, removeIndex } from './schema.ts';
import { threadIndex } from './threads.ts';

/**
 * The thread in which mails are parsed, kept and searched, for all accounts: the daemon's own never waits for it. What
 * was told or asked is done in order; reading new mails goes on in between.
 */
const port = parentPort!;
const progress = new Progress(workerData as SharedArrayBuffer);
/** BOUNDED by the accounts. */
const indexes = new Map<number, Opened>();
/** Of those that are to be open; one that could not be opened is tried again when it is needed. BOUNDED like them. */
const wanted = new Map<number, { readonly path: string; readonly again: boolean }>();
const pageCaches = new PageCaches();
let stepping = false;

type Change = Extract<ToThread, { do: 'add' | 'known' | 'flags' | 'expunged' | 'forget' }>;

interface Opened {
  readonly store: IndexStore;
  readonly indexer: Indexer;
  /** What the disk does not take now. BOUNDED: the oldest go; the next load of the folder finds what is missing. */
  readonly changes: Change[];
  /** It was told that the disk does not take what there is. */
  complained: boolean;
}

const CHANGES_MAX = 10_000;

port.on('message', (message: ToThread) => {
  const id = 'id' in message ? message.id : 0;
  progress.begin();
  try {
    const value = perform(message);
    if (id) say({ is: 'answer', id, value });
  } catch (error) {
    failed(message.index, error);
    if (id) say({ is: 'failed', id, error: String(error) });
  }
  progress.end();
  if (!stepping) again();
});

function perform(message: ToThread): Answer {
  if (message.do === 'open') wanted.set(message.index, { path: message.path, again: message.again ?? false });
  const opened = indexes.get(message.index) ?? open(message.index);
  const { store, indexer } = opened;
  pageCaches.used(store.sql);
  switch (message.do) {
    case 'open':
      return undefined;
    case 'close':
      indexes.delete(message.index);
      wanted.delete(message.index);
      store.close();
      return undefined;
    case 'discard':
      discard(message.index);
      return undefined;
    case 'load':
      return store.load(message.folder);
    case 'parse':
      indexer.parse(message.folder, message.mails, message.hurry);
      return undefined;
    case 'expunged':
    case 'forget':
      if (message.do === 'expunged') indexer.expunged(message.folder, message.uids);
      else indexer.forget(message.folder);
      return change(opened, message);
    case 'add':
    case 'known':
    case 'flags':
      return change(opened, message);
    case 'expunged-since':
      keep(opened);
      return store.expungedSince(message.folder, message.modSeq);
    case 'search':
      return searchIndex(store, store.folder(message.folder), message.key);
    case 'sort':
      return sortIndex(store, store.folder(message.folder), message.uids, message.by);
    case 'thread':
      return threadIndex(store, store.folder(message.folder), message.uids, message.algorithm);
  }
}

function change(opened: Opened, message: Change): undefined {
  opened.changes.push(message);
  if (opened.changes.length > CHANGES_MAX) opened.changes.shift();
  keep(opened);
}

/** Keeps the changes in the order told. Throws if the disk does not take them now; they stay for another time then. */
function keep({ store, changes }: Opened): void {
  for (let [next] = changes; next; [next] = changes) {
    const message = next;
    try {
      store.transaction(() => apply(store, message));
    } catch (error) {
      if (!isPassing(error)) changes.shift();
      throw error;
    }
    changes.shift();
  }
}

function apply(store: IndexStore, message: Change): void {
  switch (message.do) {
    case 'add':
      store.add(message.folder, message.uids, message.bits, message.modSeqs);
      break;
    case 'known':
      store.known(message.folder, message.mails);
      break;
    case 'flags':
      store.flags(message.folder, message.uids, message.bits, message.modSeq);
      break;
    case 'expunged':
      store.expunged(message.folder, message.uids, message.modSeq);
      break;
    case 'forget':
      store.forget(message.folder);
      break;
  }
}

function open(index: number): Opened {
  const { path, again } = wanted.get(index) ?? {};
  if (path === undefined) throw new Error('the index is not open');
  const { sql, made } = openIndexFile(path);
  const store = new IndexStore(sql);
  const indexer = new Indexer(
    store,
    progress,
    (folder, mails) => say({ is: 'parsed', index, folder, mails }),
    (line, fields) => say({ is: 'log', line, fields }),
  );
  const opened = { store, indexer, changes: [], complained: false };
  indexes.set(index, opened);
  if (made && again) {
    discard(index);
    throw new Error('the index was made anew');
  }
  return opened;
}

function again(): void {
  stepping = true;
  setImmediate(() => {
    stepping = false;
    let worked = false;
    for (const [index, opened] of indexes) {
      const { store, indexer } = opened;
      try {
        keep(opened);
        if (indexer.step()) readAt = performance.now();
        else if (performance.now() < readAt + QUIET_MS || !store.tidy()) continue;
        worked = true;
        pageCaches.used(store.sql);
        opened.complained = false;
      } catch (error) {
        failed(index, error);
        say({ is: 'stalled', index });
        clearTimeout(retry);
        retry = setTimeout(() => stepping || again(), RETRY_MS).unref();
      }
    }
    if (worked) again();
    else if (performance.now() < readAt + QUIET_MS) setTimeout(() => stepping || again(), QUIET_MS).unref();
  });
}

/** Work that nobody waits for begins when no mails were read for this time. */
const QUIET_MS = 200;
let readAt = Number.NEGATIVE_INFINITY;

/** A full disk may have room again. */
const RETRY_MS = 10_000;
let retry: NodeJS.Timeout | undefined;

function failed(index: number, error: unknown): void {
  const opened = indexes.get(index);
  if (opened?.complained && isPassing(error)) return;
  if (opened) opened.complained = isPassing(error);
  say({ is: 'log', line: 'mailbox.index-failed', fields: { error: String(error) } });
  if (isDamage(error)) discard(index);
}

/** A damaged index is of no use to anybody. */
function discard(index: number): void {
  const path = wanted.get(index)?.path;
  if (path === undefined) return;
  try {
    indexes.get(index)?.store.sql.close();
  } catch {
    // it is removed all the same
  }
  indexes.delete(index);
  wanted.delete(index);
  removeIndex(path);
  say({ is: 'damaged', index });
}

function say(message: FromThread): void {
  port.postMessage(message);
}
