import { existsSync } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import type { Scheduler } from '../base/clock.ts';
import { writeDurably } from '../base/durable.ts';
import { errorCode, FOLDER_MODE, readWhole, realFiles } from '../base/files.ts';
import { generatePassword, hashPassword, PASSWORD_MAX } from '../base/password.ts';
import { UserError } from '../base/user-error.ts';
import { Contacts } from '../contacts/contacts.ts';
import { FriendRequests } from '../contacts/friend-requests.ts';
import { type Account, Accounts } from '../store/accounts.ts';
import { type Database, openDatabase } from '../store/database.ts';
import type { ToxFactory } from './tox-peer.ts';

/** The data folder, opened: what there is to know about a node whether it runs or not. */
export class DataFolder {
  readonly path: string;
  readonly db: Database;
  readonly accounts: Accounts;
  readonly contacts: Contacts;
  readonly requests: FriendRequests;
  readonly #tox: ToxFactory;
  readonly #scheduler: Scheduler;

  constructor(path: string, db: Database, tox: ToxFactory, scheduler: Scheduler) {
    this.path = path;
    this.db = db;
    this.accounts = new Accounts(db, scheduler);
    this.contacts = new Contacts(db, this.accounts, scheduler);
    this.requests = new FriendRequests(db, scheduler);
    this.#tox = tox;
    this.#scheduler = scheduler;
  }

  get spool(): string {
    return join(this.path, 'spool');
  }

  get tls(): string {
    return join(this.path, 'tls');
  }

  maildirOf(account: string): string {
    return join(this.path, 'accounts', account, 'Maildir');
  }

  /** A cache: made again if it is not there. */
  indexOf(account: string): string {
    return join(this.path, 'accounts', account, 'index.db');
  }

  profileOf(account: string): string {
    return join(this.path, 'accounts', account, 'profile.tox');
  }

  /** A new account with a Tox identity. The password, if none is given, is generated; it is stored as a hash only. */
  async addAccount(name: string, password?: string): Promise<{ account: Account; password: string }> {
    const secret = checkedPassword(password);
    this.accounts.add(name, await hashPassword(secret));
    try {
      await this.ensureProfile(name);
    } catch (error) {
      this.accounts.remove(name);
      throw error;
    }
    return { account: this.accounts.get(name)!, password: secret };
  }

  async setPassword(name: string, password?: string): Promise<string> {
    const secret = checkedPassword(password);
    this.accounts.setPassword(name, await hashPassword(secret));
    return secret;
  }

  /** Identity, contacts and mail stay. Nothing of the account may run. */
  async renameAccount(from: string, to: string): Promise<void> {
    this.accounts.rename(from, to);
    await this.finishRenames();
  }

  /** The names are on the disk before the folders follow, so that a start after a crash knows what belongs to whom. */
  async finishRenames(): Promise<void> {
    for (const { from, to } of this.accounts.renames()) {
      const [old, now] = [from, to].map((name) => join(this.path, 'accounts', name)) as [string, string];
      if ((await realFiles.stat(old)) && !(await realFiles.stat(now))) {
        await realFiles.rename(old, now);
        await realFiles.syncFolder(join(this.path, 'accounts'));
      }
      this.accounts.renamed(from);
    }
  }

  /** Forgets the account; its folder (identity and mail) is kept under removed/. Returns where. */
  async removeAccount(name: string): Promise<string> {
    this.accounts.remove(name);
    const stamp = new Date(this.#scheduler.unixMs()).toISOString().replace(/[-:]|\.\d+/g, '');
    const target = join(this.path, 'removed', `${name}-${stamp}`);
    await mkdir(join(this.path, 'removed'), { recursive: true, mode: FOLDER_MODE });
    try {
      await rename(join(this.path, 'accounts', name), target);
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error;
    }
    return target;
  }

  /** The save file of an account; made, with a new identity, if there is none yet. */
  async ensureProfile(name: string): Promise<Uint8Array> {
    const path = this.profileOf(name);
    const found = await readWhole(realFiles, path);
    const profile = found ?? this.#tox.newProfile().profile;
    if (!found) {
      await realFiles.mkdir(join(this.path, 'accounts', name));
      await writeDurably(realFiles, path, profile);
    }
    const toxId = this.#tox.toxIdOf(profile);
    if (toxId === undefined)
      throw new UserError(`${path} is no Tox profile that can be read. Restore it from a backup, or move it away.`);
    if (this.accounts.get(name)?.toxId !== toxId) this.accounts.setToxId(name, toxId);
    return profile;
  }

  close(): void {
    this.db.close();
  }
}

/** Opens the folder; the caller holds its lock. */
export async function openDataFolder(path: string, tox: ToxFactory, scheduler: Scheduler): Promise<DataFolder> {
  const database = openDatabase(join(path, 'toxmail.db'));
  const folder = new DataFolder(path, database, tox, scheduler);
  await realFiles.mkdir(folder.spool);
  await folder.finishRenames();
  return folder;
}

/** True if a daemon or command has made this folder. */
export function isDataFolder(path: string): boolean {
  return existsSync(join(path, 'toxmail.db'));
}

/** The name of the first account: who runs the program, in the signs that an address may have. */
export function firstAccountName(): string {
  let user = '';
  try {
    user = userInfo().username;
  } catch {
    // a user without an entry in the system's list, as in some containers
  }
  const name = user
    .toLowerCase()
    .replace(/[^a-z0-9_-]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 32);
  return name === '' || name === 'root' ? 'me' : name;
}

function checkedPassword(password: string | undefined): string {
  if (password === undefined) return generatePassword();
  // A short one is its owner's business: guessing is throttled by address and account.
  if (password.length === 0 || password.length > PASSWORD_MAX)
    throw new UserError(`A password has 1 to ${PASSWORD_MAX} characters. Leave it out to get a good one.`);
  return password;
}
