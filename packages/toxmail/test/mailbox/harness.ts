import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { type Scheduler, systemScheduler } from '../../src/base/clock.ts';
import { type FileSystem, realFiles } from '../../src/base/files.ts';
import { silentLogger } from '../../src/base/log.ts';
import type { MailFolder } from '../../src/mailbox/folder.ts';
import { IndexThread } from '../../src/mailbox/index/index-client.ts';
import type { MailIndex } from '../../src/mailbox/index/mail-index.ts';
import { MaildirStore } from '../../src/mailbox/mail-store.ts';
import type { FolderChange, MessageRecord, SearchKey, Wanted } from '../../src/mailbox/types.ts';
import { Maildir } from '../../src/maildir/maildir.ts';

const thread = new IndexThread(systemScheduler, silentLogger);
const folders: string[] = [];
after(async () => {
  await thread.close();
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

/** Without waiting for the disk: what a crash of the process leaves does not depend on it. */
export const unsynced: FileSystem = {
  ...realFiles,
  async open(path, mode) {
    return { ...(await realFiles.open(path, mode)), sync: async () => {} };
  },
  syncFolder: async () => {},
};

export interface BoxOptions {
  readonly files?: FileSystem;
  readonly scheduler?: Scheduler;
  readonly quota?: () => number | undefined;
  readonly indexThread?: IndexThread;
  /** Gets the index in hand before it is used. */
  readonly onIndex?: (index: MailIndex) => void;
}

/** An account's folder on the real disk. `open` starts the mailbox on it, as a daemon does. */
export class Box {
  readonly root: string;
  readonly #stops: (() => Promise<void>)[] = [];

  private constructor(root: string) {
    this.root = root;
  }

  static async make(): Promise<Box> {
    const root = await mkdtemp(join(tmpdir(), 'toxmail-mailbox-'));
    folders.push(root);
    return new Box(root);
  }

  get maildir(): string {
    return join(this.root, 'Maildir');
  }

  get indexFile(): string {
    return join(this.root, 'index.db');
  }

  async open({
    files = realFiles,
    scheduler = systemScheduler,
    quota,
    indexThread = thread,
    onIndex,
  }: BoxOptions = {}): Promise<MaildirStore> {
    const index = indexThread.open(this.indexFile);
    onIndex?.(index);
    const store = new MaildirStore({
      files,
      scheduler,
      log: silentLogger,
      inbox: new Maildir(files, this.maildir, scheduler),
      index,
      appendLimit: 50_000_000,
      quotaLimit: quota ?? (() => undefined),
    });
    this.#stops.push(async () => {
      await store.stop().catch(() => {});
      await index.close();
    });
    await store.prepare();
    return store;
  }

  /** Ends what runs on it. */
  async stop(): Promise<void> {
    for (const stop of this.#stops.splice(0)) await stop();
  }

  /** What runs on it was killed: it is not to be ended. */
  forget(): void {
    this.#stops.length = 0;
  }

  async restart(options?: BoxOptions): Promise<MaildirStore> {
    await this.stop();
    return this.open(options);
  }

  /** Names in cur/ and new/ of a folder of the disk. */
  async names(place = ''): Promise<string[]> {
    const names = [];
    for (const sub of ['cur', 'new']) {
      for (const name of await readdir(join(this.maildir, place, sub))) names.push(`${sub}/${name}`);
    }
    return names.sort();
  }
}

export async function inbox(store: MaildirStore): Promise<MailFolder> {
  return (await store.folder('INBOX'))!;
}

export function mail(subject: string, body = 'Hello.\r\n'): string {
  return `From: Ann <ann@tox>\r\nTo: bob@tox\r\nSubject: ${subject}\r\n\r\n${body}`;
}

export async function append(
  folder: MailFolder,
  text: string | Uint8Array,
  flags: readonly string[] = [],
  internalDateMs?: number,
): Promise<number> {
  const bytes = Buffer.from(text);
  const mail = await folder.append({ flags, internalDateMs, size: bytes.length });
  await mail.write(bytes);
  const [uid] = await folder.commit([mail]);
  return uid!;
}

/** What the folder tells from now on; `next` waits for the next of a kind. */
export function listen(folder: MailFolder): {
  readonly changes: FolderChange[];
  next(kind: FolderChange['kind']): Promise<FolderChange>;
} {
  const changes: FolderChange[] = [];
  const waiting: { kind: string; resolve: (change: FolderChange) => void }[] = [];
  folder.changes((change) => {
    changes.push(change);
    const at = waiting.findIndex(({ kind }) => kind === change.kind);
    if (at >= 0) waiting.splice(at, 1)[0]!.resolve(change);
  });
  return {
    changes,
    next: (kind) => new Promise((resolve) => waiting.push({ kind, resolve })),
  };
}

export async function record(folder: MailFolder, uid: number, want: Wanted): Promise<MessageRecord | undefined> {
  for await (const records of folder.records([uid], want)) return records[0];
  return undefined;
}

export async function search(folder: MailFolder, key: SearchKey): Promise<number[]> {
  return [...(await folder.search(key))];
}

export function flags(folder: MailFolder, uid: number): readonly string[] {
  return folder.flagNames(folder.flagsAt(folder.indexOf(uid)));
}

export async function read(folder: MailFolder, uid: number, path: readonly number[] = []): Promise<string> {
  const reader = await folder.open(uid);
  const section = await reader?.section(path, 'all');
  const pieces = [];
  if (section) for await (const piece of section.read()) pieces.push(piece);
  await reader?.close();
  return Buffer.concat(pieces).toString('utf8');
}
