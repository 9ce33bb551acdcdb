import type { Scheduler } from '../base/clock.ts';
import type { FileSystem } from '../base/files.ts';
import type { Logger } from '../base/log.ts';
import type { DeliveryTarget } from '../delivery/target.ts';
import type { Database } from '../store/database.ts';
import type { QueueItem } from './record.ts';

export interface QueueDeps {
  readonly db: Database;
  readonly files: FileSystem;
  readonly scheduler: Scheduler;
  readonly log: Logger;
  /** Folder of the mails' bodies; exists. */
  readonly spool: string;
  readonly tox: DeliveryTarget;
  readonly local: DeliveryTarget;
}

export class Queue {
  /** Called after a change of one recipient's state or progress. */
  onChange: (item: QueueItem) => void = () => {};

  constructor(_deps: QueueDeps) {
    throw new Error('not yet');
  }

  /** Cleans up after a crash, then delivers. */
  start(): Promise<void> {
    throw new Error('not yet');
  }

  /** Aborts what is under way; resolves when nothing of it runs any more. */
  stop(): Promise<void> {
    throw new Error('not yet');
  }

  /** `account`'s friend came online: all that waits for it goes out at once. */
  peerOnline(_account: string, _publicKey: string): void {}
  peerOffline(_account: string, _publicKey: string): void {}

  list(_account?: string): QueueItem[] {
    throw new Error('not yet');
  }

  counts(): { waiting: number; sending: number; failed: number } {
    throw new Error('not yet');
  }

  /** Tries now. `id` may be cut short if it is still unique. Throws UserError. */
  retry(_id: string): QueueItem {
    throw new Error('not yet');
  }

  /** Gives up; no notice is written. Throws UserError. */
  cancel(_id: string): Promise<QueueItem> {
    throw new Error('not yet');
  }
}
