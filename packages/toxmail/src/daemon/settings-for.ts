import { isIP } from 'node:net';
import { isLoopback } from '../base/addresses.ts';
import { UserError } from '../base/user-error.ts';
import type { AuthorityFacts } from '../tls/authority.ts';
import { autoconfig, TYPED_ADDRESS } from '../web/autoconfig.ts';
import {
  dnsRecords,
  type Listeners,
  MAIL_DOMAINS,
  type MailSettings,
  mailSettings,
  pageAddress,
} from '../web/mail-settings.ts';

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

interface Place {
  readonly settings: MailSettings;
  /** The page of the web server; undefined for other machines, as it is opened there under the same host. */
  readonly web: string;
  readonly local: boolean;
  readonly authority: AuthorityFacts | undefined;
}

const PROGRAMS: Readonly<Record<string, (place: Place) => string[]>> = {
  thunderbird: ({ settings, local, authority }) => [
    `Once, on the computer with Thunderbird: toxmail mail-settings --for thunderbird --install${local ? '' : ' (or copy its file there)'}. Then Thunderbird finds all settings by itself. Not with Thunderbird from snap or flatpak, whose folder cannot be written.`,
    `In Thunderbird, when it starts for the first time, or by its menu, New Account, Email: your name and the address ${settings.address}, Continue, Continue, the password.`,
    'Without that file: "Manual configuration" ("Configure manually" in older versions), with the values above and "Normal password" as authentication.',
    ...(local
      ? ['If Thunderbird warns of a server without encryption, go on: the connection does not leave this computer.']
      : trust(authority, 'Settings, Privacy & Security, Certificates, Manage Certificates, Authorities, Import')),
  ],
  apple: ({ settings, web, local, authority }) => [
    ...(local ? ['An iPhone or iPad is another machine: start Toxmail with --listen 0.0.0.0 (or ::) first.'] : []),
    `Open ${web} in Safari on the device, type the account ${settings.user} and get the profile. Compare the fingerprint on that page with the one of: toxmail tls ca`,
    'On an iPhone or iPad: Settings, Profile Downloaded, Install, and type the password when asked. On a Mac: System Settings, General, Device Management, open it twice.',
    ...(local || !authority
      ? []
      : ['On an iPhone or iPad then: Settings, General, About, Certificate Trust Settings: switch Toxmail on.']),
  ],
  k9: ({ settings, local, authority }) => [
    ...(local ? ['K-9 Mail runs on another machine: start Toxmail with --listen 0.0.0.0 (or ::) first.'] : []),
    `In K-9 Mail or Thunderbird for Android: Add account, the address ${settings.address}, "Manual setup", and the values above; authentication "Normal password".`,
    ...trust(authority, 'Android: Settings, Security, Encryption & credentials, Install a certificate, CA certificate'),
  ],
  outlook: ({ settings, local, authority }) => [
    `In Outlook for Windows (classic): File, Add Account, the address ${settings.address}, Advanced options, "Let me set up my account manually", ${settings.incoming[0]?.protocol.toUpperCase() ?? 'POP3'}, and the values above. The new Outlook sends your mail's password to its maker and cannot reach this machine.`,
    ...(local ? [] : trust(authority, 'open the file, Install Certificate, "Trusted Root Certification Authorities"')),
  ],
};

/** `program`: one of PROGRAMS, or undefined for all that is common. Throws UserError for another one. */
export function settingsFor(
  account: string,
  program: string | undefined,
  listeners: Listeners,
  host: string,
  authority: AuthorityFacts | undefined,
): SettingsResult {
  const local = isLoopback(host);
  const settings = mailSettings(account, listeners, host, local);
  const web = pageAddress(host, listeners.web?.port ?? 0);
  const describe = program === undefined ? undefined : PROGRAMS[program];
  if (program !== undefined && !(describe && Object.hasOwn(PROGRAMS, program)))
    throw new UserError(`for: there are steps for ${Object.keys(PROGRAMS).join(', ')}.`);
  const steps = describe
    ? describe({ settings, web, local, authority })
    : [
        `Steps for one program: toxmail mail-settings --for ${Object.keys(PROGRAMS).join('|')}`,
        `The same as a page, for programs and people: ${web}`,
      ];
  const isp = autoconfig(mailSettings(TYPED_ADDRESS, listeners, host, local));
  return {
    account,
    ...settings,
    steps,
    isp: Object.fromEntries(MAIL_DOMAINS.map((domain) => [`${domain}.xml`, isp])),
    dns: isIP(host) || !host.includes('.') ? [] : dnsRecords(listeners, host),
  };
}

function trust(authority: AuthorityFacts | undefined, where: string): string[] {
  if (!authority) return [];
  return [
    `So that no certificate is asked about, install ${authority.path} there (${where}). SHA-256 ${authority.fingerprint}`,
  ];
}
