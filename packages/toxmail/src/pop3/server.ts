import { isLoopback } from '../base/addresses.ts';
import { ClientServer } from '../base/client-server.ts';
import type { ServerTls } from '../tls/provider.ts';
import { CONNECTIONS_MAX, CONNECTIONS_UNKNOWN_MAX } from './limits.ts';
import { MailLists } from './mail-list.ts';
import { type Pop3Deps, Pop3Session } from './session.ts';

export interface Pop3ServerDeps extends Omit<Pop3Deps, 'locks' | 'lists'> {
  /** Without: no STLS, and no port that begins with TLS. */
  readonly tls?: ServerTls;
}

/** POP3 on a TCP port, and on another one within TLS. Deletions of a session that we end are forgotten. */
export class Pop3Server extends ClientServer<Pop3Session> {
  constructor({ tls, ...rest }: Pop3ServerDeps) {
    const deps: Pop3Deps = { ...rest, locks: new Set(), lists: new MailLists(rest.scheduler) };
    super({
      name: 'pop3',
      log: deps.log,
      scheduler: deps.scheduler,
      tls,
      connectionsMax: CONNECTIONS_MAX,
      unknownMax: CONNECTIONS_UNKNOWN_MAX,
      refusal: '-ERR [SYS/TEMP] Too many connections; try again later\r\n',
      session: (wire, remote) => new Pop3Session(wire, deps, remote, isLoopback(remote)),
    });
  }

  /** Ends the sessions of an account that was removed or has another password now. */
  endSessions(account: string): void {
    for (const session of this.sessions()) if (session.account === account) session.shutDown();
  }
}
