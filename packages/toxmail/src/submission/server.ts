import type { AddressInfo } from 'node:net';
import type { SMTPServerAddress, SMTPServerAuthentication, SMTPServerSession } from 'smtp-server';
import { SMTPServer } from 'smtp-server';
import type { Clock } from '../base/clock.ts';
import { errorField, type Logger } from '../base/log.ts';
import { verifyPassword } from '../base/password.ts';
import { canonicalAddress } from '../contacts/address.ts';
import type { Contacts, Route } from '../contacts/contacts.ts';
import type { HeaderField } from '../message/header.ts';
import type { Notify } from '../queue/notify.ts';
import { localLane, type Queue, toxLane } from '../queue/queue.ts';
import type { NewMail } from '../queue/queue-store.ts';
import { MailError } from '../smtp/mail-error.ts';
import { status } from '../smtp/status.ts';
import type { Accounts } from '../store/accounts.ts';
import type { ServerTls } from '../tls/provider.ts';
import { type AcceptDeps, acceptMail, type Submission } from './accept.ts';
import type { Relay } from './relay.ts';
import { connectWithOwnCodes, refusalOf } from './replies.ts';

export interface SubmissionDeps {
  readonly accounts: Accounts;
  readonly contacts: Contacts;
  readonly queue: Queue;
  readonly clock: Clock;
  readonly log: Logger;
  /** Largest mail, bytes. Default DEFAULT_SIZE_LIMIT. */
  readonly sizeLimit?: number;
  /** Without: no STARTTLS, and no port that begins with TLS. */
  readonly tls?: ServerTls;
  /** Slows down the guessing of passwords, over all protocols. */
  readonly throttle?: LoginThrottle;
  /** Where copies of sent mail go; see AcceptDeps. */
  readonly sentCopy?: AcceptDeps['sentCopy'];
  /** Takes mail of these mail servers without log-in. */
  readonly relay?: Relay | undefined;
}

/** `address`: of the client; `account`: as typed. */
export interface LoginThrottle {
  /** Milliseconds until an attempt is looked at again; 0 if now. */
  waitMs(address: string, account: string): number;
  failed(address: string, account: string): void;
  succeeded(address: string, account: string): void;
}

/** product.md: mails up to 50 MB by default. */
export const DEFAULT_SIZE_LIMIT = 52_428_800;
/** Ours, above the 100 of RFC 5321 §4.5.3.1.8. */
const RECIPIENTS_MAX = 500;
/** Ours: a household's programs and scripts; each may hold a file open. */
const CLIENTS_MAX = 100;
/** RFC 5321 §4.5.3.2.7. */
const IDLE_TIMEOUT_MS = 300_000;
/** Ours: how long a mail under way may go on when we stop. */
const CLOSE_TIMEOUT_MS = 2_000;
/** Ours: wrong passwords on one connection. */
const LOGIN_FAILURES_MAX = 3;
/** RFC 5321 §4.5.3.1.4 asks for 512; this leaves room for a long password in base64. */
const COMMAND_MAX = 4_096;

/** Where mail programs hand in their mail: SMTP submission (RFC 6409) for the accounts of this daemon. */
export class SubmissionServer {
  readonly #deps: SubmissionDeps;
  readonly #accept: AcceptDeps;
  /** STARTTLS on the one, TLS from the first byte on the other. */
  readonly #plain: SMTPServer;
  readonly #overTls: SMTPServer | undefined;
  readonly #failures = new WeakMap<SMTPServerSession, number>();
  /** Of the mail under way: the accounts that may be its sender. One, unless a mail server hands it in. */
  readonly #senders = new WeakMap<SMTPServerSession, readonly string[]>();
  /** By account. smtp-server keeps the object that it handed to onRcptTo in the envelope. */
  readonly #routes = new WeakMap<SMTPServerAddress, ReadonlyMap<string, Route>>();

