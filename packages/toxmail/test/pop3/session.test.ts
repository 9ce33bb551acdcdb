import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { settle } from '../../src/testing/virtual-scheduler.ts';
import { Mailbox } from './script.ts';

let box = new Mailbox();

afterEach(() => box.remove());

function mailbox(...mails: string[]): Mailbox {
  box.remove();
  box = new Mailbox(mails);
  return box;
}

/** A mail of exactly so many octets. */
function ofSize(octets: number): string {
  const head = 'Subject: x\r\n\r\n';
  return `${head}${'a'.repeat(octets - head.length - 2)}\r\n`;
}

test('the session of RFC 1939 section 10', async () => {
  const client = await mailbox(ofSize(120), ofSize(200)).connect();
  await client.run(
    'C: USER mrose',
    'S: +OK',
    'C: PASS secret word',
    'S: +OK 2 mails (320 octets)',
    'C: STAT',
    'S: +OK 2 320',
    'C: LIST',
    'S: +OK 2 mails (320 octets)',
    'S: 1 120',
    'S: 2 200',
    'S: .',
    'C: RETR 1',
    'S: +OK 120 octets',
    'S: Subject: x',
    'S: ',
    `S: ${'a'.repeat(104)}`,
    'S: .',
    'C: DELE 1',
    'S: +OK Mail 1 deleted',
    'C: RETR 2',
    'S: +OK 200 octets',
    'S: Subject: x',
    'S: ',
    `S: ${'a'.repeat(184)}`,
    'S: .',
    'C: DELE 2',
    'S: +OK Mail 2 deleted',
    'C: QUIT',
    'S: +OK Bye',
  );
  assert.ok(client.closed);
  assert.deepEqual(readdirSync(join(box.path, 'new')), []);
});

test('without QUIT nothing is deleted, and the mailbox is free again', async () => {
  const client = await mailbox(ofSize(100)).logIn();
  await client.run('C: DELE 1', 'S: +OK*', 'C: STAT', 'S: +OK 0 0');
  client.session.disconnected();
  const again = await box.logIn();
  await again.run('C: STAT', 'S: +OK 1 100', 'C: DELE 1', 'S: +OK*', 'C: RSET', 'S: +OK 1 mails (100 octets)');
  await again.run('C: QUIT', 'S: +OK Bye');
  assert.equal(readdirSync(join(box.path, 'new')).length, 1);
});

test('CAPA tells what RFC 2449 clients look for, before and after the log-in', async () => {
  const client = await mailbox().connect();
  client.send('CAPA\r\n');
  const before = await client.reply();
  for (const tag of ['TOP', 'UIDL', 'USER', 'SASL PLAIN', 'RESP-CODES', 'AUTH-RESP-CODE', 'PIPELINING', 'EXPIRE NEVER'])
    assert.ok(before.includes(`\r\n${tag}\r\n`), tag);
  assert.ok(before.endsWith('IMPLEMENTATION Toxmail\r\n.\r\n'));
  assert.ok(!before.includes('STLS')); // no TLS in this session
  await client.run('C: STLS', 'S: -ERR There is no TLS here');
});

test('RFC 6856: UTF8 before the log-in, LANG at any time', async () => {
  const client = await mailbox().connect();
  await client.run('C: UTF8', 'S: +OK*', 'C: UTF8 x', 'S: -ERR*');
  await client.run('C: LANG', 'S: +OK', 'S: en English', 'S: i-default Default', 'S: .');
  await client.run('C: LANG *', 'S: +OK en', 'C: LANG EN', 'S: +OK en', 'C: LANG tlh', 'S: -ERR*');
  const inside = await box.logIn();
  await inside.run('C: UTF8', 'S: -ERR Not in this state', 'C: LANG i-default', 'S: +OK*');
});

