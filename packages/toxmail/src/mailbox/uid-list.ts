import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { writeDurably } from '../base/durable.ts';
import type { FileSystem, OpenFile } from '../base/files.ts';
import type { Maildir } from '../maildir/maildir.ts';

/**
 * The durable truth about UIDs (RFC 9051 §2.3.1.1), a file in each folder, in the form of Dovecot's uidlist version 3:
 *
 *     3 V<UIDVALIDITY> N<least next UID> G<32 hex: MAILBOXID>
 *     <UID> T<saved, seconds since 1970> :<unique part of the file name>
 *
 * Lines are appended and synced before anybody hears of a UID. A line that a crash cut short was told to nobody and is
 * dropped. Why UIDs go ahead after a restart: ADR 22.
 */
const FILE = 'toxmail-uidlist';
/** A Maildir that Dovecot kept until now keeps its UIDs. */
const DOVECOT_FILE = 'dovecot-uidlist';
const UID_MAX = 2 ** 32 - 2;
/** So near to the end the folder begins anew, under another UIDVALIDITY, when it is opened. */
const UID_RESERVE = 2 ** 24;
/** UIDs skipped for each second that a restored backup may have missed: no folder gets more mails than that for long. */
const SKIP_PER_SECOND = 10;
/** The file is written anew when so many of its lines are of mails that have gone, and they are the most. */
const DEAD_MAX = 1_000;
/** What is read of a file at once. */
const BLOCK = 1024 * 1024;

export interface UidEntry {
  readonly uid: number;
  readonly savedMs: number;
}

export class UidList {
  readonly uidValidity: number;
  readonly mailboxId: string;
  readonly #files: FileSystem;
  readonly #clock: Clock;
  readonly #home: Pick<Maildir, 'path'>;
  #file: OpenFile | undefined;
  #size: number;
  #next: number;
  /** The first UID given after a start is beyond this. */
  #floor: number;

  private constructor(files: FileSystem, clock: Clock, home: Pick<Maildir, 'path'>, loaded: Loaded, floor: number) {
    this.#files = files;
    this.#clock = clock;
    this.#home = home;
    this.uidValidity = loaded.uidValidity;
    this.mailboxId = loaded.mailboxId;
    this.#next = loaded.next;
    this.#size = loaded.size;
    this.#floor = floor;
  }

  /**
   * Reads the list, or begins one. `fresh`: this process has not opened it before. `validity`: gives a UIDVALIDITY that
   * the account never had. The entries, by the unique part of the name, may be of mails that have gone.
   */
  static async open(
    files: FileSystem,
    clock: Clock,
    home: Pick<Maildir, 'path'>,
    options: { fresh: boolean; validity: () => number },
  ): Promise<{ list: UidList; entries: Map<string, UidEntry>; begun: boolean }> {
    const path = join(home.path, FILE);
    const found = (await load(files, path)) ?? (await load(files, join(home.path, DOVECOT_FILE)));
    const floor = found && options.fresh ? skipTo(found, clock) : 0;
    const loaded = found && Math.max(found.next, floor) < UID_MAX - UID_RESERVE ? found : begun(options.validity());
    const list = new UidList(files, clock, home, loaded, loaded === found ? floor : 0);
    if (loaded.path !== path) await list.#write(loaded.entries);
    return { list, entries: loaded.entries, begun: loaded !== found };
  }

  get next(): number {
    return this.#next;
  }

