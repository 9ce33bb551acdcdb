import { isLoopback, isWildcard } from '../base/addresses.ts';
import type { Scheduler } from '../base/clock.ts';
import { realFiles } from '../base/files.ts';
import { errorField, type Logger, silentLogger } from '../base/log.ts';
import { verifyPassword } from '../base/password.ts';
import { UserError } from '../base/user-error.ts';
import { canonicalAddress } from '../contacts/address.ts';
import { LocalDelivery } from '../delivery/local.ts';
import type { DeliveryTarget } from '../delivery/target.ts';
import { ImapServer } from '../imap/server.ts';
import { IndexThread } from '../mailbox/index/index-client.ts';
import { Pop3Server } from '../pop3/server.ts';
import { Queue } from '../queue/queue.ts';
import { Relay } from '../submission/relay.ts';
import { DEFAULT_SIZE_LIMIT, SubmissionServer } from '../submission/server.ts';
import { type AuthorityFacts, authorityFacts } from '../tls/authority.ts';
import { machineNames } from '../tls/names.ts';
import { TlsProvider } from '../tls/provider.ts';
import { CreditPool } from '../transfer/credit.ts';
import { pageAddress } from '../web/mail-settings.ts';
import { WebServer } from '../web/server.ts';
import { AccountServices } from './account-services.ts';
import { Commands, type RunningParts, type ToxState } from './commands.ts';
import type { Config } from './config.ts';
import type { DataFolder } from './data-folder.ts';
import { listening, mustBeOurs } from './listening.ts';
import { LoginThrottle } from './login-throttle.ts';
import { reachableHost } from './own-address.ts';
import { SentCopies } from './sent-copies.ts';
import type { ToxFactory } from './tox-peer.ts';
import { UdpPorts } from './udp-ports.ts';
import { VERSION } from './version.ts';
import { welcome } from './welcome.ts';

export interface Daemon {
  readonly commands: Commands;
  /** What listens where, for the first screen. */
  readonly listeners: RunningParts['listeners'];
  /** Where mail programs find this machine. */
  readonly mailHost: string;
  /** The web server's first page. */
  readonly page: string;
  stop(): Promise<void>;
}

export interface DaemonParts {
  readonly folder: DataFolder;
  readonly config: Config;
  readonly tox: ToxFactory;
  readonly scheduler: Scheduler;
  readonly log: Logger;
  /** Stops all this, does the work, and starts it again. */
  whileStopped(work: () => Promise<void>): Promise<void>;
}

