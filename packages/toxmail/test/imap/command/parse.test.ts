import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readAppendNext, readAppendStart } from '../../../src/imap/command/append.ts';
import { type Command, parseCommand } from '../../../src/imap/command/parse.ts';

function parse(text: string): Command {
  const parsed = parseCommand(Buffer.from(`a ${text}`));
  assert.ok(parsed.kind === 'command', `${text}: ${parsed.kind === 'bad' && parsed.text}`);
  return parsed.command;
}

const seen = { key: 'flag', flag: '\\Seen' };

test('each command is read as the standards write it', () => {
  const table: [string, object][] = [
    ['noop', { verb: 'NOOP' }],
    ['LOGIN SMITH SESAME', { verb: 'LOGIN', user: 'SMITH', password: 'SESAME' }],
    ['LOGIN {5}\r\na b"c "x\\"\\\\y"', { verb: 'LOGIN', user: 'a b"c', password: 'x"\\y' }],
    ['AUTHENTICATE plain', { verb: 'AUTHENTICATE', mechanism: 'PLAIN', initial: undefined }],
    ['AUTHENTICATE PLAIN =', { verb: 'AUTHENTICATE', mechanism: 'PLAIN', initial: '=' }],
    ['ENABLE CONDSTORE utf8=accept', { verb: 'ENABLE', names: ['CONDSTORE', 'UTF8=ACCEPT'] }],
    ['ID NIL', { verb: 'ID', fields: new Map() }],
    [
      'ID ("name" "x" "version" NIL)',
      {
        verb: 'ID',
        fields: new Map([
          ['name', 'x'],
          ['version', undefined],
        ]),
      },
    ],
    ['SELECT INBOX', { verb: 'SELECT', mailbox: 'INBOX', condstore: false, qresync: undefined }],
    [
      'SELECT INBOX (QRESYNC (67890007 90060115194045 41,43:211))',
      {
        verb: 'SELECT',
        mailbox: 'INBOX',
        condstore: false,
        qresync: {
          uidValidity: 67890007,
          modSeq: 90060115194045,
          knownUids: [
            [41, 41],
            [43, 211],
          ],
        },
      },
    ],
    [
      'CREATE MySpecial (USE (\\Drafts \\Sent))',
      { verb: 'CREATE', mailbox: 'MySpecial', uses: ['\\Drafts', '\\Sent'] },
    ],
    ['RENAME foo "bar baz"', { verb: 'RENAME', from: 'foo', to: 'bar baz' }],
    [
      'STATUS blurdybloop (UIDNEXT MESSAGES)',
      { verb: 'STATUS', mailbox: 'blurdybloop', items: ['UIDNEXT', 'MESSAGES'] },
    ],
    ['UID EXPUNGE 3000:3002', { verb: 'EXPUNGE', uids: [[3000, 3002]] }],
    ['UID COPY 2:4 MEETING', { verb: 'COPY', uid: true, set: [[2, 4]], mailbox: 'MEETING' }],
    ['MOVE $ foo', { verb: 'MOVE', uid: false, set: 'saved', mailbox: 'foo' }],
    [
      'STORE 2:4 +FLAGS.SILENT (\\deleted Foo \\Recent)',
      {
        verb: 'STORE',
        uid: false,
        set: [[2, 4]],
        mode: 'add',
        silent: true,
        flags: ['\\Deleted', 'Foo'],
        unchangedSince: undefined,
      },
    ],
    [
      'UID STORE 6 (UNCHANGEDSINCE 12) FLAGS \\Seen $MDNSent',
      {
        verb: 'STORE',
        uid: true,
        set: [[6, 6]],
        mode: 'replace',
        silent: false,
        flags: ['\\Seen', '$MDNSent'],
        unchangedSince: 12,
      },
    ],
    [
      'SEARCH RETURN (MIN COUNT) UNSEEN FROM "Smith"',
      {
        verb: 'SEARCH',
        uid: false,
        results: new Set(['MIN', 'COUNT']),
        charset: undefined,
        program: {
          key: 'and',
          of: [
            { key: 'not', of: seen },
            { key: 'header', name: 'FROM', text: 'Smith' },
          ],
        },
      },
    ],
    [
      'SEARCH CHARSET UTF-8 OR (SEEN 1:2) NOT BEFORE 2-Jan-1970',
      {
        verb: 'SEARCH',
        uid: false,
        results: undefined,
        charset: 'UTF-8',
        program: {
          key: 'or',
          of: [
            { key: 'and', of: [seen, { key: 'numbers', set: [[1, 2]] }] },
            { key: 'not', of: { key: 'before', date: 'internal', day: 1 } },
          ],
        },
      },
    ],
    [
      'SEARCH MODSEQ "/flags/\\\\draft" all 620162338',
      {
        verb: 'SEARCH',
        uid: false,
        results: undefined,
        charset: undefined,
        program: { key: 'modseq', from: 620162338 },
      },
    ],
    [
      'UID SORT RETURN () (REVERSE DATE subject) UTF-8 ALL',
      {
        verb: 'SORT',
        uid: true,
        results: new Set(['ALL']),
        criteria: [
          { key: 'date', reverse: true },
          { key: 'subject', reverse: false },
        ],
        charset: 'UTF-8',
        program: { key: 'all' },
      },
    ],
    [
      'THREAD REFERENCES US-ASCII 5:*',
      {
        verb: 'THREAD',
        uid: false,
        algorithm: 'REFERENCES',
        charset: 'US-ASCII',
        program: { key: 'numbers', set: [[5, 0]] },
      },
    ],
  ];
  for (const [text, expected] of table) {
    assert.deepEqual(parse(text), expected, text);
  }
});

