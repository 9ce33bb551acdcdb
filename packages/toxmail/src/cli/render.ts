import { type BootstrapNode, formatBootstrapNode } from '../daemon/config.ts';

/**
 * Results for people. Each function takes what `--json` would print. Texts that came from others (friend requests,
 * names, reasons) are shown without control characters: they could play tricks with the terminal.
 */
type Row = Readonly<Record<string, unknown>>;

const RENDERERS: Readonly<Record<string, (result: never) => string[]>> = {
  status: renderStatus,
  'account add': (row: Row) => [
    `Account:  ${row.name}`,
    `Password: ${row.password}   (shown only this once)`,
    `Address:  ${row.address}`,
    `Tox ID:   ${row.toxId}`,
  ],
  'account list': (rows: Row[]) =>
    table(rows, ['name', 'address'], 'No account yet. Make one: toxmail account add NAME'),
  'account password': (row: Row) => [`The password of ${row.name} is now: ${row.password}   (shown only this once)`],
  'account save-sent': (row: Row) => [
    row.saveSent ? `What ${row.name} sends is stored in Sent, too.` : `What ${row.name} sends is not stored here.`,
  ],
  'account quota': (row: Row) => [
    row.quota === null
      ? `The mailbox of ${row.name} has no limit.`
      : `The mailbox of ${row.name} takes up to ${size(row.quota)}.`,
  ],
  'account rename': (row: Row) => [
    `${row.before} is ${row.name} now. Mail programs log in as ${row.name}; contacts notice nothing.`,
    'Lines of config.toml that name the account are yours to change.',
  ],
  'account remove': (row: Row) => [`Account ${row.name} is removed. Its mail and identity are kept in ${row.keptIn}`],
  address: (row: Row) => [
    'Give one of these to people who want to write to you:',
    ...(row.addresses as string[]).map((each) => `  ${each}`),
    `  ${row.toxId}   (Tox ID, for any Tox program)`,
  ],
  'contact add': (row: Row) => [
    row.state === 'contact'
      ? `${row.name} is a contact now.`
      : `${row.name} is in the contact book. You can exchange mail as soon as they have added you, too.`,
  ],
  'contact list': (rows: Row[]) =>
    table(
      rows.map((row) => ({ ...row, seen: seen(row) })),
      ['account', 'name', 'state', 'seen', 'address'],
      'No contacts yet. Add one: toxmail contact add NAME ADDRESS',
    ),
  'contact show': (row: Row) => [
    `Name:     ${row.name}   (write to ${row.name}@tox)`,
    `Address:  ${row.address}`,
    `Key:      ${row.publicKey}`,
    `E-mail:   ${(row.emails as string[]).join(', ') || '-'}`,
    `State:    ${row.state === 'contact' ? 'contact' : 'requested; waiting until they have added you, too'}`,
    `Seen:     ${seen(row)}`,
  ],
  'contact remove': (row: Row) => [`${row.name} is no contact any more.`],
  'request list': (rows: Row[]) =>
    table(
      rows.map((row) => ({ ...row, received: time(row.receivedAt) })),
      ['account', 'publicKey', 'received', 'message'],
      'No friend requests.',
    ),
  'request accept': (row: Row) => [`${row.name} is a contact now. Write to ${row.name}@tox`],
  'request reject': () => ['The request is forgotten.'],
  'queue list': renderQueue,
  'queue retry': (row: Row) => [
    row.state === 'waiting' ? `The mail to ${row.to} still waits: ${reason(row)}` : `Trying ${row.to} again.`,
  ],
  'queue cancel': (row: Row) => [`The mail to ${row.to} is given up.`],
  'mail-settings': renderSettings,
  'tls ca': (row: Row) => [
    `Certificate authority of this machine: ${row.path}`,
    `SHA-256 ${row.fingerprint}`,
    '',
    ...String(row.certificate).trimEnd().split('\n'),
  ],
  node: (rows: BootstrapNode[]) => rows.map(formatBootstrapNode),
};

export function render(command: string, result: unknown): string {
  const lines = RENDERERS[command]?.(result as never) ?? [JSON.stringify(result, null, 2)];
  return lines.map((line) => `${printable(line)}\n`).join('');
}

/** What is still to be done, or went wrong; what arrived is only counted. */
function renderQueue(rows: Row[]): string[] {
  const open = rows.filter((row) => row.state !== 'delivered');
  const delivered = rows.length - open.length;
  return [
    ...table(
      open.map((row) => ({
        ...row,
        id: String(row.id).slice(0, 12),
        to: shortened(String(row.to)),
        progress: `${Math.floor((100 * Number(row.sent)) / Math.max(1, Number(row.size)))} % of ${size(row.size)}`,
        why: reason(row),
      })),
      ['id', 'account', 'to', 'state', 'progress', 'attempts', 'why'],
      'No mail is waiting.',
    ),
    ...(delivered > 0 ? [`Delivered in the last days: ${delivered} (all of them: --json)`] : []),
  ];
}

