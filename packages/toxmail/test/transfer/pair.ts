import { createHash, randomBytes } from 'node:crypto';
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Scheduler, systemScheduler } from '../../src/base/clock.ts';
import { type FileSystem, fileContent, realFiles } from '../../src/base/files.ts';
import { silentLogger } from '../../src/base/log.ts';
import { Maildir } from '../../src/maildir/maildir.ts';
import { Accounts } from '../../src/store/accounts.ts';
import { type Database, openDatabase } from '../../src/store/database.ts';
import type { AddressBook, KnownAddress } from '../../src/transfer/arrival.ts';
import { CreditPool } from '../../src/transfer/credit.ts';
import { type HandOver, Inbox, type InboxDeps } from '../../src/transfer/inbox.ts';
import { type Link, type LinkHandlers, noHandlers } from '../../src/transfer/link.ts';
import { MailTransfer } from '../../src/transfer/mail-transfer.ts';
import { Partials } from '../../src/transfer/partials.ts';
import { SeenTransfers } from '../../src/transfer/seen.ts';
import type { TransferJob } from '../../src/transfer/sender.ts';

export const ALICE = 'A'.repeat(64);
export const BOB = 'B'.repeat(64);

/**
 * Two ends of a session in memory. Packets wait in a window of bounded size and arrive in order, a few per turn of the
 * event loop. `cut` loses everything under way, as a broken session does.
 */
export class Wire {
  readonly ends: { readonly alice: WireEnd; readonly bob: WireEnd };
  /** Called for each packet that arrives, before it does; may cut. */
  onPacket: (from: string, data: Uint8Array) => void = () => {};
  packets = 0;
  online = false;
  generation = 0;

  constructor() {
    const alice = new WireEnd(this, ALICE, BOB);
    const bob = new WireEnd(this, BOB, ALICE);
    alice.other = bob;
    bob.other = alice;
    this.ends = { alice, bob };
  }

  connect(): void {
    this.online = true;
    this.ends.alice.handlers.online(BOB);
    this.ends.bob.handlers.online(ALICE);
  }

  cut(): void {
    if (!this.online) return;
    this.online = false;
    this.generation++;
    for (const end of [this.ends.alice, this.ends.bob]) end.clear();
    this.ends.alice.handlers.offline(BOB);
    this.ends.bob.handlers.offline(ALICE);
  }
}

const WINDOW = 256;

class WireEnd implements Link {
  handlers: LinkHandlers = noHandlers;
  other!: WireEnd;
  readonly #wire: Wire;
  readonly #own: string;
  readonly #peer: string;
  #queue: Uint8Array[] = [];
  #moving = false;
  #refused = false;

  constructor(wire: Wire, own: string, peer: string) {
    this.#wire = wire;
    this.#own = own;
    this.#peer = peer;
  }