test('lines get CRLF, dots are doubled and the last line is finished; LIST tells the size as sent', async () => {
  const client = await mailbox('A: b\n\n.dot\n..two\n.\nend').logIn();
  await client.run(
    'C: LIST 1',
    'S: +OK 1 29',
    'C: RETR 1',
    'S: +OK 29 octets',
    'S: A: b',
    'S: ',
    'S: ..dot',
    'S: ...two',
    'S: ..',
    'S: end',
    'S: .',
  );
});

test('TOP gives the header, the empty line and as many lines as asked', async () => {
  const client = await mailbox('A: b\r\nC: d\r\n\r\none\r\n\r\n.three\r\n').logIn();
  await client.run('C: TOP 1 0', 'S: +OK', 'S: A: b', 'S: C: d', 'S: ', 'S: .');
  await client.run('C: TOP 1 2', 'S: +OK', 'S: A: b', 'S: C: d', 'S: ', 'S: one', 'S: ', 'S: .');
  await client.run('C: TOP 1 9', 'S: +OK', 'S: A: b', 'S: C: d', 'S: ', 'S: one', 'S: ', 'S: ..three', 'S: .');
  await client.run('C: TOP 1', 'S: -ERR*', 'C: TOP 1 -1', 'S: -ERR*', 'C: TOP 2 1', 'S: -ERR*');
});

test('a big mail comes over byte for byte', async () => {
  const body = Array.from({ length: 20_000 }, (_, i) => `${i % 7 === 0 ? '.' : ''}line ${i}`).join('\r\n');
  const mail = `Subject: big\r\n\r\n${body}\r\n`;
  const client = await mailbox(mail).logIn();
  client.send('RETR 1\r\n');
  const out = await client.reply();
  const text = out.slice(out.indexOf('\r\n') + 2, -3).replace(/^\./gm, '');
  assert.equal(createHash('sha256').update(text).digest('hex'), createHash('sha256').update(mail).digest('hex'));
});

test('UIDL stays the same over sessions, and when another program moves and flags the mail', async () => {
  const client = await mailbox(ofSize(50), ofSize(60)).logIn();
  client.send('UIDL\r\n');
  const before = await client.reply();
  assert.match(before, /^\+OK [^\r]*\r\n1 [\x21-\x7e]{1,70}\r\n2 [\x21-\x7e]{1,70}\r\n\.\r\n$/);
  await client.run('C: QUIT', 'S: +OK Bye');
  const [name] = readdirSync(join(box.path, 'new')).sort();
  renameSync(join(box.path, 'new', name!), join(box.path, 'cur', `${name}:2,S`));
  const again = await box.logIn();
  again.send('UIDL\r\n');
  assert.equal(await again.reply(), before);
});

test('a mail that is moved during the session is still found; one that is removed is an error', async () => {
  const client = await mailbox(ofSize(50), ofSize(60)).logIn();
  const [first, second] = readdirSync(join(box.path, 'new')).sort();
  renameSync(join(box.path, 'new', first!), join(box.path, 'cur', `${first}:2,FS`));
  rmSync(join(box.path, 'new', second!));
  await client.run('C: TOP 1 0', 'S: +OK', 'S: Subject: x', 'S: ', 'S: .', 'C: RETR 2', 'S: -ERR [SYS/PERM]*');
  await client.run('C: DELE 1', 'S: +OK*', 'C: DELE 2', 'S: +OK*', 'C: QUIT', 'S: +OK Bye');
  assert.deepEqual(readdirSync(join(box.path, 'cur')), []);
});

test('mail that arrives during the session shows in the next one', async () => {
  const client = await mailbox(ofSize(50)).logIn();
  const writer = await box.maildir.create();
  await writer.append(Buffer.from(ofSize(70)));
  await writer.commit();
  await client.run('C: STAT', 'S: +OK 1 50', 'C: QUIT', 'S: +OK Bye');
  const again = await box.logIn();
  await again.run('C: STAT', 'S: +OK 2 120');
});

