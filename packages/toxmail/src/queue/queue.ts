import type { Cancel, Scheduler } from '../base/clock.ts';
import { bytesContent, type Content, type FileSystem } from '../base/files.ts';
import { errorField, type Logger } from '../base/log.ts';
import { UserError } from '../base/user-error.ts';
import type { DeliveryOutcome, DeliveryTarget } from '../delivery/target.ts';
import type { DsnAction } from '../message/dsn.ts';
import { isTemporary, type MailStatus } from '../smtp/mail-error.ts';
import { status } from '../smtp/status.ts';
import type { Database } from '../store/database.ts';
import { backoffMs, hardened } from './backoff.ts';
import { type Job, LANE_JOBS_MAX, Lane } from './lane.ts';
import { writeNotice } from './notice.ts';
import { wantsNotice } from './notify.ts';
import { type NewMail, type QueueRow, QueueStore } from './queue-store.ts';
import { OFFLINE, type QueueItem, queueItem } from './record.ts';
import { Spool } from './spool.ts';

export interface QueueDeps {
  readonly db: Database;
  readonly files: FileSystem;
  readonly scheduler: Scheduler;
  readonly log: Logger;
  /** Folder of the larger mails' bodies; exists. */
  readonly spool: string;
  readonly tox: DeliveryTarget;
  readonly local: DeliveryTarget;
  /** Where notices about mail with that envelope sender go; the account's own inbox or mail server takes them. */
  noticeAddress(account: string, sender: string): string;
  /** An account's canonical address: what travels as envelope sender. Undefined while it has none. */
  ownAddress(account: string): string | undefined;
}

const DAY_MS = 86_400_000;
/** product.md: after that a mail that never arrived is given back. */
const LIFETIME_DAYS = 30;
/** Ours: how long and how many finished deliveries are shown. */
const KEEP_FINISHED_MS = 7 * DAY_MS;
const KEEP_FINISHED_MAX = 10_000;
const LIST_FINISHED_MAX = 1_000;
/** Ours: all deliveries under way; each may hold a file open. */
const JOBS_MAX = 256;
/** Ours: expiry, pruning, and notices that come due. */
const HOUSEKEEPING_MS = 3_600_000;
/** product.md: the sender of a mail that waits is told daily, after the first time. */
const NOTICE_AGAIN_MS = DAY_MS;
/** Ours: after a start the peers are given so long to appear before a mail is given back or anybody told of delays. */
const NOTICE_GRACE_MS = 600_000;
/** Ours: between passes that find more to do than one of them does. */
const NEXT_PASS_MS = 10_000;
/** Ours: rows expired in one go. */
const EXPIRE_BATCH = 100;
/** Ours: a session that was said to be gone while the peer was not; and a disk or database that failed. */
const AGAIN_MS = 5_000;

/**
 * Outgoing mail, durable. A mail is accepted once its body and rows are on the disk; each recipient has its own state,
 * which only moves forward: waiting (sending is a waiting one under way) → delivered | failed. Attempts follow the
 * presence of the peer; only a temporary refusal waits for the clock. Order of every change: disk, then memory, then
 * onChange. A small body goes with the commit that finishes its last recipient, a spool file after it.
 */
export class Queue {
  readonly spool: Spool;
  /** Called with the transfer id after a change of that recipient's state or progress. Must be cheap. */
  onChange: (id: string) => void = () => {};
  readonly #deps: QueueDeps;
  readonly #store: QueueStore;
  /** By account and lane name. Bounded by the contacts and accounts. */
  readonly #lanes = new Map<string, Lane>();
  /** Lanes that could not begin because of JOBS_MAX. */
  readonly #starved = new Set<Lane>();
  readonly #running = new Set<Promise<void>>();
  #jobs = 0;
  /** Monotonic time before which nothing is given back, and nobody told of delays. */
  #noticesFrom = Number.POSITIVE_INFINITY;
  #state: 'new' | 'running' | 'stopped' = 'new';
  #housekeeping: Cancel = () => {};

  constructor(deps: QueueDeps) {
    this.#deps = deps;
    this.#store = new QueueStore(deps.db);
    this.spool = new Spool(deps.files, deps.spool);
  }

