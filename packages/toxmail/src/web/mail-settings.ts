import { isIP } from 'node:net';

/** What a mail program has to be told, in one form for all the ways to tell it. */
export interface MailSettings {
  /** The address to type. Programs refuse domains without a dot, hence `tox.alt`. */
  readonly address: string;
  /** The name to log in with. */
  readonly user: string;
  /** To read mail: best first. */
  readonly incoming: readonly ServerSettings[];
  /** To send mail. */
  readonly outgoing: ServerSettings;
}

export interface ServerSettings {
  readonly protocol: 'imap' | 'pop3' | 'smtp';
  readonly host: string;
  readonly port: number;
  /** `none` is offered on this machine only, where nothing can listen in between. */
  readonly security: 'none' | 'tls';
}

/** Ports by name, as far as they are open: `imap`, `imaps`, `pop3`, `pop3s`, `smtp`, `smtps`. */
export type Listeners = Readonly<Record<string, { readonly port: number } | undefined>>;

export const MAIL_DOMAINS = ['tox.alt', 'tox'] as const;

/**
 * `host`: the name or address under which the program reaches this machine. `local`: it runs on this machine itself;
 * then without TLS, so that nobody is asked to trust a certificate.
 */
export function mailSettings(account: string, listeners: Listeners, host: string, local: boolean): MailSettings {
  const server = (protocol: ServerSettings['protocol']): ServerSettings[] => {
    const port = listeners[local ? protocol : `${protocol}s`]?.port;
    return port === undefined ? [] : [{ protocol, host, port, security: local ? 'none' : 'tls' }];
  };
  return {
    address: `${account}@${MAIL_DOMAINS[0]}`,
    user: account,
    incoming: [...server('imap'), ...server('pop3')],
    outgoing: server('smtp')[0]!,
  };
}

/** RFC 6186 and RFC 8314 §5.1: lines for the DNS zone of a domain whose mail programs should find this machine. */
export function dnsRecords(listeners: Listeners, host: string): string[] {
  const names = [
    ['_submissions', 'smtps'],
    ['_imaps', 'imaps'],
    ['_pop3s', 'pop3s'],
  ] as const;
  return names.flatMap(([service, name], index) => {
    const port = listeners[name]?.port;
    return port === undefined ? [] : [`${service}._tcp  SRV  ${index * 10} 1 ${port} ${host}.`];
  });
}

/** Of the web server's first page. `trusted`: programs accept its certificate without having been told to. */
export function pageAddress(host: string, port: number, trusted: boolean): string {
  return `${trusted ? 'https' : 'http'}://${isIP(host) === 6 ? `[${host}]` : host}:${port}/`;
}
