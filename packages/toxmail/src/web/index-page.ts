import { createHash } from 'node:crypto';
import type { MailSettings, ServerSettings } from './mail-settings.ts';
import { escaped } from './xml.ts';

const STYLE = `
:root { color-scheme: light dark; }
body { font: 1.05rem/1.5 system-ui, sans-serif; max-width: 42rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid #8884; }
dt { font-weight: 600; margin-top: .8rem; } dd { margin: 0; }
code { font-size: .95em; overflow-wrap: anywhere; }
.digits { overflow-wrap: normal; }
form { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; margin: .3rem 0; }
input, button { font: inherit; padding: .4rem .7rem; }
`;

/** Nothing but this page's own style; forms lead to this server only; no other page may show this one inside. */
export const PAGE_POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  "form-action 'self'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
].join('; ');

const PROTOCOL = { imap: 'Reading (IMAP)', pop3: 'Reading (POP3)', smtp: 'Sending (SMTP)' } as const;
const SECURITY = { none: 'none (this machine only)', tls: 'SSL/TLS' } as const;

/** What programs on other machines need to know of our certificate. */
export interface CertificateFacts {
  /** Of the authority that they must trust; undefined if it is somebody's whom they know. */
  readonly fingerprint: string | undefined;
  /** It is for the name or address by which they call us. */
  readonly certified: boolean;
}

/** What this is, and how to set up a mail program. `certificate`: undefined on this machine itself. */
export function indexPage({ incoming, outgoing }: MailSettings, certificate?: CertificateFacts): string {
  return `<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Toxmail</title>
<style>${STYLE}</style>
<h1>Toxmail runs on this machine</h1>
<p>It carries mail between people directly and encrypted, without a mail provider. You read and write with your usual
mail program, for example Thunderbird, K-9 Mail, Apple Mail or Outlook.</p>
<h2>Set up your mail program</h2>
<p>Your address is <code>NAME@tox.alt</code> and your user name is <code>NAME</code>, where NAME is your account here.
The password was shown when the account was made; <code>toxmail account password NAME</code> makes a new one.</p>
<p>Server: <code>${escaped(outgoing.host)}</code>, for all of these:</p>
<table>
<tr><th>For</th><th>Port</th><th>Security</th></tr>
${[...incoming, outgoing].map(row).join('\n')}
</table>
<h2>Or let it be set up</h2>
<dl>
<dt>iPhone, iPad, Mac</dt>
<dd><form action="/apple.mobileconfig"><label>Account <input name="account" required pattern="[A-Za-z0-9._\\-]{1,64}" size="12"
autocapitalize="none" autocomplete="username"></label> <button>Get the profile</button></form></dd>
<dt>Thunderbird</dt>
<dd>Who runs Toxmail can type <code>toxmail mail-settings --for thunderbird --install</code> once; then address and
password are enough.</dd>
</dl>
${certificate ? trust(certificate, outgoing.host) : ''}</html>
`;
}

function row({ protocol, port, security }: ServerSettings): string {
  return `<tr><td>${PROTOCOL[protocol]}</td><td>${port}</td><td>${SECURITY[security]}</td></tr>`;
}

function trust({ fingerprint, certified }: CertificateFacts, host: string): string {
  const name = escaped(host);
  const foreign = `<p>The certificate is not for <code>${name}</code>: programs will complain of that in any case. Who runs Toxmail
can start it with <code>--tls-name ${name}</code>, or you open this page under another name of the machine.</p>
`;
  const install = `<p>Programs on other machines ask whether to trust this one. Either confirm their question once, or install
<a href="/ca.crt">the certificate authority of this machine</a>. Its fingerprint (SHA-256) must be the one that
<code>toxmail tls ca</code> shows on the machine itself:</p>
<p><code class="digits">${escaped(fingerprint ?? '').replaceAll(':', ':<wbr>')}</code></p>
`;
  if (certified && fingerprint === undefined) return '';
  return `<h2>Trust its certificate</h2>\n${certified ? '' : foreign}${fingerprint === undefined ? '' : install}`;
}