  /** Cleans up after a crash, then delivers. */
  async start(): Promise<void> {
    await this.#recover();
    this.#state = 'running';
    for (const { account, lane } of this.#store.lanes()) this.#lane(account, lane);
    this.#noticesFrom = this.#deps.scheduler.mono() + NOTICE_GRACE_MS;
    await this.#keepHouse();
    for (const lane of this.#lanes.values()) this.#pump(lane);
  }

  /** Aborts what is under way; resolves when nothing of it runs any more. Nothing is lost: it is sent after the next start. */
  async stop(): Promise<void> {
    this.#state = 'stopped';
    this.#housekeeping();
    for (const lane of this.#lanes.values()) {
      lane.timer?.();
      for (const job of lane.jobs.values()) job.abort.abort('stopping');
    }
    await Promise.allSettled(this.#running);
  }

  /**
   * Takes over a mail whose body is committed; resolves with the recipients' transfer ids when all is on the disk. If it
   * rejects, nothing was taken over and the body is the caller's again.
   */
  async accept(mail: NewMail): Promise<string[]> {
    const now = this.#deps.scheduler.unixMs();
    const { ids, seq } = await this.#deps.db.soon(() => this.#store.insert(mail, now, now + LIFETIME_DAYS * DAY_MS));
    for (const id of ids) this.onChange(id);
    for (const name of new Set(mail.recipients.map((recipient) => recipient.lane))) {
      const lane = this.#lane(mail.account, name);
      lane.grown(seq);
      this.#pump(lane);
    }
    return ids;
  }

  /** `account`'s friend came online: all that waits for it goes out at once. */
  peerOnline(account: string, publicKey: string): void {
    const lane = this.#lane(account, toxLane(publicKey));
    lane.generation++;
    lane.online = true;
    lane.reason = undefined;
    lane.rewind();
    this.#pump(lane);
  }

  /** What is under way to it ends by itself, as the target sees the session go. */
  peerOffline(account: string, publicKey: string): void {
    const lane = this.#lanes.get(laneKey(account, toxLane(publicKey)));
    if (!lane) return;
    lane.online = false;
    lane.reason = undefined;
  }

  /** Fails all that waits for a contact that was removed; the sender gets notices. */
  async contactRemoved(account: string, publicKey: string): Promise<void> {
    this.peerOffline(account, publicKey);
    await this.#giveUp(account, toxLane(publicKey), (row) =>
      this.#end(row, () => this.#fail(row, status.noLongerContact(), 0)),
    );
  }

  /** Drops all of an account that was removed, without notices. */
  async accountRemoved(account: string): Promise<void> {
    for (const { account: owner, lane } of this.#store.lanes()) {
      if (owner === account) await this.#giveUp(owner, lane, (row) => this.#drop(row));
    }
  }

  list(account?: string): QueueItem[] {
    return this.#store.list(account, LIST_FINISHED_MAX).map((row) => this.#item(row));
  }

  get(id: string): QueueItem | undefined {
    const row = this.#store.get(id);
    return row && this.#item(row);
  }

  counts(): { waiting: number; sending: number; failed: number } {
    const { waiting, failed } = this.#store.counts();
    return { waiting: Math.max(0, waiting - this.#jobs), sending: this.#jobs, failed };
  }

  /** Tries now, if the recipient can be reached. `id` may be cut short while it is still unique. Throws UserError. */
  retry(id: string): QueueItem {
    const row = this.#find(id);
    this.#store.hasten(row.id);
    const lane = this.#lane(row.account, row.lane);
    lane.rewind();
    this.#pump(lane);
    return this.get(row.id)!;
  }

  /** Gives up; no notice is written. Throws UserError. */
  async cancel(id: string): Promise<QueueItem> {
    const row = this.#find(id);
    await this.#drop(row);
    return this.get(row.id)!;
  }

  /** Begins as many of the lane's due deliveries as the limits allow. */
  #pump(lane: Lane): void {
    if (this.#state !== 'running' || !lane.online) return;
    while (lane.jobs.size < LANE_JOBS_MAX) {
      if (this.#jobs >= JOBS_MAX) {
        this.#starved.add(lane);
        return;
      }
      const row = lane.next(this.#deps.scheduler.unixMs());
      if (!row) break;
      const run = this.#run(lane, row).finally(() => this.#running.delete(run));
      this.#running.add(run);
    }
    this.#arm(lane);
  }

  /** One attempt, from its start to the disk. */
  async #run(lane: Lane, row: QueueRow): Promise<void> {
    const job: Job = { row, generation: lane.generation, abort: new AbortController(), sent: 0, settling: false };
    lane.jobs.set(row.id, job);
    this.#jobs++;
    this.onChange(row.id);
    try {
      const outcome = await this.#attempt(job);
      if (job.abort.signal.aborted) return;
      job.settling = true;
      await this.#settle(lane, job, outcome);
    } catch (error) {
      // Our own disk or database: the row still waits, and the receiver tells a repetition by its id.
      this.#deps.log.error('queue.settle-failed', { mail: row.id, error: errorField(error) });
      lane.postponed(this.#deps.scheduler.unixMs() + AGAIN_MS);
    } finally {
      lane.settled(row.id);
      this.#jobs--;
      this.onChange(row.id);
      this.#starved.add(lane); // behind those that wait longer
      for (const next of [...this.#starved]) {
        this.#starved.delete(next);
        this.#pump(next);
        if (this.#jobs >= JOBS_MAX) break;
      }
    }
  }

  async #attempt(job: Job): Promise<DeliveryOutcome> {
    const { row } = job;
    const { tox, local, ownAddress, log } = this.#deps;
    const [kind, peer] = splitLane(row.lane);
    const from = row.sender === '' ? '' : ownAddress(row.account);
    if (from === undefined) return { kind: 'failed', status: status.notReady() };
    try {
      return await (kind === 'local' ? local : tox).deliver(
        {
          id: row.id,
          account: row.account,
          peer,
          envelope: { from, to: row.address, tag: row.tag },
          content: this.#content(row),
          size: row.size,
          digest: row.digest,
        },
        (sent) => {
          job.sent = sent;
          this.onChange(row.id);
        },
        job.abort.signal,
      );
    } catch (error) {
      log.error('queue.attempt-broke', { mail: row.id, error: errorField(error) });
      return { kind: 'failed', status: status.localError() };
    }
  }

  async #settle(lane: Lane, job: Job, outcome: DeliveryOutcome): Promise<void> {
    const { row, sent } = job;
    const { db, log, scheduler } = this.#deps;
    if (outcome.kind === 'delivered') {
      await this.#delivered(row);
      log.info('queue.delivered', { mail: row.id, size: row.size });
      return;
    }
    if (outcome.kind === 'offline') {
      // If the peer came back meanwhile, or was never said to be gone, try again; else peerOnline will.
      if (job.generation !== lane.generation) lane.rewind();
      else if (outcome.status) {
        lane.online = false;
        lane.reason = outcome.status;
      } else lane.postponed(scheduler.unixMs() + AGAIN_MS);
      return;
    }
    const attempts = row.attempts + 1;
    const reason = hardened(attempts, outcome.status);
    if (!isTemporary(reason)) {
      await this.#fail(row, reason, sent, attempts);
      return;
    }
    const next = scheduler.unixMs() + backoffMs(attempts, reason);
    await db.soon(() => this.#store.postpone(row.id, attempts, next, reason, sent));
    lane.postponed(next);
    log.info('queue.postponed', { mail: row.id, code: reason.enhanced, attempts });
  }

  async #delivered(row: QueueRow): Promise<void> {
    const attempts = row.attempts + 1;
    if (!wantsNotice(row, row.notify, 'delivered')) {
      await this.#finish(row, 'delivered', row.status, row.size, attempts);
      return;
    }
    const now = this.#deps.scheduler.unixMs();
    const end = { state: 'delivered', status: row.status, sent: row.size, attempts, now } as const;
    await this.#tell(row, 'delivered', status.delivered(), () => this.#store.finish(row, end));
    await this.#removeFile(row);
  }

  /** A notice to the sender and the change that it tells of, written down together: neither can be without the other. */
  async #tell(row: QueueRow, action: DsnAction, reason: MailStatus, change: () => boolean): Promise<void> {
    const { db, noticeAddress, scheduler } = this.#deps;
    const now = scheduler.unixMs();
    const to = noticeAddress(row.account, row.sender);
    const notice = await writeNotice(this.spool, row, this.#content(row), { action, status: reason, to, now });
    let seq = 0;
    try {
      ({ seq } = await db.soon(() => {
        if (!change()) throw new UserError('finished meanwhile');
        return this.#store.insert(notice.mail, now, now + LIFETIME_DAYS * DAY_MS);
      }));
      notice.writer.release();
    } catch (error) {
      await notice.writer.abort();
      if (!(error instanceof UserError)) throw error;
    }
    const lane = this.#lane(row.account, localLane(row.account));
    lane.grown(seq);
    this.#pump(lane);
  }

  /** For good. */
  async #fail(row: QueueRow, reason: MailStatus, sent: number, attempts = row.attempts): Promise<void> {
    const { log, scheduler } = this.#deps;
    const now = scheduler.unixMs();
    if (wantsNotice(row, row.notify, 'failed')) {
      const end = { state: 'failed', status: reason, sent, attempts, now } as const;
      await this.#tell(row, 'failed', reason, () => this.#store.finish(row, end));
      await this.#removeFile(row);
    } else {
      await this.#finish(row, 'failed', reason, sent, attempts);
    }
    log.warn('queue.failed', { mail: row.id, code: reason.enhanced });
    this.onChange(row.id);
  }

  async #finish(
    row: QueueRow,
    state: 'delivered' | 'failed',
    reason: MailStatus | undefined,
    sent: number,
    attempts: number,
  ): Promise<void> {
    const now = this.#deps.scheduler.unixMs();
    // Not sooner: if it gets lost, the receiver tells the repetition by its id.
    await this.#deps.db.later(() => this.#store.finish(row, { state, status: reason, sent, attempts, now }));
    await this.#removeFile(row);
  }

  /** After its last recipient. A crash before this leaves a file that the next start removes. */
  async #removeFile(row: QueueRow): Promise<void> {
    if (row.inline || this.#store.wanted(row.mail)) return;
    try {
      await this.spool.remove(row.spool);
    } catch (error) {
      this.#deps.log.warn('queue.spool-left', { error: errorField(error) });
    }
  }

  /** Without a notice. What is under way is broken off, unless its outcome is known already. */
  async #drop(row: QueueRow): Promise<void> {
    const lane = this.#lane(row.account, row.lane);
    const job = lane.jobs.get(row.id);
    if (!job?.settling) {
      job?.abort.abort('cancelled');
      const sent = job?.sent ?? row.sent;
      await this.#end(row, () => this.#finish(row, 'failed', status.cancelled(), sent, row.attempts));
    }
    lane.rewind();
    this.onChange(row.id);
  }

  /** Nobody begins to send what is about to be given up. */
  async #end(row: QueueRow, work: () => Promise<void>): Promise<void> {
    const lane = this.#lane(row.account, row.lane);
    lane.ending.add(row.id);
    try {
      await work();
    } finally {
      lane.ending.delete(row.id);
      lane.rewind();
    }
  }

  async #giveUp(account: string, name: string, each: (row: QueueRow) => Promise<void>): Promise<void> {
    const lane = this.#lane(account, name);
    for (const job of lane.jobs.values()) if (!job.settling) job.abort.abort('cancelled');
    let cursor = 0;
    for (;;) {
      const rows = this.#store.waiting(account, name, cursor, EXPIRE_BATCH);
      if (rows.length === 0) break;
      for (const row of rows) if (!lane.jobs.get(row.id)?.settling) await each(row);
      cursor = rows.at(-1)!.seq;
    }
    lane.rewind();
  }

