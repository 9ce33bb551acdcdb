import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { createTransport } from 'nodemailer';
import { canonicalAddress } from '../../src/contacts/address.ts';
import { failCommits } from '../../src/testing/failing-commits.ts';
import { systemError } from '../../src/testing/failing-files.ts';
import { until } from '../../src/testing/virtual-scheduler.ts';
import { ANNA_ID, MUM_ID, TOM_ID } from '../contacts/ids.ts';
import { ANNA, bench, LIMIT, MUM, PASSWORD } from './bench.ts';

const SQLITE_FULL = 13;

/** The one mail that is kept, cut. */
function parts(mails: Buffer[]): { header: string; body: Buffer } {
  assert.equal(mails.length, 1);
  const at = mails[0]!.indexOf('\r\n\r\n');
  return { header: mails[0]!.subarray(0, at + 2).toString('utf8'), body: mails[0]!.subarray(at + 4) };
}

test('the greeting names what is supported, and nothing that is not', async (t) => {
  const client = (await bench(t)).connect();
  await client.read();
  const lines = (await client.say('EHLO client')).split('\n').map((line) => line.slice(4));
  assert.deepEqual(lines.slice(1).sort(), [
    '8BITMIME',
    'AUTH PLAIN LOGIN',
    'DSN',
    'ENHANCEDSTATUSCODES',
    'PIPELINING',
    `SIZE ${LIMIT}`,
    'SMTPUTF8',
  ]);
  assert.match(await client.say('STARTTLS'), /^500 5\.5\.\d /);
});

test('a client that writes all its commands before the greeting gets every answer in order', async (t) => {
  const client = (await bench(t)).connect();
  client.write('EHLO client\r\nNOOP\r\nQUIT\r\n');
  assert.match(await client.read(), /^220 /);
  assert.match(await client.read(), /^250-.*SIZE/s);
  assert.match(await client.read(), /^250 2\.0\.0 /);
  assert.match(await client.read(), /^221 2\.0\.0 /);
  assert.equal(await client.read(), '');
});

test('nothing goes without log-in, and a wrong password is told as such until the connection ends', async (t) => {
  const client = (await bench(t)).connect();
  await client.read();
  await client.say('EHLO client');
  assert.match(await client.say('MAIL FROM:<mum@tox>'), /^530 5\.7\.0 /);
  const wrong = `AUTH PLAIN ${Buffer.from('\0mum\0wrong').toString('base64')}`;
  assert.match(await client.say(wrong), /^535 5\.7\.8 /);
  assert.match(await client.say('AUTH PLAIN !!!'), /^50\d 5\.\d\.\d /);
  assert.match(await client.say(wrong), /^535 5\.7\.8 /);
  assert.match(await client.say(wrong), /^421 4\.7\.0 /);
  assert.equal(await client.read(), '');
});

test('log-in takes the name in any case, every address form, and AUTH LOGIN', async (t) => {
  const { connect } = await bench(t);
  for (const user of ['MUM', 'mum@tox', 'Mum@TOX.alt', MUM, `${MUM_ID}@tox`, `${MUM_ID.slice(0, 64)}@tox`]) {
    assert.match(await connect().logIn(user, PASSWORD), /^235 /, user);
  }
  const client = connect();
  await client.read();
  await client.say('EHLO client');
  assert.match(await client.say('AUTH LOGIN'), /^334 /);
  assert.match(await client.say(Buffer.from('mum').toString('base64')), /^334 /);
  assert.match(await client.say(Buffer.from(PASSWORD).toString('base64')), /^235 /);
});

