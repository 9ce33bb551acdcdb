import {
  type Append,
  FLAG,
  type Folder,
  type FolderChange,
  type FolderInfo,
  MailboxError,
  type MailStore,
  type MessageRecord,
  type SearchKey,
  type Section,
  type StoreFlags,
} from '../../src/mailbox/types.ts';

interface Mail {
  uid: number;
  modSeq: number;
  flags: string[];
  bytes: Buffer;
  internalDateMs: number;
  threadId: string;
}

const SYSTEM: Record<string, number> = {
  '\\Seen': FLAG.seen,
  '\\Answered': FLAG.answered,
  '\\Flagged': FLAG.flagged,
  '\\Deleted': FLAG.deleted,
  '\\Draft': FLAG.draft,
};

/** A folder in memory: what the sessions' own behaviour is tested on, apart from files and parsing. */
export class MemoryFolder implements Folder {
  name: string;
  readonly mailboxId: string;
  readonly uidValidity = 3_857_529_045;
  uidNext = 1;
  highestModSeq = 1;
  uids = new Uint32Array(0);
  keywords: readonly string[] = [];
  canAddKeywords = true;
  info: FolderInfo;
  mails: Mail[] = [];
  expunged: [uid: number, modSeq: number][] = [];
  /** Set by tests: the answer of `open` for a mail. */
  broken = false;
  readonly #listeners = new Set<(change: FolderChange) => void>();
  readonly #names = new Map<number, readonly string[]>();