  async #recover(): Promise<void> {
    const wanted = this.#store.spoolFiles();
    const swept = await this.spool.sweep(new Set(wanted.keys()));
    if (swept > 0) this.#deps.log.info('queue.swept', { files: swept });
    const lost = this.#store.lostContents();
    for (const [name, mail] of wanted) if ((await this.spool.size(name)) === undefined) lost.push(mail);
    for (const mail of lost) {
      for (const row of this.#store.waitingOf(mail)) await this.#fail(row, status.spoolLost(), 0);
    }
  }

  #content(row: QueueRow): Content {
    return row.inline ? bytesContent(() => this.#store.content(row.mail)) : this.spool.content(row.spool);
  }

  async #keepHouse(): Promise<void> {
    const { scheduler, log } = this.#deps;
    const now = scheduler.unixMs();
    let wait = HOUSEKEEPING_MS;
    try {
      const settled = scheduler.mono() >= this.#noticesFrom;
      const late = settled ? this.#store.expired(now, EXPIRE_BATCH) : [];
      for (const row of late) {
        if (this.#lanes.get(laneKey(row.account, row.lane))?.jobs.has(row.id)) continue;
        await this.#end(row, () => this.#fail(row, row.status ?? status.expired(LIFETIME_DAYS), row.sent));
      }
      if (settled) await this.#tellDelays(now);
      this.#store.prune(now - KEEP_FINISHED_MS, KEEP_FINISHED_MAX);
      for (const lane of this.#lanes.values()) lane.rewind(); // the numbers of what was forgotten are given again
      // What is accepted until the next pass is not due before the one after it.
      const notice = Math.max(this.#noticesFrom - scheduler.mono(), (this.#store.nextNotice() ?? Infinity) - now);
      const due = late.length === EXPIRE_BATCH ? 0 : notice;
      wait = Math.min(HOUSEKEEPING_MS, Math.max(NEXT_PASS_MS, due));
    } catch (error) {
      log.error('queue.housekeeping-failed', { error: errorField(error) });
    }
    if (this.#state !== 'running') return;
    this.#housekeeping = scheduler.at(scheduler.mono() + wait, () => {
      const run = this.#keepHouse().finally(() => this.#running.delete(run));
      this.#running.add(run);
    });
  }

  async #tellDelays(now: number): Promise<void> {
    for (const row of this.#store.noticesDue(now, 2 * NOTICE_AGAIN_MS, EXPIRE_BATCH)) {
      const lane = this.#lane(row.account, row.lane);
      if (lane.jobs.has(row.id)) {
        this.#store.noticed(row.id, now + HOUSEKEEPING_MS); // it is just arriving
        continue;
      }
      const reason = row.status ?? lane.reason ?? OFFLINE;
      await this.#tell(row, 'delayed', reason, () => this.#store.noticed(row.id, now + NOTICE_AGAIN_MS));
      this.#deps.log.info('queue.delayed', { mail: row.id, code: reason.enhanced });
    }
  }