  constructor(deps: SubmissionDeps) {
    this.#deps = deps;
    const sizeLimit = deps.sizeLimit ?? DEFAULT_SIZE_LIMIT;
    this.#accept = {
      spool: deps.queue.spool,
      accept: (mail) => deps.queue.accept(mail),
      canonical: (account, address) => deps.contacts.canonical(account, address),
      ownAddress: (account) => this.#ownAddress(account),
      ...(deps.sentCopy ? { sentCopy: deps.sentCopy } : {}),
      unixMs: () => deps.clock.unixMs(),
      sizeLimit,
    };
    this.#plain = this.#server(sizeLimit, false);
    this.#overTls = deps.tls && this.#server(sizeLimit, true);
  }

  /** Port 0: any free one. Rejects if the port is taken. */
  listen(at: { host: string; port: number }): Promise<{ host: string; port: number }> {
    return listening(this.#plain, at);
  }

  /** The same for TLS from the first byte; needs `tls`. */
  listenTls(at: { host: string; port: number }): Promise<{ host: string; port: number }> {
    return listening(this.#overTls!, at);
  }

  #server(sizeLimit: number, secure: boolean): SMTPServer {
    const deps = this.#deps;
    const { tls } = deps;
    const server = new SMTPServer({
      name: 'toxmail',
      secure,
      size: sizeLimit,
      authMethods: ['PLAIN', 'LOGIN'],
      allowInsecureAuth: true, // Connection decides
      disabledCommands: [...(tls ? [] : ['STARTTLS']), 'XCLIENT', 'XFORWARD', 'WIZ', 'SHELL', 'KILL'],
      hideENHANCEDSTATUSCODES: false,
      hideDSN: false,
      authOptional: true, // #sendersOf asks for it
      disableReverseLookup: true,
      logger: false,
      maxClients: CLIENTS_MAX,
      maxRecipients: RECIPIENTS_MAX,
      maxCommandLength: COMMAND_MAX,
      socketTimeout: IDLE_TIMEOUT_MS,
      closeTimeout: CLOSE_TIMEOUT_MS,
      onAuth: (auth, session, done) => {
        this.#logIn(auth, session).then(
          (user) => done(null, { user }),
          (error) => done(refusalOf(error)),
        );
      },
      onMailFrom: (address, session, done) => {
        try {
          this.#senders.set(session, this.#sendersOf(session, address.address));
          done(null);
        } catch (error) {
          done(refusalOf(error));
        }
      },
      onRcptTo: (address, session, done) => {
        try {
          this.#resolve(address, session);
          done(null);
        } catch (error) {
          this.#failed('smtp.rcpt-failed', error);
          done(refusalOf(error));
        }
      },
      onData: (stream, session, done) => {
        let account: string | undefined;
        const submissionOf = (header: readonly HeaderField[]): Submission => {
          const submission = this.#submission(session, header);
          account = submission.account;
          return submission;
        };
        acceptMail(this.#accept, submissionOf, stream).then(
          (ids) => {
            deps.log.info('smtp.accepted', { account, size: stream.byteLength, mail: ids[0] });
            done(null, `2.6.0 Queued as ${ids[0]?.slice(0, 8)}`);
          },
          (error) => {
            this.#failed('smtp.not-accepted', error);
            done(refusalOf(error));
          },
        );
      },
    });
    connectWithOwnCodes(server);
    // Clients that break off; what matters was reported where it happened.
    server.on('error', (error: Error) => deps.log.debug('smtp.connection', { error: errorField(error) }));
    if (tls) {
      // Instead of the certificate that smtp-server brings for trying it out.
      const renew = (): void => void server.secureContext.set('*', tls.context);
      renew();
      tls.onRenewal(renew);
    }
    return server;
  }

  /** No new connections; idle ones are told to go, mails under way get CLOSE_TIMEOUT_MS. */
  async close(): Promise<void> {
    await Promise.all([closing(this.#plain), this.#overTls && closing(this.#overTls)]);
  }

  /** Ends what an account that was removed or has another password now was logged in with; mails under way go on. */
  endSessions(account: string): void {
    for (const server of [this.#plain, this.#overTls])
      if (server) dismiss(server, '4.7.0 Log in again', (session) => session.user === account);
  }

  async #logIn(auth: SMTPServerAuthentication, session: SMTPServerSession): Promise<string> {
    const { accounts, throttle, log } = this.#deps;
    const client = session.remoteAddress;
    const user = auth.username ?? '';
    const wait = throttle?.waitMs(client, user) ?? 0;
    if (wait > 0) throw new MailError(status.loginThrottled(Math.ceil(wait / 1000)));
    const account = accounts.find(user);
    if ((await verifyPassword(auth.password ?? '', account?.passwordHash)) && account) {
      throttle?.succeeded(client, user);
      return account.name;
    }
    throttle?.failed(client, user);
    const failures = (this.#failures.get(session) ?? 0) + 1;
    this.#failures.set(session, failures);
    log.warn('smtp.bad-login', { client });
    throw new MailError(failures >= LOGIN_FAILURES_MAX ? status.tooManyLogins() : status.badLogin());
  }

  /** Throws MailError. */
  #sendersOf(session: SMTPServerSession, envelopeSender: string): readonly string[] {
    const { accounts, relay } = this.#deps;
    const { user } = session;
    if (!user && !relay?.allows(session.remoteAddress)) throw new MailError(status.loginFirst());
    const senders = user ? [String(user)] : relay!.candidates(envelopeSender);
    const ready = senders.filter((account) => this.#ownAddress(account) !== undefined);
    if (ready.length > 0) return ready;
    const removed = user && !accounts.get(String(user)); // since the log-in
    throw new MailError(removed ? status.noSuchAccount() : status.notReady());
  }

  /** Throws MailError if none of the possible senders reaches that address. */
  #resolve(address: SMTPServerAddress, session: SMTPServerSession): void {
    const routes = new Map<string, Route>();
    let refused = status.noSuchAccount();
    for (const account of this.#senders.get(session) ?? []) {
      const found = this.#deps.contacts.resolve(account, address.address);
      if (found.ok) routes.set(account, found.route);
      else refused = found.status;
    }
    if (routes.size === 0) throw new MailError(refused);
    this.#routes.set(address, routes);
    this.#senders.set(session, [...routes.keys()]);
  }

  #submission(session: SMTPServerSession, header: readonly HeaderField[]): Submission {
    const { mailFrom } = session.envelope;
    const sender = mailFrom ? mailFrom.address : '';
    const senders = this.#senders.get(session) ?? [];
    const account = session.user ? String(session.user) : this.#deps.relay!.choose(sender, senders, header);
    const recipients = new Map<string, Submission['recipients'][number]>();
    for (const rcpt of session.envelope.rcptTo) {
      const route = this.#routes.get(rcpt)!.get(account)!;
      const lane = route.kind === 'tox' ? toxLane(route.publicKey) : localLane(route.account);
      // Two forms of one address are one recipient, who gets the mail once.
      const key = JSON.stringify([lane, route.tag]);
      if (recipients.has(key)) continue;
      const { notify, orcpt: originalRecipient } = rcpt.dsn ?? {};
      recipients.set(key, {
        ...{ address: rcpt.address, lane, tag: route.tag, originalRecipient },
        notify: notify as Notify[] | undefined, // smtp-server has checked it
      });
    }
    if (session.user) this.#deps.accounts.noteAddress(account, sender);
    const { ret, envid } = session.envelope.dsn ?? {};
    return {
      ...{ account, sender, recipients: [...recipients.values()], relayed: !session.user },
      ret: (ret ?? undefined) as NewMail['ret'], // checked as well
      envelopeId: envid ?? undefined,
    };
  }

  #ownAddress(account: string): string | undefined {
    const toxId = this.#deps.accounts.get(account)?.toxId;
    return toxId === undefined ? undefined : canonicalAddress(toxId);
  }

  /** Refusals are ordinary; failures of ours carry their cause. */
  #failed(id: string, error: unknown): void {
    const cause = error instanceof MailError ? error.cause : error;
    if (cause === undefined)
      this.#deps.log.info(id, { reason: error instanceof MailError ? error.status.enhanced : '' });
    else this.#deps.log.error(id, { error: errorField(cause) });
  }
}

async function listening(
  smtp: SMTPServer,
  at: { host: string; port: number },
): Promise<{ host: string; port: number }> {
  const { server } = smtp;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    smtp.listen(at.port, at.host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  const { address, port } = server.address() as AddressInfo;
  return { host: address, port };
}

async function closing(server: SMTPServer): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  dismiss(server, '4.3.2 Toxmail is being stopped', () => true);
  await closed;
}

/** Ends connections that have no mail under way. */
function dismiss(server: SMTPServer, why: string, which: (session: SMTPServerSession) => boolean): void {
  for (const connection of server.connections) {
    if (connection.session.envelope?.mailFrom || !which(connection.session)) continue;
    connection.send(421, why);
    connection._socket.destroySoon(); // when that is sent, whether the client hangs up or not
  }
}