/** Builds the object graph and starts it: the only place that knows which part uses which. */
export async function startDaemon({ folder, config, tox, scheduler, log, whileStopped }: DaemonParts): Promise<Daemon> {
  const services = new Map<string, AccountServices>(); // one per account
  const stops: (() => Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    for (const each of stops.splice(0).reverse()) await each();
  };
  try {
    await mustBeOurs(config.listen);
    const ports = new UdpPorts(folder.path, config.udpPort);
    stops.push(() => ports.markClean());

    const overTox: DeliveryTarget = {
      deliver: async (job, progress, signal) =>
        (await services.get(job.account)?.transfer.deliver(job, progress, signal)) ?? { kind: 'offline' },
    };
    const local = new LocalDelivery({
      log,
      mailbox: (account) => services.get(account),
      publicKey: (account) => folder.accounts.get(account)?.toxId?.slice(0, 64),
    });
    const { relayFrom, senders, named, deliver } = config.mailServer;
    for (const account of named)
      if (!folder.accounts.get(account)) log.warn('config.no-such-account', { account, hint: 'see config.toml' });
    const relay = relayFrom && new Relay({ accounts: folder.accounts, from: relayFrom, senders });
    const queue = makeQueue(folder, scheduler, log, { tox: overTox, local }, relay);
    const hooks = {
      peerOnline: (account: string, key: string) => queue.peerOnline(account, key),
      peerOffline: (account: string, key: string) => queue.peerOffline(account, key),
    };
    const pool = new CreditPool();
    const indexThread = new IndexThread(scheduler, log);
    stops.push(() => indexThread.close());
    const sizeLimit = DEFAULT_SIZE_LIMIT;

    let relayOf: string | undefined;
    const startAccount = async (name: string): Promise<void> => {
      const account = new AccountServices(name, {
        folder,
        scheduler,
        log,
        pool,
        indexThread,
        sizeLimit,
        deliver: deliver(name),
        hooks,
      });
      await account.prepare();
      relayOf ??= name; // one port, one key: the first account's
      const node = account.node.start(async (profile) => {
        for (const udpPort of ports.candidates()) {
          const peer = await tox.start({
            profile,
            udpPort,
            bootstrap: config.bootstrap,
            udp: config.udp,
            proxy: config.proxy,
            lanDiscovery: config.lanDiscovery,
            relayPorts: relayOf === name ? (config.tcpRelayPorts ?? []) : [],
          });
          if (peer) return peer;
          if (config.udpPort !== undefined) log.warn('daemon.port-taken', { name: 'udp', port: udpPort });
        }
        throw new UserError('No UDP port is free for Tox. Choose another one with --udp-port, or 0 for any.');
      });
      await node.catch(async (error) => {
        if (relayOf === name) relayOf = undefined;
        await account.stop();
        throw error;
      });
      services.set(name, account);
      if (config.udp && !config.proxy) await ports.markUsed(account.node.peer.udpPort);
    };
    const stopAccount = async (name: string): Promise<void> => {
      const account = services.get(name);
      services.delete(name);
      if (relayOf === name) relayOf = undefined;
      await account?.stop();
    };
    const removeAccount = async (name: string): Promise<void> => {
      const port = services.get(name)?.node.peer.udpPort;
      await stopAccount(name);
      if (port !== undefined) await ports.markFree(port);
    };

    stops.push(async () => void (await Promise.all([...services.keys()].map(stopAccount))));
    for (const { name } of folder.accounts.list()) await startAccount(name);
    stops.push(() => queue.stop());
    stops.push(async () => {
      for (const { handOver } of services.values()) handOver?.stop(); // which the queue waits for
    });
    await queue.start();

    const tls = await TlsProvider.open({
      files: realFiles,
      scheduler,
      log,
      folder: folder.tls,
      names: () => machineNames(config.listen, config.tlsNames),
      ...(config.ownCertificate ? { own: config.ownCertificate } : {}),
    });
    stops.push(async () => tls.stop());

    stops.push(async () => void (await Promise.all([smtp.close(), imap.close(), pop3.close(), web.close()]))); // also if only one could be opened
    const throttle = new LoginThrottle(scheduler, (login) => folder.accounts.find(login)?.name);
    const sent = new SentCopies({
      mailbox: (account) => services.get(account)?.mailbox,
      wanted: (account) => folder.accounts.get(account)?.saveSent ?? false,
      scheduler,
      log,
    });
    const smtp = new SubmissionServer({
      accounts: folder.accounts,
      contacts: folder.contacts,
      queue,
      clock: scheduler,
      log,
      sizeLimit,
      tls,
      throttle,
      relay,
      sentCopy: (account) => sent.begin(account),
    });
    const reading = {
      async authenticate(user: string, password: string) {
        const account = folder.accounts.find(user);
        const right = await verifyPassword(password, account?.passwordHash);
        const found = account && services.get(account.name);
        if (!right || !found) return undefined;
        if (!account.domain) noteAddress(folder, account.name, user, log);
        return { account: account.name, maildir: found.maildir, store: found.mailbox };
      },
      throttled: (remote: string, user: string) => throttle.waitMs(remote, user) > 0,
      onLogin: (remote: string, ok: boolean, user: string) =>
        ok ? throttle.succeeded(remote, user) : throttle.failed(remote, user),
      scheduler,
      log,
      tls,
    };
    const pop3 = new Pop3Server(reading);
    const imap = new ImapServer({ ...reading, version: VERSION });
    const authority = (): Promise<AuthorityFacts | undefined> =>
      config.ownCertificate ? Promise.resolve(undefined) : authorityFacts(realFiles, folder.tls);
    const web: WebServer = new WebServer({
      log,
      tls,
      listeners: () => mailListeners,
      names: () => Object.values(machineNames(config.listen, config.tlsNames)).flat(),
      authority,
    });
    const port = listening(config, log);
    const mailListeners = {
      smtp: await port('smtp', config.smtpPort, (at) => smtp.listen(at)),
      smtps: await port('smtps', config.smtpsPort, (at) => smtp.listenTls(at)),
      imap: await port('imap', config.imapPort, (at) => imap.listen(at)),
      imaps: await port('imaps', config.imapsPort, (at) => imap.listenTls(at)),
      pop3: await port('pop3', config.pop3Port, (at) => pop3.listen(at)),
      pop3s: await port('pop3s', config.pop3sPort, (at) => pop3.listenTls(at)),
    };
    const listeners = { ...mailListeners, web: await port('web', config.webPort, (at) => web.listen(at)) };

    const host = mailHost(config);
    // Somebody's authority, and not ours: browsers know it, and have no warning for its owner.
    const trusted = config.ownCertificate !== undefined && tls.certifies(host);
    const page = pageAddress(host, listeners.web.port, trusted);
    const greet = async (name: string): Promise<void> => {
      const [account, maildir] = [folder.accounts.get(name), services.get(name)?.maildir];
      if (account && maildir) await welcome(account, maildir, folder.accounts, scheduler, page);
    };
    for (const name of services.keys()) await greet(name);

    const endSessions = (account: string, reason: string): void => {
      imap.endSessions(account, reason);
      pop3.endSessions(account);
      smtp.endSessions(account);
    };

    const running: RunningParts = {
      listeners,
      toxState: (account) => toxState(services.get(account)),
      hasNetwork: () => tox.hasNetwork(),
      isOnline: (account, publicKey) => services.get(account)?.node.isOnline(publicKey) ?? false,
      async startAccount(name) {
        await startAccount(name);
        await greet(name);
      },
      async stopAccount(name) {
        endSessions(name, 'The account was removed');
        await removeAccount(name);
      },
      passwordChanged: (account) => endSessions(account, 'The password was changed'),
      whileStopped,
      befriend: (contact) => services.get(contact.account)?.node.befriend(contact),
      unfriend: (account, publicKey) => services.get(account)?.node.unfriend(publicKey),
      mailHost: host,
      page,
      certifies: (host) => tls.certifies(host),
      authority,
      nodeLine(account) {
        const peer = services.get(account)?.node.peer;
        return peer && { host: reachableHost(), port: peer.udpPort, publicKey: peer.dhtPublicKey };
      },
    };
    return { commands: new Commands(folder, queue, running), listeners, mailHost: host, page, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The queue of a node that does not run: can be looked at and changed, delivers nothing. */
export function idleQueue(folder: DataFolder, scheduler: Scheduler): Queue {
  const nowhere: DeliveryTarget = { deliver: async () => ({ kind: 'offline' }) };
  return makeQueue(folder, scheduler, silentLogger, { tox: nowhere, local: nowhere });
}

/** A hint until the account sends something; nobody is kept out because it cannot be written down. */
function noteAddress(folder: DataFolder, account: string, user: string, log: Logger): void {
  try {
    folder.accounts.noteAddress(account, user);
  } catch (error) {
    log.warn('account.address-not-noted', { account, error: errorField(error) });
  }
}

type Targets = Record<'tox' | 'local', DeliveryTarget>;

function makeQueue(folder: DataFolder, scheduler: Scheduler, log: Logger, targets: Targets, relay?: Relay): Queue {
  return new Queue({
    db: folder.db,
    files: realFiles,
    scheduler,
    log,
    spool: folder.spool,
    ...targets,
    noticeAddress: (account, sender) => (relay?.accountOf(sender) === account ? sender : `${account}@tox`),
    ownAddress(account) {
      const toxId = folder.accounts.get(account)?.toxId;
      return toxId === undefined ? undefined : canonicalAddress(toxId);
    },
  });
}

/** Where mail programs find us: on this machine if they must be there, else by name if one was set, else by address. */
function mailHost({ listen, tlsNames }: Config): string {
  if (isLoopback(listen)) return listen;
  return tlsNames[0] ?? (isWildcard(listen) ? reachableHost() : listen);
}

function toxState(services: AccountServices | undefined): ToxState | undefined {
  if (!services) return undefined;
  const { connection, udpPort, dhtPublicKey, nodes, relayPorts } = services.node.peer;
  return { connection, udpPort, dhtKey: dhtPublicKey, nodes, relayPorts };
}
