import { BlockList, isIP } from 'node:net';
import { UserError } from '../base/user-error.ts';
import { type MailServerAddress, parseMailServer } from '../delivery/mail-server.ts';
import type { RunOptionValues } from './options.ts';

/** How the daemon works together with a mail server (docs/mail-server.md). */
export interface MailServerSettings {
  /** Clients at these addresses hand in mail without log-in; undefined: nobody. */
  readonly relayFrom: BlockList | undefined;
  /** Accounts by what they send as: a lower-case address, or `@domain`. */
  readonly senders: ReadonlyMap<string, string>;
  /** All accounts that the settings name; whether they exist is to be seen. */
  readonly named: ReadonlySet<string>;
  /** Where an account's mail goes, and its address there; undefined: into its Maildir. */
  deliver(account: string): Destination | undefined;
}

export interface Destination {
  readonly server: MailServerAddress;
  readonly recipient: string;
}

/** Of one account; `maildir` where others have a mail server. */
interface AccountSettings {
  readonly deliver: MailServerAddress | 'maildir' | undefined;
  readonly recipient: string | undefined;
}

const MAILDIR = 'maildir';

/** Throws UserError that names the setting and says what it may be. */
export function mailServerSettings(given: RunOptionValues): MailServerSettings {
  const everyone = destination(given.deliver, 'deliver');
  const domain = domainPart(given['deliver-to'], 'deliver-to');
  const own = new Map(
    table(given.accounts, 'accounts').map(([name, value]) => [name.toLowerCase(), accountSettings(name, value)]),
  );
  const deliver = (account: string): Destination | undefined => {
    const settings = own.get(account);
    const server = settings?.deliver ?? everyone;
    const recipient = settings?.recipient ?? (domain && account + domain);
    return server && server !== MAILDIR && recipient !== undefined ? { server, recipient } : undefined;
  };
  if (everyone && everyone !== MAILDIR && domain === undefined)
    throw new UserError('deliver needs to know the addresses at that server: set deliver-to = "@your.domain"');
  for (const [name, settings] of own)
    if (settings.deliver && settings.deliver !== MAILDIR && !deliver(name))
      throw new UserError(
        `accounts.${name}.deliver needs the address at that server: set deliver-to = "${name}@your.domain"`,
      );
  const senders = new Map<string, string>();
  for (const [name, { recipient }] of own) if (recipient) senders.set(recipient.toLowerCase(), name);
  for (const [sender, account] of table(given.senders, 'senders')) {
    if (typeof account !== 'string' || !/^[^\s@]*@[^\s@]+$/.test(sender))
      throw new UserError(
        `senders must be lines like "anna@your.domain" = "anna" or "@your.domain" = "anna", not ${shown(sender)}`,
      );
    senders.set(sender.toLowerCase(), account.toLowerCase());
  }
  const named = new Set([...own.keys(), ...senders.values()]);
  return { relayFrom: networks(given['relay-from']), senders, named, deliver };
}

function accountSettings(name: string, value: unknown): AccountSettings {
  const known = Object.fromEntries(table(value, `accounts.${name}`));
  for (const key of Object.keys(known))
    if (key !== 'deliver' && key !== 'deliver-to')
      throw new UserError(`accounts.${name}: unknown setting "${key}". Known are: deliver, deliver-to`);
  const recipient = known['deliver-to'];
  if (recipient !== undefined && (typeof recipient !== 'string' || !/^[^\s@<>]+@[^\s@<>]+$/.test(recipient)))
    throw new UserError(
      `accounts.${name}.deliver-to must be an address like ${name}@your.domain, not ${shown(recipient)}`,
    );
  return { deliver: destination(known.deliver, `accounts.${name}.deliver`), recipient };
}

function destination(value: unknown, name: string): MailServerAddress | 'maildir' | undefined {
  if (value === undefined || value === MAILDIR) return value;
  const server = typeof value === 'string' ? parseMailServer(value) : undefined;
  if (server) return server;
  throw new UserError(
    `${name} must be lmtp://HOST:PORT, lmtp+unix:/PATH, smtp://HOST:PORT or maildir, not ${shown(value)}`,
  );
}

function domainPart(value: unknown, name: string): string | undefined {
  if (value === undefined || (typeof value === 'string' && /^@[^\s@<>]+$/.test(value))) return value;
  throw new UserError(`${name} must be a domain with its @, like @your.domain, not ${shown(value)}`);
}

/** `ADDR` or `ADDR/BITS`, one or a list. */
function networks(value: unknown): BlockList | undefined {
  if (value === undefined) return undefined;
  const list = new BlockList();
  for (const each of Array.isArray(value) ? value : [value]) {
    const [, address = '', bits] = (typeof each === 'string' && /^([0-9a-fA-F:.]+)(?:\/(\d{1,3}))?$/.exec(each)) || [];
    const version = isIP(address);
    const all = version === 4 ? 32 : 128;
    const prefix = bits === undefined ? all : Number(bits);
    if (version === 0 || prefix > all)
      throw new UserError(`relay-from must be an IP address or a network like 10.0.0.0/8, not ${shown(each)}`);
    list.addSubnet(address, prefix, version === 4 ? 'ipv4' : 'ipv6');
  }
  return list;
}

function table(value: unknown, name: string): [string, unknown][] {
  if (value === undefined) return [];
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return Object.entries(value);
  throw new UserError(`${name} must be a table: [${name}], then lines below it`);
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? String(value)).slice(0, 80);
}