  send(peer: string, packet: Uint8Array): boolean {
    if (!this.#wire.online || peer !== this.#peer) return false;
    if (this.#queue.length >= WINDOW) {
      this.#refused = true;
      return false;
    }
    this.#queue.push(packet);
    if (!this.#moving) {
      this.#moving = true;
      setImmediate(() => this.#move());
    }
    return true;
  }

  clear(): void {
    this.#queue = [];
    this.#refused = false;
  }

  #move(): void {
    this.#moving = false;
    const { generation } = this.#wire;
    const batch = this.#queue.splice(0, WINDOW);
    for (const packet of batch) {
      this.#wire.packets++;
      this.#wire.onPacket(this.#own, packet);
      if (this.#wire.generation !== generation) return;
      const lent = Uint8Array.from(packet);
      this.other.handlers.packet(this.#own, lent);
      lent.fill(0xff); // it was only lent
    }
    if (this.#refused) {
      this.#refused = false;
      this.handlers.writable(this.#peer);
    }
    if (this.#queue.length > 0 && !this.#moving) {
      this.#moving = true;
      setImmediate(() => this.#move());
    }
  }
}

export const book: AddressBook = {
  contact: (key) => known.find((k) => k.publicKey === key),
  lookUp: (address) => known.find((k) => `${k.publicKey.toLowerCase()}@tox` === address.toLowerCase()),
};

const known: KnownAddress[] = [
  { publicKey: ALICE, name: 'Alice', address: 'alice@tox' },
  { publicKey: BOB, name: 'bob', address: 'bob@tox' },
];

/** One daemon's mail transfer with its folder; `start` after `stop` is a restart on the same disk. */
export class Station {
  readonly folder: string;
  readonly end: WireEnd;
  readonly scheduler: Scheduler;
  files: FileSystem;
  transfer!: MailTransfer;
  maildir!: Maildir;
  maxSize = 50_000_000;
  admit: InboxDeps['admit'];
  /** A mail server instead of the Maildir. */
  handOver: HandOver | undefined;
  ready = 0;
  /** Contacts that were removed. */
  readonly strangers = new Set<string>();
  #db: Database | undefined;

  constructor(end: WireEnd, scheduler: Scheduler = systemScheduler, files: FileSystem = realFiles) {
    this.folder = mkdtempSync(join(tmpdir(), 'toxmail-transfer-'));
    this.end = end;
    this.scheduler = scheduler;
    this.files = files;
  }

  async start(): Promise<void> {
    this.#db = openDatabase(join(this.folder, 'db'));
    const accounts = new Accounts(this.#db, this.scheduler);
    if (!accounts.get('me')) accounts.add('me', 'hash');
    this.maildir = new Maildir(this.files, join(this.folder, 'Maildir'), this.scheduler, 'test');
    const inbox = new Inbox({
      account: 'me',
      maildir: this.maildir,
      handOver: this.handOver,
      partials: new Partials(this.files, join(this.folder, 'partial'), this.scheduler),
      seen: new SeenTransfers(this.#db, 'me', this.scheduler),
      book: { ...book, contact: (key) => (this.strangers.has(key) ? undefined : book.contact(key)) },
      pool: new CreditPool(),
      scheduler: this.scheduler,
      log: silentLogger,
      maxSize: this.maxSize,
      admit: (mail) => this.admit?.(mail),
    });
    await inbox.prepare();
    this.transfer = new MailTransfer({
      link: this.end,
      scheduler: this.scheduler,
      log: silentLogger,
      inbox,
      onReady: () => this.ready++,
    });
  }

  async stop(): Promise<void> {
    await this.transfer.stop();
    this.#db?.close();
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  job(peer: string, mail: Uint8Array, more: Partial<TransferJob> = {}): TransferJob {
    const id = randomBytes(16).toString('hex');
    const path = this.spooled(id);
    writeFileSync(path, mail);
    const digest = createHash('sha256').update(mail).digest();
    const content = fileContent(this.files, path);
    return { id, peer, envelope: { from: 'x@tox', tag: undefined }, content, size: mail.length, digest, ...more };
  }

  spooled(id: string): string {
    return join(this.folder, `spool-${id}`);
  }

  /** The same with a mail that is never in memory as a whole. */
  bigJob(peer: string, size: number): TransferJob {
    const job = this.job(peer, new Uint8Array(0));
    const hash = createHash('sha256');
    const block = Buffer.from('Subject: big\r\n\r\n'.padEnd(1_000_000, 'line of text\r\n'));
    for (let left = size; left > 0; left -= block.length) {
      const part = block.subarray(0, left);
      hash.update(part);
      appendFileSync(this.spooled(job.id), part);
    }
    return { ...job, size, digest: hash.digest() };
  }

  /** Bytes of the only mail. */
  size(): number {
    const folder = join(this.folder, 'Maildir', 'new');
    return statSync(join(folder, readdirSync(folder)[0]!)).size;
  }

  /** Contents of new/. */
  mails(): Buffer[] {
    const folder = join(this.folder, 'Maildir', 'new');
    return readdirSync(folder).map((name) => readFileSync(join(folder, name)));
  }

  partials(): string[] {
    return readdirSync(join(this.folder, 'partial'));
  }

  tmp(): string[] {
    return readdirSync(join(this.folder, 'Maildir', 'tmp'));
  }
}

export function mailOf(size: number, subject = 'x'): Buffer {
  const header = `From: <${ALICE.toLowerCase()}@tox>\r\nTo: <${BOB.toLowerCase()}@tox>\r\nSubject: ${subject}\r\n\r\n`;
  const body = randomBytes(Math.max(1, size - header.length))
    .toString('base64')
    .slice(0, size - header.length);
  return Buffer.from(header + body);
}

export function bodyOf(mail: Buffer): Buffer {
  return mail.subarray(mail.indexOf('\r\n\r\n') + 4);
}

export const never = new AbortController().signal;
