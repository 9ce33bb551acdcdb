import { createHash } from 'node:crypto';
import type { Scheduler } from '../base/clock.ts';
import { type ContentReader, copyFrom } from '../base/files.ts';
import type { Logger } from '../base/log.ts';
import { errorField } from '../base/log.ts';
import type { Maildir, MaildirMessage } from '../maildir/maildir.ts';
import { type CutMail, HeaderCutter } from '../message/header-cutter.ts';
import { MailError, type MailStatus } from '../smtp/mail-error.ts';
import { type AddressBook, arrivalHeader } from './arrival.ts';
import type { CreditPool } from './credit.ts';
import { HEADER_LIMIT, LARGE_PER_PEER, READ_BLOCK, STORING_AT_ONCE } from './limits.ts';
import { transferStatus } from './outcome.ts';
import type { Partials } from './partials.ts';
import type { SeenTransfers } from './seen.ts';

/** A mail that a peer offers. Everything but `peer` and `token` is the peer's word. */
export interface IncomingMail {
  /** The proven sender: public key, 64 upper-case hex. */
  readonly peer: string;
  /** Transfer id, 32 hex. */
  readonly id: string;
  /** Of peer and id: names the mail in the Maildir and among those seen; 32 hex. */
  readonly token: string;
  /** Bytes over the wire. */
  readonly size: number;
  /** SHA-256. */
  readonly digest: Uint8Array;
  readonly nullSender: boolean;
  readonly tag: string | undefined;
}

/** Where a mail is written to. After `append` or `commit` failed, and instead of `commit`: `abort`, which never throws. */
export interface MailWriter {
  /** When it resolves, `data` is the caller's again. */
  append(data: Uint8Array): Promise<void>;
  /** Resolves when the mail is somebody's to keep: on the disk, or taken over by the mail server. */
  commit(): Promise<MaildirMessage | undefined>;
  abort(): Promise<void>;
}

export interface HandOverMail {
  /** Public key, 64 upper-case hex; undefined: the null sender. */
  readonly sender: string | undefined;
  /** If it is not the account's own address there. */
  readonly recipient?: string;
  /** Bytes, about. */
  readonly size: number;
}

/** Another mail server, which takes an account's mail instead of its Maildir. Its refusals are thrown as MailError. */
export interface HandOver {
  create(mail: HandOverMail): MailWriter;
}

export interface InboxDeps {
  /** The account's name: its address is `name@tox`. */
  readonly account: string;
  readonly maildir: Maildir;
  /** Given: mail goes there. The Maildir then only remembers what was stored before. */
  readonly handOver?: HandOver | undefined;
  readonly partials: Partials;
  readonly seen: SeenTransfers;
  readonly book: AddressBook;
  /** Shared by all accounts of the process. */
  readonly pool: CreditPool;
  readonly scheduler: Scheduler;
  readonly log: Logger;
  /** Largest mail that is taken, in bytes. */
  readonly maxSize: number;
  /** Quota and other policy, asked before the bytes of a large mail flow. */
  admit?(mail: IncomingMail): MailStatus | undefined | Promise<MailStatus | undefined>;
  /** The mail is on the disk and remembered; called before the sender hears so. */
  onStored?(mail: IncomingMail, file: MaildirMessage | undefined): void;
}

/** Where the mails of one account's contacts end up. */
export class Inbox {
  readonly #deps: InboxDeps;
  readonly pool: CreditPool;
  readonly partials: Partials;
  readonly log: Logger;
  readonly maxSize: number;
  /** Only of peers that hold a place. */
  readonly #places = new Map<string, { taken: number; readonly waiting: (() => void)[] }>();
  /** Mails in work, over all sessions. Bounded by the sessions' own limits. */
  readonly #claims = new Map<string, Promise<void>>();
  #storing = 0;
  readonly #turn: (() => void)[] = [];

  constructor(deps: InboxDeps) {
    this.#deps = deps;
    this.pool = deps.pool;
    this.partials = deps.partials;
    this.log = deps.log;
    this.maxSize = deps.maxSize;
  }

  /** To be called once, before the first session. */
  async prepare(): Promise<void> {
    await this.#deps.maildir.prepare();
    await this.#deps.partials.prepare();
    await this.#deps.seen.recover(this.#deps.maildir);
  }

