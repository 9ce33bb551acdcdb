import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type ConnectionOptions, connect, type PeerCertificate, type TLSSocket } from 'node:tls';
import { realFiles } from '../../src/base/files.ts';
import { createLogger } from '../../src/base/log.ts';
import { until, VirtualScheduler } from '../../src/testing/virtual-scheduler.ts';
import { covers, machineNames, permittedNames } from '../../src/tls/names.ts';
import { TlsProvider, type TlsProviderDeps } from '../../src/tls/provider.ts';

const DAY_MS = 24 * 3_600_000;

/** The calendar can be turned without the minutes between. */
class Calendar extends VirtualScheduler {
  ahead = 0;
  override unixMs(): number {
    return super.unixMs() + this.ahead;
  }
}

/** A data folder's tls/, a provider on it, and a server that says one byte over TLS. */
class Place {
  readonly folder = mkdtempSync(join(tmpdir(), 'toxmail-tls-'));
  readonly scheduler = new Calendar();
  readonly logged: string[] = [];
  readonly #closing: (() => void)[] = [];

  async open(more: Partial<TlsProviderDeps> = {}): Promise<{ provider: TlsProvider; port: number }> {
    const provider = await TlsProvider.open({
      files: realFiles,
      scheduler: this.scheduler,
      log: createLogger({ level: 'info', json: false, unixMs: () => 0, write: (line) => this.logged.push(line) }),
      folder: this.folder,
      names: () => machineNames('127.0.0.1', []),
      ...more,
    });
    const server: Server = createServer((socket) => {
      socket.on('error', () => {});
      provider.accept(socket).then(
        (secure) => secure.end('x'),
        () => {},
      );
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    this.#closing.push(() => {
      provider.stop();
      server.close();
    });
    return { provider, port: (server.address() as { port: number }).port };
  }

  get authority(): string {
    return readFileSync(join(this.folder, 'ca.pem'), 'utf8');
  }