test('FETCH: macros, sections and partials', () => {
  const items = (text: string): unknown => {
    const command = parse(`FETCH 1 ${text}`);
    assert.ok(command.verb === 'FETCH');
    return command.items;
  };
  assert.deepEqual(items('FAST'), [{ item: 'FLAGS' }, { item: 'INTERNALDATE' }, { item: 'RFC822.SIZE' }]);
  assert.deepEqual(items('(BODY BODYSTRUCTURE PREVIEW (LAZY))'), [
    { item: 'BODY' },
    { item: 'BODYSTRUCTURE' },
    { item: 'PREVIEW' },
  ]);
  const section = { item: 'section', peek: false, path: [], text: undefined, fields: [], partial: undefined };
  for (const [text, expected] of [
    ['BODY[]', { ...section, label: 'BODY[]' }],
    ['RFC822', { ...section, label: 'RFC822' }],
    ['rfc822.header', { ...section, label: 'RFC822.HEADER', peek: true, text: 'HEADER' }],
    ['BODY.PEEK[4.1.MIME]', { ...section, label: 'BODY[4.1.MIME]', peek: true, path: [4, 1], text: 'MIME' }],
    ['BODY[1.2]<0.2048>', { ...section, label: 'BODY[1.2]', path: [1, 2], partial: { offset: 0, count: 2048 } }],
    [
      'BODY.PEEK[HEADER.FIELDS (date "From")]',
      {
        ...section,
        label: 'BODY[HEADER.FIELDS (DATE FROM)]',
        peek: true,
        text: 'HEADER.FIELDS',
        fields: ['DATE', 'FROM'],
      },
    ],
    ['BINARY.SIZE[2]', { item: 'binary-size', label: 'BINARY.SIZE[2]', peek: true, path: [2], partial: undefined }],
    [
      'BINARY[2.1]<5.10>',
      { item: 'binary', label: 'BINARY[2.1]', peek: false, path: [2, 1], partial: { offset: 5, count: 10 } },
    ],
  ] as const)
    assert.deepEqual(items(text), [expected], text);
});

