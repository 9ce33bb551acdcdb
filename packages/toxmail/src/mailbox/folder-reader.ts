import { join } from 'node:path';
import { errorCode, type OpenFile } from '../base/files.ts';
import { Slices } from '../base/slices.ts';
import { uniqueOf } from '../maildir/name.ts';
import type { FolderState } from './folder-state.ts';
import type { MailIndex } from './index/mail-index.ts';
import { UNKNOWN } from './mail-table.ts';
import { FileMessageReader } from './message-reader.ts';
import type { PartPlaces } from './mime/parse-mail.ts';
import { evaluate } from './search.ts';
import type { MessageReader, MessageRecord, SearchKey, SortKey, Thread, Wanted } from './types.ts';
import { readPlaces, readRecord } from './unindexed.ts';

/** Mails of one piece of an answer: a millisecond or so. */
const BATCH = 100;

/** What is read of a folder's mails. */
export class FolderReader {
  readonly #state: FolderState;

  constructor(state: FolderState) {
    this.#state = state;
  }

  async *records(uids: Iterable<number>, want: Wanted): AsyncGenerator<readonly MessageRecord[]> {
    const all = uids instanceof Uint32Array ? uids : Uint32Array.from(uids);
    const slices = new Slices(1);
    for (let at = 0; at < all.length; ) {
      if (slices.over) await slices.pause();
      const { records, reached } = await this.#some(all.subarray(at, at + BATCH), want);
      at += reached;
      if (want.headerFields) yield* this.#withFields(records, want.headerFields);
      else yield records;
    }
  }

  async open(uid: number): Promise<MessageReader | undefined> {
    const { table, deps } = this.#state;
    const path = this.#unindexed(uid);
    const read = path === undefined ? undefined : readPlaces(path);
    if (read) {
      const file = await this.#file(uid);
      return file && new FileMessageReader(file, read.root[5], read.internalDateMs, () => read.root);
    }
    await this.#state.parsed([uid]);
    const i = table.indexOf(uid);
    if (i < 0) return undefined;
    const content = table.contents[i]!;
    const size = table.sizes[i]!;
    const dateMs = table.dates[i]!;
    const file = await this.#file(uid);
    return file && new FileMessageReader(file, size, dateMs, () => placesIn(deps.index, content));
  }

  async search(query: SearchKey): Promise<Uint32Array> {
    return evaluate(query, this.#state, () => this.#state.parsed());
  }

  async sort(uids: Iterable<number>, by: readonly SortKey[]): Promise<Uint32Array> {
    const wanted = Uint32Array.from(uids);
    await this.#state.parsed(wanted);
    return this.#state.deps.index.sort(this.#state.key, wanted, by);
  }

  async thread(uids: Iterable<number>, algorithm: 'REFERENCES' | 'ORDEREDSUBJECT'): Promise<readonly Thread[]> {
    const wanted = Uint32Array.from(uids);
    await this.#state.parsed(wanted);
    return this.#state.deps.index.thread(this.#state.key, wanted, algorithm);
  }

  /** Of the first of these mails, up to `reached`. */
  async #some(uids: Uint32Array, want: Wanted): Promise<{ records: MessageRecord[]; reached: number }> {
    const { table, deps } = this.#state;
    const unindexed = await this.#readUnindexed(uids, want);
    await this.#state.parsed(unindexed.size === 0 ? uids : uids.filter((uid) => !unindexed.has(uid)));
    const places: number[] = [];
    for (const uid of uids) places.push(table.indexOf(uid));
    const contents = places.map((i) => table.contents[i] ?? UNKNOWN);
    const found = wantsContent(want) ? deps.index.contents(contents, want) : undefined;
    const reached = found?.length ?? uids.length;
    const records: MessageRecord[] = [];
    for (let n = 0; n < reached; n++) {
      const i = places[n]!;
      if (i < 0) continue;
      const uid = uids[n]!;
      const read = unindexed.get(uid);
      const content = found?.[n];
      if (read) records.push(read);
      if (read || (found && !content)) continue;
      records.push({
        uid,
        size: table.sizes[i]!,
        internalDateMs: table.dates[i]!,
        envelope: content?.envelope,
        body: content?.body,
        bodyStructure: content?.bodyStructure,
        headerFields: content?.headerFields === undefined ? undefined : Buffer.from(content.headerFields, 'latin1'),
        preview: content?.preview,
        emailId: content?.emailId,
        threadId: content?.threadId,
      });
    }
    return { records, reached };
  }

  /** Those whose fields the index does not keep are looked at themselves, and come one by one: they may be large. */
  async *#withFields(
    records: readonly MessageRecord[],
    { names, not }: NonNullable<Wanted['headerFields']>,
  ): AsyncGenerator<readonly MessageRecord[]> {
    const ready: MessageRecord[] = [];
    for (const record of records) {
      if (record.headerFields) {
        ready.push(record);
        continue;
      }
      const headerFields = await this.#headerFields(record.uid, names, not);
      if (headerFields) yield [...ready.splice(0), { ...record, headerFields }];
    }
    yield ready;
  }

  async #readUnindexed(uids: Uint32Array, want: Wanted): Promise<Map<number, MessageRecord>> {
    const { table } = this.#state;
    const read = new Map<number, MessageRecord>();
    const slices = new Slices(1);
    for (const uid of uids) {
      const path = this.#unindexed(uid);
      if (path === undefined) continue;
      const record = readRecord(path, uid, table.sizes[table.indexOf(uid)]!, want);
      if (record) read.set(uid, record);
      if (slices.over) await slices.pause();
    }
    return read;
  }

  /** The file of a mail that the index has not read yet. */
  #unindexed(uid: number): string | undefined {
    const { table, maildir } = this.#state;
    const i = table.indexOf(uid);
    return i >= 0 && table.contents[i] === UNKNOWN ? join(maildir.path, table.paths[i]!) : undefined;
  }

  async #headerFields(uid: number, names: readonly string[], not: boolean): Promise<Uint8Array | undefined> {
    const reader = await this.open(uid);
    try {
      return await reader?.headerFields([], names, not);
    } finally {
      await reader?.close();
    }
  }

  /** Undefined if it has gone. */
  async #file(uid: number): Promise<OpenFile | undefined> {
    const { table, deps, maildir } = this.#state;
    for (const attempt of [1, 2]) {
      const path = table.paths[table.indexOf(uid)];
      if (path === undefined) return undefined;
      try {
        return await deps.files.open(join(maildir.path, path), 'read');
      } catch (error) {
        if (errorCode(error) !== 'ENOENT') throw error;
      }
      if (attempt === 2) break;
      const unique = uniqueOf(path);
      await this.#state.turn(async () => {
        const at = (await this.#state.locate(new Set([unique]))).get(unique);
        if (at !== undefined && table.indexOfUnique(unique) >= 0) this.#state.moved(at);
      });
    }
    return undefined;
  }
}

function wantsContent({ envelope, body, bodyStructure, headerFields, preview, objectIds }: Wanted): boolean {
  return [envelope, body, bodyStructure, headerFields, preview, objectIds].some(Boolean);
}

function placesIn(index: MailIndex, content: number): PartPlaces {
  const structure = index.structure(content);
  if (structure === undefined) throw new Error('the index has lost a mail');
  return JSON.parse(structure) as PartPlaces;
}
