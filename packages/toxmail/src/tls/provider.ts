import { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls';
import type { Cancel, Scheduler } from '../base/clock.ts';
import { errorCode, type FileStat, type FileSystem, readWhole } from '../base/files.ts';
import { errorField, type Logger } from '../base/log.ts';
import { UserError } from '../base/user-error.ts';
import { isFor, type KeyPair, LocalAuthority } from './authority.ts';
import { isCertifiable, type MachineNames } from './names.ts';

export interface TlsProviderDeps {
  readonly files: FileSystem;
  readonly scheduler: Scheduler;
  readonly log: Logger;
  /** Where the local authority keeps its files: `tls/` of the data folder. */
  readonly folder: string;
  /** Under which programs reach this machine; asked each minute. */
  names(): MachineNames;
  /** The person's own certificate (with its issuers) and key: paths of PEM files. Then there is no local authority. */
  readonly own?: { readonly cert: string; readonly key: string };
}

/** What a server needs for TLS on the connections that it accepted. */
export interface ServerTls {
  /** The present key and certificate. Ask for each connection: they are renewed while we run. */
  readonly context: SecureContext;
  /** Told after `context` has changed. */
  onRenewal(listener: () => void): void;
  /**
   * The handshake, on a socket without `data` listeners: at once for a TLS port, after the reply to STARTTLS elsewhere.
   * Rejects, with the socket destroyed, if the peer cannot or takes longer than HANDSHAKE_MS.
   */
  accept(socket: Socket): Promise<TLSSocket>;
}

/** How often the machine's names, the certificate's age and the person's files are looked at. */
const CHECK_MS = 60_000;
/** Ours: a slow phone on a bad line needs a few seconds. */
const HANDSHAKE_MS = 30_000;

/** One certificate for all servers of the daemon, kept fit for its names and its time without a restart. */
export class TlsProvider implements ServerTls {
  readonly #deps: TlsProviderDeps;
  readonly #authority: LocalAuthority;
  readonly #listeners: (() => void)[] = []; // one per server
  #context: SecureContext | undefined;
  #certificate = '';
  /** State of the person's files when they were read. */
  #ownStamp = '';
  #cancel: Cancel = () => {};
  #stopped = false;

  private constructor(deps: TlsProviderDeps) {
    this.#deps = deps;
    this.#authority = new LocalAuthority(deps.files, deps.folder, deps.scheduler, deps.log);
  }

  /** Throws UserError if the person's own certificate cannot be used. */
  static async open(deps: TlsProviderDeps): Promise<TlsProvider> {
    const provider = new TlsProvider(deps);
    await provider.#refresh();
    provider.#arm();
    return provider;
  }

  get context(): SecureContext {
    return this.#context!;
  }

  /** Whether programs that reach us under this name or address find it in the certificate. */
  certifies(name: string): boolean {
    return isCertifiable(name) && isFor(this.#certificate, name);
  }

  onRenewal(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Bound: servers hand it on. */
  readonly accept = (socket: Socket): Promise<TLSSocket> => {
    const { scheduler } = this.#deps;
    return new Promise((resolve, reject) => {
      const secure = new TLSSocket(socket, { isServer: true, secureContext: this.context });
      // The upper socket, not the lower: it takes the lower with it.
      const cancel = scheduler.at(scheduler.mono() + HANDSHAKE_MS, () => secure.destroy());
      const failed = (): void => {
        cancel();
        reject(new Error('no TLS handshake'));
      };
      secure.on('error', () => {}); // 'close' follows
      secure.once('close', failed);
      secure.once('secure', () => {
        cancel();
        secure.off('close', failed);
        resolve(secure);
      });
    });
  };

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  #arm(): void {
    if (this.#stopped) return;
    const { scheduler, log } = this.#deps;
    this.#cancel = scheduler.at(scheduler.mono() + CHECK_MS, () => {
      this.#refresh()
        .catch((error) => log.error('tls.not-renewed', { error: errorField(error) })) // the old one goes on
        .finally(() => this.#arm());
    });
  }

  async #refresh(): Promise<void> {
    const { names, own } = this.#deps;
    const pair = own ? await this.#changedOwn(own) : await this.#authority.renewed(names());
    if (!pair) return;
    this.#context = createSecureContext({ ...pair, minVersion: 'TLSv1.2' });
    this.#certificate = pair.cert;
    for (const listener of this.#listeners) listener();
  }

  async #changedOwn(own: { cert: string; key: string }): Promise<KeyPair | undefined> {
    const { files, log, scheduler } = this.#deps;
    const stamp = JSON.stringify([await statPem(files, own.cert), await statPem(files, own.key)]);
    if (stamp === this.#ownStamp) return undefined;
    const [cert, key] = [await readPem(files, own.cert), await readPem(files, own.key)];
    try {
      createSecureContext({ cert, key });
    } catch (error) {
      const code = errorCode(error) ?? 'not PEM';
      throw new UserError(`${own.cert} and ${own.key} are no certificate and its key, without passphrase (${code}).`);
    }
    this.#ownStamp = stamp;
    const expires = new X509Certificate(cert).validToDate.getTime();
    if (expires < scheduler.unixMs()) log.warn('tls.certificate-expired', { path: own.cert });
    else log.info('tls.certificate-read', { path: own.cert });
    return { cert, key };
  }
}

async function readPem(files: FileSystem, path: string): Promise<string> {
  return Buffer.from(await pem(path, () => readWhole(files, path))).toString('latin1');
}

function statPem(files: FileSystem, path: string): Promise<FileStat> {
  return pem(path, () => files.stat(path));
}

async function pem<T>(path: string, look: () => Promise<T | undefined>): Promise<T> {
  let found: T | undefined;
  try {
    found = await look();
  } catch (error) {
    throw new UserError(`Cannot read ${path} (${errorCode(error)}). Make it readable for the user who runs Toxmail.`);
  }
  if (found === undefined) throw new UserError(`There is no file ${path}. Correct tls-cert and tls-key.`);
  return found;
}