test('AUTH PLAIN in one line and in two; cancelled, garbled and wrong', async () => {
  const plain = Buffer.from('\0mrose\0secret word').toString('base64');
  const client = await mailbox().connect();
  await client.run('C: AUTH', 'S: +OK', 'S: PLAIN', 'S: .', 'C: AUTH CRAM-MD5', 'S: -ERR*');
  await client.run('C: AUTH PLAIN', 'S: + ', 'C: *', 'S: -ERR*', 'C: AUTH PLAIN', 'S: + ', 'C: %%', 'S: -ERR*');
  const wrong = Buffer.from('\0mrose\0other').toString('base64');
  await client.run(`C: AUTH PLAIN ${wrong}`, 'S: -ERR [AUTH]*');
  const other = Buffer.from('root\0mrose\0secret word').toString('base64');
  await client.run(`C: AUTH PLAIN ${other}`, 'S: -ERR [AUTH]*');
  await client.run('C: AUTH PLAIN', 'S: + ', `C: ${plain}`, 'S: +OK 0 mails*', 'C: QUIT', 'S: +OK Bye');
  const direct = await box.connect();
  await direct.run(`C: auth plain ${plain}`, 'S: +OK 0 mails*');
});

test('wrong passwords are [AUTH] errors, and the third closes the connection', async () => {
  const told: boolean[] = [];
  const client = await mailbox().connect({ onLogin: (_remote, ok) => void told.push(ok) });
  for (let i = 0; i < 3; i++) await client.run('C: USER mrose', 'S: +OK', 'C: PASS no', 'S: -ERR [AUTH]*');
  assert.ok(client.closed);
  assert.deepEqual(told, [false, false, false]);
});

test('one that failed too often is turned away without a look at its password', async () => {
  let asked = false;
  const authenticate = async (): Promise<undefined> => {
    asked = true;
  };
  const client = await mailbox().connect({ throttled: () => true, authenticate });
  await client.run('C: USER mrose', 'S: +OK', 'C: PASS secret word', 'S: -ERR [SYS/TEMP]*');
  assert.deepEqual([asked, client.closed], [false, true]);
});

test('a failing password check is a temporary error', async () => {
  const client = await mailbox().connect({ authenticate: () => Promise.reject(new Error('database')) });
  await client.run('C: USER mrose', 'S: +OK', 'C: PASS secret word', 'S: -ERR [SYS/TEMP]*');
});

test("the mailbox is one session's at a time", async () => {
  const first = await mailbox().logIn();
  const second = await box.connect();
  await second.run('C: USER mrose', 'S: +OK', 'C: PASS secret word', 'S: -ERR [IN-USE]*');
  await first.run('C: QUIT', 'S: +OK Bye');
  await second.run('C: USER mrose', 'S: +OK', 'C: PASS secret word', 'S: +OK*');
});

test('commands sent ahead are answered in order', async () => {
  const client = await mailbox(ofSize(50)).connect();
  client.send('USER mrose\r\nPASS secret word\r\nSTAT\r\nDELE 1\r\nNOOP\r\nQUIT\r\n');
  for (const line of ['+OK', '+OK 1 mails*', '+OK 1 50', '+OK Mail 1*', '+OK', '+OK Bye']) await client.expect(line);
  await settle();
  assert.ok(client.closed);
  assert.equal(existsSync(join(box.path, 'new')) && readdirSync(join(box.path, 'new')).length, 0);
});

test('commands out of their state and malformed ones are refused, and the session goes on', async () => {
  const client = await mailbox(ofSize(50)).connect();
  for (const line of ['STAT', 'RETR 1', 'DELE 1', 'PASS x', 'NOPE', '', ' ', 'USER', 'USER   ', '\x00\xff\x80'])
    await client.run(`C: ${line}`, 'S: -ERR*');
  await client.run('C: user mrose', 'S: +OK', 'C: pass secret word', 'S: +OK*');
  const numbers = ['RETR', 'RETR 0', 'RETR 2', 'RETR -1', 'RETR 1x', 'RETR 99999999999', 'DELE', 'LIST 7', 'UIDL x'];
  for (const line of [...numbers, 'USER mrose', 'AUTH PLAIN', 'STLS', 'RETR 1 2'])
    await client.run(`C: ${line}`, 'S: -ERR*', 'C: NOOP', 'S: +OK');
  await client.run('C: DELE 1', 'S: +OK*', 'C: DELE 1', 'S: -ERR*', 'C: RETR 1', 'S: -ERR*', 'C: LIST 1', 'S: -ERR*');
  await client.run('C: LIST', 'S: +OK*', 'S: .', 'C: STAT', 'S: +OK 0 0');
});

