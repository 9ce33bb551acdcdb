import { parentPort } from 'node:worker_threads';
import { searchIndex, sortIndex } from './index-search.ts';
import { IndexStore } from './index-store.ts';
import { Indexer } from './indexer.ts';
import type { Answer, FromThread, ToThread } from './protocol.ts';
import { isDamage, openIndexFile, removeIndex } from './schema.ts';
import { threadIndex } from './threads.ts';

/**
 * The thread in which mails are parsed, kept and searched, for all accounts: the daemon's own never waits for it. What
 * was told or asked is done in order; reading new mails goes on in between.
 */
const port = parentPort!;
/** BOUNDED by the accounts. */
const indexes = new Map<number, { path: string; store: IndexStore; indexer: Indexer }>();
let stepping = false;

port.on('message', (message: ToThread) => {
  const id = 'id' in message ? message.id : 0;
  try {
    const value = perform(message);
    if (id) say({ is: 'answer', id, value });
  } catch (error) {
    failed(message.index, error);
    if (id) say({ is: 'failed', id, error: String(error) });
  }
  if (!stepping) again();
});

function perform(message: ToThread): Answer {
  if (message.do === 'open') return open(message.index, message.path);
  const index = indexes.get(message.index)!;
  const { store, indexer } = index;
  switch (message.do) {
    case 'close':
      indexes.delete(message.index);
      store.close();
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

function open(index: number, path: string): undefined {
  const store = new IndexStore(openIndexFile(path));
  const indexer = new Indexer(
    store,
    (folder, mails) => say({ is: 'parsed', index, folder, mails }),
    (line, fields) => say({ is: 'log', line, fields }),
  );
  indexes.set(index, { path, store, indexer });
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

/** A damaged index is of no use to anybody: it is removed, and the daemon ends; its next start makes a new one. */
function failed(index: number, error: unknown): void {
  say({ is: 'log', line: 'mailbox.index-failed', fields: { error: String(error) } });
  const damaged = indexes.get(index);
  if (!damaged || !isDamage(error)) return;
  removeIndex(damaged.path);
  throw error;
}

function say(message: FromThread): void {
  port.postMessage(message);
}
