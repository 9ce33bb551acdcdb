import { join } from 'node:path';
import type { Scheduler } from '../base/clock.ts';
import { realFiles } from '../base/files.ts';
import type { Logger } from '../base/log.ts';
import { keyAddress } from '../contacts/address.ts';
import { AddressBookOf } from '../contacts/address-book.ts';
import { MailServer } from '../delivery/mail-server.ts';
import type { IndexThread } from '../mailbox/index/index-client.ts';
import type { MailIndex } from '../mailbox/index/mail-index.ts';
import { MaildirStore } from '../mailbox/mail-store.ts';
import { Maildir } from '../maildir/maildir.ts';
import type { CreditPool } from '../transfer/credit.ts';
import { Inbox } from '../transfer/inbox.ts';
import { HEADER_LIMIT } from '../transfer/limits.ts';
import { MailTransfer } from '../transfer/mail-transfer.ts';
import { transferStatus } from '../transfer/outcome.ts';
import { Partials } from '../transfer/partials.ts';
import { SeenTransfers } from '../transfer/seen.ts';
import { AccountNode, type AccountNodeHooks } from './account-node.ts';
import type { DataFolder } from './data-folder.ts';
import type { Destination } from './mail-server-settings.ts';

export interface AccountDeps {
  readonly folder: DataFolder;
  readonly scheduler: Scheduler;
  readonly log: Logger;
  /** Shared by all accounts. */
  readonly pool: CreditPool;
  readonly indexThread: IndexThread;
  /** Largest mail that programs may hand in, bytes; from contacts the same is taken. */
  readonly sizeLimit: number;
  /** Undefined: into the Maildir. */
  readonly deliver: Destination | undefined;
  readonly hooks: AccountNodeHooks;
}

/** What runs for one account: its Tox node, its mailbox, and the mail transfer between the two. */
export class AccountServices {
  readonly node: AccountNode;
  readonly maildir: Maildir;
  /** The Maildir and its folders, as the servers for mail programs see them. */
  readonly mailbox: MaildirStore;
  readonly handOver: MailServer | undefined;
  readonly inbox: Inbox;
  readonly seen: SeenTransfers;
  readonly transfer: MailTransfer;
  readonly #index: MailIndex;

  constructor(account: string, deps: AccountDeps) {
    const { folder, scheduler, log, pool, indexThread, sizeLimit, deliver, hooks } = deps;
    this.node = new AccountNode(account, folder, log, hooks);
    this.maildir = new Maildir(realFiles, folder.maildirOf(account), scheduler);
    this.#index = indexThread.open(folder.indexOf(account));
    this.mailbox = new MaildirStore({
      files: realFiles,
      scheduler,
      log,
      inbox: this.maildir,
      index: this.#index,
      appendLimit: sizeLimit,
      quotaLimit: () => folder.accounts.get(account)?.quota,
    });
    this.handOver =
      deliver &&
      new MailServer({
        ...deliver,
        senderAddress: (key) => folder.contacts.canonical(account, keyAddress(key)),
        scheduler,
      });
    this.seen = new SeenTransfers(folder.db, account, scheduler);
    this.inbox = new Inbox({
      account,
      maildir: this.maildir,
      handOver: this.handOver,
      partials: new Partials(realFiles, join(folder.path, 'accounts', account, 'incoming'), scheduler),
      seen: this.seen,
      book: new AddressBookOf(account, folder.accounts, folder.contacts, deliver?.recipient),
      pool,
      scheduler,
      log,
      admit: async ({ size }) => ((await this.mailbox.hasRoom(size)) ? undefined : transferStatus.mailboxFull()),
      maxSize: sizeLimit + HEADER_LIMIT, // the addresses in the header grow on their way
    });
    this.transfer = new MailTransfer({
      link: this.node,
      scheduler,
      log,
      inbox: this.inbox,
      onReady: (peer) => hooks.peerOnline(account, peer),
    });
  }

  /** Before the node starts: an offer may come with its first packets. */
  async prepare(): Promise<void> {
    await this.inbox.prepare();
    await this.mailbox.prepare();
  }

  async stop(): Promise<void> {
    this.handOver?.stop();
    await this.transfer.stop();
    await this.node.close();
    await this.mailbox.stop();
    await this.#index.close();
  }
}
