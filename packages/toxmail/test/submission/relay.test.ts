import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { canonicalAddress } from '../../src/contacts/address.ts';
import { TOM_ID } from '../contacts/ids.ts';
import { ANNA, bench, MUM } from './bench.ts';

const TOM = canonicalAddress(TOM_ID);
const SENDERS = { 'mum@home.example': 'mum', '@work.example': 'tom' };

/** What a mail server says, without log-in; resolves with the reply to the end of the mail, or the first refusal. */
async function relayed(t: TestContext, mail: { from: string; to: string[]; text: string }) {
  const server = await bench(t, { senders: SENDERS });
  const client = server.connect();
  await client.read();
  await client.say('EHLO mail.example');
  let reply = await client.say(`MAIL FROM:<${mail.from}> SIZE=100 BODY=8BITMIME RET=HDRS ENVID=x1`);
  for (const to of mail.to) if (reply[0] === '2') reply = await client.say(`RCPT TO:<${to}> NOTIFY=SUCCESS,FAILURE`);
  if (reply[0] === '2') reply = await client.say('DATA');
  if (reply[0] === '3') reply = await client.say(`${mail.text}\r\n.`);
  return { reply, server, kept: server.kept().map(String), queue: server.queue.list() };
}

test('a mail server sends without log-in, as the account of the envelope sender', async (t) => {
  for (const [from, account, own] of [
    ['mum@home.example', 'mum', MUM],
    ['MUM+shop@Home.Example', 'mum', MUM],
    ['anybody@work.example', 'tom', TOM],
    ['tom@tox', 'tom', TOM],
  ] as const) {
    const { reply, kept, queue } = await relayed(t, { from, to: ['anna@tox'], text: `From: X <${from}>\r\n\r\nhi` });
    assert.match(reply, /^250 2\.6\.0 /, from);
    assert.deepEqual([queue.length, queue[0]!.account, queue[0]!.from], [1, account, from]);
    assert.match(kept[0]!, new RegExp(`^From: X <${own.replace('+', '\\+')}>\r$`, 'm'));
  }
});

test('a mail whose envelope sender is nobody’s is sent by its author, or refused for good', async (t) => {
  const to = ['anna@tox'];
  const known = await relayed(t, { from: 'srs0=x@list.example', to, text: 'From: <mum@home.example>\r\n\r\nhi' });
  assert.equal(known.queue[0]!.account, 'mum');
  const unknown = await relayed(t, { from: 'x@list.example', to, text: 'From: <x@list.example>\r\n\r\nhi' });
  assert.match(unknown.reply, /^550 5\.7\.1 /);
  assert.deepEqual([unknown.kept, unknown.queue], [[], []]);
});

test('a notice is sent by the only account that knows its recipient, and by none if there are several', async (t) => {
  const text = 'From: MAILER-DAEMON@mail.example\r\n\r\nsorry';
  const { reply, queue } = await relayed(t, { from: '', to: ['anna@example.org'], text });
  assert.match(reply, /^250 /);
  assert.deepEqual([queue[0]!.account, queue[0]!.from], ['mum', '']);
  const both = await relayed(t, { from: '', to: [ANNA], text });
  assert.match(both.reply, /^550 5\.7\.1 /);
});

test('a recipient that the sender does not know is refused at RCPT, for good', async (t) => {
  const { reply } = await relayed(t, { from: 'mum@home.example', to: ['nobody@tox'], text: '' });
  assert.match(reply, /^550 5\.1\.1 /);
  const other = await relayed(t, { from: 'tom@work.example', to: ['anna@example.org'], text: '' });
  assert.match(other.reply, /^550 5\.1\.1 /); // which only mum's contact lists
});

test('a mail that has gone in circles is refused; one hop more is told to the next server', async (t) => {
  const mail = (hops: number) => ({
    ...{ from: 'mum@home.example', to: ['anna@tox'] },
    text: `${'Received: by x; y\r\n'.repeat(hops)}Subject: s\r\n\r\nhi`,
  });
  assert.match((await relayed(t, mail(101))).reply, /^554 5\.4\.6 /);
  const { kept } = await relayed(t, mail(100));
  assert.equal(kept[0]!.match(/^Received: by tox; /gm)?.length, 100);
});

test('who is not on the list of mail servers has to log in, and who logs in is the one who sends', async (t) => {
  const closed = (await bench(t)).connect();
  await closed.read();
  await closed.say('EHLO x');
  assert.match(await closed.say('MAIL FROM:<mum@home.example>'), /^530 5\.7\.0 /);
  const server = await bench(t, { senders: SENDERS });
  const client = await server.loggedIn(); // as mum
  await client.say('MAIL FROM:<tom@work.example>');
  await client.say('RCPT TO:<anna@tox>');
  await client.say('DATA');
  await client.say('From: <tom@work.example>\r\n\r\nhi\r\n.');
  assert.equal(server.queue.list()[0]!.account, 'mum');
});
