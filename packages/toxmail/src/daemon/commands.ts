import { realFiles } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';
import { addressForms, canonicalAddress, parseToxAddress } from '../contacts/address.ts';
import type { Contact } from '../contacts/contacts.ts';
import type { FriendRequest } from '../contacts/friend-requests.ts';
import type { QueueItem } from '../queue/record.ts';
import type { Account } from '../store/accounts.ts';
import { type AuthorityFacts, authorityFacts } from '../tls/authority.ts';
import type { DataFolder } from './data-folder.ts';
import { settingsFor } from './settings-for.ts';
import type { ToxConnection } from './tox-peer.ts';
import { VERSION } from './version.ts';

/** What only a running daemon knows and does. Commands work without it on the data folder alone. */
export interface RunningParts {
  readonly listeners: Readonly<Record<string, { host: string; port: number }>>;
  /** Undefined while the account's node is not running. */
  toxState(account: string): ToxState | undefined;
  /** Whether this machine has an address by which others could reach it. */
  hasNetwork(): boolean;
  isOnline(account: string, publicKey: string): boolean;
  startAccount(account: string): Promise<void>;
  stopAccount(account: string): Promise<void>;
  /** Whoever logged in with the old one must do so again. */
  passwordChanged(account: string): void;
  /** Stops everything, does the work, and starts again on the same ports. */
  whileStopped(work: () => Promise<void>): Promise<void>;
  befriend(contact: Contact): void;
  unfriend(account: string, publicKey: string): void;
  /** The name or address under which mail programs reach this machine. */
  readonly mailHost: string;
  /** Address of the web server's first page. */
  readonly page: string;
  /** Whether the certificate is for that name or address. */
  certifies(host: string): boolean;
  /** Undefined if the certificate is the person's own. */
  authority(): Promise<AuthorityFacts | undefined>;
  /** Where other nodes reach the account's node. */
  nodeLine(account: string): { host: string; port: number; publicKey: string } | undefined;
}

export interface ToxState {
  connection: ToxConnection;
  udpPort: number;
  dhtKey: string;
  nodes: number;
  /** TCP ports on which it is a relay for others. */
  relayPorts: readonly number[];
}

/** The part of the queue that commands need; it works whether deliveries run or not. */
export interface QueueCommands {
  list(account?: string): QueueItem[];
  counts(): { waiting: number; sending: number; failed: number };
  retry(id: string): QueueItem | Promise<QueueItem>;
  cancel(id: string): QueueItem | Promise<QueueItem>;
  contactRemoved(account: string, publicKey: string): Promise<void>;
  accountRemoved(account: string): Promise<void>;
}

type Args = Readonly<Record<string, unknown>>;

/** Bounds what a control request may carry. */
const TEXT_MAX = 1_000;
const LIST_MAX = 100;
const NOT_CONNECTED: ToxState = { connection: 'none', udpPort: 0, dhtKey: '', nodes: 0, relayPorts: [] };

/** Every `toxmail` command but `run` and `bootstrap`; the values are what `--json` prints. */
export class Commands {
  readonly #folder: DataFolder;
  readonly #queue: QueueCommands;
  readonly #running: RunningParts | undefined;

  constructor(folder: DataFolder, queue: QueueCommands, running?: RunningParts) {
    this.#folder = folder;
    this.#queue = queue;
    this.#running = running;
  }

  /** Throws UserError for what the person can put right. */
  async run(command: string, args: Args): Promise<unknown> {
    const handler = HANDLERS[command];
    if (!handler || !Object.hasOwn(HANDLERS, command))
      throw new UserError(`This daemon does not know the command "${command.slice(0, 40)}".`);
    return handler.call(this, args);
  }

