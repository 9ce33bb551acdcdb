import { MAIL_DOMAINS, type MailSettings, type ServerSettings } from './mail-settings.ts';
import { escaped } from './xml.ts';

/** What Thunderbird and others replace by what the person typed. */
export const TYPED_ADDRESS = '%EMAILADDRESS%';

/** Thunderbird's `clientConfig`, version 1.1: fetched from a web server, or a file `isp/tox.alt.xml` beside the program. */
export function autoconfig({ user, incoming, outgoing }: MailSettings): string {
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<clientConfig version="1.1">',
    '  <emailProvider id="tox.alt">',
    ...MAIL_DOMAINS.map((domain) => `    <domain>${domain}</domain>`),
    '    <displayName>Toxmail</displayName>',
    '    <displayShortName>Toxmail</displayShortName>',
    ...incoming.flatMap((server) => element('incomingServer', server, user)),
    ...element('outgoingServer', outgoing, user),
    '  </emailProvider>',
    '</clientConfig>',
    '',
  ].join('\n');
}

function element(name: string, { protocol, host, port, security }: ServerSettings, user: string): string[] {
  return [
    `    <${name} type="${protocol}">`,
    `      <hostname>${escaped(host)}</hostname>`,
    `      <port>${port}</port>`,
    `      <socketType>${security === 'none' ? 'plain' : 'SSL'}</socketType>`,
    `      <username>${escaped(user)}</username>`,
    '      <authentication>password-cleartext</authentication>',
    `    </${name}>`,
  ];
}
