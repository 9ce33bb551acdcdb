import assert from 'node:assert/strict';
import fc from 'fast-check';
import { createLogger } from '../../src/base/log.ts';
import { settle, until } from '../../src/testing/virtual-scheduler.ts';
import { type Client, ImapBox } from './script.ts';

const MAIL = 'Subject: x\n\nbody {3}\n';
const set = fc.constantFrom('1', '2', '1:*', '*', '2:4', '3,1', '1:2,2:3', '$', '4294967295', '0', '9:7');
const flags = fc.constantFrom('\\Seen', '(\\Deleted)', '(\\Flagged $a)', '()', '\\Recent', '(\\Foo)', 'x');
const name = fc.constantFrom(
  'INBOX',
  'inbox',
  'Sent',
  'Archive',
  'Archive/2026',
  'Nowhere',
  '&',
  '""',
  '"a/b"',
  '%',
  '*',
);
const item = fc.constantFrom(
  ...[
    'FLAGS',
    'UID',
    'ALL',
    'FULL',
    'ENVELOPE',
    '(UID FLAGS MODSEQ)',
    'BODY[]',
    'BODY[HEADER]',
    'BODY.PEEK[TEXT]<0.3>',
  ],
  ...[
    '(BODY.PEEK[HEADER.FIELDS (Subject)] BODY[1])',
    'BINARY[1]',
    'BINARY[2]',
    'PREVIEW',
    '(RFC822.SIZE BODY[9])',
    'BODY[',
  ],
);
const key = fc.constantFrom(
  ...[
    'ALL',
    'UNSEEN',
    'NOT DELETED',
    '1:2',
    '$',
    'UID 1:*',
    'OR SEEN FLAGGED',
    '(SEEN) TEXT body',
    'MODSEQ 3',
    'FROM',
    '(',
  ],
  ...['SUBJECT {1+}\r\nx', 'CHARSET X ALL', 'BEFORE 1-Jan-2030', 'HEADER a ""'],
);
const returns = fc.constantFrom(
  '',
  'RETURN () ',
  'RETURN (SAVE) ',
  'RETURN (MIN COUNT) ',
  'RETURN (ALL SAVE) ',
  'RETURN (X) ',
);
const uid = fc.constantFrom('', 'UID ');
const words = (...parts: (string | fc.Arbitrary<string>)[]): fc.Arbitrary<string> =>
  fc.tuple(...parts.map((part) => (typeof part === 'string' ? fc.constant(part) : part))).map((all) => all.join(''));

const command = fc.oneof(
  words(uid, 'FETCH ', set, ' ', item),
  words('UID FETCH ', set, ' FLAGS (CHANGEDSINCE 3', fc.constantFrom('', ' VANISHED'), ')'),
  words(uid, 'STORE ', set, ' ', fc.constantFrom('+', '-', ''), 'FLAGS', fc.constantFrom('', '.SILENT'), ' ', flags),
  words(uid, 'STORE ', set, ' (UNCHANGEDSINCE 4) +FLAGS ', flags),
  words(uid, fc.constantFrom('COPY ', 'MOVE '), set, ' ', name),
  words(uid, 'SEARCH ', returns, key),
  words(uid, 'SORT ', returns, '(SUBJECT) UTF-8 ', key),
  words(uid, 'THREAD REFERENCES UTF-8 ', key),
  words('UID EXPUNGE ', set),
  words(fc.constantFrom('SELECT ', 'EXAMINE ', 'DELETE ', 'CREATE ', 'SUBSCRIBE ', 'GETQUOTAROOT '), name),
  words('SELECT INBOX (QRESYNC (3857529045 2', fc.constantFrom('', ' 1:2', ' (1 1)'), '))'),
  words('RENAME ', name, ' ', name),
  words(fc.constantFrom('LIST "" ', 'LSUB "" ', 'LIST (SUBSCRIBED RECURSIVEMATCH) "" '), name),
  words('LIST "" ', name, ' RETURN (STATUS (MESSAGES UIDNEXT))'),
  words('STATUS ', name, ' (MESSAGES HIGHESTMODSEQ)'),
  words(
    'APPEND ',
    name,
    ' ',
    fc.constantFrom('', '(\\Seen) '),
    fc.constantFrom('{3+}\r\nabc', '{0+}\r\n', `{11000+}\r\n${'z'.repeat(11_000)}`),
  ),
  fc.constantFrom(
    'NOOP',
    'CHECK',
    'EXPUNGE',
    'CLOSE',
    'UNSELECT',
    'CAPABILITY',
    'NAMESPACE',
    'ID NIL',
    'STARTTLS',
    'IDLE\r\nDONE',
  ),
  words('ENABLE ', fc.constantFrom('CONDSTORE', 'QRESYNC', 'IMAP4rev2', 'UTF8=ACCEPT', 'X')),
  fc.uint8Array({ maxLength: 40 }).map((bytes) =>
    Buffer.from(bytes)
      .toString('latin1')
      .replaceAll(/[\r\n{]/g, ''),
  ),
);
const change = fc.constantFrom('deliver', 'remove-first', 'remove-last', 'flag', 'expunge-all');
export const steps = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: command.map((text) => ({ command: text })) },
    { weight: 1, arbitrary: change.map((what) => ({ change: what })) },
  ),
  { maxLength: 25 },
);

