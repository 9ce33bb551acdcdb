import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Client, ImapBox } from '../script.ts';

const MAIL = 'Subject: one\nFrom: a@tox\nTo: b@tox\n\nHello you\n';

function box(count = 3): ImapBox {
  const all = new ImapBox();
  for (let i = 1; i <= count; i++) all.store.inbox.deliver(MAIL.replace('one', `mail ${i}`), i === 1 ? ['\\Seen'] : []);
  return all;
}

test('SELECT tells all that the standards want, EXAMINE that nothing can be changed', async () => {
  const client = await box().logIn();
  await client.run(
    'C: a SELECT INBOX',
    'S: * FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)',
    'S: * OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] Flags that stay',
    'S: * 3 EXISTS',
    'S: * 0 RECENT',
    'S: * OK [UNSEEN 2] The first that was not seen',
    'S: * OK [UIDVALIDITY 3857529045] UIDs are valid',
    'S: * OK [UIDNEXT 4] The next UID',
    'S: * OK [HIGHESTMODSEQ 4] The latest change',
    "S: * OK [MAILBOXID (F1)] The folder's id",
    'S: a OK [READ-WRITE] Opened',
    'C: b EXAMINE Sent',
    'S: * OK [CLOSED] The folder before is closed',
    'S: * FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)',
    'S: * OK [PERMANENTFLAGS ()] No flags can be changed',
    'S: * 0 EXISTS',
    'S: * 0 RECENT',
    'S: * OK [UIDVALIDITY 3857529045] UIDs are valid',
    'S: * OK [UIDNEXT 1] The next UID',
    'S: * OK [HIGHESTMODSEQ 1] The latest change',
    "S: * OK [MAILBOXID (F2)] The folder's id",
    'S: b OK [READ-ONLY] Opened to read',
    'C: c STORE 1 FLAGS ()',
    'S: c NO The folder was opened read-only',
    'C: d SELECT Nowhere',
    'S: * OK [CLOSED] The folder before is closed',
    'S: d NO [NONEXISTENT] There is no such folder',
    'C: e FETCH 1 FLAGS',
    'S: e BAD Select a folder first',
  );
});

test('a client of rev2 gets LIST and no RECENT or UNSEEN, and SEARCH answers as ESEARCH', async () => {
  const client = await box().logIn('IMAP4rev2');
  const reply = async (): Promise<string> => client.reply('a');
  client.send('a SELECT INBOX\r\n');
  const said = await reply();
  assert.match(said, /\* LIST \(\\HasNoChildren \\Subscribed\) "\/" INBOX\r\n/);
  assert.doesNotMatch(said, /RECENT|UNSEEN/);
  await client.run('C: b SEARCH ALL', 'S: * ESEARCH (TAG "b") ALL 1:3', 'S: b OK Done');
});

test('FETCH: plain items, macros, UID, and what has no such part', async () => {
  const client = await box().select();
  await client.run(
    'C: a FETCH 1:2 (FLAGS UID)',
    'S: * 1 FETCH (UID 1 FLAGS (\\Seen))',
    'S: * 2 FETCH (UID 2 FLAGS ())',
    'S: a OK Done',
    'C: b UID FETCH 3:* FAST',
    'S: * 3 FETCH (UID 3 FLAGS () INTERNALDATE "17-Jul-1996 09:44:25 +0000" RFC822.SIZE 54)',
    'S: b OK Done',
    'C: c FETCH * (ENVELOPE BODYSTRUCTURE EMAILID THREADID SAVEDATE PREVIEW MODSEQ)',
    'S: * OK [HIGHESTMODSEQ 4] The latest change',
    'S: * 3 FETCH (MODSEQ (4) SAVEDATE "17-Jul-1996 09:44:25 +0000" ENVELOPE (NIL "mail 3" NIL NIL NIL NIL NIL NIL NIL NIL) BODYSTRUCTURE ("TEXT" "PLAIN" NIL NIL NIL "7BIT" 1 1 NIL NIL NIL NIL) PREVIEW "Hello you" EMAILID (M3) THREADID (T3))',
    'S: c OK Done',
    'C: d FETCH 4 FLAGS',
    'S: d BAD There is no mail of that number',
    'C: e UID FETCH 9:8 FLAGS',
    'S: e OK Done',
  );
});