  remove(): void {
    for (const close of this.#closing) close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function withPlace(use: (place: Place) => Promise<void>): Promise<void> {
  const place = new Place();
  try {
    await use(place);
  } finally {
    place.remove();
  }
}

/** The certificate that a client which trusts `ca` is shown; rejects if it does not accept it. */
function shown(port: number, ca: string, host: string, options: ConnectionOptions = {}): Promise<PeerCertificate> {
  return new Promise((resolve, reject) => {
    const sni = /^[\d.:]+$/.test(host) ? {} : { servername: host };
    const socket: TLSSocket = connect({ port, host: '127.0.0.1', ca, ...sni, ...options }, () => {
      const certificate = socket.getPeerCertificate();
      socket.destroy();
      resolve(certificate);
    });
    socket.on('error', reject);
  });
}

test('a client that trusts the authority accepts the server under its local names and addresses', async () => {
  await withPlace(async (place) => {
    const { port } = await place.open({ names: () => machineNames('127.0.0.1', ['mail.fritz.box', '192.168.7.7']) });
    const { subjectaltname } = await shown(port, place.authority, 'localhost');
    for (const name of ['DNS:localhost', 'DNS:mail.fritz.box', 'IP Address:127.0.0.1', 'IP Address:192.168.7.7'])
      assert.ok(subjectaltname?.includes(name), name);
    await shown(port, place.authority, 'mail.fritz.box');
    await assert.rejects(shown(port, place.authority, 'example.org'));
    for (const file of ['ca.pem', 'ca-key.pem', 'server.pem'])
      assert.equal(statSync(join(place.folder, file)).mode & 0o777, 0o600, file);
  });
});

test('the authority can vouch for nothing beyond local names: a stolen key is no danger to other sites', async () => {
  const { issueServer } = await import('../../src/tls/certificate.ts');
  const { createPrivateKey } = await import('node:crypto');
  const { createSecureContext } = await import('node:tls');
  await withPlace(async (place) => {
    const { port, provider } = await place.open();
    const now = place.scheduler.unixMs();
    const key = createPrivateKey(readFileSync(join(place.folder, 'ca-key.pem')));
    const period = { notBefore: now - DAY_MS, notAfter: now + DAY_MS };
    const forged = issueServer('forged', ['bank.example'], period, { certificate: place.authority, key });
    const context = createSecureContext({ key: forged.key, cert: forged.certificate });
    Object.defineProperty(provider, 'context', { value: context });
    await assert.rejects(shown(port, place.authority, 'bank.example'), /permitted subtree violation/);
  });
});

test('TLS below 1.2 is refused', async () => {
  await withPlace(async (place) => {
    const { port } = await place.open();
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
    await assert.rejects(shown(port, place.authority, 'localhost', old));
  });
});

test('the same certificates are used after a restart, so that exceptions which people confirmed stay', async () => {
  await withPlace(async (place) => {
    await place.open();
    const before = readFileSync(join(place.folder, 'server.pem'), 'utf8');
    await place.open();
    assert.equal(readFileSync(join(place.folder, 'server.pem'), 'utf8'), before);
  });
});

test('the certificate is renewed before it expires, while the server runs', async () => {
  await withPlace(async (place) => {
    const { port, provider } = await place.open();
    let renewals = 0;
    provider.onRenewal(() => renewals++);
    const first = await shown(port, place.authority, 'localhost');
    place.scheduler.ahead = 769 * DAY_MS;
    await place.scheduler.advance(61_000);
    assert.equal(renewals, 0);
    place.scheduler.ahead = 771 * DAY_MS;
    await place.scheduler.advance(61_000);
    await until(() => renewals === 1);
    const second = await shown(port, place.authority, 'localhost', { rejectUnauthorized: false }); // not valid yet
    assert.notEqual(second.serialNumber, first.serialNumber);
    assert.ok(Date.parse(second.valid_to) > Date.parse(first.valid_to));
  });
});

test('a name that the person adds is in the next certificate; the authority stays if it may vouch for it', async () => {
  await withPlace(async (place) => {
    await place.open();
    const before = place.authority;
    const { port } = await place.open({ names: () => machineNames('127.0.0.1', ['pi.lan']) });
    await shown(port, before, 'pi.lan');
    await place.open({ names: () => machineNames('127.0.0.1', ['mail.example.org']) });
    assert.notEqual(place.authority, before);
    assert.ok(place.logged.some((line) => line.includes('tls.authority-replaced')));
  });
});

test('who listens beyond this machine only later has its address in the certificate, of the same authority', async () => {
  await withPlace(async (place) => {
    const machine = { set: [], found: ['localhost', '127.0.0.1'], possible: ['203.0.113.9'] };
    const first = await place.open({ names: () => machine });
    assert.equal(first.provider.certifies('203.0.113.9'), false);
    const before = place.authority;
    const wider = { ...machine, found: [...machine.found, '203.0.113.9'] };
    const { provider, port } = await place.open({ names: () => wider });
    assert.equal(provider.certifies('203.0.113.9'), true);
    for (const other of ['203.0.113.8', 'fe80::1%eth0', '']) assert.equal(provider.certifies(other), false);
    await shown(port, before, 'localhost');
    assert.equal(place.authority, before);
  });
});

test('an address that the machine gets while it runs is in the certificate within a minute', async () => {
  await withPlace(async (place) => {
    const found = ['localhost', '127.0.0.1'];
    const { port, provider } = await place.open({ names: () => ({ set: [], found: [...found], possible: [] }) });
    const shownIn = async (name: string): Promise<boolean> =>
      (await shown(port, place.authority, 'localhost')).subjectaltname?.includes(name) ?? false;
    assert.equal(await shownIn('192.168.1.77'), false);
    let renewed = false;
    provider.onRenewal(() => {
      renewed = true;
    });
    found.push('192.168.1.77', '2001:db8::1');
    await place.scheduler.advance(61_000);
    await until(() => renewed);
    assert.equal(await shownIn('192.168.1.77'), true);
    assert.equal(await shownIn('DB8'), false); // beyond what the authority may vouch for
    renewed = false;
    await place.scheduler.advance(600_000);
    assert.equal(renewed, false); // and no reason to try again and again
  });
});

test('damaged or half-written files are made anew', async () => {
  await withPlace(async (place) => {
    await place.open();
    writeFileSync(join(place.folder, 'server.pem'), 'nonsense');
    const { port } = await place.open();
    await shown(port, place.authority, 'localhost');
    rmSync(join(place.folder, 'ca.pem')); // as a crash between its two files leaves it
    const again = await place.open();
    await shown(again.port, place.authority, 'localhost');
  });
});

test("the person's own certificate is used, and read again when its files change; a bad pair keeps the old one", async () => {
  await withPlace(async (place) => {
    const { issueAuthority } = await import('../../src/tls/certificate.ts');
    const make = (name: string): { certificate: string; key: string } =>
      issueAuthority(name, ['localhost'], { notBefore: 0, notAfter: place.scheduler.unixMs() + DAY_MS * 9_000 });
    const [cert, key] = [join(place.folder, 'own.pem'), join(place.folder, 'own.key')];
    const write = (pair: { certificate: string; key: string }, at: number): void => {
      writeFileSync(cert, pair.certificate);
      writeFileSync(key, pair.key);
      utimesSync(cert, at, at);
    };
    const [one, two] = [make('one'), make('two')];
    write(one, 1);
    const { port, provider } = await place.open({ own: { cert, key } });
    const trusting = { rejectUnauthorized: false };
    assert.equal((await shown(port, '', 'localhost', trusting)).subject.CN, 'one');
    write({ certificate: two.certificate, key: one.key }, 2);
    await place.scheduler.advance(61_000);
    await until(() => place.logged.some((line) => line.includes('tls.not-renewed')));
    assert.equal((await shown(port, '', 'localhost', trusting)).subject.CN, 'one');
    let renewed = false;
    provider.onRenewal(() => {
      renewed = true;
    });
    write(two, 3);
    await place.scheduler.advance(61_000);
    await until(() => renewed);
    assert.equal((await shown(port, '', 'localhost', trusting)).subject.CN, 'two');
    await assert.rejects(place.open({ own: { cert: join(place.folder, 'none'), key } }), /There is no file/);
  });
});

test('a peer that never shakes hands is hung up on', async () => {
  await withPlace(async (place) => {
    const { port } = await place.open();
    const { connect: plain } = await import('node:net');
    const socket = plain(port, '127.0.0.1');
    socket.on('error', () => {});
    const closed = new Promise((resolve) => socket.on('close', resolve));
    await new Promise((resolve) => socket.on('connect', resolve));
    for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
    await place.scheduler.advance(31_000);
    await closed;
  });
});

test('names are covered by themselves and by what they end in, addresses by their network', () => {
  const permitted = permittedNames({
    set: ['mail.example.org', '203.0.113.9'],
    found: ['pi', 'pi.local', '127.0.0.1'],
    possible: ['203.0.113.10'],
  });
  for (const name of [
    'pi',
    'other.local',
    'localhost',
    '10.1.2.3',
    '::1',
    'fd00::7',
    '203.0.113.9',
    '203.0.113.10',
    'mail.example.org',
  ])
    assert.ok(covers(permitted, name), name);
  for (const name of ['example.org', 'notlocal', '203.0.113.8', '2001:db8::1', '8.8.8.8'])
    assert.ok(!covers(permitted, name), name);
});

test('an authority of its own for each data folder, under its own name', async () => {
  await withPlace(async (one) => {
    await withPlace(async (two) => {
      await one.open();
      await two.open();
      const subjects = [one, two].map(({ authority }) => new X509Certificate(authority).subject);
      assert.notEqual(subjects[0], subjects[1]);
    });
  });
});

test('what cannot be in a certificate, as an address with a zone, does not keep the servers from starting', () => {
  const { set, found } = machineNames('fe80::1%eth0', ['Pi.Lan']);
  assert.deepEqual(set, ['pi.lan']);
  assert.ok(found.includes('localhost'));
  assert.deepEqual(machineNames('::', []).set, []);
  assert.deepEqual(machineNames('127.0.0.2', []).set, []);
  assert.deepEqual(machineNames('203.0.113.9', []).set, ['203.0.113.9']);
});