test('each recipient that cannot be reached is refused with its own code and advice', async (t) => {
  const client = await (await bench(t)).loggedIn();
  assert.match(await client.say('MAIL FROM:<anything@example.com> SIZE=1000 BODY=8BITMIME'), /^250 2\.1\.0 /);
  assert.match(await client.say('RCPT TO:<nobody@tox>'), /^550 5\.1\.1 .*contact add/);
  assert.match(await client.say(`RCPT TO:<${TOM_ID.slice(0, 75)}1@tox>`), /^501 5\.1\.3 .*checksum/);
  assert.match(await client.say('RCPT TO:<stranger@example.org>'), /^550 5\.1\.1 .*Tox ID/);
  assert.match(await client.say('RCPT TO:<no address>'), /^501 5\.1\.3 /);
  assert.match(await client.say('RCPT TO:<anna+garden@tox>'), /^250 2\.1\.5 /);
  assert.match(await client.say('RCPT TO:<anna@example.org>'), /^250 2\.1\.5 /);
  assert.match(await client.say(`RCPT TO:<${ANNA_ID}@tox.alt>`), /^250 2\.1\.5 /);
  assert.match(await client.say('RCPT TO:<tom@tox>'), /^250 2\.1\.5 /);
});

test('a mail is queued once per person, with canonical addresses and without traces of the machine', async (t) => {
  const { queue, kept, loggedIn } = await bench(t).then((b) => ({ ...b, loggedIn: () => b.loggedIn() }));
  const client = await loggedIn();
  await client.say('MAIL FROM:<mum@tox>');
  for (const to of ['anna@tox', 'anna@example.org', 'tom@tox']) await client.say(`RCPT TO:<${to}>`);
  assert.match(await client.say('DATA'), /^354 /);
  client.write(
    [
      'Received: from laptop.home ([192.168.1.7])',
      '\tby relay',
      'From: "Mum, M." <mum@gmail.example>',
      'To: Anna <anna@example.org>, tom@tox (my son),',
      ' Stranger <x@y.example>',
      'Bcc: secret@tox',
      'User-Agent: Mozilla Thunderbird',
      'X-Mozilla-Status: 0001',
      'Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=',
      'X-Weird:  kept   as is ',
      '',
      'body',
      '..dot',
      '.',
      '',
    ].join('\r\n'),
  );
  assert.match(await client.read(), /^250 2\.6\.0 Queued as [0-9a-f]{8}$/);
  const { header, body } = parts(kept());
  assert.equal(body.toString(), 'body\r\n.dot\r\n');
  assert.doesNotMatch(header, /Received|192\.168|gmail|secret|Mozilla|example\.org/i);
  assert.match(header, new RegExp(`^From: "Mum, M\\." <${MUM}>\r$`, 'm'));
  const unfolded = header.replaceAll('\r\n ', ' ');
  assert.match(unfolded, new RegExp(`^To: Anna <${ANNA}>, ${canonicalAddress(TOM_ID)} \\(my son\\), `, 'm'));
  assert.match(unfolded, /Stranger <x@y\.example>\r$/m);
  assert.match(header, /^Subject: =\?utf-8\?Q\?Gr=C3=BC=C3=9Fe\?=\r$/m);
  assert.match(header, /^X-Weird: {2}kept {3}as is \r$/m);
  assert.match(header, /^Message-ID: <[0-9a-f]{32}@tox>\r$/m);
  assert.match(header, /^Date: .* \+0000\r$/m);
  const rows = queue.list();
  assert.deepEqual(
    rows.map(({ account, from, to }) => [account, from, to]),
    [
      ['mum', 'mum@tox', 'anna@tox'],
      ['mum', 'mum@tox', 'tom@tox'],
    ],
  );
  assert.equal(rows[0]!.size, kept()[0]!.length);
});

