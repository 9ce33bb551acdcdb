import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { UserError } from '../../src/base/user-error.ts';
import {
  configFrom,
  dataFolder,
  formatBootstrapNode,
  parseBootstrapNode,
  readConfigFile,
} from '../../src/daemon/config.ts';
import { firstScreen } from '../../src/daemon/first-screen.ts';

const KEY = 'ab'.repeat(32);

function fileWith(text: string): ReturnType<typeof readConfigFile> {
  const folder = mkdtempSync(join(tmpdir(), 'toxmail-config-'));
  try {
    writeFileSync(join(folder, 'config.toml'), text);
    return readConfigFile(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const refusal = (act: () => unknown): string => {
  try {
    act();
  } catch (error) {
    assert.ok(error instanceof UserError, String(error));
    assert.doesNotMatch(error.message, /\n/);
    return error.message;
  }
  return assert.fail('accepted');
};

test('without settings the documented ports are used', () => {
  const config = configFrom({}, {});
  assert.deepEqual(
    [config.smtpPort, config.pop3Port, config.listen, config.udpPort, config.lanDiscovery],
    [2525, 2110, '127.0.0.1', undefined, true],
  );
});

test('without settings the public nodes are where Tox starts; naming any, or none, replaces them', () => {
  assert.ok(configFrom({}, {}).bootstrap.length >= 10);
  const named = configFrom({ bootstrap: [`a.example:1:${KEY}`] }, {}).bootstrap;
  assert.deepEqual(named, [{ host: 'a.example', port: 1, publicKey: KEY.toUpperCase() }]);
  assert.deepEqual(configFrom({ bootstrap: [] }, {}).bootstrap, []);
  assert.deepEqual(configFrom({}, { bootstrap: ['none'] }).bootstrap, []);
  assert.equal(configFrom({ 'no-lan': true }, {}).lanDiscovery, false);
});

test('where a port is any, its TLS twin is, too; a chosen port is never replaced', () => {
  assert.deepEqual([configFrom({}, {}).smtpsPort, configFrom({}, {}).pop3sPort], [2465, 2995]);
  const any = configFrom({ 'smtp-port': 0 }, { 'pop3-port': '0' });
  assert.deepEqual([any.smtpsPort, any.pop3sPort], [0, 0]);
  const { unchosenPorts } = configFrom({ 'smtps-port': 465 }, {});
  assert.ok(!unchosenPorts.includes('smtps') && unchosenPorts.includes('pop3s') && !unchosenPorts.includes('smtp'));
});

test('certificate and key come as a pair of absolute paths; names must be names', () => {
  const { ownCertificate } = configFrom({ 'tls-cert': '/c.pem' }, { 'tls-key': '/k.pem' });
  assert.deepEqual(ownCertificate, { cert: '/c.pem', key: '/k.pem' });
  assert.match(
    refusal(() => configFrom({ 'tls-cert': '/c.pem' }, {})),
    /give both/,
  );
  assert.match(
    refusal(() => configFrom({ 'tls-cert': 'c.pem', 'tls-key': '/k.pem' }, {})),
    /absolute/,
  );
  assert.deepEqual(configFrom({ 'tls-name': ['Pi.Lan', '10.0.0.7'] }, {}).tlsNames, ['pi.lan', '10.0.0.7']);
  for (const name of ['*.example.org', 'a b', 'fe80::1%eth0', 'http://x', ''])
    assert.match(
      refusal(() => configFrom({ 'tls-name': name }, {})),
      /tls-name/,
    );
});

test('a flag wins over the file', () => {
  const file = fileWith(`smtp-port = 1000\npop3-port = 1001\nbootstrap = ["a.example:1:${KEY}"]\nlog-json = true\n`);
  const config = configFrom(file, { 'smtp-port': '0' });
  assert.equal(config.smtpPort, 0);
  assert.equal(config.pop3Port, 1001);
  assert.equal(config.logJson, true);
  assert.deepEqual(config.bootstrap, [{ host: 'a.example', port: 1, publicKey: KEY.toUpperCase() }]);
});

test('an unknown setting is an error that names it', () => {
  assert.match(
    refusal(() => fileWith('smpt-port = 1\n')),
    /"smpt-port"\. Did you mean smtp-port\?/,
  );
  assert.match(
    refusal(() => fileWith('[smtp]\nport = 1\n')),
    /"smtp"\. Known are/,
  );
});

test('a file that is not TOML is an error with the line', () => {
  assert.match(
    refusal(() => fileWith('smtp-port = 1\nthis is not\n')),
    /line 2/,
  );
  assert.match(
    refusal(() => fileWith('listen = 0.0.0.0\n')),
    /line 1: illegal .* texts in quotes/,
  );
});

test('a missing file means no settings', () => {
  assert.deepEqual(readConfigFile(join(tmpdir(), 'toxmail-no-such-folder')), {});
});

test('values of the wrong kind are refused with the name of the setting', () => {
  for (const value of [-1, 65_536, 1.5, '12a', true, [], 'ten'])
    assert.match(
      refusal(() => configFrom({ 'smtp-port': value }, {})),
      /smtp-port/,
    );
  assert.match(
    refusal(() => configFrom({ 'no-lan': 'yes' }, {})),
    /no-lan/,
  );
  assert.match(
    refusal(() => configFrom({ 'log-level': 'loud' }, {})),
    /log-level/,
  );
  assert.match(
    refusal(() => configFrom({ bootstrap: ['x:1'] }, {})),
    /HOST:PORT:KEY/,
  );
});

test('ports of the TCP relay are a list; nobody needs one', () => {
  assert.equal(configFrom({}, {}).tcpRelayPorts, undefined);
  assert.deepEqual(configFrom({}, { 'tcp-relay-port': ['0', '3389'] }).tcpRelayPorts, [0, 3389]);
  assert.deepEqual(configFrom({ 'tcp-relay-port': 33445 }, {}).tcpRelayPorts, [33445]);
  assert.match(
    refusal(() => configFrom({}, { 'tcp-relay-port': ['many'] })),
    /tcp-relay-port/,
  );
  assert.match(
    refusal(() => configFrom({ proxy: 'http://h:1', 'tcp-relay-port': 1 }, {})),
    /exclude each other/,
  );
});

test('limits of a bootstrap node are whole numbers, its words at most 256 bytes', () => {
  const { bootstrapNode } = configFrom({ motd: 'hello', 'relay-clients': 10 }, { 'relay-rate': '2' });
  assert.deepEqual(bootstrapNode, { motd: 'hello', relayClients: 10, relayRate: 2, metricsPort: undefined });
  for (const wrong of [
    { 'relay-clients': 0 },
    { 'relay-rate': 'fast' },
    { 'relay-rate': 1.5 },
    { motd: 'ä'.repeat(129) },
  ])
    assert.match(
      refusal(() => configFrom(wrong, {})),
      new RegExp(Object.keys(wrong)[0]!),
    );
});

test('a proxy is read as it stands, and refused in words if it is none', () => {
  const url = 'socks5://user:secret@tor.example:9050';
  assert.equal(configFrom({}, { proxy: url }).proxy, url);
  assert.equal(configFrom({ 'no-udp': true }, {}).udp, false);
  for (const wrong of ['127.0.0.1:9050', 'socks4://h:1', 'http://h', 'socks5://h:99999']) {
    const words = refusal(() => configFrom({ proxy: wrong }, {}));
    assert.match(words, /socks5:\/\/HOST:PORT/, wrong);
  }
});

test('the data folder: flag, then environment, then the platform', () => {
  assert.equal(dataFolder('x', { TOXMAIL_DATA: '/env' }), resolve('x'));
  assert.equal(dataFolder(undefined, { TOXMAIL_DATA: '/env' }), resolve('/env'));
  if (process.platform === 'linux') assert.equal(dataFolder(undefined, { XDG_DATA_HOME: '/xdg' }), '/xdg/toxmail');
});

test('node lines are read back as written, IPv6 in brackets', () => {
  for (const host of ['127.0.0.1', 'node.example', '2001:db8::1']) {
    const node = { host, port: 33_445, publicKey: KEY.toUpperCase() };
    assert.deepEqual(parseBootstrapNode(formatBootstrapNode(node)), node);
  }
  for (const bad of ['', `a:0:${KEY}`, `a:65536:${KEY}`, `a:1:${KEY.slice(1)}`, `a b:1:${KEY}`, `[::g]:1:${KEY}`])
    assert.equal(parseBootstrapNode(bad), undefined, bad);
});

test('no text makes the parser of node lines throw', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      parseBootstrapNode(text);
    }),
  );
});

