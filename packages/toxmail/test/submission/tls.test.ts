import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createTransport } from 'nodemailer';
import { outwardAddress, TextClient, temporaryTls } from '../tls/pair.ts';
import { bench, PASSWORD } from './bench.ts';

const REPLY = /^(?:\d{3}-.*\r\n)*\d{3} .*\r\n/;
const AUTH = `AUTH PLAIN ${Buffer.from(`\0mum\0${PASSWORD}`).toString('base64')}`;

/** The same, with a port for TLS from the first byte. `ca`: what clients must trust. */
async function tlsBench(t: TestContext) {
  const { tls, ca, remove } = await temporaryTls();
  t.after(remove);
  const { server, port, queue } = await bench(t, { tls });
  const { port: tlsPort } = await server.listenTls({ host: '0.0.0.0', port: 0 });
  return { server, port, tlsPort, queue, ca };
}

test('mail is handed in after STARTTLS, and within TLS from the first byte', async (t) => {
  const { port, tlsPort, ca, queue } = await tlsBench(t);
  for (const way of [
    { port, requireTLS: true },
    { port: tlsPort, secure: true },
  ]) {
    const transport = createTransport({
      host: '127.0.0.1',
      ...way,
      tls: { ca },
      auth: { user: 'mum@tox.alt', pass: PASSWORD },
    });
    await transport.sendMail({ from: 'mum@tox', to: 'tom@tox', subject: 'x', text: 'hello' });
    transport.close();
  }
  assert.equal(queue.list('mum').length, 2);
});

test('STARTTLS is offered once, and what was said before it does not count after it', async (t) => {
  const { port, ca } = await tlsBench(t);
  const client = await TextClient.open(port);
  await client.until(REPLY);
  assert.match(await client.ask('EHLO client', REPLY), /^250.STARTTLS\r$/m);
  assert.match(await client.ask(AUTH, REPLY), /^235/);
  assert.match(await client.ask('STARTTLS', REPLY), /^220/);
  await client.upgrade(ca);
  assert.match(await client.ask('MAIL FROM:<mum@tox>', REPLY), /^503/);
  assert.doesNotMatch(await client.ask('EHLO client', REPLY), /STARTTLS/);
  assert.match(await client.ask('MAIL FROM:<mum@tox>', REPLY), /^530 5\.7\.0/);
  assert.match(await client.ask('STARTTLS', REPLY), /^503/);
  client.close();
});

test('commands put in behind STARTTLS by somebody between are never run', async (t) => {
  const { port, ca } = await tlsBench(t);
  const client = await TextClient.open(port);
  await client.until(REPLY);
  await client.ask('EHLO client', REPLY);
  client.write(`STARTTLS\r\n${AUTH}\r\nMAIL FROM:<mum@tox>\r\n`);
  assert.match(await client.until(REPLY), /^220/);
  try {
    await client.upgrade(ca);
    await client.ask('EHLO client', REPLY);
    assert.match(await client.ask('RCPT TO:<tom@tox>', REPLY), /^5/); // no log-in, no MAIL
  } catch (error) {
    assert.match(String(error), /TLS|SSL|disconnected/); // the bytes broke the handshake, as good
  }
  client.close();
});

test('from another machine nobody logs in without TLS', { skip: !outwardAddress && 'no network' }, async (t) => {
  const { port, ca } = await tlsBench(t);
  const client = await TextClient.open(port, outwardAddress);
  await client.until(REPLY);
  const features = await client.ask('EHLO client', REPLY);
  assert.match(features, /STARTTLS/);
  assert.doesNotMatch(features, /AUTH/);
  assert.match(await client.ask(AUTH, REPLY), /^538 5\.7\.11 /);
  assert.match(await client.ask('MAIL FROM:<mum@tox>', REPLY), /^530/);
  await client.ask('STARTTLS', REPLY);
  await client.upgrade(ca);
  assert.match(await client.ask('EHLO client', REPLY), /AUTH PLAIN LOGIN/);
  assert.match(await client.ask(AUTH, REPLY), /^235/);
  client.close();
});

test('with a new password, or without the account, those logged in are told to go, in clear and within TLS', async (t) => {
  const { port, tlsPort, ca, server } = await tlsBench(t);
  const clients = [await TextClient.open(port), await TextClient.openTls(tlsPort, ca)];
  const stranger = await TextClient.open(port);
  for (const client of [...clients, stranger]) {
    await client.until(REPLY);
    await client.ask('EHLO client', REPLY);
  }
  for (const client of clients) assert.match(await client.ask(AUTH, REPLY), /^235/);
  server.endSessions('mum');
  for (const client of clients) {
    assert.match(await client.until(REPLY), /^421 4\.7\.0/);
    await client.until(/$never/);
  }
  assert.match(await stranger.ask('NOOP', REPLY), /^250/);
  stranger.close();
});
