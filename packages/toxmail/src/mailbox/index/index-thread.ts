import { parentPort, workerData } from 'node:worker_threads';
import { searchIndex, sortIndex } from './index-search.ts';
import { IndexStore } from './index-store.ts';
import { Indexer } from './indexer.ts';
import { Progress } from './progress.ts';
import type { Answer, FromThread, ToThread } from './protocol.ts';
import { isDamage, openIndexFile, removeIndex } from './schema.ts';
import { threadIndex } from './threads.ts';

/**
 * The thread in which mails are parsed, kept and searched, for all accounts: the daemon's own never waits for it. What
 * was told or asked is done in order; reading new mails goes on in between.
 */
const port = parentPort!;
const progress = new Progress(workerData as SharedArrayBuffer);
/** BOUNDED by the accounts. */
const indexes = new Map<number, { readonly store: IndexStore; readonly indexer: Indexer }>();
/** Of those that are to be open; one that could not be opened is tried again when it is needed. BOUNDED like them. */
const wanted = new Map<number, { readonly path: string; readonly again: boolean }>();
let stepping = false;

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
  const { store, indexer } = indexes.get(message.index) ?? open(message.index);
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
    case 'add':
      store.transaction(() => store.add(message.folder, message.uids, message.bits, message.modSeqs));
      return undefined;
    case 'parse':
      indexer.parse(message.folder, message.mails, message.hurry);
      return undefined;
    case 'known':
      store.transaction(() => store.known(message.folder, message.mails));
      return undefined;
    case 'flags':
      store.transaction(() => store.flags(message.folder, message.uids, message.bits, message.modSeq));
      return undefined;
    case 'expunged':
      indexer.expunged(message.folder, message.uids);
      store.transaction(() => store.expunged(message.folder, message.uids, message.modSeq));
      return undefined;
    case 'forget':
      indexer.forget(message.folder);
      store.transaction(() => store.forget(message.folder));
      return undefined;
    case 'expunged-since':
      return store.expungedSince(message.folder, message.modSeq);
    case 'search':
      return searchIndex(store, store.folder(message.folder), message.key);
    case 'sort':
      return sortIndex(store, store.folder(message.folder), message.uids, message.by);
    case 'thread':
      return threadIndex(store, store.folder(message.folder), message.uids, message.algorithm);
  }
}

function open(index: number): { store: IndexStore; indexer: Indexer } {
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
  const opened = { store, indexer };
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
    for (const [index, { store, indexer }] of indexes) {
      try {
        if (indexer.step()) readAt = performance.now();
        else if (performance.now() < readAt + QUIET_MS || !store.tidy()) continue;
        worked = true;
      } catch (error) {
        failed(index, error);
        setTimeout(() => stepping || again(), RETRY_MS).unref();
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

function failed(index: number, error: unknown): void {
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