test('FETCH of texts: whole, header, parts of the header, pieces', async () => {
  const client = await box().select();
  await client.run(
    'C: a FETCH 2 (UID BODY.PEEK[HEADER.FIELDS (Subject X-None)])',
    'S: * 2 FETCH (UID 2 BODY[HEADER.FIELDS (SUBJECT X-NONE)] {19}',
    'S: Subject: mail 2',
    'S: ',
    'S: )',
    'S: a OK Done',
    'C: b FETCH 2 (BODY.PEEK[TEXT]<6.100> BODY.PEEK[9])',
    'S: * 2 FETCH (BODY[TEXT]<6> {5}',
    'S: you',
    'S:  BODY[9] NIL)',
    'S: b OK Done',
    'C: c FETCH 2 BODY.PEEK[]<1000.5>',
    'S: * 2 FETCH (BODY[]<1000> {0}',
    'S: )',
    'S: c OK Done',
    'C: d FETCH 1 RFC822.HEADER',
    'S: * 1 FETCH (RFC822.HEADER {43}',
    'S: Subject: mail 1',
    'S: From: a@tox',
    'S: To: b@tox',
    'S: ',
    'S: )',
    'S: d OK Done',
    'C: e FETCH 1 (BINARY.SIZE[1] BINARY.PEEK[1])',
    'S: * 1 FETCH (BINARY.SIZE[1] 11 BINARY[1] ~{11}',
    'S: Hello you',
    'S: )',
    'S: e OK Done',
    'C: f FETCH 1 BINARY.PEEK[2]',
    'S: * 1 FETCH (BINARY[2] NIL)',
    'S: f NO [UNKNOWN-CTE] *',
  );
});

test('reading marks \\Seen, and says so; PEEK and EXAMINE do not', async () => {
  const all = box();
  const client = await all.select();
  await client.run(
    'C: a FETCH 2 BODY[1]',
    'S: * 2 FETCH (FLAGS (\\Seen) BODY[1] {11}',
    'S: Hello you',
    'S: )',
    'S: a OK Done',
    'C: b FETCH 3 BODY.PEEK[1]<0.1>',
    'S: * 3 FETCH (BODY[1]<0> {1}',
    'S: H)',
    'S: b OK Done',
  );
  assert.deepEqual(
    all.store.inbox.mails.map((mail) => mail.flags),
    [['\\Seen'], ['\\Seen'], []],
  );
});

test('a mail that changes while it is sent ends the connection, so that nothing is taken for its text', async () => {
  const all = box();
  const client = await all.select();
  all.store.inbox.broken = true;
  client.send('a FETCH 1 BODY.PEEK[]\r\nb NOOP\r\n');
  await client.ended;
  assert.ok(client.closed);
  assert.doesNotMatch(client.said, /a OK|b OK/);
});

test('STORE adds, removes and replaces; new keywords are announced before; silence is kept', async () => {
  const client = await box().select();
  await client.run(
    'C: a STORE 2 +FLAGS (\\Flagged $Work)',
    'S: * FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Work)',
    'S: * OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Work \\*)] Flags that stay',
    'S: * 2 FETCH (FLAGS (\\Flagged $Work))',
    'S: a OK Done',
    'C: b UID STORE 2 -FLAGS \\Flagged',
    'S: * 2 FETCH (UID 2 FLAGS ($Work))',
    'S: b OK Done',
    'C: c STORE 1:3 FLAGS.SILENT ()',
    'S: c OK Done',
    'C: d STORE 4 FLAGS ()',
    'S: d BAD There is no mail of that number',
    'C: e UID STORE 4 FLAGS ()',
    'S: e OK Done',
  );
});

test('what one session does the other is told, each in its time', async () => {
  const all = box();
  const mine = await all.select();
  const other = await all.select();
  await mine.run('C: a STORE 1 +FLAGS.SILENT (\\Deleted)', 'S: a OK Done');
  await mine.run('C: b EXPUNGE', 'S: * 1 EXPUNGE', 'S: b OK Expunged');
  all.store.inbox.deliver(MAIL);
  await mine.run('C: m STORE 1 +FLAGS.SILENT (\\Answered)', 'S: * 3 EXISTS', 'S: m OK Done');
  await other.run(
    'C: c FETCH 2:3 UID', // message numbers must hold: no EXPUNGE, and no EXISTS as it would count wrongly
    'S: * 2 FETCH (UID 2)',
    'S: * 3 FETCH (UID 3)',
    'S: * 2 FETCH (FLAGS (\\Answered))',
    'S: c OK Done',
    'C: d FETCH 1 FLAGS',
    'S: d NO [EXPUNGEISSUED] Some of the mails have gone',
    'C: e UID FETCH 1 FLAGS',
    'S: * 1 EXPUNGE',
    'S: * 3 EXISTS',
    'S: e OK Done',
    'C: f FETCH 3 UID',
    'S: * 3 FETCH (UID 4)',
    'S: f OK Done',
  );
});

