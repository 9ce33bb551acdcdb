import { isLoopback } from '../base/addresses.ts';
import { ClientServer, type ClientServerOptions } from '../base/client-server.ts';
import { CONNECTIONS_MAX, CONNECTIONS_UNKNOWN_MAX } from './limits.ts';
import type { ImapDeps } from './session/context.ts';
import { ImapSession } from './session/session.ts';

export interface ImapServerDeps extends ImapDeps {
  /** Without: no STARTTLS, and no port that begins with TLS. */
  readonly tls?: ClientServerOptions<ImapSession>['tls'];
}

/** IMAP on a TCP port, and on another one within TLS. */
export class ImapServer extends ClientServer<ImapSession> {
  constructor({ tls, ...deps }: ImapServerDeps) {
    super({
      name: 'imap',
      log: deps.log,
      scheduler: deps.scheduler,
      tls,
      connectionsMax: CONNECTIONS_MAX,
      unknownMax: CONNECTIONS_UNKNOWN_MAX,
      refusal: '* BYE [UNAVAILABLE] Too many connections; try again later\r\n',
      session: (wire, remote) => new ImapSession(wire, deps, remote, isLoopback(remote)),
    });
  }

  /** Ends the sessions of an account that was removed or has another password now. */
  endSessions(account: string, reason: string): void {
    for (const session of this.sessions()) if (session.account === account) session.shutDown(reason);
  }
}
