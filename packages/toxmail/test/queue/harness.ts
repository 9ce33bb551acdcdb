import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type FileSystem, realFiles } from '../../src/base/files.ts';
import { silentLogger } from '../../src/base/log.ts';
import type { Notify } from '../../src/queue/notify.ts';
import { localLane, Queue, toxLane } from '../../src/queue/queue.ts';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { ScriptedTarget } from '../../src/testing/scripted-target.ts';
import { settle, until, VirtualScheduler } from '../../src/testing/virtual-scheduler.ts';

export const KEY_A = `${'A1'.repeat(31)}01`;
export const KEY_B = `${'B2'.repeat(31)}02`;

/** A queue on a real folder; `restart` makes a new one on the same folder, as after kill -9. */
export class Bench {
  readonly folder: string;
  readonly scheduler = new VirtualScheduler();
  tox = new ScriptedTarget();
  local = new ScriptedTarget();
  files: FileSystem = realFiles;
  /** What the sender wants to hear; undefined: nothing was said, and so also of delays. */
  notify: readonly Notify[] | undefined = ['FAILURE'];
  db!: Database;
  queue!: Queue;

  constructor(t: TestContext) {
    this.folder = mkdtempSync(join(tmpdir(), 'toxmail-queue-'));
    t.after(() => rmSync(this.folder, { recursive: true, force: true }));
    mkdirSync(this.spool);
    this.open();
  }

  get spool(): string {
    return join(this.folder, 'spool');
  }

  open(): void {
    this.db = openDatabase(join(this.folder, 'toxmail.db'));
    this.tox = new ScriptedTarget();
    this.local = new ScriptedTarget();
    this.queue = new Queue({
      db: this.db,
      files: this.files,
      scheduler: this.scheduler,
      log: silentLogger,
      spool: this.spool,
      tox: this.tox,
      local: this.local,
      noticeAddress: (account) => `${account}@tox`,
      ownAddress: (account) => `${account}-own@tox`,
    });
  }

  /** The old queue's promises may still run; they find a closed database. */
  restart(): void {
    this.db.close();
    this.open();
  }

  async put(body: string, ...lanes: string[]): Promise<string[]> {
    const writer = this.queue.spool.create();
    try {
      await writer.write(Buffer.from(body));
      const content = await writer.commit();
      const ids = await this.queue.accept({
        account: 'mum',
        messageId: '<1@x>',
        sender: 'mum@tox',
        body: content,
        recipients: lanes.map((lane) => ({
          address: `${lane.slice(0, 9)}@tox`,
          lane,
          tag: undefined,
          notify: this.notify,
        })),
      });
      writer.release();
      return ids;
    } catch (error) {
      await writer.abort();
      throw error;
    }
  }

  /** Until nothing is under way: all that was begun has come to its end, on the disk too. */
  async calm(): Promise<void> {
    await until(() => this.queue.counts().sending === 0);
    await settle();
    await until(() => this.queue.counts().sending === 0);
  }

  states(): string[] {
    return this.queue.list().map((item) => item.state);
  }

  spoolFiles(): string[] {
    return readdirSync(this.spool);
  }

  /** The bodies that are kept, as files or in the database. */
  kept(): string[] {
    const inline = this.db.prepare('SELECT bytes FROM contents ORDER BY mail').all();
    return [
      ...inline.map((row) => Buffer.from(row.bytes as Uint8Array).toString()),
      ...this.spoolFiles().map((name) => readFileSync(join(this.spool, name), 'utf8')),
    ];
  }
}

/** Kept in the database, and too large for that. */
export const BODIES = {
  small: 'Subject: x\r\n\r\nsmall',
  large: `Subject: x\r\n\r\n${'large\r\n'.repeat(10_000)}`,
} as const;

export const A = toxLane(KEY_A);
export const B = toxLane(KEY_B);
export const MUM = localLane('mum');
