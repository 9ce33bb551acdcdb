import { connect } from 'node:net';
import { PassThrough } from 'node:stream';
import SMTPConnection from 'nodemailer/lib/smtp-connection/index.js';
import type { Scheduler } from '../base/clock.ts';
import { MailError, type MailStatus } from '../smtp/mail-error.ts';
import { status } from '../smtp/status.ts';
import type { HandOver, HandOverMail, MailWriter } from '../transfer/inbox.ts';

/** `path`: a Unix socket. */
export type MailServerAddress =
  | { readonly protocol: 'lmtp' | 'smtp'; readonly host: string; readonly port: number }
  | { readonly protocol: 'lmtp'; readonly path: string };

export interface MailServerDeps {
  readonly server: MailServerAddress;
  /** The account's address there: RCPT TO. */
  readonly recipient: string;
  /** The address of a public key (64 hex), as MAIL FROM: notices of the mail server go there. */
  senderAddress(publicKey: string): string | undefined;
  readonly scheduler: Scheduler;
}

/** Ours: a mail server is near. What it does with a mail may take longer: RFC 5321 §4.5.3.2.6 says ten minutes. */
const CONNECT_TIMEOUT_MS = 30_000;
const REPLY_TIMEOUT_MS = 600_000;
/** Ours: what is under way when we stop. Broken off after the mail and before its 250, a mail may come twice. */
const STOP_GRACE_MS = 5_000;
/** Ours: a reply is a few lines; RFC 5321 §4.5.3.1.5 has 512 bytes for each. */
const REPLY_MAX = 16 * 1024;

/** Of it, what the sender is told: about what a line of RFC 5321 holds. */
const TEXT_MAX = 400;

/** `lmtp://HOST:PORT`, `lmtp+unix:/PATH` or `smtp://HOST[:PORT]`; undefined if it is none. */
export function parseMailServer(url: string): MailServerAddress | undefined {
  const unix = /^lmtp\+unix:(?:\/\/)?(\/.+)$/.exec(url);
  if (unix) return { protocol: 'lmtp', path: unix[1]! };
  const match = /^(lmtp|smtp):\/\/(?:\[([0-9a-f:.]+)\]|([^\s:/@[\]]+))(?::(\d{1,5}))?\/?$/i.exec(url);
  if (!match) return undefined;
  const protocol = match[1]!.toLowerCase() as 'lmtp' | 'smtp';
  const port = match[4] === undefined ? DEFAULT_PORT[protocol] : Number(match[4]);
  return port !== undefined && port >= 1 && port <= 65_535
    ? { protocol, host: (match[2] ?? match[3])!, port }
    : undefined;
}

/** LMTP has none of its own, and must not be on that of SMTP (RFC 2033 §5). */
const DEFAULT_PORT = { smtp: 25, lmtp: undefined } as const;

/**
 * Hands an account's mail over to a mail server (LMTP, RFC 2033, or SMTP). A mail counts when that server has said 250; a
 * connection serves one mail, so that nothing of one can end in another.
 */
export class MailServer implements HandOver {
  readonly #deps: MailServerDeps;
  /** BOUNDED: by the mails that an inbox stores at once. */
  readonly #open = new Set<HandOverWriter>();

  constructor(deps: MailServerDeps) {
    this.#deps = deps;
  }