test('an endless line costs no memory and one error', async () => {
  const client = await mailbox().connect();
  for (let i = 0; i < 100; i++) client.send('x'.repeat(10_000));
  assert.equal(await client.rest(), '');
  client.send('\r\n');
  await client.run('S: -ERR Line too long', 'C: QUIT', 'S: +OK Bye');
});

test('only bad commands end the connection', async () => {
  const client = await mailbox().connect();
  client.send('GET / HTTP/1.1\r\n'.repeat(50));
  await client.rest();
  assert.ok(client.closed);
});

test('random bytes in every state never end in anything but -ERR', async () => {
  let seed = 7;
  const random = (n: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return seed % n;
  };
  for (const login of [false, true]) {
    mailbox(ofSize(50));
    for (let round = 0; round < 30; round++) {
      const client = login ? await box.logIn() : await box.connect();
      for (let i = 0; i < 20; i++) {
        client.send(Array.from({ length: random(80) }, () => String.fromCharCode(random(256))).join(''));
      }
      client.send('\r\n');
      assert.doesNotMatch(await client.rest(), /^\+/m);
      client.session.disconnected();
    }
  }
});

test('a stranger has ten minutes in all, however busy', async () => {
  const box = new Mailbox();
  const client = await box.connect();
  for (let minute = 1; minute < 10; minute++) {
    await box.scheduler.advance(60_000);
    await client.run('C: USER somebody', 'S: +OK');
  }
  assert.equal(client.closed, false);
  await box.scheduler.advance(61_000);
  assert.equal(client.closed, true);
  box.remove();
});

test('after ten idle minutes the connection closes and nothing is deleted', async () => {
  const client = await mailbox(ofSize(50)).logIn();
  await client.run('C: DELE 1', 'S: +OK*');
  await box.scheduler.advance(9 * 60_000);
  await client.run('C: NOOP', 'S: +OK');
  await box.scheduler.advance(9 * 60_000);
  assert.equal(client.closed, false);
  await box.scheduler.advance(61_000);
  assert.equal(client.closed, true);
  assert.equal(await client.rest(), '');
  assert.equal(readdirSync(join(box.path, 'new')).length, 1);
  assert.equal(box.scheduler.pending, 0);
});

test('thousands of commands sent ahead let others in between', async () => {
  const client = await mailbox(ofSize(50)).logIn();
  let turns = 0;
  const turn = (): void => {
    turns++;
    if (!client.closed) setImmediate(turn);
  };
  setImmediate(turn);
  client.send(`${'NOOP\r\n'.repeat(10_000)}QUIT\r\n`);
  assert.match(await client.reply(), /^(\+OK\r\n){10000}\+OK Bye\r\n$/);
  assert.ok(turns > 2, `${turns} turns of the event loop`);
});

test('a guess counts as one, also if its client leaves before the answer; a name alone is none', async () => {
  const box = new Mailbox();
  const counted: string[] = [];
  let answer = (): void => {};
  const client = await box.connect({
    authenticate: () => new Promise((resolve) => (answer = () => resolve(undefined))),
    onLogin: (remote, ok, user) => counted.push(`${remote} ${user} ${ok}`),
  });
  await client.run('C: USER mrose', 'S: +OK');
  assert.deepEqual(counted, []);
  client.send('PASS wrong\r\n');
  client.session.disconnected();
  answer();
  assert.equal(await client.rest(), '');
  assert.deepEqual(counted, ['127.0.0.1 mrose false']);
  box.remove();
});