function renderSettings(row: Row): string[] {
  const servers = [...(row.incoming as Row[]), row.outgoing as Row];
  const [dns, installed] = [row.dns as string[], (row.installed ?? []) as string[]];
  return [
    `Address:   ${row.address}`,
    `User name: ${row.user}`,
    'Password:  shown when the account was made (a new one: toxmail account password NAME)',
    '',
    ...table(
      servers.map((server) => ({
        ...server,
        protocol: String(server.protocol).toUpperCase(),
        security: server.security === 'tls' ? 'SSL/TLS' : 'none',
      })),
      ['protocol', 'host', 'port', 'security'],
      '',
    ),
    '',
    ...(row.steps as string[]).map((step) => `- ${step}`),
    ...(dns.length > 0
      ? ['', 'If the domain of that name is yours, these DNS records let programs find it:', ...dns]
      : []),
    ...installed.map((path) => `Written: ${path}`),
  ];
}

function renderStatus(status: Row): string[] {
  if (status.pid === null) return ['Not running. Start it with: toxmail run', ...accountLines(status)];
  const listeners = Object.entries(status.listeners as Record<string, { host: string; port: number }>);
  return [
    `Toxmail ${status.version}, process ${status.pid}, data in ${status.dataDir}`,
    ...listeners.map(([name, at]) => `  ${name.toUpperCase().padEnd(6)} ${at.host} port ${at.port}`),
    ...(status.network === false ? ['  This machine has no network. Mail waits, and goes out when it is back.'] : []),
    ...(status.bootstrap ? bootstrapLines(status.bootstrap as Row) : accountLines(status)),
  ];
}

function bootstrapLines(node: Row): string[] {
  const relay = node.relay as Row | null;
  const lines = [`  bootstrap node at UDP port ${node.udpPort}, knows ${node.nodes} nodes`];
  if (!relay) lines.push('  no TCP relay: none of its ports was free');
  else {
    lines.push(
      `  TCP relay at ${(relay.ports as number[]).join(', ')}: ${relay.clients} clients, ` +
        `${size(relay.forwardedBytes)} passed on since the start`,
    );
  }
  if (node.metricsPort !== null) lines.push(`  figures at http://127.0.0.1:${node.metricsPort}/metrics`);
  return lines;
}

function accountLines(status: Row): string[] {
  const accounts = status.accounts as { name: string; address: string; tox: Row; contacts: Row }[];
  const queue = status.queue as Row;
  return [
    ...accounts.map(
      ({ name, address, tox, contacts }) =>
        `  ${name} <${address}>: ${tox.connection === 'none' ? 'not connected to Tox' : `connected over ${tox.connection}`}` +
        `, ${contacts.online} of ${contacts.total} contacts online`,
    ),
    `  queue: ${queue.waiting} waiting, ${queue.sending} being sent, ${queue.failed} failed`,
  ];
}

function table(rows: readonly Row[], names: readonly string[], empty: string): string[] {
  if (rows.length === 0) return [empty];
  const cells = [
    names.map((name) => name.toUpperCase()),
    ...rows.map((row) => names.map((name) => String(row[name] ?? '-'))),
  ];
  const widths = names.map((_, column) => Math.max(...cells.map((line) => width(line[column]!))));
  return cells.map((line) =>
    line
      .map((cell, column) => cell + ' '.repeat(widths[column]! - width(cell)))
      .join('  ')
      .trimEnd(),
  );
}

/** Columns of a terminal: two for signs of the far East and pictures, none for marks on the sign before. */
function width(text: string): number {
  let columns = 0;
  for (const sign of printable(text).normalize('NFC')) columns += MARK.test(sign) ? 0 : WIDE.test(sign) ? 2 : 1;
  return columns;
}

const MARK = /^[\p{Mn}\p{Me}\p{Cf}]$/u;
const WIDE =
  /^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}\u3000-\u303e\uff01-\uff60\uffe0-\uffe6]$/u;

/** An address whose name is a key or longer than any line bears: its beginning tells it from others. */
function shortened(address: string): string {
  const at = address.lastIndexOf('@');
  return at <= SHORT_MAX ? address : `${address.slice(0, SHORT_MAX - 5)}…${address.slice(at - 4)}`;
}

const SHORT_MAX = 32;

function seen(row: Row): string {
  if (row.online) return 'online';
  return row.lastSeen === null ? 'never' : time(row.lastSeen);
}

/** Of the clock on this machine's wall. */
function time(unixMs: unknown): string {
  const at = new Date(Number(unixMs));
  const two = (number: number): string => String(number).padStart(2, '0');
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}`;
}

/** RFC 9208's and the quota command's units: powers of 1024. */
function size(bytes: unknown): string {
  let value = Number(bytes);
  let unit = 0;
  for (; value >= 1024 && unit < UNITS.length - 1; unit++) value /= 1024;
  return unit === 0 ? `${value} bytes` : `${Number(value.toFixed(1))} ${UNITS[unit]}`;
}

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];

function reason(row: Row): string {
  const why = row.reason as { code: string; text: string } | null;
  return why ? `${why.code} ${why.text}` : '-';
}

function printable(line: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: removing them is the point
  return line.replace(/[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g, ' ');
}