test('EXPUNGE numbers count down as told, UID EXPUNGE takes only its own, CLOSE is silent', async () => {
  const all = box(5);
  const client = await all.select();
  await client.run(
    'C: a STORE 1,3,5 +FLAGS.SILENT (\\Deleted)',
    'S: a OK Done',
    'C: b UID EXPUNGE 3:4',
    'S: * 3 EXPUNGE',
    'S: b OK Expunged',
    'C: c EXPUNGE',
    'S: * 1 EXPUNGE',
    'S: * 3 EXPUNGE',
    'S: c OK Expunged',
    'C: d STORE 1 +FLAGS.SILENT (\\Deleted)',
    'S: d OK Done',
    'C: e CLOSE',
    'S: e OK Closed',
  );
  assert.deepEqual([...all.store.inbox.uids], [4]);
  assert.equal(all.store.inbox.listeners, 0, 'nobody listens to a folder that was left');
  const second = await all.select();
  await second.run('C: a STORE 1 +FLAGS.SILENT (\\Deleted)', 'S: a OK Done', 'C: b UNSELECT', 'S: b OK Closed');
  assert.deepEqual([...all.store.inbox.uids], [4]);
});

test('COPY and MOVE tell the UIDs on both sides; a missing target may be made', async () => {
  const all = box();
  const client = await all.select();
  await client.run(
    'C: a COPY 1:2 Trash',
    'S: a OK [COPYUID 3857529045 1:2 1:2] Copied',
    'C: b COPY 1 Nowhere',
    'S: b NO [TRYCREATE] There is no such folder',
    'C: c MOVE 1,3 Trash',
    'S: * OK [COPYUID 3857529045 1,3 3:4] Moved',
    'S: * 1 EXPUNGE',
    'S: * 2 EXPUNGE',
    'S: c OK Done',
    'C: d UID MOVE 77 Trash',
    'S: d OK Nothing to move',
    'C: e UID COPY 77 Trash',
    'S: e OK Copied',
  );
  assert.deepEqual([...all.store.inbox.uids], [2]);
  assert.equal(all.store.all.get('Trash')!.mails.length, 4);
});

test('APPEND stores mails as they come, several at once, with flags and date', async () => {
  const all = new ImapBox();
  const client = await all.select();
  await client.run(
    'C: a APPEND Sent (\\Seen) " 7-Feb-1994 21:52:25 -0800" {5}',
    'S: + OK',
    'C: 12345',
    'S: a OK [APPENDUID 3857529045 1] Stored',
    'C: b APPEND INBOX {1+}',
    'C+: 1 (\\Flagged) {2+}',
    'C+: 22',
    'S: * 2 EXISTS',
    'S: b OK [APPENDUID 3857529045 1:2] Stored',
    'C: c APPEND Nowhere {5}',
    'S: c NO [TRYCREATE] There is no such folder',
    'C: d APPEND Nowhere {5+}',
    'C+: abcde',
    'S: d NO [TRYCREATE] There is no such folder',
    'C: e APPEND INBOX {10001}',
    'S: e NO [TOOBIG] The mail is too big',
    'C: f APPEND INBOX {6000}',
    'S: f NO [OVERQUOTA] The mailbox is full',
    'C: f2 APPEND INBOX {3000}', // the same with two that are too many together
    'S: + OK',
    `C: ${'x'.repeat(3000)} {3000}`,
    'S: f2 NO [OVERQUOTA] The mailbox is full',
    'C: g APPEND INBOX {0}',
    'S: g NO An empty mail ends the APPEND',
    'C: h APPEND INBOX {3}',
    'S: + OK',
    'C: abcxx',
    'S: h BAD Bad arguments after the mail',
    'C: i APPEND INBOX UTF8 (~{3}',
    'S: + OK',
    'C: abc)',
    'S: * 3 EXISTS',
    'S: i OK [APPENDUID 3857529045 3] Stored',
  );
  const [sent] = all.store.all.get('Sent')!.mails;
  assert.deepEqual(sent!.flags, ['\\Seen']);
  assert.equal(sent!.internalDateMs, Date.UTC(1994, 1, 8, 5, 52, 25));
  assert.equal(all.store.inbox.mails.length, 3);
});

