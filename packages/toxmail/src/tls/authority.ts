import { createPrivateKey, randomBytes, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { writeDurably } from '../base/durable.ts';
import { type FileSystem, readWhole } from '../base/files.ts';
import type { Logger } from '../base/log.ts';
import { covers, type MachineNames, permittedNames } from './names.ts';

const DAY_MS = 24 * 3_600_000;
/** Ours: people install it by hand, so it should outlive the machine. */
const AUTHORITY_LIFE_MS = 20 * 365 * DAY_MS;
/** Apple's systems refuse server certificates of more than 825 days. */
const SERVER_LIFE_MS = 800 * DAY_MS;
const RENEW_BEFORE_MS = 30 * DAY_MS;
/** A small computer's clock may be set after its first start, and other machines' clocks may be behind. */
const CLOCK_SLACK_MS = 2 * DAY_MS;

export interface KeyPair {
  /** PEM; the server's own first, then its issuers. */
  readonly cert: string;
  readonly key: string;
}

/** The part of an authority that everybody may know. */
export interface AuthorityFacts {
  /** PEM. */
  readonly certificate: string;
  /** SHA-256, as `AB:CD:…`. */
  readonly fingerprint: string;
  readonly path: string;
}

/**
 * The certificate authority of this data folder, and the one server certificate that it gives out. Files in `tls/`, all
 * for the owner only: `ca-key.pem` (read only to sign), `ca.pem`, `server.pem` (key and certificate in one file, so
 * that a crash cannot part them). Each is made when it is missing, expired or not fit for the names in use.
 */
export class LocalAuthority {
  readonly #files: FileSystem;
  readonly #folder: string;
  readonly #clock: Clock;
  readonly #log: Logger;
  /** What the present certificate was made or found good for: nothing is to be done until that changes. */
  #checkedFor = '';

  constructor(files: FileSystem, folder: string, clock: Clock, log: Logger) {
    this.#files = files;
    this.#folder = folder;
    this.#clock = clock;
    this.#log = log;
  }

  /** Key and certificate for these names, if they are not those that the last call gave. */
  async renewed(names: MachineNames): Promise<KeyPair | undefined> {
    const wanted = JSON.stringify([names.set, names.found]);
    const found = await this.#read('server.pem');
    const valid = found !== undefined && this.#isValid(found, RENEW_BEFORE_MS);
    if (valid && wanted === this.#checkedFor) return undefined;
    const fits = valid && allNames(names).every((name) => isFor(found, name)) && (await this.#isIssuer(found));
    const pair = fits ? found : await this.#issue(names, found);
    this.#checkedFor = wanted;
    return { cert: pair, key: pair };
  }

  async #issue(names: MachineNames, before: string | undefined): Promise<string> {
    const certificates = await import('./certificate.ts');
    const authority = await this.#authority(names, certificates);
    const permitted = certificates.permittedBy(authority.certificate);
    const wanted = allNames(names).filter((name) => covers(permitted, name));
    for (const name of names.found.filter((each) => isIP(each) !== 6 && !wanted.includes(each)))
      this.#log.warn('tls.name-left-out', { name, hint: 'start with --tls-name to have it in the certificate' });
    const fits = before !== undefined && this.#isValid(before, RENEW_BEFORE_MS) && (await this.#isIssuer(before));
    if (fits && wanted.every((name) => isFor(before, name))) return before;
    const now = this.#clock.unixMs();
    const period = { notBefore: now - CLOCK_SLACK_MS, notAfter: now + SERVER_LIFE_MS };
    const issued = certificates.issueServer(`Toxmail on ${shortHost()}`, wanted, period, {
      certificate: authority.certificate,
      key: createPrivateKey(authority.key),
    });
    const pair = issued.key + issued.certificate + authority.certificate;
    await this.#write('server.pem', pair);
    this.#log[before === undefined ? 'debug' : 'info']('tls.certificate-renewed', { names: wanted.join(' ') });
    return pair;
  }

  async #authority(
    names: MachineNames,
    { issueAuthority, permittedBy }: typeof import('./certificate.ts'),
  ): Promise<{ certificate: string; key: string }> {
    const [certificate, key] = [await this.#read('ca.pem'), await this.#read('ca-key.pem')];
    const whole = certificate !== undefined && key !== undefined && belongs(certificate, key);
    const permitted = whole ? permittedBy(certificate) : [];
    if (whole && this.#isValid(certificate, SERVER_LIFE_MS) && names.set.every((name) => covers(permitted, name)))
      return { certificate, key };
    const now = this.#clock.unixMs();
    // Two of one household must not have the same name: programs would take one for the other.
    const name = `Toxmail on ${shortHost()} (${randomBytes(3).toString('hex')})`;
    const period = { notBefore: now - CLOCK_SLACK_MS, notAfter: now + AUTHORITY_LIFE_MS };
    const issued = issueAuthority(name, permittedNames(names, permitted), period);
    await this.#write('ca-key.pem', issued.key); // first: where there is a certificate, there is its key
    await this.#write('ca.pem', issued.certificate);
    if (certificate !== undefined)
      this.#log.warn('tls.authority-replaced', { hint: 'programs must trust the new one: toxmail tls ca' });
    else this.#log.debug('tls.authority-made', { path: join(this.#folder, 'ca.pem') });
    return issued;
  }

  #isValid(pem: string, leftMs: number): boolean {
    const certificate = parse(pem);
    if (!certificate) return false;
    const now = this.#clock.unixMs();
    return certificate.validFromDate.getTime() <= now && now + leftMs < certificate.validToDate.getTime();
  }

  /** The authority may have been replaced, by us or by a backup. */
  async #isIssuer(pem: string): Promise<boolean> {
    const authority = parse((await this.#read('ca.pem')) ?? '');
    return authority !== undefined && (parse(pem)?.verify(authority.publicKey) ?? false);
  }

  async #read(name: string): Promise<string | undefined> {
    const bytes = await readWhole(this.#files, join(this.#folder, name));
    return bytes && Buffer.from(bytes).toString('latin1');
  }

  async #write(name: string, text: string): Promise<void> {
    await this.#files.mkdir(this.#folder);
    await writeDurably(this.#files, join(this.#folder, name), Buffer.from(text, 'latin1'));
  }
}

/** Works whether a daemon runs or not. Undefined before the first certificate was made. */
export async function authorityFacts(files: FileSystem, folder: string): Promise<AuthorityFacts | undefined> {
  const path = join(folder, 'ca.pem');
  const bytes = await readWhole(files, path);
  const certificate = bytes && Buffer.from(bytes).toString('latin1');
  const parsed = certificate === undefined ? undefined : parse(certificate);
  if (certificate === undefined || !parsed) return undefined;
  return { certificate, fingerprint: parsed.fingerprint256, path };
}

function allNames({ set, found }: MachineNames): string[] {
  return [...set, ...found];
}

/** Whether this certificate, the first of `pem`, is good for that name or address. */
export function isFor(pem: string, name: string): boolean {
  const certificate = parse(pem);
  const match = isIP(name) ? certificate?.checkIP(name) : certificate?.checkHost(name, { subject: 'never' });
  return match !== undefined;
}

function belongs(certificate: string, key: string): boolean {
  try {
    return new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
}

/** Undefined for anything but a certificate: such a file is made anew. */
function parse(pem: string): X509Certificate | undefined {
  const first = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(pem)?.[0];
  try {
    return first === undefined ? undefined : new X509Certificate(first);
  } catch {
    return undefined;
  }
}

function shortHost(): string {
  return hostname().split('.')[0]!.slice(0, 30) || 'this machine';
}
