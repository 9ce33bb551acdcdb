import assert from 'node:assert/strict';
import { request } from 'node:http';
import { request as requestTls } from 'node:https';
import { connect } from 'node:net';
import { test } from 'node:test';
import { silentLogger } from '../../src/base/log.ts';
import { WebServer } from '../../src/web/server.ts';
import { outwardAddress, temporaryTls } from '../tls/pair.ts';

const LISTENERS = {
  smtp: { port: 2525 },
  smtps: { port: 2465 },
  imap: { port: 2143 },
  imaps: { port: 2993 },
  pop3: { port: 2110 },
  pop3s: { port: 2995 },
};

interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

interface Ask {
  readonly host?: string;
  readonly to?: string;
  readonly method?: string;
  readonly body?: string;
  readonly tls?: boolean;
}

async function withServer(
  use: (get: (path: string, ask?: Ask) => Promise<Reply>, port: number, server: WebServer) => Promise<void>,
) {
  const { tls: provider, ca, remove } = await temporaryTls();
  const server = new WebServer({
    log: silentLogger,
    tls: provider,
    listeners: () => LISTENERS,
    names: () => ['pi', 'pi.local'],
    authority: async () => ({ certificate: ca, fingerprint: 'AB:CD' }),
  });
  const { port } = await server.listen({ host: '0.0.0.0', port: 0 });
  const get = (
    path: string,
    { host = `localhost:${port}`, to = '127.0.0.1', method, body, tls = false }: Ask = {},
  ): Promise<Reply> =>
    new Promise((resolve, reject) => {
      const headers = { host, connection: 'close' };
      const options = { port, host: to, path, method: method ?? 'GET', headers, ca };
      const asked = (tls ? requestTls : request)(options, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (part) => {
          text += part;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
      });
      asked.on('error', reject);
      asked.end(body);
    });
  try {
    await use(get, port, server);
  } finally {
    await server.close();
    remove();
  }
}