  constructor(info: FolderInfo) {
    this.name = info.name;
    this.mailboxId = info.mailboxId;
    this.info = info;
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  /** A mail that arrives. */
  deliver(text: string, flags: readonly string[] = [], internalDateMs = Date.UTC(1996, 6, 17, 9, 44, 25)): number {
    const uid = this.uidNext++;
    const bytes = Buffer.from(text.replace(/\r?\n/g, '\r\n'));
    this.mails.push({ uid, modSeq: ++this.highestModSeq, flags: [], bytes, internalDateMs, threadId: `T${uid}` });
    this.#setFlags(this.mails.at(-1)!, flags);
    this.uids = Uint32Array.from(this.mails, (mail) => mail.uid);
    this.#tell({ kind: 'added', uids: Uint32Array.of(uid), modSeq: this.highestModSeq });
    return uid;
  }

  indexOf(uid: number): number {
    return this.mails.findIndex((mail) => mail.uid === uid);
  }

  flagsAt(index: number): number {
    return this.mails[index]!.flags.reduce((bits, flag) => bits | (this.flagBit(flag) ?? 0), 0);
  }

  modSeqAt(index: number): number {
    return this.mails[index]!.modSeq;
  }

  savedAtAt(index: number): number {
    return this.mails[index]!.internalDateMs;
  }

  flagNames(bits: number): readonly string[] {
    let names = this.#names.get(bits);
    if (!names) {
      names = [...Object.keys(SYSTEM), ...this.keywords].filter((flag) => bits & this.flagBit(flag)!);
      this.#names.set(bits, names);
    }
    return names;
  }

  flagBit(name: string): number | undefined {
    const keyword = this.keywords.findIndex((each) => each.toLowerCase() === name.toLowerCase());
    return SYSTEM[name] ?? (keyword < 0 ? undefined : 32 << keyword);
  }

  changes(listener: (change: FolderChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async sync(): Promise<void> {}
  async takeNew(): Promise<void> {}

  async storeFlags(uids: Iterable<number>, { mode, flags, unchangedSince, by }: StoreFlags) {
    const changed: number[] = [];
    const modified: number[] = [];
    const modSeq = this.highestModSeq + 1;
    for (const uid of uids) {
      const mail = this.mails[this.indexOf(uid)];
      if (!mail) continue;
      if (unchangedSince !== undefined && mail.modSeq > unchangedSince) {
        modified.push(uid);
        continue;
      }
      const next =
        mode === 'replace'
          ? flags
          : mode === 'add'
            ? [...new Set([...mail.flags, ...flags])]
            : mail.flags.filter((flag) => !flags.includes(flag));
      if ([...next].sort().join() === [...mail.flags].sort().join()) continue;
      this.#setFlags(mail, next);
      mail.modSeq = modSeq;
      this.highestModSeq = modSeq;
      changed.push(uid);
    }
    if (changed.length > 0) this.#tell({ kind: 'flags', uids: Uint32Array.from(changed), modSeq, by });
    return { changed: Uint32Array.from(changed), modified: Uint32Array.from(modified), modSeq: this.highestModSeq };
  }

  async append({
    flags,
    internalDateMs,
    size,
  }: {
    flags: readonly string[];
    internalDateMs: number | undefined;
    size: number;
  }) {
    if (size > 5_000) throw new MailboxError('over-quota', 'The mailbox is full');
    const chunks: Uint8Array[] = [];
    const pending = { chunks, flags, internalDateMs, aborted: false };
    return {
      ...pending,
      write: async (chunk: Uint8Array) => void chunks.push(chunk),
      abort: async () => {},
    } satisfies Append & typeof pending;
  }

  async commit(appends: readonly Append[]): Promise<Uint32Array> {
    const all = appends as (Append & { chunks: Uint8Array[]; flags: string[]; internalDateMs: number | undefined })[];
    return Uint32Array.from(all, (each) =>
      this.deliver(Buffer.concat(each.chunks).toString(), each.flags, each.internalDateMs),
    );
  }

  async copy(uids: Iterable<number>, target: Folder) {
    const mails = [...uids].map((uid) => this.mails[this.indexOf(uid)]).filter((mail) => mail !== undefined);
    const to = target as MemoryFolder;
    const copies = mails.map((mail) => to.deliver(mail.bytes.toString(), mail.flags, mail.internalDateMs));
    return { source: Uint32Array.from(mails, (mail) => mail.uid), target: Uint32Array.from(copies) };
  }

  async move(uids: Iterable<number>, target: Folder, by?: unknown) {
    const pairs = await this.copy(uids, target);
    this.remove(pairs.source, by);
    return pairs;
  }

  async expunge(uids?: Iterable<number>, by?: unknown): Promise<Uint32Array> {
    const only = uids && new Set(uids);
    const gone = this.mails.filter((mail) => mail.flags.includes('\\Deleted') && (!only || only.has(mail.uid)));
    this.remove(
      gone.map((mail) => mail.uid),
      by,
    );
    return Uint32Array.from(gone, (mail) => mail.uid);
  }

  /** What another program, or an expunge, does. */
  remove(uids: Iterable<number>, by?: unknown): void {
    const gone = new Set(uids);
    if (gone.size === 0) return;
    this.mails = this.mails.filter((mail) => !gone.has(mail.uid));
    this.uids = Uint32Array.from(this.mails, (mail) => mail.uid);
    this.highestModSeq++;
    for (const uid of gone) this.expunged.push([uid, this.highestModSeq]);
    this.#tell({ kind: 'expunged', uids: Uint32Array.from(gone), modSeq: this.highestModSeq, by });
  }

  vanish(): void {
    this.#tell({ kind: 'gone' });
  }

  async expungedSince(modSeq: number): Promise<[number, number][]> {
    return this.expunged.filter(([, at]) => at > modSeq).map(([uid]) => [uid, uid]);
  }

  async *records(uids: Iterable<number>, want: { headerFields?: { names: readonly string[]; not: boolean } }) {
    for (const uid of [...uids]) {
      const mail = this.mails[this.indexOf(uid)];
      if (!mail) continue;
      const record: MessageRecord = {
        uid,
        size: mail.bytes.length,
        internalDateMs: mail.internalDateMs,
        envelope: `(NIL "${subjectOf(mail)}" NIL NIL NIL NIL NIL NIL NIL NIL)`,
        body: '("TEXT" "PLAIN" NIL NIL NIL "7BIT" 1 1)',
        bodyStructure: '("TEXT" "PLAIN" NIL NIL NIL "7BIT" 1 1 NIL NIL NIL NIL)',
        headerFields: want.headerFields && fieldsOf(mail, want.headerFields.names, want.headerFields.not),
        preview: mail.bytes.toString().split('\r\n\r\n')[1]?.slice(0, 9) ?? '',
        emailId: `M${uid}`,
        threadId: mail.threadId,
      };
      yield [record];
    }
  }

  async open(uid: number) {
    const mail = this.mails[this.indexOf(uid)];
    if (!mail) return undefined;
    const end = mail.bytes.indexOf('\r\n\r\n') + 4;
    const cut = (bytes: Buffer): Section => ({
      size: bytes.length,
      read: (from = 0, to = bytes.length) => pieces(bytes.subarray(from, this.broken ? from + 3 : to)),
    });
    return {
      size: mail.bytes.length,
      internalDateMs: mail.internalDateMs,
      section: async (path: readonly number[], what: string) => {
        if (path.length > 0) return path[0] === 1 && what === 'all' ? cut(mail.bytes.subarray(end)) : undefined;
        return cut(
          what === 'all' ? mail.bytes : what === 'header' ? mail.bytes.subarray(0, end) : mail.bytes.subarray(end),
        );
      },
      headerFields: async (_: readonly number[], names: readonly string[], not: boolean) => fieldsOf(mail, names, not),
      binary: async (path: readonly number[]) =>
        path[0] === 1 ? cut(mail.bytes.subarray(end)) : ('unknown-cte' as const),
      close: async () => {},
    };
  }

  async search(query: SearchKey): Promise<Uint32Array> {
    return Uint32Array.from(this.mails.filter((mail) => this.#matches(mail, query)).map((mail) => mail.uid));
  }

  async sort(uids: Iterable<number>, by: readonly { key: string; reverse: boolean }[]): Promise<Uint32Array> {
    const sign = by[0]!.reverse ? -1 : 1;
    const subject = (uid: number): string => subjectOf(this.mails[this.indexOf(uid)]!);
    return Uint32Array.from([...uids].sort((a, b) => sign * subject(a).localeCompare(subject(b)) || a - b));
  }

  async thread(uids: Iterable<number>) {
    const [first, ...rest] = [...uids].map((uid) => ({ uid, children: [] }));
    return first ? [{ uid: first.uid, children: rest }] : [];
  }

  #setFlags(mail: Mail, flags: readonly string[]): void {
    for (const flag of flags) if (this.flagBit(flag) === undefined) this.keywords = [...this.keywords, flag];
    mail.flags = [...flags];
  }

  #matches(mail: Mail, query: SearchKey): boolean {
    switch (query.key) {
      case 'all':
        return true;
      case 'and':
        return query.of.every((each) => this.#matches(mail, each));
      case 'or':
        return query.of.some((each) => this.#matches(mail, each));
      case 'not':
        return !this.#matches(mail, query.of);
      case 'uid':
        return query.ranges.some(([from, to]) => mail.uid >= from && mail.uid <= to);
      case 'flag':
        return mail.flags.includes(query.flag);
      case 'modseq':
        return mail.modSeq >= query.from;
      case 'text':
      case 'body':
      case 'header':
        return mail.bytes.includes(query.text);
    }
    return false;
  }

  #tell(change: FolderChange): void {
    for (const listener of [...this.#listeners]) listener(change);
  }
}

export class MemoryStore implements MailStore {
  readonly appendLimit = 10_000;
  readonly all = new Map<string, MemoryFolder>();
  readonly subscribed = new Set<string>(['INBOX', 'Gone']);
  limitBytes: number | undefined = 100_000;

  constructor() {
    for (const [name, specialUse] of [
      ['INBOX', undefined],
      ['Sent', '\\Sent'],
      ['Trash', '\\Trash'],
      ['Archive/2026', undefined],
      ['Entwürfe', '\\Drafts'],
    ] as const)
      this.#add(name, specialUse);
  }

  get inbox(): MemoryFolder {
    return this.all.get('INBOX')!;
  }

  async folders(): Promise<FolderInfo[]> {
    const infos = [...this.all.values()].map(({ info }) => ({ ...info, subscribed: this.subscribed.has(info.name) }));
    const archive = {
      ...infos[0]!,
      name: 'Archive',
      noSelect: true,
      hasChildren: true,
      mailboxId: '',
      subscribed: false,
    };
    return [...infos.slice(0, 1), archive, ...infos.slice(1)];
  }

  subscriptions(): string[] {
    return [...this.subscribed];
  }

  async folder(name: string): Promise<MemoryFolder | undefined> {
    return this.all.get(name);
  }

  async status(name: string) {
    const folder = this.all.get(name);
    return (
      folder && {
        messages: folder.mails.length,
        unseen: folder.mails.filter((mail) => !mail.flags.includes('\\Seen')).length,
        deleted: folder.mails.filter((mail) => mail.flags.includes('\\Deleted')).length,
        size: folder.mails.reduce((sum, mail) => sum + mail.bytes.length, 0),
        uidNext: folder.uidNext,
        uidValidity: folder.uidValidity,
        highestModSeq: folder.highestModSeq,
        mailboxId: folder.mailboxId,
      }
    );
  }

  async create(name: string, specialUse?: FolderInfo['specialUse']): Promise<FolderInfo> {
    if (this.all.has(name)) throw new MailboxError('already-exists', 'There is such a folder');
    return this.#add(name, specialUse).info;
  }

  async delete(name: string): Promise<void> {
    if (name === 'INBOX') throw new MailboxError('cannot', 'INBOX stays');
    const folder = this.all.get(name);
    if (!this.all.delete(name)) throw new MailboxError('nonexistent', 'There is no such folder');
    folder!.vanish();
  }

  async rename(from: string, to: string): Promise<void> {
    const folder = this.all.get(from);
    if (from === 'INBOX') throw new MailboxError('cannot', 'INBOX stays');
    if (this.all.has(to)) throw new MailboxError('already-exists', 'There is such a folder');
    if (!folder) throw new MailboxError('nonexistent', 'There is no such folder');
    this.all.delete(from);
    this.all.set(to, folder);
    folder.info = { ...folder.info, name: to };
  }

  async subscribe(name: string, on: boolean): Promise<void> {
    if (on) this.subscribed.add(name);
    else this.subscribed.delete(name);
  }

  async quota() {
    return { usedBytes: 1_025, limitBytes: this.limitBytes, messages: 1 };
  }

  onFoldersChanged(): () => void {
    return () => {};
  }

  #add(name: string, specialUse: FolderInfo['specialUse']): MemoryFolder {
    const mailboxId = `F${this.all.size + 1}`;
    const folder = new MemoryFolder({
      name,
      specialUse,
      subscribed: false,
      mailboxId,
      noSelect: false,
      hasChildren: false,
    });
    this.all.set(name, folder);
    return folder;
  }
}

function subjectOf(mail: Mail): string {
  return /^Subject: (.*)\r$/m.exec(mail.bytes.toString())?.[1] ?? '';
}

function fieldsOf(mail: Mail, names: readonly string[], not: boolean): Buffer {
  const header = mail.bytes.toString().split('\r\n\r\n')[0]!.split('\r\n');
  const lines = header.filter((line) => names.includes(line.split(':')[0]!.toUpperCase()) !== not);
  return Buffer.from(`${lines.map((line) => `${line}\r\n`).join('')}\r\n`);
}

async function* pieces(bytes: Buffer): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 7) yield bytes.subarray(at, Math.min(at + 7, bytes.length));
}
