import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settle } from '../../../src/testing/virtual-scheduler.ts';
import { ImapBox } from '../script.ts';

const plain = (text: string): string => Buffer.from(text).toString('base64');

test('LOGIN opens the account, says what it can do, and is refused a second time', async () => {
  const client = await new ImapBox().connect();
  await client.run(
    'C: a1 SELECT INBOX',
    'S: a1 BAD Log in first',
    'C: a2 LOGIN mrc wrong',
    'S: a2 NO [AUTHENTICATIONFAILED] User name or password is wrong',
    'C: a3 LOGIN mrc {11}',
    'S: + OK',
    'C: secret word',
    'S: a3 OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID ENABLE IDLE APPENDLIMIT=10000 *',
    'C: a4 LOGIN mrc "secret word"',
    'S: a4 BAD You are logged in already',
    'C: a5 FETCH 1 FLAGS',
    'S: a5 BAD Select a folder first',
    'C: a6 LOGOUT',
    'S: * BYE Logging out',
    'S: a6 OK Done',
  );
  assert.ok(client.closed);
});

test('AUTHENTICATE PLAIN with and without an initial response, and LOGIN', async () => {
  const right = plain('\0mrc\0secret word');
  for (const script of [
    [`C: a AUTHENTICATE PLAIN ${right}`],
    ['C: a AUTHENTICATE PLAIN', 'S: + ', `C: ${right}`],
    [
      'C: a AUTHENTICATE LOGIN',
      'S: + VXNlcm5hbWU6',
      `C: ${plain('mrc')}`,
      'S: + UGFzc3dvcmQ6',
      `C: ${plain('secret word')}`,
    ],
  ]) {
    const client = await new ImapBox().connect();
    await client.run(...script, 'S: a OK [CAPABILITY *');
  }
  const client = await new ImapBox().connect();
  await client.run(
    'C: a AUTHENTICATE PLAIN',
    'S: + ',
    'C: *',
    'S: a BAD Cancelled',
    'C: b AUTHENTICATE GSSAPI',
    'S: b NO [CANNOT] Only PLAIN and LOGIN are known',
  );
});

test('three wrong log-ins end the connection', async () => {
  const client = await new ImapBox().connect();
  for (const tag of ['a', 'b', 'c'])
    await client.run(`C: ${tag} LOGIN mrc x`, `S: ${tag} NO *`, ...(tag === 'c' ? ['S: * BYE *'] : []));
  assert.ok(client.closed);
});

test('a throttled peer is turned away without a look at its password', async () => {
  const asked: string[] = [];
  const box = new ImapBox();
  const client = await box.connect({
    deps: {
      throttled: () => true,
      authenticate: async (user) => {
        asked.push(user);
        return undefined;
      },
    },
  });
  await client.run('C: a LOGIN mrc "secret word"', 'S: a NO [UNAVAILABLE] *');
  assert.deepEqual(asked, []);
});

test('where others could listen, LOGINDISABLED is said and meant', async () => {
  const client = await new ImapBox().connect({ local: false });
  await client.run(
    'C: a CAPABILITY',
    'S: * CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID ENABLE IDLE LOGINDISABLED',
    'S: a OK Done',
    'C: b LOGIN mrc "secret word"',
    'S: b NO [PRIVACYREQUIRED] Log in under TLS only',
    'C: c AUTHENTICATE PLAIN =',
    'S: c NO [PRIVACYREQUIRED] Log in under TLS only',
    'C: d STARTTLS',
    'S: d BAD TLS is not to be had here',
  );
});

test('what is sent ahead in clear behind STARTTLS never runs', async () => {
  const replies: string[] = [];
  const startTls = async (reply: Uint8Array): Promise<void> => void replies.push(Buffer.from(reply).toString());
  const client = await new ImapBox().connect({ wire: { startTls } });
  client.send('a STARTTLS\r\nb LOGIN mrc "secret word"\r\n');
  await client.ended;
  assert.deepEqual([replies, client.said], [[], '']);
  const honest = await new ImapBox().connect({ wire: { startTls } });
  await honest.run('C: a STARTTLS');
  assert.deepEqual(replies, ['a OK Begin TLS\r\n']);
});

test('before the log-in the connection ends after three minutes, after it after thirty quiet ones', async () => {
  const box = new ImapBox();
  const stranger = await box.connect();
  const known = await box.logIn();
  await box.scheduler.advance(2 * 60_000);
  await stranger.run('C: a NOOP', 'S: a OK Done'); // gives it no more time
  await box.scheduler.advance(60_001);
  await stranger.expect('* BYE Idle for too long');
  assert.equal(known.closed, false);
  await box.scheduler.advance(26 * 60_000);
  await known.run('C: a NOOP', 'S: a OK Done');
  await box.scheduler.advance(29 * 60_000);
  assert.equal(known.closed, false);
  await box.scheduler.advance(60_001);
  await known.expect('* BYE Idle for too long');
  assert.equal(box.scheduler.pending, 0);
});

test('ID, ENABLE and NAMESPACE answer; what is not known is not enabled', async () => {
  const client = await new ImapBox().logIn();
  await client.run(
    'C: a ID ("name" "x")',
    'S: * ID ("name" "Toxmail" "version" "1.2.3")',
    'S: a OK Done',
    'C: b ENABLE X-NOTHING CONDSTORE',
    'S: * ENABLED CONDSTORE',
    'S: b OK Done',
    'C: c NAMESPACE',
    'S: * NAMESPACE (("" "/")) NIL NIL',
    'S: c OK Done',
  );
});

test('bad commands are told off, and a client that sends nothing else is sent away', async () => {
  const client = await new ImapBox().connect();
  await client.run('C: a FOO', 'S: a BAD No such command', 'C: ', 'S: * BAD A tag is expected');
  for (let i = 0; i < 48; i++) client.send('a FOO\r\n');
  await client.ended;
  assert.match(client.said, /\* BYE Too many bad commands\r\n$/);
});

test('a command over the limit is refused and eaten; one without an end closes the connection', async () => {
  const client = await new ImapBox().connect();
  client.send(`a LOGIN {9000+}\r\n${'z LOGOUT\r\n'.repeat(900)}\r\nb NOOP\r\n`);
  await client.run('S: a BAD [TOOBIG] The command is too long', 'S: b OK Done');
  client.send('x'.repeat(9_000));
  await client.run('S: * BAD [TOOBIG] *', 'S: * BYE *');
  await client.ended;
});

test('commands sent ahead are bounded: reading stops and goes on', async () => {
  const box = new ImapBox();
  const client = await box.logIn();
  client.reading = false;
  for (let i = 0; i < 200; i++) client.send(`a${i} NOOP ${' '.repeat(990)}\r\n`);
  await settle();
  assert.equal(client.paused, true);
  client.reading = true;
  client.read();
  await client.reply('a199');
  assert.equal(client.paused, false);
});

test('when we stop, a client between two commands gets a BYE', async () => {
  const client = await new ImapBox().logIn();
  client.session.shutDown('Toxmail stops');
  await client.expect('* BYE Toxmail stops');
  await client.ended;
});