  status(): unknown {
    const accounts = this.#folder.accounts.list().map((account) => {
      const contacts = this.#folder.contacts.list(account.name);
      return {
        ...identity(account),
        tox: this.#running?.toxState(account.name) ?? NOT_CONNECTED,
        contacts: { online: contacts.filter((c) => this.#isOnline(c)).length, total: contacts.length },
      };
    });
    return {
      version: VERSION,
      pid: this.#running ? process.pid : null,
      dataDir: this.#folder.path,
      listeners: this.#running?.listeners ?? {},
      network: this.#running ? this.#running.hasNetwork() : null,
      accounts,
      queue: this.#queue.counts(),
    };
  }

  async addAccount(args: Args): Promise<{ name: string; password: string }> {
    const made = await this.#folder.addAccount(text(args, 'name').toLowerCase(), optionalText(args, 'password'));
    const { name } = made.account;
    if (args['no-welcome'] === true) this.#folder.accounts.setWelcomed(name);
    try {
      await this.#running?.startAccount(name);
    } catch (error) {
      await this.#folder.removeAccount(name); // nobody has seen its password
      throw error;
    }
    return { ...identity(made.account), password: made.password };
  }

  listAccounts(): unknown {
    return this.#folder.accounts.list().map(identity);
  }

  async setPassword(args: Args): Promise<unknown> {
    const { name } = this.#account(text(args, 'name'));
    const password = await this.#folder.setPassword(name, optionalText(args, 'password'));
    this.#running?.passwordChanged(name);
    return { name, password };
  }

  setSaveSent(args: Args): unknown {
    const { name } = this.#account(text(args, 'name'));
    const wish = text(args, 'on|off');
    if (wish !== 'on' && wish !== 'off') throw new UserError('Say "on" or "off".');
    this.#folder.accounts.setSaveSent(name, wish === 'on');
    return { name, saveSent: wish === 'on' };
  }

  setQuota(args: Args): unknown {
    const { name } = this.#account(text(args, 'name'));
    const quota = bytesOf(text(args, 'size'));
    this.#folder.accounts.setQuota(name, quota);
    return { name, quota: quota ?? null };
  }