  /** What is under way has STOP_GRACE_MS; then it counts as not handed over. */
  stop(): void {
    const { scheduler } = this.#deps;
    scheduler.at(scheduler.mono() + STOP_GRACE_MS, () => {
      for (const writer of this.#open) writer.giveUp();
    });
  }

  create({ sender, recipient = this.#deps.recipient, size }: HandOverMail): MailWriter {
    const from = sender === undefined ? '' : (this.#deps.senderAddress(sender) ?? '');
    const envelope = { from, to: [recipient], size, use8BitMime: true };
    const writer = new HandOverWriter(this.#deps.server, envelope, () => this.#open.delete(writer));
    this.#open.add(writer);
    return writer;
  }
}

class HandOverWriter implements MailWriter {
  readonly #connection: SMTPConnection;
  readonly #content = new PassThrough();
  readonly #outcome: Promise<void>;

  constructor(server: MailServerAddress, envelope: SMTPConnection.Envelope, onSettled: () => void) {
    const unix = 'path' in server;
    this.#connection = new SMTPConnection({
      lmtp: server.protocol === 'lmtp',
      ...(unix ? { connection: connect(server.path) } : { host: server.host, port: server.port }),
      secure: false,
      // As mail servers do among themselves (RFC 7435): encrypted where offered, to a server that was named by its address.
      ...(unix ? { ignoreTLS: true } : { opportunisticTLS: true, tls: { rejectUnauthorized: false } }),
      connectionTimeout: CONNECT_TIMEOUT_MS,
      greetingTimeout: CONNECT_TIMEOUT_MS,
      socketTimeout: REPLY_TIMEOUT_MS,
      maxResponseSize: REPLY_MAX,
      allowInternalNetworkInterfaces: true,
    } as SMTPConnection.Options);
    this.#content.on('error', () => {}); // written to after a refusal, which #outcome tells
    this.#outcome = this.#send(envelope);
    this.#outcome.catch(() => this.#content.destroy()).finally(onSettled);
  }

  async append(data: Uint8Array): Promise<void> {
    // A copy: the streams hold on to it until the mail server has read it, and the caller fills its block anew.
    if (this.#content.write(Buffer.from(data))) return;
    const drained = new Promise<void>((resolve) => this.#content.once('drain', resolve));
    await Promise.race([drained, this.#outcome]);
  }

  async commit(): Promise<undefined> {
    this.#content.end();
    await this.#outcome;
    this.#connection.quit();
  }

  /** In the middle of a mail the end of the connection makes the server forget it. */
  async abort(): Promise<void> {
    this.giveUp();
  }

  giveUp(): void {
    this.#connection.close();
    this.#content.destroy();
  }

  #send(envelope: SMTPConnection.Envelope): Promise<void> {
    const connection = this.#connection;
    return new Promise((resolve, reject) => {
      const fail = (error: unknown): void => {
        reject(new MailError(statusOf(error), { cause: error }));
        connection.close(); // which comes here again, as `end`
      };
      connection.on('error', fail);
      connection.once('end', () => fail(new Error('the mail server hung up')));
      connection.connect((broken) => {
        if (broken) return fail(broken);
        connection.send(envelope, this.#content, (error, info) => {
          const refusal = error ?? (info as { rejectedErrors?: Error[] }).rejectedErrors?.[0];
          if (refusal) fail(refusal);
          else resolve();
        });
      });
    });
  }
}

/**
 * A 5xx on what the two servers owe each other, which no sender can put right: syntax and log-in (RFC 5321 §4.2.1: the
 * second digit), parameters (555), and that addresses of Tox are none (RFC 3463 §3.2: X.1.7, X.1.8).
 */
const BETWEEN_SERVERS = /^5(?:[0-4]\d|55)\b|^5\d\d[ -]5\.1\.[78]\b/;

/** What the sender hears: the server's own word on this mail, or that there was none. */
function statusOf(error: unknown): MailStatus {
  const { response, command, code } = error as { response?: unknown; command?: string; code?: string };
  const said =
    typeof response === 'string' ? /^([45]\d\d)[ -](?:([245]\.\d{1,3}\.\d{1,3}) )?(.*)/.exec(response) : null;
  const aboutTheMail = command === 'MAIL FROM' || command === 'RCPT TO' || command === 'DATA';
  if (said && aboutTheMail) {
    const [line, code = '', given, text = ''] = said;
    const [reply, kind] = BETWEEN_SERVERS.test(line) ? ['451', '4'] : [code, code[0]];
    // A class that contradicts the reply code is a mistake of the server; the reply code is what counts.
    const enhanced = given && given[0] === code[0] ? `${kind}${given.slice(1)}` : `${kind}.0.0`;
    return { reply: Number(reply), enhanced: enhanced as MailStatus['enhanced'], text: printable(text) };
  }
  if (code === 'EMESSAGE' && !said) return status.tooBigForServer();
  return status.serverUnreachable();
}

function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
  const line = text.replace(/[\u0000-\u001f\u007f]+/g, ' ').trim();
  return line === '' ? 'The mail server refused the mail' : line.slice(0, TEXT_MAX);
}
