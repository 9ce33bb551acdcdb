import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { outwardAddresses } from '../packages/toxmail/src/base/addresses.ts';
import { until } from '../packages/toxmail/test/daemon/processes.ts';
import { programsMissing } from './mail-server/programs.ts';
import { Toxmail } from './mail-server/toxmail.ts';
import { TemporaryFolder } from './oracle/tools.ts';

const run = promisify(execFile);
const skip = await programsMissing('openssl', 'certtool', 'certutil', 'curl', 'swaks', 'xmllint');

/** TLS as others see it: three libraries judge our certificates, and programs of every day use them. */
describe('TLS and settings, judged by other programs', { skip, timeout: 120_000 }, () => {
  let folder: TemporaryFolder;
  let toxmail: Toxmail;
  let listeners: Record<string, { host: string; port: number }>;
  let ca: string;
  const ends: (() => void)[] = [];

  before(async () => {
    folder = await TemporaryFolder.create();
    const scope = { after: (end: () => void) => void ends.push(end) };
    toxmail = await Toxmail.prepare(scope, folder.join('data'), 'none', ['mum', 'tom']);
    toxmail.configure('listen = "0.0.0.0"', 'tls-name = ["mail.fritz.box"]');
    await toxmail.start();
    listeners = await toxmail.listeners();
    ca = folder.join('data/tls/ca.pem');
  });

  after(async () => {
    await toxmail?.stop();
    for (const end of ends) end();
    await folder?.[Symbol.asyncDispose]();
  });

  test('GnuTLS and NSS, which Thunderbird uses, accept the chain with its name constraints', async () => {
    const pem = readFileSync(folder.join('data/tls/server.pem'), 'latin1');
    const [leaf] = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/)!;
    const path = folder.join('leaf.pem');
    writeFileSync(path, `${leaf}\n`);
    const { stdout } = await run('certtool', ['--verify', '--load-ca-certificate', ca, '--infile', path]);
    assert.match(stdout, /The certificate is trusted/);
    const store = `sql:${folder.join('nss')}`;
    mkdirSync(folder.join('nss'));
    await run('certutil', ['-N', '-d', store, '--empty-password']);
    await run('certutil', ['-A', '-d', store, '-n', 'authority', '-t', 'C,,', '-i', ca]);
    await run('certutil', ['-A', '-d', store, '-n', 'leaf', '-t', ',,', '-i', path]);
    assert.match((await run('certutil', ['-V', '-d', store, '-n', 'leaf', '-u', 'V'])).stdout, /certificate is valid/);
  });

  test('OpenSSL accepts every port under the names in use, at once or after STARTTLS, and no others', async () => {
    const ways: [name: string, starttls?: string][] = [['smtps'], ['pop3s'], ['smtp', 'smtp'], ['pop3', 'pop3']];
    if (listeners.imap) ways.push(['imaps'], ['imap', 'imap']);
    for (const [name, starttls] of ways) {
      const verify = (host: string): Promise<string> =>
        openssl(listeners[name]!.port, ca, ...(starttls ? ['-starttls', starttls] : []), '-verify_hostname', host);
      for (const host of ['localhost', 'mail.fritz.box']) assert.match(await verify(host), /Verification: OK/, name);
      assert.doesNotMatch(await verify('example.org'), /Verification: OK/, name);
    }
    const old = await openssl(listeners.pop3s!.port, ca, '-tls1_1', '-cipher', 'DEFAULT@SECLEVEL=0');
    assert.doesNotMatch(old, /Verification: OK/);
  });

  test('swaks sends over STARTTLS and TLS, curl reads over STLS and TLS, from another address as well', async () => {
    const outward = outwardAddresses().find(({ family }) => family === 'IPv4')?.address;
    const host = outward ?? '127.0.0.1';
    const password = (name: string): string => toxmail.passwords.get(name)!;
    for (const [name, how] of [
      ['smtp', '--tls'],
      ['smtps', '--tls-on-connect'],
    ] as const)
      await run('swaks', [
        ...['--server', host, '--port', String(listeners[name]!.port), how, '--tls-verify', '--tls-ca-path', ca],
        ...['--auth', 'PLAIN', '--auth-user', 'mum@tox', '--auth-password', password('mum')],
        ...['--from', 'mum@tox', '--to', 'tom@tox', '--header', `Subject: over ${name}`],
      ]);
    const trust = ['-sS', '--cacert', ca, '-u', `tom:${password('tom')}`, '--connect-to', `::${host}:`];
    const read = (url: string, ...more: string[]): Promise<string> =>
      run('curl', [...trust, ...more, url]).then(({ stdout }) => stdout);
    const tls = `pop3s://localhost:${listeners.pop3s!.port}/`;
    const starttls = `pop3://localhost:${listeners.pop3!.port}/`;
    await until('both are delivered next door', async () => (await read(tls)).trim().split('\n').length === 2);
    assert.match(await read(`${starttls}1`, '--ssl-reqd'), /Subject: over smtp/);
    assert.match(await read(`${tls}2`), /Subject: over smtp/);
    if (outward) await assert.rejects(read(starttls), /curl/); // in clear, nobody logs in from there
  });

  test('xmllint finds nothing wrong with what programs fetch', async () => {
    const web = `http://localhost:${listeners.web!.port}`;
    const body = '<Autodiscover><Request><EMailAddress>mum@tox.alt</EMailAddress></Request></Autodiscover>';
    for (const [index, args] of [
      [`${web}/mail/config-v1.1.xml`],
      [`${web}/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress=mum%40tox.alt`],
      ['-d', body, `${web}/autodiscover/autodiscover.xml`],
      [`${web}/apple.mobileconfig?account=mum`],
    ].entries()) {
      const file = folder.join(`${index}.xml`);
      await run('curl', ['-sSf', '-o', file, ...args]);
      await run('xmllint', ['--nonet', '--noout', file]);
    }
  });
});

/** What `s_client` says about the connection; it says QUIT at once. */
async function openssl(port: number, ca: string, ...more: string[]): Promise<string> {
  const args = ['s_client', '-connect', `127.0.0.1:${port}`, '-CAfile', ca, '-brief', ...more];
  const child = run('openssl', args);
  child.child.stdin?.end('QUIT\r\n');
  try {
    const { stdout, stderr } = await child;
    return stdout + stderr;
  } catch (error) {
    return String((error as { stderr?: string }).stderr ?? error);
  }
}