  /** A running daemon is stopped for it and started again: all of it knows accounts by their names. */
  async renameAccount(args: Args): Promise<unknown> {
    const { name } = this.#account(text(args, 'name'));
    const to = text(args, 'new').toLowerCase();
    this.#folder.accounts.mustBeFree(to);
    const rename = (): Promise<void> => this.#folder.renameAccount(name, to);
    await (this.#running ? this.#running.whileStopped(rename) : rename());
    return { name: to, before: name };
  }

  async removeAccount(args: Args): Promise<unknown> {
    const { name } = this.#account(text(args, 'name'));
    await this.#running?.stopAccount(name);
    await this.#queue.accountRemoved(name);
    return { name, removed: true, keptIn: await this.#folder.removeAccount(name) };
  }

  async address(args: Args): Promise<unknown> {
    const { name } = this.#account(optionalText(args, 'account'));
    await this.#folder.ensureProfile(name);
    const toxId = this.#folder.accounts.get(name)?.toxId ?? '';
    return { account: name, toxId, publicKey: toxId.slice(0, 64), addresses: addressForms(toxId) };
  }

  addContact(args: Args): unknown {
    const account = this.#account(optionalText(args, 'account'));
    const target = parseToxAddress(text(args, 'address'));
    if (target === 'checksum')
      throw new UserError('That Tox ID or key is mistyped: it fails the check. Copy it again.');
    if (target === 'syntax')
      throw new UserError('A contact needs a Tox ID (76 hexadecimal digits or 61 base32 signs) or a 64-digit key.');
    const contact = this.#folder.db.transaction(() => {
      const asked = this.#folder.requests.take(account.name, target.publicKey);
      return this.#folder.contacts.add({
        account: account.name,
        name: text(args, 'name'),
        publicKey: target.publicKey,
        ...(target.kind === 'tox-id' ? { toxId: target.toxId } : {}),
        emails: texts(args, 'email'),
        ...(asked ? { state: 'contact' as const } : {}),
      });
    });
    this.#running?.befriend(contact);
    return this.#contactView(contact);
  }

  listContacts(args: Args): unknown {
    const account = optionalText(args, 'account');
    const name = account === undefined ? undefined : this.#account(account).name;
    return this.#folder.contacts.list(name).map((contact) => this.#contactView(contact));
  }

  showContact(args: Args): unknown {
    return this.#contactView(this.#contact(args));
  }

  async removeContact(args: Args): Promise<unknown> {
    const { account, name, publicKey } = this.#contact(args);
    this.#folder.contacts.remove(account, name);
    this.#running?.unfriend(account, publicKey);
    await this.#queue.contactRemoved(account, publicKey);
    return { account, name, publicKey, removed: true };
  }

  listRequests(args: Args): unknown {
    const account = optionalText(args, 'account');
    return this.#folder.requests.list(account === undefined ? undefined : this.#account(account).name);
  }

  acceptRequest(args: Args): unknown {
    const request = this.#request(args);
    const name = optionalText(args, 'name') ?? this.#freeName(request);
    const contact = this.#folder.contacts.add({
      account: request.account,
      name,
      publicKey: request.publicKey,
      state: 'contact',
    });
    this.#folder.requests.take(request.account, request.publicKey);
    this.#running?.befriend(contact);
    return this.#contactView(contact);
  }

  rejectRequest(args: Args): unknown {
    const { account, publicKey } = this.#request(args);
    this.#folder.requests.take(account, publicKey);
    return { account, publicKey, rejected: true };
  }

  listQueue(args: Args): unknown {
    const account = optionalText(args, 'account');
    return this.#queue.list(account === undefined ? undefined : this.#account(account).name);
  }

  async retryQueued(args: Args): Promise<unknown> {
    return this.#queue.retry(text(args, 'id'));
  }

  async cancelQueued(args: Args): Promise<unknown> {
    return this.#queue.cancel(text(args, 'id'));
  }

  async mailSettings(args: Args): Promise<unknown> {
    const { listeners, mailHost: host, page, authority, certifies } = this.#mustRun();
    const { name } = this.#account(optionalText(args, 'account'));
    const machine = { listeners, host, page, authority: await authority(), certified: certifies(host) };
    return settingsFor(name, optionalText(args, 'for'), machine);
  }

  async certificateAuthority(): Promise<unknown> {
    const facts = await (this.#running ? this.#running.authority() : authorityFacts(realFiles, this.#folder.tls));
    if (facts) return facts;
    throw new UserError(
      this.#running
        ? 'This daemon uses a certificate of your own (tls-cert). Give out the one of its issuer.'
        : 'There is no certificate authority yet. It is made at the first start: toxmail run',
    );
  }

  nodeLines(): unknown {
    this.#mustRun();
    return this.#folder.accounts.list().flatMap((account) => {
      const node = this.#running?.nodeLine(account.name);
      return node ? [{ account: account.name, ...node }] : [];
    });
  }

  #mustRun(): RunningParts {
    if (!this.#running) throw new UserError('The daemon is not running. Start it with: toxmail run');
    return this.#running;
  }

  /** Without a name: the only account there is. */
  #account(name?: string): Account {
    const all = this.#folder.accounts.list();
    const names = all.map((account) => account.name).join(', ');
    if (name !== undefined) {
      const found = this.#folder.accounts.find(name);
      if (found) return found;
      throw new UserError(`There is no account "${name}". There are: ${names || 'none yet; toxmail account add NAME'}`);
    }
    const [only, second] = all;
    if (!only) throw new UserError('There is no account yet. Make one with: toxmail account add NAME');
    if (second) throw new UserError(`There are several accounts (${names}). Say which one with --account NAME.`);
    return only;
  }

  #contact(args: Args): Contact {
    const wanted = text(args, 'name');
    const account = optionalText(args, 'account');
    const accounts = account === undefined ? this.#folder.accounts.list() : [this.#account(account)];
    const [contact, another] = accounts.flatMap(({ name }) => this.#folder.contacts.get(name, wanted) ?? []);
    if (!contact) throw new UserError(`There is no contact "${wanted}". See: toxmail contact list`);
    if (another) throw new UserError(`Several accounts have a contact "${wanted}". Say which one with --account NAME.`);
    return contact;
  }

  #request(args: Args): FriendRequest {
    const prefix = text(args, 'key').toUpperCase();
    const account = optionalText(args, 'account');
    const inAccount = account === undefined ? undefined : this.#account(account).name;
    const found = this.#folder.requests.list(inAccount).filter((request) => request.publicKey.startsWith(prefix));
    const [request, another] = found;
    if (!request) throw new UserError('There is no request of that key. See: toxmail request list');
    if (another) throw new UserError('Several requests begin like that. Give more digits of the key, or --account.');
    return request;
  }

  /** A name for somebody who was accepted without one: the first digits of the key. */
  #freeName(request: FriendRequest): string {
    return `friend-${request.publicKey.slice(0, 8).toLowerCase()}`;
  }

  #isOnline(contact: Contact): boolean {
    return this.#running?.isOnline(contact.account, contact.publicKey) ?? false;
  }

  #contactView(contact: Contact): unknown {
    const { account, name, publicKey, address, emails, state, lastSeen } = contact;
    const online = this.#isOnline(contact);
    return { account, name, publicKey, address, emails, state, online, lastSeen: lastSeen ?? null };
  }
}

