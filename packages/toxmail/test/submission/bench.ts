import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { BlockList } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { systemScheduler } from '../../src/base/clock.ts';
import { realFiles } from '../../src/base/files.ts';
import { silentLogger } from '../../src/base/log.ts';
import { hashPassword } from '../../src/base/password.ts';
import { canonicalAddress } from '../../src/contacts/address.ts';
import { Contacts } from '../../src/contacts/contacts.ts';
import { Queue } from '../../src/queue/queue.ts';
import { Accounts } from '../../src/store/accounts.ts';
import { openDatabase } from '../../src/store/database.ts';
import { Relay } from '../../src/submission/relay.ts';
import { SubmissionServer } from '../../src/submission/server.ts';
import { FailingFiles } from '../../src/testing/failing-files.ts';
import { ScriptedTarget } from '../../src/testing/scripted-target.ts';
import type { TlsProvider } from '../../src/tls/provider.ts';
import { ANNA_ID, MUM_ID, TOM_ID } from '../contacts/ids.ts';
import { SmtpClient } from './smtp-client.ts';

export const PASSWORD = 'right password';
const localhost = new BlockList();
localhost.addAddress('127.0.0.1');
const HASH = hashPassword(PASSWORD);
export const LIMIT = 100_000;
export const ANNA = canonicalAddress(ANNA_ID);
export const MUM = canonicalAddress(MUM_ID);

interface Options {
  /** Clients on this machine need no log-in then, and this is whom they send as. */
  readonly senders?: Record<string, string>;
  /** It listens on all addresses then. */
  readonly tls?: TlsProvider;
}

/** A server with two accounts, mum and tom, who both know Anna. */
export async function bench(t: TestContext, { senders, tls }: Options = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'toxmail-smtp-'));
  const spool = join(folder, 'spool');
  mkdirSync(spool);
  const db = openDatabase(join(folder, 'toxmail.db'));
  const accounts = new Accounts(db, systemScheduler);
  const contacts = new Contacts(db, accounts, systemScheduler);
  for (const [name, id] of [
    ['mum', MUM_ID],
    ['tom', TOM_ID],
  ] as const) {
    accounts.add(name, await HASH);
    accounts.setToxId(name, id);
  }
  contacts.add({ account: 'mum', name: 'Anna', toxId: ANNA_ID, emails: ['anna@example.org'] });
  contacts.add({ account: 'tom', name: 'Anna', toxId: ANNA_ID });
  const tox = new ScriptedTarget();
  const files = new FailingFiles(realFiles);
  const queue = new Queue({
    db,
    files,
    scheduler: systemScheduler,
    log: silentLogger,
    spool,
    tox,
    local: new ScriptedTarget(),
    noticeAddress: (account) => `${account}@tox`,
    ownAddress: (account) => canonicalAddress(accounts.get(account)!.toxId!),
  });
  await queue.start();
  const server = new SubmissionServer({
    accounts,
    contacts,
    queue,
    clock: systemScheduler,
    log: silentLogger,
    sizeLimit: LIMIT,
    tls,
    relay: senders && new Relay({ accounts, from: localhost, senders: new Map(Object.entries(senders)) }),
  });
  const { port } = await server.listen({ host: tls ? '0.0.0.0' : '127.0.0.1', port: 0 });
  const clients: SmtpClient[] = [];
  t.after(async () => {
    for (const client of clients) client.close();
    await server.close();
    await queue.stop();
    db.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    server,
    queue,
    contacts,
    db,
    files,
    port,
    accounts,
    connect(): SmtpClient {
      const client = new SmtpClient(port);
      clients.push(client);
      return client;
    },
    async loggedIn(): Promise<SmtpClient> {
      const client = this.connect();
      assert.match(await client.logIn('mum', PASSWORD), /^235 2\.7\.0 /);
      return client;
    },
    /** Files may come and go while one looks: their number. */
    spoolCount: () => readdirSync(spool).length,
    /** The mails that are kept, in the database or as files. */
    kept: (): Buffer[] => [
      ...db
        .prepare('SELECT bytes FROM contents')
        .all()
        .map((row) => Buffer.from(row.bytes as Uint8Array)),
      ...readdirSync(spool).map((name) => readFileSync(join(spool, name))),
    ],
  };
}