export const begins = ['stranger', 'known', 'selected'] as const;

/**
 * Plays any commands in any state while others change the folder, and checks what every client relies on: each command
 * has one answer, message numbers hold, and after a NOOP the client's count is the folder's.
 */
export async function playAnySession(
  begin: (typeof begins)[number],
  all: readonly ({ command: string } | { change: string })[],
  pipelined: boolean,
): Promise<void> {
  const box = new ImapBox();
  const bugs: string[] = [];
  const log = createLogger({ level: 'warn', json: false, unixMs: () => 0, write: (line) => bugs.push(line) });
  for (let i = 0; i < 4; i++) box.store.inbox.deliver(MAIL);
  const client = await box.connect({ deps: { log } });
  let script = begin === 'stranger' ? '' : 'l LOGIN mrc "secret word"\r\n';
  if (begin === 'selected') script += 's SELECT INBOX\r\n';
  client.send(script);
  let sent = 0;
  for (const step of all) {
    if ('change' in step) await disturb(box, step.change);
    else {
      client.send(`t${sent} ${step.command}\r\n`);
      sent++;
    }
    if (!pipelined) await settle(2);
  }
  client.send('fence NOOP\r\n');
  await until(() => /(^|\r\n)fence (OK|BAD)[^\r\n]*\r\n$/.test(client.said) || client.closed);
  const said = client.rest();
  check(said, client, box, sent);
  assert.deepEqual(bugs, []);
  client.session.disconnected();
  await client.ended;
  for (const folder of box.store.all.values()) assert.equal(folder.listeners, 0, 'nobody listens when all have left');
  assert.equal(box.scheduler.pending, 0);
}

function check(said: string, client: Client, box: ImapBox, sent: number): void {
  const answered = new Map<string, number>();
  let count: number | undefined;
  for (const line of responses(said)) {
    const tagged = /^(\w+) (OK|NO|BAD) /.exec(line);
    if (tagged) {
      answered.set(tagged[1]!, (answered.get(tagged[1]!) ?? 0) + 1);
      if (/ OK Closed$/.test(line)) count = undefined;
      continue;
    }
    assert.match(line, /^(\* |\+ )/, `what is ${JSON.stringify(line)}?`);
    if (line.startsWith('* OK [CLOSED]')) count = undefined;
    const number = /^\* (\d+) (EXISTS|EXPUNGE|FETCH)/.exec(line);
    const vanished = /^\* VANISHED ([\d:,]+)$/.exec(line);
    if (vanished) count! -= sizeOf(vanished[1]!);
    if (!number) continue;
    const n = Number(number[1]);
    if (number[2] === 'EXISTS') {
      assert.ok(n >= (count ?? 0), 'EXISTS never goes down');
      count = n;
      continue;
    }
    assert.ok(count !== undefined && n >= 1 && n <= count, `${line} of ${count}`);
    if (number[2] === 'EXPUNGE') count--;
  }
  if (client.closed) return;
  for (let i = 0; i < sent; i++) assert.equal(answered.get(`t${i}`), 1, `answers to t${i}`);
  const selected = [...box.store.all.values()].find((folder) => folder.listeners > 0);
  if (selected) assert.equal(count, selected.uids.length);
}

function sizeOf(uids: string): number {
  return uids
    .split(',')
    .map((range) => range.split(':').map(Number))
    .reduce((sum, [from, to = from]) => sum + to! - from! + 1, 0);
}

/** Lines with their literals in them. */
function responses(said: string): string[] {
  const lines: string[] = [];
  for (let at = 0; at < said.length; ) {
    let end = said.indexOf('\r\n', at);
    for (;;) {
      assert.notEqual(end, -1, `no line end in ${JSON.stringify(said.slice(at))}`);
      const literal = /\{(\d+)\}$/.exec(said.slice(at, end));
      if (!literal) break;
      end = said.indexOf('\r\n', end + 2 + Number(literal[1]));
    }
    lines.push(said.slice(at, end));
    at = end + 2;
  }
  return lines;
}

async function disturb(box: ImapBox, what: string): Promise<void> {
  const { inbox } = box.store;
  if (what === 'deliver') inbox.deliver(MAIL);
  if (what === 'remove-first') inbox.remove(inbox.uids.subarray(0, 1));
  if (what === 'remove-last') inbox.remove(inbox.uids.subarray(-1));
  if (what === 'expunge-all') inbox.remove(inbox.uids);
  if (what === 'flag') await inbox.storeFlags(inbox.uids, { mode: 'add', flags: [`k${inbox.highestModSeq % 3}`] });
}
