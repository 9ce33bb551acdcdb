import type { MailSettings, ServerSettings } from './mail-settings.ts';
import { escaped } from './xml.ts';

const RESPONSE = 'http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006';
const OUTLOOK = 'http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a';
/** RFC 5321 §4.5.3.1.3. */
const ADDRESS = /<EMailAddress>\s*([^<>\s]{1,254})\s*<\/EMailAddress>/i;

/** The address that an Autodiscover request ([MS-OXDSCLI], POX) asks for; undefined if it is none. */
export function requestedAddress(body: string): string | undefined {
  return ADDRESS.exec(body)?.[1];
}

/** What Outlook and others make an account of. */
export function autodiscover({ user, incoming, outgoing }: MailSettings): string {
  return [
    '<?xml version="1.0" encoding="utf-8"?>',
    `<Autodiscover xmlns="${RESPONSE}">`,
    `  <Response xmlns="${OUTLOOK}">`,
    '    <Account>',
    '      <AccountType>email</AccountType>',
    '      <Action>settings</Action>',
    ...[...incoming, outgoing].flatMap((server) => protocolElement(server, user)),
    '    </Account>',
    '  </Response>',
    '</Autodiscover>',
    '',
  ].join('\n');
}

function protocolElement({ protocol, host, port, security }: ServerSettings, user: string): string[] {
  const onOff = (value: boolean): string => (value ? 'on' : 'off');
  return [
    '      <Protocol>',
    `        <Type>${protocol.toUpperCase()}</Type>`,
    `        <Server>${escaped(host)}</Server>`,
    `        <Port>${port}</Port>`,
    `        <LoginName>${escaped(user)}</LoginName>`,
    '        <DomainRequired>off</DomainRequired>',
    '        <SPA>off</SPA>',
    `        <SSL>${onOff(security === 'tls')}</SSL>`,
    `        <Encryption>${security === 'tls' ? 'SSL' : 'None'}</Encryption>`,
    '        <AuthRequired>on</AuthRequired>',
    ...(protocol === 'smtp' ? ['        <UsePOPAuth>on</UsePOPAuth>', '        <SMTPLast>off</SMTPLast>'] : []),
    '      </Protocol>',
  ];
}
