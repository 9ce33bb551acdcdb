import { writeDurably } from '../base/durable.ts';
import { realFiles } from '../base/files.ts';
import { errorField, type Logger } from '../base/log.ts';
import type { Contact } from '../contacts/contacts.ts';
import { type Link, noHandlers } from '../transfer/link.ts';
import type { DataFolder } from './data-folder.ts';
import type { ToxPeer } from './tox-peer.ts';

/** What a friend request of ours says. Ordinary Tox programs show it. */
const REQUEST_TEXT = 'I would like to write to you by Toxmail.';

export interface AccountNodeHooks {
  peerOnline(account: string, publicKey: string): void;
  peerOffline(account: string, publicKey: string): void;
}

/**
 * One account's Tox node: keeps friends in step with the contact book, and the profile on the disk. To the mail transfer
 * it is the link to this account's friends.
 */
export class AccountNode implements Link {
  readonly account: string;
  handlers = noHandlers;
  readonly #folder: DataFolder;
  readonly #log: Logger;
  readonly #hooks: AccountNodeHooks;
  /** Friends online now; bounded by the contact book, as only contacts are friends. */
  readonly #online = new Set<string>();
  #peer: ToxPeer | undefined;
  #saving: Promise<void> | undefined;
  #unsaved = false;

  constructor(account: string, folder: DataFolder, log: Logger, hooks: AccountNodeHooks) {
    this.account = account;
    this.#folder = folder;
    this.#log = log;
    this.#hooks = hooks;
  }

  /** `start` makes the node from the profile; then the contact book decides who is a friend. */
  async start(start: (profile: Uint8Array) => Promise<ToxPeer>): Promise<void> {
    this.#peer = await start(await this.#folder.ensureProfile(this.account));
    this.#peer.listen({
      friendRequest: (key, message) => this.#onRequest(key, message),
      friendConnection: (key, online) => this.#onConnection(key, online),
      packet: (key, data) => this.handlers.packet(key, data),
      writable: (key) => this.handlers.writable(key),
      connection: (connection) => {
        const connected = connection !== 'none';
        this.#log.info(connected ? 'tox.connected' : 'tox.disconnected', { account: this.account, connection });
        if (connected) this.#save(); // the nodes that we know now are where the next start begins
      },
    });
    const contacts = this.#folder.contacts.list(this.account);
    const keys = new Set(contacts.map((contact) => contact.publicKey));
    for (const friend of this.peer.friends()) if (!keys.has(friend)) this.peer.removeFriend(friend);
    for (const contact of contacts) this.befriend(contact);
    this.#save();
  }

  get peer(): ToxPeer {
    if (!this.#peer) throw new Error('the node is not running');
    return this.#peer;
  }

  send(publicKey: string, packet: Uint8Array): boolean {
    return this.#peer?.sendLossless(publicKey, packet) ?? false;
  }

  isOnline(publicKey: string): boolean {
    return this.#online.has(publicKey);
  }

  /**
   * Makes a contact a friend. With a Tox ID the other side is asked; one who is known by key only must have added us,
   * or add us, on their own.
   */
  befriend(contact: Contact): void {
    try {
      if (contact.state === 'requested' && contact.toxId) this.peer.addFriend(contact.toxId, REQUEST_TEXT);
      else this.peer.acceptFriend(contact.publicKey);
    } catch (error) {
      if (!isAlreadyFriend(error)) throw error;
    }
    this.#save();
  }

  unfriend(publicKey: string): void {
    this.peer.removeFriend(publicKey);
    if (this.#online.delete(publicKey)) this.#tellOffline(publicKey);
    this.#save();
  }

  /** Tells friends that we leave, and writes the profile. */
  async close(): Promise<void> {
    if (!this.#peer) return;
    this.#save();
    await this.#saving;
    await this.#peer.close();
    for (const key of this.#online) this.#touch(key);
    this.#online.clear();
  }

  #onRequest(publicKey: string, message: string): void {
    const contact = this.#folder.contacts.byPublicKey(this.account, publicKey);
    if (contact) {
      this.peer.acceptFriend(publicKey);
      this.#save();
      return;
    }
    const isNew = this.#folder.requests.add(this.account, publicKey, message);
    if (isNew) this.#log.info('request.received', { account: this.account });
  }

  #onConnection(publicKey: string, online: boolean): void {
    if (online === this.#online.has(publicKey)) return;
    this.#touch(publicKey);
    if (online) {
      this.#online.add(publicKey);
      this.#folder.contacts.confirm(this.account, publicKey);
      this.#save(); // where the friend was met: a crash of ours costs no search
      this.handlers.online(publicKey);
      this.#hooks.peerOnline(this.account, publicKey);
    } else {
      this.#online.delete(publicKey);
      this.#tellOffline(publicKey);
    }
  }

  #touch(publicKey: string): void {
    this.#folder.contacts
      .touch(this.account, publicKey)
      .catch((error: unknown) => this.#log.warn('contact.not-noted', { error: errorField(error) }));
  }

  #tellOffline(publicKey: string): void {
    this.handlers.offline(publicKey);
    this.#hooks.peerOffline(this.account, publicKey);
  }

  /** Changes that come while one version is being written share the next. */
  #save(): void {
    this.#unsaved = true;
    this.#saving ??= this.#writeProfile().finally(() => {
      this.#saving = undefined;
    });
  }

  async #writeProfile(): Promise<void> {
    while (this.#unsaved) {
      this.#unsaved = false;
      try {
        await writeDurably(realFiles, this.#folder.profileOf(this.account), this.peer.save());
      } catch (error) {
        this.#log.error('profile.not-saved', { account: this.account, error: errorField(error) });
        return;
      }
    }
  }
}

function isAlreadyFriend(error: unknown): boolean {
  return error instanceof Error && 'kind' in error && error.kind === 'already-friend';
}
