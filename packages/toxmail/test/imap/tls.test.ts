import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { systemScheduler } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { ImapServer } from '../../src/imap/server.ts';
import { outwardAddress, TextClient, temporaryTls } from '../tls/pair.ts';
import { MemoryStore } from './memory-store.ts';

const LINE = /\r\n$/;
const answer = (tag: string): RegExp => new RegExp(`(^|\r\n)${tag} (OK|NO|BAD)[^\r\n]*\r\n$`);

async function serve(t: TestContext): Promise<{ port: number; tlsPort: number; ca: string }> {
  const store = new MemoryStore();
  store.inbox.deliver('Subject: x\n\nhello\n');
  const { tls, ca, remove } = await temporaryTls();
  const server = new ImapServer({
    authenticate: async (account, password) => (password === 'secret word' ? { account, store } : undefined),
    scheduler: systemScheduler,
    log: silentLogger,
    version: '1',
    tls,
  });
  t.after(async () => {
    await server.close();
    remove();
  });
  const { port } = await server.listen({ host: '0.0.0.0', port: 0 });
  const { port: tlsPort } = await server.listenTls({ host: '0.0.0.0', port: 0 });
  return { port, tlsPort, ca };
}

test('a mail is read after STARTTLS, and within TLS from the first byte', async (t) => {
  const { port, tlsPort, ca } = await serve(t);
  const upgraded = await TextClient.open(port);
  assert.match(await upgraded.until(LINE), /STARTTLS/);
  assert.match(await upgraded.ask('a STARTTLS', answer('a')), /a OK/);
  await upgraded.upgrade(ca);
  const direct = await TextClient.openTls(tlsPort, ca);
  assert.doesNotMatch(await direct.until(LINE), /STARTTLS/);
  for (const client of [upgraded, direct]) {
    assert.doesNotMatch(await client.ask('b CAPABILITY', answer('b')), /STARTTLS|LOGINDISABLED/);
    assert.match(await client.ask('c STARTTLS', answer('c')), /c BAD/);
    assert.match(await client.ask('d LOGIN mum "secret word"', answer('d')), /d OK/);
    await client.ask('e SELECT INBOX', answer('e'));
    assert.match(await client.ask('f FETCH 1 BODY[TEXT]', answer('f')), /hello/);
    assert.match(await client.ask('g LOGOUT', answer('g')), /BYE/);
    client.close();
  }
});

test('commands put in behind STARTTLS by somebody between are never run', async (t) => {
  const { port } = await serve(t);
  const client = await TextClient.open(port);
  await client.until(LINE);
  client.write('a STARTTLS\r\nb LOGIN mum "secret word"\r\n');
  assert.doesNotMatch(await client.until(/$never/), /OK/);
  assert.ok(client.ended);
});

test('from another machine nobody logs in without TLS', { skip: !outwardAddress && 'no network' }, async (t) => {
  const { port, ca } = await serve(t);
  const client = await TextClient.open(port, outwardAddress);
  assert.match(await client.until(LINE), /LOGINDISABLED/);
  assert.match(await client.ask('a LOGIN mum "secret word"', answer('a')), /a NO \[PRIVACYREQUIRED\]/);
  await client.ask('b STARTTLS', answer('b'));
  await client.upgrade(ca);
  assert.match(await client.ask('c LOGIN mum "secret word"', answer('c')), /c OK/);
  client.close();
});
