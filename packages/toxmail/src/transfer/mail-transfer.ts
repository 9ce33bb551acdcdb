import { noHandlers } from './link.ts';
import { isHello } from './packets.ts';
import type { TransferJob, TransferOutcome } from './sender.ts';
import { PeerSession, type SessionDeps } from './session.ts';

/**
 * The mail transfer of one account, both ways (docs/wire.md). As a delivery target it takes as many jobs at once as the
 * queue likes; for one peer it goes through them in order, a number of them open at a time.
 */
export class MailTransfer {
  readonly #deps: SessionDeps;
  /** One per online contact; bounded by the contact book. */
  readonly #sessions = new Map<string, PeerSession>();

  /** Takes over the link's handlers. The inbox must have been prepared. */
  constructor(deps: SessionDeps) {
    this.#deps = deps;
    deps.link.handlers = {
      online: (peer) => void this.#session(peer),
      offline: (peer) => {
        const session = this.#sessions.get(peer);
        this.#sessions.delete(peer);
        session?.end();
      },
      packet: (peer, data) => {
        // A hello may come a moment before the node tells that its sender is online.
        const session = isHello(data) ? this.#session(peer) : this.#sessions.get(peer);
        session?.packet(data);
      },
      writable: (peer) => this.#sessions.get(peer)?.pump(),
    };
  }

  /** See delivery/target.ts. `signal.reason === 'cancelled'` tells the peer that the mail will not come again. */
  deliver(job: TransferJob, progress: (sent: number) => void, signal: AbortSignal): Promise<TransferOutcome> {
    const session = this.#sessions.get(job.peer);
    return session ? session.deliver(job, progress, signal) : Promise.resolve({ kind: 'offline' });
  }

  /** The peer is online and takes mail. */
  isReady(peer: string): boolean {
    return this.#sessions.get(peer)?.ready ?? false;
  }

  /** Ends all sessions; resolves when nothing is written any more. */
  async stop(): Promise<void> {
    this.#deps.link.handlers = noHandlers;
    for (const session of this.#sessions.values()) session.end();
    this.#sessions.clear();
    await this.#deps.inbox.drain();
  }

  #session(peer: string): PeerSession {
    let session = this.#sessions.get(peer);
    if (!session) {
      session = new PeerSession(peer, this.#deps);
      this.#sessions.set(peer, session);
    }
    return session;
  }
}