/** Fails unless every element is closed in order: what programs need of our XML. */
function wellFormed(text: string): void {
  const open: string[] = [];
  for (const [, closing, name, self] of text.matchAll(/<(\/?)([A-Za-z]+)(?:\s[^<>]*?)?(\/?)>/g)) {
    if (self) continue;
    if (closing) assert.equal(open.pop(), name);
    else open.push(name!);
  }
  assert.deepEqual(open, []);
  assert.doesNotMatch(text.replace(/&#\d+;/g, ''), /&/);
}

test('Thunderbird finds its settings at both addresses, with and without the mail address', async () => {
  await withServer(async (get) => {
    for (const path of [
      '/.well-known/autoconfig/mail/config-v1.1.xml',
      '/mail/config-v1.1.xml',
      '/mail/config-v1.1.xml?emailaddress=mum%40tox.alt',
    ]) {
      const { status, headers, text } = await get(path);
      assert.equal(status, 200);
      assert.match(String(headers['content-type']), /^text\/xml/);
      wellFormed(text);
      assert.match(text, /<domain>tox\.alt<\/domain>/);
      const incoming = [
        ...text.matchAll(/<incomingServer type="(\w+)">\s*<hostname>localhost<\/hostname>\s*<port>(\d+)/g),
      ];
      assert.deepEqual(
        incoming.map(([, type, port]) => `${type} ${port}`),
        ['imap 2143', 'pop3 2110'],
      );
      assert.match(text, /<outgoingServer type="smtp">\s*<hostname>localhost<\/hostname>\s*<port>2525</);
      assert.match(text, /<socketType>plain</);
      assert.match(text, /<username>%EMAILADDRESS%</);
    }
  });
});

test('from another machine all settings are those of TLS', { skip: !outwardAddress && 'no network' }, async () => {
  await withServer(async (get, port) => {
    const ask = { to: outwardAddress!, host: `pi.local:${port}` };
    const { text } = await get('/mail/config-v1.1.xml', ask);
    assert.doesNotMatch(text, /plain/);
    for (const number of [2993, 2995, 2465])
      assert.match(text, new RegExp(`<hostname>pi.local</hostname>\\s*<port>${number}</port>\\s*<socketType>SSL<`));
    const profile = (await get('/apple.mobileconfig?account=mum', ask)).text;
    assert.match(profile, /<key>PayloadType<\/key><string>com\.apple\.security\.root</);
    assert.match((await get('/', ask)).text, /AB:<wbr>CD/);
    const foreign = await get('/', { to: outwardAddress!, host: '[2001:db8::9]' });
    assert.match(foreign.text, /not for <code>2001:db8::9</);
    const byAddress = await get('/', { to: outwardAddress!, host: outwardAddress! });
    assert.doesNotMatch(byAddress.text, /The certificate is not for/);
  });
});

test('the same port speaks HTTPS, with the certificate of the mail servers', async () => {
  await withServer(async (get, port, server) => {
    const plain = await get('/', { to: '127.0.0.1' });
    assert.deepEqual([plain.status, (await get('/', { tls: true })).text], [200, plain.text]);
    const long = { method: 'POST', body: 'x'.repeat(20_000), tls: true };
    assert.equal((await get('/autodiscover/autodiscover.xml', long)).status, 413);
    const broken = [Buffer.from([22, 3, 1, 0, 5, 1, 2, 3, 4, 5]), Buffer.from([22]), Buffer.alloc(0)].map((bytes) => {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => {});
      socket.write(bytes);
      return new Promise((resolve) => socket.resume().on('close', resolve));
    });
    assert.equal((await get('/', { tls: true })).status, 200);
    await server.close(); // ends with none of them left
    await Promise.all(broken);
  });
});

test('Autodiscover answers a request for an address, which is escaped like all that comes from outside', async () => {
  await withServer(async (get) => {
    const body = (address: string): string =>
      `<?xml version="1.0"?><Autodiscover><Request><EMailAddress>${address}</EMailAddress></Request></Autodiscover>`;
    const path = '/Autodiscover/Autodiscover.xml';
    const { status, text } = await get(path, { method: 'POST', body: body('mum@tox.alt') });
    assert.equal(status, 200);
    wellFormed(text);
    assert.deepEqual(
      [...text.matchAll(/<Type>(\w+)<\/Type>[\s\S]*?<Port>(\d+)</g)].map(([, type, port]) => `${type} ${port}`),
      ['IMAP 2143', 'POP3 2110', 'SMTP 2525'],
    );
    assert.match(text, /<LoginName>mum@tox\.alt</);
    wellFormed((await get(path, { method: 'POST', body: body('a&amp;"\'@x') })).text);
    for (const bad of ['', 'x', body('<b>'), body('')])
      assert.equal((await get(path, { method: 'POST', body: bad })).status, 400);
    assert.equal((await get(path)).status, 405);
  });
});

test('an Apple profile names the account and never a password', async () => {
  await withServer(async (get) => {
    const { status, headers, text } = await get('/apple.mobileconfig?account=Mum');
    assert.equal(status, 200);
    assert.equal(headers['content-type'], 'application/x-apple-aspen-config');
    wellFormed(text.replace(/<\?xml.*\?>|<!DOCTYPE.*>/g, ''));
    assert.match(text, /<key>EmailAddress<\/key><string>mum@tox\.alt</);
    assert.match(text, /<key>IncomingMailServerPortNumber<\/key><integer>2143</);
    assert.doesNotMatch(text, /<key>(?:Incoming|Outgoing)Password</);
    for (const account of ['', 'a b', '<x>', '../x', 'x'.repeat(65)])
      assert.equal((await get(`/apple.mobileconfig?account=${encodeURIComponent(account)}`)).status, 400);
  });
});

test('a page elsewhere that makes its name mean our address gets nothing', async () => {
  await withServer(async (get) => {
    for (const host of ['evil.example', 'evil.example:2580', 'pi.local.evil.example', 'localhost@evil.example', 'a/b'])
      assert.equal((await get('/mail/config-v1.1.xml', { host })).status, 421, host);
    for (const host of ['PI', 'pi.local:1', '127.0.0.1:5', '[::1]:5', 'localhost'])
      assert.equal((await get('/mail/config-v1.1.xml', { host })).status, 200, host);
  });
});

test('pages carry no script, run none, and are not kept', async () => {
  await withServer(async (get) => {
    const { headers, text } = await get('/');
    assert.match(String(headers['content-security-policy']), /default-src 'none'.*frame-ancestors 'none'/);
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['cache-control'], 'no-store');
    assert.equal(headers['access-control-allow-origin'], undefined);
    assert.doesNotMatch(text, /<script|https?:/);
  });
});

test('long requests, strange methods and unknown paths get short answers', async () => {
  await withServer(async (get, port) => {
    const long = { method: 'POST', body: 'x'.repeat(20_000) };
    assert.equal((await get('/autodiscover/autodiscover.xml', long)).status, 413);
    for (const path of ['/x', '/../etc/passwd', '//evil.example/', '/__proto__', '/constructor'])
      assert.equal((await get(path)).status, 404, path);
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) assert.equal((await get('/', { method })).status, 405);
    const head = await get('/', { method: 'HEAD' });
    assert.deepEqual([head.status, head.text], [200, '']);
    for (const bytes of [`GET / HTTP/1.1\r\nX: ${'y'.repeat(9_000)}\r\n\r\n`, 'garbage\r\n\r\n', '\0'.repeat(100)]) {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => {});
      socket.write(bytes);
      socket.resume();
      await new Promise((resolve) => socket.on('close', resolve));
    }
    assert.equal((await get('/')).status, 200);
  });
});