test('the commands on the screen find the folder, also when its path has blanks', () => {
  const listeners = { smtp: { host: '127.0.0.1', port: 2525 } };
  const facts = { listeners, mailHost: '127.0.0.1', page: '', accounts: [], config: configFrom({}, {}) };
  const first = { name: 'me', password: 'p' };
  const adding = (dataDir: string): string | undefined =>
    /npx toxmail contact add NAME ADDRESS(.*)/.exec(firstScreen({ ...facts, dataDir }, first))?.[1];
  assert.equal(adding('/srv/mail'), ' --data /srv/mail');
  assert.equal(adding('/srv/my mail'), ' --data "/srv/my mail"');
  assert.equal(adding(dataFolder(undefined)), '');
});

test('the first screen tells all that a mail program asks for, and pages and servers by a name that leads there', () => {
  const ports = { smtp: 1, smtps: 2, imap: 3, imaps: 4, pop3: 5, pop3s: 6, web: 7 };
  const listeners = Object.fromEntries(Object.entries(ports).map(([name, port]) => [name, { host: '0.0.0.0', port }]));
  const facts = { dataDir: '/d', listeners, page: 'http://pi.lan:7/', accounts: [], config: configFrom({}, {}) };
  const text = firstScreen({ ...facts, mailHost: 'pi.lan' }, { name: 'mum', password: 'secret' });
  assert.match(text, /IMAP +server pi\.lan, port 4, SSL\/TLS/);
  assert.match(text, /SMTP +server pi\.lan, port 2, SSL\/TLS/);
  assert.match(text, /mum@tox\.alt[\s\S]*user +mum[\s\S]*password +secret[\s\S]*http:\/\/pi\.lan:7\//);
  const here = firstScreen({ ...facts, mailHost: '127.0.0.1' }, { name: 'mum', password: 'secret' });
  assert.match(here, /IMAP +server 127\.0\.0\.1, port 3, no encryption/);
});