/** Names as in the command table of the command line. */
const HANDLERS: Readonly<Record<string, (this: Commands, args: Args) => unknown>> = {
  status: Commands.prototype.status,
  'account add': Commands.prototype.addAccount,
  'account list': Commands.prototype.listAccounts,
  'account password': Commands.prototype.setPassword,
  'account save-sent': Commands.prototype.setSaveSent,
  'account quota': Commands.prototype.setQuota,
  'account rename': Commands.prototype.renameAccount,
  'account remove': Commands.prototype.removeAccount,
  address: Commands.prototype.address,
  'contact add': Commands.prototype.addContact,
  'contact list': Commands.prototype.listContacts,
  'contact show': Commands.prototype.showContact,
  'contact remove': Commands.prototype.removeContact,
  'request list': Commands.prototype.listRequests,
  'request accept': Commands.prototype.acceptRequest,
  'request reject': Commands.prototype.rejectRequest,
  'queue list': Commands.prototype.listQueue,
  'queue retry': Commands.prototype.retryQueued,
  'queue cancel': Commands.prototype.cancelQueued,
  'mail-settings': Commands.prototype.mailSettings,
  'tls ca': Commands.prototype.certificateAuthority,
  node: Commands.prototype.nodeLines,
};

function identity(account: Account): { name: string; toxId: string; address: string } {
  const { name, toxId } = account;
  return { name, toxId: toxId ?? '', address: toxId === undefined ? '' : canonicalAddress(toxId) };
}

function text(args: Args, name: string): string {
  const value = args[name];
  if (typeof value === 'string' && value !== '' && value.length <= TEXT_MAX) return value;
  throw new UserError(`${name.toUpperCase()} is missing or is not a text of up to ${TEXT_MAX} signs.`);
}

function optionalText(args: Args, name: string): string | undefined {
  return args[name] === undefined ? undefined : text(args, name);
}

/** `500M`, `20G`, `1000000`; undefined for `none`. */
function bytesOf(size: string): number | undefined {
  if (size === 'none') return undefined;
  const match = /^(\d{1,12})([kmgt]?)b?$/i.exec(size);
  const bytes = Number(match?.[1]) * 1024 ** ['', 'k', 'm', 'g', 't'].indexOf(match?.[2]?.toLowerCase() ?? '');
  if (match && Number.isSafeInteger(bytes) && bytes > 0) return bytes;
  throw new UserError('SIZE is a number of bytes, or like 500M or 20G, or "none".');
}

function texts(args: Args, name: string): string[] {
  const value = args[name] ?? [];
  if (Array.isArray(value) && value.length <= LIST_MAX && value.every((each) => typeof each === 'string')) return value;
  throw new UserError(`${name.toUpperCase()} must be a list of texts.`);
}