test('the text of a refused mail never runs as commands', async () => {
  const client = await new ImapBox().logIn();
  const text = 'z DELETE Sent\r\n'.repeat(800);
  client.send(`a APPEND INBOX {${text.length}+}\r\n${text}\r\nb NOOP\r\n`);
  await client.run('S: a NO [TOOBIG] The mail is too big', 'S: b OK Done');
});

test('a client that leaves in the midst of a mail stores nothing', async () => {
  const all = new ImapBox();
  const client = await all.logIn();
  client.send('a APPEND INBOX {100+}\r\nhalf');
  client.session.clientEnded();
  await client.ended;
  assert.equal(all.store.inbox.mails.length, 0);
});

test('IDLE tells of arrivals, flags and removals at once, until DONE', async () => {
  const all = box(1);
  const client = await all.select();
  await client.run('C: a IDLE', 'S: + idling');
  all.store.inbox.deliver(MAIL);
  await client.run('S: * 2 EXISTS');
  await all.store.inbox.storeFlags([1], { mode: 'add', flags: ['\\Answered'] });
  await client.run('S: * 1 FETCH (FLAGS (\\Seen \\Answered))');
  all.store.inbox.remove([1]);
  await client.run('S: * 1 EXPUNGE', 'C: DONE', 'S: a OK Done');
  all.store.inbox.deliver(MAIL);
  await client.run('C: b NOOP', 'S: * 2 EXISTS', 'S: b OK Done');
  await client.run('C: c IDLE', 'S: + idling', 'C: NOOP', 'S: c BAD DONE expected');
});

test('IDLE repeats that new mails are there if that was told in passing: Thunderbird overlooks it there', async () => {
  const all = box(1);
  const client = await all.select();
  all.store.inbox.deliver(MAIL);
  await client.run('C: a UID STORE 1 +FLAGS.SILENT (\\Flagged)', 'S: * 2 EXISTS', 'S: a OK Done');
  await client.run('C: b IDLE', 'S: + idling', 'S: * 2 EXISTS', 'C: DONE', 'S: b OK Done');
  all.store.inbox.deliver(MAIL);
  await client.run('C: c NOOP', 'S: * 3 EXISTS', 'S: c OK Done');
  await client.run('C: d IDLE', 'S: + idling', 'C: DONE', 'S: d OK Done');
});

test('a slow reader in IDLE costs nothing: it is told of all at once when it reads again', async () => {
  const all = box(1);
  const client = await all.select();
  await client.run('C: a IDLE', 'S: + idling');
  client.reading = false;
  for (let i = 0; i < 500; i++) all.store.inbox.deliver(MAIL);
  client.read();
  await client.run('S: * 2 EXISTS', 'S: * 501 EXISTS', 'C: DONE', 'S: a OK Done');
});

test('a folder that goes away sends its sessions away, in IDLE at once', async () => {
  const all = box();
  const idle = await all.select();
  const other: Client = await all.select();
  await idle.run('C: a IDLE', 'S: + idling');
  all.store.inbox.vanish();
  await idle.run('S: * BYE The folder was deleted or has new UIDs');
  await idle.ended;
  await other.run('C: b NOOP', 'S: b OK Done', 'S: * BYE The folder was deleted or has new UIDs');
  await other.ended;
});

test('when we stop, a client in IDLE gets a BYE', async () => {
  const client = await box().select();
  await client.run('C: a IDLE', 'S: + idling');
  client.session.shutDown('Toxmail stops');
  await client.expect('* BYE Toxmail stops');
  await client.ended;
});

test('a FETCH of thousands of mails lets others in between, however fast its client reads', async () => {
  const client = await box(2_000).select();
  let turns = 0;
  const turn = (): void => {
    turns++;
    if (!client.said.includes('a OK')) setImmediate(turn);
  };
  setImmediate(turn);
  client.send('a FETCH 1:* BODY.PEEK[]\r\n');
  assert.match(await client.reply('a'), /\* 2000 FETCH \(BODY\[\] \{/);
  assert.ok(turns > 2, `${turns} turns of the event loop`);
});