test('the body arrives byte for byte, whatever its bytes and however it is cut', async (t) => {
  const b = await bench(t);
  const body = Buffer.concat([
    Buffer.from('.\r\n..\r\nlone \r and \n\n.\nend '),
    Buffer.from(Array.from({ length: 60_000 }, (_, i) => (i * 7919) % 251)),
    Buffer.from('\r\n'),
  ]);
  const stuffed = Buffer.from(body.toString('latin1').replace(/(^|\r\n)\./g, '$1..'), 'latin1');
  const client = await b.loggedIn();
  await client.say('MAIL FROM:<>');
  await client.say('RCPT TO:<anna@tox>');
  await client.say('DATA');
  const bytes = Buffer.concat([Buffer.from('Subject: x\r\n\r\n'), stuffed, Buffer.from('.\r\n')]);
  for (let at = 0, size = 1; at < bytes.length; at += size, size = ((size * 7) % 4_001) + 1) {
    client.write(bytes.subarray(at, at + size));
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.match(await client.read(), /^250 2\.6\.0 /);
  const got = parts(b.kept()).body;
  assert.ok(got.equals(body), `${got.length} of ${body.length} bytes`);
});

test('a mail from nodemailer with an attachment is taken as it is', async (t) => {
  const b = await bench(t);
  const transport = createTransport({ host: '127.0.0.1', port: b.port, auth: { user: 'mum', pass: PASSWORD } });
  t.after(() => transport.close());
  await transport.sendMail({
    from: 'Mum <mum@tox>',
    to: 'Anna <anna@tox>',
    subject: 'Photo',
    text: 'see',
    attachments: [{ filename: 'a.bin', content: Buffer.alloc(20_000, 7) }],
  });
  const { header, body } = parts(b.kept());
  assert.match(header, new RegExp(`^To: Anna\\s+<${ANNA}>\r$`, 'm'));
  assert.match(body.toString(), /a\.bin/);
});

test('the domain under which a program sends is the one that it knows its account by', async (t) => {
  const server = await bench(t);
  const client = await server.loggedIn();
  for (const [from, domain] of [
    ['mum@example.org', undefined],
    ['mum@tox.alt', 'tox.alt'],
    ['', 'tox.alt'],
    ['mum@tox', 'tox'],
  ] as const) {
    await client.say(`MAIL FROM:<${from}>`);
    await client.say('RCPT TO:<anna@tox>');
    await client.say('DATA');
    assert.match(await client.say('Subject: x\r\n\r\nbody\r\n.'), /^250 /);
    assert.equal(server.accounts.get('mum')?.domain, domain);
  }
});

test('too big a mail is refused at MAIL, and at its end if its size was not told; nothing stays', async (t) => {
  const b = await bench(t);
  const client = await b.loggedIn();
  assert.match(await client.say(`MAIL FROM:<mum@tox> SIZE=${LIMIT + 1}`), /^552 5\.3\.4 /);
  await client.say('MAIL FROM:<mum@tox>');
  await client.say('RCPT TO:<anna@tox>');
  await client.say('DATA');
  client.write(`Subject: x\r\n\r\n${`${'x'.repeat(998)}\r\n`.repeat(120)}.\r\n`);
  assert.match(await client.read(), /^552 5\.3\.4 /);
  assert.deepEqual([b.kept(), b.queue.list()], [[], []]);
  assert.match(await client.say('MAIL FROM:<mum@tox>'), /^250 /);
});

test('a client that breaks off in the middle of a mail leaves nothing behind', async (t) => {
  const b = await bench(t);
  const client = await b.loggedIn();
  await client.say('MAIL FROM:<mum@tox>');
  await client.say('RCPT TO:<anna@tox>');
  await client.say('DATA');
  client.write(`Subject: x\r\n\r\n${'half a mail\r\n'.repeat(6_000)}`);
  await until(() => b.spoolCount() === 1);
  client.close();
  await until(() => b.spoolCount() === 0);
  assert.deepEqual(b.queue.list(), []);
});

test('a disk that fails is a temporary error, not a lost mail', async (t) => {
  const b = await bench(t);
  const client = await b.loggedIn();
  const codes = { ENOSPC: /^452 4\.3\.1 /, EIO: /^451 4\.3\.0 / };
  for (const [code, expected] of Object.entries(codes)) {
    for (const operation of ['open', 'write', 'sync', 'syncFolder']) {
      b.files.fail = (name) => (name === operation ? systemError(code) : undefined);
      await client.say('MAIL FROM:<mum@tox>');
      await client.say('RCPT TO:<anna@tox>');
      await client.say('DATA');
      client.write(`Subject: x\r\n\r\n${'too large for a row\r\n'.repeat(4_000)}.\r\n`);
      assert.match(await client.read(), expected, `${code} at ${operation}`);
    }
  }
  assert.deepEqual([b.kept(), b.queue.list()], [[], []]);
});

test('a database that cannot commit is a temporary error for small and large mails, and nothing stays', async (t) => {
  const b = await bench(t);
  const client = await b.loggedIn();
  let error: Error | undefined;
  failCommits(b.db, (when) => (when === 'before' ? error : undefined));
  const failures = [
    [/^451 4\.3\.0 /, 10],
    [/^452 4\.3\.1 /, SQLITE_FULL],
  ] as const;
  for (const [expected, errcode] of failures) {
    error = Object.assign(new Error('disk'), { errcode });
    for (const lines of [1, 8_000]) {
      await client.say('MAIL FROM:<mum@tox>');
      await client.say('RCPT TO:<anna@tox>');
      await client.say('DATA');
      client.write(`Subject: x\r\n\r\n${'hi there\r\n'.repeat(lines)}.\r\n`);
      assert.match(await client.read(), expected);
      assert.deepEqual([b.kept(), b.queue.list()], [[], []]);
    }
  }
  error = undefined;
  await client.say('MAIL FROM:<mum@tox>');
  await client.say('RCPT TO:<anna@tox>');
  await client.say('DATA');
  client.write('Subject: x\r\n\r\nhi\r\n.\r\n');
  assert.match(await client.read(), /^250 /);
  assert.equal(b.kept().length, 1);
});

test('garbage gets standard errors, is bounded, and does not disturb others', async (t) => {
  const b = await bench(t);
  const other = await b.loggedIn();
  const client = await b.loggedIn();
  assert.match(await client.say('NONSENSE'), /^500 5\.5\.\d /);
  assert.match(await client.say('RCPT TO:<anna@tox>'), /^503 5\.5\.1 /);
  assert.match(await client.say('DATA'), /^503 5\.5\.1 /);
  assert.match(await client.say('MAIL FROM:mum'), /^501 5\.1\.7 /);
  assert.match(await client.say('MAIL FROM:<mum@tox> SIZE=abc'), /^501 5\.5\.4 /);
  assert.match(await client.say(`NOOP ${'x'.repeat(10_000)}`), /^421 4\.\d\.\d .*too long/);
  assert.equal(await client.read(), '');
  const http = b.connect();
  await http.read();
  assert.match(await http.say('GET / HTTP/1.1'), /^421 /);
  const early = b.connect();
  early.write(Buffer.from(Array.from({ length: 5_000 }, (_, i) => (i * 31) % 256)));
  await early.read();
  assert.match(await other.say('NOOP'), /^250 2\.0\.0 /);
});

test('commands sent in one piece are answered one by one', async (t) => {
  const b = await bench(t);
  const client = await b.loggedIn();
  const mail = 'MAIL FROM:<mum@tox>\r\nRCPT TO:<anna@tox>\r\nRCPT TO:<nobody@tox>\r\nDATA\r\n';
  client.write(mail);
  for (const reply of [/^250 /, /^250 /, /^550 5\.1\.1 /, /^354 /]) assert.match(await client.read(), reply);
  client.write(`Subject: 1\r\n\r\n1\r\n.\r\n${mail}`);
  for (const reply of [/^250 2\.6\.0 /, /^250 /, /^250 /, /^550 /, /^354 /]) assert.match(await client.read(), reply);
  client.write('Subject: 2\r\n\r\n2\r\n.\r\nQUIT\r\n');
  for (const reply of [/^250 2\.6\.0 /, /^221 /]) assert.match(await client.read(), reply);
  assert.equal(b.queue.list().length, 2);
});

test('stopping tells idle programs and does not wait until they hang up', async (t) => {
  const b = await bench(t);
  const idle = connect({ port: b.port, host: '127.0.0.1', allowHalfOpen: true }); // hears the end and stays
  t.after(() => idle.destroy());
  let heard = '';
  idle.on('data', (data) => {
    heard += data;
  });
  await once(idle, 'data');
  const ended = once(idle, 'end');
  const began = performance.now();
  await b.server.close();
  assert.ok(performance.now() - began < 1_500, 'less than what mails under way get');
  await ended;
  assert.match(heard, /^220 .*\r\n421 4\.3\.2 .*\r\n$/);
});

test('a program that is logged in to an account that was removed is told so', async (t) => {
  const b = await bench(t);
  const client = await b.loggedIn();
  b.accounts.remove('mum');
  assert.match(await client.say('MAIL FROM:<mum@tox>'), /^550 5\.1\.1 This account does not exist any more/);
});