  /**
   * Gives UIDs, in the order of the names and without gaps; the entry of the first. On the disk when it resolves; one
   * call at a time.
   */
  async assign(uniques: readonly string[]): Promise<UidEntry> {
    const seconds = Math.floor(this.#clock.unixMs() / 1000);
    const first = { uid: Math.max(this.#next, this.#floor), savedMs: seconds * 1000 };
    let { uid } = first;
    let text = '';
    const saved = ` T${seconds} :`;
    for (const unique of uniques) text += `${uid++}${saved}${unique}\n`;
    const bytes = Buffer.from(text);
    try {
      this.#file ??= await this.#openFile();
      await this.#file.write(bytes, this.#size);
      await this.#file.sync();
    } catch (error) {
      await this.close().catch(() => {}); // the next call cuts off what came of this one
      throw error;
    }
    this.#size += bytes.length;
    this.#next = uid;
    this.#floor = 0;
    return first;
  }

  /** Writes the file anew if most of it is about mails that have gone. */
  async thin(entries: Map<string, UidEntry>, listed: number): Promise<void> {
    const dead = listed - entries.size;
    if (dead > DEAD_MAX && dead > entries.size) await this.#write(entries);
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  get #path(): string {
    return join(this.#home.path, FILE);
  }

  async #openFile(): Promise<OpenFile> {
    const file = await this.#files.open(this.#path, 'update');
    if ((await file.size()) > this.#size) await file.truncate(this.#size);
    return file;
  }

  async #write(entries: Map<string, UidEntry>): Promise<void> {
    await this.close();
    let text = `3 V${this.uidValidity} N${this.#next} G${this.mailboxId}\n`;
    for (const [unique, { uid, savedMs }] of entries) text += `${uid} T${Math.floor(savedMs / 1000)} :${unique}\n`;
    const bytes = Buffer.from(text);
    await writeDurably(this.#files, this.#path, bytes);
    this.#size = bytes.length;
  }
}

interface Loaded {
  readonly uidValidity: number;
  readonly mailboxId: string;
  readonly next: number;
  readonly entries: Map<string, UidEntry>;
  /** Bytes that hold good. */
  readonly size: number;
  /** Undefined: of no file. */
  readonly path: string | undefined;
  /** Of Dovecot's file, whose lines have no times: when it was last written. Else 0. */
  readonly changedMs: number;
}

function begun(uidValidity: number): Loaded {
  const mailboxId = randomBytes(16).toString('hex');
  return { uidValidity, mailboxId, next: 1, entries: new Map(), size: 0, path: undefined, changedMs: 0 };
}

/** The first UID that cannot have been given out after the list's last line was written, by whatever was lost since. */
function skipTo({ next, entries, uidValidity, changedMs }: Loaded, clock: Clock): number {
  let last = Math.max(uidValidity * 1000, changedMs);
  for (const { savedMs } of entries.values()) if (savedMs > last) last = savedMs;
  const seconds = Math.max(0, Math.floor((clock.unixMs() - last) / 1000));
  return next + seconds * SKIP_PER_SECOND;
}

const HEADER = /^3((?: [A-Z][^ ]*)*)$/;

async function load(files: FileSystem, path: string): Promise<Loaded | undefined> {
  const stat = await files.stat(path);
  if (!stat) return undefined;
  const file = await files.open(path, 'read');
  try {
    const state = new Parser();
    let position = 0;
    for (;;) {
      const block = Buffer.alloc(BLOCK);
      const read = await file.read(block, position);
      if (read === 0) break;
      position += read;
      state.push(block.subarray(0, read));
    }
    return state.loaded(path, path.endsWith(DOVECOT_FILE) ? stat.mtimeMs : 0);
  } finally {
    await file.close();
  }
}

class Parser {
  #rest = '';
  #size = 0;
  #header: { uidValidity: number; mailboxId: string; next: number } | undefined;
  #last = 0;
  /** Of the last line: mails that were found together have the same. */
  #fields = '';
  #savedMs = 0;
  readonly #entries = new Map<string, UidEntry>();

  /** Latin-1, so that lengths are bytes. */
  push(block: Buffer): void {
    const text = this.#rest + block.toString('latin1');
    let start = 0;
    for (;;) {
      const end = text.indexOf('\n', start);
      if (end < 0) break;
      this.#line(text.slice(start, end));
      this.#size += end + 1 - start;
      start = end + 1;
    }
    this.#rest = text.slice(start);
  }

  loaded(path: string, changedMs: number): Loaded | undefined {
    if (!this.#header) return undefined;
    const next = Math.max(this.#header.next, this.#last + 1);
    return { ...this.#header, next, entries: this.#entries, size: this.#size, path, changedMs };
  }

  #line(line: string): void {
    if (this.#size === 0) this.#first(line);
    const colon = line.indexOf(' :');
    const space = line.indexOf(' ');
    const uid = Number(line.slice(0, space));
    // Zeros of a file whose end a power cut kept from the disk, or another program's mistake.
    if (colon < 0 || !Number.isInteger(uid) || uid <= this.#last || uid > UID_MAX) return;
    const fields = line.slice(space, colon);
    if (fields !== this.#fields) {
      this.#fields = fields;
      this.#savedMs = (number(SAVED, fields) ?? 0) * 1000;
    }
    const latin1 = line.slice(colon + 2);
    const name = Buffer.byteLength(latin1) > latin1.length ? Buffer.from(latin1, 'latin1').toString('utf8') : latin1;
    const info = name.includes(':') || name.includes(';') ? name.search(INFO) : -1;
    const unique = info < 0 ? name : name.slice(0, info);
    // A mail that went and came back has two lines: the last holds, at its place, as the entries ascend.
    this.#entries.delete(unique);
    this.#entries.set(unique, { uid, savedMs: this.#savedMs });
    this.#last = uid;
  }

  #first(line: string): void {
    const fields = HEADER.exec(line)?.[1];
    const uidValidity = number(VALIDITY, fields);
    if (!uidValidity) return;
    const mailboxId = /(?: |^)G([0-9a-f]{32})(?: |$)/.exec(fields!)?.[1] ?? randomBytes(16).toString('hex');
    this.#header = { uidValidity, mailboxId, next: number(NEXT, fields) ?? 1 };
  }
}

const VALIDITY = /(?: |^)V(\d{1,10})(?: |$)/;
const NEXT = /(?: |^)N(\d{1,10})(?: |$)/;
const SAVED = /(?: |^)T(\d{1,11})(?: |$)/;
/** Dovecot's lines may have the whole name. */
const INFO = /[:;]2,/;

function number(field: RegExp, text: string | undefined): number | undefined {
  const digits = text === undefined ? undefined : field.exec(text)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
