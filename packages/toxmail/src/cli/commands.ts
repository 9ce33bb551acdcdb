import { RUN_OPTIONS } from '../daemon/options.ts';

export interface OptionHelp {
  readonly name: string;
  /** Absent for a switch. */
  readonly value?: string;
  readonly help: string;
  readonly multiple?: boolean;
}

export interface CommandSpec {
  /** The words that name it, as typed; the daemon knows it by the same. */
  readonly name: string;
  /** Words after the name; those ending in `?` may be left out. */
  readonly positionals: readonly string[];
  readonly options: readonly string[];
  readonly help: string;
  /** `process`: becomes a daemon itself. `control`: asks one, or opens the data folder if none runs. */
  readonly kind: 'process' | 'control';
}

/** The one table of commands: parsing and help both come from it. */
export const COMMANDS: readonly CommandSpec[] = [
  {
    name: 'run',
    positionals: [],
    options: RUN_OPTIONS.filter((option) => !('only' in option)).map((option) => option.name),
    kind: 'process',
    help: 'run the daemon in the foreground (also without "run")',
  },
  { name: 'status', positionals: [], options: ['wait'], kind: 'control', help: 'what runs where' },
  {
    name: 'account add',
    positionals: ['name'],
    options: ['password', 'no-welcome'],
    kind: 'control',
    help: 'make an account',
  },
  { name: 'account list', positionals: [], options: [], kind: 'control', help: 'list accounts' },
  {
    name: 'account password',
    positionals: ['name'],
    options: ['password'],
    kind: 'control',
    help: 'set or generate a password',
  },
  {
    name: 'account save-sent',
    positionals: ['name', 'on|off'],
    options: [],
    kind: 'control',
    help: 'store a copy of what the account sends in its Sent folder, for programs that do not',
  },
  {
    name: 'account quota',
    positionals: ['name', 'size'],
    options: [],
    kind: 'control',
    help: 'how much mail the account may have: 500M, 20G, or none for no limit',
  },
  {
    name: 'account rename',
    positionals: ['name', 'new'],
    options: [],
    kind: 'control',
    help: 'give an account another name; mail programs must log in with the new one',
  },
  {
    name: 'account remove',
    positionals: ['name'],
    options: [],
    kind: 'control',
    help: 'remove an account; its mail is set aside',
  },
  {
    name: 'address',
    positionals: [],
    options: ['account'],
    kind: 'control',
    help: "an account's Tox ID and address forms",
  },
  {
    name: 'contact add',
    positionals: ['name', 'address'],
    options: ['email', 'account'],
    kind: 'control',
    help: 'add somebody by Tox ID or address; sends the friend request',
  },
  { name: 'contact list', positionals: [], options: ['account'], kind: 'control', help: 'the contact book' },
  { name: 'contact show', positionals: ['name'], options: ['account'], kind: 'control', help: 'one contact' },
  { name: 'contact remove', positionals: ['name'], options: ['account'], kind: 'control', help: 'forget a contact' },
  {
    name: 'request list',
    positionals: [],
    options: ['account'],
    kind: 'control',
    help: 'friend requests of strangers',
  },
  {
    name: 'request accept',
    positionals: ['key', 'name?'],
    options: ['account'],
    kind: 'control',
    help: 'accept one; KEY may be its first digits',
  },
  { name: 'request reject', positionals: ['key'], options: ['account'], kind: 'control', help: 'forget one' },
  { name: 'queue list', positionals: [], options: ['account'], kind: 'control', help: 'outgoing mail (also "queue")' },
  { name: 'queue retry', positionals: ['id'], options: [], kind: 'control', help: 'try one now' },
  { name: 'queue cancel', positionals: ['id'], options: [], kind: 'control', help: 'give one up' },
  {
    name: 'mail-settings',
    positionals: [],
    options: ['account', 'for', 'install'],
    kind: 'control',
    help: 'how to set up a mail program',
  },
  {
    name: 'tls ca',
    positionals: [],
    options: [],
    kind: 'control',
    help: 'the certificate authority that mail programs on other machines should trust',
  },
  { name: 'node', positionals: [], options: [], kind: 'control', help: 'lines for --bootstrap of another node' },
  {
    name: 'bootstrap',
    positionals: [],
    options: [
      'udp-port',
      'tcp-relay-port',
      'bootstrap',
      'no-lan',
      'motd',
      'relay-clients',
      'relay-rate',
      'metrics-port',
      'log-level',
      'log-json',
    ],
    kind: 'process',
    help: 'run a bootstrap node and TCP relay only (no mail)',
  },
];

/** What a command may be shortened to. */
export const ALIASES: ReadonlyMap<string, string> = new Map([
  ['', 'run'],
  ['queue', 'queue list'],
]);

export const GLOBAL_OPTIONS: readonly OptionHelp[] = [
  { name: 'data', value: 'DIR', help: "the data folder (TOXMAIL_DATA, else the platform's)" },
  { name: 'json', help: 'print one JSON document' },
  { name: 'help', help: 'this text' },
  { name: 'version', help: 'the version' },
];

export const OPTIONS: readonly OptionHelp[] = [
  ...GLOBAL_OPTIONS,
  { name: 'account', value: 'NAME', help: 'which account, if there are several' },
  { name: 'password', value: 'P', help: 'instead of a generated one' },
  { name: 'email', value: 'E', help: 'an e-mail address of the contact (repeatable)', multiple: true },
  { name: 'no-welcome', help: 'no welcome mail in the new inbox' },
  { name: 'for', value: 'PROGRAM', help: 'thunderbird, apple, k9 or outlook' },
  { name: 'install', help: "write Thunderbird's file with the settings beside the program" },
  { name: 'wait', value: 'S', help: 'wait up to S seconds for the daemon and its connection to Tox' },
  ...RUN_OPTIONS.map((option) => ({
    name: option.name,
    ...('value' in option ? { value: option.value } : {}),
    help: option.help,
    multiple: option.kind === 'nodes' || option.kind === 'list' || option.kind === 'ports',
  })),
];

export function usageOf(command: CommandSpec): string {
  const words = command.positionals.map((word) =>
    word.endsWith('?') ? `[${word.slice(0, -1).toUpperCase()}]` : word.toUpperCase(),
  );
  return [command.name, ...words].join(' ');
}

/** The whole help text, or that of one command. */
export function helpText(command?: CommandSpec): string {
  if (command) {
    const options = OPTIONS.filter((o) => command.options.includes(o.name) || GLOBAL_OPTIONS.includes(o));
    return [`toxmail ${usageOf(command)}: ${command.help}`, '', ...columns(options.map(optionRow)), ''].join('\n');
  }
  return [
    'Toxmail: e-mail without a provider. Mail programs talk to it by SMTP, IMAP and POP3, people reach each other over Tox.',
    '',
    'usage: toxmail [COMMAND] [OPTIONS]',
    '',
    ...columns(COMMANDS.map((each) => [usageOf(each), each.help])),
    '',
    'options of every command:',
    ...columns(GLOBAL_OPTIONS.map(optionRow)),
    '',
    'options of run (also in config.toml of the data folder, where --smtp-port 2525 reads smtp-port = 2525):',
    ...columns(OPTIONS.filter(({ name }) => COMMANDS[0]!.options.includes(name)).map(optionRow)),
    '',
    '"toxmail COMMAND --help" tells more about one.',
    '',
  ].join('\n');
}

function optionRow(option: OptionHelp): [string, string] {
  return [`--${option.name}${option.value ? ` ${option.value}` : ''}`, option.help];
}

function columns(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
}
