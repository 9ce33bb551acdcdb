import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { seededRandom } from '../../../tox/src/testing/random.ts';
import type { Scheduler } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { canonicalAddress } from '../../src/contacts/address.ts';
import { AddressBookOf } from '../../src/contacts/address-book.ts';
import { Contacts } from '../../src/contacts/contacts.ts';
import { LocalDelivery, type LocalMailbox } from '../../src/delivery/local.ts';
import { Maildir } from '../../src/maildir/maildir.ts';
import { localLane, Queue } from '../../src/queue/queue.ts';
import { Accounts } from '../../src/store/accounts.ts';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { FailingFiles, systemError } from '../../src/testing/failing-files.ts';
import { ScriptedTarget } from '../../src/testing/scripted-target.ts';
import { settle, until, VirtualScheduler } from '../../src/testing/virtual-scheduler.ts';
import { CreditPool } from '../../src/transfer/credit.ts';
import { Inbox } from '../../src/transfer/inbox.ts';
import { Partials } from '../../src/transfer/partials.ts';
import { SeenTransfers } from '../../src/transfer/seen.ts';
import { MUM_ID, TOM_ID } from '../contacts/ids.ts';
import { unsynced } from '../mailbox/harness.ts';

const SEED = Number(process.env.TOXMAIL_FUZZ_SEED ?? 1);
const ACTS = 200;
/** What a full disk or another program's lock may keep from being written. */
const FAULTS = [
  "CREATE TEMP TRIGGER fault BEFORE INSERT ON seen_transfers BEGIN SELECT RAISE(FAIL, 'disk'); END",
  "CREATE TEMP TRIGGER fault BEFORE UPDATE ON recipients BEGIN SELECT RAISE(FAIL, 'disk'); END",
  "CREATE TEMP TRIGGER fault BEFORE INSERT ON recipients BEGIN SELECT RAISE(FAIL, 'disk'); END",
  "CREATE TEMP TRIGGER fault BEFORE DELETE ON contents BEGIN SELECT RAISE(FAIL, 'disk'); END",
];

/** Two accounts of one daemon, from the queue to the Maildir; `start` is a start after kill -9. */
class House {
  readonly #folder: string;
  readonly scheduler = new VirtualScheduler();
  files = new FailingFiles(unsynced);
  db!: Database;
  queue!: Queue;
  /** What still runs of it can do nothing any more. */
  kill = (): void => {};

