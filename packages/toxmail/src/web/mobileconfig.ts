import { createHash } from 'node:crypto';
import type { MailSettings } from './mail-settings.ts';
import { escaped } from './xml.ts';

type Value = string | number | boolean | Base64 | readonly Value[] | { readonly [key: string]: Value };
class Base64 {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/**
 * Apple's configuration profile (`.mobileconfig`): the mail account, without its password, and the certificate authority
 * (PEM) that it trusts. Not signed, which the device says. Installing a new one replaces the old one.
 */
export function mobileconfig({ address, user, incoming, outgoing }: MailSettings, authority?: string): string {
  const [server] = incoming;
  const identity = (what: string): Value => ({
    PayloadIdentifier: `org.toxmail.${what}.${user}`,
    PayloadUUID: uuid(`${what} ${address} ${authority ?? ''}`),
    PayloadVersion: 1,
  });
  const mail: Value = {
    ...(identity('account') as object),
    PayloadType: 'com.apple.mail.managed',
    PayloadDisplayName: `Toxmail (${user})`,
    EmailAccountDescription: 'Toxmail',
    EmailAccountType: server?.protocol === 'pop3' ? 'EmailTypePOP' : 'EmailTypeIMAP',
    EmailAddress: address,
    IncomingMailServerAuthentication: 'EmailAuthPassword',
    IncomingMailServerHostName: server?.host ?? outgoing.host,
    IncomingMailServerPortNumber: server?.port ?? 0,
    IncomingMailServerUseSSL: server?.security === 'tls',
    IncomingMailServerUsername: user,
    OutgoingMailServerAuthentication: 'EmailAuthPassword',
    OutgoingMailServerHostName: outgoing.host,
    OutgoingMailServerPortNumber: outgoing.port,
    OutgoingMailServerUseSSL: outgoing.security === 'tls',
    OutgoingMailServerUsername: user,
    OutgoingPasswordSameAsIncomingPassword: true,
  };
  const root: Value[] =
    authority === undefined
      ? []
      : [
          {
            ...(identity('authority') as object),
            PayloadType: 'com.apple.security.root',
            PayloadDisplayName: 'Toxmail certificate authority',
            PayloadCertificateFileName: 'toxmail.cer',
            PayloadContent: new Base64(authority.replace(/-----[^-]+-----|\s/g, '')),
          },
        ];
  const profile: Value = {
    ...(identity('profile') as object),
    PayloadType: 'Configuration',
    PayloadDisplayName: `Toxmail (${user})`,
    PayloadDescription: `Mail of ${address}, and trust in the certificate of the machine that keeps it`,
    PayloadContent: [...root, mail],
  };
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">',
    `<plist version="1.0">${plist(profile)}</plist>`,
    '',
  ].join('\n');
}

function plist(value: Value): string {
  if (typeof value === 'string') return `<string>${escaped(value)}</string>`;
  if (typeof value === 'number') return `<integer>${value}</integer>`;
  if (typeof value === 'boolean') return value ? '<true/>' : '<false/>';
  if (value instanceof Base64) return `<data>${value.text}</data>`;
  if (Array.isArray(value)) return `<array>${value.map(plist).join('')}</array>`;
  const entries = Object.entries(value as { readonly [key: string]: Value });
  return `<dict>\n${entries.map(([key, each]) => `<key>${key}</key>${plist(each)}\n`).join('')}</dict>`;
}

/** The same for the same thing, as the device knows it by. */
function uuid(seed: string): string {
  const hex = createHash('sha256').update(`toxmail ${seed}`).digest('hex');
  const variant = ((Number.parseInt(hex[16]!, 16) & 3) | 8).toString(16);
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    variant + hex.slice(17, 20),
    hex.slice(20, 32),
  ].join('-');
}