  /** Wakes the lane when the earliest of what it postponed is due. */
  #arm(lane: Lane): void {
    lane.timer?.();
    lane.timer = undefined;
    const due = lane.earliest;
    if (due === undefined) return;
    const { scheduler } = this.#deps;
    lane.timer = scheduler.at(scheduler.mono() + Math.max(0, due - scheduler.unixMs()), () => {
      lane.timer = undefined;
      lane.rewind();
      this.#pump(lane);
    });
  }

  #lane(account: string, name: string): Lane {
    const key = laneKey(account, name);
    let lane = this.#lanes.get(key);
    if (!lane) {
      lane = new Lane(this.#store, account, name);
      lane.online = splitLane(name)[0] === 'local';
      this.#lanes.set(key, lane);
    }
    return lane;
  }

  #item(row: QueueRow): QueueItem {
    const lane = this.#lanes.get(laneKey(row.account, row.lane));
    return queueItem(row, lane?.jobs.get(row.id), lane?.online ? undefined : (lane?.reason ?? OFFLINE));
  }

  #find(id: string): QueueRow {
    const found = /^[0-9a-f]{1,32}$/i.test(id) ? this.#store.byPrefix(id.toLowerCase()) : [];
    const [row] = found;
    if (!row) throw new UserError(`There is no mail ${id} in the queue; see: toxmail queue`);
    if (found.length > 1)
      throw new UserError(`More than one mail in the queue begins with ${id}; give more of its id.`);
    if (row.state !== 'waiting') throw new UserError(`Mail ${row.id.slice(0, 8)} is ${row.state} already.`);
    return row;
  }
}

export function toxLane(publicKey: string): string {
  return `tox:${publicKey}`;
}

export function localLane(account: string): string {
  return `local:${account}`;
}

function splitLane(lane: string): [kind: string, peer: string] {
  const colon = lane.indexOf(':');
  return [lane.slice(0, colon), lane.slice(colon + 1)];
}

function laneKey(account: string, lane: string): string {
  return `${account} ${lane}`;
}
