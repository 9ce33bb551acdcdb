import { isIP } from 'node:net';
import { isLoopback } from '../base/addresses.ts';
import { UserError } from '../base/user-error.ts';
import type { AuthorityFacts } from '../tls/authority.ts';
import { autoconfig, TYPED_ADDRESS } from '../web/autoconfig.ts';
import { dnsRecords, type Listeners, MAIL_DOMAINS, type MailSettings, mailSettings } from '../web/mail-settings.ts';

/** What `toxmail mail-settings` tells; the keys are an interface. */
export interface SettingsResult extends MailSettings {
  readonly account: string;
  /** What to do, one sentence each. */
  readonly steps: readonly string[];
  /** Name and content of the files for Thunderbird's `isp` folder. */
  readonly isp: Readonly<Record<string, string>>;
  /** For those who have a domain of their own (RFC 6186); empty while the machine has no name. */
  readonly dns: readonly string[];
}

export interface Machine {
  readonly listeners: Listeners;
  /** Under which mail programs reach it. */
  readonly host: string;
  /** Address of the web server's first page. */
  readonly page: string;
  /** Undefined if the certificate is the person's own. */
  readonly authority: AuthorityFacts | undefined;
  /** The certificate is for `host`. */
  readonly certified: boolean;
}

interface Place {
  readonly settings: MailSettings;
  readonly page: string;
  readonly local: boolean;
  readonly authority: AuthorityFacts | undefined;
}

const WIDEN = 'start Toxmail with --listen 0.0.0.0 (or ::), then ask this again';

const PROGRAMS: Readonly<Record<string, (place: Place) => string[]>> = {
  thunderbird: ({ settings, local, authority }) => [
    `Once, on the computer with Thunderbird: toxmail mail-settings --for thunderbird --install${local ? '' : ' (or copy its file there)'}. Then Thunderbird finds all settings by itself. Not with Thunderbird from snap or flatpak, whose folder cannot be written.`,
    `In Thunderbird, when it starts for the first time, or by its menu, New Account, Email: your name and the address ${settings.address}, Continue, Continue, the password.`,
    'Without that file: "Manual configuration" ("Configure manually" in older versions), with the values above and "Normal password" as authentication.',
    ...(local
      ? ['If Thunderbird warns of a server without encryption, go on: the connection does not leave this computer.']
      : trust(authority, 'Settings, Privacy & Security, Certificates, Manage Certificates, Authorities, Import')),
  ],
  apple: ({ settings, page, local, authority }) => [
    ...(local ? [`An iPhone or iPad is another machine: ${WIDEN}. On a Mac that runs Toxmail itself:`] : []),
    `Open ${page} in Safari${local ? '' : ' on the device'}, type the account ${settings.user} and get the profile.${local ? '' : ' Compare the fingerprint on that page with the one of: toxmail tls ca'}`,
    `${local ? 'Then' : 'On an iPhone or iPad: Settings, Profile Downloaded, Install, and type the password when asked. On a Mac:'} System Settings, General, Device Management, open it twice.`,
    ...(local || !authority
      ? []
      : ['On an iPhone or iPad then: Settings, General, About, Certificate Trust Settings: switch Toxmail on.']),
  ],
  k9: ({ settings, local, authority }) =>
    local
      ? [`K-9 Mail runs on another machine, for which the values above are not: ${WIDEN}.`]
      : [
          `In K-9 Mail or Thunderbird for Android: Add account, the address ${settings.address}, "Manual setup", and the values above; authentication "Normal password".`,
          ...trust(
            authority,
            'Android: Settings, Security, Encryption & credentials, Install a certificate, CA certificate',
          ),
        ],
  outlook: ({ settings, local, authority }) => [
    `In Outlook for Windows (classic): File, Add Account, the address ${settings.address}, Advanced options, "Let me set up my account manually", ${settings.incoming[0]?.protocol.toUpperCase() ?? 'POP3'}, and the values above. The new Outlook sends your mail's password to its maker and cannot reach this machine.`,
    ...(local ? [] : trust(authority, 'open the file, Install Certificate, "Trusted Root Certification Authorities"')),
  ],
};

/** `program`: one of PROGRAMS, or undefined for all that is common. Throws UserError for another one. */
export function settingsFor(account: string, program: string | undefined, machine: Machine): SettingsResult {
  const { listeners, host, page, authority } = machine;
  const local = isLoopback(host);
  const settings = mailSettings(account, listeners, host, local);
  const describe = program === undefined ? undefined : PROGRAMS[program];
  const names = Object.keys(PROGRAMS);
  if (program !== undefined && !(describe && Object.hasOwn(PROGRAMS, program)))
    throw new UserError(
      `There are no steps for "${program}", but for ${names.join(', ')}. All values: toxmail mail-settings`,
    );
  const steps = describe
    ? describe({ settings, page, local, authority })
    : [
        `Steps for one program: toxmail mail-settings --for ${names.join('|')}`,
        `The same as a page, for programs and people: ${page}`,
        ...(local ? overTls(listeners, authority) : []),
      ];
  if (!local && !machine.certified) steps.unshift(notCertified(host, authority));
  const isp = autoconfig(mailSettings(TYPED_ADDRESS, listeners, host, local));
  return {
    account,
    ...settings,
    steps,
    isp: Object.fromEntries(MAIL_DOMAINS.map((domain) => [`${domain}.xml`, isp])),
    dns: isIP(host) || !host.includes('.') ? [] : dnsRecords(listeners, host),
  };
}

/** Some programs want TLS on this machine, too, and look for names in certificates only. */
function overTls(listeners: Listeners, authority: AuthorityFacts | undefined): string[] {
  const { incoming, outgoing } = mailSettings('', listeners, 'localhost', false);
  const ports = [...incoming, outgoing].map(({ protocol, port }) => `${protocol.toUpperCase()} ${port}`).join(', ');
  return [
    `A program that wants TLS on this machine as well, as fetchmail: server localhost, SSL/TLS at ${ports}${authority ? `, and the authority to trust is ${authority.path}` : ''}`,
  ];
}

function notCertified(host: string, authority: AuthorityFacts | undefined): string {
  return authority
    ? `The certificate is not for ${host}, which programs will complain of: start Toxmail with --tls-name ${host}. They must then trust a new authority (toxmail tls ca).`
    : `Your certificate is not for ${host}, which programs will complain of: say with --tls-name how it names this machine.`;
}

function trust(authority: AuthorityFacts | undefined, where: string): string[] {
  if (!authority) return [];
  return [
    `So that no certificate is asked about, install ${authority.path} there (${where}). SHA-256 ${authority.fingerprint}`,
  ];
}
