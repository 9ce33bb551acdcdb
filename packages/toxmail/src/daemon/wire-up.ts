import { join } from 'node:path';
import type { Scheduler } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import { UserError } from '../base/user-error.ts';
import type { Contact } from '../contacts/contacts.ts';
import type { QueueItem } from '../queue/record.ts';
import { AccountNode } from './account-node.ts';
import { Commands, type QueueCommands, type RunningParts, type ToxState } from './commands.ts';
import type { Config } from './config.ts';
import type { DataFolder } from './data-folder.ts';
import { reachableHost } from './own-address.ts';
import type { ToxFactory } from './tox-peer.ts';
import { UdpPorts } from './udp-ports.ts';

export interface Daemon {
  readonly commands: Commands;
  /** What listens where, for the first screen. */
  readonly listeners: RunningParts['listeners'];
  stop(): Promise<void>;
}

export interface DaemonParts {
  readonly folder: DataFolder;
  readonly config: Config;
  readonly tox: ToxFactory;
  readonly scheduler: Scheduler;
  readonly log: Logger;
}

/** Builds the object graph and starts it: the only place that knows which part uses which. */
export async function startDaemon({ folder, config, tox, log }: DaemonParts): Promise<Daemon> {
  const nodes = new Map<string, AccountNode>(); // one per account
  const ports = new UdpPorts(folder.path, config.udpPort);
  const queue = idleQueue(folder);
  const listeners: Record<string, { host: string; port: number }> = {};

  async function startAccount(name: string): Promise<void> {
    const node = new AccountNode(name, folder, log, { peerOnline() {}, peerOffline() {} });
    await node.start(async (profile, events) => {
      for (const udpPort of ports.candidates()) {
        const peer = await tox.start({ profile, udpPort, bootstrap: config.bootstrap }, events);
        if (!peer) continue;
        await ports.markUsed(peer.udpPort);
        return peer;
      }
      throw new UserError('No UDP port is free for Tox. Choose another one with --udp-port, or 0 for any.');
    });
    nodes.set(name, node);
  }

  async function stopAccount(name: string): Promise<void> {
    const node = nodes.get(name);
    nodes.delete(name);
    await node?.close();
  }

  const running: RunningParts = {
    listeners,
    toxState: (account) => toxState(nodes.get(account)),
    isOnline: (account, publicKey) => nodes.get(account)?.isOnline(publicKey) ?? false,
    startAccount,
    stopAccount,
    befriend: (contact: Contact) => nodes.get(contact.account)?.befriend(contact),
    unfriend: (account, publicKey) => nodes.get(account)?.unfriend(publicKey),
    nodeLine(account) {
      const peer = nodes.get(account)?.peer;
      return peer && { host: reachableHost(), port: peer.udpPort, publicKey: peer.dhtPublicKey };
    },
  };

  async function stop(): Promise<void> {
    await Promise.all([...nodes.keys()].map(stopAccount));
    await ports.markClean();
  }

  try {
    for (const { name } of folder.accounts.list()) await startAccount(name);
  } catch (error) {
    await stop();
    throw error;
  }
  return { commands: new Commands(folder, queue, running), listeners, stop };
}

/** The queue of a stopped node: can be looked at and changed, delivers nothing. */
export function idleQueue(folder: DataFolder): QueueCommands {
  const none = (): QueueItem => {
    throw new UserError(`There is no mail of that ID in ${join(folder.path, 'spool')}. See: toxmail queue`);
  };
  return { list: () => [], counts: () => ({ waiting: 0, sending: 0, failed: 0 }), retry: none, cancel: none };
}

function toxState(node: AccountNode | undefined): ToxState | undefined {
  if (!node) return undefined;
  const { connection, udpPort, dhtPublicKey, nodes } = node.peer;
  return { connection, udpPort, dhtKey: dhtPublicKey, nodes };
}