  /** Resolves when no mail is in work any more. */
  async drain(): Promise<void> {
    while (this.#claims.size > 0) await Promise.all(this.#claims.values());
  }

  mono(): number {
    return this.#deps.scheduler.mono();
  }

  token(peer: string, id: Uint8Array): string {
    return createHash('sha256').update(peer).update(id).digest('hex').slice(0, 32);
  }

  /** Waits until nobody else works on this mail. The result ends the claim; calling it twice is harmless. */
  async claim(token: string): Promise<() => void> {
    for (let other = this.#claims.get(token); other; other = this.#claims.get(token)) await other;
    let resolve = (): void => {};
    const mine = new Promise<void>((done) => {
      resolve = done;
    });
    this.#claims.set(token, mine);
    return () => {
      if (this.#claims.get(token) === mine) this.#claims.delete(token);
      resolve();
    };
  }

  /**
   * Waits for one of the peer's LARGE_PER_PEER places, in turn. They are counted over all its sessions, as it may begin
   * those faster than the disk closes files. The result gives the place back.
   */
  async place(peer: string): Promise<() => void> {
    let places = this.#places.get(peer);
    if (!places) {
      places = { taken: 0, waiting: [] };
      this.#places.set(peer, places);
    }
    const { waiting } = places;
    if (places.taken >= LARGE_PER_PEER) await new Promise<void>((go) => waiting.push(go));
    else places.taken++;
    return () => {
      const next = waiting.shift();
      if (next) next();
      else if (--places.taken === 0) this.#places.delete(peer);
    };
  }

  seen(token: string): boolean {
    return this.#deps.seen.has(token);
  }

  async admit(mail: IncomingMail): Promise<MailStatus | undefined> {
    if (!this.#deps.book.contact(mail.peer)) return transferStatus.unknownSender();
    if (mail.size > this.maxSize) return transferStatus.tooBig(this.maxSize);
    return this.#deps.admit?.(mail);
  }

  /** A whole small mail. A status is a refusal, an exception a failure of the disk. */
  storeBytes(mail: IncomingMail, bytes: Uint8Array): Promise<MailStatus | undefined> {
    return this.#limited(() => {
      const cutter = new HeaderCutter(HEADER_LIMIT);
      const cut = cutter.push(bytes) ?? cutter.end();
      return cut === 'too-long' ? Promise.resolve(headerTooBig()) : this.#store(mail, cut, undefined, 0);
    });
  }

  /** A whole large mail, as it came over the wire. */
  storeFile(mail: IncomingMail, file: ContentReader): Promise<MailStatus | undefined> {
    return this.#limited(async () => {
      const cutter = new HeaderCutter(HEADER_LIMIT);
      let position = 0;
      let cut: CutMail | 'too-long' | undefined;
      while (!cut) {
        const block = new Uint8Array(READ_BLOCK);
        const read = await file.read(block, position);
        position += read;
        cut = read === 0 ? cutter.end() : cutter.push(block.subarray(0, read));
      }
      return cut === 'too-long' ? headerTooBig() : this.#store(mail, cut, file, position);
    });
  }

  /** `rest`: the mail goes on there from `position`. */
  async #store(
    mail: IncomingMail,
    cut: CutMail,
    rest: ContentReader | undefined,
    position: number,
  ): Promise<MailStatus | undefined> {
    const { account, book, handOver, maildir, scheduler, seen } = this.#deps;
    const sender = book.contact(mail.peer);
    if (!sender) return transferStatus.unknownSender();
    const header = arrivalHeader(cut.header, {
      sender,
      book,
      final: !handOver,
      deliveredTo: mail.tag === undefined ? `${account}@tox` : `${account}+${mail.tag}@tox`,
      nullSender: mail.nullSender,
      transferId: mail.id,
      unixMs: scheduler.unixMs(),
    });
    const writer: MailWriter = handOver
      ? handOver.create({ sender: mail.nullSender ? undefined : mail.peer, size: mail.size })
      : await maildir.create(mail.token);
    let stored: MaildirMessage | undefined;
    try {
      await writer.append(Buffer.concat([header, cut.body]));
      if (rest) await copyFrom(rest, position, writer);
      stored = await writer.commit();
    } catch (error) {
      await writer.abort();
      if (!(error instanceof MailError)) throw error;
      this.log.info('transfer.not-handed-over', { id: mail.id, cause: errorField(error.cause) });
      return error.status;
    }
    try {
      await seen.add(mail.token);
    } catch (error) {
      // The mail is there for good and its name tells so after a restart; refusing it now would bring it twice.
      this.log.error('transfer.seen-failed', { id: mail.id, error: errorField(error) });
    }
    this.log.info('transfer.stored', { id: mail.id, size: mail.size });
    this.#deps.onStored?.(mail, stored);
    return undefined;
  }

  async #limited<T>(work: () => Promise<T>): Promise<T> {
    if (this.#storing >= STORING_AT_ONCE) await new Promise<void>((go) => this.#turn.push(go));
    else this.#storing++;
    try {
      return await work();
    } finally {
      const next = this.#turn.shift();
      if (next) next();
      else this.#storing--;
    }
  }
}

function headerTooBig(): MailStatus {
  return transferStatus.headerTooBig(HEADER_LIMIT);
}
