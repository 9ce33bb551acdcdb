import { isLoopback } from '../base/addresses.ts';
import { addressForms } from '../contacts/address.ts';
import type { Account } from '../store/accounts.ts';
import { mailSettings } from '../web/mail-settings.ts';
import { type Config, dataFolder } from './config.ts';

export interface ScreenFacts {
  readonly dataDir: string;
  readonly listeners: Readonly<Record<string, { host: string; port: number }>>;
  /** Where mail programs find this machine. */
  readonly mailHost: string;
  /** Address of the web server's first page. */
  readonly page: string;
  readonly accounts: readonly Account[];
  readonly config: Config;
}

/** Printed once, when the data folder was made: all that one needs to set up a mail program. */
export function firstScreen(facts: ScreenFacts, first: { name: string; password: string }): string {
  const account = facts.accounts.find((each) => each.name === first.name);
  const address = account?.toxId ? addressForms(account.toxId)[0] : '';
  return lines(
    'Toxmail is running. This is your new address; give it to people who want to write to you:',
    '',
    `    ${address}`,
    `    Tox ID  ${account?.toxId ?? ''}`,
    '',
    'Set up your mail program (Thunderbird: "Manual configuration", normal password):',
    '',
    `    address   ${first.name}@tox.alt      (the one to type there)`,
    ...serverLines(facts, first.name),
    `    user      ${first.name}`,
    `    password  ${first.password}      (shown only this once)`,
    '',
    '    Step by step, also for apple, k9, outlook:',
    `    npx toxmail mail-settings --for thunderbird${dataOption(facts)}`,
    `    The same as a page: ${facts.page}`,
    '',
    'Add a friend, who must add you as well:',
    '',
    `    npx toxmail contact add NAME ADDRESS${dataOption(facts)}`,
    '',
    ...common(facts),
  );
}

/** Printed at each later start. */
export function laterScreen(facts: ScreenFacts): string {
  return lines(
    'Toxmail is running.',
    '',
    ...facts.accounts.map(({ name, toxId }) => `    ${name}  ${toxId ? addressForms(toxId)[0] : ''}`),
    '',
    ...serverLines(facts, 'NAME'),
    `    The same as a page: ${facts.page}`,
    '',
    `Forgot a password? npx toxmail account password NAME${dataOption(facts)}`,
    ...common(facts),
  );
}

function serverLines({ listeners, mailHost }: ScreenFacts, user: string): string[] {
  const { incoming, outgoing } = mailSettings(user, listeners, mailHost, isLoopback(mailHost));
  return [...incoming, outgoing].map(
    ({ protocol, host, port, security }) =>
      `    ${protocol.toUpperCase().padEnd(8)}  server ${host}, port ${port}, ${security === 'tls' ? 'SSL/TLS' : 'no encryption'}`,
  );
}

/** What a command needs to find this folder; a path with blanks is one word to any shell. */
function dataOption({ dataDir }: ScreenFacts): string {
  if (dataDir === dataFolder(undefined)) return '';
  return ` --data ${/[^\w./\\:-]/.test(dataDir) ? `"${dataDir}"` : dataDir}`;
}

function common({ dataDir, config }: ScreenFacts): string[] {
  const lonely = config.bootstrap.length === 0;
  return [
    ...(lonely
      ? ['No node to start from is set, so only people who start from this node can be reached (--bootstrap).']
      : []),
    `Everything is kept in ${dataDir}. Ctrl-C stops Toxmail.`,
  ];
}

function lines(...all: string[]): string {
  return `${all.join('\n')}\n`;
}