test('APPEND is read up to the literal that is streamed, and on after it', () => {
  const start = readAppendStart(Buffer.from('A003 APPEND {5}\r\nDraft (\\Seen) "17-Jul-1996 02:44:25 -0700" {310}'));
  assert.deepEqual(start, {
    tag: 'A003',
    mailbox: 'Draft',
    flags: ['\\Seen'],
    internalDate: Date.UTC(1996, 6, 17, 9, 44, 25),
    utf8: false,
  });
  assert.equal(readAppendStart(Buffer.from('A003 APPEND {5}')), undefined, 'that literal is the name');
  assert.equal(readAppendStart(Buffer.from('A003 LOGIN {5}')), undefined);
  assert.ok(readAppendStart(Buffer.from('A003 APPEND x UTF8 (~{310}'))?.utf8);
  assert.equal(readAppendNext(Buffer.from(''), false), 'end');
  assert.equal(readAppendNext(Buffer.from(')'), true), 'end');
  assert.deepEqual(readAppendNext(Buffer.from(' (foo) {3+}'), false), {
    flags: ['foo'],
    internalDate: undefined,
    utf8: false,
  });
  assert.equal(readAppendNext(Buffer.from('x'), false), undefined);
});

test('what the grammar does not have is BAD with the tag of the command', () => {
  for (const text of [
    '',
    'FOO',
    '__proto__ x',
    'constructor',
    'NOOP x',
    'LOGIN a',
    'LOGIN a "b',
    'LOGIN a "b\\c"',
    'SELECT',
    'FETCH 1',
    'FETCH 1 ()x',
    'FETCH 0 FLAGS',
    'FETCH 1 BODY[',
    'FETCH 1 BODY[MIME]',
    'FETCH 1 BODY[1.]',
    'FETCH 1 BODY[]<0.0>',
    'FETCH 1 BODY[HEADER.FIELDS ()]',
    'FETCH 1 FLAGS (VANISHED)',
    'STORE 1 FLAGS (\\Foo)',
    'STORE 1 FLAGS.LOUD (x)',
    'SEARCH',
    'SEARCH OR SEEN',
    'SEARCH BEFORE yesterday',
    `SEARCH ${'NOT '.repeat(100)}SEEN`,
    `SEARCH ${'('.repeat(100)}SEEN${')'.repeat(100)}`,
    'SORT () UTF-8 ALL',
    'LIST (RECURSIVEMATCH) "" *',
    'STATUS x ()',
    'UID NOOP',
    `SELECT ${'x'.repeat(2_000)}`,
  ]) {
    const parsed = parseCommand(Buffer.from(`a1 ${text}`));
    assert.ok(parsed.kind === 'bad', text);
    assert.equal(parsed.tag, 'a1', text);
  }
  assert.deepEqual(parseCommand(Buffer.from('+ NOOP')), { kind: 'bad', tag: undefined, text: 'A tag is expected' });
});

test('any bytes make a command or BAD, and are never thrown at', () => {
  const word = fc.constantFrom(
    ...['FETCH', 'UID', 'SEARCH', 'STORE', 'LIST', 'SELECT', 'SORT', 'RETURN', 'NOT', 'OR', '(', ')', ' ', ' ', ' '],
    ...[
      '1:*',
      '$',
      'BODY',
      '[',
      ']',
      '<0.1>',
      '"',
      '\\',
      '{3}\r\nabc',
      '~{1}\r\n\0',
      'FLAGS',
      'QRESYNC',
      'UTF-8',
      '*',
      '%',
    ],
  );
  const text = fc.oneof(
    fc.array(word, { maxLength: 25 }).map((words) => words.join('')),
    fc.string({ unit: 'binary' }),
  );
  fc.assert(
    fc.property(text, (rest) => {
      parseCommand(Buffer.from(`a ${rest}`, 'latin1'));
      readAppendStart(Buffer.from(`a APPEND ${rest}`, 'latin1'));
      readAppendNext(Buffer.from(rest, 'latin1'), rest.length % 2 === 0);
    }),
    { numRuns: 500 },
  );
});