  constructor(t: TestContext) {
    this.#folder = mkdtempSync(join(tmpdir(), 'toxmail-once-'));
    t.after(() => rmSync(this.#folder, { recursive: true, force: true }));
    mkdirSync(join(this.#folder, 'spool'));
  }

  async start(): Promise<void> {
    this.kill();
    const life = { over: false };
    const scheduler: Scheduler = {
      mono: () => this.scheduler.mono(),
      unixMs: () => this.scheduler.unixMs(),
      at: (monoMs, fn) => this.scheduler.at(monoMs, () => life.over || fn()),
    };
    this.kill = () => {
      life.over = true;
      this.files.crashAt = 0;
      void this.queue.stop();
      this.db.close();
    };
    const files = new FailingFiles(unsynced);
    this.files = files;
    const db = openDatabase(join(this.#folder, 'db'));
    this.db = db;
    const accounts = new Accounts(db, scheduler);
    const contacts = new Contacts(db, accounts, scheduler);
    const boxes = new Map<string, LocalMailbox>();
    for (const [name, id] of Object.entries({ mum: MUM_ID, tom: TOM_ID })) {
      if (!accounts.get(name)) accounts.add(name, 'h');
      accounts.setToxId(name, id);
      const maildir = new Maildir(files, join(this.#folder, name), scheduler);
      const seen = new SeenTransfers(db, name, scheduler);
      const inbox = new Inbox({
        ...{ account: name, maildir, seen, scheduler, log: silentLogger, maxSize: 10_000_000 },
        partials: new Partials(files, join(this.#folder, `${name}-partial`), scheduler),
        book: new AddressBookOf(name, accounts, contacts),
        pool: new CreditPool(),
      });
      await inbox.prepare();
      boxes.set(name, { inbox, maildir, seen, handOver: undefined });
    }
    this.queue = new Queue({
      ...{ db, files, scheduler, log: silentLogger, spool: join(this.#folder, 'spool'), tox: new ScriptedTarget() },
      local: new LocalDelivery({
        log: silentLogger,
        mailbox: (account) => boxes.get(account),
        publicKey: (account) => accounts.get(account)?.toxId?.slice(0, 64),
      }),
      noticeAddress: (account) => `${account}@tox`,
      ownAddress: () => canonicalAddress(MUM_ID),
    });
    await this.queue.start();
  }

  /** As the submission does. */
  async send(subject: string, size: number): Promise<void> {
    const { queue } = this;
    const writer = queue.spool.create();
    try {
      await writer.write(Buffer.from(`Subject: ${subject}.\r\n\r\n${'x'.repeat(size)}\r\n`));
      const body = await writer.commit();
      const recipients = [
        { address: 'tom@tox', lane: localLane('tom'), tag: undefined, notify: ['SUCCESS', 'FAILURE'] as const },
      ];
      await queue.accept({ account: 'mum', messageId: `<${subject}@x>`, sender: 'mum@tox', body, recipients });
      writer.release();
    } catch (error) {
      await writer.abort();
      throw error;
    }
  }

  /** The subjects of an account's mails. */
  mails(account: string): string[] {
    const folder = join(this.#folder, account, 'new');
    return readdirSync(folder).map((name) => readFileSync(join(folder, name), 'latin1'));
  }

  get spooled(): string[] {
    return readdirSync(join(this.#folder, 'spool'));
  }
}

test(`whatever fails and whenever it is killed, each mail that was accepted comes once, and one notice of it (seed ${SEED})`, async (t) => {
  const dice = seededRandom(SEED);
  const house = new House(t);
  t.after(() => house.kill());
  await house.start();
  const sent: string[] = [];
  const accepted = new Set<string>();
  let fault = false;
  const heal = (): void => {
    house.files.fail = () => undefined;
    if (fault) house.db.exec('DROP TRIGGER fault');
    fault = false;
  };
  for (let act = 0; act < ACTS; act++) {
    const what = dice();
    if (what < 0.5) {
      const subject = `mail ${sent.length}`;
      sent.push(subject);
      const sending = house.send(subject, dice() < 0.3 ? 100_000 : 100).then(
        () => accepted.add(subject),
        () => {},
      );
      if (dice() < 0.7) await sending;
    } else if (what < 0.6) await house.scheduler.advance(Math.floor(60_000 * dice()));
    else if (what < 0.7) await settle(Math.floor(dice() * 10));
    else if (what < 0.78) {
      const chance = dice() * 0.3;
      // What could not be made to last, and not be removed either, may come twice.
      house.files.fail = (operation) =>
        operation !== 'unlink' && dice() < chance ? systemError(dice() < 0.5 ? 'ENOSPC' : 'EIO') : undefined;
    } else if (what < 0.86 && !fault) {
      house.db.exec(FAULTS[Math.floor(dice() * FAULTS.length)]!);
      fault = true;
    } else if (what < 0.93) heal();
    else {
      house.files.crashAt = house.files.step + Math.floor(dice() * 20);
      await settle(5);
      fault = false; // goes with the connection
      await house.start();
    }
  }
  heal();
  fault = false;
  await house.start();
  for (let hours = 0; hours < 60; hours++) {
    await house.scheduler.advance(3_600_000);
    await until(() => house.queue.counts().sending === 0);
  }
  assert.equal(house.queue.counts().waiting, 0);
  const count = (mails: string[], line: string): number => mails.filter((mail) => mail.includes(`${line}\r\n`)).length;
  const [arrived, notices] = [house.mails('tom'), house.mails('mum')];
  for (const subject of sent) {
    const mails = count(arrived, `Subject: ${subject}.`);
    const told = count(notices, `In-Reply-To: <${subject}@x>`);
    assert.ok(accepted.has(subject) ? mails === 1 : mails <= 1, `${subject} came ${mails} times`);
    assert.equal(told, mails, `${subject}: ${told} notices`);
  }
  assert.deepEqual(house.spooled, []);
  t.diagnostic(`${accepted.size} of ${sent.length} accepted, ${arrived.length} arrived`);
});
